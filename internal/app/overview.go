package app

import (
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

const (
	recentEntries = 8
	chartDays     = 14
	needsMost     = 20
)

// overview answers: is anything waiting for me, or wrong?
func (s *Server) overview(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	if !reader(c).May(access.ViewConfigs) {
		return s.newcomer(c)
	}
	frame, err := s.frame(c, place{title: "Overview", nav: "Overview"})
	if err != nil {
		return err
	}
	b, err := s.overviewState(c)
	if err != nil {
		return err
	}
	v := b.build()
	v.Page = frame
	if reader(c).May(access.ViewHistory) {
		q, err := s.readable(c, store.HistoryQuery{Limit: recentEntries})
		if err != nil {
			return err
		}
		recent, err := s.store.History(c.Request().Context(), q)
		if err != nil {
			return err
		}
		if v.Recent, err = s.entryViews(c, recent); err != nil {
			return err
		}
		v.History = "/history"
	}
	return page(c, templates.Overview(v))
}

// overviewState gathers what the overview tells.
func (s *Server) overviewState(c echo.Context) (b overviewBuilder, err error) {
	ctx := c.Request().Context()
	b = overviewBuilder{now: s.now(), reader: reader(c), sync: func(p mirror.Project) templates.SyncView { return s.syncView(c, p) }}
	projects, err := s.seenProjects(c)
	if err != nil {
		return b, err
	}
	for _, p := range projects {
		if p.Archived() {
			continue
		}
		snapshot, err := s.snapshot(c, p)
		if err != nil {
			return b, err
		}
		drifts, err := s.seenDrifts(c, p)
		if err != nil {
			return b, err
		}
		b.projects = append(b.projects, projectState{p, snapshot, drifts})
	}
	inbox, err := s.store.Inbox(ctx, reader(c).User)
	if err != nil {
		return b, err
	}
	b.open = slices.Concat(inbox.Needs[:min(len(inbox.Needs), needsMost)], inbox.Stuck[:min(len(inbox.Stuck), needsMost)])
	if b.failing, err = s.failingSinks(c); err != nil {
		return b, err
	}
	q, err := s.readable(c, store.HistoryQuery{})
	if err != nil {
		return b, err
	}
	b.perDay, err = s.store.HistoryPerDay(ctx, q, s.now().Add(-(chartDays-1)*24*time.Hour), chartDays)
	return b, err
}
