package change_test

import (
	"slices"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
)

// rule carries out a change of the rules that both reviewers agree to.
func (b *board) rule(r change.Request, err error) {
	b.T.Helper()
	r = b.must(r, err)
	if r.State == change.InReview {
		r = b.must(b.vote(b.anna, r, change.Approve))
	}
	if r.State == change.InReview {
		r = b.must(b.vote(b.anton, r, change.Approve))
	}
	if r.State == change.Approved && r.ApplyAfter.IsZero() {
		b.must(b.Changes.Release(b.T.Context(), b.admin, r.ID))
	}
	b.state(b.Settled(r.ID), change.Applied)
}

// Policies that are loosened, tightened or deleted in flight: both those of the
// submission and today's have to be satisfied.
func TestPolicyInFlight(t *testing.T) {
	t.Run("loosened", func(t *testing.T) {
		b := newBoard(t, approvals(2))
		r := b.disable(b.Config(rig.Enabled).ID)
		for _, p := range b.policies() {
			if p.Approvals() == 2 {
				p.Steps = []change.PolicyStep{{{Count: 1}}}
				b.rule(b.Changes.ProposePolicy(t.Context(), b.admin, "looser", p))
			}
		}
		r = b.must(b.vote(b.anna, r, change.Approve))
		b.state(r, change.InReview)
		_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
		b.refused(err, problem.Conflict, "in review")
		r = b.must(b.vote(b.anton, r, change.Approve))
		b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
		b.state(b.Settled(r.ID), change.Applied)
	})
	t.Run("tightened", func(t *testing.T) {
		b := newBoard(t, approvals(1))
		r := b.approved(b.Config(rig.Enabled).ID)
		b.rule(b.Changes.ProposePolicy(t.Context(), b.admin, "tighter", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID, Steps: []change.PolicyStep{{{Count: 2}}}}))
		_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
		b.refused(err, problem.Conflict, "Today's policies")
	})
	t.Run("deleted", func(t *testing.T) {
		b := newBoard(t, approvals(1))
		r := b.approved(b.Config(rig.Enabled).ID)
		for _, p := range b.policies() {
			b.rule(b.Changes.ProposePolicyDelete(t.Context(), b.admin, "none", p.ID))
		}
		_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
		b.refused(err, problem.Conflict, "No policy covers")
		if len(b.Mutations()) != 0 {
			t.Error("something was sent")
		}
	})
	t.Run("tightened before a retry", func(t *testing.T) {
		b := newBoard(t, approvals(1))
		a := b.Config(rig.Enabled)
		r := b.approved(a.ID)
		b.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"})
		b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
		b.state(b.Settled(r.ID), change.Failed)
		b.rule(b.Changes.ProposePolicy(t.Context(), b.admin, "tighter", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID, Steps: []change.PolicyStep{{{Count: 2}}}}))
		_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
		b.refused(err, problem.Conflict, "Today's policies")
	})
}

func (b *board) policies() []change.Policy {
	b.T.Helper()
	rules, err := b.Store.Rules(b.T.Context())
	if err != nil {
		b.T.Fatal(err)
	}
	return rules.Policies
}

// Two changes of the same rule, both approved: the second finds that it isn't
// any more what it was written for.
func TestRulesRace(t *testing.T) {
	b := newBoard(t, approvals(1))
	p := b.policies()[1]
	one, two := p, p
	one.Steps, two.Steps = []change.PolicyStep{{{Count: 2}}}, []change.PolicyStep{{{Count: 1, Roles: []access.Role{access.Approver}}}}
	first := b.must(b.Changes.ProposePolicy(t.Context(), b.admin, "one", one))
	second := b.must(b.Changes.ProposePolicy(t.Context(), b.admin, "two", two))
	for _, who := range []access.Reader{b.anna, b.anton} {
		first, second = b.must(b.vote(who, first, change.Approve)), b.must(b.vote(who, second, change.Approve))
	}
	b.must(b.Changes.Release(t.Context(), b.admin, first.ID))
	b.state(b.Settled(first.ID), change.Applied)
	b.must(b.Changes.Release(t.Context(), b.admin, second.ID))
	b.state(b.Settled(second.ID), change.Failed)
	if got := b.policies()[1]; got.Approvals() != 2 {
		t.Errorf("the second overwrote the first: %+v", got)
	}
}

// A change of what lets somebody manage people was of no account when it was
// proposed, since they were an admin besides. Once nobody else is one it fails.
func TestSomebodyManagesPeople(t *testing.T) {
	ctx := t.Context()
	each := map[string]func(*board, access.Group, access.CustomRole) (change.Request, error){
		"role": func(b *board, _ access.Group, c access.CustomRole) (change.Request, error) {
			c.Allows = []access.Permission{access.ViewPeople}
			return b.Changes.ProposeCustomRole(ctx, b.admin, "r", c)
		},
		"group": func(b *board, g access.Group, _ access.CustomRole) (change.Request, error) {
			g.Members = nil
			return b.Changes.ProposeGroup(ctx, b.admin, "r", g)
		},
		"end of the group": func(b *board, g access.Group, _ access.CustomRole) (change.Request, error) {
			return b.Changes.ProposeGroupDelete(ctx, b.admin, "r", g.ID)
		},
	}
	for name, propose := range each {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, approvals(1))
			other := b.Person("Otto", access.Admin)
			b.rule(b.Changes.ProposeCustomRole(ctx, other, "r", access.CustomRole{Name: "Keeper", Allows: []access.Permission{access.ManagePeople, access.ViewPeople}}))
			c := b.rules().Roles[0]
			b.rule(b.Changes.ProposeGroup(ctx, other, "r", access.Group{Name: "Keepers", Members: []string{b.admin.ID}, Grants: []access.Grant{{Role: c.ID}}}))
			b.admin.User = b.account(b.admin.ID)
			last := b.must(propose(b, b.rules().Groups[0], c))
			for _, who := range []access.Reader{b.anna, b.anton} {
				if last.State == change.InReview {
					last = b.must(b.vote(who, last, change.Approve))
				}
			}
			b.rule(b.Changes.ProposeRoles(ctx, other, "r", b.account(b.admin.ID), nil))
			b.admin.User = b.account(b.admin.ID)
			b.rule(b.Changes.ProposeRoles(ctx, b.admin, "r", other.User, nil))
			b.must(b.Changes.Release(ctx, b.admin, last.ID))
			b.state(b.Settled(last.ID), change.Failed)
			if !b.account(b.admin.ID).May(access.ManagePeople) {
				t.Error("nobody manages people any more")
			}
		})
	}
}

func (b *board) account(id string) access.User {
	b.T.Helper()
	a, err := b.Store.Account(b.T.Context(), id)
	if err != nil {
		b.T.Fatal(err)
	}
	return a.User
}

func (b *board) rules() change.Rules {
	b.T.Helper()
	rules, err := b.Store.Rules(b.T.Context())
	if err != nil {
		b.T.Fatal(err)
	}
	return rules
}

// A rejected request stays rejected, and a reviewer whom its policies don't name
// any more can't reject it.
func TestNamedNoMore(t *testing.T) {
	b := newBoard(t)
	b.rule(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{Name: "Reviewers", Members: []string{b.anna.ID, b.anton.ID}}))
	rules, err := b.Store.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := rules.Groups[0]
	b.rule(b.Changes.ProposePolicy(t.Context(), b.admin, "r", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID, Steps: []change.PolicyStep{{{Count: 2, Groups: []string{g.ID}}}}}))
	r := b.must(b.vote(b.anna, b.disable(b.Config(rig.Enabled).ID), change.Approve))
	g.Members = []string{b.anton.ID}
	b.rule(b.Changes.ProposeGroup(t.Context(), b.admin, "r", g))
	_, err = b.vote(b.anna, r, change.Reject)
	b.refused(err, problem.Forbidden, "name others")
	b.must(b.vote(b.anna, r, change.Withdraw))
}

// A schedule is about the time it names: a freeze that is over by then is none.
func TestScheduleAfterFreeze(t *testing.T) {
	w := newWorld(t, 1)
	ctx, admin, editor := t.Context(), w.readers[6], w.readers[0]
	carry := func(r change.Request, err error) change.Request {
		w.must(err)
		w.must(w.changes.Step(ctx, r.ID))
		return r
	}
	carry(w.changes.ProposeFreeze(ctx, admin, "r", change.Freeze{Name: "Now", Project: w.project.ID, From: w.now.Add(-time.Hour), Until: w.now.Add(time.Hour)}))
	carry(w.changes.ProposePolicy(ctx, admin, "r", change.Policy{Subject: change.AboutConfigs, Project: w.project.ID, Steps: []change.PolicyStep{{{Count: 1}}}}))
	r, err := w.changes.ProposeSwitch(ctx, editor, change.Proposal{Project: w.project.ID, Reason: "r"}, []string{w.targets[0]}, false)
	w.must(err)
	_, err = w.changes.Vote(ctx, w.readers[3], r.ID, change.Ballot{Decision: change.Approve, EffectHash: r.Revision.EffectHash})
	w.must(err)
	_, err = w.changes.Schedule(ctx, editor, r.ID, w.now.Add(3*time.Hour).Format("2006-01-02T15:04"), "UTC")
	w.must(err)
	w.changes.Sweep(ctx)
	got, err := w.st.Request(ctx, r.ID)
	w.must(err)
	if got.State != change.Scheduled {
		t.Fatalf("state %s (%s)", got.State, got.Note)
	}
	w.now = w.now.Add(3 * time.Hour)
	for range 4 {
		w.must(w.changes.Step(ctx, r.ID))
	}
	got, err = w.st.Request(ctx, r.ID)
	w.must(err)
	if got.State != change.Applied {
		t.Errorf("state %s (%s)", got.State, got.Note)
	}
}

// A bypass is for what it was for: a new revision takes approvals, even one with
// the same effect.
func TestBypassThenRevision(t *testing.T) {
	b := newBoard(t, approvals(1))
	b.rule(b.Changes.ProposeBreakGlass(t.Context(), b.admin, "on call", []string{b.editor.ID}))
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine"}})
	b.edit(a.ID, `"name":"theirs"`)
	fresh := b.editor
	fresh.ProvedAt = rig.Now()
	b.must(b.Changes.BreakGlass(t.Context(), fresh, r.ID, change.Emergency{Effect: r.Revision.EffectHash, Incident: "INC-1", Reason: "Tokens are leaking right now.", Name: a.Name}))
	r = b.Settled(r.ID)
	b.state(r, change.InReview) // stale: nothing was sent
	r = b.must(b.Changes.Rebase(t.Context(), b.editor, r.ID, r.Version, change.Choices{}))
	_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
	b.refused(err, problem.Conflict, "in review")
	if len(b.Mutations()) != 0 {
		t.Error("something was sent")
	}
	b.must(b.vote(b.anna, r, change.Approve))
	b.rule(b.Changes.ProposePolicy(t.Context(), b.admin, "tighter", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID, Steps: []change.PolicyStep{{{Count: 2}}}}))
	_, err = b.Changes.Release(t.Context(), b.editor, r.ID)
	b.refused(err, problem.Conflict, "Today's policies")
}

// A draft that no policy covers can't be applied by break-glass either.
func TestBypassWithoutPolicy(t *testing.T) {
	b := newBoard(t)
	b.rule(b.Changes.ProposeBreakGlass(t.Context(), b.admin, "on call", []string{b.editor.ID}))
	a := b.Config(rig.Enabled)
	p := b.proposal()
	p.Draft = true
	r, err := b.Changes.ProposeSwitch(t.Context(), b.editor, p, []string{a.ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	b.rule(b.Changes.ProposePolicyDelete(t.Context(), b.admin, "r", b.policies()[0].ID))
	fresh := b.editor
	fresh.ProvedAt = rig.Now()
	_, err = b.Changes.BreakGlass(t.Context(), fresh, r.ID, change.Emergency{Effect: r.Revision.EffectHash, Incident: "INC-1", Reason: "Tokens are leaking right now.", Name: a.Name})
	b.refused(err, problem.Forbidden, "No policy covers")
}

// Policies about the rules ask for no more people than there are, even where
// several needs are of the same people.
func TestRootIsCapped(t *testing.T) {
	people := []access.User{
		{ID: "a", State: access.Active, Grants: access.Unscoped(access.Approver, access.Admin)},
		{ID: "b", State: access.Active, Grants: access.Unscoped(access.Approver)},
	}
	steps := []change.PolicyStep{{{Count: 1}}, {{Count: 1}}}
	rules := change.Rules{Policies: []change.Policy{{Subject: change.AboutRules, Steps: steps}}}
	total := 0
	for _, p := range rules.Root(people, []string{"a"}) {
		total += p.Approvals()
	}
	if total != 1 {
		t.Errorf("%d approvals of one person", total)
	}
	rules.Policies[0].Steps = []change.PolicyStep{{{Count: 1, Groups: []string{"grp_nobody"}}}}
	if got := rules.Root(people, nil); !slices.EqualFunc(got, rules.Policies, func(a, b change.Policy) bool { return a.Approvals() == b.Approvals() }) {
		t.Errorf("a need that nobody meets was dropped: %+v", got)
	}
}
