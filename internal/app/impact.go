package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// impactForm is what the sheet before a switch or a delete sends.
type impactForm struct {
	Reason  string `form:"reason"`
	Confirm string `form:"confirm"`
	Skip    bool   `form:"skip_disable"`
	Revoke  bool   `form:"revoke"`
}

// impact shows what enabling, disabling or deleting a config will do.
func (s *Server) impact(c echo.Context) error {
	do := change.Operation(c.QueryParam("do"))
	if do != change.Enable && do != change.Disable && do != change.Delete {
		return problem.New(problem.NotFound, "There is no page at this address.")
	}
	var in impactForm
	if typed := s.typed(c); typed != nil {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.impactPage(c, do, in, nil)
}

func (s *Server) impactPage(c echo.Context, do change.Operation, in impactForm, complaint error) error {
	p, a, err := s.findConfig(c)
	if err != nil {
		return err
	}
	if _, err := s.writableProject(c); err != nil {
		return err
	}
	verb := operationTitles[do]
	base := configsPath(p.Slug)
	frame, err := s.frame(c, place{title: verb, nav: "Auth configs", project: &p, narrow: true, crumbs: []templates.LinkView{
		{Text: p.Name, URL: templates.Local(base)}, {Text: "Auth configs", URL: templates.Local(base)}, {Text: a.Name, URL: templates.Local(configPath(p.Slug, a.ID))},
	}})
	if err != nil {
		return err
	}
	v := impactView(do, a, in, complaint)
	v.Page, v.Sub = frame, "In "+p.Name+", "+p.Environment+"."
	v.Form = s.newForm(c, configPath(p.Slug, a.ID)+"/"+string(do))
	v.Back = templates.LinkView{Text: "Cancel", URL: templates.Local(configPath(p.Slug, a.ID))}
	v.Counts = s.liveConnections(c, p, a)
	it := change.Item{Kind: change.KindConfig, Operation: do, Target: a.ID, Toolkit: a.Toolkit, Impact: change.Impact{Counted: true, Connections: a.Connections}}
	var approvals int
	if v.Policy, approvals, err = s.policyWords(c, p, it); err != nil {
		return err
	}
	v.Button = sendWords(approvals, v.Button)
	needReason(&v.Reason, approvals)
	if complaint != nil {
		return again(c, templates.Impact(v))
	}
	noStore(c)
	return page(c, templates.Impact(v))
}

func impactView(do change.Operation, a mirror.AuthConfig, in impactForm, complaint error) templates.ImpactView {
	wrong := fieldComplaints(complaint)
	v := templates.ImpactView{
		Title: operationTitles[do] + " " + a.Name, Reason: reasonInput(in.Reason, complaint), Complaints: complaintsView(complaint, nil),
		Button: operationTitles[do] + " config", Effects: effects(do), Danger: do != change.Enable,
	}
	if do == change.Disable {
		v.Unsure = "Composio doesn't say for certain what happens to existing connections; it has been seen to switch some off with the reason “Auth config is disabled”."
	}
	if do != change.Delete {
		return v
	}
	v.Unsure = "Sources disagree on whether existing connections stop at once. Expect them to."
	v.Confirm = templates.InputView{Name: "confirm", Label: "Type the name to confirm: " + a.Name, Value: in.Confirm, Required: true, Complete: "off", Complaint: wrong["confirm"]}
	if a.Enabled() {
		v.Checks = append(v.Checks, templates.CheckView{Name: "skip_disable", Value: "1", Text: "Delete it although it is enabled", Hint: "Disabling it first shows who still needs it, and can be undone.", Checked: in.Skip, Complaint: wrong["skip_disable"]})
	}
	v.Checks = append(v.Checks, templates.CheckView{Name: "revoke", Value: "1", Text: "Also revoke the connections' credentials at the provider", Hint: "Can't be undone, and can't be followed from here.", Checked: in.Revoke})
	return v
}

func effects(do change.Operation) []string {
	switch do {
	case change.Enable:
		return []string{"Users can connect through it again.", "Existing connections stay as they are."}
	case change.Disable:
		return []string{"Nobody can start a new connection through it.", "Existing connections may go on working.", "You can enable it again at any time."}
	}
	return []string{
		"The auth config is gone for good. Composio has no way back; History keeps its readable fields, not its credentials.",
		"Its connections lose their auth config, and their users' agents lose access.",
		"Tokens stay valid at the provider unless you revoke them.",
	}
}

func (s *Server) configEnable(c echo.Context) error  { return s.switchConfig(c, change.Enable) }
func (s *Server) configDisable(c echo.Context) error { return s.switchConfig(c, change.Disable) }

func (s *Server) switchConfig(c echo.Context, do change.Operation) error {
	var in impactForm
	p, a, err := s.findConfig(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	proposal := change.Proposal{Project: p.ID, Reason: in.Reason, Impact: s.countImpact(c, p, a)}
	r, err := s.changes.ProposeSwitch(c.Request().Context(), reader(c), proposal, []string{a.ID}, do == change.Enable)
	if problem.Is(err, problem.Invalid) {
		return s.impactPage(c, do, in, err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, "")
}

// countImpact counts the connections that a change touches.
func (s *Server) countImpact(c echo.Context, p mirror.Project, all ...mirror.AuthConfig) map[string]change.Impact {
	return s.changes.CountImpact(c.Request().Context(), p.ID, all...)
}

func (s *Server) configDelete(c echo.Context) error {
	var in impactForm
	p, a, err := s.findConfig(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	proposal := change.Proposal{Project: p.ID, Reason: in.Reason, Impact: s.countImpact(c, p, a)}
	r, err := s.changes.ProposeDelete(c.Request().Context(), reader(c), proposal, a.ID, in.Confirm, in.Skip, in.Revoke)
	if problem.Is(err, problem.Invalid) {
		return s.impactPage(c, change.Delete, in, err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, configsPath(p.Slug))
}
