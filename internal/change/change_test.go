package change_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

func TestDisableAndEnable(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	r := b.disable(a.ID)
	b.state(r, change.Applied)
	if got := b.remote(a.ID).Status; got != "DISABLED" {
		t.Errorf("remote status %s", got)
	}
	if got := b.Config(func(x mirror.AuthConfig) bool { return x.ID == a.ID }); got.Enabled() || got.Seen.ChangedBy != "Emil" || got.Seen.ChangedVia != mirror.ViaRequest {
		t.Errorf("mirror: %+v", got.Seen)
	}
	var actions []string
	for _, e := range b.History(store.HistoryQuery{Request: r.ID}) {
		actions = append(actions, e.Action)
	}
	slices.Reverse(actions)
	if diff := cmp.Diff([]string{"change.submitted", "change.approved", "change.applying", "apply.intent", "auth_config.disabled", "change.applied"}, actions); diff != "" {
		t.Error(diff)
	}
	again, err := b.Changes.ProposeSwitch(t.Context(), b.editor, b.proposal(), []string{a.ID}, true)
	if err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(again.ID), change.Applied)
	if len(b.Mutations()) != 2 {
		t.Errorf("%d mutations, want 2", len(b.Mutations()))
	}
	b.consistent()
}

func TestBulk(t *testing.T) {
	b := newBench(t, sandbox.Options{Configs: 30})
	snapshot, err := b.Store.Snapshot(t.Context(), b.Project.ID)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for a := range snapshot.All {
		if a.Enabled() && len(ids) < 12 {
			ids = append(ids, a.ID)
		}
	}
	b.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH", Path: "/auth_configs/" + ids[4] + "/*"})
	r := b.disable(ids...)
	b.state(r, change.Partial)
	for i, p := range r.Progress {
		want := change.ItemApplied
		if i == 4 {
			want = change.ItemFailed
		}
		if p.State != want {
			t.Errorf("item %d is %s, want %s", i, p.State, want)
		}
	}
	if _, err := b.Changes.Release(t.Context(), b.editor, r.ID); err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(r.ID), change.Applied)
	if len(b.Mutations()) != 12 {
		t.Errorf("%d mutations, want 12: each item once", len(b.Mutations()))
	}
	b.consistent()
}

func TestCreate(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	r := b.create("github-new")
	b.state(r, change.Applied)
	a := b.remote(r.Progress[0].Target)
	if a.Name != "github-new" || a.Toolkit != "github" {
		t.Errorf("made %+v", a)
	}
	muts := b.Mutations()
	if len(muts) != 2 || muts[0].Method != "POST" || muts[1].Method != "PATCH" {
		t.Fatalf("mutations: %+v", muts)
	}
	if !strings.Contains(string(muts[0].Body), " ·"+r.Revision.Items[0].Marker) {
		t.Errorf("the create carried no marker: %s", muts[0].Body)
	}
	sealed, err := b.Store.SealedCredentials(t.Context(), r.ID, 0)
	if err != nil || len(sealed) != 0 {
		t.Errorf("%d sealed credentials are left, %v", len(sealed), err)
	}
	prints, err := b.Store.Fingerprints(t.Context(), b.Project.ID, a.ID)
	if err != nil || len(prints) != 1 || prints[0].Fingerprint != r.Revision.Items[0].Credentials[0].Fingerprint {
		t.Errorf("fingerprints: %+v %v", prints, err)
	}
	b.consistent()
}

func TestCreateWithoutMarkers(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	admin := b.Person("Ada", access.Admin)
	if err := b.Mirror.SetMarkers(t.Context(), admin, b.Project.ID, false); err != nil {
		t.Fatal(err)
	}
	r := b.create("plain")
	b.state(r, change.Applied)
	if muts := b.Mutations(); len(muts) != 1 || strings.Contains(string(muts[0].Body), "·") {
		t.Errorf("mutations: %s", muts[0].Body)
	}
	// An answer that gets lost can't be found again: a person decides.
	b.Fail(sandbox.Fault{Kind: "reset-after", Method: "POST"})
	r = b.create("lost")
	b.state(r, change.Unknown)
	if !r.Progress[0].Decide {
		t.Error("nobody is asked")
	}
	r, err := b.Changes.Decide(t.Context(), b.editor, r.ID, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(r.ID), change.Applied)
	if n := len(b.Mutations()); n != 2 {
		t.Errorf("%d mutations, want 2: nothing is sent again", n)
	}
}

func TestUpdate(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.OwnOAuth)
	r := b.update(a.ID, change.Spec{
		Fields:      map[string]string{"name": "renamed", "scopes": "a b", "restrict_to_following_tools": "GITHUB_GET_A_REPOSITORY", "is_enabled_for_tool_router": "true", "proxy_url": "https://proxy.example.com"},
		Credentials: map[string]secret.Value{"client_secret": secret.New(canary), "proxy_auth_key": secret.New(canary + "p")},
	})
	b.state(r, change.Applied)
	got := b.remote(a.ID)
	if got.Name != "renamed" || !slices.Equal(got.RestrictTo, []string{"GITHUB_GET_A_REPOSITORY"}) || got.Proxy == nil {
		t.Errorf("remote: %+v", got)
	}
	r = b.update(a.ID, change.Spec{Fields: map[string]string{"scopes": "", "restrict_to_following_tools": "", "proxy_url": ""}})
	b.state(r, change.Applied)
	live := b.Config(func(x mirror.AuthConfig) bool { return x.ID == a.ID })
	if len(live.Scopes.Values)+len(live.Tools) > 0 || live.ProxyURL != "" {
		t.Errorf("not cleared: %+v", live)
	}
	b.consistent()
}

func TestDelete(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	_, err := b.Changes.ProposeDelete(t.Context(), b.editor, b.proposal(), a.ID, "another name", false, false)
	p := problem.Of(err)
	if p == nil || p.Fields["confirm"] == "" || p.Fields["skip_disable"] == "" {
		t.Errorf("an unconfirmed delete: %v", err)
	}
	b.state(b.delete(a), change.Applied)
	snapshot, err := b.Store.Snapshot(t.Context(), b.Project.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := snapshot.Get(a.ID); ok {
		t.Error("the mirror still has it")
	}
	b.consistent()
}

// After a restart, what was open is settled by looking, not by sending again.
func TestRestartSweep(t *testing.T) {
	for _, fault := range []string{"timeout-before", "timeout-after"} {
		t.Run(fault, func(t *testing.T) {
			b := newBench(t, sandbox.Options{})
			a := b.Config(rig.OwnOAuth)
			b.Fail(sandbox.Fault{Kind: fault, Method: "PATCH"})
			r, err := b.Changes.ProposeSwitch(t.Context(), b.editor, b.proposal(), []string{a.ID}, false)
			if err != nil {
				t.Fatal(err)
			}
			b.Struck() // the attempt has begun once the fault strikes
			b.Restart()
			got := b.Settled(r.ID)
			for got.State == change.Unknown || got.State == change.Applying || got.State == change.Approved {
				got = b.Settled(r.ID)
			}
			b.state(got, change.Applied)
			if len(b.Mutations()) != 1 {
				t.Errorf("%d mutations, want 1", len(b.Mutations()))
			}
			b.consistent()
		})
	}
}

func TestTwoRequestsOnOneTarget(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.OwnOAuth)
	b.Fail(sandbox.Fault{Kind: "latency=80ms", Times: -1})
	first, err := b.Changes.ProposeUpdate(t.Context(), b.editor, b.proposal(), a.ID, change.Spec{Fields: map[string]string{"name": "first"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Changes.ProposeUpdate(t.Context(), b.editor, b.proposal(), a.ID, change.Spec{Fields: map[string]string{"name": "second"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	states := []change.State{b.Settled(first.ID).State, b.Settled(second.ID).State}
	slices.Sort(states)
	if !slices.Equal(states, []change.State{change.Applied, change.Suspended}) {
		t.Errorf("states %v: one is applied, the other finds the config changed", states)
	}
	if len(b.Mutations()) != 1 {
		t.Errorf("%d mutations, want 1", len(b.Mutations()))
	}
}

func TestReadOnlyKey(t *testing.T) {
	r := rig.Bare(t, sandbox.Options{})
	r.Project = r.AddProject("prod", sandbox.ReadOnlyKey, mirror.Production)
	b := &bench{r, r.Person("Emil", access.Editor)}
	a := b.Config(rig.Enabled)
	b.state(b.disable(a.ID), change.Failed)
	p, err := b.Store.Project(t.Context(), b.Project.ID)
	if err != nil || !p.ReadOnly {
		t.Errorf("not marked read only: %v", err)
	}
	if _, err := b.Changes.ProposeSwitch(t.Context(), b.editor, b.proposal(), []string{a.ID}, false); !problem.Is(err, problem.Forbidden) {
		t.Errorf("another change was taken: %v", err)
	}
}

func TestWhoMayPropose(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	for _, role := range []access.Role{access.Viewer, access.Approver, access.Auditor, access.Admin} {
		who := b.Person("P"+string(role), role)
		if _, err := b.Changes.ProposeSwitch(t.Context(), who, b.proposal(), []string{a.ID}, false); !problem.Is(err, problem.Forbidden) {
			t.Errorf("%s: %v", role, err)
		}
	}
	// The right is looked up when it counts, not believed.
	gone := b.Person("Gone", access.Editor)
	if err := b.Access.SetDisabled(t.Context(), access.Operator(), gone.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Changes.ProposeSwitch(t.Context(), gone, b.proposal(), []string{a.ID}, false); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a disabled person: %v", err)
	}
	if len(b.Mutations()) != 0 {
		t.Error("something was sent")
	}
}

func TestConflict(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.OwnOAuth)
	saw := a.Values()
	b.state(b.update(a.ID, change.Spec{Fields: map[string]string{"name": "first"}}), change.Applied)
	_, err := b.Changes.ProposeUpdate(t.Context(), b.editor, b.proposal(), a.ID, change.Spec{Fields: map[string]string{"name": "second"}}, saw)
	var conflict *change.Conflict
	if !errors.As(err, &conflict) || conflict.Live.Name != "first" || !slices.Equal(conflict.Saw["name"], []string{a.Name}) {
		t.Errorf("got %v", err)
	}
	// Other fields may differ.
	_, err = b.Changes.ProposeUpdate(t.Context(), b.editor, b.proposal(), a.ID, change.Spec{Fields: map[string]string{"client_id": "new"}}, saw)
	if err != nil {
		t.Error(err)
	}
}

func TestCancelAndExpire(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	b.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"})
	r := b.disable(a.ID)
	b.state(r, change.Failed)
	other := b.Person("Edda", access.Editor)
	if _, err := b.Changes.Cancel(t.Context(), other, r.ID, ""); !problem.Is(err, problem.Forbidden) {
		t.Errorf("somebody else cancelled it: %v", err)
	}
	admin := b.Person("Ada", access.Admin)
	if _, err := b.Changes.Cancel(t.Context(), admin, r.ID, ""); !problem.Is(err, problem.Invalid) {
		t.Errorf("an admin cancelled it without a reason: %v", err)
	}
	if _, err := b.Changes.Cancel(t.Context(), b.editor, r.ID, ""); err != nil {
		t.Error(err)
	}
	if _, err := b.Changes.Cancel(t.Context(), b.editor, r.ID, ""); !problem.Is(err, problem.Conflict) {
		t.Errorf("cancelled twice: %v", err)
	}
	if _, err := b.Changes.Release(t.Context(), b.editor, r.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("retried after its end: %v", err)
	}
}
