package access

import (
	"slices"
	"strings"
)

// A Scope is where a grant holds. Empty fields don't narrow it.
type Scope struct {
	Project     string // prj_…
	Environment string // of projects
	Toolkit     string // slug
}

// Everywhere is the scope that nothing narrows. What belongs to no project, such
// as people, policies and settings, takes a grant with it.
var Everywhere = Scope{}

// A Place is where something is that a permission is asked for. Without a toolkit
// it is a project as a whole, and without a project what belongs to none.
type Place struct {
	Project     string
	Environment string
	Toolkit     string
}

// covers reports whether all of a place is in the scope.
func (s Scope) covers(at Place) bool {
	return s.reaches(at) && (s.Toolkit == "" || s.Toolkit == at.Toolkit)
}

// meets reports whether some of a place is in the scope.
func (s Scope) meets(at Place) bool {
	return s.reaches(at) && (s.Toolkit == "" || s.Toolkit == at.Toolkit || at.Toolkit == "" && at.Project != "")
}

// reaches reports whether the project of a place is in the scope.
func (s Scope) reaches(at Place) bool {
	return (s.Project == "" || s.Project == at.Project) && (s.Environment == "" || s.Environment == at.Environment)
}

// Includes reports whether all that is in another scope is in this one.
func (s Scope) Includes(o Scope) bool {
	return (s.Project == "" || s.Project == o.Project) && (s.Environment == "" || s.Environment == o.Environment) && (s.Toolkit == "" || s.Toolkit == o.Toolkit)
}

// A Grant is one role in one scope.
type Grant struct {
	Role    Role
	Name    string       // of the role, as people made it; empty for the ones that there always are
	Allows  []Permission // what the role allows
	Scope   Scope
	Through string // grp_…, the group that it comes with; empty: it is the person's own
}

// NewGrant returns a grant of one of the roles that there always are.
func NewGrant(r Role, s Scope) Grant { return Grant{Role: r, Allows: permissions[r], Scope: s} }

// Unscoped are grants of roles that hold everywhere.
func Unscoped(roles ...Role) []Grant {
	var all []Grant
	for _, r := range roles {
		all = append(all, NewGrant(r, Everywhere))
	}
	return all
}

// Allowing reports whether the grant's role has a permission.
func (g Grant) Allowing(p Permission) bool { return slices.Contains(g.Allows, p) }

// Equal reports whether two grants give the same in the same way.
func (g Grant) Equal(o Grant) bool {
	return g.Role == o.Role && g.Scope == o.Scope && g.Through == o.Through && slices.Equal(g.Allows, o.Allows)
}

// gives reports whether a grant gives a permission in a scope that in holds for.
// What is of no project is given only by grants that hold everywhere.
func (g Grant) gives(p Permission, in func(Scope) bool) bool {
	return g.Allowing(p) && (g.Scope == Everywhere || p.InProjects() && in(g.Scope))
}

func (u User) given(p Permission, in func(Scope) bool) bool {
	return u.State == Active && slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.gives(p, in) })
}

// May reports whether the user is active and has the permission somewhere. What
// is of no project they must have everywhere.
func (u User) May(p Permission) bool { return u.given(p, func(Scope) bool { return true }) }

// MayIn reports whether the user is active and has the permission in all of a place.
func (u User) MayIn(p Permission, at Place) bool {
	return u.given(p, func(s Scope) bool { return s.covers(at) })
}

// MayWithin reports whether the user is active and has the permission in some of a
// place: of a project, for one of its toolkits at least.
func (u User) MayWithin(p Permission, at Place) bool {
	return u.given(p, func(s Scope) bool { return s.meets(at) })
}

// In are the grants of the user, if they are active, that hold in all of a place.
func (u User) In(at Place) []Grant {
	if u.State != Active {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(u.Grants), func(g Grant) bool { return !g.Scope.covers(at) })
}

// Toolkits are those that any of the user's grants is narrowed to, sorted.
func (u User) Toolkits() []string {
	var all []string
	for _, g := range u.Grants {
		if g.Scope.Toolkit != "" {
			all = append(all, g.Scope.Toolkit)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Has reports whether the user holds the role somewhere.
func (u User) Has(r Role) bool {
	return slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.Role == r })
}

// Roles are the roles that the user holds somewhere, each once and sorted.
func (u User) Roles() []Role {
	var all []Role
	for _, g := range u.Grants {
		if g.Role != "" { // what they have by several, see narrowed
			all = append(all, g.Role)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Own are the grants that are the user's own, and not a group's.
func (u User) Own() []Grant {
	return slices.DeleteFunc(slices.Clone(u.Grants), func(g Grant) bool { return g.Through != "" })
}

// SameGrants reports whether another user has the same grants.
func (u User) SameGrants(o User) bool { return slices.EqualFunc(u.Grants, o.Grants, Grant.Equal) }

// Scoped reports whether any of the user's grants doesn't hold everywhere.
func (u User) Scoped() bool {
	return slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.Scope != Everywhere })
}

// At is the user as they are in all of some places, as if they were so everywhere:
// their roles are those that they hold, and their permissions those that they have
// in every one of them.
func (u User) At(places ...Place) User { return u.narrowed(Scope.covers, places) }

// Within is [User.At] for some part of one place.
func (u User) Within(at Place) User { return u.narrowed(Scope.meets, []Place{at}) }

func (u User) narrowed(in func(Scope, Place) bool, places []Place) User {
	if !u.Scoped() {
		return u
	}
	everyPlace := func(has func(Grant, Place) bool) bool {
		return !slices.ContainsFunc(places, func(at Place) bool {
			return !slices.ContainsFunc(u.Grants, func(g Grant) bool { return has(g, at) })
		})
	}
	var there []Grant
	for _, g := range u.Grants {
		if g.Scope == Everywhere || everyPlace(func(o Grant, at Place) bool { return o.Role == g.Role && in(o.Scope, at) }) {
			g.Allows = slices.DeleteFunc(slices.Clone(g.Allows), func(p Permission) bool { return g.Scope != Everywhere && !p.InProjects() })
			g.Scope = Everywhere
			there = append(there, g)
		}
	}
	together := Grant{} // what they have by different roles in different places
	for _, p := range Permissions() {
		if p.InProjects() && everyPlace(func(g Grant, at Place) bool { return g.Allowing(p) && in(g.Scope, at) }) {
			together.Allows = append(together.Allows, p)
		}
	}
	if len(together.Allows) > 0 {
		there = append(there, together)
	}
	u.Grants = there
	return u
}

// String writes the grant as it stands in change requests and in history: the role,
// and what narrows it.
func (g Grant) String() string {
	parts := []string{string(g.Role)}
	for _, one := range g.Scope.parts() {
		if one.value != "" {
			parts = append(parts, one.name+":"+one.value)
		}
	}
	return strings.Join(parts, " ")
}

type scopePart struct{ name, value string }

func (s Scope) parts() []scopePart {
	return []scopePart{{"project", s.Project}, {"environment", s.Environment}, {"toolkit", s.Toolkit}}
}

// ReadGrant reads what [Grant.String] writes. What it allows is not known by that.
func ReadGrant(text string) (Grant, bool) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Grant{}, false
	}
	g := Grant{Role: Role(words[0])}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, ":")
		to := map[string]*string{"project": &g.Scope.Project, "environment": &g.Scope.Environment, "toolkit": &g.Scope.Toolkit}[name]
		if to == nil || *to != "" || value == "" {
			return Grant{}, false
		}
		*to = value
	}
	return g, true
}
