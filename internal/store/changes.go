package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

const requestColumns = `r.id, coalesce(r.project_id, ''), r.title, r.reason, r.state, r.version, r.author_id, r.author_name,
	r.policies, r.approvals, r.needed, r.votes_from, r.note, r.apply_after, r.zone, r.expires_at, r.created_at, r.updated_at, r.ended_at,
	v.number, v.items, v.effect_hash, v.contributors, v.author_id, v.author_name, v.created_at, coalesce(p.environment, '')`

const requestFrom = ` FROM change_request r JOIN revision v ON v.request_id = r.id AND v.number = r.revision LEFT JOIN project p ON p.id = r.project_id `

func scanRequest(row scanner) (change.Request, error) {
	var r change.Request
	var policies, items, contributors string
	var from, after, expires, created, updated, ended, revised int64
	err := row.Scan(&r.ID, &r.Project, &r.Title, &r.Reason, &r.State, &r.Version, &r.Author.ID, &r.Author.Name,
		&policies, &r.Approvals.Have, &r.Approvals.Need, &from, &r.Note, &after, &r.Zone, &expires, &created, &updated, &ended,
		&r.Revision.Number, &items, &r.Revision.EffectHash, &contributors, &r.Revision.By.ID, &r.Revision.By.Name, &revised, &r.Environment)
	if err != nil {
		return r, err
	}
	r.VotesFrom = fromMicros(from)
	r.ApplyAfter, r.ExpiresAt, r.EndedAt = fromMicros(after), fromMicros(expires), fromMicros(ended)
	r.CreatedAt, r.UpdatedAt, r.Revision.CreatedAt = fromMicros(created), fromMicros(updated), fromMicros(revised)
	return r, errors.Join(
		json.Unmarshal([]byte(policies), &r.Policies),
		json.Unmarshal([]byte(items), &r.Revision.Items),
		json.Unmarshal([]byte(contributors), &r.Revision.Contributors),
	)
}

const (
	progressColumns = "target, state, step, attempts, decide, maybe, note"
	progressQuery   = "SELECT " + progressColumns + " FROM change_item WHERE request_id = $1 ORDER BY item"
)

func scanProgress(r *change.Request) func(scanner) error {
	return func(row scanner) error {
		var p change.Progress
		err := row.Scan(&p.Target, &p.State, &p.Step, &p.Attempts, &p.Decide, &p.Maybe, &p.Note)
		r.Progress = append(r.Progress, p)
		return err
	}
}

// Request implements [change.Store].
func (s *Store) Request(ctx context.Context, id string) (change.Request, error) {
	r, err := keepAbout(s, id, "request", func() (change.Request, error) { return s.readRequest(ctx, id) })
	r.Progress, r.Votes, r.Revision.Items = slices.Clone(r.Progress), slices.Clone(r.Votes), slices.Clone(r.Revision.Items)
	return r, err
}

func (s *Store) readRequest(ctx context.Context, id string) (change.Request, error) {
	r, err := scanRequest(s.row(ctx, "SELECT "+requestColumns+requestFrom+"WHERE r.id = $1", id))
	if err != nil {
		return r, missing(err, "change request")
	}
	return r, errors.Join(
		s.each(ctx, scanProgress(&r), progressQuery, id),
		s.each(ctx, scanVote(&r), votesQuery, id),
		s.each(ctx, scanBypass(&r), bypassQuery, id),
	)
}

// request reads a request to write about it.
func (t *tx) request(id string) (change.Request, error) {
	t.isAbout(id)
	r, err := scanRequest(t.row("SELECT "+requestColumns+requestFrom+"WHERE r.id = $1", id))
	if err != nil {
		return r, missing(err, "change request")
	}
	return r, errors.Join(
		t.each(scanProgress(&r), progressQuery, id),
		t.each(scanVote(&r), votesQuery, id),
		t.each(scanBypass(&r), bypassQuery, id),
	)
}

// AddRequest implements [change.Store].
func (s *Store) AddRequest(ctx context.Context, r *change.Request, sealed []change.Sealed, fn func(change.Facts) ([]audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error { return t.propose(r, sealed, fn) })
}

func (t *tx) propose(r *change.Request, sealed []change.Sealed, fn func(change.Facts) ([]audit.Event, error)) error {
	events, err := fn(facts{t})
	if err != nil {
		return err
	}
	if err := errors.Join(t.countApprovals(r), t.addRequest(r, sealed)); err != nil {
		return err
	}
	return errors.Join(t.opLed(changesAt+r.ID), t.record(events...))
}

// changesAt is where change requests are, as the answers to forms lead there.
const changesAt = "/changes/"

// countApprovals notes how far approval has come, for lists.
func (t *tx) countApprovals(r *change.Request) error {
	people, err := facts{t}.People()
	if err == nil {
		now := r.Tally(people)
		r.Approvals = change.Tally{Have: now.Have, Need: now.Need}
	}
	return err
}

func (t *tx) addRequest(r *change.Request, sealed []change.Sealed) error {
	t.concerns(r)
	policies, err := json.Marshal(r.Policies)
	if err != nil {
		return err
	}
	var project any
	if r.Project != "" {
		project = r.Project
	}
	if err := t.exec(`INSERT INTO change_request (id, project_id, title, reason, state, version, author_id, author_name, revision,
			policies, approvals, needed, votes_from, note, apply_after, zone, expires_at, created_at, updated_at, ended_at, toolkits)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`,
		r.ID, project, r.Title, r.Reason, r.State, r.Version, r.Author.ID, r.Author.Name, r.Revision.Number,
		string(policies), r.Approvals.Have, r.Approvals.Need, micros(r.VotesFrom), r.Note, micros(r.ApplyAfter), r.Zone, micros(r.ExpiresAt),
		micros(r.CreatedAt), micros(r.UpdatedAt), micros(r.EndedAt), strings.Join(r.Toolkits(), " ")); err != nil {
		return err
	}
	return errors.Join(t.addRevision(r), t.saveProgress(r), t.addSealed(r, sealed))
}

// addSealed keeps credentials; one for the same field is replaced.
func (t *tx) addSealed(r *change.Request, sealed []change.Sealed) error {
	for _, c := range sealed {
		if err := t.exec(`INSERT INTO sealed_credential (request_id, item, field, sealed) VALUES ($1, $2, $3, $4)
			ON CONFLICT (request_id, item, field) DO UPDATE SET sealed = excluded.sealed`, r.ID, c.Item, c.Field, c.Sealed); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) addRevision(r *change.Request) error {
	t.isAbout(r.Revision.By.ID)
	items, err := json.Marshal(r.Revision.Items)
	if err != nil {
		return err
	}
	contributors, err := json.Marshal(r.Revision.Contributors)
	if err != nil {
		return err
	}
	return t.exec("INSERT INTO revision (request_id, number, items, effect_hash, contributors, author_id, author_name, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		r.ID, r.Revision.Number, string(items), r.Revision.EffectHash, string(contributors), r.Revision.By.ID, r.Revision.By.Name, micros(r.Revision.CreatedAt))
}

func (t *tx) saveProgress(r *change.Request) error {
	for i, p := range r.Progress {
		if err := t.exec(`INSERT INTO change_item (request_id, item, target, state, step, attempts, decide, maybe, note)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (request_id, item) DO UPDATE SET target = excluded.target, state = excluded.state, step = excluded.step,
			attempts = excluded.attempts, decide = excluded.decide, maybe = excluded.maybe, note = excluded.note`,
			r.ID, i, p.Target, p.State, p.Step, p.Attempts, p.Decide, p.Maybe, p.Note); err != nil {
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
		if effect.Next != nil {
			if err := t.addRequest(effect.Next, nil); err != nil {
				return err
			}
		}
		return t.record(effect.Events...)
	})
	return r, err
}

func (t *tx) saveRequest(r *change.Request, e change.Effect) error {
	t.concerns(r)
	policies, err := json.Marshal(r.Policies)
	if err != nil {
		return err
	}
	if err := t.countApprovals(r); err != nil {
		return err
	}
	if err := t.exec(`UPDATE change_request SET title = $2, reason = $3, state = $4, version = $5, revision = $6, policies = $7, approvals = $8, needed = $9,
		votes_from = $10, note = $11, apply_after = $12, zone = $13, expires_at = $14, updated_at = $15, ended_at = $16, toolkits = $17 WHERE id = $1`,
		r.ID, r.Title, r.Reason, r.State, r.Version, r.Revision.Number, string(policies), r.Approvals.Have, r.Approvals.Need,
		micros(r.VotesFrom), r.Note, micros(r.ApplyAfter), r.Zone, micros(r.ExpiresAt), micros(r.UpdatedAt), micros(r.EndedAt), strings.Join(r.Toolkits(), " ")); err != nil {
		return err
	}
	if e.Revision {
		if err := errors.Join(t.addRevision(r), t.exec("DELETE FROM change_item WHERE request_id = $1", r.ID)); err != nil {
			return err
		}
	}
	return t.saveProgress(r)
}

// carryOut writes the effects of a transition beside the request.
func (t *tx) carryOut(r *change.Request, e change.Effect) error {
	for _, item := range e.Claim {
		if err := t.claim(r, r.Revision.Items[item], item); err != nil {
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
	if err := errors.Join(t.addSealed(r, e.Sealed), t.addVote(r, e.Vote), t.saveBypass(r), t.changeRules(e.Rules)); err != nil {
		return err
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
	if m.Config.Seen.ChangedVia == "" {
		m.Config.Seen = mirror.Seen{ChangedAt: t.now, ChangedBy: r.Author.Name, ChangedVia: mirror.ViaRequest}
	}
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
