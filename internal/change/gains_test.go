package change_test

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// Whom a change gives rights doesn't agree to it, in whatever way it gives them.
func TestWhoGainsCannotVote(t *testing.T) {
	b := newBoard(t, approvals(1))
	eve, carl := b.Person("Eve", access.Viewer), b.Person("Carl", access.Approver)
	group := b.agreed(b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{Name: "Watch", Members: []string{eve.ID}})), b.anna, b.anton).Progress[0].Target
	role := b.agreed(b.must(b.Changes.ProposeCustomRole(t.Context(), b.admin, "r", access.CustomRole{Name: "Looker", Allows: []access.Permission{access.ViewHistory}})), b.anna, b.anton).Progress[0].Target
	looker := access.Grant{Role: access.Role(role), Scope: access.Scope{Environment: "staging"}}
	in := []string{b.anna.ID, eve.ID}

	refused := func(what string, r change.Request, err error) {
		t.Helper()
		b.must(r, err)
		if r.Approvals.Need != 2 {
			t.Errorf("%s: it needs %d approvals", what, r.Approvals.Need)
		}
		_, err = b.vote(b.anna, r, change.Approve)
		b.refused(err, problem.Forbidden, "gives you rights")
		if people, err := b.Store.Users(t.Context()); err != nil || r.NeedsMe(b.anna.User, people) || !r.NeedsMe(b.anton.User, people) {
			t.Errorf("%s: it isn't who may approve that it waits for: %v", what, err)
		}
		b.agreed(r, b.anton, carl)
	}
	r, err := b.Changes.ProposeRoles(t.Context(), b.admin, "r", b.anna.User, append(access.Unscoped(access.Approver), looker))
	refused("a role", r, err)
	r, err = b.Changes.ProposeCustomRole(t.Context(), b.admin, "r", access.CustomRole{ID: access.Role(role), Name: "Looker", Allows: []access.Permission{access.ViewHistory, access.ExportHistory}})
	refused("what a role allows", r, err)
	r, err = b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{ID: group, Name: "Watch", Members: in})
	refused("a membership", r, err)
	r, err = b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{ID: group, Name: "Watch", Members: in, Grants: access.Unscoped(access.Auditor)})
	refused("a role of a group", r, err)
	r, err = b.Changes.ProposeBreakGlass(t.Context(), b.admin, "r", []string{b.anna.ID})
	refused("the break-glass list", r, err)

	// What takes rights, or gives what they have already, is theirs to decide like anybody's.
	own := append(access.Unscoped(access.Approver), looker, access.NewGrant(access.Approver, access.Scope{Project: b.Project.ID}))
	for _, r := range []change.Request{
		b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{ID: group, Name: "Watch", Members: []string{b.anna.ID}})),
		b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{Name: "Shop", Members: in, Grants: own[2:]})),
		b.must(b.Changes.ProposeCustomRole(t.Context(), b.admin, "r", access.CustomRole{ID: access.Role(role), Name: "Looker", Allows: []access.Permission{access.ViewHistory, access.ExportHistory, access.SyncProject}})),
		b.must(b.Changes.ProposeRoles(t.Context(), b.admin, "r", b.account(b.anna.ID), access.Unscoped(access.Approver))),
	} {
		b.agreed(r, b.anna, b.anton)
	}
}

// agreed is a request that these approve, once it is applied.
func (b *board) agreed(r change.Request, by ...access.Reader) change.Request {
	b.T.Helper()
	for _, who := range by {
		r = b.must(b.vote(who, r, change.Approve))
	}
	b.state(r, change.Approved)
	b.must(b.Changes.Release(b.T.Context(), b.admin, r.ID))
	r = b.Settled(r.ID)
	b.state(r, change.Applied)
	return r
}

// Who writes a change doesn't choose who agrees to it: two approvals stay two, and
// whom it gives rights may say no.
func TestQuorumOfGains(t *testing.T) {
	b := newBoard(t, approvals(1))
	carl, eve := b.Person("Carl", access.Approver), b.Person("Eve", access.Editor)
	three := []string{eve.ID, b.anna.ID, b.anton.ID}
	list := b.must(b.Changes.ProposeBreakGlass(t.Context(), b.admin, "r", three))
	if list = b.must(b.vote(carl, list, change.Approve)); list.State != change.InReview || list.Approvals.Need != 2 {
		t.Errorf("%s, and it needs %d", list.State, list.Approvals.Need)
	}
	stuck := func() bool {
		people, err := b.Store.Users(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list.Stuck(people)
	}
	if !stuck() {
		t.Error("nobody is told that too few can agree")
	}
	list = b.must(b.vote(b.anna, list, change.RequestChanges))
	b.state(list, change.ChangesRequested)
	list = b.must(b.vote(b.anna, list, change.Withdraw))
	b.state(list, change.InReview)
	dora := b.Person("Dora", access.Approver)
	if stuck() {
		t.Error("it waits, though there is somebody else now")
	}
	b.agreed(list, dora)

	// What they have already is no gain.
	team := b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{Name: "Team", Members: three, Grants: access.Unscoped(access.Approver)}))
	team = b.must(b.vote(carl, team, change.Approve))
	b.state(team, change.InReview)
	b.agreed(team, b.anna)

	no := b.must(b.Changes.ProposeBreakGlass(t.Context(), b.admin, "r", append(three, carl.ID)))
	b.state(b.must(b.vote(carl, no, change.Reject)), change.Rejected)
}

// A project that moves gives rights to those who have theirs by environment.
func TestEnvironmentGives(t *testing.T) {
	b := newBoard(t, approvals(1))
	carl := b.Person("Carl", access.Approver)
	there := access.NewGrant(access.Editor, access.Scope{Environment: mirror.Development, Toolkit: "github"})
	b.agreed(b.must(b.Changes.ProposeRoles(t.Context(), b.admin, "r", b.anna.User, append(access.Unscoped(access.Approver), there))), b.anton, carl)
	r := b.must(b.Changes.ProposeEnvironment(t.Context(), b.admin, "r", b.Project, mirror.Development))
	_, err := b.vote(b.anna, r, change.Approve)
	b.refused(err, problem.Forbidden, "gives you rights")
	b.agreed(r, b.anton, carl)
	moved, err := b.Store.Project(t.Context(), b.Project.ID)
	if err != nil || moved.Environment != mirror.Development {
		t.Fatal(moved, err)
	}
	r = b.must(b.Changes.ProposeEnvironment(t.Context(), b.admin, "r", moved, mirror.Staging))
	b.agreed(r, b.anna, carl) // it takes what it gave
}
