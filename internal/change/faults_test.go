package change_test

import (
	"strings"
	"testing"

	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// Whatever goes wrong on the way, a change is applied once, or not at all, and
// what Gatehouse says is true.
func TestFaults(t *testing.T) {
	type op struct {
		name   string
		method string
		do     func(b *bench) change.Request
		effect func(b *bench, r change.Request) bool // it is so at the remote
	}
	ops := []op{
		{"disable", "PATCH", func(b *bench) change.Request { return b.disable(b.Config(rig.OwnOAuth).ID) },
			func(b *bench, r change.Request) bool {
				return b.remote(r.Revision.Items[0].Target).Status == "DISABLED"
			}},
		{"update", "PATCH", func(b *bench) change.Request {
			return b.update(b.Config(rig.OwnOAuth).ID, change.Spec{Fields: map[string]string{"name": "renamed"}})
		}, func(b *bench, r change.Request) bool { return b.remote(r.Revision.Items[0].Target).Name == "renamed" }},
		{"credential", "PATCH", func(b *bench) change.Request {
			return b.update(b.Config(rig.OwnOAuth).ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}})
		}, func(b *bench, _ change.Request) bool { return len(b.Mutations()) > 0 }},
		{"delete", "DELETE", func(b *bench) change.Request { return b.delete(b.Config(rig.OwnOAuth)) },
			func(b *bench, r change.Request) bool {
				return b.remote(r.Revision.Items[0].Target).DeletedAt != nil
			}},
		{"create", "POST", func(b *bench) change.Request { return b.create("made") },
			func(b *bench, _ change.Request) bool {
				n := 0
				for _, a := range b.Box.State().Projects["staging"].AuthConfigs {
					if a.Name == "made" && a.DeletedAt == nil {
						n++
					}
				}
				return n == 1
			}},
	}
	faults := map[string]change.State{
		"timeout-before": change.Applied, "timeout-after": change.Applied, "reset-before": change.Applied, "reset-after": change.Applied,
		"5xx-before": change.Applied, "5xx-after": change.Applied, "garbage-2xx": change.Applied, "status=429": change.Applied,
		"status=400": change.Failed, "status=401": change.Failed, "status=403": change.Failed, "status=409": change.Failed, "status=422": change.Failed,
	}
	for _, op := range ops {
		for fault, want := range faults {
			t.Run(op.name+"/"+fault, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, sandbox.Options{})
				b.Fail(sandbox.Fault{Kind: fault, Method: op.method})
				r := op.do(b)
				b.state(r, want)
				if got := op.effect(b, r); got != (want == change.Applied) {
					t.Errorf("effect at the remote: %v", got)
				}
				if op.name == "credential" && want == change.Applied && len(b.Mutations()) > 2 {
					t.Errorf("%d mutations", len(b.Mutations()))
				} else if most := map[string]int{"create": 2}[op.name]; op.name != "credential" && len(b.Mutations()) > max(most, 1) {
					t.Errorf("%d mutations: something was done twice", len(b.Mutations()))
				}
				b.consistent()
			})
		}
	}
}

// A create that Composio carries out twice is noticed, and its second object is
// proposed for deletion or named in history.
func TestDuplicateCreate(t *testing.T) {
	b := newBench(t, sandbox.Options{Quirks: []string{"duplicates"}})
	r := b.create("twin")
	b.state(r, change.Applied)
	if err := b.Mirror.Sync(t.Context(), b.Project.ID); err != nil {
		t.Fatal(err)
	}
	if n := len(b.History(store.HistoryQuery{Action: "auth_config.duplicate_found"})); n != 1 {
		t.Errorf("%d incidents, want 1", n)
	}

	b = newBench(t, sandbox.Options{Quirks: []string{"duplicates"}})
	b.Fail(sandbox.Fault{Kind: "reset-after", Method: "POST"})
	b.state(b.create("twin"), change.Applied)
	open := true
	left, err := b.Store.Requests(t.Context(), store.RequestQuery{Open: &open, Limit: 10})
	if err != nil || len(left) != 1 {
		t.Fatalf("clean-up request: %+v %v", left, err)
	}
	one, err := b.Store.Request(t.Context(), left[0].ID)
	if err != nil || one.Revision.Items[0].Operation != change.Delete || one.State != change.Approved {
		t.Fatalf("clean-up request: %+v %v", one, err)
	}
	if _, err := b.Changes.Release(t.Context(), b.editor, one.ID); err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(one.ID), change.Applied)
	b.consistent()
}

// Nothing listens: definite, and said so.
func TestUnreachable(t *testing.T) {
	b := newBench(t, sandbox.Options{})
	a := b.Config(rig.Enabled)
	b.Fail(sandbox.Fault{Kind: "5xx-before", Method: "GET", Times: -1})
	r := b.disable(a.ID)
	b.state(r, change.Failed)
	if len(b.Mutations()) != 0 || !strings.Contains(r.Note, "Composio") {
		t.Errorf("%d mutations, note %q", len(b.Mutations()), r.Note)
	}
	b.Box.ClearFaults()
	if _, err := b.Changes.Release(t.Context(), b.editor, r.ID); err != nil {
		t.Fatal(err)
	}
	b.state(b.Settled(r.ID), change.Applied)
	b.consistent()
}
