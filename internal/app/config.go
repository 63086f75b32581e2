package app

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// liveTimeout is how long a page waits for Composio before it goes without.
const liveTimeout = 4 * time.Second

// findConfig returns the project and the auth config that the URL names.
func (s *Server) findConfig(c echo.Context) (mirror.Project, mirror.AuthConfig, error) {
	p, err := s.findProject(c)
	if err != nil {
		return p, mirror.AuthConfig{}, err
	}
	snapshot, err := s.snapshot(c, p)
	if err != nil {
		return p, mirror.AuthConfig{}, err
	}
	a, ok := snapshot.Get(c.Param("id"))
	if !ok {
		return p, a, problem.New(problem.NotFound, "There is no such auth config in %s. It may have been deleted; History tells.", p.Name)
	}
	return p, a, nil
}

// configPage gathers what every page about a config needs.
func (s *Server) configPage(c echo.Context, tab string) (p mirror.Project, a mirror.AuthConfig, frame templates.PageView, head templates.ConfigHeadView, err error) {
	if p, a, err = s.findConfig(c); err != nil {
		return
	}
	open, err := s.openRequests(c, p)
	if err != nil {
		return
	}
	drifts, err := s.seenDrifts(c, p)
	if err != nil {
		return
	}
	head = configHead(p, a, tab, open[a.ID], mayPropose(c, p))
	head.Tabs = tabsFor(c, p, head.Tabs)
	head.Badge = driftBadge(drifts, p, a.ID)
	head.Evidence = s.evidenceLink(c, configPath(p.Slug, a.ID))
	frame, err = s.frame(c, place{title: head.Name, nav: "Auth configs", project: &p, crumbs: []templates.LinkView{
		{Text: p.Name, URL: templates.Local(configsPath(p.Slug))}, {Text: "Auth configs", URL: templates.Local(configsPath(p.Slug))},
	}})
	return
}

// config shows one auth config: facts from the mirror, connections from Composio.
func (s *Server) config(c echo.Context) error {
	v, err := s.configPageView(c, driftState{})
	if err != nil {
		return err
	}
	return page(c, templates.Config(v))
}

// configPageView is the page of one auth config, with what was typed into the
// form about its drift.
func (s *Server) configPageView(c echo.Context, state driftState) (v templates.ConfigView, err error) {
	p, a, frame, head, err := s.configPage(c, "Overview")
	if err != nil {
		return v, err
	}
	ctx := c.Request().Context()
	prints, err := s.store.Fingerprints(ctx, p.ID, a.ID)
	if err != nil {
		return v, err
	}
	q, err := s.readable(c, store.HistoryQuery{Project: p.ID, Object: a.ID, Limit: 6})
	if err != nil {
		return v, err
	}
	recent, err := s.store.History(ctx, q)
	if err != nil {
		return v, err
	}
	entries, err := s.entryViews(c, recent)
	if err != nil {
		return v, err
	}
	v = configView(p, a, prints, s.now())
	v.Page, v.Head, v.Recent, v.Quiet = frame, head, entries, quietText(c, p)
	if v.Drift, err = s.driftView(c, p, a.ID, state); err != nil {
		return v, err
	}
	v.Connections = s.liveConnections(c, p, a)
	return v, nil
}

// liveConnections counts connections at Composio, or says what the mirror knows.
func (s *Server) liveConnections(c echo.Context, p mirror.Project, a mirror.AuthConfig) templates.StatusCountsView {
	ctx, cancel := context.WithTimeout(c.Request().Context(), liveTimeout)
	defer cancel()
	counts, err := s.mirror.Connections(ctx, p.ID, a.ID)
	v := connectionCounts(counts)
	if err != nil {
		v = templates.StatusCountsView{
			Total: plural(a.Connections, "active connection", "active connections"),
			Text:  plural(a.Connections, "active connection", "active connections") + " at the last sync. " + mirror.Refusal(err).Message,
		}
	}
	v.All = templates.Local(configPath(p.Slug, a.ID) + "/connections")
	return v
}

func (s *Server) configConnections(c echo.Context) error {
	p, a, frame, head, err := s.configPage(c, "Connections")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), liveTimeout)
	defer cancel()
	v := templates.ConnectionsView{Page: frame, Head: head}
	all, err := s.mirror.Connections(ctx, p.ID, a.ID)
	if err != nil {
		v.Counts = templates.StatusCountsView{Total: plural(a.Connections, "active connection", "active connections"), Text: "As of the last sync. " + mirror.Refusal(err).Message}
		v.Note = "can't be read now"
		return page(c, templates.Connections(v))
	}
	v.Counts = connectionCounts(all)
	v.Rows = connectionRows(all, s.now())
	v.Note = "at most " + number(len(all.Newest)) + " of " + number(all.Total)
	return page(c, templates.Connections(v))
}

func (s *Server) configHistory(c echo.Context) error {
	p, frame, head, err := s.pastPage(c, "History")
	if err != nil {
		return err
	}
	q, err := s.readable(c, store.HistoryQuery{Project: p.project.ID, Object: p.id, Before: beforeParam(c), Limit: historyPerPage + 1})
	if err != nil {
		return err
	}
	found, err := s.store.History(c.Request().Context(), q)
	if err != nil {
		return err
	}
	v := templates.ConfigHistoryView{Page: frame, Head: head, Quiet: quietText(c, p.project)}
	v.Pager, found = historyPager(p.path()+"/history", nil, found, q.Before > 0)
	v.Entries, err = s.entryViews(c, found)
	if err != nil {
		return err
	}
	return page(c, templates.ConfigHistory(v))
}

func (s *Server) configRequests(c echo.Context) error {
	p, a, frame, head, err := s.configPage(c, "Requests")
	if err != nil {
		return err
	}
	found, err := s.store.Requests(c.Request().Context(), store.RequestQuery{Reader: reader(c).User, Project: p.ID, Config: a.ID, Limit: 100})
	if err == nil {
		found, err = s.counted(c, found)
	}
	if err != nil {
		return err
	}
	names := map[string]string{p.ID: p.Name}
	return page(c, templates.ConfigRequests(templates.ConfigRequestsView{Page: frame, Head: head, Rows: requestRows(found, names, s.now())}))
}
