package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

const checkpointColumns = "id, note, why, at"

func scanCheckpoint(row scanner) (audit.Signed, error) {
	var c audit.Signed
	var at int64
	if err := row.Scan(&c.ID, &c.Note, &c.Why, &at); err != nil {
		return c, err
	}
	c.At = fromMicros(at)
	text, _, _ := strings.Cut(string(c.Note), "\n\n")
	var err error
	if c.Checkpoint, err = audit.ParseCheckpoint(text + "\n"); err != nil {
		err = fmt.Errorf("%w: checkpoint %d: %w", audit.ErrTampered, c.ID, err)
	}
	return c, err
}

// AddCheckpoint keeps a signed checkpoint of history. It is evidence about
// history, so it needs no entry of its own.
func (s *Store) AddCheckpoint(ctx context.Context, size int64, note []byte, why string) error {
	return s.quiet(ctx, checkpoints, func(t *tx) error {
		return t.exec("INSERT INTO checkpoint (id, size, note, why, at) VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM checkpoint), $1, $2, $3, $4)", size, note, why, micros(t.now))
	})
}

// LatestCheckpoint returns the checkpoint that was made last, the zero value if
// there is none. Its signature is not checked.
func (s *Store) LatestCheckpoint(ctx context.Context) (audit.Signed, error) {
	c, err := scanCheckpoint(s.row(ctx, "SELECT "+checkpointColumns+" FROM checkpoint WHERE id = (SELECT MAX(id) FROM checkpoint)"))
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Signed{}, nil
	}
	return c, err
}

// Checkpoints returns the last checkpoints, the newest first. Their signatures
// are not checked; what is no checkpoint has no size.
func (s *Store) Checkpoints(ctx context.Context, limit int) ([]audit.Signed, error) {
	var out []audit.Signed
	err := s.each(ctx, func(row scanner) error {
		c, err := scanCheckpoint(row)
		out = append(out, c)
		if errors.Is(err, audit.ErrTampered) {
			err = nil
		}
		return err
	}, "SELECT "+checkpointColumns+" FROM checkpoint ORDER BY id DESC LIMIT $1", limit)
	return out, err
}

// An Anchored says how far an anchor has come.
type Anchored struct {
	Reached  int64 // checkpoint that was delivered last
	OKAt     time.Time
	FailedAt time.Time
	Problem  string // of the last failure
}

// Anchored returns how far an anchor has come.
func (s *Store) Anchored(ctx context.Context, id string) (Anchored, error) {
	var a Anchored
	var ok, failed int64
	err := s.row(ctx, "SELECT reached, ok_at, failed_at, problem FROM anchor WHERE id = $1", id).Scan(&a.Reached, &ok, &failed, &a.Problem)
	if errors.Is(err, sql.ErrNoRows) {
		return Anchored{}, nil
	}
	a.OKAt, a.FailedAt = fromMicros(ok), fromMicros(failed)
	return a, err
}

// SetAnchored keeps how far an anchor has come.
func (s *Store) SetAnchored(ctx context.Context, id string, a Anchored) error {
	return s.quiet(ctx, anchors, func(t *tx) error {
		return t.exec(`INSERT INTO anchor (id, reached, ok_at, failed_at, problem) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET reached = excluded.reached, ok_at = excluded.ok_at, failed_at = excluded.failed_at, problem = excluded.problem`,
			id, a.Reached, micros(a.OKAt), micros(a.FailedAt), a.Problem)
	})
}

// CheckProgress looks whether anchors and sinks are said to have more than there
// is. Who says so in the database wants them to get nothing more.
func (s *Store) CheckProgress(ctx context.Context) error {
	var anchors, sinks int
	err := s.row(ctx, `SELECT (SELECT count(*) FROM anchor WHERE reached > (SELECT COALESCE(MAX(id), 0) FROM checkpoint)),
		(SELECT count(*) FROM sink_progress WHERE cursor > (SELECT COALESCE(MAX(seq), 0) FROM history))`).Scan(&anchors, &sinks)
	switch {
	case err != nil:
		return err
	case anchors > 0:
		return fmt.Errorf("%w: an anchor is said to have a checkpoint that there is not", audit.ErrTampered)
	case sinks > 0:
		return fmt.Errorf("%w: a sink is said to have entries that there are not", audit.ErrTampered)
	}
	return nil
}

// Signable returns a channel that receives after commits that a checkpoint
// should follow at once. It has one reader.
func (s *Store) Signable() <-chan struct{} { return s.signable }

func (s *Store) pokeSignable() {
	select {
	case s.signable <- struct{}{}:
	default:
	}
}
