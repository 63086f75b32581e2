package change_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/composio/sandbox/sandboxtest"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

var (
	modelSteps = flag.Int("model.steps", 100_000, "steps of the property test, over all worlds")
	modelSeed  = flag.Uint64("model.seed", 0, "replay the one world of this seed; 0 draws as many as the steps need")
)

// worldSteps is how long one world lasts.
const worldSteps = 2000

// Random sequences of everything that people, the clock and Composio can do,
// held against the reference after each step.
func TestModel(t *testing.T) {
	steps := *modelSteps
	if testing.Short() {
		steps = min(steps, worldSteps)
	}
	first, worlds := uint64(1), (steps+worldSteps-1)/worldSteps
	if *modelSeed != 0 {
		first, worlds = *modelSeed, 1
	}
	var taken, allowed, writes atomic.Int64
	var mu sync.Mutex
	reached := map[change.State]int{}
	begun := time.Now()
	t.Run("worlds", func(t *testing.T) {
		for i := range worlds {
			seed := first + uint64(i)
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, seed)
				for n := 0; n < worldSteps && !t.Failed(); n++ {
					w.step(n)
					taken.Add(1)
				}
				w.end()
				allowed.Add(int64(w.allowed))
				writes.Add(int64(w.m.writes))
				mu.Lock()
				defer mu.Unlock()
				for state, n := range w.reached {
					reached[state] += n
				}
			})
		}
	})
	took := time.Since(begun)
	t.Logf("%d steps in %s, %.0f a second; %d were allowed, %d writes at the sandbox; seeds %d to %d",
		taken.Load(), took.Round(time.Millisecond), float64(taken.Load())/took.Seconds(), allowed.Load(), writes.Load(), first, first+uint64(worlds)-1)
	t.Logf("how often each state was entered: %v", reached)
	for _, s := range append(change.Open(), change.Applied, change.Rejected, change.Cancelled, change.Expired, change.Superseded) {
		if steps >= 50_000 && !t.Failed() && reached[s] < 10 {
			t.Errorf("%s was entered %d times: too little to learn from", s, reached[s])
		}
	}
	if n := taken.Load(); *modelSeed == 0 && !t.Failed() && n < int64(steps) {
		t.Errorf("%d steps, %d were asked for", n, steps)
	}
}

// A world is a console whose service takes a step only when it is told to.
type world struct {
	t       *testing.T
	seed    uint64
	draw    *rand.Rand
	now     time.Time
	box     *sandboxtest.Server
	st      *store.Store
	mirror  *mirror.Service
	access  *access.Service
	changes *change.Service
	project mirror.Project
	readers []access.Reader // as their sessions knew them; perhaps not any more so
	targets []string
	group   string
	m       *ref
	trace   []string
	allowed int
	last    map[string]change.Request
	reached map[change.State]int
	effects map[string][]string // all effect hashes that a request ever had
	version int64
	seq     int64
	muts    int
}

func newWorld(t *testing.T, seed uint64) *world {
	dir := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "gatehouse-model-"); err == nil {
		dir = shm
		t.Cleanup(func() { _ = os.RemoveAll(shm) })
	}
	w := &world{
		t: t, seed: seed, draw: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		box: sandboxtest.New(t, sandbox.Options{Configs: 12, Seed: 1}), last: map[string]change.Request{}, reached: map[change.State]int{}, effects: map[string][]string{},
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	clock := func() time.Time { return w.now }
	keys, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	w.must(err)
	w.st, err = store.Open(filepath.Join(dir, "data"), store.Options{Log: log, Now: clock})
	w.must(err)
	t.Cleanup(func() { w.must(w.st.Close()) })
	w.access = access.NewService(w.st, keys, clock)
	w.mirror = mirror.NewService(w.st, keys, mirror.Settings{SyncInterval: time.Hour, APIVersion: "v3.1", Timeout: 5 * time.Second}, clock, log)
	w.changes = change.NewService(w.st, w.mirror, keys, change.Settings{Lease: time.Minute}, clock, log)
	w.changes.Hold()
	ctx := t.Context()
	w.project, err = w.mirror.AddProject(ctx, access.Operator(), mirror.ProjectInput{Name: "Staging", Slug: "staging", Environment: mirror.Staging, BaseURL: w.box.URL}, secret.New(sandbox.StagingKey))
	w.must(err)
	w.must(w.mirror.Sync(ctx, w.project.ID))
	w.m = &ref{mirror: map[string]refValues{}, remote: map[string]refValues{}, held: map[string]string{}, requests: map[string]*refRequest{}}
	for i, roles := range [][]access.Role{
		{access.Editor}, {access.Editor}, {access.Editor, access.Approver}, {access.Approver}, {access.Approver}, {access.Approver, access.Auditor},
		{access.Admin}, {access.Admin, access.Approver}, {access.Viewer},
	} {
		u := access.User{ID: fmt.Sprintf("usr_%d", i), Email: fmt.Sprintf("p%d@example.com", i), Name: fmt.Sprintf("Person %d", i), Grants: access.Unscoped(roles...), State: access.Active, CreatedAt: w.now}
		w.must(w.st.AddAccount(ctx, access.Account{User: u, Passphrase: "none"}, nil, audit.Event{Action: "user.added", Object: audit.Object{Kind: "user", ID: u.ID}}))
		w.readers = append(w.readers, access.Reader{User: u, ProvedAt: w.now})
		p := &refPerson{id: u.ID, active: true}
		for _, r := range roles {
			p.roles = append(p.roles, string(r))
		}
		w.m.people = append(w.m.people, p)
	}
	snapshot, err := w.st.Snapshot(ctx, w.project.ID)
	w.must(err)
	for a := range snapshot.All {
		if a.Enabled() && !a.Managed && a.Scheme == "OAUTH2" && !a.Scopes.Masked && len(w.targets) < 4 {
			w.targets = append(w.targets, a.ID)
			w.m.mirror[a.ID], w.m.remote[a.ID] = known(a), known(a)
		}
	}
	if len(w.targets) < 3 {
		t.Fatal("too few auth configs to work on")
	}
	w.rules()
	w.catchUp()
	return w
}

// known are the fields that the world changes, as text.
func known(a mirror.AuthConfig) refValues {
	scopes := slices.Clone(a.Scopes.Values)
	sort.Strings(scopes)
	return refValues{"name": a.Name, "status": a.Status, "scopes": strings.Join(slices.Compact(scopes), " "), "client_id": a.ClientID}
}

// rules gives the world a group and, mostly, policies that ask for something.
func (w *world) rules() {
	w.m.policies = []*refPolicy{{}} // the starting policy
	rules, err := w.st.Rules(w.t.Context())
	w.must(err)
	w.m.policies[0].id = rules.Policies[0].ID
	r, err := w.changes.ProposeGroup(w.t.Context(), w.readers[6], "to begin with", access.Group{Name: "Reviewers", Members: []string{"usr_3", "usr_5"}})
	w.must(err)
	w.must(w.changes.Step(w.t.Context(), r.ID))
	r, err = w.st.Request(w.t.Context(), r.ID)
	w.must(err)
	w.group = r.Progress[0].Target
	w.m.person("usr_3").groups, w.m.person("usr_5").groups = []string{w.group}, []string{w.group}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%v", err)
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	tail := w.trace[max(0, len(w.trace)-15):]
	for _, word := range strings.Fields(tail[len(tail)-1]) {
		if strings.HasPrefix(word, "chg_") { // the life of the request that it is about comes first
			about := slices.DeleteFunc(slices.Clone(w.trace), func(line string) bool { return !strings.Contains(line, word) })
			tail = slices.Concat(about, []string{"…"}, tail)
			break
		}
	}
	w.t.Fatalf("seed %d after %d steps: %s\nreplay: go test ./internal/change -run TestModel -model.seed=%d\n%s",
		w.seed, len(w.trace), fmt.Sprintf(format, args...), w.seed, strings.Join(tail, "\n"))
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%4d %s ", len(w.trace), w.now.Format("2 15:04:05.000"))+fmt.Sprintf(format, args...))
}

func pick[T any](w *world, of []T) T { return of[w.draw.IntN(len(of))] }

func (w *world) chance(percent int) bool { return w.draw.IntN(100) < percent }

// person draws somebody, whose session knows them as they were a while ago.
func (w *world) person() access.Reader { return pick(w, w.readers) }

// holding prefers somebody who has a role now.
func (w *world) holding(role string) access.Reader {
	for range 4 {
		if r := w.person(); w.m.person(r.ID).is(role) {
			return r
		}
	}
	return w.person()
}

// open lists the requests that aren't ended.
func (w *world) open() []*refRequest {
	var out []*refRequest
	for _, id := range w.m.order {
		if r := w.m.requests[id]; !r.ended() {
			out = append(out, r)
		}
	}
	return out
}

// request draws one, mostly an open one, and of these one in a fitting state.
func (w *world) request(states ...string) *refRequest {
	if len(w.m.order) == 0 {
		return nil
	}
	if w.chance(3) {
		return w.m.requests[pick(w, w.m.order)]
	}
	open := w.open()
	if fitting := slices.DeleteFunc(slices.Clone(open), func(r *refRequest) bool { return !slices.Contains(states, r.state) }); len(fitting) > 0 && w.chance(90) {
		return pick(w, fitting)
	}
	if len(open) == 0 {
		return nil
	}
	return pick(w, open)
}

// step takes one step and holds console and reference against each other.
func (w *world) step(n int) {
	w.tick()
	w.m.now = w.now
	kinds := []struct {
		weight int
		do     func()
	}{
		{10, w.propose}, {4, w.ruleRequest}, {26, w.vote}, {10, w.release}, {5, w.revise}, {3, w.rebase}, {3, w.submit}, {3, w.cancel},
		{5, w.schedule}, {2, w.unschedule}, {3, w.breakGlass}, {3, w.reviewBypass}, {3, w.people}, {3, w.outside}, {4, w.sweep}, {12, w.work}, {1, w.decide}, {4, w.signInAgain},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for len(w.trace) <= n { // until there was something to do
		at := w.draw.IntN(total)
		for _, k := range kinds {
			if at -= k.weight; at < 0 {
				k.do()
				break
			}
		}
	}
	w.compare()
}

// tick lets time pass: mostly little, sometimes days, sometimes backwards.
func (w *world) tick() {
	step := time.Duration(1+w.draw.IntN(2000)) * time.Millisecond
	switch d := w.draw.IntN(1000); {
	case d < 4:
		step = time.Duration(1+w.draw.IntN(8*24)) * time.Hour
	case d < 30:
		step = time.Duration(1+w.draw.IntN(12)) * time.Hour
	case d < 150:
		step = time.Duration(1+w.draw.IntN(60)) * time.Minute
	case d < 170:
		step = -time.Duration(1+w.draw.IntN(5000)) * time.Millisecond
	}
	w.now = w.now.Add(step)
}

// same holds allowed against refused.
func (w *world) same(err error, allowed bool) {
	w.t.Helper()
	var moved *change.MovedOn
	if err != nil && problem.Of(err) == nil && !errors.As(err, &moved) {
		w.fail("an error that is no refusal: %v", err)
	}
	w.trace[len(w.trace)-1] += fmt.Sprintf("→ %v", err)
	if (err == nil) != allowed {
		w.fail("the console says %v, the reference says allowed=%v", err, allowed)
	}
	if allowed {
		w.allowed++
	}
	head, herr := w.st.HistoryHead(w.t.Context())
	w.must(herr)
	if grew := head.Seq > w.seq; grew != allowed {
		w.fail("allowed=%v, but history grew from %d to %d", allowed, w.seq, head.Seq)
	}
	w.seq = head.Seq
}

func (w *world) real(r *refRequest) change.Request {
	got, err := w.st.Request(w.t.Context(), r.id)
	w.must(err)
	return got
}
