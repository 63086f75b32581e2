package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestUnknownQuirk(t *testing.T) {
	_, err := New(Options{Quirks: []string{"no-such-quirk"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range Quirks() {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
		s, err := New(Options{Quirks: []string{name}})
		if err != nil {
			t.Errorf("%s alone: %v", name, err)
			continue
		}
		_ = s.Close() // keeps nothing
	}
	for _, bad := range []string{
		"max-limit=0", "max-limit=x", "rate-limit=-1", "latency=soon", "latency=-1s", "stale-lists=0", "stale-lists=never",
		"strict-mask=yes", "managed-app-withdrawn=nonesuch", "managed-app-withdrawn=hackernews",
	} {
		if _, err := New(Options{Quirks: []string{bad}}); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	if _, err := New(Options{Configs: -1}); err == nil {
		t.Error("a negative number of configs was accepted")
	}
}

func TestManagedAppWithdrawn(t *testing.T) {
	b := quirky(t, "managed-app-withdrawn", "managed-app-withdrawn=SHOPIFY")
	for _, slug := range []string{"clockify", "shopify"} {
		if b.get("/toolkits?limit=1000&search="+slug).at("items", 0, "composio_managed_auth_schemes", 0) != "OAUTH2" {
			t.Errorf("%s does not claim a managed app", slug)
		}
		a := b.do("POST", "/auth_configs", `{"toolkit":{"slug":"`+slug+`"}}`).refused(t, 400, 301, "Auth_Config_ValidationError")
		if got, want := a.at("error", "message"), `Missing required field "Client id" for auth scheme "OAUTH2" in toolkit "`+slug+`" (Client id of the app)`; got != want {
			t.Errorf("message %v", got)
		}
	}
	b.make(`{"toolkit":{"slug":"github"}}`)
}

func TestScopedKey(t *testing.T) {
	refusesWrites(t, quirky(t, "scoped-key"), ProductionKey)
}

func TestLegacyEnvelope(t *testing.T) {
	b := quirky(t, "legacy-envelope", "rate-limit=5")
	for _, c := range []struct {
		answer answer
		status int
		text   string
	}{
		{b.as("ak_wrong_key_123456", "GET", "/api/v3/tools", ""), 401, "Invalid API key"},
		{b.do("GET", "/nonesuch", ""), 404, "Not Found"},
		{b.do("POST", "/auth_configs", `{"toolkit":{"slug":"xero"}}`), 400, "Default auth config not found"},
		{b.as(ReadOnlyKey, "DELETE", "/api/v3/auth_configs/ac_x", ""), 403, "permissions"},
		{b.do("GET", "/auth_configs/ac_missing", ""), 404, "Auth config not found"},
	} {
		c.answer.want(t, c.status)
		if c.answer.at("error", "error_code") != 10400.0 || c.answer.at("error", "code") != nil || !strings.Contains(c.answer.raw, c.text) {
			t.Errorf("envelope %s", c.answer.raw)
		}
	}
	b.get("/toolkits")
	b.get("/toolkits")
	if a := b.do("GET", "/toolkits", "").want(t, 429); a.at("message") == nil || a.at("error") != nil {
		t.Errorf("429: %s", a.raw)
	}
}

func TestRateLimit(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time, Quirks: []string{"rate-limit=2"}})
	for left := 1; left >= 0; left-- {
		a := b.get("/toolkits/github")
		if a.header.Get("X-RateLimit") != "2" || a.header.Get("X-RateLimit-Remaining") != []string{"0", "1"}[left] {
			t.Errorf("headers %v", a.header)
		}
	}
	clock.now = clock.now.Add(20 * time.Second)
	a := b.as(StagingKey, "POST", "/api/v3/auth_configs", githubApp).want(t, 429)
	if a.raw != `{"message":"Rate limit exceeded. Limit: 2 requests per 1 minutes"}` || a.header.Get("Retry-After") != "40" {
		t.Errorf("%v: %s", a.header, a.raw)
	}
	clock.now = clock.now.Add(40 * time.Second)
	b.get("/toolkits/github")

	usual := open(t, Options{})
	if a := usual.get("/toolkits/github"); a.header.Get("X-RateLimit") != "10000" || a.header.Get("X-RateLimit-Remaining") != "9999" {
		t.Errorf("headers without the quirk: %v", a.header)
	}
}

func TestOldEmptyResponses(t *testing.T) {
	b := quirky(t, "old-empty-responses")
	id := b.make(githubApp)
	for _, a := range []answer{
		b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","name":"x"}`),
		b.do("PATCH", "/auth_configs/"+id+"/DISABLED", ""),
		b.do("DELETE", "/auth_configs/"+id+"?revoke_on_delete=true", ""),
	} {
		if a.want(t, 200).raw != "{}" {
			t.Errorf("answer %s", a.raw)
		}
	}
}

func TestUnknownScheme(t *testing.T) {
	b := quirky(t, "unknown-scheme")
	a := b.get("/auth_configs?toolkit_slug=synthetic_future")
	if a.at("items", 0, "auth_scheme") != unknownScheme {
		t.Errorf("list %s", a.raw)
	}
	if b.get("/toolkits/synthetic_future").at("auth_config_details", 0, "mode") != unknownScheme {
		t.Error("the toolkit does not have the scheme")
	}
	open(t, Options{}).do("GET", "/toolkits/synthetic_future", "").want(t, 404)
}

func TestDuplicates(t *testing.T) {
	b := quirky(t, "duplicates")
	before := b.get("/auth_configs").at("total_items").(float64)
	id := b.make(strings.Replace(githubApp, "made", "only-once", 1))
	a := b.get("/auth_configs?search=only-once")
	if a.at("total_items") != 2.0 || b.get("/auth_configs").at("total_items") != before+2 {
		t.Errorf("%v of them", a.at("total_items"))
	}
	m := b.Journal().Mutations
	if len(m) != 2 || m[0].ID == m[1].ID || m[1].ID != id || m[0].RequestID != m[1].RequestID {
		t.Errorf("mutations %+v", m)
	}
}

func TestStaleLists(t *testing.T) {
	b := quirky(t, "stale-lists=2")
	count := func() any { return b.get("/auth_configs?search=made").at("total_items") }
	first := b.make(githubApp)
	b.config(first) // one object is never stale
	b.make(githubApp)
	if n := count(); n != 0.0 {
		t.Errorf("%v, want 0: both are too new", n)
	}
	b.make(githubApp)
	if n := count(); n != 1.0 {
		t.Errorf("%v, want 1", n)
	}
	b.do("DELETE", "/auth_configs/"+first, "").want(t, 200)
	if n := count(); n != 2.0 {
		t.Errorf("%v, want the deleted one still there, and the second", n)
	}

	clock := newTick()
	b = open(t, Options{Now: clock.time, Quirks: []string{"stale-lists=500ms"}})
	b.make(githubApp)
	if n := count(); n != 0.0 {
		t.Errorf("%v at once", n)
	}
	clock.now = clock.now.Add(500 * time.Millisecond)
	if n := count(); n != 1.0 {
		t.Errorf("%v after a while", n)
	}
}

func TestLatency(t *testing.T) {
	for want, o := range map[time.Duration]Options{
		70 * time.Millisecond:  {Latency: 70 * time.Millisecond},
		100 * time.Millisecond: {Quirks: []string{"latency"}},
		2 * time.Second:        {Latency: time.Second, Quirks: []string{"latency=1s"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/v3/tools", nil))
			if took := time.Since(start); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		})
	}
}

func TestNonJSON(t *testing.T) {
	b := quirky(t, "non-json")
	if err := b.Fail(Fault{Kind: "5xx-before=502"}); err != nil {
		t.Fatal(err)
	}
	a := b.do("GET", "/toolkits", "").want(t, 502)
	if !strings.HasPrefix(a.raw, "<html>") || a.header.Get("Content-Type") != "text/html" || !strings.Contains(a.raw, "<h1>502 Bad Gateway</h1>") {
		t.Errorf("%v: %s", a.header, a.raw)
	}
	b.do("GET", "/auth_configs/ac_missing", "").refused(t, 404, 302, "Auth_Config_NotFound")
}
