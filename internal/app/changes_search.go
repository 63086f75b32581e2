package app

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

const changesPath = "/changes"

// changesSearch lists the change requests that a search finds, of all tabs.
func (s *Server) changesSearch(c echo.Context, inbox store.Inbox) error {
	frame, err := s.frame(c, place{title: "Changes", nav: "Changes"})
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	text, later := c.QueryParam("q"), beforeParam(c)
	q, err := ql.Requests.Parse(text)
	var wrong *ql.Error
	if errors.As(err, &wrong) {
		v := changesView(frame, "", nil, inbox, n, false, s.now())
		v.Search.Query, v.Search.Wrong = text, wrongView(text, wrong)
		return again(c, templates.Changes(v))
	}
	found, err := s.foundRequests(c, q, later)
	if err != nil {
		return err
	}
	v := changesView(frame, "", found, inbox, n, false, s.now())
	v.Search.Query, v.Search.Active = q.String(), true
	v.Pager.Next, v.Pager.Previous = "", ""
	if later > 0 {
		v.Pager.Previous = templates.Local(query(changesPath, "q", q.String()))
	}
	if len(found) > changesPerPage {
		v.Pager.Next = templates.Local(query(changesPath, "q", q.String(), "before", strconv.FormatInt(found[changesPerPage-1].CreatedAt.UnixMicro(), 10)))
	}
	for i, t := range q.Terms {
		v.Search.Chips = append(v.Search.Chips, templates.ChipView{
			Key: t.Key, Text: n.known(t.Value), Not: t.Not, Quoted: t.Key == "" && t.Quoted,
			Remove: withoutTerm(q, i),
		})
	}
	v.Empty = templates.EmptyView{Title: "Nothing found", Text: "No change request fits this search.", Action: templates.LinkView{Text: "Clear the search", URL: changesPath}}
	return page(c, templates.Changes(v))
}

func withoutTerm(q ql.Query, i int) templates.URL {
	return templates.Local(query(changesPath, "q", q.Without(i).String()))
}

// known is the name of an id, or the value itself.
func (n names) known(value string) string {
	if name, ok := n[value]; ok {
		return name
	}
	return value
}

// requestsAtOnce is how many requests are looked through at a time.
const requestsAtOnce = 500

// foundRequests are the newest requests that a query finds, one more than a page.
func (s *Server) foundRequests(c echo.Context, q ql.Query, before int64) ([]change.Line, error) {
	ctx := c.Request().Context()
	projects, err := s.seenProjects(c)
	if err != nil {
		return nil, err
	}
	l := lineQuery{query: q, reader: reader(c).ID, projects: projects}
	l.from, l.to = q.Span(s.now())
	var found []change.Line
	for {
		some, err := s.store.Requests(ctx, store.RequestQuery{Reader: reader(c).User, Before: before, Limit: requestsAtOnce})
		if err != nil {
			return nil, err
		}
		for _, one := range some {
			if q.Match(func(t ql.Term) bool { return l.holds(t, one) }) {
				found = append(found, one)
			}
		}
		if len(some) < requestsAtOnce || len(found) > changesPerPage {
			return found[:min(len(found), changesPerPage+1)], nil
		}
		before = some[len(some)-1].CreatedAt.UnixMicro()
	}
}

// A lineQuery compares requests with a search.
type lineQuery struct {
	query    ql.Query
	reader   string
	projects []mirror.Project
	from, to time.Time
}

func (l lineQuery) holds(t ql.Term, one change.Line) bool {
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
	case ql.After:
		return !one.CreatedAt.Before(l.from)
	case ql.Before:
		return one.CreatedAt.Before(l.to)
	case ql.Is:
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
