package change_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// edit changes a config behind the console's back.
func (b *bench) edit(id string, fields string) {
	b.T.Helper()
	raw := []byte(fmt.Sprintf(`{"id":%q,%s}`, id, fields))
	if _, err := b.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{raw}}}}); err != nil {
		b.T.Fatal(err)
	}
}

func TestStale(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.OwnOAuth)
	b.edit(a.ID, `"name":"changed elsewhere"`)
	r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine"}})
	b.state(r, change.InReview)
	if len(b.Mutations()) != 0 {
		t.Error("something was sent")
	}
	b.outside("auth_config.changed_outside", a.ID, mirror.FieldName)
	if got, _ := b.snapshot().Get(a.ID); got.Seen.ChangedVia != mirror.ViaOutside || got.Seen.ChangedBy != "" {
		t.Errorf("the edit made elsewhere is put down to %+v", got.Seen)
	}
	other := b.Person("Vera", access.Viewer)
	if _, err := b.Changes.Rebase(t.Context(), other, r.ID, r.Version, change.Choices{}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("somebody who may not edit renewed it: %v", err)
	}
	r, err := b.Changes.Rebase(t.Context(), b.editor, r.ID, r.Version, change.Choices{})
	if err != nil {
		t.Fatal(err)
	}
	r = b.Settled(r.ID)
	b.state(r, change.Applied)
	if r.Revision.Number != 2 || b.remote(a.ID).Name != "mine" {
		t.Errorf("revision %d, name %q", r.Revision.Number, b.remote(a.ID).Name)
	}
	b.consistent()
}

// A field that isn't touched may change meanwhile.
func TestUntouchedFieldChanged(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.OwnOAuth)
	b.edit(a.ID, `"is_enabled_for_tool_router":true`)
	b.state(b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine"}}), change.Applied)
	b.outside("auth_config.changed_outside", a.ID, mirror.FieldToolRouter)
	b.consistent()
}

// snapshot is the mirror of the project.
func (b *bench) snapshot() *mirror.Snapshot {
	b.T.Helper()
	s, err := b.Store.Snapshot(b.T.Context(), b.Project.ID)
	if err != nil {
		b.T.Fatal(err)
	}
	return s
}

// outside checks that history has one entry of what somebody did to a config at
// Composio directly, with these fields.
func (b *bench) outside(action, id string, fields ...string) {
	b.T.Helper()
	var got []string
	found := b.History(store.HistoryQuery{Action: action, Object: id})
	for _, e := range found {
		for _, c := range e.Changes {
			got = append(got, c.Field)
		}
	}
	if len(found) != 1 || !slices.Equal(got, fields) {
		b.T.Errorf("%d entries %s with %v, want one with %v", len(found), action, got, fields)
	}
}

// The second of two full listings without the marker counts, and only after the
// grace time: the first may be behind.
func TestListingBehind(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	b.Fail(sandbox.Fault{Kind: "reset-after", Method: "POST", Path: "/auth_configs"})
	b.Fail(sandbox.Fault{Kind: "5xx-before", Method: "GET", Path: "/auth_configs", Times: 8})
	b.Fail(sandbox.Fault{Kind: "stale-list=1", Method: "GET", Path: "/auth_configs"})
	b.state(b.create("once"), change.Applied)
	n := 0
	for _, a := range b.Box.State().Projects["staging"].AuthConfigs {
		if strings.HasPrefix(a.Name, "once") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d configs were made", n)
	}
	b.consistent()
}

// A new credential that may have arrived can't be called failed: it can't be read.
func TestCredentialPerhapsSent(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.OwnOAuth)
	b.Fail(sandbox.Fault{Kind: "reset-after", Method: "PATCH"})
	b.Fail(sandbox.Fault{Kind: "status=403", Method: "PATCH", Times: -1})
	r := b.update(a.ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}})
	b.state(r, change.Unknown)
	if !r.Undecided() || len(b.Mutations()) != 1 {
		t.Errorf("undecided %t after %d mutations", r.Undecided(), len(b.Mutations()))
	}
	r, err := b.Changes.Decide(t.Context(), b.editor, r.ID, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(r.ID), change.Applied)
}

// A config that was made, and deleted at Composio before anyone read it, is put
// to a person.
func TestCreatedAndGone(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	b.Fail(sandbox.Fault{Kind: "5xx-before", Method: "GET", Path: "/auth_configs/*", Times: -1})
	done := make(chan change.Request)
	go func() { done <- b.create("shortlived") }()
	for len(b.Mutations()) == 0 {
		runtime.Gosched()
	}
	if _, err := b.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {Delete: []string{b.Mutations()[0].ID}}}}); err != nil {
		t.Fatal(err)
	}
	b.Box.ClearFaults()
	r := <-done
	b.state(r, change.Unknown)
	if !r.Undecided() {
		t.Error("nobody is asked")
	}
	if _, err := b.Changes.Decide(t.Context(), b.editor, r.ID, 0, false); err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(r.ID), change.Failed)
}

func TestSuperseded(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	b.edit(a.ID, `"status":"DISABLED"`)
	r := b.disable(a.ID)
	b.state(r, change.Superseded)
	if len(b.Mutations()) != 0 {
		t.Error("something was sent")
	}
	b.consistent()
}

func TestGone(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	if _, err := b.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {Delete: []string{a.ID}}}}); err != nil {
		t.Fatal(err)
	}
	b.state(b.disable(a.ID), change.Failed)
	var had []string
	for _, c := range mirror.ChangesGone(a.Values()) {
		had = append(had, c.Field)
	}
	b.outside("auth_config.deleted_outside", a.ID, had...)
	b.consistent()
}

// A person decides where a third value makes reading useless.
func TestThirdValue(t *testing.T) {
	for _, happened := range []bool{true, false} {
		b := newBench(t, sandbox.Options{})
		a := b.Config(rig.OwnOAuth)
		b.Fail(sandbox.Fault{Kind: "timeout-before", Method: "PATCH"})
		done := make(chan change.Request)
		go func() { done <- b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine"}}) }()
		b.Struck() // the attempt hangs until the client gives up; meanwhile somebody edits
		b.edit(a.ID, `"name":"a third value"`)
		r := <-done
		b.state(r, change.Unknown)
		if !r.Progress[0].Decide {
			t.Fatal("nobody is asked")
		}
		viewer := b.Person("Vera", access.Viewer)
		if _, err := b.Changes.Decide(t.Context(), viewer, r.ID, 0, true); !problem.Is(err, problem.Forbidden) {
			t.Errorf("a viewer decided: %v", err)
		}
		r, err := b.Changes.Decide(t.Context(), b.editor, r.ID, 0, happened)
		if err != nil {
			t.Fatal(err)
		}
		want := change.Failed
		if happened {
			want = change.Applied
		}
		b.state(b.Settled(r.ID), want)
		if _, err := b.Changes.Decide(t.Context(), b.editor, r.ID, 0, true); !problem.Is(err, problem.Conflict) {
			t.Errorf("decided twice: %v", err)
		}
	}
}
