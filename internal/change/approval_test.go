package change_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
)

// A board is a bench whose project asks for approvals.
type board struct {
	*bench
	admin, anna, anton access.Reader
}

func newBoard(t *testing.T, policies ...change.Policy) *board {
	t.Helper()
	b := &board{bench: newBench(t, sandbox.Options{})}
	b.admin = b.Person("Ada", access.Admin)
	b.anna, b.anton = b.Person("Anna", access.Approver), b.Person("Anton", access.Approver)
	for i := range policies {
		policies[i].Subject, policies[i].Project = change.AboutConfigs, b.Project.ID
	}
	if len(policies) > 0 {
		r, err := b.Changes.ProposePolicies(t.Context(), b.admin, "to begin with", "Set policies", policies)
		if err != nil {
			t.Fatal(err)
		}
		b.state(b.Settled(r.ID), change.Applied)
	}
	return b
}

// approvals is a policy that asks for so many of them.
func approvals(n int) change.Policy {
	return change.Policy{Steps: []change.PolicyStep{{{Count: n}}}}
}

func (b *board) vote(by access.Reader, r change.Request, d change.Decision) (change.Request, error) {
	return b.Changes.Vote(b.T.Context(), by, r.ID, change.Ballot{Decision: d, EffectHash: r.Revision.EffectHash, Reason: "because"})
}

func (b *board) must(r change.Request, err error) change.Request {
	b.T.Helper()
	if err != nil {
		b.T.Fatal(err)
	}
	return r
}

func (b *board) refused(err error, kind problem.Kind, words string) {
	b.T.Helper()
	if !problem.Is(err, kind) || !strings.Contains(err.Error(), words) {
		b.T.Errorf("got %v, want a refusal with %q", err, words)
	}
}

func TestApprovalAndApply(t *testing.T) {
	b := newBoard(t, approvals(2))
	a := b.Config(rig.Enabled)
	r := b.disable(a.ID)
	b.state(r, change.InReview)
	_, err := b.vote(b.editor, r, change.Approve)
	b.refused(err, problem.Forbidden, "took part")
	_, err = b.vote(b.admin, r, change.Approve)
	b.refused(err, problem.Forbidden, "can't vote")
	r = b.must(b.vote(b.anna, r, change.Approve))
	b.state(r, change.InReview)
	_, err = b.vote(b.anna, r, change.Approve)
	b.refused(err, problem.Conflict, "already")
	_, err = b.Changes.Release(t.Context(), b.editor, r.ID)
	b.refused(err, problem.Conflict, "in review")
	r = b.must(b.vote(b.anton, r, change.Approve))
	b.state(r, change.Approved)
	if len(b.Mutations()) != 0 {
		t.Error("something was sent before anyone applied it")
	}
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.state(b.Settled(r.ID), change.Applied)
	if len(b.Mutations()) != 1 {
		t.Errorf("%d mutations", len(b.Mutations()))
	}
	_, err = b.vote(b.anna, r, change.Withdraw)
	b.refused(err, problem.Conflict, "applied")
	b.consistent()
}

func TestTwoLastVotesAtOnce(t *testing.T) {
	b := newBoard(t, approvals(1))
	var people []access.Reader
	for i := range 200 {
		people = append(people, b.Person(fmt.Sprintf("Reviewer%d", i), access.Approver))
	}
	r := b.disable(b.Config(rig.Enabled).ID)
	// They wait for the same turn, so that they share a transaction.
	turn, release := make(chan struct{}), make(chan struct{})
	var wg, coming sync.WaitGroup
	wg.Go(func() {
		_, err := b.Store.UpdateRequest(t.Context(), r.ID, func(*change.Request, change.Facts) (change.Effect, error) {
			close(turn)
			<-release
			return change.Effect{}, errors.New("nothing to do")
		})
		if err == nil {
			t.Error("a refused write went through")
		}
	})
	<-turn
	results := make([]error, len(people))
	for i, p := range people {
		coming.Add(1)
		wg.Go(func() {
			coming.Done()
			_, results[i] = b.vote(p, r, change.Approve)
		})
	}
	coming.Wait()
	for range 1000 {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !problem.Is(err, problem.Conflict) {
			t.Error(err)
		}
	}
	if now := b.must(b.Store.Request(t.Context(), r.ID)); won != 1 || len(now.Votes) != 1 || now.State != change.Approved {
		t.Errorf("%d votes counted, %d kept, state %s", won, len(now.Votes), now.State)
	}
	b.consistent()
}

func TestRequestChangesAndRevise(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "first"}, Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}})
	_, err := b.Changes.Vote(t.Context(), b.anna, r.ID, change.Ballot{Decision: change.RequestChanges, EffectHash: r.Revision.EffectHash})
	b.refused(err, problem.Invalid, "")
	r = b.must(b.vote(b.anna, r, change.RequestChanges))
	b.state(r, change.ChangesRequested)
	r = b.must(b.vote(b.anton, r, change.Approve))
	b.state(r, change.ChangesRequested) // blocked until Anna votes again
	p := b.proposal()
	p.Revises, p.Version = r.ID, r.Version
	next, err := b.Changes.ProposeUpdate(t.Context(), b.editor, p, a.ID, change.Spec{Fields: map[string]string{"name": "second"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.state(next, change.InReview)
	if len(next.Revision.Items[0].Credentials) != 1 || next.Revision.Number != 2 || next.ID != r.ID {
		t.Errorf("revision %+v", next.Revision)
	}
	var moved *change.MovedOn
	if _, err := b.vote(b.anton, r, change.Approve); !errors.As(err, &moved) {
		t.Errorf("a vote on the first revision: %v", err)
	}
	if _, err := b.Changes.ProposeUpdate(t.Context(), b.editor, p, a.ID, change.Spec{Fields: map[string]string{"name": "third"}}, nil); !errors.As(err, &moved) {
		t.Errorf("a revision of what has moved on: %v", err)
	}
	if tally := next.Tally([]access.User{b.anna.User, b.anton.User}); tally.Have != 0 {
		t.Errorf("votes of the first revision count for the second: %+v", tally)
	}
	next = b.must(b.vote(b.anna, next, change.Approve))
	b.must(b.Changes.Release(t.Context(), b.editor, next.ID))
	b.state(b.Settled(next.ID), change.Applied)
	if b.remote(a.ID).Name != "second" || !strings.Contains(string(b.Mutations()[0].Body), "client_secret") {
		t.Errorf("sent %s", b.Mutations()[0].Body)
	}
	b.consistent()
}

// A reviewer who writes a revision can't approve it, whatever their roles.
func TestContributorCannotVote(t *testing.T) {
	b := newBoard(t, approvals(1))
	both := b.Person("Bo", access.Approver, access.Editor)
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "first"}})
	p := b.proposal()
	p.Revises, p.Version = r.ID, r.Version
	r, err := b.Changes.ProposeUpdate(t.Context(), both, p, a.ID, change.Spec{Fields: map[string]string{"name": "second"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.vote(both, r, change.Approve)
	b.refused(err, problem.Forbidden, "took part")
	_, err = b.vote(b.editor, r, change.Approve)
	b.refused(err, problem.Forbidden, "took part")
}

func TestWithdrawAndReject(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.disable(b.Config(rig.Enabled).ID)
	r = b.must(b.vote(b.anna, r, change.Approve))
	b.state(r, change.Approved)
	r = b.must(b.vote(b.anna, r, change.Withdraw))
	b.state(r, change.InReview)
	r = b.must(b.vote(b.anton, r, change.Reject))
	b.state(r, change.Rejected)
	_, err := b.vote(b.anna, r, change.Approve)
	b.refused(err, problem.Conflict, "rejected")
	b.consistent()
}

// What let a request be approved is looked at again when it is applied.
func TestLostGround(t *testing.T) {
	for name, lose := range map[string]func(*board) error{
		"approver disabled": func(b *board) error { return b.Access.SetDisabled(t.Context(), b.admin, b.anna.ID, true) },
		"policy tightened": func(b *board) error {
			r, err := b.Changes.ProposePolicies(t.Context(), b.admin, "more", "Tighten", []change.Policy{{Subject: change.AboutConfigs, Project: b.Project.ID, Steps: []change.PolicyStep{{{Count: 2}}}}})
			if err != nil {
				return err
			}
			for _, who := range []access.Reader{b.anna, b.anton} {
				if r, err = b.vote(who, r, change.Approve); err != nil {
					return err
				}
			}
			if _, err = b.Changes.Release(t.Context(), b.admin, r.ID); err == nil {
				b.state(b.Settled(r.ID), change.Applied)
			}
			return err
		},
		"author disabled": func(b *board) error { return b.Access.SetDisabled(t.Context(), b.admin, b.editor.ID, true) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, approvals(1))
			r := b.disable(b.Config(rig.Enabled).ID)
			r = b.must(b.vote(b.anna, r, change.Approve))
			if err := lose(b); err != nil {
				t.Fatal(err)
			}
			other := b.Person("Edda", access.Editor)
			if _, err := b.Changes.Release(t.Context(), other, r.ID); !problem.Is(err, problem.Conflict) {
				t.Errorf("applied: %v", err)
			}
			if len(b.Mutations()) != 0 {
				t.Error("something was sent")
			}
		})
	}
}

func TestConflictResolved(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine", "proxy_url": "https://mine.example.com"}})
	b.edit(a.ID, `"name":"theirs"`)
	if err := b.Mirror.Sync(t.Context(), b.Project.ID); err != nil {
		t.Fatal(err)
	}
	r = b.must(b.vote(b.anna, r, change.Approve))
	b.state(r, change.InReview) // the quorum is there, but the ground has moved
	r = b.must(b.Changes.Rebase(t.Context(), b.editor, r.ID, r.Version, change.Choices{Theirs: map[int][]string{0: {"name"}}}))
	b.state(r, change.InReview)
	r = b.must(b.vote(b.anna, r, change.Approve))
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.state(b.Settled(r.ID), change.Applied)
	if got := b.remote(a.ID); got.Name != "theirs" || got.Proxy == nil {
		t.Errorf("remote: %+v", got)
	}
	b.consistent()
}

func TestDraft(t *testing.T) {
	b := newBoard(t, approvals(1))
	p := b.proposal()
	p.Draft = true
	r, err := b.Changes.ProposeSwitch(t.Context(), b.editor, p, []string{b.Config(rig.Enabled).ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	b.state(r, change.Draft)
	if _, err := b.vote(b.anna, r, change.Approve); !problem.Is(err, problem.NotFound) {
		t.Errorf("a vote on a draft: %v", err)
	}
	b.state(b.must(b.Changes.Submit(t.Context(), b.editor, r.ID)), change.InReview)
}

// One request edits the lists of many configs, each from what it has.
func TestBulkLists(t *testing.T) {
	b := newBoard(t)
	var ids []string
	for a := range b.snapshot().All {
		if rig.OwnOAuth(a) && !a.Scopes.Masked && len(ids) < 3 {
			ids = append(ids, a.ID)
		}
	}
	kept := b.Config(func(a mirror.AuthConfig) bool { return a.ID == ids[0] }).Scopes.Values
	r, err := b.Changes.ProposeListEdit(t.Context(), b.editor, b.proposal(), ids, change.ListEdit{Field: mirror.FieldScopes, Add: "one:more"})
	b.state(b.Settled(b.must(r, err).ID), change.Applied)
	if got := b.Config(func(a mirror.AuthConfig) bool { return a.ID == ids[0] }).Scopes.Values; len(got) != len(kept)+1 {
		t.Errorf("scopes %v, had %v", got, kept)
	}
	r, err = b.Changes.ProposeListEdit(t.Context(), b.editor, b.proposal(), ids, change.ListEdit{Field: mirror.FieldScopes, Remove: "one:more"})
	b.state(b.Settled(b.must(r, err).ID), change.Applied)
	for name, e := range map[string]change.ListEdit{
		"nothing": {Field: mirror.FieldScopes}, "no scope": {Field: mirror.FieldScopes, Add: `"`}, "another field": {Field: mirror.FieldName, Add: "x"},
		"nothing changes": {Field: mirror.FieldScopes, Remove: "never:there"},
	} {
		if _, err := b.Changes.ProposeListEdit(t.Context(), b.editor, b.proposal(), ids, e); !problem.Is(err, problem.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Changes.ProposeDeletes(t.Context(), b.editor, b.proposal(), ids, "2", true, false); !problem.Is(err, problem.Invalid) {
		t.Errorf("deleted with the wrong number: %v", err)
	}
	r, err = b.Changes.ProposeDeletes(t.Context(), b.editor, b.proposal(), ids, "3", true, false)
	b.state(b.Settled(b.must(r, err).ID), change.Applied)
	b.consistent()
}

// What was done of a request that failed in part can be undone by another one.
func TestRevert(t *testing.T) {
	b := newBoard(t)
	var ids []string
	for a := range b.snapshot().All {
		if a.Enabled() && len(ids) < 3 {
			ids = append(ids, a.ID)
		}
	}
	b.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH", Path: "/auth_configs/" + ids[1] + "/*"})
	r := b.disable(ids...)
	b.state(r, change.Partial)
	back := b.must(b.Changes.Revert(t.Context(), b.editor, r.ID))
	if len(back.Revision.Items) != 2 {
		t.Errorf("%d parts are undone, want the 2 that were done", len(back.Revision.Items))
	}
	b.state(b.Settled(back.ID), change.Applied)
	for _, id := range ids {
		if b.remote(id).Status != "ENABLED" {
			t.Errorf("%s is %s", id, b.remote(id).Status)
		}
	}
	b.consistent()
}

// A request goes on when who blocked it has lost the right to.
func TestBlockerLeaves(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.disable(b.Config(rig.Enabled).ID)
	r = b.must(b.vote(b.anna, r, change.RequestChanges))
	b.state(b.must(b.vote(b.anton, r, change.Approve)), change.ChangesRequested)
	if err := b.Access.SetDisabled(t.Context(), b.admin, b.anna.ID, true); err != nil {
		t.Fatal(err)
	}
	b.Changes.Recheck()
	b.await(r.ID, change.Approved)
}

// A proxy's key goes with its address, whatever else was settled.
func TestProxyKeyKeepsItsAddress(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine", "proxy_url": "https://proxy.example.com"}, Credentials: map[string]secret.Value{"proxy_auth_key": secret.New(canary)}})
	b.state(r, change.InReview)
	b.edit(a.ID, `"name":"theirs"`)
	if err := b.Mirror.Sync(t.Context(), b.Project.ID); err != nil {
		t.Fatal(err)
	}
	_, err := b.Changes.Rebase(t.Context(), b.editor, r.ID, r.Version, change.Choices{Theirs: map[int][]string{0: {"proxy_url"}}})
	b.refused(err, problem.Conflict, "proxy")
	r = b.must(b.Changes.Rebase(t.Context(), b.editor, r.ID, r.Version, change.Choices{}))
	r = b.must(b.vote(b.anna, r, change.Approve))
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.state(b.Settled(r.ID), change.Applied)
	if body := string(b.Mutations()[0].Body); !strings.Contains(body, "proxy_auth_key") {
		t.Errorf("sent %s", body)
	}
}
