package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	return keep(s, "whole open requests", func() ([]change.Request, error) {
		var all []change.Request
		at := map[string]int{}
		err := s.each(ctx, func(row scanner) error {
			r, err := scanRequest(row)
			at[r.ID] = len(all)
			all = append(all, r)
			return err
		}, "SELECT "+requestColumns+requestFrom+"WHERE r.ended_at = 0 ORDER BY r.created_at")
		if err != nil {
			return nil, err
		}
		open := " WHERE request_id IN (SELECT id FROM change_request WHERE ended_at = 0) ORDER BY "
		return all, errors.Join(
			s.each(ctx, func(row scanner) error {
				var id string
				var p change.Progress
				err := row.Scan(&id, &p.Target, &p.State, &p.Step, &p.Attempts, &p.Decide, &p.Maybe, &p.Note)
				if i, ok := at[id]; ok {
					all[i].Progress = append(all[i].Progress, p)
				}
				return err
			}, "SELECT request_id, "+progressColumns+" FROM change_item"+open+"request_id, item"),
			s.each(ctx, func(row scanner) error {
				id, v, err := scanVoteOf(row)
				if i, ok := at[id]; ok {
					all[i].Votes = append(all[i].Votes, v)
				}
				return err
			}, "SELECT "+voteColumns+" FROM vote"+open+"created_at, id"),
			s.each(ctx, func(row scanner) error {
				id, b, err := scanBypassOf(row)
				if i, ok := at[id]; ok {
					all[i].Bypass = &b
				}
				return err
			}, "SELECT "+bypassColumns+" FROM bypass"+open+"request_id"),
		)
	})
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
	Reader  string // user id; drafts of others are left out
	Project string
	Author  string // user id
	Watcher string // user id of somebody who took part or watches, and isn't the author
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
	add("(r.policies <> 'null' OR r.author_id = ?)", q.Reader) // never handed in
	if q.Watcher != "" {
		add("r.author_id <> ?", q.Watcher)
		add("r.id IN ("+strings.ReplaceAll(watched, "$1", "?")+")", q.Watcher)
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
	query := "SELECT " + requestColumns + requestFrom + "WHERE " + strings.Join(where, " AND ")
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
