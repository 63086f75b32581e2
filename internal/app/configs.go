package app

import (
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
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
	if d := c.QueryParam("density"); d != "" {
		s.remember(c, densityCookie, d)
		return c.Redirect(303, configsPath(p.Slug))
	}
	v, err := s.configsView(c, p)
	if err != nil {
		return err
	}
	return page(c, templates.Configs(v))
}

func configQuery(c echo.Context) mirror.Query {
	return mirror.Query{
		Text: c.QueryParam("q"), Toolkit: c.QueryParam("toolkit"), Scheme: c.QueryParam("scheme"), Status: strings.ToUpper(c.QueryParam("status")),
		Managed: c.QueryParam("managed"), Sort: c.QueryParam("sort"), After: c.QueryParam("after"), Limit: configsPerPage,
	}
}

func (s *Server) configsView(c echo.Context, p mirror.Project) (templates.ConfigsView, error) {
	ctx := c.Request().Context()
	var v templates.ConfigsView
	frame, err := s.frame(c, place{title: "Auth configs", nav: "Auth configs", project: &p, crumbs: []templates.LinkView{{Text: p.Name, URL: templates.Local(configsPath(p.Slug))}}})
	if err != nil {
		return v, err
	}
	snapshot, err := s.store.Snapshot(ctx, p.ID)
	if err != nil {
		return v, err
	}
	open, err := s.store.OpenRequests(ctx, p.ID)
	if err != nil {
		return v, err
	}
	b := configsBuilder{project: p, query: configQuery(c), now: s.now(), open: open, mayPropose: mayPropose(c, p), dense: cookie(c, densityCookie) == "dense"}
	return b.build(frame, snapshot), nil
}
