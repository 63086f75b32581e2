package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// personTabs lead through the pages about somebody.
func personTabs(c echo.Context, u access.User, current string) []templates.TabView {
	tabs := []templates.TabView{{Text: "Account", URL: templates.Local(personPath(u.ID))}}
	if reader(c).May(access.ViewHistory) {
		tabs = append(tabs, templates.TabView{Text: "History", URL: templates.Local(personPath(u.ID) + "/history")})
	}
	for i := range tabs {
		tabs[i].Current = tabs[i].Text == current
	}
	return tabs
}

// personHistory shows what somebody did, or with ?of=them what was done to them.
func (s *Server) personHistory(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "History of " + u.Name, nav: "People", crumbs: []templates.LinkView{{Text: "People", URL: "/people"}}})
	if err != nil {
		return err
	}
	path := personPath(u.ID) + "/history"
	all := u.ID == reader(c).ID || reader(c).May(access.ViewPersonal)
	q := store.HistoryQuery{Actor: u.ID, Before: beforeParam(c), Limit: historyPerPage + 1}
	if !all {
		if q, err = s.readable(c, q); err != nil {
			return err
		}
	}
	v := templates.PersonHistoryView{Title: "What they did"}
	if all {
		v.Other = templates.LinkView{Text: "What was done to them", URL: templates.Local(path + "?of=them")}
	}
	v.Empty = templates.EmptyView{Title: "Nothing yet", Text: u.Name + " has done nothing that history tells of."}
	of := ""
	if all && c.QueryParam("of") == "them" {
		of, q.Actor, q.Object = "them", "", u.ID
		v.Title, v.Other = "What was done to them", templates.LinkView{Text: "What they did", URL: templates.Local(path)}
		v.Empty.Text = "Nothing was done to the account of " + u.Name + "."
	}
	found, err := s.store.History(c.Request().Context(), q)
	if err != nil {
		return err
	}
	v.Pager, found = historyPager(path, []string{"of", of}, found, q.Before > 0)
	if v.Entries, err = s.entryViews(c, found); err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	v.Person = personView(u, addressFor(reader(c), u), n, s.now())
	v.Person.Evidence = s.evidenceLink(c, personPath(u.ID))
	v.Person.Page, v.Person.Tabs = frame, personTabs(c, u, "History")
	return page(c, templates.PersonHistory(v))
}
