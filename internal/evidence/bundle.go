package evidence

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gatehouse/docs"
	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/review"
)

//go:embed readme.txt
var readme string

// A bundle is a zip file that keeps a list of its files.
type bundle struct {
	zip      *zip.Writer
	manifest strings.Builder // a line for each file: SHA-256, two spaces, name
}

// add writes a file of the bundle.
func (b *bundle) add(name string, write func(io.Writer) error) error {
	f, err := b.zip.Create(name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := write(io.MultiWriter(f, sum)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(&b.manifest, "%x  %s\n", sum.Sum(nil), name)
	return err
}

func (b *bundle) text(name, text string) error {
	return b.add(name, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func (b *bundle) json(name string, v any) error {
	return b.add(name, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// write writes all files of the pack, the signed list of them last.
func (p *Pack) write(ctx context.Context, to *meter) error {
	b := &bundle{zip: zip.NewWriter(to.out)}
	key := p.service.witness.PublicKey()
	err := errors.Join(
		b.text("README.txt", p.readme(key)), b.json("about.json", p.about()), b.text("key.txt", key+"\n"),
		b.text("checkpoint.txt", string(p.checkpoint.Note)), b.text("verify_history.py", string(docs.VerifyHistory)),
	)
	if err != nil {
		return err
	}
	if p.subject.Kind == OfReview {
		if err := p.addReport(ctx, b); err != nil {
			return err
		}
	}
	for _, id := range p.requests {
		if err := p.addRequest(ctx, b, id); err != nil {
			return err
		}
	}
	if err := b.add("rows.jsonl", func(w io.Writer) error { return p.rows(ctx, w) }); err != nil {
		return err
	}
	if err := b.add("proofs.json", func(w io.Writer) error { return p.proofs(ctx, w) }); err != nil {
		return err
	}
	return p.sign(ctx, b)
}

// sign ends the bundle with the list of its files and the signature over it.
func (p *Pack) sign(ctx context.Context, b *bundle) error {
	note, err := p.service.witness.Sign(ctx, "evidence", []byte(b.manifest.String()))
	if err != nil {
		return err
	}
	text, signature, err := detach(note)
	if err != nil {
		return err
	}
	return errors.Join(b.text("manifest.txt", text), b.text("manifest.sig", signature), b.zip.Close())
}

// detach takes a signed note apart: the text, and the bytes of the signature.
func detach(note []byte) (text, signature string, err error) {
	text, rest, ok := strings.Cut(string(note), "\n\n— ")
	_, encoded, ok2 := strings.Cut(strings.TrimSpace(rest), " ")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || !ok2 || err != nil || len(raw) != 4+ed25519.SignatureSize {
		return "", "", errors.New("the signature has an unknown form")
	}
	return text + "\n", string(raw[4:]), nil // four bytes name the key
}

// about says what a pack is about, for machines.
type about struct {
	Pack       string `json:"pack"`
	Kind       Kind   `json:"kind"`
	Subject    string `json:"subject"`
	Project    string `json:"project"`
	Name       string `json:"name"`
	Search     string `json:"search"`
	MadeAt     string `json:"made_at"`
	MadeBy     string `json:"made_by"`
	Rows       int    `json:"rows"`
	Checkpoint int64  `json:"checkpoint"`
	Problem    string `json:"problem"` // what the console said was wrong with history
}

func (p *Pack) about() about {
	s := p.subject
	return about{p.id, s.Kind, s.ID, s.Project, s.Name, s.Text, p.at.Format(audit.TimeFormat), p.by.ID, len(p.seqs), p.checkpoint.Size, p.problem}
}

var kindWords = map[Kind]string{OfRequest: "change request", OfConfig: "auth config", OfPerson: "person", OfReview: "review of history", OfSearch: "search of history"}

func (p *Pack) readme(key string) string {
	words := []string{kindWords[p.subject.Kind]}
	for _, more := range []string{p.subject.Name, p.subject.ID, p.subject.Text} {
		if more != "" {
			words = append(words, oneLine(more))
		}
	}
	what := strings.Join(words, ", ")
	return strings.NewReplacer("@WHAT@", what, "@AT@", p.at.Format(audit.TimeFormat), "@BY@", oneLine(p.by.Name), "@ROWS@", strconv.Itoa(len(p.seqs)),
		"@SIZE@", strconv.FormatInt(p.checkpoint.Size, 10), "@KEY@", key, "@PROBLEM@", p.warning()).Replace(readme)
}

// warning says in the README what the console said was wrong with history.
func (p *Pack) warning() string {
	if p.problem == "" {
		return ""
	}
	return "\nHISTORY WAS NOT AS IT WAS WRITTEN when this pack was made, as the console itself\nsaid: " + p.problem + "\nDon't take the entries for proven before that is explained. The third command\nbelow fails because of it.\n"
}

// oneLine is a text without line breaks, so that nobody's name can look like a
// command of the README.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// addReport adds the report of a review, whose hash is in the entry of its closing.
func (p *Pack) addReport(ctx context.Context, b *bundle) error {
	r, err := p.service.store.Review(ctx, p.subject.ID)
	if err != nil {
		return err
	}
	sheet, err := p.service.store.ReviewSheet(ctx, r.ID)
	if err != nil {
		return err
	}
	report, err := review.Report(r, sheet)
	if err != nil {
		return err
	}
	return b.text("review.json", string(report))
}

// rows writes the entries as they are stored.
func (p *Pack) rows(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	personal := p.by.May(access.ViewPersonal)
	err := p.pages(func(seqs []int64) error {
		rows, err := p.service.store.HistoryRowsOf(ctx, seqs)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := writeLine(out, line(r, personal)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return errors.Join(err, out.Flush())
}

// perPage is how many rows are in memory at a time.
const perPage = 400

// pages calls fn for the entries, some at a time.
func (p *Pack) pages(fn func(seqs []int64) error) error {
	for rest := p.seqs; len(rest) > 0; {
		n := min(len(rest), perPage)
		if err := fn(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// proofs writes the inclusion proof of each entry, and how the checkpoint has
// grown out of earlier ones.
func (p *Pack) proofs(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	c := p.checkpoint
	_, _ = fmt.Fprintf(out, "{\"size\": %d, \"root\": %q, \"proofs\": {", c.Size, base64.StdEncoding.EncodeToString(c.Root[:])) // the last write tells
	for i, seq := range p.seqs {
		if err := ctx.Err(); err != nil {
			return err
		}
		proof, err := p.service.store.InclusionProof(ctx, seq, c.Size)
		if err != nil {
			return err
		}
		if i > 0 {
			_ = out.WriteByte(',')
		}
		_, _ = fmt.Fprintf(out, "\n\"%d\": ", seq)
		if err := writeLine(out, hashes(proof)); err != nil {
			return err
		}
	}
	_, _ = out.WriteString("}, \"earlier\": ")
	earlier, err := p.earlier(ctx)
	if err != nil {
		return err
	}
	err = writeLine(out, earlier)
	_, _ = out.WriteString("}\n")
	return errors.Join(err, out.Flush())
}

func hashes(proof []audit.Hash) []string {
	out := make([]string, len(proof))
	for i, h := range proof {
		out[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return out
}

// mostEarlier is how many earlier checkpoints a pack carries.
const mostEarlier = 64

type earlier struct {
	Checkpoint string   `json:"checkpoint"`
	Proof      []string `json:"proof"`
}

// earlier are the checkpoints that covered entries of the pack first: they tell
// by when those were there.
func (p *Pack) earlier(ctx context.Context) ([]earlier, error) {
	st, out := p.service.store, []earlier{}
	for next := p.seqs[0]; next > 0 && len(out) < mostEarlier; {
		c, err := st.FirstCheckpoint(ctx, next)
		if err != nil || c.Size == 0 || c.Size >= p.checkpoint.Size {
			return out, err
		}
		next = firstAfter(p.seqs, c.Size)
		root, err := st.TreeRoot(ctx, c.Size)
		if err != nil {
			return nil, err
		}
		if root != c.Root {
			continue // of a history that was taken back since
		}
		proof, err := st.ConsistencyProof(ctx, c.Size, p.checkpoint.Size)
		if err != nil {
			return nil, err
		}
		out = append(out, earlier{string(c.Note), hashes(proof)})
	}
	return out, nil
}

// firstAfter returns the first number above another, 0 if there is none.
func firstAfter(seqs []int64, after int64) int64 {
	for _, seq := range seqs {
		if seq > after {
			return seq
		}
	}
	return 0
}
