package store

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/query"
)

// requestsAtOnce is how many requests are looked through at a time.
const requestsAtOnce = 500

// FindRequests returns the newest change requests that a query finds among those
// that somebody may see, created before a moment in microseconds; 0 is now.
func (s *Store) FindRequests(ctx context.Context, q query.Query, by access.User, before int64, limit int) ([]change.Line, error) {
	projects, err := s.Projects(ctx)
	if err != nil {
		return nil, err
	}
	l := lineQuery{reader: by.ID, projects: projects}
	l.from, l.to = q.Span(s.now())
	var found []change.Line
	for {
		some, err := s.Requests(ctx, RequestQuery{Reader: by, Before: before, Limit: requestsAtOnce})
		if err != nil {
			return nil, err
		}
		for _, one := range some {
			if q.Match(func(t query.Term) bool { return l.holds(t, one) }) {
				found = append(found, one)
			}
		}
		if len(some) < requestsAtOnce || len(found) >= limit {
			return found[:min(len(found), limit)], nil
		}
		before = some[len(some)-1].CreatedAt.UnixMicro()
	}
}

// A lineQuery compares requests with a search.
type lineQuery struct {
	reader   string
	projects []mirror.Project
	from, to time.Time
}

func (l lineQuery) holds(t query.Term, one change.Line) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(t.Value)) }
	switch t.Key {
	case "state":
		return string(one.State) == t.Value
	case "author":
		return one.Author.ID == t.Value || has(one.Author.Name)
	case "project":
		return one.Project != "" && l.projectIs(one.Project, t.Value)
	case "request":
		return one.ID == t.Value
	case query.After:
		return !one.CreatedAt.Before(l.from)
	case query.Before:
		return one.CreatedAt.Before(l.to)
	case query.Is:
		return l.is(t.Value, one)
	}
	return has(one.Title) || has(one.ID) || has(one.Author.Name)
}

func (l lineQuery) projectIs(id, name string) bool {
	for _, p := range l.projects {
		if p.ID == id {
			return id == name || strings.EqualFold(p.Slug, name) || strings.EqualFold(p.Name, name)
		}
	}
	return id == name
}

func (l lineQuery) is(property string, one change.Line) bool {
	switch property {
	case "open":
		return !one.State.Terminal()
	case "done":
		return one.State.Terminal()
	case "mine":
		return one.Author.ID == l.reader
	case "rules":
		return one.Project == ""
	}
	return false
}
