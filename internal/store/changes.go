package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

const requestColumns = `r.id, r.project_id, r.title, r.reason, r.state, r.version, r.author_id, r.author_name,
	r.policy, r.note, r.apply_after, r.expires_at, r.created_at, r.updated_at, r.ended_at,
	v.number, v.items, v.effect_hash, v.contributors, v.created_at`

const requestFrom = ` FROM change_request r JOIN revision v ON v.request_id = r.id AND v.number = r.revision `

func scanRequest(row scanner) (change.Request, error) {
	var r change.Request
	var policy, items, contributors string
	var after, expires, created, updated, ended, revised int64
	err := row.Scan(&r.ID, &r.Project, &r.Title, &r.Reason, &r.State, &r.Version, &r.Author.ID, &r.Author.Name,
		&policy, &r.Note, &after, &expires, &created, &updated, &ended,
		&r.Revision.Number, &items, &r.Revision.EffectHash, &contributors, &revised)
	if err != nil {
		return r, err
	}
	r.ApplyAfter, r.ExpiresAt, r.EndedAt = fromMicros(after), fromMicros(expires), fromMicros(ended)
	r.CreatedAt, r.UpdatedAt, r.Revision.CreatedAt = fromMicros(created), fromMicros(updated), fromMicros(revised)
	return r, errors.Join(
		json.Unmarshal([]byte(policy), &r.Policy),
		json.Unmarshal([]byte(items), &r.Revision.Items),
		json.Unmarshal([]byte(contributors), &r.Revision.Contributors),
	)
}

const progressQuery = "SELECT target, state, step, attempts, decide, note FROM change_item WHERE request_id = $1 ORDER BY item"

func scanProgress(r *change.Request) func(scanner) error {
	return func(row scanner) error {
		var p change.Progress
		err := row.Scan(&p.Target, &p.State, &p.Step, &p.Attempts, &p.Decide, &p.Note)
		r.Progress = append(r.Progress, p)
		return err
	}
}

// Request implements [change.Store].
func (s *Store) Request(ctx context.Context, id string) (change.Request, error) {
	r, err := scanRequest(s.row(ctx, "SELECT "+requestColumns+requestFrom+"WHERE r.id = $1", id))
	if err != nil {
		return r, missing(err, "change request")
	}
	return r, s.each(ctx, scanProgress(&r), progressQuery, id)
}

func (t *tx) request(id string) (change.Request, error) {
	r, err := scanRequest(t.row("SELECT "+requestColumns+requestFrom+"WHERE r.id = $1", id))
	if err != nil {
		return r, missing(err, "change request")
	}
	return r, t.each(scanProgress(&r), progressQuery, id)
}

// AddRequest implements [change.Store].
func (s *Store) AddRequest(ctx context.Context, r *change.Request, sealed []change.Sealed, fn func(change.Facts) ([]audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		events, err := fn(facts{t})
		if err != nil {
			return err
		}
		policy, err := json.Marshal(r.Policy)
		if err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO change_request (id, project_id, title, reason, state, version, author_id, author_name, revision,
			policy, note, apply_after, expires_at, created_at, updated_at, ended_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			r.ID, r.Project, r.Title, r.Reason, r.State, r.Version, r.Author.ID, r.Author.Name, r.Revision.Number,
			string(policy), r.Note, micros(r.ApplyAfter), micros(r.ExpiresAt), micros(r.CreatedAt), micros(r.UpdatedAt), micros(r.EndedAt)); err != nil {
			return err
		}
		if err := errors.Join(t.addRevision(r), t.saveProgress(r)); err != nil {
			return err
		}
		for _, c := range sealed {
			if err := t.exec("INSERT INTO sealed_credential (request_id, item, field, sealed) VALUES ($1, $2, $3, $4)", r.ID, c.Item, c.Field, c.Sealed); err != nil {
				return err
			}
		}
		return t.record(events...)
	})
}

func (t *tx) addRevision(r *change.Request) error {
	items, err := json.Marshal(r.Revision.Items)
	if err != nil {
		return err
	}
	contributors, err := json.Marshal(r.Revision.Contributors)
	if err != nil {
		return err
	}
	return t.exec("INSERT INTO revision (request_id, number, items, effect_hash, contributors, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
		r.ID, r.Revision.Number, string(items), r.Revision.EffectHash, string(contributors), micros(r.Revision.CreatedAt))
}

func (t *tx) saveProgress(r *change.Request) error {
	for i, p := range r.Progress {
		if err := t.exec(`INSERT INTO change_item (request_id, item, target, state, step, attempts, decide, note)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (request_id, item) DO UPDATE SET target = excluded.target, state = excluded.state, step = excluded.step,
			attempts = excluded.attempts, decide = excluded.decide, note = excluded.note`,
			r.ID, i, p.Target, p.State, p.Step, p.Attempts, p.Decide, p.Note); err != nil {
			return err
		}
	}
	return nil
}

// UpdateRequest implements [change.Store].
func (s *Store) UpdateRequest(ctx context.Context, id string, fn func(*change.Request, change.Facts) (change.Effect, error)) (change.Request, error) {
	var r change.Request
	err := s.write(ctx, func(t *tx) (err error) {
		if r, err = t.request(id); err != nil {
			return err
		}
		before := r
		effect, err := fn(&r, facts{t})
		if err != nil {
			return err
		}
		if before.State.Terminal() {
			return fmt.Errorf("request %s is %s and was to change", id, before.State)
		}
		if err := errors.Join(t.saveRequest(&r, effect), t.carryOut(&r, effect)); err != nil {
			return err
		}
		return t.record(effect.Events...)
	})
	return r, err
}

func (t *tx) saveRequest(r *change.Request, e change.Effect) error {
	policy, err := json.Marshal(r.Policy)
	if err != nil {
		return err
	}
	if err := t.exec(`UPDATE change_request SET state = $2, version = $3, revision = $4, policy = $5, note = $6,
		apply_after = $7, expires_at = $8, updated_at = $9, ended_at = $10 WHERE id = $1`,
		r.ID, r.State, r.Version, r.Revision.Number, string(policy), r.Note,
		micros(r.ApplyAfter), micros(r.ExpiresAt), micros(r.UpdatedAt), micros(r.EndedAt)); err != nil {
		return err
	}
	if e.Revision {
		if err := t.addRevision(r); err != nil {
			return err
		}
	}
	return t.saveProgress(r)
}

// carryOut writes the effects of a transition beside the request.
func (t *tx) carryOut(r *change.Request, e change.Effect) error {
	if e.Claim != nil {
		if err := t.claim(r, *e.Claim, e.Attempt.Item); err != nil {
			return err
		}
	}
	for _, item := range e.Release {
		if err := t.exec("DELETE FROM claim WHERE request_id = $1 AND item = $2", r.ID, item); err != nil {
			return err
		}
	}
	for _, item := range e.Destroy {
		if err := t.exec("DELETE FROM sealed_credential WHERE request_id = $1 AND item = $2", r.ID, item); err != nil {
			return err
		}
	}
	if e.Attempt != nil {
		if err := t.saveAttempt(*e.Attempt); err != nil {
			return err
		}
	}
	for _, m := range e.Mirror {
		if err := t.mirrorChange(r, m); err != nil {
			return err
		}
	}
	return nil
}

// claim locks an item's target. A create's lock goes by its marker; once the
// config has an id, that is locked too.
func (t *tx) claim(r *change.Request, it change.Item, item int) error {
	targets := []string{it.ClaimTarget(r.ID)}
	if id := r.Progress[item].Target; id != "" && id != targets[0] {
		targets = append(targets, id)
	}
	for _, target := range targets {
		var holder string
		err := t.row(`INSERT INTO claim (project_id, target, request_id, item) VALUES ($1, $2, $3, $4)
			ON CONFLICT (project_id, target) DO UPDATE SET target = excluded.target RETURNING request_id`,
			r.Project, target, r.ID, item).Scan(&holder)
		if err != nil {
			return err
		}
		if holder != r.ID {
			return problem.New(problem.Conflict, "Another change request is working on this auth config.")
		}
	}
	return nil
}

// mirrorChange puts what a request did into the mirror.
func (t *tx) mirrorChange(r *change.Request, m change.MirrorChange) error {
	if m.Gone {
		return t.deleteConfig(r.Project, m.Config.ID)
	}
	m.Config.Seen = mirror.Seen{ChangedAt: t.now, ChangedBy: r.Author.Name, ChangedVia: mirror.ViaRequest}
	if err := t.saveConfig(r.Project, m.Config); err != nil {
		return err
	}
	for _, c := range m.Credentials {
		if err := t.exec(`INSERT INTO credential_fingerprint (project_id, auth_config_id, field, fingerprint, set_at, set_by)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (project_id, auth_config_id, field) DO UPDATE SET fingerprint = excluded.fingerprint, set_at = excluded.set_at, set_by = excluded.set_by`,
			r.Project, m.Config.ID, c.Field, c.Fingerprint, micros(t.now), r.Author.Name); err != nil {
			return err
		}
	}
	return nil
}

// facts implements [change.Facts] inside a transaction.
type facts struct{ t *tx }

func (f facts) Policies(projectID string) ([]change.Policy, error) {
	var all []change.Policy
	err := f.t.each(scanPolicy(&all), policyQuery, projectID)
	return all, err
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

const policyQuery = "SELECT id, project_id, approvals, created_at FROM policy WHERE project_id = $1 ORDER BY created_at, id"

func scanPolicy(all *[]change.Policy) func(scanner) error {
	return func(row scanner) error {
		var p change.Policy
		var created int64
		err := row.Scan(&p.ID, &p.Project, &p.Approvals, &created)
		p.CreatedAt = fromMicros(created)
		*all = append(*all, p)
		return err
	}
}

// Policies implements [change.Store].
func (s *Store) Policies(ctx context.Context, projectID string) ([]change.Policy, error) {
	return keep(s, "policies of "+projectID, func() (all []change.Policy, err error) {
		err = s.each(ctx, scanPolicy(&all), policyQuery, projectID)
		return all, err
	})
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

// Unfinished implements [change.Store].
func (s *Store) Unfinished(ctx context.Context) ([]string, error) {
	return s.strings(ctx, "SELECT id FROM change_request WHERE state IN ('approved', 'applying', 'unknown') ORDER BY created_at")
}

// Overdue implements [change.Store].
func (s *Store) Overdue(ctx context.Context, now time.Time) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM change_request
		WHERE state IN ('draft', 'in_review', 'changes_requested', 'approved', 'scheduled', 'suspended', 'failed', 'partial')
		AND expires_at > 0 AND expires_at <= $1`, micros(now))
}

func (s *Store) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	var out []string
	err := s.each(ctx, func(row scanner) error {
		var v string
		err := row.Scan(&v)
		out = append(out, v)
		return err
	}, query, args...)
	return out, err
}

// A RequestQuery narrows a list of change requests, the newest first.
type RequestQuery struct {
	Project string
	Author  string // user id
	Config  string // auth config id
	Open    *bool  // whether they are open
	Before  int64  // created before, in microseconds; 0 means now
	Limit   int
}

// Requests lists change requests, without their progress.
func (s *Store) Requests(ctx context.Context, q RequestQuery) ([]change.Request, error) {
	where, args := []string{}, []any{}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args))))
	}
	if q.Project != "" {
		add("r.project_id = ?", q.Project)
	}
	if q.Author != "" {
		add("r.author_id = ?", q.Author)
	}
	if q.Config != "" {
		add("r.id IN (SELECT request_id FROM change_item WHERE target = ?)", q.Config)
	}
	if q.Open != nil {
		if *q.Open {
			where = append(where, "r.ended_at = 0")
		} else {
			where = append(where, "r.ended_at > 0")
		}
	}
	if q.Before > 0 {
		add("r.created_at < ?", q.Before)
	}
	query := "SELECT " + requestColumns + requestFrom
	if len(where) > 0 {
		query += "WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, q.Limit)
	query += fmt.Sprintf(" ORDER BY r.created_at DESC LIMIT $%d", len(args))
	var all []change.Request
	err := s.each(ctx, func(row scanner) error {
		r, err := scanRequest(row)
		all = append(all, r)
		return err
	}, query, args...)
	return all, err
}

// OpenRequestCount is how many change requests are open.
func (s *Store) OpenRequestCount(ctx context.Context) (int, error) {
	return keep(s, "open requests", func() (n int, err error) {
		err = s.row(ctx, "SELECT count(*) FROM change_request WHERE ended_at = 0").Scan(&n)
		return n, err
	})
}
