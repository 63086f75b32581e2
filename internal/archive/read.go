package archive

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/audit"
)

// Names of the files in an archive.
const (
	readmeFile     = "README.txt"
	rowsFile       = "rows.jsonl"
	personalFile   = "personal.jsonl"
	statementFile  = "archive.txt"
	checkpointFile = "checkpoint.txt"
	growthFile     = "growth.json"
	keyFile        = "key.txt"
	verifierFile   = "verify_history.py"
)

var names = []string{readmeFile, rowsFile, personalFile, statementFile, checkpointFile, growthFile, keyFile, verifierFile}

// growth proves that the checkpoint's tree begins with the rows of the archive and
// those before.
type growth struct {
	Size  int64    `json:"size"`
	Proof []string `json:"proof"`
}

// Name is the file name of the archive of a month.
func Name(month string) string { return "history-" + month + ".zip" }

// Paths are the archives that files and directories stand for.
func Paths(given []string) ([]string, error) {
	var all []string
	for _, path := range given {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			all = append(all, path)
			continue
		}
		found, err := filepath.Glob(filepath.Join(escape(path), Name("*")))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// escape has a path mean itself in a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// A File is an archive that was opened: what it says it holds is signed, and not
// yet compared with what it does.
type File struct {
	audit.Statement
	path string
	keys audit.PublicKeys
	zip  *zip.ReadCloser
}

// Open opens an archive. The error wraps [audit.ErrTampered] where it isn't one, or
// nobody who counts signed it.
func Open(path string, keys audit.PublicKeys) (*File, error) {
	f := &File{path: path, keys: keys}
	var err error
	if f.zip, err = zip.OpenReader(path); err != nil {
		if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
			return nil, err
		}
		return nil, f.wrong("it is no zip file, or cut off: %w", err)
	}
	note, err := f.check()
	if err == nil {
		f.Statement, err = keys.OpenStatement(note, audit.ArchiveStatement)
	}
	if err != nil {
		return nil, errors.Join(f.wrong("%w", err), f.Close())
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.zip.Close() }

func (f *File) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: archive %s: %w", audit.ErrTampered, filepath.Base(f.path), fmt.Errorf(format, args...))
}

// check looks whether the files are those of an archive, and returns the statement.
func (f *File) check() ([]byte, error) {
	var there []string
	for _, one := range f.zip.File {
		there = append(there, one.Name)
	}
	slices.Sort(there)
	if !slices.Equal(there, slices.Sorted(slices.Values(names))) {
		return nil, errors.New("it has other files than an archive")
	}
	return f.small(statementFile)
}

// mostSmall bounds what is read at once.
const mostSmall = 1 << 20

func (f *File) small(name string) ([]byte, error) {
	r, err := f.zip.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(r, mostSmall+1))
	if err == nil && len(text) > mostSmall {
		err = fmt.Errorf("%s is too long", name)
	}
	return text, err
}

// each calls fn for each row of the archive with its personal data, and returns
// the hash of the rows' file. What is personal and belongs to no row is an error.
func (f *File) each(fn func(audit.Row) error) (sum [sha256.Size]byte, err error) {
	rows, err := f.lines(rowsFile)
	if err != nil {
		return sum, err
	}
	defer func() { _ = rows.file.Close() }() // only read
	personal, err := f.personal()
	if err != nil {
		return sum, err
	}
	defer func() { _ = personal.lines.file.Close() }() // only read
	for {
		var l rowLine
		switch err := rows.next(&l); {
		case errors.Is(err, io.EOF):
			if !personal.through {
				return sum, f.wrong("there is personal data that belongs to no row")
			}
			return [sha256.Size]byte(rows.sum.Sum(nil)), nil
		case err != nil:
			return sum, f.wrong("%s: %w", rowsFile, err)
		}
		r, err := l.row()
		if err == nil {
			r.Personal, err = personal.of(r.Seq)
		}
		if err != nil {
			return sum, f.wrong("row %d: %w", l.Seq, err)
		}
		if err := fn(r); err != nil {
			return sum, err
		}
	}
}

// Verify checks everything in an archive that is signed or bound by what is: from
// where a verifier stands, which must be where the archive begins, to its end. It
// works out the roots at some sizes.
func (f *File) Verify(v *audit.Verifier, sizes map[int64]bool, roots map[int64]audit.Hash) error {
	note := func() {
		if at := v.Tree(); sizes[at.Size] {
			roots[at.Size] = at.Root()
		}
	}
	note()
	sum, err := f.each(func(r audit.Row) error {
		if err := v.Next(r); err != nil {
			return f.wrong("%w", err)
		}
		note()
		return nil
	})
	if err != nil {
		return err
	}
	if sum != f.Rows || !v.Place().Equal(f.After) {
		return f.wrong("%s is not as it was signed", rowsFile)
	}
	if _, err := f.checkpoint(); err != nil {
		return f.wrong("%s: %w", checkpointFile, err)
	}
	return nil
}

// checkpoint returns the checkpoint in an archive, once it is shown that its tree
// begins with the archive's.
func (f *File) checkpoint() (audit.Checkpoint, error) {
	text, err := f.small(checkpointFile)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	c, err := f.keys.OpenCheckpoint(text)
	if err != nil {
		return c, err
	}
	if text, err = f.small(growthFile); err != nil {
		return c, err
	}
	var g growth
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil || g.Size != c.Size || c.Size < f.Last() {
		return c, errors.New("the proof belongs to another checkpoint")
	}
	proof := make([]audit.Hash, len(g.Proof))
	for i, one := range g.Proof {
		raw, err := base64.StdEncoding.DecodeString(one)
		if err != nil || len(raw) != len(audit.Hash{}) {
			return c, errors.New("the proof has another form")
		}
		proof[i] = audit.Hash(raw)
	}
	return c, audit.CheckGrowth(proof, audit.Checkpoint{Size: f.Last(), Root: f.After.Tree.Root()}, c)
}
