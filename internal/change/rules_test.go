package change_test

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
)

func TestProposeRoles(t *testing.T) {
	b := newBoard(t)
	ask := func(by, of access.Reader, roles ...access.Role) error {
		_, err := b.Changes.ProposeRoles(b.T.Context(), by, "r", of.User, access.Unscoped(roles...))
		return err
	}
	b.refused(ask(b.admin, b.admin, access.Viewer), problem.Conflict, "take the admin role from yourself")
	b.refused(ask(b.admin, b.anna, "boss"), problem.Invalid, "")
	b.refused(ask(b.anna, b.anton, access.Admin), problem.Forbidden, "")
	b.refused(ask(b.admin, b.anna, access.Approver), problem.Invalid, "so already")
}

// The recommended policies take the place of the one that asks for nothing.
func TestPoliciesInstead(t *testing.T) {
	b := newBoard(t)
	rules, err := b.Store.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := rules.Policies[0]
	advised := change.Recommended(b.Project.ID, 2)
	_, err = b.Changes.ProposePolicies(t.Context(), b.admin, "", "Advice", advised, "pol_none")
	b.refused(err, problem.NotFound, "no such policy")
	r := b.must(b.Changes.ProposePolicies(t.Context(), b.admin, "", "Advice", advised, first.ID))
	b.state(b.Settled(r.ID), change.Applied)
	if rules, err = b.Store.Rules(t.Context()); err != nil || len(rules.Policies) != 3 || len(rules.Without(first.ID)) != 3 {
		t.Errorf("%+v %v", rules.Policies, err)
	}
	del := b.must(b.Changes.ProposeDelete(t.Context(), b.editor, b.proposal(), b.Config(rig.Enabled).ID, b.Config(rig.Enabled).Name, true, false))
	if tally := del.Tally([]access.User{b.anna.User, b.anton.User}); tally.Need != 2 {
		t.Errorf("a delete needs %d approvals", tally.Need)
	}
}

func TestSimulateService(t *testing.T) {
	b := newBoard(t)
	r := b.disable(b.Config(rig.Enabled).ID)
	b.state(b.Settled(r.ID), change.Applied)
	one := approvals(1)
	one.Subject, one.Project = change.AboutConfigs, b.Project.ID
	sim, err := b.Changes.Simulate(t.Context(), []change.Policy{one})
	if err != nil || sim.Requests != 1 || sim.Count[change.WouldMore] != 1 || sim.Cases[0].ID != r.ID {
		t.Errorf("%+v %v", sim, err)
	}
	if sim, err = b.Changes.Simulate(t.Context(), nil); err != nil || sim.Count[change.WouldRefuse] != 1 {
		t.Errorf("without policies: %+v %v", sim, err)
	}
}

// A group that a policy names stays.
func TestGroupInPolicy(t *testing.T) {
	b := newBoard(t)
	g := b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "", access.Group{Name: "Security", Members: []string{b.anna.ID}}))
	g = b.Settled(g.ID)
	b.state(g, change.Applied)
	id := g.Progress[0].Target
	p := b.must(b.Changes.ProposePolicy(t.Context(), b.admin, "", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID, Steps: []change.PolicyStep{{{Count: 1, Groups: []string{id}}}}}))
	b.state(b.Settled(p.ID), change.Applied)
	_, err := b.Changes.ProposeGroupDelete(t.Context(), b.admin, "r", id)
	b.refused(err, problem.Conflict, "names the group Security")
}
