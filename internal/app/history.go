package app

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

const historyPerPage = 50

// beforeParam reads from the query before which entry a list begins, 0 if it
// begins with the last.
func beforeParam(c echo.Context) int64 {
	n, err := strconv.ParseInt(c.QueryParam("before"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// dateParam reads a day from the query; the zero time if there is none.
func dateParam(c echo.Context, name string) time.Time {
	t, err := time.Parse(time.DateOnly, c.QueryParam(name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// history is the page of all history.
func (s *Server) history(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "History", nav: "History"})
	if err != nil {
		return err
	}
	q := historyQuery(c)
	found, err := s.store.History(c.Request().Context(), q)
	if err != nil {
		return err
	}
	v := templates.HistoryView{Page: frame, Exports: exportLinks(c), Reviews: reviewLinks(c)}
	if v.Filter, err = s.historyFilter(c, q); err != nil {
		return err
	}
	keep := []string{"q", q.Text, "project", q.Project, "actor", q.Actor, "action", q.Action, "from", v.Filter.From, "to", v.Filter.To}
	v.Pager, found = historyPager("/history", keep, found, q.Before > 0)
	if v.Entries, err = s.entryViews(c, found); err != nil {
		return err
	}
	v.Empty = templates.EmptyView{Title: "Nothing found", Text: "No entry of history fits this search.", Action: templates.LinkView{Text: "Clear the search", URL: "/history"}}
	if head, err := s.store.HistoryHead(c.Request().Context()); err == nil && v.Filter.Active && head.Seq-s.store.HistoryIndexed() > 1000 {
		v.Verified = templates.NoticeView{Tone: "warn", Text: "The search index is being made anew and covers history up to entry " + number(int(s.store.HistoryIndexed())) + "."}
	}
	return page(c, templates.History(v))
}

func historyQuery(c echo.Context) store.HistoryQuery {
	q := store.HistoryQuery{
		Text: c.QueryParam("q"), Project: c.QueryParam("project"), Actor: c.QueryParam("actor"), Action: c.QueryParam("action"),
		From: dateParam(c, "from"), To: dateParam(c, "to"), Before: beforeParam(c), Limit: historyPerPage + 1,
		Public: !reader(c).May(access.ViewPersonal),
	}
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1) // the last day is part of it
	}
	return q
}

func (s *Server) historyFilter(c echo.Context, q store.HistoryQuery) (templates.HistoryFilterView, error) {
	v := templates.HistoryFilterView{
		Query: q.Text, From: c.QueryParam("from"), To: c.QueryParam("to"),
		Active: q.Text+q.Project+q.Actor+q.Action != "" || !q.From.IsZero() || !q.To.IsZero(),
	}
	ctx := c.Request().Context()
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return v, err
	}
	users, err := s.store.Users(ctx)
	if err != nil {
		return v, err
	}
	v.Projects = []templates.OptionView{{Text: "All projects"}}
	for _, p := range projects {
		v.Projects = append(v.Projects, templates.OptionView{Value: p.ID, Text: p.Name, Selected: p.ID == q.Project})
	}
	v.People = []templates.OptionView{{Text: "Everybody"}}
	for _, u := range users {
		v.People = append(v.People, templates.OptionView{Value: u.ID, Text: u.Name, Selected: u.ID == q.Actor})
	}
	v.Actions = []templates.OptionView{{Text: "All actions"}}
	for _, a := range actionNames {
		v.Actions = append(v.Actions, templates.OptionView{Value: a.action, Text: a.name, Selected: a.action == q.Action})
	}
	return v, nil
}

// historyPager cuts off the entry that was read beyond the page, if any.
func historyPager(path string, keep []string, found []audit.Entry, later bool) (templates.PagerView, []audit.Entry) {
	var v templates.PagerView
	if later {
		v.Previous = templates.Local(query(path, keep...))
	}
	if len(found) > historyPerPage {
		found = found[:historyPerPage]
		v.Next = templates.Local(query(path, append(keep, "before", strconv.FormatInt(found[len(found)-1].Seq, 10))...))
	}
	if len(found) > 0 {
		v.Text = "Entries " + number(int(found[len(found)-1].Seq)) + " to " + number(int(found[0].Seq))
	}
	return v, found
}

// entryViews turns entries into sentences with names.
func (s *Server) entryViews(c echo.Context, entries []audit.Entry) ([]templates.EntryView, error) {
	b, err := s.entryBuilder(c)
	if err != nil {
		return nil, err
	}
	views := make([]templates.EntryView, len(entries))
	for i, e := range entries {
		views[i] = b.entry(e)
	}
	return views, nil
}

func (s *Server) entryBuilder(c echo.Context) (entryBuilder, error) {
	projects, err := s.store.Projects(c.Request().Context())
	b := entryBuilder{now: s.now(), personal: reader(c).May(access.ViewPersonal), reviews: reader(c).May(access.ReviewHistory), projects: map[string]projectName{}}
	for _, p := range projects {
		b.projects[p.ID] = projectName{p.Slug, p.Name}
	}
	if err == nil {
		b.names, err = s.names(c)
	}
	return b, err
}

// historyEntry shows one entry with everything that is stored of it.
func (s *Server) historyEntry(c echo.Context) error {
	seq, err := strconv.ParseInt(c.Param("seq"), 10, 64)
	if err != nil {
		return problem.New(problem.NotFound, "There is no such entry.")
	}
	e, err := s.store.HistoryEntry(c.Request().Context(), seq)
	if err != nil {
		return err
	}
	var row audit.Row
	if err := s.store.HistoryRows(c.Request().Context(), seq, seq, func(r audit.Row) error { row = r; return nil }); err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Entry " + strconv.FormatInt(seq, 10), nav: "History", crumbs: []templates.LinkView{{Text: "History", URL: "/history"}}})
	if err != nil {
		return err
	}
	b, err := s.entryBuilder(c)
	if err != nil {
		return err
	}
	return page(c, templates.HistoryEntry(templates.HistoryEntryView{Page: frame, Entry: b.entry(e), Facts: b.facts(e, row), Body: string(row.Body)}))
}
