package app

import (
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

var roleCrumbs = []templates.LinkView{{Text: "People", URL: "/people"}, {Text: "Roles", URL: rolesPath}}

// roles lists the roles that there are and what each allows.
func (s *Server) roles(c echo.Context) error { return s.rolesPage(c, viewInput{}, nil) }

func (s *Server) rolesPage(c echo.Context, in viewInput, complaint error) error {
	frame, err := s.frame(c, place{title: "Roles", nav: "People", crumbs: roleCrumbs[:1]})
	if err != nil {
		return err
	}
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	may := reader(c).May(access.ManagePeople)
	if typed := s.typed(c); typed != nil && complaint == nil {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	v := templates.RolesView{Page: frame, Tabs: peopleTabs(c, "Roles")}
	if may {
		v.New, v.View = rolesPath+"/new", s.viewForm(c, b, in, complaint)
		v.Complaints = complaintsView(complaint, fieldLabels)
	}
	for _, r := range b.allRoles() {
		row := templates.RuleRowView{Name: r.Name, Text: capital(allows(r.Allows))}
		if !r.ID.Custom() {
			row.Badge = templates.BadgeView{Text: "Always there"}
		} else if may {
			row.Edit, row.Remove = templates.Local(rolePath(r.ID)), templates.Local(rolePath(r.ID)+"/remove")
		}
		v.Rows = append(v.Rows, row)
	}
	if complaint != nil {
		return again(c, templates.Roles(v))
	}
	return page(c, templates.Roles(v))
}

// roleForm is what is typed about a role.
type roleForm struct {
	Name        string   `form:"name"`
	Permissions []string `form:"permissions"`
	Reason      string   `form:"reason"`
}

// roleOf returns the role that the URL names; a new one has no id.
func (s *Server) roleOf(c echo.Context, b rulebook) (access.CustomRole, error) {
	if c.Param("id") == "" {
		return access.CustomRole{}, nil
	}
	for _, r := range b.rules.Roles {
		if string(r.ID) == c.Param("id") {
			return r, nil
		}
	}
	return access.CustomRole{}, problem.New(problem.NotFound, "There is no such role that people made, or not any more.")
}

// role shows the form of a role, new or not.
func (s *Server) role(c echo.Context) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	r, err := s.roleOf(c, b)
	if err != nil {
		return err
	}
	in := roleForm{Name: r.Name}
	for _, p := range r.Allows {
		in.Permissions = append(in.Permissions, string(p))
	}
	if typed := s.typed(c); typed != nil {
		in = roleForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.rolePage(c, r, in, nil)
}

func (s *Server) rolePage(c echo.Context, r access.CustomRole, in roleForm, complaint error) error {
	wrong := fieldComplaints(complaint)
	v := templates.RuleFormView{
		Title: "New role", Sub: "What a role can't do without comes with it. Proposing, approving and managing are never in one role; who needs two of them is given two roles.",
		Form: s.newForm(c, rolesPath), Complaints: complaintsView(complaint, fieldLabels), Back: templates.LinkView{Text: "Cancel", URL: rolesPath},
		Inputs: []templates.InputView{{Name: "name", Label: "Name", Value: in.Name, Required: true, Complaint: wrong["name"], Complete: "off"}},
		Legend: "Allows to", BoxesName: "permissions", BoxesWrong: wrong["permissions"],
	}
	if r.ID != "" {
		v.Title, v.Form = r.Name, s.newForm(c, rolePath(r.ID))
		v.Remove, v.RemoveText = templates.Local(rolePath(r.ID)+"/remove"), "Remove role"
	}
	for _, p := range permissionWords {
		v.Boxes = append(v.Boxes, templates.CheckView{Name: "permissions", Value: string(p.permission), Text: capital(p.words), Checked: slices.Contains(in.Permissions, string(p.permission))})
	}
	return s.ruleForm(c, v, change.KindCustomRole, in.Reason, complaint)
}

// roleSave asks for a role, new or not.
func (s *Server) roleSave(c echo.Context) error {
	var in roleForm
	if err := decode(c, &in); err != nil {
		return err
	}
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	have, err := s.roleOf(c, b)
	if err != nil {
		return err
	}
	wanted := access.CustomRole{ID: have.ID, Name: in.Name}
	for _, p := range in.Permissions {
		wanted.Allows = append(wanted.Allows, access.Permission(p))
	}
	r, err := s.changes.ProposeCustomRole(c.Request().Context(), reader(c), in.Reason, wanted)
	if problem.Is(err, problem.Invalid) {
		return s.rolePage(c, have, in, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, rolesPath)
}

// roleRemove shows which role is to go.
func (s *Server) roleRemove(c echo.Context) error { return s.roleRemovePage(c, "", nil) }

func (s *Server) roleRemovePage(c echo.Context, reason string, complaint error) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	r, err := s.roleOf(c, b)
	if err != nil {
		return err
	}
	base := mirror.Values{"name": {r.Name}}
	for _, p := range r.Allows {
		base["permissions"] = append(base["permissions"], string(p))
	}
	it := change.Item{Kind: change.KindCustomRole, Operation: change.Delete, Name: r.Name, Base: base}
	v := templates.RuleReviewView{
		Title: ruleTitle(it, b.names), Sub: "A role that somebody has, or that a policy names, stays.", Danger: true, Complaints: complaintsView(complaint, fieldLabels),
		Diffs: []templates.DiffView{ruleDiff(it, b.names)},
		Form:  s.newForm(c, rolePath(r.ID)+"/remove"), Back: templates.LinkView{Text: "Cancel", URL: rolesPath},
	}
	return s.ruleRemoval(c, v, change.KindCustomRole, reason, complaint)
}

// roleDelete asks to remove a role.
func (s *Server) roleDelete(c echo.Context) error {
	var in reasonForm
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.ProposeCustomRoleDelete(c.Request().Context(), reader(c), in.Reason, access.Role(c.Param("id")))
	if problem.Is(err, problem.Invalid) {
		return s.roleRemovePage(c, in.Reason, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, rolesPath)
}
