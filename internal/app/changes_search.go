package app

import (
	"errors"
	"strconv"

	"github.com/labstack/echo/v4"

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
	found, err := s.store.FindRequests(c.Request().Context(), q, reader(c).User, later, changesPerPage+1)
	if err == nil {
		found, err = s.counted(c, found)
	}
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
