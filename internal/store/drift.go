package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

const driftColumns = "project_id, auth_config_id, name, kind, changes, touched, first_seq, last_seq, found_at, until"

func scanDrift(row scanner) (mirror.Drift, error) {
	var d mirror.Drift
	var changes string
	var found, until int64
	if err := row.Scan(&d.Project, &d.Config, &d.Name, &d.Kind, &changes, &d.Touched, &d.First, &d.Last, &found, &until); err != nil {
		return d, err
	}
	d.FoundAt, d.Until = fromMicros(found), fromMicros(until)
	return d, json.Unmarshal([]byte(changes), &d.Changes)
}

const driftQuery = "SELECT " + driftColumns + " FROM drift WHERE project_id = $1 AND auth_config_id = $2"

// noteDrift lets an entry open, change or end the drift of its config.
func (t *tx) noteDrift(e audit.Entry) error {
	if !mirror.ConcernsDrift(e.Event) {
		return nil
	}
	var before *mirror.Drift
	switch d, err := scanDrift(t.row(driftQuery, e.Project, e.Object.ID)); {
	case err == nil:
		before = &d
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	after, events := mirror.Follow(before, e)
	switch {
	case after == nil && before == nil:
		return nil
	case after == nil:
		if err := t.endDrift(*before); err != nil {
			return err
		}
	case after != before:
		if err := t.saveDrift(*after); err != nil {
			return err
		}
	}
	return t.record(events...)
}

// driftOf names the drift of a project among the subjects that are kept.
func driftOf(projectID string) string { return "drift of " + projectID }

func (t *tx) saveDrift(d mirror.Drift) error {
	t.isAbout(driftOf(d.Project))
	changes, err := json.Marshal(d.Changes)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO drift (project_id, auth_config_id, name, kind, changes, touched, first_seq, last_seq, found_at, until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (project_id, auth_config_id) DO UPDATE SET name = excluded.name, kind = excluded.kind, changes = excluded.changes,
		touched = excluded.touched, last_seq = excluded.last_seq, found_at = excluded.found_at, until = excluded.until`,
		d.Project, d.Config, d.Name, d.Kind, string(changes), d.Touched, d.First, d.Last, micros(d.FoundAt), micros(d.Until))
}

func (t *tx) endDrift(d mirror.Drift) error {
	t.isAbout(driftOf(d.Project))
	return t.exec("DELETE FROM drift WHERE project_id = $1 AND auth_config_id = $2", d.Project, d.Config)
}

// Drift returns the drift of a config, if there is one.
func (s *Store) Drift(ctx context.Context, projectID, config string) (mirror.Drift, bool, error) {
	all, err := s.Drifts(ctx, projectID)
	d, known := all[config]
	return d, known, err
}

// Drifts returns the drift of a project by config, what is ignored too. It must
// not be changed.
func (s *Store) Drifts(ctx context.Context, projectID string) (map[string]mirror.Drift, error) {
	return keepAbout(s, driftOf(projectID), "drift", func() (map[string]mirror.Drift, error) {
		all := map[string]mirror.Drift{}
		err := s.each(ctx, func(row scanner) error {
			d, err := scanDrift(row)
			all[d.Config] = d
			return err
		}, "SELECT "+driftColumns+" FROM drift WHERE project_id = $1", projectID)
		return all, err
	})
}

// DecideDrift implements [mirror.DriftStore].
func (s *Store) DecideDrift(ctx context.Context, projectID, config, by string, fn func(*mirror.Drift, mirror.Project, access.User) (bool, audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		d, err := scanDrift(t.row(driftQuery, projectID, config))
		if errors.Is(err, sql.ErrNoRows) {
			return problem.New(problem.Conflict, "Nothing that was changed outside waits here any more. Somebody has dealt with it. Nothing was changed.")
		}
		if err != nil {
			return err
		}
		p, err := facts{t}.Project(projectID)
		if err != nil {
			return err
		}
		user, err := facts{t}.User(by)
		if err != nil {
			return err
		}
		gone, e, err := fn(&d, p, user)
		if err != nil {
			return err
		}
		if gone {
			err = t.endDrift(d)
		} else {
			err = t.saveDrift(d)
		}
		if err != nil {
			return err
		}
		return t.record(e)
	})
}

// WakeDrift implements [mirror.DriftStore].
func (s *Store) WakeDrift(ctx context.Context, projectID string, now time.Time, fn func(mirror.Drift) audit.Event) error {
	var due int
	err := s.row(ctx, "SELECT count(*) FROM drift WHERE until > 0 AND until <= $1 AND project_id = $2", micros(now), projectID).Scan(&due)
	if err != nil || due == 0 {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		var awake []mirror.Drift
		err := t.each(func(row scanner) error {
			d, err := scanDrift(row)
			awake = append(awake, d)
			return err
		}, "SELECT "+driftColumns+" FROM drift WHERE until > 0 AND until <= $1 AND project_id = $2", micros(now), projectID)
		if err != nil {
			return err
		}
		for _, d := range awake {
			d.Until = time.Time{}
			if err := t.saveDrift(d); err != nil {
				return err
			}
			if err := t.record(fn(d)); err != nil {
				return err
			}
		}
		return nil
	})
}
