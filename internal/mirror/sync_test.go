package mirror_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

func edit(t *testing.T, r *rig.Rig, e sandbox.ProjectEdit) sandbox.Edited {
	t.Helper()
	done, err := r.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": e}})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func raw(format string, args ...any) []json.RawMessage {
	return []json.RawMessage{json.RawMessage(fmt.Sprintf(format, args...))}
}

func sync(t *testing.T, r *rig.Rig) {
	t.Helper()
	if err := r.Mirror.Sync(t.Context(), r.Project.ID); err != nil {
		t.Fatal(err)
	}
}

func outside(r *rig.Rig) []audit.Entry {
	var out []audit.Entry
	for _, e := range r.History(store.HistoryQuery{Project: r.Project.ID}) {
		if e.Actor.Kind == audit.ActorOutside {
			out = append(out, e)
		}
	}
	return out
}

// The first sync is one entry in history, however much there is.
func TestBaseline(t *testing.T) {
	r := rig.New(t, sandbox.Options{Configs: 1234})
	snapshot, err := r.Store.Snapshot(t.Context(), r.Project.ID)
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Len() != 1234 {
		t.Errorf("%d configs", snapshot.Len())
	}
	entries := r.History(store.HistoryQuery{Project: r.Project.ID})
	if len(entries) != 3 || entries[0].Action != "project.baseline" || entries[0].Detail["auth_configs"] != "1234" {
		t.Errorf("%d entries, the last: %+v", len(entries), entries[0])
	}
	sync(t, r)
	if again := r.History(store.HistoryQuery{Project: r.Project.ID}); len(again) != 3 {
		t.Errorf("a second sync wrote %+v", again[0])
	}
}

func TestOutsideChanges(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	a := r.Config(rig.OwnOAuth)
	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"name":"widened","credentials":{"scopes":"repo,admin:org"}}`, a.ID)})
	sync(t, r)
	found := outside(r)
	if len(found) != 1 || found[0].Action != "auth_config.changed_outside" || found[0].Object.ID != a.ID {
		t.Fatalf("%+v", found)
	}
	fields := map[string][]string{}
	for _, c := range found[0].Changes {
		fields[c.Field] = c.After
	}
	if strings.Join(fields["name"], "") != "widened" || strings.Join(fields["scopes"], ",") != "repo,admin:org" || len(fields) != 2 {
		t.Errorf("changes: %+v", found[0].Changes)
	}
	if got := r.Config(func(x mirror.AuthConfig) bool { return x.ID == a.ID }); got.Seen.ChangedVia != mirror.ViaOutside {
		t.Errorf("seen: %+v", got.Seen)
	}

	made := edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"toolkit":"slack","name":"from elsewhere"}`), Delete: []string{a.ID}})
	sync(t, r)
	actions := map[string]string{}
	for _, e := range outside(r) {
		actions[e.Action] = e.Object.ID
	}
	if actions["auth_config.created_outside"] != made.AuthConfigs[0] || actions["auth_config.deleted_outside"] != a.ID {
		t.Errorf("%v", actions)
	}
}

// A new credential can't be seen, but that something was touched can.
func TestTouchedOutside(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	a := r.Config(rig.OwnOAuth)
	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"id":%q,"last_updated_at":"2026-11-01T10:00:00Z"}`, a.ID)})
	sync(t, r)
	if found := outside(r); len(found) != 1 || found[0].Action != "auth_config.touched_outside" {
		t.Errorf("%+v", found)
	}
}

// A listing that breaks off is thrown away, and the page says so.
func TestPartialListing(t *testing.T) {
	r := rig.New(t, sandbox.Options{Configs: 500})
	r.Fail(sandbox.Fault{Kind: "status=400", Path: "/auth_configs", Nth: 2})
	if err := r.Mirror.Sync(t.Context(), r.Project.ID); err == nil {
		t.Fatal("the sync says it worked")
	}
	if found := outside(r); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	p, err := r.Store.Project(t.Context(), r.Project.ID)
	if err != nil || p.Sync.Problem == "" || p.Sync.OKAt.IsZero() {
		t.Errorf("state: %+v %v", p.Sync, err)
	}
	sync(t, r)
	if p, _ = r.Store.Project(t.Context(), r.Project.ID); p.Sync.Problem != "" {
		t.Errorf("the problem stays: %s", p.Sync.Problem)
	}
}

// An object that is missing from a list is gone only when a GET says 404.
func TestStaleList(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	edit(t, r, sandbox.ProjectEdit{AuthConfigs: raw(`{"toolkit":"slack","name":"new one"}`)})
	sync(t, r)
	before := len(outside(r))
	r.Fail(sandbox.Fault{Kind: "stale-list=1", Path: "/auth_configs"})
	sync(t, r)
	if found := outside(r); len(found) != before {
		t.Errorf("a list that lags behind became history: %+v", found[0])
	}
}

func TestWhatGoesWrong(t *testing.T) {
	for fault, words := range map[string]string{
		"status=401": "API key", "status=403": "permission", "status=404": "no such object", "status=500": "failing",
		"timeout-before": "no usable answer", "reset-before": "no usable answer", "redirect=http://127.0.0.9/": "redirect", "garbage-2xx": "no usable answer",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := rig.New(t, sandbox.Options{})
			r.Fail(sandbox.Fault{Kind: fault, Path: "/auth_configs", Times: -1})
			if err := r.Mirror.Sync(t.Context(), r.Project.ID); err == nil {
				t.Fatal("the sync says it worked")
			}
			p, err := r.Store.Project(t.Context(), r.Project.ID)
			if err != nil || !strings.Contains(p.Sync.Problem, words) {
				t.Errorf("problem %q, want %q in it", p.Sync.Problem, words)
			}
		})
	}
}

func TestHostileStrings(t *testing.T) {
	r := rig.New(t, sandbox.Options{Quirks: []string{"hostile-strings"}})
	sync(t, r)
	if found := outside(r); len(found) != 0 {
		t.Errorf("the second sync saw changes: %+v", found[0])
	}
}

func TestToolkits(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	d, err := r.Mirror.Toolkit(t.Context(), r.Project.ID, "GitHub")
	if err != nil || d.Slug != "github" {
		t.Fatalf("%+v %v", d, err)
	}
	if _, err := r.Mirror.Toolkit(t.Context(), r.Project.ID, "nosuch"); !problem.Is(err, problem.NotFound) {
		t.Errorf("unknown toolkit: %v", err)
	}
	tools, err := r.Mirror.Tools(t.Context(), r.Project.ID, "github")
	if err != nil || len(tools) < 6 {
		t.Errorf("%d tools, %v", len(tools), err)
	}
	// Both come from the mirror now.
	r.Fail(sandbox.Fault{Kind: "5xx-before", Times: -1})
	if _, err := r.Mirror.Toolkit(t.Context(), r.Project.ID, "github"); err != nil {
		t.Error(err)
	}
	if again, err := r.Mirror.Tools(t.Context(), r.Project.ID, "github"); err != nil || len(again) != len(tools) {
		t.Error(err)
	}
}

func TestConnections(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	a := r.Config(func(a mirror.AuthConfig) bool { return a.Connections > 1 })
	got, err := r.Mirror.Connections(t.Context(), r.Project.ID, a.ID)
	if err != nil || got.Total != len(got.Newest) || got.ByStatus["ACTIVE"] != a.Connections {
		t.Errorf("%+v %v, the mirror has %d active", got, err, a.Connections)
	}
	var many []json.RawMessage
	for range 120 {
		many = append(many, raw(`{"auth_config":%q,"status":"ACTIVE"}`, a.ID)...)
	}
	edit(t, r, sandbox.ProjectEdit{Connections: append(many, raw(`{"auth_config":%q,"status":"PAUSED"}`, a.ID)...)})
	more, err := r.Mirror.Connections(t.Context(), r.Project.ID, a.ID)
	if err != nil || more.Total != got.Total+121 || more.ByStatus["ACTIVE"] != got.ByStatus["ACTIVE"]+120 || more.ByStatus["other"] != 1 || len(more.Newest) != 50 {
		t.Errorf("%d in all, %v, %d listed, %v", more.Total, more.ByStatus, len(more.Newest), err)
	}
}

func TestProjects(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	admin := r.Person("Ada", access.Admin)
	ctx := t.Context()
	in := mirror.ProjectInput{Name: " My  project ", Slug: "mine", Environment: mirror.Production, BaseURL: r.Box.URL + "/"}
	for name, tt := range map[string]struct {
		change func(*mirror.ProjectInput)
		key    string
		field  string
	}{
		"no name":         {func(in *mirror.ProjectInput) { in.Name = " " }, sandbox.ProductionKey, "name"},
		"bad slug":        {func(in *mirror.ProjectInput) { in.Slug = "My Project" }, sandbox.ProductionKey, "slug"},
		"taken slug":      {func(in *mirror.ProjectInput) { in.Slug = "staging" }, sandbox.ProductionKey, "slug"},
		"bad environment": {func(in *mirror.ProjectInput) { in.Environment = "prod" }, sandbox.ProductionKey, "environment"},
		"bad address":     {func(in *mirror.ProjectInput) { in.BaseURL = "http://example.com" }, sandbox.ProductionKey, "base_url"},
		"no key":          {func(*mirror.ProjectInput) {}, "", "api_key"},
		"wrong key":       {func(*mirror.ProjectInput) {}, "ak_nonsense_1234", "api_key"},
	} {
		in := in
		tt.change(&in)
		_, err := r.Mirror.AddProject(ctx, admin, in, secret.New(tt.key))
		if p := problem.Of(err); p == nil || p.Fields[tt.field] == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := r.Mirror.AddProject(ctx, admin, in, secret.New(sandbox.ProductionKey))
	if err != nil || p.Name != "My project" || p.RemoteName == "" || p.Key.Last4 != "tion" {
		t.Fatalf("%+v %v", p, err)
	}
	twice := in
	twice.Slug, twice.Name = "again", "Again"
	if _, err := r.Mirror.AddProject(ctx, admin, twice, secret.New(sandbox.ProductionKey)); !problem.Is(err, problem.Invalid) || problem.Of(err).Fields["api_key"] == "" {
		t.Errorf("one Composio project became two here: %v", err)
	}
	if _, err := r.Mirror.ReplaceKey(ctx, admin, p.ID, secret.New(sandbox.StagingKey)); problem.Of(err) == nil || problem.Of(err).Fields["api_key"] == "" {
		t.Errorf("a key of another project: %v", err)
	}
	if _, err := r.Mirror.ReplaceKey(ctx, admin, p.ID, secret.New(sandbox.ReadOnlyKey)); err != nil {
		t.Error(err)
	}
	editor := r.Person("Emil", access.Editor)
	if _, err := r.Mirror.EditProject(ctx, editor, p.ID, in); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an editor edited a project: %v", err)
	}
	if err := r.Mirror.SetArchived(ctx, admin, p.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Mirror.Client(ctx, p.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("an archived project has a client: %v", err)
	}
}

func TestEnsureProject(t *testing.T) {
	r := rig.Bare(t, sandbox.Options{})
	ctx := t.Context()
	in := mirror.ProjectInput{Name: "Default", Slug: "default", Environment: mirror.Production, BaseURL: r.Box.URL}
	r.Fail(sandbox.Fault{Kind: "5xx-before", Times: 8}) // down at the first start
	for _, key := range []string{sandbox.ProductionKey, sandbox.ProductionKey, sandbox.ReadOnlyKey} {
		if err := r.Mirror.EnsureProject(ctx, in, secret.New(key)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.History(store.HistoryQuery{Action: "project.key_replaced"})); n != 1 {
		t.Errorf("%d replacements, want 1", n)
	}
}
