package change

import (
	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
)

// Places are where the request is: one for each toolkit of its auth configs. What
// somebody may do with it they must be allowed to do in all of them. A change of
// the rules is in no project.
func (r *Request) Places() []access.Place {
	return placesOf(access.Place{Project: r.Project, Environment: r.Environment}, r.Toolkits())
}

// Places are where the request of the line is, if its project is the given one.
func (l Line) Places(p mirror.Project) []access.Place { return placesOf(p.Place(), l.Toolkits) }

func placesOf(at access.Place, toolkits []string) []access.Place {
	if len(toolkits) == 0 {
		return []access.Place{at}
	}
	all := make([]access.Place, len(toolkits))
	for i, slug := range toolkits {
		all[i] = at
		all[i].Toolkit = slug
	}
	return all
}

// At is somebody as they are where the request is.
func (r *Request) At(u access.User) access.User {
	if !u.Scoped() {
		return u
	}
	return u.At(r.Places()...)
}

// reader is [Request.At] for who makes a request.
func (r *Request) reader(by access.Reader) access.Reader {
	by.User = r.At(by.User)
	return by
}

// ReadBy reports whether somebody may see the request: where it is, and drafts are
// their author's alone.
func (r *Request) ReadBy(u access.User) bool {
	return (!r.Private() || r.Author.ID == u.ID) && r.At(u).May(access.ViewConfigs)
}

// here are people as they are where the request is.
func (r *Request) here(people []access.User) []access.User { return at(r.Places(), people) }

func at(places []access.Place, people []access.User) []access.User {
	out := make([]access.User, len(people))
	for i, u := range people {
		out[i] = u.At(places...)
	}
	return out
}

// wherever are people as they are in each place that the policy is about: they may
// be others in every project.
func (p Policy) wherever(people []access.User, rules Rules) [][]access.User {
	if p.Subject == AboutRules {
		return [][]access.User{at([]access.Place{{}}, people)}
	}
	var all [][]access.User
	for id, environment := range rules.Environments {
		if one := (mirror.Project{ID: id, Environment: environment}); p.In(one) {
			all = append(all, within(one.At(p.Toolkit), people))
		}
	}
	if len(all) == 0 {
		all = append(all, within(access.Place{Project: p.Project, Environment: p.Environment, Toolkit: p.Toolkit}, people))
	}
	return all
}

func within(at access.Place, people []access.User) []access.User {
	out := make([]access.User, len(people))
	for i, u := range people {
		out[i] = u.Within(at)
	}
	return out
}
