package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
)

// mirrors holds the snapshot of each project once somebody asked for it. What is
// committed later waits until somebody asks again.
type mirrors struct {
	mu  sync.Mutex // held while a snapshot is made
	all map[string]*mirror.Snapshot

	newsMu sync.Mutex
	news   map[string]mirrorDelta // by project that was asked for
}

// Snapshot implements [mirror.Store]. After the first call it is read from memory.
func (s *Store) Snapshot(ctx context.Context, projectID string) (*mirror.Snapshot, error) {
	m := &s.mirrors
	m.mu.Lock()
	defer m.mu.Unlock()
	// Before reading: what is committed meanwhile comes twice, which is harmless.
	news := m.takeNews(projectID)
	if snapshot := m.all[projectID]; snapshot != nil {
		if len(news) > 0 {
			snapshot = snapshot.With(news.lists())
			m.all[projectID] = snapshot
		}
		return snapshot, nil
	}
	snapshot, err := s.readSnapshot(ctx, projectID)
	if err != nil {
		return nil, err
	}
	if m.all == nil {
		m.all = map[string]*mirror.Snapshot{}
	}
	m.all[projectID] = snapshot
	if snapshot.Len() > 1000 {
		go debug.FreeOSMemory() // reading leaves several times the snapshot behind, once
	}
	return snapshot, nil
}

func (s *Store) readSnapshot(ctx context.Context, projectID string) (*mirror.Snapshot, error) {
	var err error
	snapshot := mirror.NewSnapshot(func(yield func(mirror.AuthConfig) bool) {
		var a mirror.AuthConfig // one for all: a heap with holes in it stays large
		err = s.each(ctx, func(row scanner) error {
			a = mirror.AuthConfig{}
			err := scanConfig(row, &a)
			if err == nil {
				yield(a) // wants all
			}
			return err
		}, "SELECT "+configColumns+" FROM auth_config WHERE project_id = $1", projectID)
	})
	return snapshot, err
}

// takeNews returns what was committed since somebody last asked for a project.
func (m *mirrors) takeNews(projectID string) mirrorDelta {
	m.newsMu.Lock()
	defer m.newsMu.Unlock()
	news := m.news[projectID]
	if m.news == nil {
		m.news = map[string]mirrorDelta{}
	}
	m.news[projectID] = mirrorDelta{}
	return news
}

// publish keeps what was committed for the snapshots.
func (m *mirrors) publish(deltas map[string]mirrorDelta) {
	m.newsMu.Lock()
	defer m.newsMu.Unlock()
	for project, d := range deltas {
		if news, asked := m.news[project]; asked {
			maps.Copy(news, d)
		}
	}
}

// A mirrorDelta is what was changed in one project's mirror: configs by id, nil
// for one that is gone.
type mirrorDelta map[string]*mirror.AuthConfig

func (d mirrorDelta) lists() (changed []mirror.AuthConfig, gone []string) {
	for id, a := range d {
		if a == nil {
			gone = append(gone, id)
		} else {
			changed = append(changed, *a)
		}
	}
	return changed, gone
}

const configColumns = "version, data, changed_at, changed_by, changed_via"

// scanConfig reads a row into an empty config.
func scanConfig(row scanner, a *mirror.AuthConfig) error {
	var seen mirror.Seen
	var data sql.RawBytes
	var changed int64
	if err := row.Scan(&seen.Version, &data, &changed, &seen.ChangedBy, &seen.ChangedVia); err != nil {
		return err
	}
	err := json.Unmarshal(data, a)
	seen.ChangedAt = fromMicros(changed)
	a.Seen = seen
	a.Intern()
	return err
}

func (t *tx) config(projectID, id string) (a mirror.AuthConfig, found bool, err error) {
	err = t.each(func(row scanner) error {
		found = true
		return scanConfig(row, &a)
	}, "SELECT "+configColumns+" FROM auth_config WHERE project_id = $1 AND id = $2", projectID, id)
	return a, found, err
}

func (t *tx) saveConfig(projectID string, a mirror.AuthConfig) error {
	if err := t.row("UPDATE project SET mirror_version = mirror_version + 1 WHERE id = $1 RETURNING mirror_version", projectID).Scan(&a.Seen.Version); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	t.delta(projectID)[a.ID] = &a
	return t.exec(`INSERT INTO auth_config (project_id, id, version, data, changed_at, changed_by, changed_via) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (project_id, id) DO UPDATE SET version = excluded.version, data = excluded.data,
		changed_at = excluded.changed_at, changed_by = excluded.changed_by, changed_via = excluded.changed_via`,
		projectID, a.ID, a.Seen.Version, string(data), micros(a.Seen.ChangedAt), a.Seen.ChangedBy, a.Seen.ChangedVia)
}

func (t *tx) deleteConfig(projectID, id string) error {
	t.delta(projectID)[id] = nil
	return errors.Join(
		t.exec("DELETE FROM auth_config WHERE project_id = $1 AND id = $2", projectID, id),
		t.exec("DELETE FROM credential_fingerprint WHERE project_id = $1 AND auth_config_id = $2", projectID, id),
	)
}

func (t *tx) delta(projectID string) mirrorDelta {
	d := t.mirror[projectID]
	if d == nil {
		d = mirrorDelta{}
		t.mirror[projectID] = d
	}
	return d
}

// current implements [mirror.Current] inside a transaction.
type current struct {
	t       *tx
	project string
}

func (c current) Config(id string) (mirror.AuthConfig, bool, error) { return c.t.config(c.project, id) }

func (c current) Busy(id, name string) (bool, error) {
	var n int
	err := c.t.row("SELECT count(*) FROM claim WHERE project_id = $1 AND target IN ($2, $3)", c.project, id, "create:"+mirror.MarkerIn(name)).Scan(&n)
	return n > 0, err
}

// SaveSync implements [mirror.Store].
func (s *Store) SaveSync(ctx context.Context, projectID string, fn func(mirror.Current) (mirror.Update, error)) error {
	return s.quiet(ctx, mirrorData, func(t *tx) error {
		u, err := fn(current{t, projectID})
		if err != nil {
			return err
		}
		for _, a := range u.Changed {
			if err := t.saveConfig(projectID, a); err != nil {
				return err
			}
		}
		for _, id := range u.Gone {
			if err := t.deleteConfig(projectID, id); err != nil {
				return err
			}
		}
		if u.State != (mirror.SyncState{}) {
			if err := t.saveSyncState(projectID, u.State); err != nil {
				return err
			}
		}
		return t.record(u.Events...)
	})
}

func (t *tx) saveSyncState(projectID string, st mirror.SyncState) error {
	return t.exec("UPDATE project SET baseline = $2, sync_started_at = $3, sync_ok_at = $4, sync_problem = $5 WHERE id = $1",
		projectID, st.Baseline, micros(st.StartedAt), micros(st.OKAt), st.Problem)
}

// FailSync implements [mirror.Store].
func (s *Store) FailSync(ctx context.Context, projectID string, at time.Time, reason string) error {
	return s.quiet(ctx, mirrorData, func(t *tx) error {
		return t.exec("UPDATE project SET sync_started_at = $2, sync_problem = $3 WHERE id = $1", projectID, micros(at), reason)
	})
}

// A Fingerprint is the last value of a credential that was set through us.
type Fingerprint struct {
	Field       string
	Fingerprint string
	SetAt       time.Time
	SetBy       string
}

// Fingerprints lists the credentials of a config that were set through us.
func (s *Store) Fingerprints(ctx context.Context, projectID, id string) ([]Fingerprint, error) {
	var all []Fingerprint
	err := s.each(ctx, func(row scanner) error {
		var f Fingerprint
		var at int64
		err := row.Scan(&f.Field, &f.Fingerprint, &at, &f.SetBy)
		f.SetAt = fromMicros(at)
		all = append(all, f)
		return err
	}, "SELECT field, fingerprint, set_at, set_by FROM credential_fingerprint WHERE project_id = $1 AND auth_config_id = $2 ORDER BY field", projectID, id)
	return all, err
}

// ConfigRequests maps the ids of a project's configs to the open request about
// each, the newest where there are several.
func (s *Store) ConfigRequests(ctx context.Context, projectID string) (map[string]string, error) {
	return keep(s, "open requests of "+projectID, func() (map[string]string, error) {
		open, err := s.openNow(ctx)
		out := map[string]string{}
		for _, r := range open {
			if r.Project != projectID || r.State == change.Draft {
				continue
			}
			for _, p := range r.Progress {
				if p.Target != "" && !p.Done() {
					out[p.Target] = r.ID
				}
			}
		}
		return out, err
	})
}
