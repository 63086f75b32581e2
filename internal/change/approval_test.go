package change_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestSchedule(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.disable(b.Config(rig.Enabled).ID)
	r = b.must(b.vote(b.anna, r, change.Approve))
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format("2006-01-02T15:04") }
	for _, bad := range [][2]string{{at(-time.Hour), "UTC"}, {at(100 * 24 * time.Hour), "UTC"}, {"soon", "UTC"}, {at(time.Hour), "Mars/Olympus"}, {at(time.Hour), ""}} {
		if _, err := b.Changes.Schedule(t.Context(), b.editor, r.ID, bad[0], bad[1]); !problem.Is(err, problem.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	r = b.must(b.Changes.Schedule(t.Context(), b.editor, r.ID, at(2*time.Hour), "UTC"))
	b.state(r, change.Scheduled)
	if err := b.Access.SetDisabled(t.Context(), b.admin, b.anna.ID, true); err != nil {
		t.Fatal(err)
	}
	b.Changes.Recheck()
	b.await(r.ID, change.Suspended)
	_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
	b.refused(err, problem.Conflict, "may not approve it any more")
	if err := b.Access.SetDisabled(t.Context(), b.admin, b.anna.ID, false); err != nil {
		t.Fatal(err)
	}
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.state(b.Settled(r.ID), change.Applied)
	b.consistent()
}

// await waits until a request is in a state.
func (b *board) await(id string, want change.State) change.Request {
	b.T.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		r := b.must(b.Store.Request(b.T.Context(), id))
		if r.State == want {
			return r
		}
		if time.Now().After(deadline) {
			b.T.Fatalf("state %s (%s), want %s", r.State, r.Note, want)
		}
	}
}

func TestFreeze(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.disable(b.Config(rig.Enabled).ID)
	r = b.must(b.vote(b.anna, r, change.Approve))
	f := b.must(b.Changes.ProposeFreeze(t.Context(), b.admin, "year's end", change.Freeze{Name: "Year's end", Project: b.Project.ID, From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}))
	f = b.must(b.vote(b.anna, f, change.Approve))
	f = b.must(b.vote(b.anton, f, change.Approve))
	b.must(b.Changes.Release(t.Context(), b.admin, f.ID))
	b.state(b.Settled(f.ID), change.Applied)
	_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
	b.refused(err, problem.Conflict, "freeze window Year's end")
	_, err = b.Changes.Schedule(t.Context(), b.editor, r.ID, time.Now().Add(30*time.Minute).UTC().Format("2006-01-02T15:04"), "UTC")
	b.refused(err, problem.Invalid, "")
}

func TestBreakGlass(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.Enabled)
	r := b.disable(a.ID)
	fresh := b.editor
	fresh.Since = rig.Now()
	why := change.Emergency{Effect: r.Revision.EffectHash, Incident: "INC-1", Reason: "Tokens are leaking right now.", Name: a.Name}
	_, err := b.Changes.BreakGlass(t.Context(), fresh, r.ID, why)
	b.refused(err, problem.Forbidden, "break-glass list")
	list := b.must(b.Changes.ProposeBreakGlass(t.Context(), b.admin, "on call", []string{b.editor.ID}))
	list = b.must(b.vote(b.anna, list, change.Approve))
	list = b.must(b.vote(b.anton, list, change.Approve))
	b.must(b.Changes.Release(t.Context(), b.admin, list.ID))
	b.state(b.Settled(list.ID), change.Applied)
	_, err = b.Changes.BreakGlass(t.Context(), b.editor, r.ID, why)
	b.refused(err, problem.Forbidden, "5 minutes")
	short := why
	short.Reason = "hurry"
	_, err = b.Changes.BreakGlass(t.Context(), fresh, r.ID, short)
	b.refused(err, problem.Invalid, "")
	b.must(b.Changes.BreakGlass(t.Context(), fresh, r.ID, why))
	r = b.Settled(r.ID)
	b.state(r, change.Applied)
	again := b.disable(b.Config(rig.Enabled).ID)
	why.Name = again.Revision.Items[0].Name
	_, err = b.Changes.BreakGlass(t.Context(), fresh, again.ID, why)
	if moved := (*change.MovedOn)(nil); err == nil || !errors.As(err, &moved) && !problem.Is(err, problem.Conflict) {
		t.Errorf("the glass was broken for something else: %v", err)
	}
	why.Effect = again.Revision.EffectHash
	_, err = b.Changes.BreakGlass(t.Context(), fresh, again.ID, why)
	b.refused(err, problem.Conflict, "reviewed")
	if err := b.Changes.ReviewBypass(t.Context(), fresh, r.ID, true, ""); !problem.Is(err, problem.Forbidden) {
		t.Errorf("who broke the glass reviewed it: %v", err)
	}
	if err := b.Changes.ReviewBypass(t.Context(), b.anna, r.ID, true, "It was right."); err != nil {
		t.Fatal(err)
	}
	b.must(b.Changes.BreakGlass(t.Context(), fresh, again.ID, why))
	b.state(b.Settled(again.ID), change.Applied)
}

func TestPolicies(t *testing.T) {
	b := newBoard(t)
	ask := func(p change.Policy) error {
		p.Subject, p.Project = change.AboutConfigs, b.Project.ID
		r, err := b.Changes.ProposePolicy(t.Context(), b.admin, "r", p)
		if err == nil {
			b.state(b.Settled(r.ID), change.Applied)
		}
		return err
	}
	for name, p := range map[string]change.Policy{
		"too many":                 approvals(3),
		"unknown role":             {Steps: []change.PolicyStep{{{Count: 1, Roles: []access.Role{"boss"}}}}},
		"unknown group":            {Steps: []change.PolicyStep{{{Count: 1, Groups: []string{"grp_none"}}}}},
		"nobody fits":              {Steps: []change.PolicyStep{{{Count: 1, People: []string{b.admin.ID}}}}},
		"an empty step":            {Steps: []change.PolicyStep{{}}},
		"one person for two needs": {Steps: []change.PolicyStep{{{Count: 1, People: []string{b.anna.ID}}}, {{Count: 1, People: []string{b.anna.ID}}}}},
	} {
		if err := ask(p); !problem.Is(err, problem.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Changes.ProposePolicy(t.Context(), b.editor, "r", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an editor proposed a policy: %v", err)
	}
	if err := ask(change.Policy{Steps: []change.PolicyStep{{{Count: 1, People: []string{b.anton.ID}}}, {{Count: 1}}}}); err != nil {
		t.Fatal(err)
	}
	r := b.disable(b.Config(rig.Enabled).ID)
	b.state(r, change.InReview)
	_, err := b.vote(b.anna, r, change.Approve)
	b.refused(err, problem.Conflict, "turn")
	r = b.must(b.vote(b.anton, r, change.Approve))
	r = b.must(b.vote(b.anna, r, change.Approve))
	b.state(r, change.Approved)
	// From here on the rules themselves take approvals.
	p := b.must(b.Changes.ProposePolicy(t.Context(), b.admin, "r", change.Policy{Subject: change.AboutConfigs, Project: b.Project.ID, Operations: []change.Operation{change.Delete}, Steps: []change.PolicyStep{{{Count: 2}}}}))
	b.state(p, change.InReview)
	if _, err := b.vote(b.admin, p, change.Approve); err == nil {
		t.Error("an admin approved their own policy")
	}
}

// Nothing found means refused.
func TestNoPolicy(t *testing.T) {
	b := newBoard(t)
	rules, err := b.Store.Rules(t.Context())
	if err != nil || len(rules.Policies) != 1 {
		t.Fatal(rules, err)
	}
	r := b.must(b.Changes.ProposePolicyDelete(t.Context(), b.admin, "r", rules.Policies[0].ID))
	b.state(b.Settled(r.ID), change.Applied)
	_, err = b.Changes.ProposeSwitch(t.Context(), b.editor, b.proposal(), []string{b.Config(rig.Enabled).ID}, false)
	b.refused(err, problem.Forbidden, "No policy covers")
}

func TestConditions(t *testing.T) {
	widened := change.Policy{Condition: change.ScopesWidened, Steps: []change.PolicyStep{{{Count: 1}}}}
	credential := change.Policy{Condition: change.CredentialChanged, Steps: []change.PolicyStep{{{Count: 1}}}}
	b := newBoard(t, widened, credential)
	a := b.Config(func(a mirror.AuthConfig) bool { return rig.OwnOAuth(a) && len(a.Scopes.Values) > 1 && !a.Scopes.Masked })
	fewer := a.Scopes.Values[1:]
	b.state(b.update(a.ID, change.Spec{Fields: map[string]string{"scopes": strings.Join(fewer, " ")}}), change.Applied)
	b.state(b.update(a.ID, change.Spec{Fields: map[string]string{"scopes": strings.Join(append(fewer, "more"), " ")}}), change.InReview)
	other := b.Config(func(x mirror.AuthConfig) bool { return rig.OwnOAuth(x) && x.ID != a.ID })
	b.state(b.update(other.ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}}), change.InReview)
	b.state(b.update(other.ID, change.Spec{Fields: map[string]string{"name": "plain"}}), change.Applied)
}

func TestMatch(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}})
	try := func(by access.Reader, v string) (bool, error) {
		return b.Changes.Match(t.Context(), by, r.ID, 0, "client_secret", secret.New(v))
	}
	if _, err := try(b.editor, canary); !problem.Is(err, problem.Forbidden) {
		t.Errorf("the author compared: %v", err)
	}
	for i, v := range []string{canary, "other", canary, canary, canary} {
		if same, err := try(b.anna, v); err != nil || same != (v == canary) {
			t.Errorf("try %d: %v %v", i, same, err)
		}
	}
	if _, err := try(b.anna, canary); !problem.Is(err, problem.TooMany) {
		t.Errorf("a sixth try: %v", err)
	}
	if _, err := try(b.anton, canary); err != nil {
		t.Errorf("another reviewer: %v", err)
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

// Who may set up projects can't go around the policies with them.
func TestProjectsKeepTheirPolicies(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.must(b.Changes.ProposeEnvironment(t.Context(), b.admin, "calmer", b.Project, mirror.Development))
	b.state(b.Settled(r.ID), change.InReview)
	if _, err := b.Mirror.EditProject(t.Context(), b.admin, b.Project.ID, mirror.ProjectInput{Name: "Renamed", Environment: mirror.Development}); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Store.Project(t.Context(), b.Project.ID); err != nil || p.Environment != mirror.Staging {
		t.Errorf("the environment is %s, %v", p.Environment, err)
	}
	p := b.AddProject("second", sandbox.ProductionKey, mirror.Production)
	rules, err := b.Store.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range rules.Policies {
		if one.Project == p.ID && one.Approvals() == 0 {
			t.Error("a new project needs no approval")
		}
	}
	if err := b.Changes.MayReset(t.Context(), b.anna.User); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a reset link for an approver: %v", err)
	}
	if err := b.Changes.MayReset(t.Context(), b.editor.User); err != nil {
		t.Errorf("a reset link for an editor: %v", err)
	}
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
