package store

import (
	"context"
	"database/sql"
	"errors"

	"gatehouse/internal/audit"
)

// Record writes an entry about something that changes nothing else.
func (s *Store) Record(ctx context.Context, e audit.Event) error {
	return s.write(ctx, func(t *tx) error { return t.record(e) })
}

// rowsAtOnce is how many rows one statement reads by their numbers.
const rowsAtOnce = 100

var (
	rowsOfQuery     = "SELECT " + historyColumns + " FROM history WHERE seq IN (" + places(rowsAtOnce) + ")"
	personalOfQuery = "SELECT seq, field, salt, value FROM history_personal WHERE seq IN (" + places(rowsAtOnce) + ") ORDER BY seq, field"
)

// HistoryRowsOf returns the stored rows of these numbers, in their order; those
// that aren't there are left out.
func (s *Store) HistoryRowsOf(ctx context.Context, seqs []int64) ([]audit.Row, error) {
	out := make([]audit.Row, 0, len(seqs))
	for len(seqs) > 0 {
		some := seqs[:min(len(seqs), rowsAtOnce)]
		found, err := s.someRows(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, seq := range some {
			if r, ok := found[seq]; ok {
				out = append(out, r)
			}
		}
		seqs = seqs[len(some):]
	}
	return out, nil
}

func (s *Store) someRows(ctx context.Context, seqs []int64) (map[int64]audit.Row, error) {
	args := make([]any, rowsAtOnce)
	for i := range args {
		args[i] = seqs[min(i, len(seqs)-1)]
	}
	found := make(map[int64]audit.Row, len(seqs))
	err := s.each(ctx, func(row scanner) error {
		r, err := scanHistory(row)
		found[r.Seq] = r
		return err
	}, rowsOfQuery, args...)
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, func(row scanner) error { // after the rows: what was written with them is there by now
		var seq int64
		var p audit.Personal
		if err := row.Scan(&seq, &p.Field, &p.Salt, &p.Value); err != nil {
			return err
		}
		r := found[seq]
		r.Personal = append(r.Personal, p)
		found[seq] = r
		return nil
	}, personalOfQuery, args...)
	return found, err
}

// FirstCheckpoint returns the first checkpoint that covers an entry, the zero
// value if there is none. Its signature is not checked.
func (s *Store) FirstCheckpoint(ctx context.Context, seq int64) (audit.Signed, error) {
	c, err := scanCheckpoint(s.row(ctx, "SELECT "+checkpointColumns+" FROM checkpoint WHERE size >= $1 ORDER BY size, id LIMIT 1", seq))
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Signed{}, nil
	}
	return c, err
}
