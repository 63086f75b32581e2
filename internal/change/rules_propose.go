package change

import (
	"context"
	"maps"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// proposeRule asks for a change of one rule.
func (s *Service) proposeRule(ctx context.Context, by access.Reader, reason, title string, it Item) (Request, error) {
	if it.Operation != Delete && it.Base.Equal(it.Set) && it.Set.Equal(it.Base) {
		return Request{}, problem.New(problem.Invalid, "Nothing would change: it is so already.")
	}
	return s.propose(ctx, by, Proposal{Reason: reason}, title, []Item{it}, nil)
}

// ProposePolicy asks for a new policy, or for another content of one that has an
// id.
func (s *Service) ProposePolicy(ctx context.Context, by access.Reader, reason string, p Policy) (Request, error) {
	rules, people, err := s.around(ctx)
	if err != nil {
		return Request{}, err
	}
	if err := p.check(rules, people); err != nil {
		return Request{}, err
	}
	it := Item{Kind: KindPolicy, Operation: Create, Name: "policy", Set: p.Values(), Base: mirror.Values{}}
	title := "Add a policy"
	if p.ID != "" {
		old, err := rules.policy(p.ID)
		if err != nil {
			return Request{}, err
		}
		it.Operation, it.Target, it.Base, title = Update, p.ID, old.Values(), "Edit a policy"
	}
	return s.proposeRule(ctx, by, reason, title, it)
}

// ProposePolicies asks for several new policies at once, in place of others.
func (s *Service) ProposePolicies(ctx context.Context, by access.Reader, reason, title string, policies []Policy, instead ...string) (Request, error) {
	rules, people, err := s.around(ctx)
	if err != nil {
		return Request{}, err
	}
	var items []Item
	for _, p := range policies {
		if err := p.check(rules, people); err != nil {
			return Request{}, err
		}
		items = append(items, Item{Kind: KindPolicy, Operation: Create, Name: "policy", Set: p.Values(), Base: mirror.Values{}})
	}
	for _, id := range instead {
		p, err := rules.policy(id)
		if err != nil {
			return Request{}, err
		}
		items = append(items, p.removal())
	}
	return s.propose(ctx, by, Proposal{Reason: reason}, title, items, nil)
}

// CheckPolicy complains about a policy that can't be meant or can't be satisfied.
func (s *Service) CheckPolicy(ctx context.Context, p Policy) error {
	rules, people, err := s.around(ctx)
	if err != nil {
		return err
	}
	return p.check(rules, people)
}

// CheckReason complains where there is no reason, or none that can be kept.
func (s *Service) CheckReason(reason string) error {
	_, err := checkReason(reason, true)
	return err
}

func (p Policy) removal() Item {
	return Item{Kind: KindPolicy, Operation: Delete, Target: p.ID, Name: "policy", Set: mirror.Values{}, Base: p.Values()}
}

// ProposePolicyDelete asks to remove a policy.
func (s *Service) ProposePolicyDelete(ctx context.Context, by access.Reader, reason, id string) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	p, err := rules.policy(id)
	if err != nil {
		return Request{}, err
	}
	return s.proposeRule(ctx, by, reason, "Remove a policy", p.removal())
}

func (r Rules) policy(id string) (Policy, error) {
	i := slices.IndexFunc(r.Policies, func(p Policy) bool { return p.ID == id })
	if i < 0 {
		return Policy{}, problem.New(problem.NotFound, "There is no such policy any more.")
	}
	return r.Policies[i], nil
}

func (s *Service) around(ctx context.Context) (Rules, []access.User, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return rules, nil, err
	}
	people, err := s.store.Users(ctx)
	return rules, people, err
}

// ProposeBreakGlass asks for another break-glass list.
func (s *Service) ProposeBreakGlass(ctx context.Context, by access.Reader, reason string, ids []string) (Request, error) {
	rules, people, err := s.around(ctx)
	if err != nil {
		return Request{}, err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(people, func(u access.User) bool { return u.ID == id }) {
			return Request{}, problem.InvalidFields("Nothing was saved.", map[string]string{fieldPeople: "Choose from the people who are listed."})
		}
	}
	it := Item{
		Kind: KindBreakGlass, Operation: Update, Target: string(KindBreakGlass), Name: "break-glass list",
		Set: mirror.Values{fieldPeople: slices.Sorted(slices.Values(ids))}, Base: mirror.Values{fieldPeople: slices.Sorted(slices.Values(rules.BreakGlass))},
	}
	return s.proposeRule(ctx, by, reason, "Change the break-glass list", it)
}

// ProposeFreeze asks for a new freeze window.
func (s *Service) ProposeFreeze(ctx context.Context, by access.Reader, reason string, f Freeze) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	wrong := map[string]string{}
	name, complaint := access.CleanName(f.Name)
	if f.Name = name; complaint != "" {
		wrong[fieldName] = complaint
	}
	if !f.Until.After(f.From) || !f.Until.After(s.now()) {
		wrong[fieldUntil] = "Choose an end that is after the beginning and not in the past."
	}
	if f.Project != "" && !rules.hasProject(f.Project) || f.Environment != "" && !slices.Contains(mirror.Environments(), f.Environment) {
		wrong[fieldProject] = "Choose from what is listed."
	}
	if err := invalidRule(wrong); err != nil {
		return Request{}, err
	}
	it := Item{Kind: KindFreeze, Operation: Create, Name: f.Name, Set: f.values(), Base: mirror.Values{}}
	return s.proposeRule(ctx, by, reason, "Add the freeze window "+f.Name, it)
}

// ProposeFreezeDelete asks to remove a freeze window.
func (s *Service) ProposeFreezeDelete(ctx context.Context, by access.Reader, reason, id string) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	i := slices.IndexFunc(rules.Freezes, func(f Freeze) bool { return f.ID == id })
	if i < 0 {
		return Request{}, problem.New(problem.NotFound, "There is no such freeze window any more.")
	}
	it := Item{Kind: KindFreeze, Operation: Delete, Target: id, Name: rules.Freezes[i].Name, Set: mirror.Values{}, Base: rules.Freezes[i].values()}
	return s.proposeRule(ctx, by, reason, "Remove the freeze window "+it.Name, it)
}

func invalidRule(wrong map[string]string) error {
	maps.DeleteFunc(wrong, func(_, complaint string) bool { return complaint == "" })
	if len(wrong) == 0 {
		return nil
	}
	return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
}

// ProposeEnvironment asks to make a project one of another environment, whose
// policies decide about it from then on.
func (s *Service) ProposeEnvironment(ctx context.Context, by access.Reader, reason string, p mirror.Project, environment string) (Request, error) {
	if !slices.Contains(mirror.Environments(), environment) {
		return Request{}, invalidRule(map[string]string{fieldEnvironment: "Choose development, staging or production."})
	}
	it := Item{
		Kind: KindProject, Operation: Update, Target: p.ID, Name: p.Name,
		Set: mirror.Values{fieldEnvironment: one(environment)}, Base: mirror.Values{fieldEnvironment: one(p.Environment)},
	}
	return s.proposeRule(ctx, by, reason, "Make "+p.Name+" a "+environment+" project", it)
}

// MayReset refuses a reset of the passphrase or the second factors of somebody whose
// approval counts, while any is asked for: who makes the link could sign in as them.
// An operator does it on the command line.
func (s *Service) MayReset(ctx context.Context, u access.User) error {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return err
	}
	u.State = access.Active // as who is invited or disabled may be before long
	if rules.Governed() && (u.May(access.ApproveChange) || slices.Contains(rules.BreakGlass, u.ID)) {
		return problem.New(problem.Forbidden, "%s may approve changes or is on the break-glass list. Who makes a reset link could use it, so an operator makes theirs on the server: console user reset %s.", u.Name, u.Email)
	}
	return nil
}
