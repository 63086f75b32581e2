package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
)

const (
	voteColumns = "request_id, id, revision, effect_hash, reviewer_id, reviewer_name, decision, reason, authenticated_by, authenticated_at, created_at"
	votesQuery  = "SELECT " + voteColumns + " FROM vote WHERE request_id = $1 ORDER BY created_at, id"

	bypassColumns = "request_id, user_id, user_name, incident, reason, effect_hash, created_at, reviewer_id, reviewer_name, fine, comment, reviewed_at"
	bypassQuery   = "SELECT " + bypassColumns + " FROM bypass WHERE request_id = $1"
)

func scanVoteOf(row scanner) (string, change.Vote, error) {
	var request string
	var v change.Vote
	var signedIn, at int64
	err := row.Scan(&request, &v.ID, &v.Revision, &v.EffectHash, &v.Reviewer.ID, &v.Reviewer.Name, &v.Decision, &v.Reason, &v.Authenticated, &signedIn, &at)
	v.SignedInAt, v.At = fromMicros(signedIn), fromMicros(at)
	return request, v, err
}

func scanVote(r *change.Request) func(scanner) error {
	return func(row scanner) error {
		_, v, err := scanVoteOf(row)
		r.Votes = append(r.Votes, v)
		return err
	}
}

func (t *tx) addVote(r *change.Request, v *change.Vote) error {
	if v == nil {
		return nil
	}
	t.isAbout(v.Reviewer.ID)
	return t.exec("INSERT INTO vote ("+voteColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		r.ID, v.ID, v.Revision, v.EffectHash, v.Reviewer.ID, v.Reviewer.Name, v.Decision, v.Reason, v.Authenticated, micros(v.SignedInAt), micros(v.At))
}

func scanBypassOf(row scanner) (string, change.Bypass, error) {
	var request string
	var b change.Bypass
	var review change.BypassReview
	var at, reviewed int64
	err := row.Scan(&request, &b.By.ID, &b.By.Name, &b.Incident, &b.Reason, &b.Effect, &at, &review.By.ID, &review.By.Name, &review.Fine, &review.Comment, &reviewed)
	b.At = fromMicros(at)
	if reviewed > 0 {
		review.At = fromMicros(reviewed)
		b.Review = &review
	}
	return request, b, err
}

func scanBypass(r *change.Request) func(scanner) error {
	return func(row scanner) error {
		_, b, err := scanBypassOf(row)
		r.Bypass = &b
		return err
	}
}

func (t *tx) saveBypass(r *change.Request) error {
	b := r.Bypass
	if b == nil {
		return nil
	}
	return t.exec("INSERT INTO bypass ("+bypassColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, '', '', FALSE, '', 0) ON CONFLICT (request_id) DO NOTHING",
		r.ID, b.By.ID, b.By.Name, b.Incident, b.Reason, b.Effect, micros(b.At))
}

// ReviewBypass implements [change.Store].
func (s *Store) ReviewBypass(ctx context.Context, id string, fn func(*change.Request) (change.BypassReview, audit.Event, error)) (change.Request, error) {
	var r change.Request
	err := s.write(ctx, func(t *tx) (err error) {
		if r, err = t.request(id); err != nil {
			return err
		}
		review, e, err := fn(&r)
		if err != nil {
			return err
		}
		r.Bypass.Review = &review
		if err := t.exec("UPDATE bypass SET reviewer_id = $2, reviewer_name = $3, fine = $4, comment = $5, reviewed_at = $6 WHERE request_id = $1",
			id, review.By.ID, review.By.Name, review.Fine, review.Comment, micros(review.At)); err != nil {
			return err
		}
		return t.record(e)
	})
	return r, err
}

// BypassesDue lists the requests whose bypass waits for its review, the oldest first.
func (s *Store) BypassesDue(ctx context.Context) ([]change.Request, error) {
	return keep(s, "bypasses due", func() ([]change.Request, error) {
		ids, err := s.strings(ctx, "SELECT request_id FROM bypass WHERE reviewed_at = 0 ORDER BY created_at")
		if err != nil {
			return nil, err
		}
		var all []change.Request
		for _, id := range ids {
			r, err := s.Request(ctx, id)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		return all, nil
	})
}

// Rules implements [change.Store].
func (s *Store) Rules(ctx context.Context) (change.Rules, error) {
	return keep(s, "rules", func() (change.Rules, error) {
		return readRules(s.reading(ctx))
	})
}

func readRules(each reading) (change.Rules, error) {
	r := change.Rules{Environments: map[string]string{}}
	var err error
	if r.Roles, err = readCustomRoles(each); err != nil {
		return r, err
	}
	if r.Groups, err = readGroups(each, r.Roles); err != nil {
		return r, err
	}
	if r.Clients, err = readClients(each); err != nil {
		return r, err
	}
	err = errors.Join(
		each(func(row scanner) error {
			var p change.Policy
			var content string
			if err := row.Scan(&content); err != nil {
				return err
			}
			err := json.Unmarshal([]byte(content), &p)
			r.Policies = append(r.Policies, p)
			return err
		}, "SELECT content FROM policy ORDER BY created_at, id"),
		each(func(row scanner) error {
			var user string
			err := row.Scan(&user)
			r.BreakGlass = append(r.BreakGlass, user)
			return err
		}, "SELECT user_id FROM break_glass ORDER BY user_id"),
		each(func(row scanner) error {
			var f change.Freeze
			var from, until int64
			err := row.Scan(&f.ID, &f.Name, &f.Project, &f.Environment, &from, &until)
			f.From, f.Until = fromMicros(from), fromMicros(until)
			r.Freezes = append(r.Freezes, f)
			return err
		}, "SELECT id, name, project_id, environment, from_at, until_at FROM freeze_window ORDER BY from_at, id"),
		each(func(row scanner) error {
			var id, environment string
			err := row.Scan(&id, &environment)
			r.Environments[id] = environment
			return err
		}, "SELECT id, environment FROM project ORDER BY id"),
	)
	return r, err
}

// changeRules makes rules as approved requests want them.
func (t *tx) changeRules(changes []change.RuleChange) error {
	for _, c := range changes {
		if err := t.changeRule(c); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) changeRule(c change.RuleChange) error {
	switch c.Kind {
	case change.KindPolicy:
		if c.Delete {
			return t.exec("DELETE FROM policy WHERE id = $1", c.ID)
		}
		return t.savePolicy(c.Policy)
	case change.KindRoles:
		a, err := t.account(c.ID)
		if err != nil {
			return err
		}
		before := a
		t.isAbout(c.ID)
		a.Grants = slices.Concat(c.Grants, slices.DeleteFunc(slices.Clone(a.Grants), func(g access.Grant) bool { return g.Through == "" }))
		return errors.Join(t.saveAccount(a), t.endLinks(before, a))
	case change.KindGroup:
		if c.Delete {
			return errors.Join(t.deleteGroup(c.ID), t.endIdleLinks())
		}
		return errors.Join(t.saveGroup(c.Group), t.endIdleLinks())
	case change.KindCustomRole:
		if c.Delete {
			return t.deleteCustomRole(c.ID)
		}
		return errors.Join(t.saveCustomRole(c.CustomRole), t.endIdleLinks())
	case change.KindBreakGlass:
		err := t.exec("DELETE FROM break_glass")
		for _, id := range c.List {
			err = errors.Join(err, t.exec("INSERT INTO break_glass (user_id) VALUES ($1)", id))
		}
		return err
	case change.KindProject:
		t.moved = true
		return t.exec("UPDATE project SET environment = $2 WHERE id = $1", c.ID, c.Environment)
	case change.KindClient:
		return t.addClient(c.Client)
	case change.KindFreeze:
		if c.Delete {
			return t.exec("DELETE FROM freeze_window WHERE id = $1", c.ID)
		}
		return t.exec("INSERT INTO freeze_window (id, name, project_id, environment, from_at, until_at) VALUES ($1, $2, $3, $4, $5, $6)",
			c.ID, c.Freeze.Name, c.Freeze.Project, c.Freeze.Environment, micros(c.Freeze.From), micros(c.Freeze.Until))
	}
	return errors.New("a rule of unknown kind " + string(c.Kind))
}

func (t *tx) savePolicy(p change.Policy) error {
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return t.exec("INSERT INTO policy (id, content, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET content = excluded.content",
		p.ID, string(content), micros(p.CreatedAt))
}
