package store

import (
	"context"
	"database/sql"
	"errors"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
)

// facts implements [change.Facts] inside a transaction.
type facts struct{ t *tx }

func (f facts) Project(id string) (mirror.Project, error) {
	p, err := scanProject(f.t.row(projectQuery, id))
	return p, missing(err, "project")
}

func (f facts) People() ([]access.User, error) { return f.t.peopleNow() }

func (f facts) Rules() (change.Rules, error) {
	return readRules(f.t.each)
}

func (f facts) OpenBypass(userID string) (bool, error) {
	var n int
	err := f.t.row("SELECT count(*) FROM bypass WHERE reviewed_at = 0 AND user_id = $1", userID).Scan(&n)
	return n > 0, err
}

func (f facts) User(id string) (access.User, error) {
	a, err := f.t.account(id)
	return a.User, err
}

func (f facts) Config(projectID, id string) (mirror.AuthConfig, bool, error) {
	return f.t.config(projectID, id)
}

func (f facts) Attempt(a change.Attempt) (change.Attempt, error) {
	return scanAttempt(f.t.row(attemptQuery, a.Request, a.Revision, a.Item))
}

const attemptQuery = `SELECT request_id, revision, item, number, step, digest, lease_owner, lease_until, answer, outcome, started_at, ended_at
	FROM apply_attempt WHERE request_id = $1 AND revision = $2 AND item = $3 ORDER BY number DESC LIMIT 1`

func scanAttempt(row scanner) (change.Attempt, error) {
	var a change.Attempt
	var until, started, ended int64
	err := row.Scan(&a.Request, &a.Revision, &a.Item, &a.Number, &a.Step, &a.Digest, &a.LeaseOwner, &until, &a.Answer, &a.Outcome, &started, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return change.Attempt{}, nil
	}
	a.LeaseUntil, a.StartedAt, a.EndedAt = fromMicros(until), fromMicros(started), fromMicros(ended)
	return a, err
}

// LastAttempt implements [change.Store].
func (s *Store) LastAttempt(ctx context.Context, id string, revision, item int) (change.Attempt, error) {
	return scanAttempt(s.row(ctx, attemptQuery, id, revision, item))
}

func (t *tx) saveAttempt(a change.Attempt) error {
	return t.exec(`INSERT INTO apply_attempt (request_id, revision, item, number, step, digest, lease_owner, lease_until, answer, outcome, started_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (request_id, revision, item, number) DO UPDATE SET answer = excluded.answer, outcome = excluded.outcome, ended_at = excluded.ended_at`,
		a.Request, a.Revision, a.Item, a.Number, a.Step, a.Digest, a.LeaseOwner, micros(a.LeaseUntil), a.Answer, a.Outcome, micros(a.StartedAt), micros(a.EndedAt))
}

// SealedCredentials implements [change.Store].
func (s *Store) SealedCredentials(ctx context.Context, id string, item int) ([]change.Sealed, error) {
	var all []change.Sealed
	err := s.each(ctx, func(row scanner) error {
		c := change.Sealed{Item: item}
		err := row.Scan(&c.Field, &c.Sealed)
		all = append(all, c)
		return err
	}, "SELECT field, sealed FROM sealed_credential WHERE request_id = $1 AND item = $2 ORDER BY field", id, item)
	return all, err
}
