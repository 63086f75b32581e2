package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
)

// An entry is an entry of history, without addresses of people.
type entry struct {
	Seq     int64             `json:"seq"`
	Time    *string           `json:"time"`
	Action  string            `json:"action"`
	Actor   actor             `json:"actor"`
	Object  object            `json:"object"`
	Project *string           `json:"project"`
	Request *string           `json:"request"`
	Outcome string            `json:"outcome"`
	Changes []audit.Change    `json:"changes"`
	Reason  string            `json:"reason"`
	Detail  map[string]string `json:"detail"`
	URL     string            `json:"url"`
}

type actor struct {
	Kind  string  `json:"kind"`
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Token *person `json:"token"`
}

type object struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *Service) entry(e audit.Entry, slugs map[string]string) entry {
	v := entry{
		Seq: e.Seq, Time: moment(e.Time), Action: e.Action, Actor: actor{Kind: e.Actor.Kind, ID: e.Actor.ID, Name: e.Actor.Name},
		Object: object{e.Object.Kind, e.Object.ID, e.Object.Name}, Project: slug(slugs, e.Project), Outcome: e.Outcome,
		Changes: []audit.Change{}, Reason: e.Reason, Detail: map[string]string{}, URL: s.o.PublicURL + "/history/" + itoa(e.Seq),
	}
	if e.Actor.Token != "" {
		v.Actor.Token = &person{e.Actor.Token, e.Actor.TokenName}
	}
	if e.Request != "" {
		v.Request = &e.Request
	}
	for _, ch := range e.Changes {
		v.Changes = append(v.Changes, audit.Change{Field: ch.Field, Before: append([]string{}, ch.Before...), After: append([]string{}, ch.After...)})
	}
	for k, text := range e.Detail {
		v.Detail[k] = text
	}
	return v
}

// slug is the short name of a project, nil for what is of none.
func slug(slugs map[string]string, id string) *string {
	if id == "" {
		return nil
	}
	if text, ok := slugs[id]; ok {
		return &text
	}
	return &id
}

func (s *Service) slugs(ctx context.Context) (map[string]string, error) {
	projects, err := s.o.Store.Projects(ctx)
	out := map[string]string{}
	for _, p := range projects {
		out[p.ID] = p.Slug
	}
	return out, err
}

// readable narrows a search to what the token may read: its owner's part of
// history, and of the token's projects alone where it is for some.
func (s *Service) readable(c echo.Context, q store.HistoryQuery) (store.HistoryQuery, error) {
	who := reader(c)
	q, err := s.o.Store.Readable(c.Request().Context(), who.User, q)
	if len(who.ThroughToken().Projects) > 0 {
		q.Barred = append(q.Barred, "") // what is of no project
	}
	return q, err
}

// History answers entries of history, the newest first.
func (s *Service) History(c echo.Context) error {
	p, err := params(c, "q", "after", "limit", "cursor")
	if err != nil {
		return err
	}
	n, err := limit(p)
	if err != nil {
		return err
	}
	after, err := whole(p, "after")
	if err != nil {
		return err
	}
	before, err := whole(p, "cursor")
	if err != nil {
		return err
	}
	where, err := ql.Parse(p.Get("q"))
	if err != nil {
		return invalid("q", err.Error())
	}
	if wrong := store.AddressAsked(where); wrong != nil {
		return invalid("q", wrong.Error())
	}
	ctx := c.Request().Context()
	q, err := s.readable(c, store.HistoryQuery{Where: where, Before: before, Limit: n + 1})
	if err != nil {
		return err
	}
	var found []audit.Entry
	var rest int64
	err = s.o.Search(ctx, reader(c), func(ctx context.Context) (err error) {
		found, rest, err = s.o.Store.HistoryPage(ctx, q)
		return err
	})
	var wrong *ql.Error
	if errors.As(err, &wrong) {
		return invalid("q", wrong.Message)
	}
	if err != nil {
		return err
	}
	if err := s.o.Read(ctx, reader(c), c.Path(), p.Get("q")); err != nil {
		return err
	}
	return s.entries(c, found, n, after, rest)
}

// entries answers a page of what was found: those after an entry, of which there
// may be more before the last.
func (s *Service) entries(c echo.Context, found []audit.Entry, n int, after, rest int64) error {
	slugs, err := s.slugs(c.Request().Context())
	if err != nil {
		return err
	}
	var items []entry
	next := ""
	if rest > after+1 {
		next = itoa(rest)
	}
	for _, e := range found {
		if e.Seq <= after {
			next = ""
			break
		}
		if len(items) == n {
			next = itoa(items[n-1].Seq)
			break
		}
		items = append(items, s.entry(e, slugs))
	}
	return s.answer(c, http.StatusOK, listOf(items, next))
}

// HistoryEntry answers one entry, with what ties it to the chain.
func (s *Service) HistoryEntry(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	none := problem.New(problem.NotFound, "There is no such entry, or this token may not see it.")
	seq, err := strconv.ParseInt(c.Param("seq"), 10, 64)
	if err != nil || itoa(seq) != c.Param("seq") {
		return none
	}
	ctx := c.Request().Context()
	q, err := s.readable(c, store.HistoryQuery{})
	if err != nil {
		return err
	}
	e, err := s.o.Store.HistoryEntry(ctx, seq)
	if problem.Is(err, problem.NotFound) || err == nil && (e.Action == audit.Unreadable || !q.Matches(e)) {
		return none
	}
	if err != nil {
		return err
	}
	var row audit.Row
	if err := s.o.Store.HistoryRows(ctx, seq, seq, func(r audit.Row) error { row = r; return nil }); err != nil {
		return err
	}
	slugs, err := s.slugs(ctx)
	if err != nil {
		return err
	}
	if err := s.o.Read(ctx, reader(c), c.Request().URL.Path, ""); err != nil {
		return err
	}
	return s.answer(c, http.StatusOK, struct {
		entry
		Hash string `json:"hash"`
		Prev string `json:"prev"`
	}{s.entry(e, slugs), row.Hash.String(), row.Prev.String()})
}
