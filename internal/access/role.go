package access

import (
	"slices"
	"strings"
)

// A CustomRole is a role that people made.
type CustomRole struct {
	ID     Role // rol_…
	Name   string
	Allows []Permission // in the order of [Permissions]
}

// Custom reports whether a role is one that people made.
func (r Role) Custom() bool { return strings.HasPrefix(string(r), "rol_") }

// duties are the kinds of permission of which one role has one at the most: who
// proposes, who decides or looks back, and who manages who may do so are kept
// apart. Somebody who is to have two of them is given two roles, in the open.
var duties = []struct {
	name string
	of   []Permission
}{
	{"proposing changes", []Permission{ProposeChange}},
	{"approving or reviewing", []Permission{ApproveChange, ReviewBypass, ReviewHistory}},
	{"managing people, policies, projects, notifications or sinks", managing},
}

// managing are the permissions to manage what the console does and for whom.
var managing = []Permission{ManagePeople, ManageRules, ManageProjects, ManageNotifications, ManageSinks}

// implied are the permissions without which another is of no use.
var implied = map[Permission][]Permission{
	ViewPersonal: {ViewHistory}, ExportHistory: {ViewHistory}, ReviewHistory: {ViewHistory, ViewPersonal},
	ManagePeople: {ViewPeople}, ManageProjects: {ViewSettings}, ManageNotifications: {ViewSettings}, ManageSinks: {ViewSettings},
}

// CleanRole tidies a role that people make: every role sees auth configs, and what
// a permission can't do without comes with it. It refuses a role that would join
// duties that are kept apart.
func CleanRole(r CustomRole) (CustomRole, error) {
	fields := map[string]string{}
	r.Name, fields["name"] = cleanName(r.Name)
	if slices.ContainsFunc(Roles(), func(b Role) bool { return strings.EqualFold(string(b), r.Name) }) {
		fields["name"] = "There is a role of this name already."
	}
	r.Allows, fields["permissions"] = cleanPermissions(r.Allows)
	return r, complaints(fields)
}

func cleanPermissions(chosen []Permission) ([]Permission, string) {
	var all []Permission
	for _, p := range Permissions() {
		if slices.Contains(chosen, p) || p == ViewConfigs || slices.ContainsFunc(chosen, func(c Permission) bool { return slices.Contains(implied[c], p) }) {
			all = append(all, p)
		}
	}
	if slices.ContainsFunc(chosen, func(p Permission) bool { return !slices.Contains(all, p) }) {
		return nil, "Choose from the permissions that are listed."
	}
	var has []string
	for _, d := range duties {
		if slices.ContainsFunc(d.of, func(p Permission) bool { return slices.Contains(all, p) }) {
			has = append(has, d.name)
		}
	}
	if len(has) > 1 {
		return all, "One role can't have both " + strings.Join(has, " and ") + ". Make two roles; who needs both is given both."
	}
	return all, ""
}

// Known completes grants with what their roles allow, and reports whether there are
// all of these roles. One that there is not allows nothing.
func Known(grants []Grant, custom []CustomRole) ([]Grant, bool) {
	out, all := slices.Clone(grants), true
	for i := range out {
		g := &out[i]
		g.Name, g.Allows = "", permissions[g.Role]
		if at := slices.IndexFunc(custom, func(c CustomRole) bool { return c.ID == g.Role }); at >= 0 {
			g.Name, g.Allows = custom[at].Name, custom[at].Allows
		}
		all = all && len(g.Allows) > 0
	}
	return out, all
}
