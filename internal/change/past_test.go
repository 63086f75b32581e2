package change_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
)

// A pastMoment is the mirror as it was when history ended with an entry.
type pastMoment struct {
	seq      int64
	at       time.Time
	did      string
	snapshot *mirror.Snapshot
}

// Whatever is changed, through Gatehouse or outside, each earlier state is rebuilt
// from history as the mirror had it then.
func TestPastIsRebuilt(t *testing.T) {
	b := newBench(t, sandbox.Options{Configs: 12})
	random := rand.New(rand.NewPCG(7, 11))
	var moments []pastMoment
	note := func(did string) {
		head, err := b.Store.HistoryHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := b.Store.Snapshot(t.Context(), b.Project.ID)
		if err != nil {
			t.Fatal(err)
		}
		e, err := b.Store.HistoryEntry(t.Context(), head.Seq)
		if err != nil {
			t.Fatal(err)
		}
		moments = append(moments, pastMoment{head.Seq, e.Time, did, snapshot})
	}
	note("the first sync")
	for i := range 80 {
		note(b.changeSomething(random, i))
	}
	for _, m := range moments {
		b.checkPast(m)
	}
}

// any returns one of the project's configs.
func (b *bench) any(random *rand.Rand) mirror.AuthConfig {
	b.T.Helper()
	snapshot, err := b.Store.Snapshot(b.T.Context(), b.Project.ID)
	if err != nil {
		b.T.Fatal(err)
	}
	n, i := random.IntN(snapshot.Len()), 0
	var out mirror.AuthConfig
	for a := range snapshot.All {
		if i == n {
			out = a
		}
		i++
	}
	return out
}

// changeSomething makes one change and says which.
func (b *bench) changeSomething(random *rand.Rand, i int) string {
	b.T.Helper()
	a := b.any(random)
	outside := func(format string, args ...any) {
		b.meddle(sandbox.ProjectEdit{AuthConfigs: []json.RawMessage{json.RawMessage(fmt.Sprintf(format, args...))}})
	}
	switch do := random.IntN(10); {
	case do == 0:
		b.create(fmt.Sprint("made ", i))
		return "a create"
	case do == 1 && b.size() > 6:
		b.delete(a)
		return "a delete of " + a.ID
	case do == 2:
		r, err := b.Changes.ProposeSwitch(b.T.Context(), b.editor, b.proposal(), []string{a.ID}, !a.Enabled())
		if err != nil {
			b.T.Fatal(err)
		}
		b.Settled(r.ID)
		return "a switch of " + a.ID
	case do == 3 && !a.Managed:
		b.update(a.ID, change.Spec{Fields: map[string]string{"name": fmt.Sprint("credential ", i)}, Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}})
		return "a credential of " + a.ID
	case do <= 5:
		b.update(a.ID, change.Spec{Fields: map[string]string{"name": fmt.Sprint("renamed ", i), "scopes": fmt.Sprintf("scope%d,repo", i%5)}})
		return "an edit of " + a.ID
	case do == 6:
		outside(`{"id":%q,"name":"outside %d","credentials":{"scopes":"outside%d,user"}}`, a.ID, i, i%4)
	case do == 7:
		outside(`{"id":%q,"status":%q,"restrict_to_following_tools":["TOOL_%d"]}`, a.ID, []string{"ENABLED", "DISABLED"}[i%2], i)
	case do == 8:
		outside(`{"toolkit":"slack","name":"from elsewhere %d"}`, i)
	case b.size() > 6:
		b.meddle(sandbox.ProjectEdit{Delete: []string{a.ID}})
	}
	return fmt.Sprint("a change outside of ", a.ID)
}

func (b *bench) size() int {
	snapshot, err := b.Store.Snapshot(b.T.Context(), b.Project.ID)
	if err != nil {
		b.T.Fatal(err)
	}
	return snapshot.Len()
}

// meddle changes something at the remote directly, and syncs.
func (b *bench) meddle(e sandbox.ProjectEdit) {
	b.T.Helper()
	if _, err := b.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": e}}); err != nil {
		b.T.Fatal(err)
	}
	if err := b.Mirror.Sync(b.T.Context(), b.Project.ID); err != nil {
		b.T.Fatal(err)
	}
}

func (b *bench) checkPast(m pastMoment) {
	b.T.Helper()
	seq, err := b.Store.LastStepAt(b.T.Context(), b.Project.ID, m.at)
	if err != nil {
		b.T.Fatal(err)
	}
	for _, at := range []int64{m.seq, seq} {
		all, err := b.Store.ConfigsAt(b.T.Context(), b.Project.ID, at)
		if err != nil {
			b.T.Fatal(err)
		}
		if len(all) != m.snapshot.Len() {
			b.T.Errorf("after %s: %d configs, want %d", m.did, len(all), m.snapshot.Len())
		}
		for _, one := range all {
			want, existed := m.snapshot.Get(one.ID)
			if !existed {
				b.T.Errorf("after %s: %s didn't exist", m.did, one.ID)
				continue
			}
			got, err := b.Store.ConfigAt(b.T.Context(), b.Project.ID, one.ID, at)
			if err != nil {
				b.T.Fatal(err)
			}
			b.samePast(m, got, want)
		}
	}
}

func (b *bench) samePast(m pastMoment, got mirror.State, want mirror.AuthConfig) {
	b.T.Helper()
	values := want.Values()
	if !values.Equal(got.Values) || len(got.Values) != len(values) {
		b.T.Errorf("after %s (entry %d), %s: %s", m.did, m.seq, want.ID, cmp.Diff(values, got.Values))
	}
	kind := mirror.OwnType
	if want.Managed {
		kind = mirror.ManagedType
	}
	if !got.Exists || got.Toolkit != want.Toolkit || got.Scheme != want.Scheme || got.Type != kind || got.Name != want.Name {
		b.T.Errorf("after %s, %s is %+v, want %+v", m.did, want.ID, got, want)
	}
}
