package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"gatehouse/internal/archive"
	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// A gathering is of checkpoints that are signed.
type gathering struct {
	all []audit.Checkpoint
	bad error // the first that wasn't what it should be
}

// look passes on what is no finding but a failure.
func (g *gathering) look(err error) error {
	if errors.Is(err, audit.ErrTampered) {
		if g.bad == nil {
			g.bad = err
		}
		return nil
	}
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

func (g *gathering) add(more []audit.Checkpoint, err error) error {
	g.all = append(g.all, more...)
	return g.look(err)
}

// newest is the checkpoint that knows of most restores.
func (g *gathering) newest() (newest audit.Checkpoint) {
	for _, c := range g.all {
		if len(c.Restored) > len(newest.Restored) {
			newest = c
		}
	}
	return newest
}

var errMissing = errors.New("the anchor can't be read")

func openStored(keys audit.PublicKeys, stored []audit.Signed) ([]audit.Checkpoint, error) {
	all := make([]audit.Checkpoint, len(stored))
	for i, one := range stored {
		c, err := keys.OpenCheckpoint(one.Note)
		if err != nil {
			return nil, fmt.Errorf("%w: checkpoint %d: %w", audit.ErrTampered, one.ID, err)
		}
		if c.Size != one.Size {
			return nil, fmt.Errorf("%w: checkpoint %d covers another number of rows than beside it", audit.ErrTampered, one.ID)
		}
		all[i] = c
	}
	return all, nil
}

// openAnchor reads the checkpoints of an anchor's file.
func openAnchor(keys audit.PublicKeys, path string) ([]audit.Checkpoint, error) {
	notes, err := ReadAnchor(path)
	return openNotes(keys, path, notes, err)
}

// openAnchorEnd reads the newest checkpoints of an anchor's file, from as far back
// as it takes to find one.
func openAnchorEnd(keys audit.PublicKeys, path string) ([]audit.Checkpoint, error) {
	for most := int64(anchorEnd); ; most *= 8 {
		text, whole, err := readEnd(path, most)
		if err != nil {
			return openNotes(keys, path, nil, err)
		}
		notes, err := notesOf(path, text)
		found, err := openNotes(keys, path, notes, err)
		if len(found) > 0 || whole || most >= maxAnchorFile {
			return found, err
		}
	}
}

// openNotes returns those that are checkpoints, and with them what is wrong with
// the first that isn't one.
func openNotes(keys audit.PublicKeys, path string, notes [][]byte, err error) ([]audit.Checkpoint, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errMissing, err)
	}
	if err != nil && !errors.Is(err, audit.ErrTampered) {
		return nil, err
	}
	var all []audit.Checkpoint
	for i, note := range notes {
		c, cerr := keys.OpenCheckpoint(note)
		switch {
		case cerr == nil:
			all = append(all, c)
		case err == nil:
			err = fmt.Errorf("%w: checkpoint %d of %s: %w", audit.ErrTampered, i+1, path, cerr)
		}
	}
	return all, err
}

// A Report is what an examination of a database found.
type Report struct {
	Result      string `json:"result"` // ok, tampered, rolled back or unreadable
	Rows        int64  `json:"rows"`
	Hash        string `json:"hash"`
	Checkpoints int    `json:"checkpoints"`
	Anchored    int    `json:"anchored"`
	Signed      int64  `json:"signed"` // rows that the newest checkpoint covers
	Restored    int    `json:"restored"`
	Excused     int    `json:"excused"`   // checkpoints that need not fit any more because of a restore
	Removed     int64  `json:"removed"`   // rows that left the database for archives
	Unchecked   int    `json:"unchecked"` // checkpoints that can't be compared without those
	Archives    int    `json:"archives"`  // that were checked
	Archived    int64  `json:"archived"`  // rows in them
	Erased      int    `json:"erased"`    // pieces of personal data that they lack
	Problem     string `json:"problem,omitempty"`
}

// Results of an examination.
const (
	OK         = "ok"
	Tampered   = "tampered"
	RolledBack = "rolled back"
	Unreadable = "unreadable"
)

// Evidence is what a database is compared with.
type Evidence struct {
	Keys     func() (audit.PublicKeys, error)
	Anchors  []string // files with checkpoints
	Archives []string // files with entries that left, or directories of them
	Restores []int64  // sizes that history was taken back to as whoever asks knows
}

// Examine verifies a database, or without one archives alone, and compares it with
// its checkpoints and other evidence. docs/verify_history.py does the same without
// this code.
func Examine(ctx context.Context, st *store.Store, by Evidence) Report {
	x := examination{st: st, by: by}
	err := x.run(ctx)
	r := x.report
	switch {
	case err == nil:
		r.Result = OK
		return r
	case errors.Is(err, audit.ErrRolledBack):
		r.Result = RolledBack
	case errors.Is(err, audit.ErrTampered):
		r.Result = Tampered
	default:
		r.Result = Unreadable
	}
	r.Problem = err.Error()
	return r
}

// An examination is under way.
type examination struct {
	st     *store.Store // nil if there is none
	by     Evidence
	public audit.PublicKeys
	report Report
	g      gathering

	unnamed error // a restore that nobody named excuses checkpoints
}

func (x *examination) run(ctx context.Context) error {
	var stored []audit.Signed
	var left bool
	if x.st != nil {
		err := x.st.CheckFile(ctx)
		if err == nil {
			stored, err = x.st.StoredCheckpoints(ctx)
		}
		if err == nil {
			left, err = x.st.AnyLeft(ctx)
		}
		if err != nil {
			return err
		}
		x.report.Checkpoints = len(stored)
	}
	if len(stored)+len(x.by.Anchors)+len(x.by.Archives) > 0 || left {
		if err := x.gather(stored); err != nil {
			return err
		}
	}
	found, err := x.archives(ctx)
	if err != nil || x.st == nil {
		return cmp.Or(err, x.compareRoots(found), x.unnamed, x.g.bad)
	}
	return x.database(ctx, found)
}

// gather opens the checkpoints of the database and of anchors.
func (x *examination) gather(stored []audit.Signed) (err error) {
	if x.public, err = x.by.Keys(); err != nil {
		return err
	}
	if x.g.all, err = openStored(x.public, stored); err != nil {
		return err
	}
	for _, path := range x.by.Anchors {
		more, err := openAnchor(x.public, path)
		if errors.Is(err, errMissing) {
			return err
		}
		if err := x.g.add(more, err); err != nil {
			return err
		}
		x.report.Anchored += len(more)
	}
	for _, c := range x.g.all {
		x.report.Signed, x.report.Restored = max(x.report.Signed, c.Size), max(x.report.Restored, len(c.Restored))
	}
	x.unnamed = x.g.excuses(len(stored), x.by.Restores, &x.report)
	return nil
}

// removed opens what is stated about an archive of the database.
func (x *examination) removed(note []byte) (audit.Statement, error) {
	return x.public.OpenStatement(note, audit.RemovedStatement)
}

// archives checks those that were given, and that the database says the same of
// them.
func (x *examination) archives(ctx context.Context) (archive.Found, error) {
	paths, err := archive.Paths(x.by.Archives)
	if err != nil {
		return archive.Found{}, err
	}
	found, err := archive.Check(paths, x.public, store.Sizes(x.g.all))
	x.report.Archives, x.report.Archived, x.report.Erased = len(found.All), found.Rows, found.Missing
	if err != nil || x.st == nil {
		return found, err
	}
	removed, err := x.st.Removed(ctx, x.removed)
	if err == nil {
		err = found.Compare(removed)
	}
	return found, err
}

// compareRoots looks whether archives fit the checkpoints that cover a part of
// their rows and nothing else.
func (x *examination) compareRoots(found archive.Found) error {
	newest := x.g.newest()
	for _, c := range x.g.all {
		if root, known := found.Roots[c.Size]; known && root != c.Root && !newest.Excuses(c) {
			return fmt.Errorf("%w: the first %d rows aren't those of the checkpoint of %s", audit.ErrRolledBack, c.Size, c.Time.Format(audit.TimeFormat))
		}
	}
	return nil
}

func (x *examination) database(ctx context.Context, found archive.Found) error {
	c, err := x.st.VerifyWhole(ctx, x.removed, found.Verifier, store.Sizes(x.g.all))
	x.report.Rows, x.report.Hash, x.report.Removed = c.Head.Seq, c.Head.Hash.String(), c.Start
	if err != nil {
		return err
	}
	for _, one := range x.g.all {
		if _, known := found.Roots[one.Size]; one.Size < c.Start && !known {
			x.report.Unchecked++
		}
	}
	return cmp.Or(x.compareRoots(found), store.CompareCheckpoints(c, x.g.all), x.unnamed, x.g.bad)
}

// excuses counts the checkpoints that need not fit any more because of restores,
// of which the first so many are the database's own. Who has the signing key can
// make up a restore, so each must be one that is named.
func (g gathering) excuses(stored int, named []int64, r *Report) error {
	newest := g.newest()
	var unnamed []string
	anchored := 0
	for i, c := range g.all {
		if !newest.Excuses(c) {
			continue
		}
		r.Excused++
		if i >= stored {
			anchored++
		}
		for _, size := range newest.Restored[len(c.Restored):] {
			name := fmt.Sprintf("--restored %d", size)
			if size < c.Size && !slices.Contains(named, size) && !slices.Contains(unnamed, name) {
				unnamed = append(unnamed, name)
			}
		}
	}
	if len(unnamed) == 0 {
		return nil
	}
	return fmt.Errorf("%w: history says that it was taken back with consent, and so %d checkpoints need not fit any more, %d of them anchored. Ask who agreed; if it was agreed, verify with %s", audit.ErrRolledBack, r.Excused, anchored, strings.Join(unnamed, " "))
}
