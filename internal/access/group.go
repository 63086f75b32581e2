package access

import "slices"

// A Group is people who are named together in policies.
type Group struct {
	ID      string // grp_…
	Name    string
	Members []string // user ids, sorted
}

// CleanName tidies the name of something that people give names to, or complains.
func CleanName(s string) (string, string) { return cleanName(s) }

// InGroup reports whether the user is a member of a group.
func (u User) InGroup(id string) bool { return slices.Contains(u.Groups, id) }

// CleanRoles sorts roles and leaves out repeated ones, or complains about unknown
// ones and about none at all.
func CleanRoles(roles []Role) ([]Role, string) { return cleanRoles(roles) }
