package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"gatehouse/internal/audit"
)

// A rowLine is a row as exports and evidence packs have it; what is personal lies
// in a file of its own.
type rowLine struct {
	Seq  int64  `json:"seq"`
	Body string `json:"body"`
	Hash string `json:"hash"`
	Prev string `json:"prev"`
}

type personalLine struct {
	Seq   int64  `json:"seq"`
	Field string `json:"field"`
	Salt  string `json:"salt"` // hexadecimal
	Value string `json:"value"`
}

func (l rowLine) row() (audit.Row, error) {
	hash, err := hex.DecodeString(l.Hash)
	prev, err2 := hex.DecodeString(l.Prev)
	if err := errors.Join(err, err2); err != nil || len(hash) != sha256.Size || len(prev) != sha256.Size {
		return audit.Row{}, errors.New("it has another form")
	}
	return audit.Row{Seq: l.Seq, Body: []byte(l.Body), Hash: audit.Hash(hash), Prev: audit.Hash(prev)}, nil
}

// lines reads JSON lines.
type lines struct {
	file io.ReadCloser
	in   *bufio.Reader
	sum  hash.Hash
	raw  []byte // of the last line
}

const mostLine = 64 << 20

func (f *File) lines(name string) (*lines, error) {
	r, err := f.zip.Open(name)
	if err != nil {
		return nil, f.wrong("%w", err)
	}
	sum := sha256.New()
	return &lines{file: r, in: bufio.NewReaderSize(io.TeeReader(r, sum), 64<<10), sum: sum}, nil
}

// next reads the next line into v. It returns io.EOF after the last.
func (l *lines) next(v any) error {
	l.raw = l.raw[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		l.raw = append(l.raw, part...)
		switch {
		case err == nil:
			d := json.NewDecoder(bytes.NewReader(l.raw))
			d.DisallowUnknownFields()
			return d.Decode(v)
		case errors.Is(err, bufio.ErrBufferFull) && len(l.raw) < mostLine:
		case errors.Is(err, io.EOF) && len(l.raw) == 0:
			return io.EOF
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case errors.Is(err, bufio.ErrBufferFull):
			return errors.New("a line is too long")
		default:
			return err
		}
	}
}

// personalReader reads what is personal beside the rows, which have the same order.
type personalReader struct {
	lines   *lines
	ahead   personalLine
	through bool
}

func (f *File) personal() (*personalReader, error) {
	l, err := f.lines(personalFile)
	if err != nil {
		return nil, err
	}
	p := &personalReader{lines: l}
	if err := p.advance(); err != nil {
		return nil, errors.Join(f.wrong("%s: %w", personalFile, err), l.file.Close())
	}
	return p, nil
}

func (p *personalReader) advance() error {
	p.ahead = personalLine{}
	err := p.lines.next(&p.ahead)
	if p.through = errors.Is(err, io.EOF); p.through {
		return nil
	}
	if err != nil {
		return err
	}
	again, err := encode(p.ahead)
	if err == nil && !bytes.Equal(again, p.lines.raw) { // written in one way only
		err = errors.New("a line has another form")
	}
	return err
}

// encode writes a line as archives have it.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}

func (p *personalReader) of(seq int64) (all []audit.Personal, err error) {
	for err == nil && !p.through && p.ahead.Seq == seq {
		salt, herr := hex.DecodeString(p.ahead.Salt)
		all = append(all, audit.Personal{Field: p.ahead.Field, Salt: salt, Value: p.ahead.Value})
		if herr != nil || hex.EncodeToString(salt) != p.ahead.Salt {
			return nil, errors.New("its personal data has another form")
		}
		err = p.advance()
	}
	return all, err
}
