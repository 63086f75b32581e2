package app

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/health"
	"gatehouse/internal/rig"
)

// An operator sees how the console is, with the errors that ended requests, and
// takes it away as a file; who may not see settings sees none of it.
func TestOperationPage(t *testing.T) {
	logged := &health.Errors{}
	s := openSite(t, rig.New(t, sandbox.Options{Configs: 7}), nil, func(o *Options) {
		o.Health.Errors = logged
		o.Log = slog.New(logged.Handler(o.Log.Handler()))
	})
	s.server.log.Error("request failed", "request", "REQUEST42", "err", errors.New("a <b>bad</b> disk"))
	admin := s.as("Ada", access.Admin)
	admin.get(operationPath).is(200).has("Operation", "All is well", "Nothing needs you", "Project staging", "Request failed", "REQUEST42", "a <b>bad</b> disk", "Last backup")
	file := admin.get(operationPath + "/diagnostics.json").is(200)
	if got := file.header.Get("Content-Disposition"); got != `attachment; filename="gatehouse-diagnostics.json"` {
		t.Errorf("disposition %s", got)
	}
	file.has(`"state": "ok"`, `"auth_configs": 7`, `"request": "REQUEST42"`)
	s.as("Eve", access.Editor).get(operationPath).is(404)
}

// A console that can't read Composio says so, and stays in service.
func TestDegraded(t *testing.T) {
	ahead := time.Duration(0)
	s := openSite(t, rig.New(t, sandbox.Options{}), nil, func(o *Options) { o.Health.Now = func() time.Time { return rig.Now().Add(ahead) } })
	ahead = 24 * time.Hour
	if got := s.browser().get("/readyz").is(200); got.body != "degraded\n" {
		t.Errorf("/readyz says %q", got.body)
	}
	s.as("Ada", access.Admin).get(operationPath).is(200).has("Degraded", "Composio was not read for project staging lately.", "Open the project's settings")
}

// Each request is counted once by its route, also those that fail.
func TestRequestsAreCounted(t *testing.T) {
	type answer struct {
		method, route string
		status        int
	}
	var all []answer
	s := openSite(t, rig.New(t, sandbox.Options{}), nil, func(o *Options) {
		o.Answered = func(method, route string, status int, took time.Duration) {
			if took <= 0 {
				t.Errorf("%s took %s", route, took)
			}
			all = append(all, answer{method, route, status})
		}
	})
	b := s.as("Ada", access.Admin)
	for path, want := range map[string]answer{
		"/healthz":         {"GET", "/healthz", 200},
		"/changes/chg_no":  {"GET", "/changes/:id", 404},
		"/changes":         {"GET", "/changes", 200},
		"/no/such/address": {"GET", "", 404},
	} {
		all = nil
		if b.get(path); len(all) != 1 || all[0].method != want.method || all[0].status != want.status || want.route != "" && all[0].route != want.route {
			t.Errorf("%s: counted %v, want %v", path, all, want)
		}
	}
}
