package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"gatehouse/internal/audit"
)

// An Opener returns the statement that a note is, if it is one that counts.
type Opener func(note []byte) (audit.Statement, error)

func (s *Store) hasArchives(ctx context.Context) (has bool, err error) {
	err = s.reads.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'archive'").Scan(&has)
	return has, err
}

// AnyLeft reports whether something left history for an archive.
func (s *Store) AnyLeft(ctx context.Context) (left bool, err error) {
	has, err := s.hasArchives(ctx)
	if err == nil && has {
		err = s.row(ctx, "SELECT count(*) > 0 FROM archive").Scan(&left)
	}
	return left, err
}

// Removed returns the statements about what left history for archives, as they lie
// there, the oldest first. They follow one another without a gap.
func (s *Store) Removed(ctx context.Context, open Opener) ([]audit.Statement, error) {
	if has, err := s.hasArchives(ctx); err != nil || !has {
		return nil, err // a database of before
	}
	rows, err := s.reads.QueryContext(ctx, "SELECT id, first, last, note FROM archive ORDER BY id")
	if err != nil {
		return nil, err
	}
	var out []audit.Statement
	err = drain(rows, func(row scanner) error {
		var id, first, last, note any
		if err := row.Scan(&id, &first, &last, &note); err != nil {
			return err
		}
		want := int64(len(out) + 1)
		if id != want {
			return fmt.Errorf("%w: archive %d is missing", audit.ErrTampered, want)
		}
		text, ok := note.([]byte)
		if !ok {
			return fmt.Errorf("%w: archive %d has another form", audit.ErrTampered, want)
		}
		one, err := open(text)
		if err != nil {
			return fmt.Errorf("%w: archive %d: %w", audit.ErrTampered, want, err)
		}
		if first != one.First() || last != one.Last() {
			return fmt.Errorf("%w: archive %d is about other rows than beside it", audit.ErrTampered, want)
		}
		out = append(out, one)
		return nil
	})
	if err == nil {
		err = audit.CheckRun(out)
	}
	return out, err
}

// VerifyWhole checks all rows that are there, with those that were removed on the
// word of statements, and works out the roots at some sizes. A verifier that has
// seen archives up to where the rows begin may come along. Where rows leave while
// it looks at them, it begins anew.
func (s *Store) VerifyWhole(ctx context.Context, open Opener, earlier *audit.Verifier, sizes []int64) (Checked, error) {
	for {
		begun, err := s.remains(ctx)
		if err != nil {
			return Checked{}, err
		}
		c, err := s.verifyWhole(ctx, open, earlier, sizes)
		if err == nil || !errors.Is(err, audit.ErrTampered) {
			return c, err
		}
		if now, rerr := s.remains(ctx); rerr != nil || now == begun {
			return c, err
		}
	}
}

// remains says what has left: the number of archives, and the first row.
func (s *Store) remains(ctx context.Context) (at [2]int64, err error) {
	has, err := s.hasArchives(ctx)
	if err == nil && has {
		err = s.row(ctx, "SELECT COALESCE(MAX(id), 0) FROM archive").Scan(&at[0])
	}
	return at, errors.Join(err, s.row(ctx, "SELECT COALESCE(MIN(seq), 0) FROM history").Scan(&at[1]))
}

func (s *Store) verifyWhole(ctx context.Context, open Opener, earlier *audit.Verifier, sizes []int64) (Checked, error) {
	removed, err := s.Removed(ctx, open)
	if err != nil {
		return Checked{}, err
	}
	var begin audit.Place
	if n := len(removed); n > 0 {
		begin = removed[n-1].After
	}
	v := audit.NewVerifier(begin.Head, begin.Tree)
	if earlier != nil && earlier.Place().Equal(begin) {
		v = earlier.Clone()
	}
	if err := s.verifyLeft(ctx, v); err != nil {
		return Checked{Head: begin.Head, Tree: begin.Tree, Start: begin.Head.Seq}, err
	}
	c, err := s.verifyWith(ctx, v, sizes)
	c.Start = begin.Head.Seq
	if err == nil {
		c.unexplained, err = s.compareRemovals(ctx, open, removed, c)
	}
	return c, err
}

// verifyLeft checks rows that are still there although they were removed: their
// chain must lead to where it is known to have been.
func (s *Store) verifyLeft(ctx context.Context, v *audit.Verifier) error {
	var first sql.NullInt64
	last := v.Head().Seq
	err := s.row(ctx, "SELECT MIN(seq) FROM history WHERE seq <= $1", last).Scan(&first)
	if err != nil || !first.Valid {
		return err
	}
	var prev []byte
	if err := s.row(ctx, "SELECT prev FROM history WHERE seq = $1", first.Int64).Scan(&prev); err != nil {
		return err
	}
	before := audit.Head{Seq: first.Int64 - 1}
	copy(before.Hash[:], prev)
	left := audit.NewVerifier(before, audit.Tree{})
	for from := first.Int64; from <= last; from += verifyBatch {
		to := min(from+verifyBatch-1, last)
		if err := s.evidence(ctx, from, to, left.Next); err != nil {
			return err
		}
		if left.Head().Seq < to {
			return fmt.Errorf("%w: rows after %d are missing", audit.ErrTampered, left.Head().Seq)
		}
	}
	return v.Overlap(left)
}

// compareRemovals looks whether the newest removal is on record, and whether there
// is a statement about each that is.
func (s *Store) compareRemovals(ctx context.Context, open Opener, removed []audit.Statement, c Checked) (wrong, err error) {
	all, err := s.Removed(ctx, open) // again: entries that were read may tell of rows that left meanwhile
	if err != nil {
		return nil, err
	}
	if n := len(removed); n > 0 && !slices.Contains(c.removals, removed[n-1].Removal()) {
		return fmt.Errorf("%w: rows up to %d were removed, and no entry says so", audit.ErrTampered, c.Start), nil
	}
	for _, one := range c.removals {
		known := slices.ContainsFunc(all, func(a audit.Statement) bool { return a.Removal() == one })
		if !known {
			return fmt.Errorf("%w: an entry says that rows %s to %s were removed, and no statement does", audit.ErrTampered, one.First, one.Last), nil
		}
	}
	return nil, nil
}
