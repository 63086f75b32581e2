package change

import (
	"context"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

const mostGrants = 50 // of one person or group

// ProposeRoles asks for other grants of a person's own.
func (s *Service) ProposeRoles(ctx context.Context, by access.Reader, reason string, person access.User, grants []access.Grant) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	if grants, err = rules.checkGrants(grants); err != nil {
		return Request{}, err
	}
	it := Item{
		Kind: KindRoles, Operation: Update, Target: person.ID, Name: person.Name,
		Set: mirror.Values{fieldRoles: grantTexts(grants)}, Base: mirror.Values{fieldRoles: grantTexts(person.Own())},
	}
	if person.ID == by.ID {
		if err := keepsManaging(by, slices.Concat(grants, through(by.User, ""))); err != nil {
			return Request{}, err
		}
	}
	return s.proposeRule(ctx, by, reason, "Change the roles of "+person.Name, it)
}

// through are the grants that somebody has by groups, but for one group.
func through(u access.User, but string) []access.Grant {
	return slices.DeleteFunc(slices.Clone(u.Grants), func(g access.Grant) bool { return g.Through == "" || g.Through == but })
}

// keepsManaging refuses that somebody takes from themselves what they are doing it
// by: another has to, so that somebody is left.
func keepsManaging(by access.Reader, after []access.Grant) error {
	if !by.May(access.ManagePeople) || by.ID == "" {
		return nil // it is refused for that, or done by an operator
	}
	then := by.User
	then.Grants = after
	if then.May(access.ManagePeople) {
		return nil
	}
	return problem.New(problem.Conflict, "You can't take the admin role from yourself. Ask another admin.")
}

// checkGrants completes grants with what they allow, and complains about those
// that can't be meant.
func (r Rules) checkGrants(grants []access.Grant) ([]access.Grant, error) {
	grants, known := access.Known(grants, r.Roles)
	field, complaint := fieldRoles, ""
	if !known {
		complaint = "Choose from the roles that are listed."
	}
	for _, g := range grants {
		at := g.Scope
		switch {
		case at.Project != "" && (!r.hasProject(at.Project) || at.Environment != ""):
			complaint = "Choose a project or an environment, not both."
		case at.Environment != "" && !slices.Contains(mirror.Environments(), at.Environment):
			complaint = "Choose one of the environments."
		case at.Toolkit != "" && !toolkitSlug.MatchString(at.Toolkit):
			field, complaint = fieldToolkit, "Enter a toolkit as Composio names it, such as github."
		case at != access.Everywhere && !slices.ContainsFunc(g.Allows, access.Permission.InProjects):
			complaint = "This role is about nothing that belongs to projects, so it is given everywhere or not at all."
		}
	}
	if len(grants) > mostGrants {
		field, complaint = fieldRoles, "Give at most 50 roles. A group or a custom role says the same with fewer."
	}
	if complaint != "" {
		return nil, invalidRule(map[string]string{field: complaint})
	}
	return grants, nil
}

// ProposeGroup asks for a new group, or for another name, other members or other
// roles of one that has an id.
func (s *Service) ProposeGroup(ctx context.Context, by access.Reader, reason string, g access.Group) (Request, error) {
	rules, people, err := s.around(ctx)
	if err != nil {
		return Request{}, err
	}
	if g, err = rules.checkGroup(g, people); err != nil {
		return Request{}, err
	}
	it := Item{Kind: KindGroup, Operation: Create, Name: g.Name, Set: groupValues(g), Base: mirror.Values{}}
	title := "Add the group " + g.Name
	if g.ID != "" {
		have, err := rules.group(g.ID)
		if err != nil {
			return Request{}, err
		}
		it.Operation, it.Target, it.Base, title = Update, g.ID, groupValues(have), "Edit the group "+have.Name
		g.Others = have.Others
		if err := keepsManaging(by, afterGroup(by.User, g)); err != nil {
			return Request{}, err
		}
	}
	return s.proposeRule(ctx, by, reason, title, it)
}

func (r Rules) checkGroup(g access.Group, people []access.User) (access.Group, error) {
	wrong := map[string]string{}
	g.Name, wrong[fieldName] = access.CleanName(g.Name)
	for _, m := range g.Members {
		if !slices.ContainsFunc(people, func(u access.User) bool { return u.ID == m }) {
			wrong[fieldMembers] = "Choose from the people who are listed."
		}
	}
	for _, have := range r.Groups {
		if have.ID != g.ID && strings.EqualFold(have.Name, g.Name) {
			wrong[fieldName] = "Another group has this name."
		}
	}
	for _, e := range g.External {
		if _, ok := access.ReadExternalID(e.String()); !ok {
			wrong[fieldExternal] = "Write each id as the source does, without control characters, at most 100 characters."
		}
	}
	if r.externalTaken(g) {
		wrong[fieldExternal] = "Another group has one of these ids. An id leads to one group."
	}
	var err error
	if g.Grants, err = r.checkGrants(g.Grants); err != nil {
		wrong[fieldRoles] = problem.Of(err).Fields[fieldRoles]
	}
	return g, invalidRule(wrong)
}

// afterGroup are the grants that somebody has once a group is as it is given.
func afterGroup(u access.User, g access.Group) []access.Grant {
	after := slices.Concat(u.Own(), through(u, g.ID))
	if slices.Contains(g.All(), u.ID) {
		for _, one := range g.Grants {
			one.Through = g.ID
			after = append(after, one)
		}
	}
	return after
}

func (r Rules) group(id string) (access.Group, error) {
	i := slices.IndexFunc(r.Groups, func(g access.Group) bool { return g.ID == id })
	if i < 0 {
		return access.Group{}, problem.New(problem.NotFound, "There is no such group any more.")
	}
	return r.Groups[i], nil
}

// ProposeGroupDelete asks to remove a group. One that a policy names stays.
func (s *Service) ProposeGroupDelete(ctx context.Context, by access.Reader, reason, id string) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	g, err := rules.group(id)
	if err != nil {
		return Request{}, err
	}
	if slices.ContainsFunc(rules.Policies, func(p Policy) bool { return p.names(id) }) {
		return Request{}, problem.New(problem.Conflict, "A policy names the group %s. Change the policy first.", g.Name)
	}
	if err := keepsManaging(by, afterGroup(by.User, access.Group{ID: id})); err != nil {
		return Request{}, err
	}
	it := Item{Kind: KindGroup, Operation: Delete, Target: id, Name: g.Name, Set: mirror.Values{}, Base: groupValues(g)}
	return s.proposeRule(ctx, by, reason, "Remove the group "+it.Name, it)
}

// ProposeCustomRole asks for a new role, or for another name or other permissions
// of one that has an id.
func (s *Service) ProposeCustomRole(ctx context.Context, by access.Reader, reason string, c access.CustomRole) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	if c, err = access.CleanRole(c); err != nil {
		return Request{}, err
	}
	if slices.ContainsFunc(rules.Roles, func(have access.CustomRole) bool { return have.ID != c.ID && strings.EqualFold(have.Name, c.Name) }) {
		return Request{}, invalidRule(map[string]string{fieldName: "Another role has this name."})
	}
	it := Item{Kind: KindCustomRole, Operation: Create, Name: c.Name, Set: roleValues(c), Base: mirror.Values{}}
	title := "Add the role " + c.Name
	if c.ID != "" {
		have, err := rules.customRole(c.ID)
		if err != nil {
			return Request{}, err
		}
		it.Operation, it.Target, it.Base, title = Update, string(c.ID), roleValues(have), "Edit the role "+have.Name
		if err := keepsManaging(by, withRole(by.Grants, c)); err != nil {
			return Request{}, err
		}
	}
	return s.proposeRule(ctx, by, reason, title, it)
}

// withRole are grants once a role is as it is given.
func withRole(grants []access.Grant, c access.CustomRole) []access.Grant {
	after := slices.Clone(grants)
	for i := range after {
		if after[i].Role == c.ID {
			after[i].Allows = c.Allows
		}
	}
	return after
}

func (r Rules) customRole(id access.Role) (access.CustomRole, error) {
	i := slices.IndexFunc(r.Roles, func(c access.CustomRole) bool { return c.ID == id })
	if i < 0 {
		return access.CustomRole{}, problem.New(problem.NotFound, "There is no such role any more.")
	}
	return r.Roles[i], nil
}

// ProposeCustomRoleDelete asks to remove a role. One that somebody has, or that a
// policy names, stays.
func (s *Service) ProposeCustomRoleDelete(ctx context.Context, by access.Reader, reason string, id access.Role) (Request, error) {
	rules, people, err := s.around(ctx)
	if err != nil {
		return Request{}, err
	}
	c, err := rules.customRole(id)
	if err != nil {
		return Request{}, err
	}
	if why := rules.inUse(id, people); why != "" {
		return Request{}, problem.New(problem.Conflict, "%s", why)
	}
	it := Item{Kind: KindCustomRole, Operation: Delete, Target: string(id), Name: c.Name, Set: mirror.Values{}, Base: roleValues(c)}
	return s.proposeRule(ctx, by, reason, "Remove the role "+c.Name, it)
}

// inUse says why a role can't go, or "".
func (r Rules) inUse(id access.Role, people []access.User) string {
	has := func(g access.Grant) bool { return g.Role == id }
	for _, u := range people {
		if slices.ContainsFunc(u.Own(), has) {
			return u.Name + " has this role. Take it from everybody first."
		}
	}
	for _, g := range r.Groups {
		if slices.ContainsFunc(g.Grants, has) {
			return "The group " + g.Name + " has this role. Take it from the group first."
		}
	}
	for _, p := range r.Policies {
		if needs, _ := p.needs(); slices.ContainsFunc(needs, func(n Need) bool { return slices.Contains(n.Roles, id) }) {
			return "A policy names this role. Change the policy first."
		}
	}
	return ""
}
