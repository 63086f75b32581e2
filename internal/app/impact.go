package app

import (
	"context"
	"slices"
	"strings"

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

// countImpact counts the connections that a change touches, as a record of what
// was known; where Composio can't be asked, the mirror's number stands.
func (s *Server) countImpact(c echo.Context, p mirror.Project, all ...mirror.AuthConfig) map[string]change.Impact {
	ctx, cancel := context.WithTimeout(c.Request().Context(), liveTimeout)
	defer cancel()
	out := map[string]change.Impact{}
	for _, a := range all {
		out[a.ID] = change.Impact{Counted: true, Connections: a.Connections}
		if len(all) > 1 {
			continue
		}
		if counts, err := s.mirror.Connections(ctx, p.ID, a.ID); err == nil {
			out[a.ID] = change.Impact{Counted: true, Connections: counts.Total, ByStatus: counts.ByStatus}
		}
	}
	return out
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

// bulkForm is a selection and what to do with it.
type bulkForm struct {
	IDs    []string `form:"id"`
	Do     string   `form:"do"`
	Reason string   `form:"reason"`
}

// bulkPage shows what a switch of a selection will do.
func (s *Server) bulkPage(c echo.Context) error {
	in := bulkForm{IDs: c.QueryParams()["id"], Do: c.QueryParam("do")}
	if typed := s.typed(c); typed != nil {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.bulkSheet(c, in, nil)
}

func (s *Server) bulkSheet(c echo.Context, in bulkForm, complaint error) error {
	p, err := s.writableProject(c)
	if err != nil {
		return err
	}
	do, configs, err := s.selection(c, p, in)
	if err != nil {
		return err
	}
	base := configsPath(p.Slug)
	title := operationTitles[do] + " " + plural(len(configs), "auth config", "auth configs")
	frame, err := s.frame(c, place{title: title, nav: "Auth configs", project: &p, narrow: true, crumbs: []templates.LinkView{
		{Text: p.Name, URL: templates.Local(base)}, {Text: "Auth configs", URL: templates.Local(base)},
	}})
	if err != nil {
		return err
	}
	v := templates.ImpactView{
		Page: frame, Title: title, Sub: "In " + p.Name + ", " + p.Environment + ". One change request with " + plural(len(configs), "part", "parts") + "; each has its own outcome.",
		Effects: effects(do), Reason: reasonInput(in.Reason, complaint), Complaints: complaintsView(complaint, nil),
		Form: s.newForm(c, base+"/bulk"), Button: operationTitles[do] + " " + plural(len(configs), "config", "configs"), Danger: do == change.Disable,
		Back: templates.LinkView{Text: "Cancel", URL: templates.Local(base)}, Hidden: []templates.HiddenView{{Name: "do", Value: string(do)}},
	}
	var items []change.Item
	for _, a := range configs {
		items = append(items, change.Item{Kind: change.KindConfig, Operation: do, Target: a.ID, Toolkit: a.Toolkit, Impact: change.Impact{Counted: true, Connections: a.Connections}})
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "id", Value: a.ID})
		row := templates.ImpactConfigView{Name: a.Name, URL: templates.Local(configPath(p.Slug, a.ID)), Avatar: avatar(a.Toolkit, a.Toolkit), Status: statusBadge(a.Status), Connections: plural(a.Connections, "active connection", "active connections") + "."}
		if a.Enabled() == (do == change.Enable) {
			row.Note = "It is " + strings.ToLower(statusBadge(a.Status).Text) + " already and is left out."
		}
		v.Configs = append(v.Configs, row)
	}
	var approvals int
	if v.Policy, approvals, err = s.policyWords(c, p, items...); err != nil {
		return err
	}
	v.Button = sendWords(approvals, v.Button)
	if complaint != nil {
		return again(c, templates.Impact(v))
	}
	noStore(c)
	return page(c, templates.Impact(v))
}

// bulkMost is how many configs one request may switch.
const bulkMost = 200

// selection finds what was selected.
func (s *Server) selection(c echo.Context, p mirror.Project, in bulkForm) (change.Operation, []mirror.AuthConfig, error) {
	do := change.Operation(in.Do)
	if do != change.Enable && do != change.Disable {
		return do, nil, problem.New(problem.NotFound, "There is no page at this address.")
	}
	if len(in.IDs) == 0 {
		return do, nil, problem.New(problem.Invalid, "No auth config is selected. Nothing was changed. Go back and tick some.")
	}
	if len(in.IDs) > bulkMost {
		return do, nil, problem.New(problem.Invalid, "At most %d auth configs can be switched at once. Nothing was changed.", bulkMost)
	}
	snapshot, err := s.store.Snapshot(c.Request().Context(), p.ID)
	if err != nil {
		return do, nil, err
	}
	var configs []mirror.AuthConfig
	for _, id := range in.IDs {
		a, ok := snapshot.Get(id)
		if !ok {
			return do, nil, problem.New(problem.NotFound, "One of the selected auth configs is no longer there. Nothing was changed. Go back and select again.")
		}
		if !slices.ContainsFunc(configs, func(b mirror.AuthConfig) bool { return b.ID == id }) {
			configs = append(configs, a)
		}
	}
	return do, configs, nil
}

// bulk proposes one request for the whole selection.
func (s *Server) bulk(c echo.Context) error {
	var in bulkForm
	p, err := s.writableProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	do, configs, err := s.selection(c, p, in)
	if err != nil {
		return err
	}
	ids := make([]string, len(configs))
	for i, a := range configs {
		ids[i] = a.ID
	}
	proposal := change.Proposal{Project: p.ID, Reason: in.Reason, Impact: s.countImpact(c, p, configs...)}
	r, err := s.changes.ProposeSwitch(c.Request().Context(), reader(c), proposal, ids, do == change.Enable)
	if problem.Is(err, problem.Invalid) {
		return s.bulkSheet(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, configsPath(p.Slug))
}
