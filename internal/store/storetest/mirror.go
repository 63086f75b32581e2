package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

func projects(t *testing.T, s *store.Store) {
	ctx := t.Context()
	want := addProject(t, s, "prj_one")
	got, err := s.ProjectBySlug(ctx, "one")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	rules, err := s.Rules(ctx)
	must(t, err)
	if len(rules.Policies) != 1 || rules.Policies[0].Approvals() != 0 || rules.Policies[0].Project != "prj_one" {
		t.Errorf("policies: %+v", rules.Policies)
	}
	taken := want
	taken.ID = "prj_two"
	if p := problem.Of(s.AddProject(ctx, taken, event("project.added"))); p == nil || p.Fields["slug"] == "" {
		t.Errorf("a taken slug: %v", p)
	}
	_, err = s.UpdateProject(ctx, "prj_one", func(p *mirror.Project) ([]audit.Event, error) {
		p.Name = "Other"
		return []audit.Event{event("project.edited")}, nil
	})
	must(t, err)
	all, err := s.Projects(ctx)
	must(t, err)
	if len(all) != 1 || all[0].Name != "Other" {
		t.Errorf("projects: %+v", all)
	}
}

func config(id, name string) mirror.AuthConfig {
	return mirror.AuthConfig{ID: id, Name: name, Toolkit: "github", Scheme: "OAUTH2", Status: mirror.Enabled, UpdatedAt: Start, Seen: mirror.Seen{ChangedAt: Start, ChangedVia: mirror.ViaBaseline}}
}

func save(t *testing.T, s *store.Store, project string, u mirror.Update) {
	t.Helper()
	must(t, s.SaveSync(t.Context(), project, func(mirror.Current) (mirror.Update, error) { return u, nil }))
}

func mirrorRows(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	addProject(t, s, "prj_two")
	a := config("ac_1", "one")
	a.Scopes.Values, a.Tools, a.CredentialsSet = []string{"repo"}, []string{"T"}, []string{"client_secret"}
	save(t, s, "prj_one", mirror.Update{State: mirror.SyncState{Baseline: true, StartedAt: Start, OKAt: Start}, Changed: []mirror.AuthConfig{a, config("ac_2", "two")}, Events: []audit.Event{event("project.baseline")}})
	must(t, s.SaveSync(ctx, "prj_one", func(c mirror.Current) (mirror.Update, error) {
		got, ok, err := c.Config("ac_1")
		must(t, err)
		a.Seen.Version = 1
		if diff := cmp.Diff(a, got); !ok || diff != "" {
			t.Error(ok, diff)
		}
		if _, ok, err := c.Config("ac_9"); ok || err != nil {
			t.Error("found what isn't there", err)
		}
		return mirror.Update{Gone: []string{"ac_2"}, Events: []audit.Event{event("auth_config.deleted_outside")}}, nil
	}))
	one, err := s.Snapshot(ctx, "prj_one")
	must(t, err)
	two, err := s.Snapshot(ctx, "prj_two")
	must(t, err)
	if one.Len() != 1 || two.Len() != 0 {
		t.Errorf("%d and %d configs, want 1 and 0", one.Len(), two.Len())
	}
	must(t, s.FailSync(ctx, "prj_one", Start, "down"))
	p, err := s.Project(ctx, "prj_one")
	must(t, err)
	if p.Sync.Problem != "down" {
		t.Errorf("sync state: %+v", p.Sync)
	}
}

// The snapshot in memory and a fresh reading agree after any series of changes.
func snapshotFollows(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	for i := range 40 {
		snapshot, err := s.Snapshot(ctx, "prj_one") // loaded the first time, followed then
		must(t, err)
		if snapshot.Len() != min(i, 20) {
			t.Fatalf("step %d: %d configs", i, snapshot.Len())
		}
		u := mirror.Update{Changed: []mirror.AuthConfig{config(fmt.Sprintf("ac_%02d", i%20), fmt.Sprintf("name %02d", (i*7)%40))}}
		save(t, s, "prj_one", u)
	}
	snapshot, err := s.Snapshot(ctx, "prj_one")
	must(t, err)
	var names []string
	for a := range snapshot.All {
		names = append(names, a.Name)
	}
	var again []string
	for a := range mirror.NewSnapshot(snapshot.All).All {
		again = append(again, a.Name)
	}
	if diff := cmp.Diff(again, names); diff != "" {
		t.Error(diff)
	}
}

func toolkits(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	all := []mirror.Toolkit{{Slug: "a", Name: "A", Schemes: []string{"OAUTH2"}}, {Slug: "b", Name: "B", NoAuth: true}}
	must(t, s.SaveToolkits(ctx, "prj_one", append(all, mirror.Toolkit{Slug: "c"}), Start))
	must(t, s.SaveToolkits(ctx, "prj_one", all, Start))
	got, at, err := s.Toolkits(ctx, "prj_one")
	must(t, err)
	if diff := cmp.Diff(all, got); diff != "" || !at.Equal(Start) {
		t.Error(at, diff)
	}
	_, err = s.ToolkitDetail(ctx, "prj_one", "a")
	kind(t, err, problem.NotFound)
	d := mirror.ToolkitDetail{Toolkit: all[0], SchemeSpecs: []mirror.Scheme{{Mode: "OAUTH2", Fields: []mirror.Field{{Name: "client_id"}}}}, ReadAt: Start}
	must(t, s.SaveToolkitDetail(ctx, "prj_one", d))
	gotDetail, err := s.ToolkitDetail(ctx, "prj_one", "a")
	must(t, err)
	if diff := cmp.Diff(d, gotDetail); diff != "" {
		t.Error(diff)
	}
	must(t, s.SaveTools(ctx, "prj_one", "a", []mirror.Tool{{Slug: "T"}}, Start))
	tools, at, err := s.Tools(ctx, "prj_one", "a")
	must(t, err)
	if len(tools) != 1 || !at.Equal(Start) {
		t.Error(tools, at)
	}
}
