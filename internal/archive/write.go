package archive

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/docs"
	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

//go:embed readme.txt
var readme string

// perRead is how many rows are in memory at a time.
const perRead = 1000

// write writes the archive of a month to a file and has the disk keep it. It
// verifies what it writes, from the place where history begins on.
func (s *Service) write(ctx context.Context, path string, m store.Month, begin audit.Place) (audit.Statement, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return audit.Statement{}, err
	}
	out := bufio.NewWriterSize(f, 256<<10)
	one, err := s.pack(ctx, zip.NewWriter(out), m, begin)
	if err == nil {
		err = errors.Join(out.Flush(), f.Sync())
	}
	return one, errors.Join(err, f.Close())
}

func (s *Service) pack(ctx context.Context, z *zip.Writer, m store.Month, begin audit.Place) (audit.Statement, error) {
	one := audit.Statement{Month: m.Begin.Format(audit.MonthFormat), Before: begin}
	v, sum := audit.NewVerifier(begin.Head, begin.Tree), sha256.New()
	err := s.pages(ctx, z, rowsFile, m, sum, func(e *json.Encoder, r audit.Row) error {
		if err := v.Next(r); err != nil {
			return err
		}
		if !utf8.Valid(r.Body) {
			return fmt.Errorf("%w at row %d: it is no text", audit.ErrTampered, r.Seq)
		}
		return e.Encode(rowLine{r.Seq, string(r.Body), r.Hash.String(), r.Prev.String()})
	})
	if err == nil && v.Head().Seq != m.Last {
		err = fmt.Errorf("%w: rows after %d are missing", audit.ErrTampered, v.Head().Seq)
	}
	if err != nil {
		return one, err
	}
	one.After, one.Rows = v.Place(), [sha256.Size]byte(sum.Sum(nil))
	err = s.pages(ctx, z, personalFile, m, io.Discard, func(e *json.Encoder, r audit.Row) error {
		for _, p := range r.Personal {
			if err := e.Encode(personalLine{r.Seq, p.Field, hex.EncodeToString(p.Salt), p.Value}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return one, err
	}
	return one, s.packSmall(ctx, z, one)
}

// pages writes a file of lines about the rows of a month.
func (s *Service) pages(ctx context.Context, z *zip.Writer, name string, m store.Month, sum io.Writer, write func(*json.Encoder, audit.Row) error) error {
	w, err := z.Create(name)
	if err != nil {
		return err
	}
	e := json.NewEncoder(io.MultiWriter(w, sum))
	e.SetEscapeHTML(false)
	for from := m.First; from <= m.Last && err == nil; from += perRead {
		err = errors.Join(ctx.Err(), s.store.HistoryRows(ctx, from, min(from+perRead-1, m.Last), func(r audit.Row) error { return write(e, r) }))
	}
	return err
}

// packSmall ends an archive with what is said about its rows.
func (s *Service) packSmall(ctx context.Context, z *zip.Writer, one audit.Statement) error {
	note, err := s.witness.Sign(ctx, audit.ArchiveStatement, []byte(one.Text()))
	if err != nil {
		return err
	}
	last, err := s.store.LatestCheckpoint(ctx)
	if err != nil {
		return err
	}
	proof, err := s.store.ConsistencyProof(ctx, one.Last(), last.Size)
	if err != nil {
		return err
	}
	g := growth{Size: last.Size, Proof: []string{}}
	for _, h := range proof {
		g.Proof = append(g.Proof, base64.StdEncoding.EncodeToString(h[:]))
	}
	grown, err := json.Marshal(g)
	if err != nil {
		return err
	}
	about := strings.NewReplacer("@MONTH@", one.Month, "@FIRST@", strconv.FormatInt(one.First(), 10), "@LAST@", strconv.FormatInt(one.Last(), 10), "@NAME@", Name(one.Month)).Replace(readme)
	for _, file := range []struct {
		name string
		text []byte
	}{
		{statementFile, note}, {checkpointFile, last.Note}, {growthFile, append(grown, '\n')},
		{keyFile, []byte(s.witness.PublicKey() + "\n")}, {verifierFile, docs.VerifyHistory}, {readmeFile, []byte(about)},
	} {
		w, err := z.Create(file.name)
		if err != nil {
			return err
		}
		if _, err := w.Write(file.text); err != nil {
			return err
		}
	}
	return z.Close()
}

// settle gives a file its name for good.
func settle(temporary, path string) error {
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
