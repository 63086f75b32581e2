package change_test

import (
	"context"
	"encoding/json"
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
	"strconv"
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
	w.access = access.NewService(w.st, clock)
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
		u := access.User{ID: fmt.Sprintf("usr_%d", i), Email: fmt.Sprintf("p%d@example.com", i), Name: fmt.Sprintf("Person %d", i), Roles: roles, State: access.Active, CreatedAt: w.now}
		w.must(w.st.AddAccount(ctx, access.Account{User: u, Passphrase: "none"}, nil, audit.Event{Action: "user.added", Object: audit.Object{Kind: "user", ID: u.ID}}))
		w.readers = append(w.readers, access.Reader{User: u, Since: w.now})
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

// wish draws an edit: as the console takes it, and as the reference has it.
func (w *world) wish(target string) (change.Spec, *refItem) {
	spec := change.Spec{Fields: map[string]string{}, Credentials: map[string]secret.Value{}}
	it := &refItem{kind: "auth_config", operation: "update", target: target, set: refValues{}}
	put := func(field, value string) { spec.Fields[field], it.set[field] = value, value }
	if w.chance(60) {
		put("name", fmt.Sprintf("name %d", w.draw.IntN(4)))
	}
	if w.chance(20) {
		put("scopes", pick(w, []string{"a", "a b", "a b c"}))
	}
	if w.chance(20) {
		put("client_id", pick(w, []string{"one", "two"}))
	}
	if w.chance(30) || len(it.set) == 0 {
		spec.Credentials["client_secret"] = secret.New(canary + strconv.Itoa(w.draw.IntN(3)))
		it.credential = true
	}
	return spec, it
}

func (w *world) proposal(draft bool) change.Proposal {
	p := change.Proposal{Project: w.project.ID, Draft: draft}
	if w.chance(95) {
		p.Reason = "because"
	}
	return p
}

func (w *world) propose() {
	if len(w.open()) >= 8 {
		w.work()
		return
	}
	by, target := w.holding("editor"), pick(w, w.targets)
	p := w.proposal(w.chance(15))
	var r change.Request
	var err error
	var items []*refItem
	switch w.draw.IntN(3) {
	case 0:
		spec, it := w.wish(target)
		items = []*refItem{it}
		w.note("%s proposes an edit of %s: %v credential=%v draft=%v", by.ID, target, it.set, it.credential, p.Draft)
		r, err = w.changes.ProposeUpdate(w.t.Context(), by, p, target, spec, nil)
	default:
		ids := []string{target}
		if other := pick(w, w.targets); w.chance(40) && other != target {
			ids = append(ids, other)
		}
		enable := w.chance(50)
		op, status := "disable", "DISABLED"
		if enable {
			op, status = "enable", "ENABLED"
		}
		for _, id := range ids {
			items = append(items, &refItem{kind: "auth_config", operation: op, target: id, set: refValues{"status": status}})
		}
		w.note("%s proposes %s of %v draft=%v", by.ID, op, ids, p.Draft)
		r, err = w.changes.ProposeSwitch(w.t.Context(), by, p, ids, enable)
	}
	var want *refRequest
	ok := false
	if by.May(access.ProposeChange) { // as far as the session knows
		want, ok = w.m.propose(by.ID, p.Reason, p.Draft, items)
	}
	w.same(err, ok)
	if ok {
		w.m.add(r.ID, want)
		w.trace[len(w.trace)-1] += " " + r.ID
	}
}

func (w *world) policy() (change.Policy, *refPolicy) {
	p, m := change.Policy{Subject: change.AboutConfigs, Project: w.project.ID}, &refPolicy{}
	switch w.draw.IntN(6) {
	case 0:
		p.Operations, m.operation = []change.Operation{change.Disable}, "disable"
	case 1:
		p.Condition, m.credential = change.CredentialChanged, true
	case 2:
		p.Subject, p.Project, m.rules = change.AboutRules, "", true
	}
	steps := 1 + w.draw.IntN(2)
	if m.rules {
		steps = 1
	}
	for range steps {
		n := refNeed{count: 1 + w.draw.IntN(2)}
		switch w.draw.IntN(6) {
		case 0:
			n.groups = []string{w.group}
		case 1:
			n.roles = []string{"approver"}
		case 2:
			n.people = []string{w.readers[2+w.draw.IntN(4)].ID, w.readers[2+w.draw.IntN(4)].ID}
		}
		m.steps = append(m.steps, []refNeed{n})
		need := change.Need{Count: n.count, Groups: n.groups, People: n.people}
		for _, r := range n.roles {
			need.Roles = append(need.Roles, access.Role(r))
		}
		p.Steps = append(p.Steps, change.PolicyStep{need})
	}
	if w.chance(10) {
		p.Steps, m.steps = nil, nil
	}
	return p, m
}

func (w *world) ruleRequest() {
	if len(w.open()) >= 8 {
		w.work()
		return
	}
	ctx, by, reason := w.t.Context(), w.holding("admin"), "because"
	var r change.Request
	var err error
	it, possible := &refItem{}, true
	some := func() []string {
		var ids []string
		for _, p := range w.readers[:6] {
			if w.chance(40) {
				ids = append(ids, p.ID)
			}
		}
		return ids
	}
	switch w.draw.IntN(7) {
	case 0, 1:
		p, m := w.policy()
		it = &refItem{kind: "policy", operation: "create", policy: m}
		if len(w.m.policies) >= 4 {
			old := pick(w, w.m.policies)
			p.ID, it.target, it.operation = old.id, old.id, "update"
			m.id = old.id
		}
		possible = satisfied([]*refPolicy{m}, w.m.people)
		r, err = w.changes.ProposePolicy(ctx, by, reason, p)
	case 2:
		if len(w.m.policies) < 2 {
			return
		}
		it = &refItem{kind: "policy", operation: "delete", target: pick(w, w.m.policies).id}
		r, err = w.changes.ProposePolicyDelete(ctx, by, reason, it.target)
	case 3:
		it = &refItem{kind: "break_glass", operation: "update", target: "break_glass", list: some()}
		r, err = w.changes.ProposeBreakGlass(ctx, by, reason, it.list)
	case 4:
		it = &refItem{kind: "group", operation: "update", target: w.group, list: some()}
		r, err = w.changes.ProposeGroup(ctx, by, reason, access.Group{ID: w.group, Name: "Reviewers", Members: it.list})
	case 5:
		who := pick(w, w.m.people[:6])
		it = &refItem{kind: "role", operation: "update", target: who.id, list: w.roles()}
		var typed []access.Role
		for _, s := range it.list {
			typed = append(typed, access.Role(s))
		}
		now, aerr := w.st.Account(ctx, who.id)
		w.must(aerr)
		r, err = w.changes.ProposeRoles(ctx, by, reason, now.User, typed)
	case 6:
		if len(w.m.freezes) > 1 || w.chance(50) && len(w.m.freezes) > 0 {
			it = &refItem{kind: "freeze", operation: "delete", target: pick(w, w.m.freezes).id}
			r, err = w.changes.ProposeFreezeDelete(ctx, by, reason, it.target)
			break
		}
		from := w.now.Add(time.Duration(w.draw.IntN(60)-10) * time.Hour).Truncate(time.Second)
		it = &refItem{kind: "freeze", operation: "create", from: from, until: from.Add(time.Duration(1+w.draw.IntN(20)) * time.Hour)}
		possible = it.until.After(w.now)
		r, err = w.changes.ProposeFreeze(ctx, by, reason, change.Freeze{Name: "Quiet", Project: w.project.ID, From: it.from, Until: it.until})
	}
	w.note("%s proposes %s of %s %s %v", by.ID, it.operation, it.kind, it.target, it.list)
	it.base = refValues{"is": w.m.ruleNow(it)}
	if it.operation == "update" && it.would() == it.base["is"] {
		possible = false
	}
	var want *refRequest
	ok := false
	if possible && by.May(access.ManageRules) {
		want, ok = w.m.propose(by.ID, reason, false, []*refItem{it})
	}
	w.same(err, ok)
	if ok {
		w.m.add(r.ID, want)
		w.trace[len(w.trace)-1] += " " + r.ID
	}
}

// would is what ruleNow says once the item is applied.
func (it *refItem) would() string {
	if it.kind == "policy" {
		return (&ref{policies: []*refPolicy{it.policy}}).ruleNow(it)
	}
	words := map[string]string{"break_glass": "list ", "role": "roles ", "group": "group "}
	return words[it.kind] + fmt.Sprint(slices.Sorted(slices.Values(it.list)))
}

func (w *world) roles() []string {
	return pick(w, [][]string{{"approver"}, {"editor"}, {"approver", "editor"}, {"editor"}, {"viewer"}, {"approver"}, {"approver", "auditor"}})
}

func (w *world) vote() {
	r := w.request("in_review", "changes_requested", "in_review", "approved", "scheduled", "suspended")
	if r == nil {
		w.propose()
		return
	}
	by := w.holding("approver")
	for range 3 {
		if slices.Contains(r.writers, by.ID) || r.standing(by.ID) == "approve" {
			by = w.holding("approver")
		}
	}
	what := pick(w, []string{"approve", "approve", "approve", "approve", "approve", "approve", "request_changes", "withdraw", "withdraw", "reject"})
	if what == "reject" && w.chance(60) {
		what = "approve"
	}
	hashes := w.effects[r.id]
	saw := hashes[len(hashes)-1]
	if w.chance(10) {
		saw = pick(w, hashes)
	}
	reason := pick(w, []string{"because", "because", "because", ""})
	current := saw == hashes[len(hashes)-1]
	w.note("%s votes %s on %s (%s), current=%v", by.ID, what, r.id, r.state, current)
	_, err := w.changes.Vote(w.t.Context(), by, r.id, change.Ballot{Decision: change.Decision(what), EffectHash: saw, Reason: reason})
	w.same(err, w.m.vote(by.ID, r, what, reason, current))
}

func (w *world) release() {
	r := w.request("approved", "suspended", "failed", "partial", "approved", "scheduled")
	if r == nil {
		return
	}
	by := w.holding(map[bool]string{true: "admin", false: "editor"}[r.rule()])
	w.note("%s applies %s (%s)", by.ID, r.id, r.state)
	_, err := w.changes.Release(w.t.Context(), by, r.id)
	w.same(err, w.m.release(by.ID, r))
}

func (w *world) revise() {
	r := w.request("in_review", "changes_requested", "approved", "scheduled", "suspended", "draft")
	if r == nil || r.rule() || r.items[0].operation != "update" {
		w.vote()
		return
	}
	by, draft := w.holding("editor"), r.state == "draft" && w.chance(60)
	spec, it := w.wish(r.items[0].target)
	p := w.proposal(draft)
	p.Revises, p.Version = r.id, w.last[r.id].Version
	current := w.chance(85)
	if !current {
		p.Version = pick(w, []int64{p.Version - 1, p.Version + 1, 0})
		current = p.Version == w.last[r.id].Version
	}
	w.note("%s revises %s (%s): %v credential=%v current=%v draft=%v reason=%q", by.ID, r.id, r.state, it.set, it.credential, current, draft, p.Reason)
	_, err := w.changes.ProposeUpdate(w.t.Context(), by, p, it.target, spec, nil)
	w.same(err, by.May(access.ProposeChange) && w.m.revise(by.ID, r, current, p.Reason, draft, []*refItem{it}))
}

func (w *world) rebase() {
	r := w.request("in_review", "suspended", "approved", "changes_requested")
	if r == nil {
		return
	}
	by, version, drop, choices := w.holding("editor"), w.last[r.id].Version, -1, change.Choices{}
	current := w.chance(90)
	if !current {
		version--
	}
	if w.chance(20) {
		drop = w.draw.IntN(len(r.items))
		choices.Drop = []int{drop}
	}
	w.note("%s brings %s (%s) up to date, current=%v drop=%d", by.ID, r.id, r.state, current, drop)
	_, err := w.changes.Rebase(w.t.Context(), by, r.id, version, choices)
	w.same(err, w.m.rebase(by.ID, r, current, drop))
}

func (w *world) submit() {
	r := w.request("draft")
	if r == nil {
		return
	}
	by := w.holding("editor")
	if w.chance(70) {
		by = w.readers[slices.IndexFunc(w.readers, func(p access.Reader) bool { return p.ID == r.author })]
	}
	w.note("%s hands %s in (%s)", by.ID, r.id, r.state)
	_, err := w.changes.Submit(w.t.Context(), by, r.id)
	w.same(err, w.m.hand(by.ID, r))
}

func (w *world) cancel() {
	r := w.request("failed", "partial", "approved", "suspended", "applying", "unknown")
	if r == nil || w.chance(50) {
		return
	}
	by, reason := w.person(), pick(w, []string{"because", ""})
	w.note("%s cancels %s (%s) %q", by.ID, r.id, r.state, reason)
	_, err := w.changes.Cancel(w.t.Context(), by, r.id, reason)
	w.same(err, w.m.cancel(by.ID, r, reason))
}

func (w *world) schedule() {
	r := w.request("approved", "approved", "scheduled")
	if r == nil {
		return
	}
	by := w.holding("editor")
	at := w.now.Add(time.Duration(w.draw.IntN(30)-2) * time.Hour)
	if w.chance(50) {
		at = w.now.Add(time.Duration(w.draw.IntN(20)) * time.Minute)
	}
	at = at.Truncate(time.Minute)
	w.note("%s schedules %s (%s) for %s", by.ID, r.id, r.state, at)
	_, err := w.changes.Schedule(w.t.Context(), by, r.id, at.Format("2006-01-02T15:04"), "UTC")
	w.same(err, w.m.schedule(by.ID, r, at))
}

func (w *world) unschedule() {
	r := w.request("scheduled")
	if r == nil {
		return
	}
	by := w.holding("editor")
	w.note("%s takes %s (%s) from its schedule", by.ID, r.id, r.state)
	_, err := w.changes.Unschedule(w.t.Context(), by, r.id)
	w.same(err, w.m.unschedule(by.ID, r))
}

func (w *world) breakGlass() {
	r := w.request("in_review", "approved", "suspended", "changes_requested", "draft")
	if r == nil {
		return
	}
	by := w.holding("editor")
	if len(w.m.list) > 0 && w.chance(70) {
		id := pick(w, w.m.list)
		by = w.readers[slices.IndexFunc(w.readers, func(p access.Reader) bool { return p.ID == id })]
	}
	ago := time.Duration(w.draw.IntN(6)) * time.Minute
	by.Since = w.now.Add(-ago)
	e := change.Emergency{Effect: w.last[r.id].Revision.EffectHash, Incident: "INC-1", Reason: "Tokens are leaking right now.", Name: w.last[r.id].Revision.Items[0].Name}
	filled := w.chance(90)
	if !filled {
		switch w.draw.IntN(3) {
		case 0:
			e.Incident = " "
		case 1:
			e.Reason = "hurry"
		case 2:
			e.Name += "?"
		}
	}
	w.note("%s breaks the glass for %s (%s) filled=%v", by.ID, r.id, r.state, filled)
	_, err := w.changes.BreakGlass(w.t.Context(), by, r.id, e)
	w.same(err, w.m.breakGlass(by.ID, r, true, filled))
}

func (w *world) reviewBypass() {
	var due []*refRequest
	for _, id := range w.m.order {
		if r := w.m.requests[id]; r.spent && !r.reviewed {
			due = append(due, r)
		}
	}
	if len(due) == 0 {
		return
	}
	r, by := pick(w, due), w.holding("approver")
	now, err := w.st.Account(w.t.Context(), by.ID)
	w.must(err)
	by.User = now.User
	w.note("%s looks back at %s", by.ID, r.id)
	w.same(w.changes.ReviewBypass(w.t.Context(), by, r.id, true, "fine"), w.m.review(by.ID, r))
}

// people come, go and change roles, set by the machine's operator.
func (w *world) people() {
	who := pick(w, w.m.people)
	if who.active && w.chance(85) {
		for _, p := range w.m.people { // somebody has to be there
			if !p.active && p != who {
				who = p
				break
			}
		}
	}
	if w.chance(70) || who.is("admin") {
		w.note("%s disabled=%v", who.id, who.active)
		err := w.access.SetDisabled(w.t.Context(), access.Operator(), who.id, who.active)
		who.active = !who.active
		w.same(err, true)
		return
	}
	roles := w.roles()
	w.note("%s gets roles %v", who.id, roles)
	var typed []access.Role
	for _, r := range roles {
		typed = append(typed, access.Role(r))
	}
	who.roles = roles
	w.same(setRoles(w.t.Context(), w.st, who.id, typed...), true)
}

// signInAgain lets a session know its person as they are now.
func (w *world) signInAgain() {
	i := w.draw.IntN(len(w.readers))
	now, err := w.st.Account(w.t.Context(), w.readers[i].ID)
	w.must(err)
	w.readers[i].User = now.User
	w.note("%s is known as they are", now.ID)
}

// outside edits a config at Composio, or reads what was edited there.
func (w *world) outside() {
	if w.chance(50) {
		w.note("sync")
		w.must(w.mirror.Sync(w.t.Context(), w.project.ID))
		w.m.sync()
		w.catchUp()
		return
	}
	target := pick(w, w.targets)
	live := w.m.remote[target]
	field, value := "name", fmt.Sprintf("name %d", w.draw.IntN(5))
	if w.chance(50) {
		field, value = "status", pick(w, []string{"ENABLED", "DISABLED"})
	}
	if w.chance(30) { // undo what was last read
		value = w.m.mirror[target][field]
	}
	live[field] = value
	w.note("somebody sets %s of %s to %q at Composio", field, target, value)
	raw, err := json.Marshal(map[string]string{"id": target, field: value})
	w.must(err)
	_, err = w.box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{raw}}}})
	w.must(err)
}

// catchUp takes over where history ends, after what may write any number of entries.
func (w *world) catchUp() {
	head, err := w.st.HistoryHead(w.t.Context())
	w.must(err)
	w.seq = head.Seq
}

func (w *world) sweep() {
	w.note("sweep")
	w.changes.Sweep(w.t.Context())
	w.m.sweep()
	w.catchUp()
}

// work takes the next step of a request that is to be applied.
func (w *world) work() {
	var ready []*refRequest
	for _, r := range w.open() {
		if w.m.due(r) || r.state == "applying" || r.state == "unknown" {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return
	}
	r, fault := pick(w, ready), ""
	if r.state == "applying" && w.chance(25) {
		fault = pick(w, []string{"status=422", "reset-after", "5xx-before"})
		w.must(w.box.Fail(sandbox.Fault{Kind: fault, Method: "PATCH"}))
	}
	claims, try, before := w.m.due(r), r.state == "applying", w.m.writes
	w.note("next step of %s (%s) %s", r.id, r.state, fault)
	err := w.changes.Step(w.t.Context(), r.id)
	w.box.ClearFaults()
	w.m.step(r, fault)
	if err != nil && problem.Of(err) == nil {
		w.fail("step: %v", err)
	}
	w.catchUp()
	if claims && r.rule() && r.state == "applied" {
		w.learnRule(r)
	}
	if try || w.m.writes != before {
		w.sent(r)
	}
}

// learnRule gives the reference the id of a new rule.
func (w *world) learnRule(r *refRequest) {
	id := w.real(r).Progress[0].Target
	switch it := r.items[0]; it.kind {
	case "policy":
		it.policy0(id)
	case "freeze":
		for _, f := range w.m.freezes {
			if f.id == "" {
				f.id = id
			}
		}
	}
}

func (it *refItem) policy0(id string) {
	if it.policy != nil {
		it.policy.id = id
	}
}

// sent holds what the sandbox carried out against what the reference expects:
// as often, and word for word what was approved.
func (w *world) sent(r *refRequest) {
	muts := w.box.Journal().Mutations
	if len(muts) != w.m.writes {
		w.fail("%d mutations at the sandbox, the reference counts %d", len(muts), w.m.writes)
	}
	for _, m := range muts[w.muts:] {
		i := slices.IndexFunc(r.items, func(it *refItem) bool { return it.target == m.ID })
		if i < 0 {
			w.fail("a mutation of %s, which the request is not about", m.ID)
		}
		it, body := r.items[i], string(m.Body)
		for field, value := range it.set {
			if field == "status" && !strings.HasSuffix(m.Path, value) || field == "name" && !strings.Contains(body, `"name":"`+value+`"`) || field == "client_id" && !strings.Contains(body, `"client_id":"`+value+`"`) {
				w.fail("%s was sent as %s %s", it.set, m.Path, body)
			}
		}
		if _, named := it.set["name"]; !named && strings.Contains(body, `"name"`) || strings.Contains(body, "client_secret") != it.credential {
			w.fail("%s with credential=%v was sent as %s", it.set, it.credential, body)
		}
		a, err := w.st.LastAttempt(w.t.Context(), r.id, r.revision, i)
		if err != nil || a.Number == 0 {
			w.fail("a mutation without an attempt: %v", err)
		}
	}
	w.muts = len(muts)
}

func (w *world) decide() {
	for _, r := range w.open() {
		for i, it := range r.items {
			if it.decide {
				by, happened := w.person(), w.chance(50)
				now, err := w.st.Account(w.t.Context(), by.ID)
				w.must(err)
				by.User = now.User
				w.note("%s says of %s: happened=%v", by.ID, r.id, happened)
				_, err = w.changes.Decide(w.t.Context(), by, r.id, i, happened)
				w.same(err, w.m.decide(by.ID, r, i, happened))
				return
			}
		}
	}
}

// compare holds every open request, and those that have just ended, against the
// reference, and looks at what must hold whatever the reference says.
func (w *world) compare() {
	if v := w.st.Version(); v == w.version {
		return
	}
	w.version = w.st.Version()
	open, err := w.st.OpenRequests(w.t.Context())
	w.must(err)
	seen := map[string]bool{}
	at := map[string]string{}
	for _, r := range open {
		seen[r.ID] = true
		w.check(r)
		for i, it := range r.Revision.Items {
			if (r.State == change.Applying || r.State == change.Unknown) && !r.Progress[i].Done() {
				if other := at[it.Target]; other != "" {
					w.fail("%s and %s work on %s at once", other, r.ID, it.Target)
				}
				at[it.Target] = r.ID
			}
		}
	}
	for _, id := range w.m.order {
		if m := w.m.requests[id]; !seen[id] && !w.last[id].State.Terminal() {
			w.check(w.real(m))
		} else if !seen[id] && !m.ended() {
			w.fail("%s is ended, the reference says %s", id, m.state)
		}
	}
}

func (w *world) check(r change.Request) {
	m := w.m.requests[r.ID]
	if m == nil {
		if r.Title != "Add the group Reviewers" {
			w.fail("%s is there, and the reference has no such request", r.ID)
		}
		return
	}
	if string(r.State) != m.state || r.Revision.Number != m.revision || !slices.Equal(r.Revision.Contributors, m.writers) || len(r.Votes) != len(m.votes) {
		w.fail("%s is %s (%s), revision %d by %v with %d votes; the reference says %s, %d by %v with %d",
			r.ID, r.State, r.Note, r.Revision.Number, r.Revision.Contributors, len(r.Votes), m.state, m.revision, m.writers, len(m.votes))
	}
	for i, v := range r.Votes {
		if v.Reviewer.ID != m.votes[i].who || string(v.Decision) != m.votes[i].what {
			w.fail("vote %d of %s is %s by %s, the reference says %+v", i, r.ID, v.Decision, v.Reviewer.ID, m.votes[i])
		}
	}
	for i, p := range r.Progress {
		if got := string(p.State); got != m.items[i].state || p.Decide != m.items[i].decide {
			w.fail("item %d of %s is %s (decide %v), the reference says %s (%v)", i, r.ID, got, p.Decide, m.items[i].state, m.items[i].decide)
		}
	}
	if !m.ended() && !r.ExpiresAt.Equal(m.until) {
		w.fail("%s ends at %s, the reference says %s", r.ID, r.ExpiresAt, m.until)
	}
	before, known := w.last[r.ID]
	if known && (before.State != r.State || len(before.Votes) != len(r.Votes)) && r.Version <= before.Version {
		w.fail("%s went from %s to %s, its version from %d to %d", r.ID, before.State, r.State, before.Version, r.Version)
	}
	if known && r.State == change.Approved && (before.State == change.InReview || before.State == change.ChangesRequested) && m.at.IsZero() {
		w.quorum(r, m)
	}
	if hashes := w.effects[r.ID]; len(hashes) == 0 || hashes[len(hashes)-1] != r.Revision.EffectHash {
		w.effects[r.ID] = append(hashes, r.Revision.EffectHash)
	}
	w.sealed(r, m)
	if !known || before.State != r.State {
		w.reached[r.State]++
	}
	w.last[r.ID] = r
}

// quorum counts the votes of a request that has just been approved, from its
// rows and nothing else.
func (w *world) quorum(r change.Request, m *refRequest) {
	said := map[string]change.Decision{}
	for _, v := range r.Votes {
		if v.EffectHash == r.Revision.EffectHash && v.Revision == r.Revision.Number {
			said[v.Reviewer.ID] = v.Decision
		}
	}
	var have []*refPerson
	for _, p := range w.m.people {
		if said[p.id] == change.Approve && !slices.Contains(r.Revision.Contributors, p.id) {
			have = append(have, p)
		}
	}
	if !satisfied(m.policies, have) {
		w.fail("%s is approved by %d people, which isn't what its policies ask for", r.ID, len(have))
	}
}

// sealed credentials wait as long as something may be sent, and no longer.
func (w *world) sealed(r change.Request, m *refRequest) {
	for i, it := range m.items {
		if !it.credential {
			continue
		}
		kept, err := w.st.SealedCredentials(w.t.Context(), r.ID, i)
		w.must(err)
		wait := !m.ended() && it.state != "applied"
		if (len(kept) > 0) != wait {
			w.fail("%d credentials of %s (%s) are kept", len(kept), r.ID, m.state)
		}
	}
}

// end looks at the whole world once more.
func (w *world) end() {
	ctx := context.WithoutCancel(w.t.Context())
	if _, err := w.st.VerifyHistory(ctx); err != nil {
		w.fail("history: %v", err)
	}
	if n := len(w.box.Journal().Mutations); n != w.m.writes {
		w.fail("%d mutations, the reference counts %d", n, w.m.writes)
	}
	for _, id := range w.m.order { // what ended stayed as it was
		r := w.real(w.m.requests[id])
		if was := w.last[id]; was.State != r.State || was.Version != r.Version || len(was.Votes) != len(r.Votes) {
			w.fail("%s was %s, version %d, with %d votes; now %s, %d, %d", id, was.State, was.Version, len(was.Votes), r.State, r.Version, len(r.Votes))
		}
	}
	said := map[string]string{}
	w.must(w.st.HistoryRows(ctx, 1, w.seq, func(row audit.Row) error {
		e, err := audit.Open(row)
		if e.Object.Kind == "change_request" {
			said[e.Object.ID] = e.Detail["state"]
		}
		return err
	}))
	for id, r := range w.m.requests {
		if r.state != "applying" && r.state != "unknown" && said[id] != r.state {
			w.fail("%s is %s, the last entry of history says %s", id, r.state, said[id])
		}
	}
}
