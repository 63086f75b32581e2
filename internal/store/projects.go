package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

const projectColumns = `id, slug, name, environment, base_url, key_sealed, key_last4, key_fingerprint, key_set_at, read_only, markers,
	remote_id, remote_name, created_at, archived_at, baseline, sync_started_at, sync_ok_at, sync_problem, history_roles`

func scanProject(row scanner) (mirror.Project, error) {
	var p mirror.Project
	var keySet, created, archived, started, ok int64
	var readers string
	err := row.Scan(&p.ID, &p.Slug, &p.Name, &p.Environment, &p.BaseURL, &p.Key.Sealed, &p.Key.Last4, &p.Key.Fingerprint, &keySet, &p.ReadOnly, &p.Markers,
		&p.RemoteID, &p.RemoteName, &created, &archived, &p.Sync.Baseline, &started, &ok, &p.Sync.Problem, &readers)
	for _, role := range strings.Fields(readers) {
		p.Readers = append(p.Readers, access.Role(role))
	}
	p.Key.SetAt, p.CreatedAt, p.ArchivedAt = fromMicros(keySet), fromMicros(created), fromMicros(archived)
	p.Sync.StartedAt, p.Sync.OKAt = fromMicros(started), fromMicros(ok)
	return p, err
}

func joinRoles(roles []access.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " ")
}

// Projects implements [mirror.Store].
func (s *Store) Projects(ctx context.Context) ([]mirror.Project, error) {
	return keep(s, "projects", func() (all []mirror.Project, err error) {
		err = s.each(ctx, func(row scanner) error {
			p, err := scanProject(row)
			all = append(all, p)
			return err
		}, "SELECT "+projectColumns+" FROM project ORDER BY name, slug")
		return all, err
	})
}

// Project implements [mirror.Store].
func (s *Store) Project(ctx context.Context, id string) (mirror.Project, error) {
	p, err := scanProject(s.row(ctx, projectQuery, id))
	return p, missing(err, "project")
}

const projectQuery = "SELECT " + projectColumns + " FROM project WHERE id = $1"

// ProjectBySlug returns the project that a URL names.
func (s *Store) ProjectBySlug(ctx context.Context, slug string) (mirror.Project, error) {
	all, err := s.Projects(ctx)
	if err != nil {
		return mirror.Project{}, err
	}
	for _, p := range all {
		if p.Slug == slug {
			return p, nil
		}
	}
	return mirror.Project{}, missing(sql.ErrNoRows, "project")
}

// AddProject implements [mirror.Store].
func (s *Store) AddProject(ctx context.Context, p mirror.Project, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		err := t.exec(`INSERT INTO project (id, slug, name, environment, base_url, key_sealed, key_last4, key_fingerprint, key_set_at, read_only, markers,
			remote_id, remote_name, created_at, archived_at, mirror_version, baseline, sync_started_at, sync_ok_at, sync_problem, history_roles)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 0, FALSE, 0, 0, '', $15)`,
			p.ID, p.Slug, p.Name, p.Environment, p.BaseURL, p.Key.Sealed, p.Key.Last4, p.Key.Fingerprint, micros(p.Key.SetAt), p.ReadOnly, p.Markers,
			p.RemoteID, p.RemoteName, micros(p.CreatedAt), joinRoles(p.Readers))
		if isUnique(err) {
			return problem.InvalidFields("Nothing was saved.", map[string]string{"slug": "Another project has this short name."})
		}
		if err != nil {
			return err
		}
		rules, err := facts{t}.Rules()
		if err != nil {
			return err
		}
		events := []audit.Event{e}
		for _, policy := range change.StartingPolicies(p.ID, rules.Governed(), t.now) {
			policy.ID = "pol_" + secret.Code(16)
			if err := t.savePolicy(policy); err != nil {
				return err
			}
			events = append(events, audit.Event{
				Actor: e.Actor, Action: "policy.added", Project: p.ID,
				Object: audit.Object{Kind: "policy", ID: policy.ID, Name: fmt.Sprintf("starting policy, approvals: %d", policy.Approvals())},
			})
		}
		return t.record(events...)
	})
}

// UpdateProject implements [mirror.Store]. Where fn returns no event, nothing is
// changed.
func (s *Store) UpdateProject(ctx context.Context, id string, fn func(*mirror.Project) ([]audit.Event, error)) (mirror.Project, error) {
	var p mirror.Project
	err := s.writer.do(ctx, func(t *tx) (err error) {
		p, err = scanProject(t.row(projectQuery, id))
		if err != nil {
			return missing(err, "project")
		}
		events, err := fn(&p)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := t.useOp(ctx); err != nil {
			return err
		}
		if err := t.exec(`UPDATE project SET name = $2, environment = $3, key_sealed = $4, key_last4 = $5, key_fingerprint = $6,
			key_set_at = $7, read_only = $8, markers = $9, remote_name = $10, archived_at = $11, base_url = $12, remote_id = $13, history_roles = $14 WHERE id = $1`,
			p.ID, p.Name, p.Environment, p.Key.Sealed, p.Key.Last4, p.Key.Fingerprint,
			micros(p.Key.SetAt), p.ReadOnly, p.Markers, p.RemoteName, micros(p.ArchivedAt), p.BaseURL, p.RemoteID, joinRoles(p.Readers)); err != nil {
			return err
		}
		return t.record(events...)
	})
	return p, err
}
