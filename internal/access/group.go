package access

import (
	"slices"
	"strings"
)

// LocalMember is the source of memberships that are given here, by change requests.
// Others begin with what gives them, such as "oidc:…" or "scim".
const LocalMember = "local"

// A Group is people who are named together in policies and may be given roles
// together.
type Group struct {
	ID      string // grp_…
	Name    string
	Members []string // ids of users who are in it by change requests, sorted
	Others  []Member // who are in it by other sources, by user
	Grants  []Grant  // that its members have

	External []ExternalID // what it is called by sources of members, sorted
	Keeper   string       // the source of the directory that keeps it, see [DirectorySource]; empty if none does
}

// An ExternalID is what a source calls a group. Whoever the source says is in that
// is in the group.
type ExternalID struct {
	Source string
	ID     string
}

// String writes the id as it stands in change requests and in history.
func (e ExternalID) String() string { return e.Source + " " + e.ID }

// ReadExternalID reads what [ExternalID.String] writes.
func ReadExternalID(s string) (ExternalID, bool) {
	source, id, _ := strings.Cut(s, " ")
	clean, complaint := cleanName(id)
	e := ExternalID{source, id}
	return e, source != "" && complaint == "" && clean == id
}

// A Member is in a group since a source says so.
type Member struct{ User, Source string }

// All are the ids of those who are in the group, whatever says so, sorted.
func (g Group) All() []string {
	all := slices.Clone(g.Members)
	for _, m := range g.Others {
		all = append(all, m.User)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Source is who else than Gatehouse says that somebody is in the group, "" if nobody
// does.
func (g Group) Source(user string) string {
	at := slices.IndexFunc(g.Others, func(m Member) bool { return m.User == user })
	if at < 0 {
		return ""
	}
	return g.Others[at].Source
}

// CleanName tidies the name of something that people give names to, or complains.
func CleanName(s string) (string, string) { return cleanName(s) }

// InGroup reports whether the user is a member of a group.
func (u User) InGroup(id string) bool { return slices.Contains(u.Groups, id) }

// CleanRoles sorts roles and leaves out repeated ones, or complains about unknown
// ones and about none at all.
func CleanRoles(roles []Role) ([]Role, string) { return cleanRoles(roles) }
