package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A restart keeps everything that was acknowledged, with or without a Close.
func TestStateSurvives(t *testing.T) {
	for name, o := range map[string]Options{"small": {}, "large": {Configs: 1500}} {
		t.Run(name, func(t *testing.T) {
			o.StateFile = filepath.Join(t.TempDir(), "sandbox.json")
			b := open(t, o)
			id := b.make(githubApp)
			b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","credentials":{"client_secret":"abcd..."}}`).want(t, 200)
			b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"me"}`).want(t, 201)
			gone := b.make(githubApp)
			b.do("DELETE", "/auth_configs/"+gone, "").want(t, 200)
			if _, err := b.Edit(Edit{Projects: map[string]ProjectEdit{"staging": {AuthConfigs: raws(`{"toolkit":"slack","name":"behind"}`)}}}); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(o.StateFile)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("state file %v, %v", info, err)
			}
			if _, err := os.Stat(o.StateFile + ".log"); (err == nil) != (name == "large") {
				t.Errorf("the log: %v", err)
			}
			killed := open(t, Options{StateFile: o.StateFile, Seed: 99, Configs: 3}) // the first was never closed
			compare(t, b, killed)
			made := killed.make(githubApp)
			if killed.config(made).at("id") == id {
				t.Error("an id came twice")
			}
			if err := killed.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(o.StateFile + ".log"); err == nil {
				t.Error("Close left the log")
			}
			again := open(t, Options{StateFile: o.StateFile})
			compare(t, killed, again)
		})
	}
}

func compare(t *testing.T, a, b *box) {
	t.Helper()
	if d := cmp.Diff(asJSON(t, a.State()), asJSON(t, b.State())); d != "" {
		t.Errorf("state: %s", d)
	}
	ja, jb := a.Journal(), b.Journal()
	if d := cmp.Diff(asJSON(t, ja.Mutations), asJSON(t, jb.Mutations)); d != "" {
		t.Errorf("mutations: %s", d)
	}
	if d := cmp.Diff(asJSON(t, ja.Incidents), asJSON(t, jb.Incidents)); d != "" || len(ja.Incidents) != 1 {
		t.Errorf("incidents: %s", d)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Half a line at the end of the log was never acknowledged.
func TestTornLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.json")
	b := open(t, Options{StateFile: file, Configs: 1500})
	id := b.make(githubApp)
	log, err := os.ReadFile(file + ".log")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".log", append(log, log[:len(log)/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, Options{StateFile: file}).config(id)
}

func TestBadStateFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"broken": `{"version":1`, "future": `{"version":2}`, "empty": ``, "project": `{"version":1,"projects":{"other":{}}}`,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{StateFile: file}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Options{StateFile: filepath.Join(dir, "no", "such", "dir")}); err == nil {
		t.Error("a state file that can't be written was accepted")
	}
}

// When the state can't be saved the caller is not told that it worked.
func TestStateNotSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "in")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{StateFile: filepath.Join(dir, "sandbox.json")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	b := serve(t, s)
	b.do("POST", "/auth_configs", githubApp).want(t, 500)
	j := b.Journal()
	if len(j.Mutations) != 1 || len(j.Incidents) != 1 || j.Incidents[0].Kind != "state_not_saved" {
		t.Errorf("journal %+v %+v", j.Mutations, j.Incidents)
	}
	if s.Close() == nil {
		t.Error("Close says that all was saved")
	}
}

func TestEdit(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time})
	id := b.make(githubApp)
	clock.now = clock.now.Add(time.Hour)
	a := b.as("", "POST", "/_sandbox/state", `{"projects":{"production":{
		"auth_configs":[{"id":"`+id+`","name":"renamed","status":"PAUSED","credentials":{"client_secret":"fresh-secret","scopes":null},"wire":{"auth_scheme":"NEW"}},
			{"toolkit":"Slack","is_composio_managed":true}],
		"connections":[{"auth_config":"`+id+`","user_id":"eve","account_type":"SHARED"}]}}}`).want(t, 200)
	if a.at("auth_configs", 0) != id {
		t.Errorf("answer %s", a.raw)
	}
	c := b.config(id)
	want := map[string]any{
		"name": "renamed", "status": "PAUSED", "auth_scheme": "NEW", "no_of_connections": 1.0, "last_updated_at": "2026-11-23T13:00:00.000Z",
		"credentials": map[string]any{"client_id": "Iv1.public", "client_secret": "fres...", "oauth_redirect_uri": currentRedirect},
	}
	for k, v := range want {
		if d := cmp.Diff(v, c.at(k)); d != "" {
			t.Errorf("%s: %s", k, d)
		}
	}
	made, _ := a.at("auth_configs", 1).(string)
	if got := b.config(made); got.at("toolkit", "slug") != "slack" || got.at("type") != "default" {
		t.Errorf("made %s", got.raw)
	}
	conn, _ := a.at("connections", 0).(string)
	if got := b.get("/connected_accounts/" + conn); got.at("user_id") != "eve" || got.at("status") != "ACTIVE" || got.at("toolkit", "slug") != "github" {
		t.Errorf("connection %s", got.raw)
	}
	b.as("", "POST", "/_sandbox/state", `{"projects":{"production":{"delete":["`+made+`","`+conn+`"]}}}`).want(t, 200)
	b.do("GET", "/auth_configs/"+made, "").want(t, 404)
	b.do("GET", "/connected_accounts/"+conn, "").want(t, 404)
	if n := len(b.Journal().Mutations); n != 1 {
		t.Errorf("%d mutations: edits are none", n)
	}
}

func TestBadEdits(t *testing.T) {
	b := open(t, Options{})
	id := b.make(githubApp)
	conn := b.State().Projects["production"].Connections[0].ID
	before := asJSON(t, b.State())
	for _, edit := range []string{
		`{"projects":{"elsewhere":{}}}`,
		`{"projects":{"production":{"auth_configs":[{"id":"` + id + `","name":"x"},{"toolkit":"nonesuch"}]}}}`,
		`{"projects":{"production":{"auth_configs":[{}]}}}`,
		`{"projects":{"production":{"auth_configs":[7]}}}`,
		`{"projects":{"production":{"auth_configs":[{"id":7}]}}}`,
		`{"projects":{"production":{"auth_configs":[{"id":"` + id + `","name":7}]}}}`,
		`{"projects":{"production":{"connections":[{"auth_config":"ac_missing"}]}}}`,
		`{"projects":{"production":{"connections":[{"id":"` + conn + `","auth_config":"` + id + `"}]}}}`,
		`{"projects":{"production":{"delete":["ac_missing"]}}}`,
		`{"project":{}}`, `nonsense`,
	} {
		b.as("", "POST", "/_sandbox/state", edit).want(t, 400)
	}
	if asJSON(t, b.State()) != before {
		t.Error("a refused edit changed something")
	}
}

// What GET /_sandbox/state says can be posted back and changes nothing but the
// times of the last change.
func TestStateRoundTrip(t *testing.T) {
	b := open(t, Options{Seed: 5})
	raw := b.as("", "GET", "/_sandbox/state", "").want(t, 200).raw
	raw = strings.ReplaceAll(raw, `"connections":[`, `"delete":[],"connections":[`)
	b.as("", "POST", "/_sandbox/state", raw).want(t, 200)
	if d := cmp.Diff(asJSON(t, open(t, Options{Seed: 5}).State()), asJSON(t, b.State())); d != "" {
		t.Error(d)
	}
}
