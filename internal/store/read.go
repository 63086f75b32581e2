package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/problem"
)

// stmt prepares a reading statement once.
func (s *Store) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.readStmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := s.reads.PrepareContext(ctx, rebind(query))
	if err != nil {
		return nil, err
	}
	if other, loaded := s.readStmts.LoadOrStore(query, st); loaded {
		return other.(*sql.Stmt), st.Close()
	}
	return st, nil
}

// A scanner is a row to be.
type scanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// row reads one row. Statements are short, so they aren't cancelled half-way:
// with a context that can be, the driver starts a goroutine for each.
func (s *Store) row(ctx context.Context, query string, args ...any) scanner {
	ctx = context.WithoutCancel(ctx)
	st, err := s.stmt(ctx, query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(ctx, args...)
}

// each reads rows; scan is called for each.
func (s *Store) each(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

func drain(rows *sql.Rows, scan func(scanner) error) error {
	defer func() { _ = rows.Close() }() // Err tells what matters
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// missing turns "no rows" into a problem for readers.
func missing(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return problem.New(problem.NotFound, "There is no such %s, or you may not see it.", what)
	}
	return err
}

// micros is how times are stored: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
