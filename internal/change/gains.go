package change

import (
	"slices"

	"gatehouse/internal/access"
)

// Barred says, in words for them, why somebody has no vote on the request, whatever
// their roles: they wrote it, or it gives them rights. It is "" for everybody else.
func (r *Request) Barred(userID string, people []access.User) string {
	switch {
	case r.contributed(userID):
		return "You took part in writing it, so somebody else has to agree."
	case slices.Contains(gaining(r.Revision.Items, people), userID):
		return "You can't approve a change that gives you rights. Somebody else has to agree."
	}
	return ""
}

// apart are the ids of those who have no vote on the request.
func (r *Request) apart(people []access.User) []string {
	return slices.Concat(r.Revision.Contributors, gaining(r.Revision.Items, people))
}

// gaining are the ids of those whom items give rights, with people as they are now.
func gaining(items []Item, people []access.User) []string {
	var ids []string
	for _, it := range items {
		switch it.Kind {
		case KindRoles:
			if it.adds(fieldRoles) {
				ids = append(ids, it.Target)
			}
		case KindBreakGlass:
			ids = append(ids, it.added(fieldPeople)...)
		case KindGroup:
			ids = append(ids, it.added(fieldMembers)...)
			if it.adds(fieldRoles) {
				ids = append(ids, it.Set[fieldMembers]...)
				ids = append(ids, those(people, func(u access.User) bool { return u.InGroup(it.Target) })...)
			}
		case KindCustomRole:
			if it.adds(fieldPermissions) {
				ids = append(ids, those(people, func(u access.User) bool { return u.Has(access.Role(it.Target)) })...)
			}
		}
	}
	return ids
}

func those(people []access.User, is func(access.User) bool) []string {
	var ids []string
	for _, u := range people {
		if is(u) {
			ids = append(ids, u.ID)
		}
	}
	return ids
}

func (it Item) adds(field string) bool { return len(it.added(field)) > 0 }

// added are the values of a list that an item adds. A role that was given everywhere
// is none where it is given for less.
func (it Item) added(field string) []string {
	return slices.DeleteFunc(slices.Clone(it.Set[field]), func(v string) bool {
		g, _ := access.ReadGrant(v)
		return slices.Contains(it.Base[field], v) || field == fieldRoles && slices.Contains(it.Base[field], string(g.Role))
	})
}
