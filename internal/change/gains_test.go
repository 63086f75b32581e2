package change_test

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
)

// Whom a change gives rights doesn't decide about it, in whatever way it gives them.
func TestWhoGainsCannotVote(t *testing.T) {
	b := newBoard(t, approvals(1))
	eve := b.Person("Eve", access.Viewer)
	agreed := func(r change.Request, by ...access.Reader) change.Request {
		t.Helper()
		for _, who := range by {
			r = b.must(b.vote(who, r, change.Approve))
		}
		b.state(r, change.Approved)
		b.must(b.Changes.Release(t.Context(), b.admin, r.ID))
		r = b.Settled(r.ID)
		b.state(r, change.Applied)
		return r
	}
	group := agreed(b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{Name: "Watch", Members: []string{eve.ID}})), b.anna, b.anton).Progress[0].Target
	role := agreed(b.must(b.Changes.ProposeCustomRole(t.Context(), b.admin, "r", access.CustomRole{Name: "Looker", Allows: []access.Permission{access.ViewHistory}})), b.anna, b.anton).Progress[0].Target
	looker := access.Grant{Role: access.Role(role), Scope: access.Scope{Environment: "staging"}}
	in := []string{b.anna.ID, eve.ID}

	refused := func(what string, r change.Request, err error) {
		t.Helper()
		b.must(r, err)
		if r.Approvals.Need != 1 {
			t.Errorf("%s: it needs %d approvals of those who may give them", what, r.Approvals.Need)
		}
		for _, d := range []change.Decision{change.Approve, change.Reject} {
			_, err = b.vote(b.anna, r, d)
			b.refused(err, problem.Forbidden, "gives you rights")
		}
		if people, err := b.Store.Users(t.Context()); err != nil || r.NeedsMe(b.anna.User, people) || !r.NeedsMe(b.anton.User, people) {
			t.Errorf("%s: it isn't who may vote that it waits for: %v", what, err)
		}
		agreed(r, b.anton)
	}
	r, err := b.Changes.ProposeRoles(t.Context(), b.admin, "r", b.anna.User, append(access.Unscoped(access.Approver), looker))
	refused("a role", r, err)
	r, err = b.Changes.ProposeCustomRole(t.Context(), b.admin, "r", access.CustomRole{ID: access.Role(role), Name: "Looker", Allows: []access.Permission{access.ViewHistory, access.SyncProject}})
	refused("what a role allows", r, err)
	r, err = b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{ID: group, Name: "Watch", Members: in})
	refused("a membership", r, err)
	r, err = b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{ID: group, Name: "Watch", Members: in, Grants: access.Unscoped(access.Auditor)})
	refused("a role of a group", r, err)
	r, err = b.Changes.ProposeBreakGlass(t.Context(), b.admin, "r", []string{b.anna.ID})
	refused("the break-glass list", r, err)

	// What takes rights, or narrows them, is theirs to decide like anybody's.
	agreed(b.must(b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{ID: group, Name: "Watch", Members: []string{b.anna.ID}})), b.anna, b.anton)
	now, err := b.Store.Account(t.Context(), b.anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	agreed(b.must(b.Changes.ProposeRoles(t.Context(), b.admin, "r", now.User, access.Unscoped(access.Approver))), b.anna, b.anton)

	// Where nobody else could agree, it isn't taken up, and never passes by itself.
	_, err = b.Changes.ProposeGroup(t.Context(), b.admin, "r", access.Group{Name: "All", Members: []string{b.anna.ID, b.anton.ID}, Grants: access.Unscoped(access.Auditor)})
	b.refused(err, problem.Forbidden, "more approvals than there are people")
}
