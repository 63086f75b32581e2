package change

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// applyRules carries out a change of the rules, in the transaction that claims it.
// Where a rule isn't any more what the request relies on, nothing is changed.
func (s *Service) applyRules(r *Request, t table, effect *Effect) error {
	for i, it := range r.Revision.Items {
		change, err := it.ruleChange(t)
		if err == nil && !it.Base.Equal(t.rules.values(it, t.people)) {
			err = problem.New(problem.Conflict, "This rule was changed after the request was written.")
		}
		if err == nil && !t.managed(append(slices.Clone(effect.Rules), change)) {
			err = problem.New(problem.Conflict, "Nobody would manage people any more. Make somebody else an admin first.")
		}
		change.Client.MadeBy = r.Author.ID
		if p := problem.Of(err); p != nil {
			r.enter(Failed, p.Message, t.now)
			effect.Rules = nil
			effect.Events = []audit.Event{failedOutcome(r.event(audit.System(), "change.failed"), p.Message)}
			for k := range r.Progress {
				r.Progress[k].State, r.Progress[k].Note = ItemFailed, p.Message
			}
			return nil
		}
		if err != nil {
			return err
		}
		r.Progress[i].State, r.Progress[i].Target = ItemApplied, change.ID
		effect.Rules = append(effect.Rules, change)
		effect.add(it.ruleEvent(r, change))
	}
	r.enter(Applied, "", t.now)
	effect.add(r.event(audit.System(), "change.applied"))
	return nil
}

// managed reports whether somebody manages people once rules have changed, or nobody
// does now.
func (t table) managed(changes []RuleChange) bool {
	manages := func(u access.User) bool { return u.May(access.ManagePeople) }
	return !slices.ContainsFunc(t.people, manages) || slices.ContainsFunc(t.people, func(u access.User) bool {
		for _, c := range changes {
			u.Grants = t.rules.grantsAfter(u, c)
		}
		return manages(u)
	})
}

// grantsAfter are the grants that somebody has once a rule has changed.
func (r Rules) grantsAfter(u access.User, c RuleChange) []access.Grant {
	switch {
	case c.Kind == KindRoles && c.ID == u.ID:
		return slices.Concat(c.Grants, through(u, ""))
	case c.Kind == KindCustomRole && !c.Delete:
		return withRole(u.Grants, c.CustomRole)
	case c.Kind == KindGroup && c.Delete:
		return afterGroup(u, access.Group{ID: c.ID})
	case c.Kind == KindGroup:
		have, _ := r.group(c.ID) // a new one has nobody by other sources
		c.Group.Others = have.Others
		return afterGroup(u, c.Group)
	}
	return u.Grants
}

// values are the fields of the rule that an item is about, as they are now.
func (r Rules) values(it Item, people []access.User) mirror.Values {
	switch it.Kind {
	case KindPolicy:
		if p, err := r.policy(it.Target); err == nil {
			return p.Values()
		}
	case KindGroup:
		for _, g := range r.Groups {
			if g.ID == it.Target {
				return groupValues(g)
			}
		}
	case KindCustomRole:
		if c, err := r.customRole(access.Role(it.Target)); err == nil {
			return roleValues(c)
		}
	case KindFreeze:
		for _, f := range r.Freezes {
			if f.ID == it.Target {
				return f.values()
			}
		}
	case KindClient:
		return mirror.Values{fieldGiving: r.giving(first(it.Set[fieldDirectory]))}
	case KindProject:
		return mirror.Values{fieldEnvironment: one(r.Environments[it.Target])}
	case KindBreakGlass:
		return mirror.Values{fieldPeople: slices.Sorted(slices.Values(r.BreakGlass))}
	case KindRoles:
		for _, u := range people {
			if u.ID == it.Target {
				return mirror.Values{fieldRoles: grantTexts(u.Own())}
			}
		}
	}
	return mirror.Values{}
}

var ruleIDs = map[Kind]string{KindPolicy: "pol_", KindGroup: "grp_", KindFreeze: "frz_", KindCustomRole: "rol_", KindClient: "scm_"}

// ruleChange is what an item does to our database.
func (it Item) ruleChange(t table) (RuleChange, error) {
	c := RuleChange{Kind: it.Kind, ID: it.Target, Delete: it.Operation == Delete}
	if c.ID == "" {
		c.ID = ruleIDs[it.Kind] + secret.Code(16)
	}
	var err error
	switch it.Kind {
	case KindPolicy:
		if c.Delete {
			return c, nil
		}
		if c.Policy, err = PolicyFrom(c.ID, it.Set, t.now); err == nil && c.Policy.checkSteps(t.rules, t.people) != "" {
			err = problem.New(problem.Conflict, "Too few people could satisfy this policy now.")
		}
	case KindRoles:
		c.Grants, err = grantsFrom(it.Set[fieldRoles], t.rules.Roles)
	case KindCustomRole:
		return it.roleChange(c, t)
	case KindGroup:
		if c.Group, err = it.group(c.ID, t.rules); err == nil && c.Delete && slices.ContainsFunc(t.rules.Policies, func(p Policy) bool { return p.names(c.ID) }) {
			err = problem.New(problem.Conflict, "A policy names this group. Change the policy first.")
		}
	case KindClient:
		c.Client, err = it.client(c.ID, t)
	case KindProject:
		c.Environment = first(it.Set[fieldEnvironment])
	case KindBreakGlass:
		c.List = it.Set[fieldPeople]
	case KindFreeze:
		if c.Delete {
			return c, nil
		}
		c.Freeze = Freeze{ID: c.ID, Name: first(it.Set[fieldName]), Project: first(it.Set[fieldProject]), Environment: first(it.Set[fieldEnvironment])}
		var err2 error
		c.Freeze.From, err = time.Parse(time.RFC3339, first(it.Set[fieldFrom]))
		c.Freeze.Until, err2 = time.Parse(time.RFC3339, first(it.Set[fieldUntil]))
		if err == nil {
			err = err2
		}
	default:
		err = fmt.Errorf("items of kind %q are no rules", it.Kind)
	}
	return c, err
}

// group is a group as an item wants it. One that says nothing of roles was written
// before groups had any.
func (it Item) group(id string, rules Rules) (access.Group, error) {
	g := access.Group{ID: id, Name: first(it.Set[fieldName]), Members: it.Set[fieldMembers]}
	have, _ := rules.group(id) // a new one has none of these
	lines, says := it.Set[fieldExternal]
	if g.External = have.External; says {
		g.External = nil
		for _, line := range lines {
			if e, ok := access.ReadExternalID(line); ok {
				g.External = append(g.External, e)
			}
		}
	}
	if rules.externalTaken(g) {
		return g, problem.New(problem.Conflict, "Another group has one of the ids elsewhere now.")
	}
	if lines, says = it.Set[fieldRoles]; !says {
		g.Grants = have.Grants
		return g, nil
	}
	var err error
	g.Grants, err = grantsFrom(lines, rules.Roles)
	return g, err
}

// externalTaken reports whether a source calls another group as it calls this one.
func (r Rules) externalTaken(g access.Group) bool {
	return slices.ContainsFunc(r.Groups, func(have access.Group) bool {
		return have.ID != g.ID && slices.ContainsFunc(have.External, func(e access.ExternalID) bool { return slices.Contains(g.External, e) })
	})
}

// roleChange is what an item does to a role that people made.
func (it Item) roleChange(c RuleChange, t table) (RuleChange, error) {
	if why := t.rules.inUse(access.Role(c.ID), t.people); c.Delete && why != "" {
		return c, problem.New(problem.Conflict, "%s", why)
	}
	c.CustomRole = access.CustomRole{ID: access.Role(c.ID), Name: first(it.Set[fieldName]), Allows: typed[access.Permission](it.Set[fieldPermissions])}
	return c, nil
}

func (p Policy) names(group string) bool {
	needs, _ := p.needs()
	return slices.ContainsFunc(needs, func(n Need) bool { return slices.Contains(n.Groups, group) })
}

var ruleActions = map[Operation]string{Create: "added", Update: "edited", Delete: "removed"}

// ruleEvent is the history of one rule.
func (it Item) ruleEvent(r *Request, c RuleChange) audit.Event {
	e := audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUser, ID: r.Author.ID, Name: r.Author.Name},
		Action: string(it.Kind) + "." + ruleActions[it.Operation], Request: r.ID,
		Object: audit.Object{Kind: string(it.Kind), ID: c.ID, Name: it.Name},
	}
	if it.Kind == KindRoles {
		e.Action, e.Object.Kind = "user.roles_set", "user"
	}
	if it.Kind == KindClient {
		e.Action = "directory.client_made"
	}
	if it.Kind == KindProject {
		e.Project = it.Target
	}
	e.Changes = it.ruleChanges()
	return e
}

// ruleChanges are the before and after of a rule's fields.
func (it Item) ruleChanges() []audit.Change {
	var changes []audit.Change
	after := it.Set
	if it.Operation == Delete {
		after = mirror.Values{}
	}
	fields := maps.Clone(it.Base)
	maps.Copy(fields, after)
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Equal(it.Base[f], after[f]) {
			changes = append(changes, audit.Change{Field: f, Before: append([]string{}, it.Base[f]...), After: append([]string{}, after[f]...)})
		}
	}
	return changes
}
