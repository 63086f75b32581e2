package app

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// sweep opens a site in which there is something of everything, people who reach
// all of it among them, and what puts real values into a route's path.
func sweep(t *testing.T, o sandbox.Options) (s *site, fill func(string) string, people []*probe) {
	s = openSite(t, rig.New(t, o), []DemoUser{{Email: "ruth@example.com", Role: "Admin"}})
	fill = s.lived()
	return s, fill, []*probe{s.probe("Nobody"), s.probe("All", access.Admin, access.Editor, access.Auditor), s.probe("Appa", access.Approver)}
}

// forms are those of every route that takes one: as pages have them, else bare.
func (c *crawl) forms(fill func(string) string, people []*probe) []post {
	var out []post
	for _, route := range c.site.server.routes() {
		if route.method != http.MethodPost || route.bearer() {
			continue
		}
		f, ok := c.posts[route.path]
		if !ok {
			f = post{by: people[0], route: route.path, action: fill(route.path)}
			for _, p := range people {
				if p.may(route.needs) {
					f.by = p
				}
			}
		}
		out = append(out, f)
	}
	return out
}

// What forms carry that aren't on the page they come from.
var (
	hidden = map[string]string{accessReviewsPath + "/:id/decide": "user", "/projects/:slug/auth-configs/bulk": "id", "/reviews/:id/mark": "id", policiesPath: "scope", policiesPath + "/:id": "scope"}
	// These keep, or show again, what they don't know, and do nothing.
	lenient = []string{draftsPath, reviewsPath + "/:id/flags/:seq/answer"}
)

// Whatever a form carries besides its fields is refused, on every route: nothing
// can be slipped in.
func TestSlippedIn(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{})
	found := s.crawl(fill, nil, people...)
	before, sent := s.historyHead(), len(s.Mutations())
	for _, f := range found.forms(fill, people) {
		for _, name := range []string{
			"role", "roles", "status", "state", "project", "project_id", "author", "actor", "user", "user_id", "id", "admin", "approvals",
			"grants", "scope", "created_at", "secret.key", "constructor",
		} {
			if slices.Contains(f.names, name) || hidden[f.route] == name {
				continue
			}
			got := f.by.post(f.action, f.filled(name, "admin"))
			refused := strings.Contains(got.body, "is not a field of this form") || slices.Contains(lenient, f.route)
			if got.status != http.StatusUnprocessableEntity || !refused {
				t.Errorf("POST %s with %s: %d %.200s", f.route, name, got.status, got.text())
			}
		}
	}
	if s.historyHead() != before || len(s.Mutations()) != sent {
		t.Error("something was changed")
	}
}

func (s *site) historyHead() int64 {
	s.T.Helper()
	head, err := s.Store.HistoryHead(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	return head.Seq
}

// Routes that ask for no permission, and those that change something for who may
// only look: the domain decides there.
var (
	openly = []string{
		"GET /healthz", "GET /readyz", "GET /static/:file", "POST /theme", "GET /signin", "POST /signin", "POST /signin/demo", "GET /setup", "POST /setup",
		"GET /link", "POST /link", "GET /signin/oidc/:provider", "GET /signin/oidc/:provider/callback", "GET /api/v1/openapi.json",
		"POST /signin/passkey", "GET " + factorPath, "POST " + factorPath, "POST " + factorPath + "/leave",
		"POST /signin/passkey", "GET /signin/factor", "POST /signin/factor", "POST /signin/factor/leave",
	}
	ownOnly = []string{
		"POST /signout", "GET /", "GET /api/v1/me", "GET /stepup", "POST /stepup", "GET /events", "POST /drafts", "POST /drafts/:id/discard", "GET /notifications", "POST /notifications/read", "POST " + viewEndPath,
		"GET " + stepUpPath, "POST " + stepUpPath,
	}
	lookers = []string{
		"POST /projects/:slug/auth-configs/:id/drift/adopt", "POST /projects/:slug/auth-configs/:id/drift/ignore",
		"POST /changes/:id/apply", "POST /changes/:id/cancel", "POST /changes/:id/submit", "POST /changes/:id/comment", "POST /changes/:id/watch", "POST /changes/:id/unwatch",
		"POST /history/searches", "POST /history/searches/:id", "POST /history/searches/:id/delete", "POST /history/searches/:id/digest",
		"POST /history/integrity/verify", "POST /reviews/:id/flags/:seq/answer",
	}
)

// Every route asks for a permission, but for those named above; and nothing is
// answered beside the table.
func TestEveryRouteIsGuarded(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	views := []access.Permission{access.ViewConfigs, access.ViewHistory, access.ViewPersonal, access.ViewPeople, access.ViewSettings}
	known := map[string]bool{"/*": true, "/api/*": true, "/scim/*": true}
	for _, r := range s.server.routes() {
		name := r.method + " " + r.path
		known[r.path] = true
		switch {
		case r.needs == anyone:
			if !slices.Contains(openly, name) {
				t.Errorf("%s is open to everybody", name)
			}
		case r.needs == signedIn:
			if !slices.Contains(ownOnly, name) && !strings.HasPrefix(r.path, "/account") {
				t.Errorf("%s is open to everybody who is signed in", name)
			}
		case r.needs == directory && isSCIM(r.path):
		case !slices.Contains(access.Permissions(), r.needs):
			t.Errorf("%s needs %q, which nobody can have", name, r.needs)
		case r.method != http.MethodGet && slices.Contains(views, r.needs) && !slices.Contains(lookers, name):
			t.Errorf("%s changes something for who may only look", name)
		}
	}
	for _, r := range s.server.echo.Routes() {
		if !known[r.Path] {
			t.Errorf("%s %s is answered and not in the table", r.Method, r.Path)
		}
	}
}

// Every answer to every route carries the headers, and every cookie its flags:
// pages, files, redirects, refusals and errors, by http and by https.
func TestHeadersEverywhere(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{})
	t.Run("http", func(t *testing.T) { headersOf(t, s, fill, people) })
	u, err := url.Parse("https://gatehouse.example")
	if err != nil {
		t.Fatal(err)
	}
	_, server, err := build(options(s.Rig, u, s.server.demo))
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	s.patient()
	if people[0].handler, err = server.wrap(server.echo); err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		p.handler = people[0].handler
	}
	t.Run("https", func(t *testing.T) { headersOf(t, s, fill, people) })
}

func headersOf(t *testing.T, s *site, fill func(string) string, people []*probe) {
	seen := map[string]bool{} // cookies
	check := func(name string, w *httptest.ResponseRecorder) {
		t.Helper()
		for header, want := range s.server.walls() {
			got := w.Header()[header]
			if header == "Cache-Control" {
				if len(got) != 1 || got[0] != "no-store" && got[0] != "private, no-cache" && !strings.Contains(name, "/static/") {
					t.Errorf("%s: Cache-Control %q", name, got)
				}
			} else if !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Server") != "" || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", name, w.Header())
		}
		for _, c := range cookies(t, name, s.server.secureCookies(), w) {
			seen[c.Name] = true
		}
	}
	for _, route := range s.server.routes() {
		path := fill(route.path)
		for i, p := range people {
			name := fmt.Sprint(route.path, " as person ", i, " ")
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "QUERY"} {
				check(method+" "+name, p.send(p.request(method, path, nil)))
			}
			first := p.request(http.MethodGet, path, nil)
			first.Header.Del("Cookie")
			check("GET "+name+"at the first visit", p.send(first))
			if p.user != "" && confines(route.path) {
				continue // it would end the probe's session
			}
			for what, r := range map[string]*http.Request{
				"without a token": p.request("POST", path, url.Values{}), "too large": p.request("POST", path, url.Values{"x": {strings.Repeat("x", maxForm)}}),
				"slipped in": p.request("POST", path, url.Values{"csrf": p.form(path)["csrf"], "op": p.form(path)["op"], "x": {"1"}}),
				"no form":    p.request("POST", path, nil), "from elsewhere": p.request("POST", path, url.Values{}), "a foreign name": p.request("POST", path, url.Values{}),
			} {
				switch what {
				case "from elsewhere":
					r.Header.Set("Sec-Fetch-Site", "cross-site")
				case "a foreign name":
					r.Host = "evil.example"
				}
				w := p.send(r)
				check("POST "+name+what, w)
				if w.Code >= 500 {
					t.Errorf("POST %s: %d", name+what, w.Code)
				}
			}
		}
	}
	for path, fields := range map[string]url.Values{"/theme": {"theme": {"dark"}}, "/account": {"name": {"All"}}, "/account/keys": {}, "/signin/demo": {"email": {s.server.demo[0].Email}}} {
		p := people[1]
		form := p.form(path)
		maps.Copy(form, fields)
		w := p.send(p.request(http.MethodPost, path, form))
		if check("POST "+path, w); w.Code != http.StatusSeeOther {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	for _, name := range []string{newSessionStore(s.server.secureCookies()).name(), themeCookie, keysCookie, projectCookie, noticeCookie} {
		if !seen[name] {
			t.Errorf("the sweep saw no cookie %s, only %v", name, seen)
		}
	}
}

// cookies checks the flags of all cookies of an answer, and returns them.
func cookies(t *testing.T, name string, secure bool, w *httptest.ResponseRecorder) []*http.Cookie {
	t.Helper()
	all := w.Result().Cookies() //nolint:bodyclose // of a recorder
	for _, c := range all {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure != secure {
			t.Errorf("%s sets a cookie without its flags: %s", name, c.Raw)
		}
		if c.Value != "" && c.MaxAge == 0 && secure && !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("%s sets a cookie of the session that any host may set: %s", name, c.Raw)
		}
	}
	return all
}
