package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

// past looks at what a config was between what happened to it.
func past(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	outside := func(action string, a mirror.AuthConfig, changes ...audit.Change) audit.Event {
		return mirror.OutsideEvent("prj_one", action, a, changes)
	}
	a, b := config("ac_1", "first"), config("ac_2", "other")
	save(t, s, "prj_one", mirror.Update{Changed: []mirror.AuthConfig{a}, Events: []audit.Event{{Action: "project.baseline", Actor: audit.System(), Project: "prj_one"}}})
	_, read, err := s.FirstRead(ctx, "prj_one")
	must(t, err)
	renamed := a
	renamed.Name = "second"
	save(t, s, "prj_one", mirror.Update{
		Changed: []mirror.AuthConfig{renamed, b},
		Events: []audit.Event{
			outside("auth_config.changed_outside", renamed, audit.Change{Field: mirror.FieldName, Before: []string{"first"}, After: []string{"second"}}),
			outside("auth_config.created_outside", b, mirror.ChangesBetween(nil, b.Values())...),
		},
	})
	save(t, s, "prj_one", mirror.Update{Gone: []string{"ac_1"}, Events: []audit.Event{outside("auth_config.deleted_outside", renamed, mirror.ChangesGone(renamed.Values())...)}})
	for seq, want := range map[int64][]store.PastConfig{
		read: {{ID: "ac_1", Name: "second"}}, read + 2: {{ID: "ac_2", Name: "other"}, {ID: "ac_1", Name: "second"}}, read + 3: {{ID: "ac_2", Name: "other"}},
	} {
		got, err := s.ConfigsAt(ctx, "prj_one", seq)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after entry %d: %s", seq, diff)
		}
	}
	for seq, want := range map[int64]string{read: "first", read + 1: "second"} {
		got, err := s.ConfigAt(ctx, "prj_one", "ac_1", seq)
		must(t, err)
		if !got.Exists || got.Name != want || got.Toolkit != a.Toolkit || len(got.Unknown()) > 0 {
			t.Errorf("after entry %d: %+v", seq, got)
		}
	}
	if n, first, err := s.CountConfigSteps(ctx, "prj_one", "ac_1", math.MaxInt64); n != 2 || first != mirror.StepChanged || err != nil {
		t.Errorf("%d steps, the first %s, %v", n, first, err)
	}
	if _, err := s.ConfigStep(ctx, "prj_one", "ac_1", 3); !problem.Is(err, problem.NotFound) {
		t.Errorf("a step that isn't there: %v", err)
	}
}

// drift follows what history says, and is decided by people.
func drift(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	const u = "usr_1"
	must(t, s.AddAccount(ctx, account(u, "one@example.com", access.Editor), nil, event("user.added")))
	a := config("ac_1", "one")
	save(t, s, "prj_one", mirror.Update{Changed: []mirror.AuthConfig{a}, Events: []audit.Event{mirror.OutsideEvent("prj_one", "auth_config.touched_outside", a, nil)}})
	d, known, err := s.Drift(ctx, "prj_one", "ac_1")
	must(t, err)
	if !known || !d.Touched || !d.Open() {
		t.Fatalf("%v %+v", known, d)
	}
	decide := func(fn func(*mirror.Drift, mirror.Project, access.User) (bool, audit.Event, error)) error {
		return s.DecideDrift(ctx, "prj_one", "ac_1", u, fn)
	}
	refused := problem.New(problem.Conflict, "no")
	if err := decide(func(*mirror.Drift, mirror.Project, access.User) (bool, audit.Event, error) {
		return true, audit.Event{}, refused
	}); !problem.Is(err, problem.Conflict) {
		t.Errorf("refused: %v", err)
	}
	until := Start.Add(time.Hour)
	must(t, decide(func(d *mirror.Drift, p mirror.Project, by access.User) (bool, audit.Event, error) {
		if p.ID != "prj_one" || by.ID != u {
			t.Errorf("%s decides in %s", by.ID, p.ID)
		}
		d.Until = until
		return false, event("drift.ignored"), nil
	}))
	wake := func(at time.Time) bool {
		must(t, s.WakeDrift(ctx, "prj_one", at, func(mirror.Drift) audit.Event { return event("drift.returned") }))
		d, _, err := s.Drift(ctx, "prj_one", "ac_1")
		must(t, err)
		return d.Open()
	}
	if wake(until.Add(-time.Second)) || !wake(until) {
		t.Error("it doesn't come back in time")
	}
	must(t, decide(func(*mirror.Drift, mirror.Project, access.User) (bool, audit.Event, error) {
		return true, event("drift.adopted"), nil
	}))
	if _, known, err := s.Drift(ctx, "prj_one", "ac_1"); known || err != nil {
		t.Error("it is there still", err)
	}
	if err := decide(func(*mirror.Drift, mirror.Project, access.User) (bool, audit.Event, error) {
		return true, audit.Event{}, nil
	}); !problem.Is(err, problem.Conflict) {
		t.Errorf("what isn't there: %v", err)
	}
}
