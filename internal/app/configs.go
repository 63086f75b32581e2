package app

import (
	"errors"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	ql "gatehouse/internal/query"
	"gatehouse/web/templates"
)

const (
	configsPerPage = 50
	densityCookie  = "density"
)

// configs lists the auth configs of a project from the mirror.
func (s *Server) configs(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if d := c.QueryParam("density"); d == "dense" || d == "roomy" {
		s.remember(c, densityCookie, d)
		return c.Redirect(303, configsPath(p.Slug))
	}
	frame, err := s.frame(c, place{title: "Auth configs", nav: "Auth configs", project: &p, crumbs: []templates.LinkView{{Text: p.Name, URL: templates.Local(configsPath(p.Slug))}}})
	if err != nil {
		return err
	}
	var wrong *ql.Error
	if _, err := ql.Configs.Parse(c.QueryParam("q")); errors.As(err, &wrong) {
		v := configsBuilder{project: p, base: configsPath(p.Slug), query: configQuery(c), now: s.now()}.mistaken(wrong)
		return again(c, templates.Configs(frame, templates.ConfigList(v, nil)))
	}
	list, err := s.configList(c, p)
	if err != nil {
		return err
	}
	return page(c, templates.Configs(frame, list))
}

func configQuery(c echo.Context) mirror.Query {
	q := c.QueryParams()
	return mirror.Query{
		Text: q.Get("q"), Toolkit: q.Get("toolkit"), Scheme: q.Get("scheme"), Status: strings.ToUpper(q.Get("status")),
		Managed: q.Get("managed"), Sort: q.Get("sort"), After: q.Get("after"), Limit: configsPerPage,
	}
}

// configList is the list that the reader asked for. First pages, which everybody
// opens, are kept as they were rendered.
func (s *Server) configList(c echo.Context, p mirror.Project) (templ.Component, error) {
	ctx, now := c.Request().Context(), s.now()
	as := listKey{project: p.ID, query: configQuery(c), mayPropose: mayPropose(c, p), lookBack: p.ReadBy(reader(c).User), dense: cookie(c, densityCookie) == "dense"}
	at := listTime{version: s.store.Version(), minute: now.Unix() / 60}
	whole := reader(c).MayIn(access.ViewConfigs, p.Place())
	if html, ok := s.lists.get(at, as); ok && whole {
		return html, nil
	}
	snapshot, err := s.snapshot(c, p)
	if err != nil {
		return nil, err
	}
	open, err := s.openRequests(c, p)
	if err != nil {
		return nil, err
	}
	drifts, err := s.seenDrifts(c, p)
	if err != nil {
		return nil, err
	}
	asked := as.query
	asked.Drifting = mirror.NewDrifting(drifts)
	b := configsBuilder{drifts: drifts, project: p, base: configsPath(p.Slug), query: asked, now: now, open: open, mayPropose: as.mayPropose, lookBack: as.lookBack, dense: as.dense}
	v := b.build(snapshot)
	list := templates.ConfigList(v, templates.ConfigRows(v.Rows, v.Bulk != ""))
	if as.query.After != "" || !whole {
		return list, nil
	}
	return s.lists.put(ctx, at, as, list)
}
