package app

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// driftForm is what somebody decides about a drift.
type driftForm struct {
	Seen   string `form:"seen"`
	Reason string `form:"reason"`
	Until  string `form:"until"`
}

// driftAdopt makes what was changed outside right from now on.
func (s *Server) driftAdopt(c echo.Context) error {
	return s.driftDecide(c, true, "Adopted. What was changed outside is right from now on.")
}

// driftIgnore leaves what was changed outside alone until a day.
func (s *Server) driftIgnore(c echo.Context) error {
	return s.driftDecide(c, false, "Ignored. It comes back when its day has come, or when more is changed outside.")
}

func (s *Server) driftDecide(c echo.Context, adopt bool, done string) error {
	p, err := s.findPast(c)
	if err != nil {
		return err
	}
	var in driftForm
	if err := decode(c, &in); err != nil {
		return err
	}
	decision := mirror.DriftDecision{Adopt: adopt, Reason: in.Reason, Toolkit: p.now.Toolkit}
	decision.Seen, _ = strconv.ParseInt(in.Seen, 10, 64)    // what isn't a number is no entry, and is refused as such
	decision.Until, _ = time.Parse(time.DateOnly, in.Until) // what isn't a day is none
	err = s.mirror.DecideDrift(c.Request().Context(), reader(c), p.project.ID, p.id, decision)
	if problem.Is(err, problem.Invalid) {
		return s.driftAgain(c, p, in, adopt, err)
	}
	if err != nil {
		return err
	}
	switch {
	case p.exists:
		return s.see(c, p.path(), done)
	case !looksBack(c, p.project):
		return s.see(c, driftsPath(p.project.Slug), done)
	}
	return s.see(c, p.versionsPath(), done)
}

// driftAgain shows the page again with what is wrong with the form.
func (s *Server) driftAgain(c echo.Context, p pastConfig, in driftForm, adopt bool, complaint error) error {
	state := driftState{in, adopt, complaint}
	if p.exists {
		v, err := s.configPageView(c, state)
		if err != nil {
			return err
		}
		return again(c, templates.Config(v))
	}
	v, err := s.versionsView(c, state)
	if err != nil {
		return err
	}
	return again(c, templates.Versions(v))
}

// driftState is what came of a form about a drift.
type driftState struct {
	typed     driftForm
	adopt     bool
	complaint error
}

// driftView is the panel about the drift of a config.
func (s *Server) driftView(c echo.Context, p mirror.Project, id string, state driftState) (templates.DriftView, error) {
	d, known, err := s.store.Drift(c.Request().Context(), p.ID, id)
	if err != nil || !known {
		return templates.DriftView{}, err
	}
	v := templates.DriftView{
		Title: "Changed at Composio directly", Badge: severityBadge(d.Severity(p.Environment)), All: templates.Local(driftsPath(p.Slug)), Say: driftWords(d), Since: ago(d.FoundAt, s.now()),
		Diff: changesDiff(d.Changes), Seen: strconv.FormatInt(d.Last, 10),
	}
	lookBack := looksBack(c, p)
	if lookBack {
		v.Entry = templates.LinkView{Text: "entry #" + strconv.FormatInt(d.Last, 10), URL: templates.Local(entryPath(d.Last))}
	}
	if !d.Open() {
		v.Say += " It is ignored until " + d.Until.Format("2 January 2006") + "."
	}
	if mayPropose(c, p) {
		v.Revert = s.revertLinks(p, d, lookBack)
	}
	if !mirror.MayDecideDrift(here(c), p) {
		v.Why = "Approvers and admins may adopt or ignore it."
		if p.Environment != mirror.Production {
			v.Why = "Editors, approvers and admins may adopt or ignore it."
		}
		return v, nil
	}
	path := configPath(p.Slug, id) + "/drift/"
	v.Adopt, v.Ignore = s.newForm(c, path+"adopt"), s.newForm(c, path+"ignore")
	wrong := fieldComplaints(state.complaint)
	v.Adopting = templates.InputView{Name: "reason", ID: "adopt-reason", Label: "Reason", Rows: 2, Required: true}
	v.Ignoring = templates.InputView{Name: "reason", ID: "ignore-reason", Label: "Reason", Rows: 2, Required: true}
	v.Until = templates.InputView{Name: "until", ID: "ignore-until", Label: "Until", Type: "date", Required: true}
	v.Adopting.Focus, v.Ignoring.Focus = state.complaint != nil && state.adopt, state.complaint != nil && !state.adopt
	switch {
	case state.complaint == nil:
	case state.adopt:
		v.Adopting.Value, v.Adopting.Complaint = state.typed.Reason, wrong["reason"]
	default:
		v.Ignoring.Value, v.Ignoring.Complaint = state.typed.Reason, wrong["reason"]
		v.Until.Value, v.Until.Complaint = state.typed.Until, wrong["until"]
	}
	return v, nil
}

// revertLinks lead to the change requests that bring back what was before. What is
// gone is made anew from what history tells.
func (s *Server) revertLinks(p mirror.Project, d mirror.Drift, lookBack bool) []templates.LinkView {
	path := configPath(p.Slug, d.Config)
	switch d.Kind {
	case mirror.DriftMade:
		return []templates.LinkView{{Text: "Delete it", URL: templates.Local(impactPath(p.Slug, d.Config, "delete"))}}
	case mirror.DriftGone:
		if !lookBack {
			return nil
		}
		return []templates.LinkView{{Text: "Make it anew", URL: templates.Local(path + "/restore")}}
	}
	var out []templates.LinkView
	rest := false
	for _, c := range d.Changes {
		if c.Field != mirror.FieldStatus {
			rest = rest || c.Field != mirror.FieldCredentials
			continue
		}
		do := "disable"
		if len(c.Before) > 0 && c.Before[0] == mirror.Enabled {
			do = "enable"
		}
		out = append(out, templates.LinkView{Text: capital(do) + " again", URL: templates.Local(impactPath(p.Slug, d.Config, do))})
	}
	if rest {
		out = append([]templates.LinkView{{Text: "Revert", URL: templates.Local(path + "/restore?drift=1")}}, out...)
	}
	if d.Touched || len(out) == 0 {
		out = append(out, templates.LinkView{Text: "Set the credentials anew", URL: templates.Local(path + "/edit")})
	}
	return out
}

// driftWords say what happened.
func driftWords(d mirror.Drift) string {
	switch {
	case d.Kind == mirror.DriftMade:
		return "It was made at Composio directly."
	case d.Kind == mirror.DriftGone:
		return "It was deleted at Composio directly."
	case len(d.Changes) == 0:
		return "Something was saved at Composio directly without a visible change. A credential may have been replaced."
	case d.Touched:
		return plural(len(d.Changes), "field", "fields") + " changed, and a credential may have been replaced."
	}
	return plural(len(d.Changes), "field", "fields") + " changed."
}

var severityTones = map[mirror.Severity]string{mirror.High: "bad", mirror.Medium: "warn"}

func severityBadge(v mirror.Severity) templates.BadgeView {
	return templates.BadgeView{Text: capital(v.String()), Tone: severityTones[v]}
}

// driftBadge marks a config with open drift.
func driftBadge(drifts map[string]mirror.Drift, p mirror.Project, id string) templates.BadgeView {
	d, known := drifts[id]
	if !known || !d.Open() {
		return templates.BadgeView{}
	}
	return templates.BadgeView{Text: "Drift", Tone: severityTones[d.Severity(p.Environment)]}
}
