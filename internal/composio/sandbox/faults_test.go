package sandbox

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

func (b *box) fail(faults ...Fault) {
	b.t.Helper()
	for _, f := range faults {
		if err := b.Fail(f); err != nil {
			b.t.Fatal(err)
		}
	}
}

// Faults before the change leave nothing behind, those after it do, whatever the
// client is told.
func TestFaults(t *testing.T) {
	for kind, c := range map[string]struct {
		status  int // 0: the connection ends
		applied bool
	}{
		"reset-before":                       {0, false},
		"reset-after":                        {0, true},
		"5xx-before":                         {500, false},
		"5xx-before=504":                     {504, false},
		"5xx-after":                          {500, true},
		"5xx-after=503":                      {503, true},
		"status=418":                         {418, false},
		"status=204":                         {204, false},
		"status=429":                         {429, false},
		"garbage-2xx":                        {201, true},
		"latency=1ms":                        {201, true},
		"stale-list":                         {201, true},
		"redirect=http://elsewhere.example/": {307, false},
	} {
		t.Run(kind, func(t *testing.T) {
			b := open(t, Options{})
			b.fail(Fault{Kind: kind, Method: "post", Path: "/auth_configs"})
			b.get("/auth_configs")
			a, err := b.try(ProductionKey, "POST", "/api/v3.1/auth_configs", githubApp)
			if (err != nil) != (c.status == 0) || a.status != c.status {
				t.Fatalf("status %d, error %v", a.status, err)
			}
			j := b.Journal()
			if (len(j.Mutations) == 1) != c.applied {
				t.Errorf("%d mutations", len(j.Mutations))
			}
			if last := j.Calls[len(j.Calls)-1]; last.Status != c.status || last.Method != http.MethodPost {
				t.Errorf("call %+v", last)
			}
			switch {
			case kind == "garbage-2xx" && a.body != nil:
				t.Errorf("the answer can be read: %s", a.raw)
			case c.status == 307 && a.header.Get("Location") != "http://elsewhere.example/":
				t.Errorf("Location %q", a.header.Get("Location"))
			case c.status == 429 && (a.header.Get("Retry-After") == "" || a.at("message") == nil):
				t.Errorf("429: %v %s", a.header, a.raw)
			}
			b.make(githubApp) // it struck once
			if got := b.Faults()[0]; got.Fired != 1 || got.Seen != 2 {
				t.Errorf("fault %+v", got)
			}
		})
	}
}

func TestGarbageLeavesRefusalsAlone(t *testing.T) {
	b := open(t, Options{})
	b.fail(Fault{Kind: "garbage-2xx"})
	b.do("GET", "/auth_configs/ac_missing", "").refused(t, 404, 302, "Auth_Config_NotFound")
}

func TestForbiddenFault(t *testing.T) {
	b := open(t, Options{})
	b.fail(Fault{Kind: "status=403", Path: "/auth/session/info"})
	b.do("GET", "/auth/session/info", "").refused(t, 403, 812, "APIKey_InsufficientPermissions")
}

func TestFaultMatching(t *testing.T) {
	b := open(t, Options{})
	strikes := func(path string) bool { return b.do("GET", path, "").status == 500 }
	for _, c := range []struct {
		fault Fault
		path  string
		want  []bool
	}{
		{Fault{}, "/toolkits", []bool{true, false}},
		{Fault{Times: 2}, "/toolkits", []bool{true, true, false}},
		{Fault{Times: -1}, "/toolkits", []bool{true, true, true}},
		{Fault{Nth: 2}, "/toolkits", []bool{false, true, false}},
		{Fault{Nth: 2, Times: 2}, "/toolkits", []bool{false, true, true, false}},
		{Fault{Method: "POST"}, "/toolkits", []bool{false}},
		{Fault{Path: "/toolkits/*"}, "/toolkits", []bool{false}},
		{Fault{Path: "/toolkits/*"}, "/toolkits/github", []bool{true}},
		{Fault{Path: "/auth/**"}, "/auth/session/info", []bool{true}},
		{Fault{Path: "/tool/**"}, "/toolkits", []bool{false}},
		{Fault{Project: "production"}, "/toolkits", []bool{true}},
		{Fault{Project: "staging"}, "/toolkits", []bool{false}},
	} {
		b.ClearFaults()
		f := c.fault
		f.Kind = "5xx-before"
		b.fail(f)
		for i, want := range c.want {
			if got := strikes(c.path); got != want {
				t.Errorf("%+v: request %d to %s: %v, want %v", c.fault, i+1, c.path, got, want)
			}
		}
	}
	b.ClearFaults()
	b.fail(Fault{Kind: "status=402"}, Fault{Kind: "status=418"})
	b.do("GET", "/toolkits", "").want(t, 402)
	b.do("GET", "/toolkits", "").want(t, 418)
	b.do("GET", "/toolkits", "").want(t, 200)
}

func TestBadFaults(t *testing.T) {
	b := open(t, Options{})
	for _, f := range []Fault{
		{}, {Kind: "explode"}, {Kind: "status"}, {Kind: "status=100"}, {Kind: "status=600"}, {Kind: "5xx-before=404"}, {Kind: "redirect"},
		{Kind: "redirect=nowhere"}, {Kind: "latency=x"}, {Kind: "stale-list=0"}, {Kind: "reset-after=1"}, {Kind: "reset-after", Path: "["},
		{Kind: "reset-after", Nth: -1}, {Kind: "reset-after", Times: -2},
	} {
		if b.Fail(f) == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestStaleListFault(t *testing.T) {
	b := open(t, Options{})
	id := b.make(githubApp)
	b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"me"}`).want(t, 201)
	b.fail(Fault{Kind: "stale-list=2", Path: "/auth_configs"}, Fault{Kind: "stale-list", Path: "/connected_accounts"})
	for _, want := range []any{0.0, 1.0} {
		if n := b.get("/auth_configs?search=made").at("total_items"); n != want {
			t.Errorf("%v configs, want %v", n, want)
		}
		if n := b.get("/connected_accounts?auth_config_ids=" + id).at("total_items"); n != want {
			t.Errorf("%v connections, want %v", n, want)
		}
	}
}

// A time-out lasts until the client goes away, or the server is closed.
func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		fault, quirk string
		applied      int
	}{
		"before": {"timeout-before", "duplicates", 0},
		"after":  {"timeout-after", "max-limit", 1},
		"quirk":  {"", "timeout-after-commit", 1},
	} {
		for _, end := range []string{"client", "server"} {
			synctest.Test(t, func(t *testing.T) {
				s, err := New(Options{Quirks: []string{c.quirk}})
				if err != nil {
					t.Fatal(err)
				}
				if c.fault != "" {
					if err := s.Fail(Fault{Kind: c.fault}); err != nil {
						t.Fatal(err)
					}
				}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				over := make(chan any, 1)
				go func() {
					defer func() { over <- recover() }()
					r := httptest.NewRequestWithContext(ctx, "POST", "/api/v3/auth_configs", strings.NewReader(githubApp))
					r.Header.Set("x-api-key", ProductionKey)
					r.Header.Set("Content-Type", "application/json")
					s.ServeHTTP(httptest.NewRecorder(), r)
				}()
				synctest.Wait()
				select {
				case <-over:
					t.Fatalf("%s: answered", name)
				default:
				}
				if j := s.Journal(); len(j.Mutations) != c.applied || j.Calls[0].Status != 0 {
					t.Errorf("%s: %d mutations, status %d", name, len(j.Mutations), j.Calls[0].Status)
				}
				if end == "client" {
					leave()
				} else if err := s.Close(); err != nil {
					t.Error(err)
				}
				if err, _ := (<-over).(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("%s: ended with %v", name, err)
				}
			})
		}
	}
}

func TestFaultEndpoint(t *testing.T) {
	b := open(t, Options{})
	a := b.as("", "POST", "/_sandbox/faults", `[{"kind":"status=418","method":"GET","path":"/toolkits","nth":2,"times":3}]`).want(t, 200)
	if !strings.Contains(a.raw, `[{"kind":"status=418","method":"GET","path":"/toolkits","nth":2,"times":3,"seen":0,"fired":0}]`) {
		t.Errorf("answer %s", a.raw)
	}
	b.get("/toolkits")
	b.do("GET", "/toolkits", "").want(t, 418)
	for _, bad := range []string{`[{"kind":"x"}]`, `{}`, `[{"knd":"status=418"}]`, `[] []`, ``} {
		b.as("", "POST", "/_sandbox/faults", bad, "Content-Type", "application/json").want(t, 400)
	}
	b.do("GET", "/toolkits", "").want(t, 418)
	b.as("", "POST", "/_sandbox/faults", `[]`).want(t, 200)
	b.get("/toolkits")
	if len(b.Faults()) != 0 || strings.TrimSpace(b.as("", "GET", "/_sandbox/faults", "").raw) != "[]" {
		t.Error("faults are left")
	}
	b.as("", "POST", "/_sandbox/faults", `[]`, "Content-Type", "text/plain").want(t, 415)
}
