package store

import (
	"context"
	"time"

	"gatehouse/internal/change"
)

// Unfinished implements [change.Store].
func (s *Store) Unfinished(ctx context.Context, now time.Time) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM change_request WHERE state IN ('approved', 'applying', 'unknown')
		OR state = 'scheduled' AND apply_after <= $1 ORDER BY created_at`, micros(now))
}

// NextDue implements [change.Store].
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.row(ctx, "SELECT coalesce(min(apply_after), 0) FROM change_request WHERE state = 'scheduled'").Scan(&at)
	return fromMicros(at), err
}

// OpenRequests implements [change.Store].
func (s *Store) OpenRequests(ctx context.Context) ([]change.Request, error) {
	open, err := s.openNow(ctx)
	all := make([]change.Request, len(open))
	for i := range open {
		all[i] = open[i].Request
	}
	return all, err
}

// RequestsSince implements [change.Store].
func (s *Store) RequestsSince(ctx context.Context, since time.Time) ([]change.Request, error) {
	var all []change.Request
	err := s.each(ctx, func(row scanner) error {
		r, err := scanRequest(row)
		all = append(all, r)
		return err
	}, "SELECT "+requestColumns+requestFrom+"WHERE r.ended_at = 0 OR r.created_at >= $1 ORDER BY r.created_at", micros(since))
	return all, err
}

// Overdue implements [change.Store].
func (s *Store) Overdue(ctx context.Context, now time.Time) ([]string, error) {
	return s.strings(ctx, `SELECT id FROM change_request
		WHERE ended_at = 0 AND expires_at > 0 AND expires_at <= $1
		AND state IN ('draft', 'in_review', 'changes_requested', 'approved', 'scheduled', 'suspended', 'failed', 'partial')`, micros(now))
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
