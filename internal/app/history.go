package app

import (
	"context"
	"errors"
	"strconv"
	"strings"

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

// history is the page of all history.
func (s *Server) history(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "History", nav: "History"})
	if err != nil {
		return err
	}
	a, err := s.ask(c)
	if err != nil {
		return err
	}
	v := templates.HistoryView{Page: frame, Integrity: s.integrityBadge(), Exports: exportLinks(c, a), Reviews: reviewLinks(c, a)}
	b, err := s.searchBuilder(c, a)
	if err != nil {
		return err
	}
	var found []audit.Entry
	var rest int64
	if b.wrong == nil {
		err := s.limited(c, a.active(), func(ctx context.Context) (err error) {
			if b.summary, err = s.store.HistorySummary(ctx, a.history); err == nil {
				found, rest, err = s.store.HistoryPage(ctx, a.history)
			}
			return err
		})
		if err != nil && !errors.As(err, &b.wrong) {
			return err
		}
	}
	v.Search = b.search()
	if b.wrong != nil {
		v.Exports, v.Reviews = nil, nil
		return again(c, templates.History(v))
	}
	v.Pager, found = historyPager(historyPath, a.params(), found, a.history.Before > 0)
	if v.Entries, err = s.entryViews(c, found); err != nil {
		return err
	}
	v.Days, v.Facets = b.histogram(), b.facets()
	v.Empty = templates.EmptyView{Title: "Nothing found", Text: "No entry of history fits this search.", Action: templates.LinkView{Text: "Clear the search", URL: historyPath}}
	if rest > 0 {
		goOn(&v, a, rest)
	} else if len(v.Entries) == 0 {
		v.Exports = nil // of nothing
	}
	if _, err := s.store.Searchable(c.Request().Context()); problem.Is(err, problem.Unavailable) && a.active() {
		v.Verified = templates.NoticeView{Tone: "warn", Text: "The search index is being made anew and covers history up to entry " + number(int(s.store.HistoryIndexed())) + "."}
	}
	return page(c, templates.History(v))
}

// goOn says that a search isn't through, and leads to the rest of it.
func goOn(v *templates.HistoryView, a asked, before int64) {
	v.Pager.Next = templates.Local(query(historyPath, append(a.params(), "before", strconv.FormatInt(before, 10))...))
	v.Pager.Text = "Looked back to entry " + number(int(before)) + ". Older ones may fit too."
	v.Empty = templates.EmptyView{Title: "Nothing found so far", Text: v.Pager.Text, Action: templates.LinkView{Text: "Search on", URL: v.Pager.Next}}
}

// searchBuilder gathers what a search is shown with.
func (s *Server) searchBuilder(c echo.Context, a asked) (b searchBuilder, err error) {
	b.asked = a
	if b.names, err = s.names(c); err != nil {
		return b, err
	}
	b.projects, err = s.seenProjects(c)
	return b, err
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
		s.lookAt(e)
		views[i] = b.entry(e)
	}
	return views, nil
}

// lookAt has all of history verified when somebody comes upon an entry that can't
// be read, unless it is known already that something is wrong.
func (s *Server) lookAt(e audit.Entry) {
	if e.Action == audit.Unreadable && s.witness.Known().Problem == nil {
		s.witness.AskVerify()
	}
}

func (s *Server) entryBuilder(c echo.Context) (entryBuilder, error) {
	projects, err := s.store.Projects(c.Request().Context())
	who := reader(c)
	b := entryBuilder{now: s.now(), reader: who.ID, personal: who.May(access.ViewPersonal), reviews: who.May(access.ReviewHistory), projects: map[string]projectOf{}}
	for _, p := range projects {
		b.projects[p.ID] = projectOf{p.Slug, p.Name, !p.ReadBy(who.User)}
	}
	if err != nil {
		return b, err
	}
	if b.readable, err = s.readable(c, store.HistoryQuery{}); err != nil {
		return b, err
	}
	b.names, err = s.names(c)
	return b, err
}

// historyEntry shows one entry with everything that is stored of it.
func (s *Server) historyEntry(c echo.Context) error {
	seq, err := strconv.ParseInt(c.Param("seq"), 10, 64)
	if err != nil || strconv.FormatInt(seq, 10) != c.Param("seq") { // each entry has one address
		return problem.New(problem.NotFound, "There is no such entry.")
	}
	e, err := s.entryOf(c.Request().Context(), seq)
	if err != nil {
		return err
	}
	s.lookAt(e)
	b, err := s.entryBuilder(c)
	if err != nil {
		return err
	}
	if !mayRead(reader(c), e) || b.hides(e) {
		return problem.New(problem.NotFound, "There is no such entry, or you may not see it.")
	}
	var row audit.Row
	if err := s.store.HistoryRows(c.Request().Context(), seq, seq, func(r audit.Row) error { row = r; return nil }); err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Entry " + strconv.FormatInt(seq, 10), nav: "History", crumbs: []templates.LinkView{{Text: "History", URL: "/history"}}})
	if err != nil {
		return err
	}
	return page(c, templates.HistoryEntry(templates.HistoryEntryView{Page: frame, Entry: b.entry(e), InList: templates.Local(query(historyPath, "before", strconv.FormatInt(seq+1, 10))), Facts: b.facts(e, row), Body: strings.ToValidUTF8(string(row.Body), "\ufffd")}))
}
