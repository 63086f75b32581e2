package app

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
)

type echoContext = echo.Context

const canary = "canary-77c1e0b9a2d4f683"

func proposal(s *site) change.Proposal {
	return change.Proposal{Project: s.Project.ID, Reason: "for a test"}
}

func (s *site) list() string { return configsPath(s.Project.Slug) }

func (s *site) page(id string) string { return configPath(s.Project.Slug, id) }

func TestSignInPage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.Person("Ada", access.Viewer)
	b := s.browser()
	page := b.get("/people").at("/signin").has("Sign in")
	before := b.cookie("sid")
	b.submit(page, "/signin", "email", "ada@example.com", "secret.passphrase", "wrong").is(422).has("don't match an account")
	b.submit(page, "/signin", "email", "ada@example.com", "secret.passphrase", rig.Passphrase).is(200).at("/people").has("Ada")
	if b.cookie("sid") == before || before == "" {
		t.Error("the token is the same as before sign-in")
	}
	b.submit(b.get("/"), "/signout").at("/signin")
	b.get("/people").at("/signin")
}

func TestSetUpPage(t *testing.T) {
	s := openSite(t, rig.Bare(t, sandbox.Options{}), nil)
	token, err := s.Access.NewSetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	page := b.get("/setup?token=" + token).has("Set up Gatehouse")
	late := s.browser()
	latePage := late.get("/setup?token=" + token)
	again := b.submit(page, "/setup", "name", "Ada", "email", "nonsense", "secret.passphrase", "short").is(422).has("Enter an e-mail address", "at least 15 characters")
	if again.form("/setup").Get("name") != "Ada" || again.form("/setup").Get("secret.passphrase") != "" {
		t.Errorf("the form holds %v", again.form("/setup"))
	}
	b.submit(again, "/setup", "email", "ada@example.com", "secret.passphrase", rig.Passphrase).at("/").has("No project yet")
	late.submit(latePage, "/setup", "name", "Eve", "email", "eve@example.com", "secret.passphrase", rig.Passphrase).is(404)
	s.browser().get("/setup?token=" + token).is(404).has("set up already")
	// Adding the first project.
	settings := b.get("/settings/projects").has("No projects yet")
	b.submit(settings, "/settings/projects", "name", "Main", "slug", "main", "environment", "staging", "base_url", s.Box.URL, "secret.api_key", "ak_wrong_000000").is(422).has("doesn't accept this key")
	b.submit(settings, "/settings/projects", "name", "Main", "slug", "main", "environment", "staging", "base_url", s.Box.URL, "secret.api_key", sandbox.StagingKey).is(200).at("/projects/main/auth-configs").has("Added Main")
	// And the first colleague.
	invited := b.submit(b.get("/people"), "/people", "name", "Emil", "email", "emil@example.com", "roles", "editor").is(200).has("Hand this link to Emil")
	link, _ := invited.doc.Find("[data-copy*='/link?token=']").Attr("data-copy")
	u, err := url.Parse(link)
	if err != nil || link == "" {
		t.Fatal(link, err)
	}
	guest := s.browser()
	join := guest.get(u.RequestURI()).has("Welcome to Gatehouse", "Emil")
	guest.submit(join, "/link", "secret.passphrase", "weak").is(422)
	guest.submit(join, "/link", "secret.passphrase", rig.Passphrase).at("/")
	guest.get("/projects/main/auth-configs").is(200)
	guest.get("/settings").is(404)
}

func TestListPage(t *testing.T) {
	s := newSite(t, sandbox.Options{Configs: 130})
	b := s.as("Vera", access.Viewer)
	page := b.get(s.list()).is(200).has("130 auth configs", "of them disabled", "1–50 of 130")
	if n := page.doc.Find("tr[data-id]").Length(); n != 50 {
		t.Errorf("%d rows", n)
	}
	if page.doc.Find(`a:contains("New auth config")`).Length() != 0 || page.doc.Find(`input[type="checkbox"]`).Length() != 0 {
		t.Error("a viewer is offered changes")
	}
	seen := map[string]bool{}
	for next := s.list(); next != ""; {
		p := b.get(next)
		for _, id := range p.doc.Find("tr[data-id]").Map(attr("data-id")) {
			if seen[id] {
				t.Errorf("%s came twice", id)
			}
			seen[id] = true
		}
		next, _ = p.doc.Find(`a[rel="next"]`).Attr("href")
	}
	if len(seen) != 130 {
		t.Errorf("%d rows over all pages", len(seen))
	}
	a := s.Config(func(mirror.AuthConfig) bool { return true })
	if got := b.get(s.list() + "?q=" + url.QueryEscape(a.ID)); got.doc.Find("tr[data-id]").Length() != 1 {
		t.Error("a search by id finds not one")
	}
	b.get(s.list() + "?q=nothinglikethis").has("Nothing matches")
	b.get(s.list() + "?status=disabled&toolkit=github&scheme=OAUTH2&managed=own&sort=changed").is(200)
}

func attr(name string) func(int, *goquery.Selection) string {
	return func(_ int, e *goquery.Selection) string {
		v, _ := e.Attr(name)
		return v
	}
}

func TestNotModified(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	b.get(s.list()) // remembers the project
	conditional := func(path, tag string) *reply {
		r := b.request("GET", path, nil)
		r.Header.Set("If-None-Match", tag)
		return b.do(r)
	}
	for _, path := range []string{"/", s.list(), "/history", "/changes", "/policies"} {
		tag := b.get(path).header.Get("Etag")
		got := conditional(path, tag)
		if minute := time.Now().Unix() / 60; got.status != 304 && time.Now().Unix()/60 == minute {
			got = conditional(path, b.get(path).header.Get("Etag"))
			got.is(304)
		}
	}
	tag := b.get(s.list()).header.Get("Etag")
	b.submit(b.get("/account"), "/account", "name", "Emilia")
	b.get(s.list()) // takes the notice
	conditional(s.list(), tag).is(200).has("Emilia")
	// Another reader, another theme: another page.
	tag = b.get(s.list()).header.Get("Etag")
	b.setCookie("theme", "dark")
	conditional(s.list(), tag).is(200)
}

func TestCreateWizard(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	if err := s.Mirror.SyncCatalogue(t.Context(), s.Project.ID); err != nil {
		t.Fatal(err)
	}
	gallery := b.get(s.list()+"/new").has("Which toolkit", "GitHub", "Needs no authentication")
	if gallery.doc.Find(`a[href*="toolkit=hackernews"]`).Length() != 0 {
		t.Error("a toolkit without authentication can be chosen")
	}
	b.get(s.list() + "/new?q=issue+tracking").has("Linear")
	b.get(s.list() + "/new?toolkit=nosuchtoolkit").is(404).has("no toolkit called")
	b.get(s.list() + "/new?toolkit=hackernews").has("can't have an auth config")
	b.get(s.list()+"/new?toolkit=github").has("Composio's app, OAUTH2", "Your own credentials, OAUTH2")
	details := b.get(s.list()+"/new?toolkit=github&scheme=OAUTH2").has("Client id", "Redirect URI to register", "tools to choose from")
	review := s.list() + "/review"
	bad := b.submit(details, review, "field.name", "  ", "field.client_id", "").is(422).has("Enter a name", "Client id is required")
	long := b.submit(bad, review, "field.name", strings.Repeat("n", 10_000)).is(422).has("this has 10000")
	if long.form(review).Get("field.name") != strings.Repeat("n", 10_000) {
		t.Error("what was typed is gone")
	}
	for _, name := range []string{"a\u202eb", "a\x00b", "a\u200bb", "ends ·7K2M9QXT"} {
		b.submit(details, review, "field.name", name, "field.client_id", "Iv1.x").is(422)
	}
	for typed, want := range map[string]string{"repo;user": "is not a scope", "repo|user": "is not a scope", "repo\"": "is not a scope", "REDACTED": "is not a scope"} {
		b.submit(details, review, "field.name", "n", "field.client_id", "Iv1.x", "field.scopes", typed).is(422).has(want)
	}
	b.submit(details, review, "field.name", "n", "field.client_id", "Iv1.x", "field.oauth_redirect_uri", "javascript:alert(1)").is(422).has("Enter an address")
	last := b.submit(details, review, "field.name", "github-new", "field.client_id", "Iv1.x", "field.scopes", "repo, user,\n,repo", "field.restrict_to_following_tools", "github_create_an_issue").is(200).
		has("Create github-new", "Client secret", "every change needs no approval")
	for typed, want := range map[string]string{"": "is required", "REDACTED": "Paste the value itself", "abcd...": "Paste the value itself", "Iv1.x": "This is the client id", "   ": "is required"} {
		again := b.submit(last, s.list(), "secret.cred.client_secret", typed, "reason", "kept").is(422)
		if f := again.form(s.list()); f.Get("reason") != "kept" || f.Get("field.name") != "github-new" || f.Get("secret.cred.client_secret") != "" {
			t.Errorf("after %q the form holds %v", typed, f)
		}
		if !strings.Contains(again.text(), want) && typed != "   " {
			t.Errorf("%q: doesn't say %q: %.600s", typed, want, again.text())
		}
	}
	if len(s.Mutations()) != 0 {
		t.Fatal("something was sent")
	}
	back := b.submit(last, review, "back", "1").is(200)
	if back.form(review).Get("field.name") != "github-new" {
		t.Error("going back loses what was typed")
	}
	made := b.submit(last, s.list(), "secret.cred.client_secret", " "+canary+"\n", "reason", "we need it").is(200).has("Created github-new.", "fingerprint", "Client secret", "repo", "GITHUB_CREATE_AN_ISSUE")
	if strings.Contains(made.body, canary) {
		t.Error("the credential is on the page")
	}
	if n := s.historyOf("auth_config.created"); n != 1 {
		t.Errorf("%d created", n)
	}
	// The same form again leads to the same place and sends nothing.
	sent := len(s.Mutations())
	form := last.form(s.list())
	form.Set("secret.cred.client_secret", " "+canary+"\n")
	form.Set("reason", "we need it")
	b.do(b.request("POST", s.list(), form)).is(200).at(made.url.Path)
	form.Set("reason", "another reason")
	b.do(b.request("POST", s.list(), form)).is(409).has("sent before with something else")
	if len(s.Mutations()) != sent {
		t.Error("a repeated form was carried out")
	}
}

func TestCreateManagedAndAPIKey(t *testing.T) {
	s := newSite(t, sandbox.Options{Quirks: []string{"managed-app-withdrawn=clockify"}})
	b := s.as("Emil", access.Editor)
	review := s.list() + "/review"
	details := b.get(s.list() + "/new?toolkit=slack&managed=true&scheme=OAUTH2").has("Only scopes that Composio's app was approved for")
	last := b.submit(details, review, "field.name", "slack-new", "field.scopes", "chat:write").is(200)
	if last.doc.Find(`input[type="password"]`).Length() != 0 {
		t.Error("a managed config asks for credentials")
	}
	b.submit(last, s.list()).has("Created slack-new.", "chat:write")

	details = b.get(s.list() + "/new?toolkit=openai&scheme=API_KEY")
	last = b.submit(details, review, "field.name", "openai-new").is(200).has("Another credential")
	b.submit(last, s.list(), "extra.0", "api_key", "secret.extra.0", canary).has("Created openai-new.", "API key")

	// The catalogue promises an app that Composio has withdrawn.
	details = b.get(s.list() + "/new?toolkit=clockify&managed=true&scheme=OAUTH2")
	last = b.submit(details, review, "field.name", "clock").is(200)
	b.submit(last, s.list()).has("Nothing was changed at Composio", "Missing required field", "Try again")
}

func TestEditPage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.OwnOAuth)
	path := s.page(a.ID)
	edit := b.get(path+"/edit").is(200).has("Edit "+a.Name, "What will change")
	if got := edit.form(path + "/review").Get("field.name"); got != a.Name {
		t.Errorf("the form begins with %q", got)
	}
	// The live diff beside the form.
	form := edit.form(path + "/review")
	form.Set("field.name", "renamed")
	r := b.request("POST", path+"/review", form)
	r.Header.Set("HX-Request", "true")
	b.do(r).is(200).has("What will change", "renamed")

	b.submit(edit, path+"/review", "field.name", "").is(422).has("Enter a name")
	b.submit(edit, path+"/review", "field.is_enabled_for_tool_router", "perhaps").is(422)
	unchanged := b.submit(edit, path+"/review").is(200).has("No field is touched")
	b.submit(unchanged, path).is(422).has("Nothing would change")
	review := b.submit(edit, path+"/review", "field.name", "renamed", "field.scopes", "one two").is(200).has("renamed", "added:", "have to reconnect")
	b.submit(review, path, "secret.cred.client_secret", "abcd...").is(422).has("Paste the value itself", "renamed")
	b.submit(review, path, "secret.cred.client_secret", canary, "reason", "because").is(200).at(path).has("Saved", "renamed", "one", "two", "fingerprint")
	if strings.Contains(b.get(path+"/requests").body+b.get("/history").body, canary) {
		t.Error("the credential is on a page")
	}
}

// Two tabs: the second save is told what changed, keeps what was typed, and can
// be sent on top of it.
func TestTwoTabs(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.OwnOAuth)
	path := s.page(a.ID)
	one, two := b.get(path+"/edit"), b.get(path+"/edit")
	b.submit(b.submit(one, path+"/review", "field.name", "first"), path).has("Saved")
	second := b.submit(two, path+"/review", "field.name", "second").is(200)
	conflict := b.submit(second, path, "reason", "mine").is(409).has("changed since you looked", "first", "second", "Nothing was sent")
	if conflict.form(path).Get("reason") != "mine" {
		t.Error("the reason is gone")
	}
	b.submit(conflict, path).is(200).at(path).has("second")
	if len(s.Mutations()) != 2 {
		t.Errorf("%d mutations, want 2", len(s.Mutations()))
	}
}

func TestSwitchAndDeletePages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.Enabled)
	path := s.page(a.ID)
	sheet := b.get(path+"/impact?do=disable").has("What it does", "Who relies on it", "may go on working")
	b.submit(sheet, path+"/disable", "reason", "spring clean").is(200).at(path).has("Disabled "+a.Name, "Enable")
	b.submit(b.get(path+"/impact?do=disable"), path+"/disable").is(409).has("disabled already")
	b.submit(b.get(path+"/impact?do=enable"), path+"/enable").has("Enabled " + a.Name)
	b.get(path + "/impact?do=explode").is(404)

	del := b.get(path + "/impact?do=delete").has("Type the name to confirm")
	wrong := b.submit(del, path+"/delete", "confirm", "wrong", "reason", "kept").is(422).has("exactly as it is shown", "Disable the auth config first")
	if wrong.form(path+"/delete").Get("reason") != "kept" {
		t.Error("the reason is gone")
	}
	b.submit(del, path+"/delete", "confirm", a.Name, "skip_disable", "1", "revoke", "1").is(200).at(s.list()).has("Deleted " + a.Name)
	b.get(path).is(404)
	muts := s.Mutations()
	if q := muts[len(muts)-1]; q.Method != "DELETE" {
		t.Errorf("last mutation: %+v", q)
	}
}

func TestBulkPages(t *testing.T) {
	s := newSite(t, sandbox.Options{Configs: 60})
	b := s.as("Emil", access.Editor)
	page := b.get(s.list())
	var ids []string
	for _, id := range page.doc.Find("tr[data-id]").Map(attr("data-id"))[:5] {
		ids = append(ids, "id="+id)
	}
	sheet := b.get(s.list() + "/bulk?do=disable&" + strings.Join(ids, "&")).is(200).has("One change request with 5 parts")
	b.submit(sheet, s.list()+"/bulk").is(200).has("Disabled")
	b.get(s.list() + "/bulk?do=disable").is(422).has("No auth config is selected")
	b.get(s.list() + "/bulk?do=disable&id=ac_gone").is(404)
}

// A page that was kept before a restart is asked for again: the counters that its
// tag is made of begin anew.
func TestTagsEndWithTheProcess(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.as("Emil", access.Editor).get(s.list()).is(200)
	tag := func(server *Server, started time.Time) string {
		server.started = started
		w := httptest.NewRecorder()
		c := server.echo.NewContext(httptest.NewRequest(http.MethodGet, s.list(), nil), w)
		if _, err := server.unchanged(c); err != nil {
			t.Fatal(err)
		}
		return w.Header().Get("Etag")
	}
	at := rig.Now()
	s.server.now = func() time.Time { return at }
	first, again, later := tag(s.server, at), tag(s.server, at), tag(s.server, at.Add(time.Second))
	if first == "" || first != again || first == later {
		t.Errorf("tags %q, %q, after a restart %q", first, again, later)
	}
}
