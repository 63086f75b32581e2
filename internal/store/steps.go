package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
)

// noteStep notes an entry that changed an auth config, so that versions and
// earlier states are found without searching.
func (t *tx) noteStep(seq int64, e audit.Event) error {
	step, is := mirror.StepOf(e)
	if !is {
		return nil
	}
	return t.exec("INSERT INTO config_step (project_id, auth_config_id, seq, at, kind, name, fields) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		e.Project, step.Config, seq, micros(t.now), step.Kind, step.Name, strings.Join(step.Fields, " "))
}

const stepColumns = "seq, at, kind, name, fields"

// stepsAtOnce is how many steps are read at a time.
const stepsAtOnce = 200

// ConfigSteps returns the steps of a config up to an entry, the newest first.
func (s *Store) ConfigSteps(ctx context.Context, projectID, id string, upTo int64, limit int) ([]mirror.Step, error) {
	return s.steps(ctx, id, "SELECT "+stepColumns+" FROM config_step WHERE project_id = $1 AND auth_config_id = $2 AND seq <= $3 ORDER BY seq DESC LIMIT $4",
		projectID, id, upTo, limit)
}

// stepsAfter returns the steps of a config after an entry, the oldest first.
func (s *Store) stepsAfter(ctx context.Context, projectID, id string, after int64) ([]mirror.Step, error) {
	return s.steps(ctx, id, "SELECT "+stepColumns+" FROM config_step WHERE project_id = $1 AND auth_config_id = $2 AND seq > $3 ORDER BY seq LIMIT $4",
		projectID, id, after, stepsAtOnce)
}

func (s *Store) steps(ctx context.Context, id, query string, args ...any) ([]mirror.Step, error) {
	var all []mirror.Step
	err := s.each(ctx, func(row scanner) error {
		step := mirror.Step{Config: id}
		var at int64
		var fields string
		err := row.Scan(&step.Seq, &at, &step.Kind, &step.Name, &fields)
		step.Time, step.Fields = fromMicros(at), strings.Fields(fields)
		all = append(all, step)
		return err
	}, query, args...)
	return all, err
}

// CountConfigSteps returns how many steps of a config there are up to an entry,
// and what the first of all did; nothing if there is none.
func (s *Store) CountConfigSteps(ctx context.Context, projectID, id string, upTo int64) (n int, first mirror.StepKind, err error) {
	err = s.row(ctx, "SELECT count(*) FROM config_step WHERE project_id = $1 AND auth_config_id = $2 AND seq <= $3", projectID, id, upTo).Scan(&n)
	if err != nil {
		return n, first, err
	}
	err = s.row(ctx, "SELECT kind FROM config_step WHERE project_id = $1 AND auth_config_id = $2 ORDER BY seq LIMIT 1", projectID, id).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n, first, err
}

// ConfigStep returns the n-th step of a config, counted from 1.
func (s *Store) ConfigStep(ctx context.Context, projectID, id string, n int) (mirror.Step, error) {
	found, err := s.steps(ctx, id, "SELECT "+stepColumns+" FROM config_step WHERE project_id = $1 AND auth_config_id = $2 ORDER BY seq LIMIT 1 OFFSET $3", projectID, id, n-1)
	if err == nil && len(found) == 0 {
		return mirror.Step{}, missing(sql.ErrNoRows, "version")
	}
	if err != nil {
		return mirror.Step{}, err
	}
	return found[0], nil
}

// LastStepAt returns the number of a project's last entry up to a moment that
// changed an auth config, or 0.
func (s *Store) LastStepAt(ctx context.Context, projectID string, at time.Time) (int64, error) {
	var seq int64
	err := s.row(ctx, "SELECT seq FROM config_step WHERE project_id = $1 AND at <= $2 ORDER BY at DESC, seq DESC LIMIT 1", projectID, micros(at)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// FirstRead returns when a project had been read for the first time, and the
// number of the entry that says so; zero if it wasn't yet.
func (s *Store) FirstRead(ctx context.Context, projectID string) (time.Time, int64, error) {
	found, err := s.steps(ctx, "", "SELECT "+stepColumns+" FROM config_step WHERE project_id = $1 AND auth_config_id = '' ORDER BY seq LIMIT 1", projectID)
	if err != nil || len(found) == 0 {
		return time.Time{}, 0, err
	}
	return found[0].Time, found[0].Seq, nil
}

// ConfigAt returns a config as it was right after an entry of history: what later
// entries changed is taken back from what the mirror has now.
func (s *Store) ConfigAt(ctx context.Context, projectID, id string, seq int64) (mirror.State, error) {
	snapshot, err := s.Snapshot(ctx, projectID)
	if err != nil {
		return mirror.State{}, err
	}
	now, known := snapshot.Get(id)
	r := mirror.NewRebuild(id, func(seq int64) (audit.Entry, error) {
		found, err := s.entries(ctx, []int64{seq})
		if err != nil || len(found) == 0 {
			return audit.Entry{}, err
		}
		return found[0], nil
	})
	back := func(at int64) ([]mirror.Step, error) { return s.ConfigSteps(ctx, projectID, id, at-1, stepsAtOnce) }
	if err := walk(seq+1, back, r.Back); err != nil {
		return mirror.State{}, err
	}
	ahead := func(at int64) ([]mirror.Step, error) { return s.stepsAfter(ctx, projectID, id, at) }
	if err := walk(seq, ahead, r.Ahead); err != nil {
		return mirror.State{}, err
	}
	return r.End(now, known), nil
}

// walk feeds steps, a part at a time, until there are none or enough.
func walk(from int64, read func(at int64) ([]mirror.Step, error), take func(mirror.Step) (bool, error)) error {
	for {
		part, err := read(from)
		if err != nil {
			return err
		}
		for _, step := range part {
			if enough, err := take(step); err != nil || enough {
				return err
			}
		}
		if len(part) < stepsAtOnce {
			return nil
		}
		from = part[len(part)-1].Seq
	}
}

// A PastConfig is a config that existed at some point of history, by the name it
// was last known by.
type PastConfig struct{ ID, Name string }

// idsOfProject finds each config of a project with one look into the index.
const idsOfProject = `WITH RECURSIVE ids (id) AS (
	SELECT (SELECT s.auth_config_id FROM config_step s WHERE s.project_id = $1 AND s.auth_config_id > '' ORDER BY s.auth_config_id LIMIT 1)
	UNION ALL
	SELECT (SELECT s.auth_config_id FROM config_step s WHERE s.project_id = $1 AND s.auth_config_id > ids.id ORDER BY s.auth_config_id LIMIT 1) FROM ids WHERE ids.id IS NOT NULL)`

// ConfigsAt lists the configs of a project that existed right after an entry of
// history, by name. It looks at where entries are, not into them.
func (s *Store) ConfigsAt(ctx context.Context, projectID string, seq int64) ([]PastConfig, error) {
	snapshot, err := s.Snapshot(ctx, projectID)
	if err != nil {
		return nil, err
	}
	var out []PastConfig
	stepped := map[string]bool{}
	err = s.each(ctx, func(row scanner) error {
		var id, name string
		var before, after mirror.StepKind
		if err := row.Scan(&id, &before, &after, &name); err != nil {
			return err
		}
		stepped[id] = true
		if before != "" && before != mirror.StepGone || before == "" && after != mirror.StepMade {
			if a, known := snapshot.Get(id); known {
				name = a.Name
			}
			out = append(out, PastConfig{id, name})
		}
		return nil
	}, idsOfProject+` SELECT ids.id,
		COALESCE((SELECT s.kind FROM config_step s WHERE s.project_id = $1 AND s.auth_config_id = ids.id AND s.seq <= $2 ORDER BY s.seq DESC LIMIT 1), ''),
		COALESCE((SELECT s.kind FROM config_step s WHERE s.project_id = $1 AND s.auth_config_id = ids.id AND s.seq > $2 ORDER BY s.seq LIMIT 1), ''),
		(SELECT s.name FROM config_step s WHERE s.project_id = $1 AND s.auth_config_id = ids.id ORDER BY s.seq DESC LIMIT 1)
		FROM ids WHERE ids.id IS NOT NULL`, projectID, seq)
	if err != nil {
		return nil, err
	}
	for a := range snapshot.All {
		if !stepped[a.ID] {
			out = append(out, PastConfig{a.ID, a.Name})
		}
	}
	slices.SortFunc(out, func(a, b PastConfig) int {
		if c := strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}
