package mirror_test

import (
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

func driftOf(t *testing.T, r *rig.Rig, id string) (mirror.Drift, bool) {
	t.Helper()
	d, known, err := r.Store.Drift(t.Context(), r.Project.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	return d, known
}

func settledHow(r *rig.Rig, id string) string {
	found := r.History(store.HistoryQuery{Object: id, Action: "drift.settled"})
	if len(found) == 0 {
		return ""
	}
	return found[0].Detail["how"]
}

func update(t *testing.T, r *rig.Rig, by access.Reader, id string, spec change.Spec) {
	t.Helper()
	req, err := r.Changes.ProposeUpdate(t.Context(), by, change.Proposal{Project: r.Project.ID, Reason: "for a test"}, id, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Settled(req.ID); got.State != change.Applied {
		t.Fatalf("the request is %s", got.State)
	}
}

// What is changed outside is drift until it is as it was, by whatever way.
func TestDriftEndsByChanges(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	emil := r.Person("Emil", access.Editor)
	a := r.Config(rig.OwnOAuth)
	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"name":"drifted"}`, a.ID)})
	sync(t, r)
	first, known := driftOf(t, r, a.ID)
	if !known || first.Kind != mirror.DriftChanged || len(first.Changes) != 1 || first.Changes[0].Before[0] != a.Name || !first.Open() {
		t.Fatalf("%v %+v", known, first)
	}
	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"name":"drifted on","credentials":{"scopes":"repo,admin:org"}}`, a.ID)})
	sync(t, r)
	d, _ := driftOf(t, r, a.ID)
	if len(d.Changes) != 2 || d.First != first.First || d.Last == first.Last || d.Earlier()[mirror.FieldName][0] != a.Name {
		t.Fatalf("%+v", d)
	}
	update(t, r, emil, a.ID, change.Spec{Fields: map[string]string{"name": a.Name}})
	if d, _ = driftOf(t, r, a.ID); len(d.Changes) != 1 || d.Changes[0].Field != mirror.FieldScopes {
		t.Fatalf("after a part was reverted: %+v", d)
	}
	update(t, r, emil, a.ID, change.Spec{Fields: map[string]string{"scopes": "repo,other"}})
	if _, known = driftOf(t, r, a.ID); known || settledHow(r, a.ID) != "changed" {
		t.Errorf("after a change through Gatehouse: %v, settled %q", known, settledHow(r, a.ID))
	}

	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"name":"there and back"}`, a.ID)})
	sync(t, r)
	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"name":%q}`, a.ID, a.Name)})
	sync(t, r)
	if _, known = driftOf(t, r, a.ID); known || settledHow(r, a.ID) != "undone there" {
		t.Errorf("after it was taken back: %v, settled %q", known, settledHow(r, a.ID))
	}

	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"last_updated_at":"2026-11-01T10:00:00Z"}`, a.ID)})
	sync(t, r)
	if d, known = driftOf(t, r, a.ID); !known || !d.Touched || d.Severity(mirror.Staging) != mirror.High {
		t.Errorf("a touched config: %v %+v", known, d)
	}
	update(t, r, emil, a.ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New("anew")}})
	if _, known = driftOf(t, r, a.ID); known || settledHow(r, a.ID) != "reverted" {
		t.Errorf("after the credential was set: %v, settled %q", known, settledHow(r, a.ID))
	}
}

func TestDriftMadeAndGone(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	a := r.Config(rig.OwnOAuth)
	made := edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"toolkit":"slack","name":"from elsewhere"}`), Delete: []string{a.ID}}).AuthConfigs[0]
	sync(t, r)
	if d, known := driftOf(t, r, a.ID); !known || d.Kind != mirror.DriftGone || d.Severity(mirror.Development) != mirror.High {
		t.Errorf("%v %+v", known, d)
	}
	if d, known := driftOf(t, r, made); !known || d.Kind != mirror.DriftMade || d.Severity(mirror.Production) != mirror.Medium || d.Severity(mirror.Staging) != mirror.Low {
		t.Errorf("%v %+v", known, d)
	}
	edit(t, r, sandbox.ProjectEdit{Delete: []string{made}})
	sync(t, r)
	if _, known := driftOf(t, r, made); known {
		t.Error("what came and went outside is drift still")
	}
}

func TestDriftSeverity(t *testing.T) {
	one := func(field string, before, after []string) mirror.Drift {
		return mirror.Drift{Kind: mirror.DriftChanged, Changes: []audit.Change{{Field: field, Before: before, After: after}}}
	}
	a, b, ab := []string{"a"}, []string{"b"}, []string{"a", "b"}
	for name, test := range map[string]struct {
		drift                 mirror.Drift
		production, elsewhere mirror.Severity
	}{
		"a name":                 {one(mirror.FieldName, a, b), mirror.Low, mirror.Low},
		"the status":             {one(mirror.FieldStatus, a, b), mirror.Medium, mirror.Medium},
		"a scope more":           {one(mirror.FieldScopes, a, ab), mirror.High, mirror.Medium},
		"a scope less":           {one(mirror.FieldScopes, ab, a), mirror.Medium, mirror.Medium},
		"another app":            {one(mirror.FieldClientID, a, b), mirror.High, mirror.Medium},
		"another proxy":          {one(mirror.FieldProxyURL, nil, b), mirror.High, mirror.Medium},
		"a credential":           {one(mirror.FieldCredentials, a, ab), mirror.High, mirror.High},
		"something not visible":  {mirror.Drift{Kind: mirror.DriftChanged, Touched: true}, mirror.High, mirror.High},
		"gone":                   {mirror.Drift{Kind: mirror.DriftGone}, mirror.High, mirror.High},
		"tools that are allowed": {one(mirror.FieldTools, a, ab), mirror.Medium, mirror.Medium},
	} {
		if p, e := test.drift.Severity(mirror.Production), test.drift.Severity(mirror.Staging); p != test.production || e != test.elsewhere {
			t.Errorf("%s: %s in production and %s elsewhere, want %s and %s", name, p, e, test.production, test.elsewhere)
		}
	}
}

func TestDriftDecided(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	ctx, a := t.Context(), r.Config(rig.OwnOAuth)
	emil, vera := r.Person("Emil", access.Editor), r.Person("Vera", access.Viewer)
	drift := func(name string) mirror.Drift {
		edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"name":%q}`, a.ID, name)})
		sync(t, r)
		d, _ := driftOf(t, r, a.ID)
		return d
	}
	d := drift("one")
	decide := func(by access.Reader, decision mirror.DriftDecision) error {
		return r.Mirror.DecideDrift(ctx, by, r.Project.ID, a.ID, decision)
	}
	adopt := mirror.DriftDecision{Adopt: true, Reason: "it is right", Seen: d.Last}
	if err := decide(vera, adopt); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a viewer: %v", err)
	}
	if err := decide(emil, mirror.DriftDecision{Adopt: true, Seen: d.Last}); problem.Of(err) == nil || problem.Of(err).Fields["reason"] == "" {
		t.Errorf("without a reason: %v", err)
	}
	for _, until := range []time.Time{{}, rig.Now().Add(-time.Hour), rig.Now().AddDate(2, 0, 0)} {
		if err := decide(emil, mirror.DriftDecision{Reason: "later", Until: until, Seen: d.Last}); problem.Of(err) == nil || problem.Of(err).Fields["until"] == "" {
			t.Errorf("until %s: %v", until, err)
		}
	}
	old := d.Last
	d = drift("two")
	if err := decide(emil, mirror.DriftDecision{Adopt: true, Reason: "it is right", Seen: old}); !problem.Is(err, problem.Conflict) {
		t.Errorf("what moved on: %v", err)
	}

	until := rig.Now().Add(time.Hour)
	if err := decide(emil, mirror.DriftDecision{Reason: "until the release", Until: until, Seen: d.Last}); err != nil {
		t.Fatal(err)
	}
	if d, _ = driftOf(t, r, a.ID); d.Open() {
		t.Error("it is open though it is ignored")
	}
	event := func(mirror.Drift) audit.Event { return audit.Event{Actor: audit.System(), Action: "drift.returned"} }
	if err := r.Store.WakeDrift(ctx, r.Project.ID, until.Add(-time.Minute), event); err != nil {
		t.Fatal(err)
	}
	if d, _ = driftOf(t, r, a.ID); d.Open() {
		t.Error("it came back before its time")
	}
	if err := r.Store.WakeDrift(ctx, r.Project.ID, until, event); err != nil {
		t.Fatal(err)
	}
	if d, _ = driftOf(t, r, a.ID); !d.Open() || len(r.History(store.HistoryQuery{Action: "drift.returned"})) != 1 {
		t.Error("it didn't come back")
	}
	if err := decide(emil, mirror.DriftDecision{Reason: "once more", Until: until, Seen: d.Last}); err != nil {
		t.Fatal(err)
	}
	if d = drift("three"); !d.Open() {
		t.Error("another change outside doesn't open it again")
	}
	if err := decide(emil, mirror.DriftDecision{Adopt: true, Reason: "it is right", Seen: d.Last}); err != nil {
		t.Fatal(err)
	}
	if _, known := driftOf(t, r, a.ID); known {
		t.Error("it is there though it was adopted")
	}
	found := r.History(store.HistoryQuery{Object: a.ID, Action: "drift.adopted"})
	if len(found) != 1 || found[0].Reason != "it is right" || found[0].Actor.ID != emil.ID || len(found[0].Changes) != 1 {
		t.Errorf("history: %+v", found)
	}
}

// In production, who proposes may not say that what was changed outside is right.
func TestDriftInProduction(t *testing.T) {
	for role, may := range map[access.Role]bool{access.Viewer: false, access.Auditor: false, access.Editor: false, access.Approver: true, access.Admin: true} {
		u := access.User{State: access.Active, Grants: access.Unscoped(role)}
		if got := mirror.MayDecideDrift(u, mirror.Project{Environment: mirror.Production}); got != may {
			t.Errorf("%s in production: %v", role, got)
		}
		if got := mirror.MayDecideDrift(u, mirror.Project{Environment: mirror.Staging}); got != (may || role == access.Editor) {
			t.Errorf("%s elsewhere: %v", role, got)
		}
	}
}
