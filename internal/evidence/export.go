// Package evidence hands history out: the whole result of a query as a file,
// and packs that can be verified without this program.
package evidence

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// A Service hands history out and records that it did.
type Service struct {
	store   *store.Store
	witness *witness.Service
	now     func() time.Time
}

// NewService returns a service over a store. Without a witness there are no packs.
func NewService(s *store.Store, w *witness.Service, now func() time.Time) *Service {
	return &Service{store: s, witness: w, now: now}
}

// A Format is how rows are written.
type Format string

// The formats.
const (
	CSV   Format = "csv"   // for spreadsheets
	JSONL Format = "jsonl" // lossless: the exact bytes that are hashed
)

// File is the name under which a result of this format is saved.
func (f Format) File() string { return "history." + string(f) }

// A Wish says what is to be handed out: the whole result of a query, and how its
// reader would type that.
type Wish struct {
	Query  store.HistoryQuery // Before and Limit don't count
	Text   string
	Format Format
}

// A Receipt says what was handed out. SHA256 is that of all bytes.
type Receipt struct {
	Rows   int64
	Bytes  int64
	SHA256 [sha256.Size]byte
}

// An Export is a result that is about to be written. It holds what history had
// when it began, and nothing later.
type Export struct {
	service *Service
	by      access.Reader
	wish    Wish
	id      string // exp_…
	head    audit.Head
	at      time.Time
}

// Begin records that an export begins, so that nothing leaves without a trace. It
// holds nothing but what its reader may take away.
func (s *Service) Begin(ctx context.Context, by access.Reader, w Wish) (*Export, error) {
	err := by.Check(access.ExportHistory)
	if err != nil {
		return nil, err
	}
	if w.Query, err = s.store.ReadableFor(ctx, by.User, access.ExportHistory, w.Query); err != nil {
		return nil, err
	}
	head, err := s.store.Searchable(ctx)
	if err != nil {
		return nil, err
	}
	e := &Export{service: s, by: by, wish: w, id: "exp_" + secret.Code(16), head: head, at: s.now()}
	return e, s.store.Record(ctx, e.event("history.export_begun"))
}

// event is an entry about the export. What was asked for lies beside the chain:
// it may name people.
func (e *Export) event(action string) audit.Event {
	return audit.Event{
		Actor: e.by.Actor(), Action: action, Object: audit.Object{Kind: "history", ID: e.id, Name: e.wish.Format.File()},
		Reason: e.wish.Text, Detail: map[string]string{"up_to": strconv.FormatInt(e.head.Seq, 10)},
	}
}

// Write writes the result, the newest entry first, and records what came of it,
// whether or not it could be written to the end. The result is whole only if
// there is no error.
func (e *Export) Write(ctx context.Context, to io.Writer) (Receipt, error) {
	m := newMeter(to)
	rows, err := e.rows(ctx, m)
	if err == nil {
		err = m.out.Flush()
	}
	r := m.receipt(rows)
	return r, errors.Join(err, e.service.done(ctx, e.event("history.exported"), r, err))
}

// done records what was handed out, or how far it came.
func (s *Service) done(ctx context.Context, e audit.Event, r Receipt, err error) error {
	e.Detail["rows"], e.Detail["bytes"] = strconv.FormatInt(r.Rows, 10), strconv.FormatInt(r.Bytes, 10)
	if err == nil {
		e.Detail["sha256"] = hex.EncodeToString(r.SHA256[:])
	} else {
		e.Outcome = audit.Failed
		e.Detail["note"] = "Broken off: " + why(err) + " What had been sent until then may have arrived."
	}
	// The reader may be gone; that they had some of it is still to be recorded.
	return s.store.Record(context.WithoutCancel(ctx), e)
}

// why says in words for readers why an export ended early.
func why(err error) string {
	var broken *writeError
	switch {
	case errors.Is(err, context.Canceled) || errors.As(err, &broken):
		return "the connection to the reader ended."
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long."
	}
	if problem.Is(err, problem.Unavailable) {
		return "the search index was made anew meanwhile."
	}
	return "history could not be read."
}

func (e *Export) rows(ctx context.Context, m *meter) (n int64, err error) {
	write, end, err := e.writer(m)
	if err != nil {
		return 0, err
	}
	err = e.service.store.HistoryWhole(ctx, e.wish.Query, e.head.Seq, func(page []audit.Entry) error {
		if err := write(ctx, page); err != nil {
			return err
		}
		n += int64(len(page))
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, end(n)
}

// writer returns what writes a page in the format, and what ends the file.
func (e *Export) writer(m *meter) (page func(context.Context, []audit.Entry) error, end func(rows int64) error, err error) {
	personal := e.by.May(access.ViewPersonal)
	if e.wish.Format == CSV {
		page = func(_ context.Context, entries []audit.Entry) error {
			for _, entry := range entries {
				if err := writeCells(m.out, cells(entry, personal)); err != nil {
					return err
				}
			}
			return nil
		}
		return page, func(int64) error { return nil }, writeCells(m.out, columns)
	}
	page = func(ctx context.Context, entries []audit.Entry) error {
		seqs := make([]int64, len(entries))
		for i, entry := range entries {
			seqs[i] = entry.Seq
		}
		rows, err := e.service.store.HistoryRowsOf(ctx, seqs)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := writeLine(m.out, line(r, personal)); err != nil {
				return err
			}
		}
		return nil
	}
	return page, func(rows int64) error { return e.manifest(m, rows) }, nil
}

// manifest ends a file of JSON lines with one about those before it, so that a
// file that was cut or edited is found out without asking anybody.
func (e *Export) manifest(m *meter, rows int64) error {
	if err := m.out.Flush(); err != nil {
		return err
	}
	type manifest struct {
		Query  string `json:"query"`
		At     string `json:"at"`
		Rows   int64  `json:"rows"`
		SHA256 string `json:"sha256"` // of all bytes before this line
		UpTo   int64  `json:"up_to"`
		Head   string `json:"head"`
	}
	return writeLine(m.out, struct {
		Manifest manifest `json:"manifest"`
	}{manifest{
		Query: e.wish.Text, At: e.at.Format(audit.TimeFormat), Rows: rows, SHA256: hex.EncodeToString(m.sum.Sum(nil)), UpTo: e.head.Seq, Head: e.head.Hash.String(),
	}})
}

// A meter counts and hashes what it passes on.
type meter struct {
	to    io.Writer
	out   *bufio.Writer // write here
	sum   hash.Hash
	bytes int64
}

func newMeter(to io.Writer) *meter {
	m := &meter{to: to, sum: sha256.New()}
	m.out = bufio.NewWriterSize(m, 32<<10)
	return m
}

func (m *meter) receipt(rows int64) Receipt {
	return Receipt{Rows: rows, Bytes: m.bytes, SHA256: [sha256.Size]byte(m.sum.Sum(nil))}
}

// Write implements [io.Writer].
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.to.Write(p)
	m.sum.Write(p[:n])
	m.bytes += int64(n)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// A writeError is one of the reader's side.
type writeError struct{ err error }

func (e *writeError) Error() string { return fmt.Sprintf("write: %v", e.err) }
func (e *writeError) Unwrap() error { return e.err }
