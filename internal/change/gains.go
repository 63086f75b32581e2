package change

import (
	"slices"

	"gatehouse/internal/access"
)

// Barred says, in words for them, why somebody may not approve the request, whatever
// their roles: they wrote it, or it gives them rights. It is "" for everybody else.
func (r *Request) Barred(userID string, people []access.User) string {
	switch {
	case r.contributed(userID):
		return "You took part in writing it, so somebody else has to agree."
	case r.gains(userID, people):
		return "You can't approve a change that gives you rights. Somebody else has to agree."
	}
	return ""
}

// Voter reports whether somebody may vote on the request, if only to say no: the
// policies name them, and they had no part in writing it.
func (r *Request) Voter(u access.User) bool {
	return !r.contributed(u.ID) && admits(r.Policies, r.At(u))
}

// Stuck reports whether too few people could approve the request as things are, for
// it gives the others rights.
func (r *Request) Stuck(people []access.User) bool {
	return (r.State == InReview || r.State == ChangesRequested) &&
		satisfiable(r.Policies, r.here(without(people, r.Revision.Contributors))) &&
		!satisfiable(r.Policies, r.here(without(people, r.apart(people))))
}

// gains reports whether the request gives somebody rights that they don't have.
func (r *Request) gains(userID string, people []access.User) bool {
	if r.Project != "" {
		return false // only rules give rights
	}
	at := slices.IndexFunc(people, func(u access.User) bool { return u.ID == userID })
	return at >= 0 && given(r.Revision.Items, people[at])
}

// apart are the ids of those who can't approve the request.
func (r *Request) apart(people []access.User) []string {
	ids := slices.Clone(r.Revision.Contributors)
	for _, u := range people {
		if r.Project == "" && given(r.Revision.Items, u) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

func given(items []Item, u access.User) bool {
	return slices.ContainsFunc(items, func(it Item) bool { return it.gives(u) })
}

// gives reports whether an item gives somebody rights that they don't have.
func (it Item) gives(u access.User) bool {
	switch it.Kind {
	case KindRoles:
		return it.Target == u.ID && it.addsRole(u)
	case KindBreakGlass:
		return slices.Contains(it.added(fieldPeople), u.ID)
	case KindGroup:
		named := slices.Contains(it.Set[fieldMembers], u.ID)
		in := it.Operation != Create && u.InGroup(it.Target)
		return named && !in && it.Operation != Create || (named || in) && it.addsRole(u)
	case KindCustomRole:
		return it.allowsMore(u)
	case KindProject:
		return it.movesTo(u)
	}
	return false
}

// addsRole reports whether any role that an item gives isn't somebody's already, by
// whatever gives it, in all that it is given for.
func (it Item) addsRole(u access.User) bool {
	return slices.ContainsFunc(it.Set[fieldRoles], func(line string) bool {
		g, _ := access.ReadGrant(line)
		return !slices.ContainsFunc(u.Grants, func(have access.Grant) bool {
			return have.Role == g.Role && have.Scope.Includes(g.Scope)
		})
	})
}

// allowsMore reports whether somebody has the role that an item is about, and not all
// that is added to it, wherever they have the role.
func (it Item) allowsMore(u access.User) bool {
	return slices.ContainsFunc(it.added(fieldPermissions), func(p string) bool {
		return slices.ContainsFunc(u.Grants, func(g access.Grant) bool {
			return g.Role == access.Role(it.Target) && !slices.ContainsFunc(u.Grants, func(have access.Grant) bool {
				return have.Allowing(access.Permission(p)) && have.Scope.Includes(g.Scope)
			})
		})
	})
}

// movesTo reports whether somebody may do more in a project, or with a toolkit of it,
// once it is of another environment.
func (it Item) movesTo(u access.User) bool {
	before := access.Place{Project: it.Target, Environment: first(it.Base[fieldEnvironment])}
	after := access.Place{Project: it.Target, Environment: first(it.Set[fieldEnvironment])}
	for _, toolkit := range append(u.Toolkits(), "") {
		before.Toolkit, after.Toolkit = toolkit, toolkit
		for _, p := range access.Permissions() {
			if p.InProjects() && u.MayIn(p, after) && !u.MayIn(p, before) {
				return true
			}
		}
	}
	return false
}

// added are the values of a list that an item adds.
func (it Item) added(field string) []string {
	return slices.DeleteFunc(slices.Clone(it.Set[field]), func(v string) bool { return slices.Contains(it.Base[field], v) })
}
