package app

import (
	"cmp"
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// driftsMost is how many rows the page of drift has; the loudest are among them.
const driftsMost = 500

func driftsPath(slug string) string { return "/projects/" + slug + "/drift" }

// loudest orders drift: open before ignored, then by severity, then the newest.
func loudest(drifts map[string]mirror.Drift, environment string) []mirror.Drift {
	out := make([]mirror.Drift, 0, len(drifts))
	for _, d := range drifts {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b mirror.Drift) int {
		if a.Open() != b.Open() {
			return map[bool]int{true: -1, false: 1}[a.Open()]
		}
		return cmp.Or(cmp.Compare(b.Severity(environment), a.Severity(environment)), b.FoundAt.Compare(a.FoundAt), cmp.Compare(a.Config, b.Config))
	})
	return out
}

// drifts lists what was changed outside in a project.
func (s *Server) drifts(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	base := templates.Local(configsPath(p.Slug))
	frame, err := s.frame(c, place{title: "Drift", nav: "Auth configs", project: &p, crumbs: []templates.LinkView{{Text: p.Name, URL: base}, {Text: "Auth configs", URL: base}}})
	if err != nil {
		return err
	}
	found, err := s.seenDrifts(c, p)
	if err != nil {
		return err
	}
	v := templates.DriftsView{Page: frame, Sub: "What was changed in " + p.Name + " at Composio directly and nobody has dealt with.", Empty: templates.EmptyView{Title: "No drift", Text: "Everything is as it was last changed through Gatehouse or adopted."}}
	all := loudest(found, p.Environment)
	if len(all) > driftsMost {
		v.More = number(len(all)-driftsMost) + " more are not shown."
	}
	for _, d := range all[:min(len(all), driftsMost)] {
		v.Rows = append(v.Rows, s.driftRow(p, d))
	}
	return page(c, templates.Drifts(v))
}

func (s *Server) driftRow(p mirror.Project, d mirror.Drift) templates.DriftRowView {
	v := templates.DriftRowView{
		ID: d.Config, Name: d.Name, URL: driftURL(p, d), Badge: severityBadge(d.Severity(p.Environment)), What: driftWords(d),
		Short: shortDiff(changesDiff(d.Changes)), Found: ago(d.FoundAt, s.now()), State: "Open",
	}
	if v.Name == "" {
		v.Name = d.Config
	}
	if !d.Open() {
		v.State = "Ignored until " + d.Until.Format("2 Jan 2006")
	}
	return v
}

// driftURL leads to where a drift can be dealt with.
func driftURL(p mirror.Project, d mirror.Drift) templates.URL {
	path := configPath(p.Slug, d.Config)
	if d.Kind == mirror.DriftGone {
		path += "/versions"
	}
	return templates.Local(path)
}
