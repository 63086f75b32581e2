package store

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
)

// A RequestQuery narrows a list of change requests, the newest first.
type RequestQuery struct {
	Reader  access.User // drafts of others are left out, and what is where they see nothing
	Project string
	Author  string // user id
	Config  string // auth config id
	Open    *bool  // whether they are open
	Before  int64  // created before, in microseconds; 0 means now
	Limit   int
}

// seenIn is the condition that requests are where somebody may see them, as
// [Store.seenBy] decides it of each; "" if they may see all.
func (s *Store) seenIn(ctx context.Context, u access.User, bind func(any) string) (string, error) {
	if !u.Scoped() {
		return "", nil
	}
	projects, err := s.Projects(ctx)
	if err != nil {
		return "", err
	}
	places := []string{"FALSE"}
	if u.MayIn(access.ViewConfigs, access.Place{}) {
		places = append(places, "r.project_id IS NULL")
	}
	for _, p := range projects {
		if u.MayIn(access.ViewConfigs, p.Place()) {
			places = append(places, "r.project_id = "+bind(p.ID))
			continue
		}
		left, some := "' ' || r.toolkits || ' '", false // without those that they may see
		for _, toolkit := range u.Toolkits() {
			if u.MayIn(access.ViewConfigs, p.At(toolkit)) {
				left, some = "replace("+left+", "+bind(" "+toolkit+" ")+", ' ')", true
			}
		}
		if some {
			places = append(places, "r.project_id = "+bind(p.ID)+" AND r.toolkits <> '' AND "+left+" = ' '")
		}
	}
	return "(" + strings.Join(places, " OR ") + ")", nil
}

// seenBy leaves of requests those that are where somebody may see them.
func (s *Store) seenBy(ctx context.Context, u access.User, found []change.Line) ([]change.Line, error) {
	if !u.Scoped() {
		return found, nil
	}
	projects, err := s.Projects(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(found), func(l change.Line) bool {
		at := slices.IndexFunc(projects, func(p mirror.Project) bool { return p.ID == l.Project })
		if at < 0 {
			return !u.MayIn(access.ViewConfigs, access.Place{})
		}
		return !u.At(l.Places(projects[at])...).May(access.ViewConfigs)
	}), nil
}

// Requests lists change requests.
func (s *Store) Requests(ctx context.Context, q RequestQuery) ([]change.Line, error) {
	where, args := []string{}, []any{}
	bind := func(arg any) string {
		args = append(args, arg)
		return fmt.Sprintf("$%d", len(args))
	}
	add := func(condition string, arg any) { where = append(where, strings.ReplaceAll(condition, "?", bind(arg))) }
	add("(r.policies <> 'null' OR r.author_id = ?)", q.Reader.ID) // never handed in
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
	seen, err := s.seenIn(ctx, q.Reader, bind)
	if err != nil {
		return nil, err
	}
	if seen != "" {
		where = append(where, seen)
	}
	args = append(args, q.Limit)
	ids, err := s.strings(ctx, fmt.Sprintf("SELECT id FROM change_request r WHERE %s ORDER BY r.created_at DESC LIMIT $%d", strings.Join(where, " AND "), len(args)), args...)
	if err != nil {
		return nil, err
	}
	return s.lines(ctx, ids)
}

// Watched lists what somebody took part in, was named in or watches and didn't
// propose, the newest first.
func (s *Store) Watched(ctx context.Context, u access.User, before int64, limit int) ([]change.Line, error) {
	left, err := s.watchedBy(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	if before > 0 {
		left = left[sort.Search(len(left), func(i int) bool { return left[i].created < before }):]
	}
	var all []change.Line
	for len(left) > 0 && len(all) < limit {
		var ids []string
		for _, one := range left[:min(len(left), limit)] {
			ids = append(ids, one.id)
		}
		found, err := s.lines(ctx, ids)
		if err != nil {
			return nil, err
		}
		if found, err = s.seenBy(ctx, u, found); err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(found, func(l change.Line) bool { return l.State == change.Draft })...)
		left = left[len(ids):]
	}
	return all[:min(len(all), limit)], nil
}

type watchedRequest struct {
	id      string
	created int64
}

// watchedBy returns the ids of all that somebody watches, the newest first.
func (s *Store) watchedBy(ctx context.Context, userID string) ([]watchedRequest, error) {
	return keepAbout(s, userID, "watched", func() (all []watchedRequest, err error) {
		err = s.each(ctx, func(row scanner) error {
			var one watchedRequest
			err := row.Scan(&one.id, &one.created)
			all = append(all, one)
			return err
		}, "SELECT r.id, r.created_at FROM ("+watched+") w JOIN change_request r ON r.id = w.request_id WHERE r.author_id <> $1 ORDER BY r.created_at DESC", userID)
		return all, err
	})
}
