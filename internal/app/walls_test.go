package app

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/witness"
)

// fill puts real values into a route's path.
func (s *site) fill(path, config, request string, person access.Reader, slug string) string {
	if rest, ok := strings.CutPrefix(path, apiPath); ok {
		return apiPath + s.fill(rest, config, request, person, slug)
	}
	switch {
	case strings.HasPrefix(path, groupsPath+"/:id"), strings.HasPrefix(path, policiesPath+"/:id"), strings.HasPrefix(path, freezesPath+"/:id"):
		rules := s.someRules()
		id := map[bool]string{true: rules.Groups[0].ID, false: rules.Policies[0].ID}[strings.HasPrefix(path, groupsPath)]
		if strings.HasPrefix(path, freezesPath) {
			id = rules.Freezes[0].ID
		}
		path = strings.ReplaceAll(path, ":id", id)
	case strings.HasPrefix(path, accessReviewsPath+"/:id"):
		path = strings.ReplaceAll(path, ":id", s.someAccessReview())
	case strings.HasPrefix(path, rolesPath+"/:id"):
		path = strings.ReplaceAll(path, ":id", string(s.someRules().Roles[0].ID))
	case strings.HasPrefix(path, reviewsPath+"/:id"):
		path = strings.ReplaceAll(path, ":id", s.someReview())
	case strings.HasPrefix(path, sinksPath+"/:id"):
		path = strings.ReplaceAll(path, ":id", s.someSink())
	case strings.HasPrefix(path, "/people/"):
		path = strings.ReplaceAll(path, ":id", person.ID)
	case strings.HasPrefix(path, "/changes/"):
		path = strings.ReplaceAll(path, ":id", request)
	}
	path = strings.ReplaceAll(path, ":slug", slug)
	path = strings.ReplaceAll(path, ":id", config)
	path = strings.ReplaceAll(path, ":seq", "1")
	path = strings.ReplaceAll(path, ":token", "tok_none")
	return strings.ReplaceAll(path, ":file", "nothing.js")
}

// Every route × every role: what the table of permissions says, and nothing else.
func TestRoutePermissions(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	author := s.Person("Author", access.Editor)
	r, err := s.Changes.ProposeSwitch(t.Context(), author, proposal(s), []string{a.ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(r.ID)
	if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
		t.Fatal(err)
	}
	browsers := map[string]*browser{"nobody": s.browser()}
	may := map[string]func(access.Permission) bool{"nobody": func(access.Permission) bool { return false }}
	for _, role := range access.Roles() {
		browsers[string(role)] = s.as("P"+string(role), role)
		may[string(role)] = access.User{State: access.Active, Grants: access.Unscoped(role)}.May
	}
	for _, route := range s.server.routes() {
		for role, b := range browsers {
			if confines(route.path) {
				continue // they would end the browser's session
			}
			path := s.fill(route.path, a.ID, r.ID, author, s.Project.Slug)
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			var form url.Values
			if route.method == "POST" {
				form = url.Values{"nonsense": {"1"}}
			}
			got := b.do(b.request(route.method, path, form))
			name := route.method + " " + route.path + " as " + role
			switch {
			case route.bearer() && route.needs != anyone: // who is signed in, is so on pages
				if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: %d, want 401", name, got.status)
				}
			case route.needs == anyone:
				if route.method == "GET" && got.status >= 500 {
					t.Errorf("%s: %d", name, got.status)
				}
			case role == "nobody":
				if got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/signin") {
					t.Errorf("%s: %d %s", name, got.status, got.header.Get("Location"))
				}
			case route.needs == signedIn || may[role](route.needs):
				if route.method == "GET" && got.status != 200 && !strings.Contains(route.path, "bulk") && !strings.Contains(route.path, "impact") {
					t.Errorf("%s: %d, want 200", name, got.status)
				}
				if route.method == "POST" && got.status != 403 { // the form has no token
					t.Errorf("%s without a token: %d, want 403", name, got.status)
				}
			case route.method == "GET":
				if got.status != 404 {
					t.Errorf("%s: %d, want 404", name, got.status)
				}
			default:
				if got.status != 403 {
					t.Errorf("%s: %d, want 403", name, got.status)
				}
			}
		}
	}
}

// A config of one project is not there under another project's address.
func TestOtherProject(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	other := s.AddProject("production", sandbox.ProductionKey, "production")
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.OwnOAuth)
	for _, tail := range []string{"", "/edit", "/history", "/versions", "/restore", "/connections", "/requests", "/impact?do=disable"} {
		b.get(configPath(other.Slug, a.ID) + tail).is(404)
		b.get(configPath("nosuch", a.ID) + tail).is(404)
		b.get(configPath(s.Project.Slug, "ac_nosuch") + tail).is(404)
	}
}

// Names that a form doesn't have and repeated ones are refused, so that nothing
// can be slipped in.
func TestMassAssignment(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	for _, extra := range []string{"roles", "state", "id", "user_id", "passphrase"} {
		b.submit(b.get("/account"), "/account", "name", "Ada", extra, "admin").is(422).has("Nothing was changed")
	}
	form := b.get("/account").form("/account")
	form["name"] = []string{"One", "Two"}
	b.do(b.request("POST", "/account", form)).is(422)
	if s.historyOf("user.renamed") != 0 {
		t.Error("something was changed")
	}
}

var inline = regexp.MustCompile(`(?i)<script[^>]*>[^<]|\son[a-z]+=|\sstyle=|<style|javascript:|hx-on|hx-vals="js:`)

// Every page and every error carries the headers, and no inline script or style.
func TestHeaders(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	b := s.as("Ada", access.Admin, access.Editor, access.Auditor)
	person := s.Person("P", access.Viewer)
	r, err := s.Changes.ProposeSwitch(t.Context(), s.Person("Author", access.Editor), proposal(s), []string{a.ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(r.ID)
	paths := []string{"/nosuchpage", "/projects/nosuch/auth-configs", "/signin"}
	for _, route := range s.server.routes() {
		if route.method == "GET" && !strings.HasPrefix(route.path, "/static") {
			paths = append(paths, s.fill(route.path, a.ID, r.ID, person, s.Project.Slug))
		}
	}
	for _, path := range paths {
		got := b.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": contentSecurity, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.header.Get(name))
			}
		}
		if cache := got.header.Get("Cache-Control"); cache != "no-store" && cache != "private, no-cache" {
			t.Errorf("%s: Cache-Control %q", path, cache)
		}
		if got.header.Get("X-Request-Id") == "" {
			t.Errorf("%s has no request id", path)
		}
		if m := inline.FindString(got.body); m != "" {
			t.Errorf("%s has something inline: %q", path, m)
		}
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			checkPage(t, path, got)
		}
	}
	cookies := s.browser().get("/signin").header["Set-Cookie"]
	if len(cookies) != 1 || !strings.Contains(cookies[0], "HttpOnly") || !strings.Contains(cookies[0], "SameSite=Lax") || strings.Contains(cookies[0], "Domain") {
		t.Errorf("cookies: %v", cookies)
	}
}

// checkPage looks for what every page must have.
func checkPage(t *testing.T, path string, p *reply) {
	t.Helper()
	for selector, want := range map[string]int{"h1": 1, "main": 1, "a.skip": 1, "html[lang][data-theme]": 1, "title": 1} {
		if n := p.doc.Find(selector).Length(); n != want {
			t.Errorf("%s has %d of %s, want %d", path, n, selector, want)
		}
	}
	ids := map[string]bool{}
	for _, n := range p.doc.Find("[id]").Nodes {
		for _, attr := range n.Attr {
			if attr.Key == "id" {
				if ids[attr.Val] {
					t.Errorf("%s has the id %q twice", path, attr.Val)
				}
				ids[attr.Val] = true
			}
		}
	}
}

func TestSecureCookies(t *testing.T) {
	store := newSessionStore(true)
	if store.name() != "__Host-sid" || !store.options.Secure || store.options.Path != "/" {
		t.Errorf("%+v", store)
	}
}

func TestForeignHost(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.browser()
	for host, want := range map[string]int{"evil.example": 421, "localhost": 200, "127.0.0.1:1": 200, "localhost.evil.example": 421} {
		r := b.request("GET", "/signin", nil)
		r.Host = host
		if got := b.do(r); got.status != want {
			t.Errorf("Host %s: %d, want %d", host, got.status, want)
		}
	}
}

func TestNoOpenRedirect(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.Person("Ada", access.Viewer)
	for _, next := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\tx", "/x\x00y", "/x\x7f", ""} {
		b := s.browser()
		page := b.get("/signin?next=" + url.QueryEscape(next))
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		got := b.submit(page, "/signin", "email", "ada@example.com", "secret.passphrase", rig.Passphrase, "next", next)
		if got.header.Get("Location") != "/" {
			t.Errorf("next %q led to %q", next, got.header.Get("Location"))
		}
	}
}

func TestLimits(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Viewer)
	form := b.get("/account").form("/account")
	form.Set("name", strings.Repeat("x", 300<<10))
	b.do(b.request("POST", "/account", form)).is(413)
	for i := range 300 {
		form.Set(fmt.Sprint("k", i), "v")
	}
	form.Set("name", "x")
	b.do(b.request("POST", "/account", form)).is(400)
	r := b.request("POST", "/account", url.Values{"a": {"b"}})
	r.Header.Set("Content-Type", "application/json")
	b.do(r).is(415)
	tooMany := false
	for range 80 {
		got := b.submit(b.get("/account"), "/account/keys", "keys", "1")
		if tooMany = got.status == 429; tooMany {
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			break
		}
	}
	if !tooMany {
		t.Error("80 forms at once went through")
	}
}

// Who is signed in keeps the navigation on an error page; nobody else learns of it.
func TestErrorPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	vera := s.as("Vera", access.Viewer)
	missing := vera.get("/nosuchpage").is(404).has("There is no page at this address", "Request", "Vera")
	if missing.doc.Find(`#nav a[href="/history"]`).Length() != 1 || missing.header.Get("Cache-Control") != "no-store" {
		t.Errorf("no navigation: %s", missing.text())
	}
	vera.do(vera.request("POST", "/people", url.Values{})).is(403).has("Your roles don't allow this", "Overview")
	if nobody := s.browser().get("/nosuchpage").is(404); nobody.doc.Find("#nav").Length() != 0 {
		t.Error("who isn't signed in is shown the navigation")
	}
}

// A handler that panics ends in an error page that tells nothing.
func TestPanic(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.server.echo.GET("/panic", s.server.withSession(false, func(echoContext) error { panic("secret detail /path/to/file") }))
	got := s.browser().get("/panic").is(500).has("Something went wrong", "Nothing was changed")
	if strings.Contains(got.body, "secret detail") || strings.Contains(got.body, "goroutine") {
		t.Error("the page tells of the inside")
	}
	if !strings.Contains(s.Log.String(), "secret detail") || !strings.Contains(s.Log.String(), got.header.Get("X-Request-Id")) {
		t.Error("the log doesn't")
	}
}

func TestOddAddresses(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin, access.Editor, access.Auditor)
	for _, path := range []string{
		"/projects/%00/auth-configs", "/projects/staging/auth-configs/..%2f..%2fx", "/projects/staging/auth-configs?after=%ff%fe&sort=x&q=%00",
		"/history?before=99999999999999999999&from=x&to=2026-13-45&q=%22OR", "/history/-1", "/history/x", "/changes/%2e%2e", "/people/'--",
		"/projects/staging/auth-configs/new?toolkit=../../x", "/projects/staging/auth-configs/new?toolkit=github&scheme=%3Cscript%3E", "/static/..%2f..%2fgo.mod",
		"/projects/staging/auth-configs/bulk?do=delete&id=x", "/projects/staging/auth-configs/bulk?do=enable", "/changes?before=abc&tab=zzz",
		"/projects/staging/as-of?at=%00&after=%ff", "/projects/staging/as-of?entry=99999999999999999999", "/projects/staging/as-of?at=9999-12-31T23:59&q=%22%00&after=nosuch",
		"/projects/staging/auth-configs/%2e%2e/versions", "/projects/staging/auth-configs/'--/versions?v=99999999999999999999", "/projects/staging/auth-configs/x/restore?version=-1",
	} {
		if got := b.get(path); got.status >= 500 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

func TestReadiness(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := s.browser().get(path).is(200); strings.TrimSpace(got.body) != "ok" {
			t.Errorf("%s says %q", path, got.body)
		}
	}
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.browser()
	css, _ := b.get("/signin").doc.Find(`link[rel="stylesheet"]`).Attr("href")
	for encoding, want := range map[string]string{"": "", "gzip": "gzip", "gzip, br": "br"} {
		r := b.request("GET", css, nil)
		r.Header.Set("Accept-Encoding", encoding)
		got := b.do(r).is(200)
		if got.header.Get("Content-Encoding") != want || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%q: %v", encoding, got.header)
		}
	}
	if slices.Contains(b.get("/static/nosuch.css").is(404).header["Cache-Control"], "immutable") {
		t.Error("a missing file is kept for ever")
	}
}
