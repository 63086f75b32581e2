package access

import "gatehouse/internal/problem"

// A Permission is something a role allows.
type Permission string

// The permissions.
const (
	ViewConfigs    Permission = "configs.view"    // auth configs, change requests, policies, toolkits
	ViewHistory    Permission = "history.view"    // without addresses of people
	ViewPersonal   Permission = "history.people"  // e-mail, IP and browser in history; sign-ins
	ExportHistory  Permission = "history.export"  // take results and evidence away as files
	ReviewHistory  Permission = "history.review"  // look back formally, and close what another opened
	ViewPeople     Permission = "people.view"     // names, roles
	ProposeChange  Permission = "changes.propose" // and apply, where policy asks for no approval
	ApproveChange  Permission = "changes.approve"
	CancelChange   Permission = "changes.cancel" // of others, with a reason
	SettleChange   Permission = "changes.settle" // say what happened where nobody can know
	SyncProject    Permission = "projects.sync"
	ManageProjects Permission = "projects.manage"
	ManagePeople   Permission = "people.manage"
	ManageRules    Permission = "rules.manage"  // propose policies, groups, freeze windows, the break-glass list
	ReviewBypass   Permission = "bypass.review" // look back at what was applied without approval
	ViewSettings   Permission = "settings.view"

	ManageNotifications Permission = "notifications.manage"
	ManageSinks         Permission = "sinks.manage"
)

var everyone = []Permission{ViewConfigs, ViewHistory, ViewPeople, SyncProject}

// permissions is the one table of role × permission.
var permissions = map[Role][]Permission{
	Viewer:   everyone,
	Editor:   append([]Permission{ProposeChange, SettleChange}, everyone...),
	Approver: append([]Permission{ApproveChange, ReviewBypass}, everyone...),
	Auditor:  append([]Permission{ViewPersonal, ExportHistory, ReviewHistory, ViewSettings, ReviewBypass}, everyone...),
	Admin:    append([]Permission{ViewPersonal, ExportHistory, ViewSettings, ManagePeople, ManageProjects, ManageRules, ManageNotifications, ManageSinks, CancelChange, SettleChange}, everyone...),
}

// Permissions lists them all, in the order of pages.
func Permissions() []Permission {
	return []Permission{
		ViewConfigs, ProposeChange, ApproveChange, CancelChange, SettleChange, ReviewBypass, SyncProject, ViewHistory, ExportHistory,
		ViewPersonal, ReviewHistory, ViewPeople, ManagePeople, ManageRules, ViewSettings, ManageProjects, ManageNotifications, ManageSinks,
	}
}

// InProjects reports whether the permission is about what belongs to projects, so
// that it can be given for some of them.
func (p Permission) InProjects() bool {
	switch p {
	case ViewConfigs, ProposeChange, ApproveChange, CancelChange, SettleChange, ReviewBypass, SyncProject, ViewHistory, ExportHistory:
		return true
	}
	return false
}

// Permissions returns what a role allows that there always is.
func (r Role) Permissions() []Permission { return permissions[r] }

// Check returns a problem of kind Forbidden unless the user has the permission.
func (u User) Check(p Permission) error {
	if u.May(p) {
		return nil
	}
	return problem.New(problem.Forbidden, "Your roles don't allow this. Ask an admin for the role you need.")
}
