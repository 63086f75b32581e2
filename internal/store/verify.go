package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/audit"
)

const (
	segmentLevel = 14
	segmentRows  = 1 << segmentLevel // verified on their own; a whole subtree
	verifyBatch  = 1024              // rows that are read at a time
	verifiers    = 2                 // segments at a time
)

// Checked is what verification found to be right.
type Checked struct {
	Head  audit.Head
	Tree  audit.Tree
	Roots map[int64]audit.Hash // of the tree at the sizes that were asked for
	// Restored are the sizes that entries say history was taken back to.
	Restored []int64
	Start    int64 // rows up to this one weren't in the database

	removals    []audit.Removal // that entries tell of
	unexplained error           // how those differ from what was removed
}

// VerifyHistory checks the whole chain and returns its last row that is right.
// The error wraps [audit.ErrTampered] when a row isn't what was written. Signatures
// are not checked.
func (s *Store) VerifyHistory(ctx context.Context) (audit.Head, error) {
	c, err := s.VerifyWhole(ctx, audit.ReadStatement, nil, nil)
	return c.Head, cmp.Or(err, c.unexplained)
}

// A segment is a run of rows that is verified on its own.
type segment struct {
	from, to int64 // rows
	v        *audit.Verifier
	trees    map[int64]audit.Tree // at the sizes asked for
	err      error
	done     chan struct{}
}

// VerifyFrom checks the rows after a head, with the tree over the rows up to it,
// and works out the roots at some sizes. What it returns beside an error goes up
// to the last segment that is right.
func (s *Store) VerifyFrom(ctx context.Context, after audit.Head, tree audit.Tree, sizes []int64) (Checked, error) {
	return s.verifyWith(ctx, audit.NewVerifier(after, tree), sizes)
}

// verifyWith checks the rows after those that a verifier has seen, some segments
// at a time.
func (s *Store) verifyWith(ctx context.Context, v *audit.Verifier, sizes []int64) (Checked, error) {
	after := v.Head()
	out := checkedBy(v)
	for _, size := range sizes {
		if size == out.Tree.Size {
			out.Roots[size] = out.Tree.Root()
		}
	}
	last, err := s.HistoryHead(ctx)
	if err != nil {
		return out, err
	}
	if err := s.strays(ctx); err != nil {
		return out, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	segments := make(chan *segment, verifiers-1) // in order; a place for each that runs beside the awaited one
	go func() {
		defer close(segments)
		for from := after.Seq + 1; from <= last.Seq; {
			one := &segment{from: from, to: min(((from-1)>>segmentLevel+1)<<segmentLevel, last.Seq), trees: map[int64]audit.Tree{}, done: make(chan struct{})}
			from = one.to + 1
			select {
			case <-ctx.Done():
				return
			case segments <- one:
			}
			if one.from == after.Seq+1 {
				one.v = v
			}
			go s.verifySegment(ctx, one, sizes)
		}
	}()
	if last.Seq <= after.Seq {
		return s.newer(ctx, out, v)
	}
	return s.joinSegments(ctx, segments, out)
}

func checkedBy(v *audit.Verifier) Checked {
	at := v.Place()
	return Checked{Head: at.Head, Tree: at.Tree, Roots: map[int64]audit.Hash{}, Restored: v.Restored(), removals: v.Removals()}
}

// strays looks for personal data that belongs to no row. It is one statement, so
// that nothing is written between looking for the last row and for what is after.
func (s *Store) strays(ctx context.Context) error {
	var n int
	err := s.row(ctx, `SELECT count(*) FROM (SELECT 1 FROM history_personal WHERE seq < (SELECT COALESCE(MIN(seq), 1) FROM history)
		UNION ALL SELECT 1 FROM history_personal WHERE seq > (SELECT COALESCE(MAX(seq), 0) FROM history))`).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("%w: there is personal data that belongs to no row", audit.ErrTampered)
	}
	return err
}

func (s *Store) joinSegments(ctx context.Context, segments <-chan *segment, out Checked) (Checked, error) {
	var v *audit.Verifier
	for one := range segments {
		<-one.done
		if one.err != nil {
			return out, one.err
		}
		for size, tree := range one.trees {
			whole := tree
			if v != nil {
				whole = v.Tree().Clone()
				whole.Append(tree)
			}
			out.Roots[size] = whole.Root()
		}
		if v == nil {
			v = one.v
		} else if err := v.Join(one.v); err != nil {
			return out, err
		}
		roots := out.Roots
		out = checkedBy(v)
		out.Roots = roots
	}
	if err := ctx.Err(); err != nil {
		return out, err
	}
	return s.newer(ctx, out, v)
}

// newer checks the rows that were written meanwhile: that somebody was erased may
// be among them, when what was erased is already missing before.
func (s *Store) newer(ctx context.Context, out Checked, v *audit.Verifier) (Checked, error) {
	if v.Close() == nil {
		return out, nil
	}
	last, err := s.HistoryHead(ctx)
	if err == nil && last.Seq > out.Head.Seq {
		err = s.evidence(ctx, out.Head.Seq+1, last.Seq, v.Next)
	}
	if err == nil {
		err = v.Close()
	}
	return out, err
}

// verifySegment checks a segment. All but the first take the hash that is kept
// beside the row before for right; joining them shows whether it is.
func (s *Store) verifySegment(ctx context.Context, one *segment, sizes []int64) {
	defer close(one.done)
	wanted := map[int64]bool{}
	for _, size := range sizes {
		wanted[size] = true
	}
	if one.v == nil {
		var hash []byte
		if one.err = s.row(ctx, "SELECT hash FROM history WHERE seq = $1", one.from-1).Scan(&hash); one.err != nil {
			one.err = fmt.Errorf("%w at row %d: it can't be read: %w", audit.ErrTampered, one.from-1, one.err)
			return
		}
		after := audit.Head{Seq: one.from - 1}
		copy(after.Hash[:], hash)
		one.v = audit.NewVerifier(after, audit.Tree{})
	}
	next := func(r audit.Row) error {
		if err := one.v.Next(r); err != nil {
			return err
		}
		if wanted[r.Seq] {
			one.trees[r.Seq] = one.v.Tree().Clone()
		}
		return nil
	}
	for from := one.from; from <= one.to && one.err == nil; from += verifyBatch {
		to := min(from+verifyBatch-1, one.to)
		if one.err = cmp.Or(s.evidence(ctx, from, to, next), ctx.Err()); one.err == nil && one.v.Head().Seq < to {
			one.err = fmt.Errorf("%w: rows after %d are missing", audit.ErrTampered, one.v.Head().Seq)
		}
	}
}

// CompareCheckpoints looks whether the roots that verification found are those of
// checkpoints. The newest of them, by restores, says which of the others need not
// fit any more; each of its restores that a later one didn't take back must be on
// record in history. At last it tells of rows that were removed off the record.
func CompareCheckpoints(c Checked, all []audit.Checkpoint) error {
	var newest audit.Checkpoint
	for _, one := range all {
		if len(one.Restored) > len(newest.Restored) {
			newest = one
		}
	}
	for _, one := range all {
		if newest.Excuses(one) {
			continue
		}
		if one.Size > c.Head.Seq {
			return fmt.Errorf("%w: a checkpoint of %s covers %d rows, there are %d", audit.ErrRolledBack, one.Time.Format(audit.TimeFormat), one.Size, c.Head.Seq)
		}
		if root, known := c.Roots[one.Size]; known && root != one.Root {
			return fmt.Errorf("%w: the first %d rows aren't those of the checkpoint of %s", audit.ErrRolledBack, one.Size, one.Time.Format(audit.TimeFormat))
		}
	}
	for i, size := range newest.Restored {
		undone := slices.ContainsFunc(newest.Restored[i+1:], func(later int64) bool { return later <= size })
		archived := size < c.Start // with the entry that says so
		if !undone && !archived && !slices.Contains(c.Restored, size) {
			return fmt.Errorf("%w: a checkpoint says that history was taken back to %d rows, and no entry does", audit.ErrTampered, size)
		}
	}
	return c.unexplained
}

// Sizes are those of some checkpoints, each once.
func Sizes(all []audit.Checkpoint) []int64 {
	sizes := map[int64]bool{}
	for _, c := range all {
		sizes[c.Size] = true
	}
	out := make([]int64, 0, len(sizes))
	for size := range maps.Keys(sizes) {
		out = append(out, size)
	}
	return out
}

// Verified returns when the whole of history was last verified.
func (s *Store) Verified(ctx context.Context) (time.Time, error) {
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	if err := s.tree.open(ctx); err != nil || s.tree.db == nil {
		return time.Time{}, err
	}
	var at int64
	err := s.tree.db.QueryRowContext(ctx, "SELECT at FROM verified WHERE id = 1").Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return fromMicros(at), err
}

// SetVerified keeps when the whole of history was verified, beside the tree: it
// is no evidence, and lost with it.
func (s *Store) SetVerified(ctx context.Context, at time.Time) error {
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	if err := s.tree.open(ctx); err != nil || s.tree.db == nil {
		return err
	}
	_, err := s.tree.db.ExecContext(ctx, "INSERT OR REPLACE INTO verified (id, at) VALUES (1, ?)", micros(at))
	return err
}

// StoredCheckpoints returns all checkpoints as they lie there, the oldest first,
// for verification: their numbers have no gap, and the size beside each is its own.
func (s *Store) StoredCheckpoints(ctx context.Context) ([]audit.Signed, error) {
	rows, err := s.reads.QueryContext(ctx, "SELECT id, size, note FROM checkpoint ORDER BY id")
	if err != nil {
		return nil, err
	}
	var out []audit.Signed
	err = drain(rows, func(row scanner) error {
		var id, size, note any
		if err := row.Scan(&id, &size, &note); err != nil {
			return err
		}
		want := int64(len(out) + 1)
		if id != want {
			return fmt.Errorf("%w: checkpoint %d is missing", audit.ErrTampered, want)
		}
		n, ok := size.(int64)
		text, ok2 := note.([]byte)
		if !ok || !ok2 {
			return fmt.Errorf("%w: checkpoint %d has another form", audit.ErrTampered, want)
		}
		out = append(out, audit.Signed{ID: want, Checkpoint: audit.Checkpoint{Size: n}, Note: text})
		return nil
	})
	return out, err
}

// CheckFile has SQLite look over the tables that verification reads. A view in the
// place of one could show something else to everyone who looks.
func (s *Store) CheckFile(ctx context.Context) error {
	archives, err := s.hasArchives(ctx)
	if err != nil {
		return err
	}
	for _, table := range []string{"history", "history_personal", "checkpoint", "archive"} {
		var found string
		var others int
		if err := s.reads.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE lower(name) = ? AND (type <> 'table' OR rootpage = 0)", table).Scan(&others); err != nil {
			return err
		}
		if others > 0 {
			return fmt.Errorf("%w: %s is not a table", audit.ErrTampered, table)
		}
		if table == "archive" && !archives {
			continue // nothing ever left, or the database is of before that
		}
		if err := s.reads.QueryRowContext(ctx, "PRAGMA quick_check("+table+")").Scan(&found); err != nil {
			return err
		}
		if found != "ok" {
			return fmt.Errorf("the database file is damaged: %s", found)
		}
	}
	return nil
}

// Holds reports whether a file lies in the data directory.
func (s *Store) Holds(path string) bool {
	return path != "" && filepath.Dir(path) == filepath.Dir(s.tree.path)
}
