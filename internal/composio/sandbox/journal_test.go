package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJournal(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time})
	id := b.make(githubApp)
	b.as(StagingKey, "GET", "/api/v3/auth_configs?limit=1&search=x", "", "x-request-id", "look")
	b.as("wrong", "GET", "/favicon.ico", "")
	b.do("PATCH", "/auth_configs/"+id, `{"type":"custom"}`, "x-request-id", "touch").want(t, 200)
	b.do("PATCH", "/auth_configs/"+id, `{"type":"default"}`).want(t, 400)
	b.do("DELETE", "/auth_configs/"+id+"?revoke_on_delete=false", "").want(t, 200)

	var j struct {
		Calls, Mutations, Incidents []map[string]any
	}
	if err := json.Unmarshal([]byte(b.as("", "GET", "/_sandbox/journal", "").want(t, 200).raw), &j); err != nil {
		t.Fatal(err)
	}
	if j.Incidents == nil || len(j.Incidents) != 0 {
		t.Errorf("incidents %v", j.Incidents)
	}
	const now = "2026-11-23T12:00:00Z"
	var calls []string
	for i, c := range j.Calls {
		if c["seq"] != float64(i+1) || c["time"] != now || c["request_id"] == "" {
			t.Errorf("call %v", c)
		}
		calls = append(calls, fmt.Sprintf("%v|%v %v?%v|%v", c["project"], c["method"], c["path"], c["query"], c["status"]))
	}
	path := "/api/v3.1/auth_configs/" + id
	wantCalls := []string{
		"production|POST /api/v3.1/auth_configs?|201",
		"staging|GET /api/v3/auth_configs?limit=1&search=x|200",
		"|GET /favicon.ico?|404",
		"production|PATCH " + path + "?|200",
		"production|PATCH " + path + "?|400",
		"production|DELETE " + path + "?revoke_on_delete=false|200",
	}
	if d := cmp.Diff(wantCalls, calls); d != "" {
		t.Error(d)
	}
	for _, m := range j.Mutations {
		if m["request_id"] == "" {
			t.Errorf("no request id: %v", m)
		}
		if m["agent"] != "Go-http-client/1.1" {
			t.Errorf("the agent is %v", m["agent"])
		}
		delete(m, "request_id")
		delete(m, "agent")
	}
	want := []map[string]any{
		{"seq": 1.0, "time": now, "project": "production", "method": "POST", "path": "/api/v3.1/auth_configs", "id": id, "body": map[string]any{
			"toolkit": map[string]any{"slug": "github"},
			"auth_config": map[string]any{"type": "use_custom_auth", "authScheme": "OAUTH2", "name": "made", "credentials": map[string]any{
				"client_id": "Iv1.public", "client_secret": "sha256:" + digest("hush-hush-secret"), "scopes": "repo,user",
			}},
		}},
		{"seq": 2.0, "time": now, "project": "production", "method": "PATCH", "path": path, "id": id, "body": map[string]any{"type": "custom"}},
		{"seq": 3.0, "time": now, "project": "production", "method": "DELETE", "path": path, "query": "revoke_on_delete=false", "id": id, "body": nil},
	}
	if d := cmp.Diff(want, j.Mutations); d != "" {
		t.Error(d)
	}
}

// What counts as a credential, by where it stands.
func TestRedaction(t *testing.T) {
	readable := func(key string) bool { return key == "client_id" }
	for in, want := range map[string]string{
		`{"credentials":{"client_id":"a","client_secret":"b"}}`:       `{"credentials":{"client_id":"a","client_secret":"sha256:D(b)"}}`,
		`{"auth_config":{"credentials":{"x":1}}}`:                     `{"auth_config":{"credentials":{"x":"sha256:D(1)"}}}`,
		`{"credentials":{"x":null}}`:                                  `{"credentials":{"x":null}}`,
		`{"credentials":"b"}`:                                         `{"credentials":"sha256:D(b)"}`,
		`{"shared_credentials":{"client_id":{"deep":["b",true]}}}`:    `{"shared_credentials":{"client_id":{"deep":["sha256:D(b)","sha256:D(true)"]}}}`,
		`{"sealed_credentials":{"client_id":"b"}}`:                    `{"sealed_credentials":{"client_id":"sha256:D(b)"}}`,
		`{"proxy_config":{"proxy_url":"u","proxy_auth_key":"b"}}`:     `{"proxy_config":{"proxy_auth_key":"sha256:D(b)","proxy_url":"u"}}`,
		`{"connection_data":{"client_id":"b"},"user_id":"u"}`:         `{"connection_data":{"client_id":"sha256:D(b)"},"user_id":"u"}`,
		`{"connection":{"state":{"authScheme":"A","val":{"k":"b"}}}}`: `{"connection":{"state":{"authScheme":"A","val":{"k":"sha256:D(b)"}}}}`,
		`{"client_secret":"b","scopes":["s"],"enabled":true}`:         `{"client_secret":"sha256:D(b)","enabled":true,"scopes":["s"]}`,
	} {
		v, err := decode([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		for _, leaf := range []string{"b", "1", "true"} {
			want = strings.ReplaceAll(want, "D("+leaf+")", digest(leaf))
		}
		if got := string(mustJSON(redact(v, readable))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestRing(t *testing.T) {
	var r ring
	for range keptCalls + 5 {
		r.begin(Call{})
	}
	r.update(1, func(*Call) { t.Error("an old call is still there") })
	r.update(keptCalls+5, func(c *Call) { c.Status = 200 })
	got := r.list()
	if len(got) != keptCalls || got[0].Seq != 6 || got[len(got)-1].Seq != keptCalls+5 || got[len(got)-1].Status != 200 {
		t.Errorf("%d calls from %d to %d", len(got), got[0].Seq, got[len(got)-1].Seq)
	}
}

func TestControlIsLocal(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{
		"127.0.0.1:5": 200, "127.9.9.9:5": 200, "[::1]:5": 200, "10.0.0.1:5": 403, "192.0.2.1:5": 403, "[2001:db8::1]:5": 403, "@": 403, "": 403,
	} {
		for _, name := range []string{"journal", "state", "faults"} {
			r, w := httptest.NewRequest(http.MethodGet, "/_sandbox/"+name, nil), httptest.NewRecorder()
			r.RemoteAddr = address
			s.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %q: %d, want %d", name, address, w.Code, want)
			}
		}
	}
	b := open(t, Options{})
	b.as("", "GET", "/_sandbox/nonesuch", "").want(t, 404)
	b.as("", "DELETE", "/_sandbox/journal", "").want(t, 404)
}
