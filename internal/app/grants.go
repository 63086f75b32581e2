package app

import (
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// grantForm is what is typed about the roles of a person or a group: those that are
// ticked, as [access.Grant.String] writes them, and one more in a scope.
type grantForm struct {
	Roles   []string
	Role    string // to add
	Where   string // "", project:prj_… or environment:…
	Toolkit string
}

// grants are what was chosen. What can't be read is a role that there is not.
func (f grantForm) grants() []access.Grant {
	var all []access.Grant
	for _, text := range f.Roles {
		all = append(all, readGrant(text))
	}
	if f.Role != "" {
		one := readGrant(strings.TrimSpace(f.Role + " " + f.Where))
		one.Scope.Toolkit = strings.ToLower(strings.TrimSpace(f.Toolkit))
		all = append(all, one)
	}
	return all
}

// check complains about a scope without a role, which would be forgotten otherwise.
func (f grantForm) check() error {
	if f.Role != "" || f.Where == "" && strings.TrimSpace(f.Toolkit) == "" {
		return nil
	}
	return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", map[string]string{"role": "Choose the role to add there, or choose all projects and clear the toolkit."})
}

func readGrant(text string) access.Grant {
	if g, ok := access.ReadGrant(text); ok {
		return g
	}
	return access.Grant{Role: "unknown"}
}

// grantFormOf is the form as it stands for grants.
func grantFormOf(grants []access.Grant) grantForm {
	var f grantForm
	for _, g := range grants {
		f.Roles = append(f.Roles, g.String())
	}
	return f
}

// grantFields are the fields for roles.
func (b rulebook) grantFields(f grantForm, have []access.Grant, wrong map[string]string) templates.GrantFieldsView {
	v := templates.GrantFieldsView{Roles: b.roleChecks(f.Roles), Complaint: wrong["roles"]}
	narrow := slices.Clone(f.Roles)
	for _, g := range have {
		narrow = append(narrow, g.String())
	}
	slices.Sort(narrow)
	for _, text := range slices.Compact(narrow) {
		if g, ok := access.ReadGrant(text); ok && g.Scope != access.Everywhere {
			v.Narrow = append(v.Narrow, templates.CheckView{Name: "roles", Value: text, Text: grantWords(text, b.names), Checked: slices.Contains(f.Roles, text)})
		}
	}
	v.Role = templates.SelectView{Name: "role", Label: "Role to add", Complaint: wrong["role"], Options: []templates.OptionView{{Text: "None", Selected: f.Role == ""}}}
	for _, r := range b.allRoles() {
		if slices.ContainsFunc(r.Allows, access.Permission.InProjects) {
			v.Role.Options = append(v.Role.Options, templates.OptionView{Value: string(r.ID), Text: r.Name, Selected: f.Role == string(r.ID)})
		}
	}
	v.Where = templates.SelectView{Name: "where", Label: "In which projects", Options: b.whereOptions(f.Where)}
	v.Toolkit = templates.InputView{Name: "toolkit", Label: "Toolkit", Value: f.Toolkit, Optional: true, Code: true, Complete: "off", Complaint: wrong["toolkit"], Hint: "This one alone, as Composio names it, such as github."}
	return v
}

func (b rulebook) whereOptions(chosen string) []templates.OptionView {
	options := []templates.OptionView{{Text: "All projects", Selected: chosen == ""}}
	add := func(s access.Scope, text string) {
		value := strings.TrimSpace(access.Grant{Scope: s}.String())
		options = append(options, templates.OptionView{Value: value, Text: text, Selected: value == chosen})
	}
	for _, e := range mirror.Environments() {
		add(access.Scope{Environment: e}, "All "+e+" projects")
	}
	for _, p := range b.projects {
		if !p.Archived() {
			add(access.Scope{Project: p.ID}, "Only "+p.Name)
		}
	}
	return options
}

// allRoles are the roles that there are: those that there always are, and those that
// people made.
func (b rulebook) allRoles() []access.CustomRole {
	var all []access.CustomRole
	for _, r := range access.Roles() {
		all = append(all, access.CustomRole{ID: r, Name: capital(string(r)), Allows: r.Permissions()})
	}
	return append(all, b.rules.Roles...)
}

// roleChecks are all roles to choose from, to be held everywhere.
func (b rulebook) roleChecks(chosen []string) []templates.CheckView {
	out := roleChecks(chosen)
	for _, r := range b.rules.Roles {
		out = append(out, templates.CheckView{Name: "roles", Value: string(r.ID), Text: r.Name, Hint: "A role made here: " + allows(r.Allows), Checked: slices.Contains(chosen, string(r.ID))})
	}
	return out
}

// allows says what a role allows, in one sentence.
func allows(all []access.Permission) string {
	var words []string
	for _, p := range permissionWords {
		if slices.Contains(all, p.permission) {
			words = append(words, p.words)
		}
	}
	return listed(words, "and") + "."
}

// rights are what somebody may do, and where each comes from.
func rights(u access.User, n names) []templates.RightView {
	var out []templates.RightView
	for _, p := range permissionWords {
		if !u.May(p.permission) {
			continue
		}
		v := templates.RightView{Text: capital(p.words)}
		for _, g := range u.Grants {
			if !g.Allowing(p.permission) || g.Scope != access.Everywhere && !p.permission.InProjects() {
				continue
			}
			from := grantWords(g.String(), n)
			if g.Through != "" {
				from += ", by the group " + n.of(g.Through)
			}
			v.From = append(v.From, from)
		}
		out = append(out, v)
	}
	return out
}

// ruleCrumbs lead to where a kind of rule is listed.
func ruleCrumbs(kind change.Kind) (nav string, crumbs []templates.LinkView) {
	switch kind {
	case change.KindGroup:
		return "People", groupCrumbs
	case change.KindCustomRole:
		return "People", roleCrumbs
	}
	return "Policies", policyCrumbs
}
