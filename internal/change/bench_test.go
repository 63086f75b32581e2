package change_test

import (
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// bench is a rig with an editor.
type bench struct {
	*rig.Rig
	editor access.Reader
}

func newBench(t *testing.T, o sandbox.Options) *bench {
	t.Helper()
	r := rig.New(t, o)
	return &bench{r, r.Person("Emil", access.Editor)}
}

func (b *bench) proposal() change.Proposal {
	return change.Proposal{Project: b.Project.ID, Reason: "for a test"}
}

func (b *bench) disable(id ...string) change.Request {
	b.T.Helper()
	r, err := b.Changes.ProposeSwitch(b.T.Context(), b.editor, b.proposal(), id, false)
	if err != nil {
		b.T.Fatal(err)
	}
	return b.Settled(r.ID)
}

func (b *bench) update(id string, spec change.Spec) change.Request {
	b.T.Helper()
	r, err := b.Changes.ProposeUpdate(b.T.Context(), b.editor, b.proposal(), id, spec, nil)
	if err != nil {
		b.T.Fatal(err)
	}
	return b.Settled(r.ID)
}

func (b *bench) create(name string) change.Request {
	b.T.Helper()
	r, err := b.Changes.ProposeCreate(b.T.Context(), b.editor, b.proposal(), ownGitHub(name))
	if err != nil {
		b.T.Fatal(err)
	}
	return b.Settled(r.ID)
}

func ownGitHub(name string) change.Spec {
	return change.Spec{
		Toolkit: "github", Scheme: "OAUTH2", Fields: map[string]string{"name": name, "client_id": "Iv1.0", "scopes": "repo, user"},
		Credentials: map[string]secret.Value{"client_secret": secret.New(canary)},
	}
}

const canary = "canary-4f6d0a97c2e81b35"

func (b *bench) delete(a mirror.AuthConfig) change.Request {
	b.T.Helper()
	r, err := b.Changes.ProposeDelete(b.T.Context(), b.editor, b.proposal(), a.ID, a.Name, true, false)
	if err != nil {
		b.T.Fatal(err)
	}
	return b.Settled(r.ID)
}

// state checks a request's state.
func (b *bench) state(r change.Request, want change.State) {
	b.T.Helper()
	if r.State != want {
		b.T.Errorf("state %s (%s), want %s; progress %+v", r.State, r.Note, want, r.Progress)
	}
}

// remote returns a config as the sandbox has it.
func (b *bench) remote(id string) *sandbox.AuthConfig {
	b.T.Helper()
	for _, a := range b.Box.State().Projects["staging"].AuthConfigs {
		if a.ID == id {
			return a
		}
	}
	b.T.Fatalf("the sandbox has no %s", id)
	return nil
}

// consistent checks what must hold after everything has settled.
func (b *bench) consistent() {
	b.T.Helper()
	if _, err := b.Store.VerifyHistory(b.T.Context()); err != nil {
		b.T.Error(err)
	}
	intents := map[string]bool{}
	for _, e := range b.History(store.HistoryQuery{Action: "apply.intent"}) {
		intents[e.Object.ID+e.Detail["digest"]] = true
	}
	if muts := b.Mutations(); len(muts) > len(intents)*2 {
		b.T.Errorf("%d mutations for %d intents", len(muts), len(intents))
	}
	for _, i := range b.Box.Journal().Incidents {
		b.T.Errorf("incident in the sandbox: %+v", i)
	}
	// One more sync finds nothing that the mirror doesn't know.
	before := len(b.History(store.HistoryQuery{Project: b.Project.ID}))
	if err := b.Mirror.Sync(b.T.Context(), b.Project.ID); err != nil {
		b.T.Fatal(err)
	}
	if after := b.History(store.HistoryQuery{Project: b.Project.ID}); len(after) != before {
		b.T.Errorf("the mirror differed from the remote: %s %+v", after[0].Action, after[0].Changes)
	}
	if strings.Contains(b.Log.String(), canary) {
		b.T.Error("a credential was logged")
	}
}
