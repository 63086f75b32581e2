package app

import (
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/web/templates"
)

// addressFor is a person's address, as far as the reader may see it: their own,
// and others' with the permission.
func addressFor(reader access.Reader, u access.User) string {
	if reader.ID == u.ID || reader.May(access.ViewPersonal) {
		return u.Email
	}
	return ""
}

func personRow(u access.User, address string, n names, now time.Time) templates.PersonRowView {
	v := templates.PersonRowView{
		Name: u.Name, Email: address, URL: templates.Local(personPath(u.ID)), Avatar: face(u.Name, u.ID),
		State: userBadge(u.State), LastSeen: ago(u.LastSignIn, now),
	}
	held := grantFormOf(u.Grants).Roles
	slices.Sort(held)
	for _, line := range slices.Compact(held) {
		v.Roles = append(v.Roles, templates.BadgeView{Text: grantWords(line, n)})
	}
	return v
}

func userBadge(state string) templates.BadgeView {
	switch state {
	case access.Active:
		return templates.BadgeView{Text: "Active", Tone: "good"}
	case access.Invited:
		return templates.BadgeView{Text: "Invited", Tone: "info"}
	}
	return templates.BadgeView{Text: capital(state), Tone: "bad"}
}

// permissionWords say what each permission allows, in the order of the list.
var permissionWords = []struct {
	permission access.Permission
	words      string
}{
	{access.ViewConfigs, "see auth configs, changes and policies"},
	{access.ProposeChange, "propose changes, and apply what policy lets through"},
	{access.ApproveChange, "approve changes of others"},
	{access.CancelChange, "cancel changes of others"},
	{access.SettleChange, "say what became of a change that Gatehouse can't follow"},
	{access.SyncProject, "have a project read from Composio now"},
	{access.ViewHistory, "read history"},
	{access.ViewPersonal, "see addresses of people, in history too"},
	{access.ExportHistory, "take history and evidence away as files"},
	{access.ReviewHistory, "review history, and close reviews of others"},
	{access.ViewPeople, "see people, their roles and groups"},
	{access.ManagePeople, "invite people, and propose their roles and groups"},
	{access.ManageRules, "propose policies, freeze windows and the break-glass list"},
	{access.ReviewBypass, "review what was applied without approval"},
	{access.ManageProjects, "manage projects and their API keys"},
	{access.ManageNotifications, "manage where notifications go"},
	{access.ManageSinks, "manage where history is sent"},
	{access.ViewSettings, "see settings"},
}

// permissionName says what a permission allows, with a capital letter.
func permissionName(p access.Permission) string {
	for _, one := range permissionWords {
		if one.permission == p {
			return capital(one.words)
		}
	}
	return string(p)
}

func personView(u access.User, address string, n names, now time.Time) templates.PersonView {
	v := templates.PersonView{
		Name: u.Name, Email: address, Avatar: face(u.Name, u.ID), State: userBadge(u.State),
		Facts: []templates.FactView{
			{Name: "Roles", Text: rolesOf(u)}, {Name: "Groups", Text: groupNames(u, n)}, {Name: "Account since", Time: exact(u.CreatedAt)}, {Name: "Last sign-in", Time: ago(u.LastSignIn, now)}, {Name: "ID", Code: u.ID},
		},
	}
	v.May = rights(u, n)
	return v
}

func groupNames(u access.User, n names) string {
	if len(u.Groups) == 0 {
		return "None"
	}
	return listed(ruleWords("members", u.Groups, n), "and")
}
