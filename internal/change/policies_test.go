package change_test

import (
	"errors"
	"strings"
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
	deadline := time.Now().Add(30 * time.Second)
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
	fresh.ProvedAt = rig.Now()
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
	off := b.anna.User
	off.State = access.Disabled // they may be enabled again
	if err := b.Changes.MayReset(t.Context(), off); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a reset of an approver who is disabled: %v", err)
	}
	off.State = access.Invited // whoever has their link becomes active by it
	if err := b.Changes.MayReset(t.Context(), off); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a link for an approver who is invited: %v", err)
	}
	if err := b.Changes.MayReset(t.Context(), b.editor.User); err != nil {
		t.Errorf("a reset link for an editor: %v", err)
	}
}
