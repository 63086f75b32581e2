package store

import (
	"context"
	"database/sql"
	"errors"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

// view is the view of a session. A role that is gone allows nothing.
func (s *Store) view(ctx context.Context, sessionID string) (access.View, error) {
	var v access.View
	var began int64
	at := &v.Grant.Scope
	err := s.row(ctx, "SELECT "+scopeColumns+", began_at FROM session_view WHERE session_id = $1", sessionID).Scan(&v.Grant.Role, &at.Project, &at.Environment, &at.Toolkit, &began)
	if errors.Is(err, sql.ErrNoRows) {
		return access.View{}, nil
	}
	if err != nil {
		return v, err
	}
	v.Began = fromMicros(began)
	rules, err := s.Rules(ctx)
	known, _ := access.Known([]access.Grant{v.Grant}, rules.Roles)
	v.Grant = known[0]
	return v, err
}

// SetView implements [access.ViewStore].
func (s *Store) SetView(ctx context.Context, sessionID string, v access.View, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		t.people = true
		if err := t.exec("DELETE FROM session_view WHERE session_id = $1", sessionID); err != nil {
			return err
		}
		if v.On() {
			at := v.Grant.Scope
			if err := t.exec("INSERT INTO session_view (session_id, "+scopeColumns+", began_at) VALUES ($1, $2, $3, $4, $5, $6)",
				sessionID, v.Grant.Role, at.Project, at.Environment, at.Toolkit, micros(v.Began)); err != nil {
				return err
			}
		}
		return t.record(e)
	})
}
