package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

var groupCrumbs = []templates.LinkView{{Text: "People", URL: "/people"}, {Text: "Groups", URL: groupsPath}}

// peopleTabs lead through the pages about who may do what.
func peopleTabs(c echo.Context, current string) []templates.TabView {
	tabs := []templates.TabView{{Text: "People", URL: "/people"}, {Text: "Groups", URL: groupsPath}, {Text: "Roles", URL: rolesPath}}
	if reader(c).May(access.ViewPersonal) {
		tabs = append(tabs, templates.TabView{Text: "Access reviews", URL: accessReviewsPath})
	}
	if reader(c).May(access.ManagePeople) {
		tabs = append(tabs, templates.TabView{Text: "Directories", URL: directoriesPath})
	}
	for i := range tabs {
		tabs[i].Current = tabs[i].Text == current
	}
	return tabs
}

// groups lists the groups that policies may name.
func (s *Server) groups(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Groups", nav: "People", crumbs: groupCrumbs[:1]})
	if err != nil {
		return err
	}
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	may := reader(c).May(access.ManagePeople)
	v := templates.GroupsView{Page: frame, Tabs: peopleTabs(c, "Groups")}
	if may {
		v.New = groupsPath + "/new"
	}
	var given []string
	for _, g := range b.rules.Groups {
		v.Rows = append(v.Rows, b.groupRow(g, may))
		given = append(given, grantFormOf(g.Grants).Roles...)
	}
	if err := s.warnOfToolkits(c.Request().Context(), &v.Page.Notices, given, b.names); err != nil {
		return err
	}
	return page(c, templates.Groups(v))
}

func (b rulebook) groupRow(g access.Group, may bool) templates.RuleRowView {
	v := templates.RuleRowView{Name: g.Name, Text: "Nobody is in it."}
	if all := g.All(); len(all) > 0 {
		v.Text = listed(ruleWords("members", all, b.names), "and")
	}
	if len(g.Grants) > 0 {
		v.Note = "Gives " + grantList(grantFormOf(g.Grants).Roles, b.names) + "."
	}
	if b.named(g.ID) {
		v.Badge = templates.BadgeView{Text: "In a policy", Tone: "info"}
	}
	if may {
		v.Edit, v.Remove = templates.Local(groupPath(g.ID)), templates.Local(groupPath(g.ID)+"/remove")
	}
	return v
}

// named reports whether a policy names a group.
func (b rulebook) named(group string) bool {
	return slices.ContainsFunc(b.rules.Policies, func(p change.Policy) bool {
		return slices.ContainsFunc(p.Steps, func(step change.PolicyStep) bool {
			return slices.ContainsFunc(step, func(n change.Need) bool { return slices.Contains(n.Groups, group) })
		})
	})
}

// groupForm is what is typed about a group.
type groupForm struct {
	Name    string   `form:"name"`
	Members []string `form:"members"`
	Reason  string   `form:"reason"`
	Roles   []string `form:"roles"`
	Role    string   `form:"role"`
	Where   string   `form:"where"`
	Toolkit string   `form:"toolkit"`

	External map[string]string `form:"external.*"` // lines of ids, by source
}

func (f groupForm) grants() grantForm { return grantForm{f.Roles, f.Role, f.Where, f.Toolkit} }

// external are the ids that were typed.
func (f groupForm) external() []access.ExternalID {
	var all []access.ExternalID
	for _, source := range slices.Sorted(maps.Keys(f.External)) {
		for line := range strings.Lines(f.External[source]) {
			if id := strings.TrimSpace(line); id != "" {
				all = append(all, access.ExternalID{Source: source, ID: id})
			}
		}
	}
	return all
}

// externalLines are a group's ids as they are typed.
func externalLines(g access.Group) map[string]string {
	lines := map[string]string{}
	for _, e := range g.External {
		lines[e.Source] += e.ID + "\n"
	}
	return lines
}

// externalInputs are fields for the ids of a group, for each source that there is
// and for those that it has ids of.
func (s *Server) externalInputs(in groupForm, complaint string) []templates.InputView {
	sources := map[string]string{}
	for source := range in.External {
		sources[source] = source
	}
	for _, p := range s.signon.Choices() {
		sources[access.ProviderMethod(p.ID)] = p.Name
	}
	var out []templates.InputView
	for i, source := range slices.Sorted(maps.Keys(sources)) {
		v := templates.InputView{
			Name: "external." + source, ID: "external-" + strconv.Itoa(i), Label: "Ids of this group at " + sources[source], Value: in.External[source], Rows: 2, Code: true, Optional: true, Complete: "off",
			Hint: "One a line, exactly as it tells them. Whoever it says is in one of them is in this group, from their next sign-in on.",
		}
		if i == 0 {
			v.ID, v.Complaint = "external", complaint
		}
		out = append(out, v)
	}
	return out
}

// group returns the group that the URL names; a new one has no id.
func (s *Server) groupOf(c echo.Context, b rulebook) (access.Group, error) {
	if c.Param("id") == "" {
		return access.Group{}, nil
	}
	for _, g := range b.rules.Groups {
		if g.ID == c.Param("id") {
			return g, nil
		}
	}
	return access.Group{}, problem.New(problem.NotFound, "There is no such group, or not any more.")
}

// group shows the form of a group, new or not.
func (s *Server) group(c echo.Context) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	g, err := s.groupOf(c, b)
	if err != nil {
		return err
	}
	in := groupForm{Name: g.Name, Members: g.Members, Roles: grantFormOf(g.Grants).Roles, External: externalLines(g)}
	if typed := s.typed(c); typed != nil {
		in = groupForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.groupPage(c, b, g, in, nil)
}

func (s *Server) groupPage(c echo.Context, b rulebook, g access.Group, in groupForm, complaint error) error {
	wrong := fieldComplaints(complaint)
	v := templates.RuleFormView{
		Title: "New group", Sub: "Its members have its roles. Policies that name the group take its members as they are at the time.",
		Form: s.newForm(c, groupsPath), Complaints: complaintsView(complaint, fieldLabels), Back: templates.LinkView{Text: "Cancel", URL: groupsPath},
		Inputs: []templates.InputView{{Name: "name", Label: "Name", Value: in.Name, Required: true, Complaint: wrong["name"], Complete: "off"}},
		Legend: "Members", BoxesName: "members", BoxesWrong: wrong["members"],
	}
	v.Grants = b.grantFields(in.grants(), g.Grants, wrong)
	v.Inputs = append(v.Inputs, s.externalInputs(in, wrong["external"])...)
	if g.ID != "" {
		v.Title, v.Form = g.Name, s.newForm(c, groupPath(g.ID))
		v.Remove, v.RemoveText = templates.Local(groupPath(g.ID)+"/remove"), "Remove group"
	}
	for _, u := range b.people {
		if chosen := slices.Contains(in.Members, u.ID); chosen || u.State != access.Disabled {
			v.Boxes = append(v.Boxes, templates.CheckView{Name: "members", Value: u.ID, Text: u.Name, Hint: rolesOf(u), Checked: chosen})
		}
	}
	if err := s.warnOfToolkits(c.Request().Context(), &v.Notices, grantFormOf(g.Grants).Roles, b.names); err != nil {
		return err
	}
	return s.ruleForm(c, v, change.KindGroup, in.Reason, complaint)
}

// groupSave asks for a group, new or not.
func (s *Server) groupSave(c echo.Context) error {
	var in groupForm
	if err := decode(c, &in); err != nil {
		return err
	}
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	g, err := s.groupOf(c, b)
	if err != nil {
		return err
	}
	if err := in.grants().check(); err != nil {
		return s.groupPage(c, b, g, in, err)
	}
	r, err := s.changes.ProposeGroup(c.Request().Context(), reader(c), in.Reason, access.Group{ID: g.ID, Name: in.Name, Members: in.Members, Grants: in.grants().grants(), External: in.external()})
	if problem.Is(err, problem.Invalid) {
		return s.groupPage(c, b, g, in, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, groupsPath)
}

// groupRemove shows which group is to go.
func (s *Server) groupRemove(c echo.Context) error { return s.groupRemovePage(c, "", nil) }

func (s *Server) groupRemovePage(c echo.Context, reason string, complaint error) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	g, err := s.groupOf(c, b)
	if err != nil {
		return err
	}
	it := change.Item{Kind: change.KindGroup, Operation: change.Delete, Name: g.Name, Base: mirror.Values{"name": {g.Name}, "members": g.Members, "roles": grantFormOf(g.Grants).Roles}}
	v := templates.RuleReviewView{
		Title: ruleTitle(it, b.names), Sub: "Its members stay as they are, without the roles that it gave them.", Danger: true, Complaints: complaintsView(complaint, fieldLabels),
		Diffs: []templates.DiffView{ruleDiff(it, b.names)},
		Form:  s.newForm(c, groupPath(g.ID)+"/remove"), Back: templates.LinkView{Text: "Cancel", URL: groupsPath},
	}
	if b.named(g.ID) {
		v.Notices = []templates.NoticeView{{Tone: "warn", Text: "A policy names this group. Change the policy first; until then the group stays."}}
	}
	return s.ruleRemoval(c, v, change.KindGroup, reason, complaint)
}

// groupDelete asks to remove a group.
func (s *Server) groupDelete(c echo.Context) error {
	var in reasonForm
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.ProposeGroupDelete(c.Request().Context(), reader(c), in.Reason, c.Param("id"))
	if problem.Is(err, problem.Invalid) {
		return s.groupRemovePage(c, in.Reason, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, groupsPath)
}
