package store

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/internal/mirror"
)

// Toolkits implements [mirror.Store].
func (s *Store) Toolkits(ctx context.Context, projectID string) ([]mirror.Toolkit, time.Time, error) {
	var all []mirror.Toolkit
	var readAt int64
	err := s.each(ctx, func(row scanner) error {
		var t mirror.Toolkit
		var data string
		if err := row.Scan(&data, &readAt); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(data), &t)
		all = append(all, t)
		return err
	}, "SELECT data, read_at FROM toolkit WHERE project_id = $1 ORDER BY name, slug", projectID)
	return all, fromMicros(readAt), err
}

// ToolkitIn tells of each project whose list of toolkits was read whether a toolkit
// is in it.
func (s *Store) ToolkitIn(ctx context.Context, slug string) (map[string]bool, error) {
	has := map[string]bool{}
	return has, s.each(ctx, func(row scanner) error {
		var project string
		var in int
		err := row.Scan(&project, &in)
		has[project] = in > 0
		return err
	}, "SELECT project_id, SUM(CASE WHEN slug = $1 THEN 1 ELSE 0 END) FROM toolkit GROUP BY project_id", slug)
}

// SaveToolkits implements [mirror.Store].
func (s *Store) SaveToolkits(ctx context.Context, projectID string, all []mirror.Toolkit, at time.Time) error {
	return s.quiet(ctx, mirrorData, func(t *tx) error {
		if err := t.exec("DELETE FROM toolkit WHERE project_id = $1", projectID); err != nil {
			return err
		}
		for _, k := range all {
			data, err := json.Marshal(k)
			if err != nil {
				return err
			}
			if err := t.exec("INSERT INTO toolkit (project_id, slug, name, data, read_at) VALUES ($1, $2, $3, $4, $5)",
				projectID, k.Slug, k.Name, string(data), micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

// ToolkitDetail implements [mirror.Store].
func (s *Store) ToolkitDetail(ctx context.Context, projectID, slug string) (mirror.ToolkitDetail, error) {
	var d mirror.ToolkitDetail
	var data string
	var readAt int64
	err := s.row(ctx, "SELECT data, read_at FROM toolkit_detail WHERE project_id = $1 AND slug = $2", projectID, slug).Scan(&data, &readAt)
	if err != nil {
		return d, missing(err, "toolkit")
	}
	err = json.Unmarshal([]byte(data), &d)
	d.ReadAt = fromMicros(readAt)
	return d, err
}

// SaveToolkitDetail implements [mirror.Store].
func (s *Store) SaveToolkitDetail(ctx context.Context, projectID string, d mirror.ToolkitDetail) error {
	return s.saveToolkitPart(ctx, "toolkit_detail", projectID, d.Slug, d, d.ReadAt)
}

// saveToolkitPart keeps JSON in one of the two tables that hold parts of toolkits.
func (s *Store) saveToolkitPart(ctx context.Context, table, projectID, slug string, part any, at time.Time) error {
	data, err := json.Marshal(part)
	if err != nil {
		return err
	}
	return s.quiet(ctx, mirrorData, func(t *tx) error {
		return t.exec("INSERT INTO "+table+` (project_id, slug, data, read_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (project_id, slug) DO UPDATE SET data = excluded.data, read_at = excluded.read_at`,
			projectID, slug, string(data), micros(at))
	})
}

// Tools implements [mirror.Store].
func (s *Store) Tools(ctx context.Context, projectID, toolkit string) ([]mirror.Tool, time.Time, error) {
	var tools []mirror.Tool
	var readAt int64
	err := s.each(ctx, func(row scanner) error {
		var data string
		if err := row.Scan(&data, &readAt); err != nil {
			return err
		}
		return json.Unmarshal([]byte(data), &tools)
	}, "SELECT data, read_at FROM toolkit_tools WHERE project_id = $1 AND slug = $2", projectID, toolkit)
	return tools, fromMicros(readAt), err
}

// SaveTools implements [mirror.Store].
func (s *Store) SaveTools(ctx context.Context, projectID, toolkit string, tools []mirror.Tool, at time.Time) error {
	return s.saveToolkitPart(ctx, "toolkit_tools", projectID, toolkit, tools, at)
}
