package app

import (
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// bulkForm is a selection and what to do with it.
type bulkForm struct {
	IDs     []string `form:"id"`
	Do      string   `form:"do"`
	Add     string   `form:"add"`
	Remove  string   `form:"remove"`
	Confirm string   `form:"confirm"`
	Skip    bool     `form:"skip_disable"`
	Revoke  bool     `form:"revoke"`
	Reason  string   `form:"reason"`
}

// bulkOperations are what can be done with a selection: what it is called, the
// operation behind it, and the list that it edits.
var bulkOperations = map[string]struct {
	title     string
	operation change.Operation
	field     string
}{
	"enable":  {"Enable", change.Enable, ""},
	"disable": {"Disable", change.Disable, ""},
	"delete":  {"Delete", change.Delete, ""},
	"scopes":  {"Change the scopes of", change.Update, mirror.FieldScopes},
	"tools":   {"Change the tools of", change.Update, mirror.FieldTools},
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
	configs, err := s.selection(c, p, in)
	if err != nil {
		return err
	}
	base := configsPath(p.Slug)
	do := bulkOperations[in.Do]
	title := do.title + " " + plural(len(configs), "auth config", "auth configs")
	frame, err := s.frame(c, place{title: title, nav: "Auth configs", project: &p, narrow: true, crumbs: []templates.LinkView{
		{Text: p.Name, URL: templates.Local(base)}, {Text: "Auth configs", URL: templates.Local(base)},
	}})
	if err != nil {
		return err
	}
	v := bulkView(in, configs, complaint)
	v.Page, v.Title, v.Form = frame, title, s.newForm(c, base+"/bulk")
	v.Sub = "In " + p.Name + ", " + p.Environment + ". One change request with " + plural(len(configs), "part", "parts") + "; each has its own outcome."
	v.Back = templates.LinkView{Text: "Cancel", URL: templates.Local(base)}
	var items []change.Item
	for _, a := range configs {
		it := change.Item{Kind: change.KindConfig, Operation: do.operation, Target: a.ID, Toolkit: a.Toolkit, Impact: change.Impact{Counted: true, Connections: a.Connections}}
		if do.field != "" {
			it.Set = mirror.Values{do.field: {"something added"}} // as far as policies look at it
		}
		items = append(items, it)
		v.Hidden = append(v.Hidden, templates.HiddenView{Name: "id", Value: a.ID})
		v.Configs = append(v.Configs, bulkRow(p, a, do.operation))
	}
	var approvals int
	if v.Policy, approvals, err = s.policyWords(c, p, items...); err != nil {
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

func bulkRow(p mirror.Project, a mirror.AuthConfig, do change.Operation) templates.ImpactConfigView {
	row := templates.ImpactConfigView{Name: a.Name, URL: templates.Local(configPath(p.Slug, a.ID)), Avatar: avatar(a.Toolkit, a.Toolkit), Status: statusBadge(a.Status), Connections: plural(a.Connections, "active connection", "active connections") + "."}
	if do == change.Enable && a.Enabled() || do == change.Disable && !a.Enabled() {
		row.Note = "It is " + strings.ToLower(statusBadge(a.Status).Text) + " already and is left out."
	}
	return row
}

// bulkView is the sheet before something is done with a selection.
func bulkView(in bulkForm, configs []mirror.AuthConfig, complaint error) templates.ImpactView {
	do, wrong := bulkOperations[in.Do], fieldComplaints(complaint)
	v := templates.ImpactView{
		Reason: reasonInput(in.Reason, complaint), Complaints: complaintsView(complaint, nil), Button: do.title + " " + plural(len(configs), "config", "configs"),
		Danger: do.operation == change.Disable || do.operation == change.Delete, Hidden: []templates.HiddenView{{Name: "do", Value: in.Do}},
	}
	switch {
	case do.field != "":
		v.Effects = []string{"What you add or remove is added to or removed from the list of each; the rest of each list stays.", "Those that wouldn't change are left out."}
		if do.field == mirror.FieldScopes {
			v.Effects = append(v.Effects, "Changed scopes don't reach existing connections: their users have to reconnect.")
		}
		v.Inputs = []templates.InputView{
			{Name: "add", Label: "Add", Value: in.Add, Rows: 2, Code: true, Complaint: wrong["add"], Optional: true, Hint: "With commas, spaces or lines between."},
			{Name: "remove", Label: "Remove", Value: in.Remove, Rows: 2, Code: true, Complaint: wrong["remove"], Optional: true},
		}
	case do.operation == change.Delete:
		v.Effects = effects(change.Delete)
		v.Confirm = templates.InputView{Name: "confirm", Label: "Type how many they are to confirm: " + strconv.Itoa(len(configs)), Value: in.Confirm, Required: true, Complete: "off", Complaint: wrong["confirm"]}
		v.Checks = []templates.CheckView{
			{Name: "skip_disable", Value: "1", Text: "Delete them although some are enabled", Hint: "Disabling first shows who still needs them, and can be undone.", Checked: in.Skip, Complaint: wrong["skip_disable"]},
			{Name: "revoke", Value: "1", Text: "Also revoke the connections' credentials at the provider", Hint: "Can't be undone, and can't be followed from here.", Checked: in.Revoke},
		}
	default:
		v.Effects = effects(do.operation)
	}
	return v
}

// bulkMost is how many configs one request may change.
const bulkMost = 200

// selection finds what was selected.
func (s *Server) selection(c echo.Context, p mirror.Project, in bulkForm) ([]mirror.AuthConfig, error) {
	if _, known := bulkOperations[in.Do]; !known {
		return nil, problem.New(problem.NotFound, "There is no page at this address.")
	}
	if len(in.IDs) == 0 {
		return nil, problem.New(problem.Invalid, "No auth config is selected. Nothing was changed. Go back and tick some.")
	}
	if len(in.IDs) > bulkMost {
		return nil, problem.New(problem.Invalid, "At most %d auth configs can be changed at once. Nothing was changed.", bulkMost)
	}
	snapshot, err := s.snapshot(c, p)
	if err != nil {
		return nil, err
	}
	var configs []mirror.AuthConfig
	for _, id := range in.IDs {
		a, ok := snapshot.Get(id)
		if !ok {
			return nil, problem.New(problem.NotFound, "One of the selected auth configs is no longer there. Nothing was changed. Go back and select again.")
		}
		if !slices.ContainsFunc(configs, func(b mirror.AuthConfig) bool { return b.ID == id }) {
			configs = append(configs, a)
		}
	}
	return configs, nil
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
	configs, err := s.selection(c, p, in)
	if err != nil {
		return err
	}
	ids := make([]string, len(configs))
	for i, a := range configs {
		ids[i] = a.ID
	}
	proposal := change.Proposal{Project: p.ID, Reason: in.Reason, Impact: s.countImpact(c, p, configs...)}
	r, err := s.proposeBulk(c, proposal, ids, in)
	if problem.Is(err, problem.Invalid) {
		return s.bulkSheet(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, configsPath(p.Slug))
}

func (s *Server) proposeBulk(c echo.Context, p change.Proposal, ids []string, in bulkForm) (change.Request, error) {
	ctx, do := c.Request().Context(), bulkOperations[in.Do]
	switch {
	case do.field != "":
		return s.changes.ProposeListEdit(ctx, reader(c), p, ids, change.ListEdit{Field: do.field, Add: in.Add, Remove: in.Remove})
	case do.operation == change.Delete:
		return s.changes.ProposeDeletes(ctx, reader(c), p, ids, in.Confirm, in.Skip, in.Revoke)
	}
	return s.changes.ProposeSwitch(ctx, reader(c), p, ids, do.operation == change.Enable)
}
