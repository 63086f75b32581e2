package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

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
	if err != nil {
		err = atAnchor{err}
	}
	return all, err
}

// atAnchor is what is wrong at an anchor and not in history itself.
type atAnchor struct{ error }

func (e atAnchor) Unwrap() error { return e.error }

// A Report is what an examination of a database found.
type Report struct {
	Result      string `json:"result"` // ok, tampered, rolled back or unreadable
	Rows        int64  `json:"rows"`
	Hash        string `json:"hash"`
	Checkpoints int    `json:"checkpoints"`
	Anchored    int    `json:"anchored"`
	Signed      int64  `json:"signed"` // rows that the newest checkpoint covers
	Restored    int    `json:"restored"`
	Excused     int    `json:"excused"` // checkpoints that need not fit any more because of a restore
	Problem     string `json:"problem,omitempty"`
}

// Results of an examination.
const (
	OK         = "ok"
	Tampered   = "tampered"
	RolledBack = "rolled back"
	Unreadable = "unreadable"
)

// Examine verifies a database and compares it with its checkpoints and with
// anchors. Restores are the sizes that history was taken back to as whoever asks
// knows. docs/verify_history.py does the same without this code.
func Examine(ctx context.Context, st *store.Store, keys func() (audit.PublicKeys, error), anchors []string, restores ...int64) Report {
	var r Report
	err := examine(ctx, st, keys, anchors, restores, &r)
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

func examine(ctx context.Context, st *store.Store, keys func() (audit.PublicKeys, error), anchors []string, restores []int64, r *Report) error {
	if err := st.CheckFile(ctx); err != nil {
		return err
	}
	stored, err := st.StoredCheckpoints(ctx)
	if err != nil {
		return err
	}
	r.Checkpoints = len(stored)
	var g gathering
	if len(stored) > 0 || len(anchors) > 0 {
		public, err := keys()
		if err != nil {
			return err
		}
		if g.all, err = openStored(public, stored); err != nil {
			return err
		}
		for _, path := range anchors {
			more, err := openAnchor(public, path)
			if errors.Is(err, errMissing) {
				return err
			}
			if err := g.add(more, err); err != nil {
				return err
			}
			r.Anchored += len(more)
		}
	}
	for _, c := range g.all {
		r.Signed, r.Restored = max(r.Signed, c.Size), max(r.Restored, len(c.Restored))
	}
	unnamed := g.excuses(len(stored), restores, r)
	c, err := st.VerifyFrom(ctx, audit.Head{}, audit.Tree{}, store.Sizes(g.all))
	r.Rows, r.Hash = c.Head.Seq, c.Head.Hash.String()
	if err != nil {
		return err
	}
	return cmp.Or(store.CompareCheckpoints(c, g.all), unnamed, g.bad)
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
