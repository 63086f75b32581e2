package app

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// A session that ends in mid-form: what was typed comes back after sign-in, the
// credentials don't.
func TestSessionEndsInMidForm(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	path := s.page(a.ID)
	expire := func(b *browser) {
		s.Store.TouchSession(access.HashToken(b.cookie("sid")), rig.Now())
		s.server.now = func() time.Time { return rig.Now().Add(access.SessionIdle + time.Minute) }
		t.Cleanup(func() { s.server.now = rig.Now })
	}
	b := s.as("Emil", access.Editor)
	review := b.submit(b.get(path+"/edit"), path+"/review", "field.name", "typed before").is(200)
	expire(b)
	signin := b.submit(review, path, "secret.cred.client_secret", canary, "reason", "typed too").at("/signin").has("What you typed is kept, except for credentials")
	s.server.now = rig.Now
	edit := b.submit(signin, "/signin", "email", "emil@example.com", "secret.passphrase", rig.Passphrase).is(200).at(path + "/edit")
	if got := edit.form(path + "/review"); got.Get("field.name") != "typed before" || got.Get("reason") != "typed too" {
		t.Errorf("the form holds %v", got)
	}
	if strings.Contains(edit.body, canary) || len(s.Mutations()) != 0 {
		t.Error("a credential was kept, or something was sent")
	}
	again := b.submit(edit, path+"/review").has("typed before")
	if again.form(path).Get("reason") != "typed too" {
		t.Error("the reason is gone on the way")
	}

	// The wizard, and a delete.
	details := b.get(s.list() + "/new?toolkit=github&scheme=OAUTH2")
	expire(b)
	signin = b.submit(details, s.list()+"/review", "field.name", "wizard name").at("/signin")
	s.server.now = rig.Now
	back := b.submit(signin, "/signin", "email", "emil@example.com", "secret.passphrase", rig.Passphrase).at(s.list() + "/new")
	if back.form(s.list()+"/review").Get("field.name") != "wizard name" {
		t.Error("the wizard forgot the name")
	}
	sheet := b.get(path + "/impact?do=delete")
	expire(b)
	signin = b.submit(sheet, path+"/delete", "reason", "why I delete").at("/signin")
	s.server.now = rig.Now
	back = b.submit(signin, "/signin", "email", "emil@example.com", "secret.passphrase", rig.Passphrase).at(path + "/impact")
	if back.form(path+"/delete").Get("reason") != "why I delete" {
		t.Error("the sheet forgot the reason")
	}
	// A session that was ended elsewhere.
	edit = b.get(path + "/edit")
	b.submit(b.get("/account"), "/signout").at("/signin")
	signin = b.submit(edit, path+"/review", "field.name", "typed after").at("/signin").has("Nothing was sent", "is kept")
	back = b.submit(signin, "/signin", "email", "emil@example.com", "secret.passphrase", rig.Passphrase).at(path + "/edit")
	if got := back.form(path + "/review").Get("field.name"); got != "typed after" {
		t.Errorf("after signing out elsewhere the form holds %q", got)
	}

	// Somebody else who signs in there gets nothing of it.
	account := b.get("/account")
	expire(b)
	signin = b.submit(account, "/account", "name", "secretly typed").at("/signin")
	s.server.now = rig.Now
	s.Person("Edda", access.Editor)
	other := b.submit(signin, "/signin", "email", "edda@example.com", "secret.passphrase", rig.Passphrase)
	if strings.Contains(other.body, "secretly typed") {
		t.Error("a draft was shown to somebody else")
	}
}

// A person who is disabled is out with the answer to the request that did it.
func TestDisabledPersonIsOut(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	admin := s.as("Ada", access.Admin)
	victim := s.Person("Emil", access.Editor)
	b := s.signedIn("Emil")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.get("/policies")
				}
			}
		})
	}
	admin.submit(admin.get("/people/"+victim.ID), "/people/"+victim.ID+"/disable").has("is disabled, and signed out everywhere")
	for range 20 {
		if got := b.get("/policies"); got.url.Path != "/signin" {
			t.Fatalf("a disabled person sees %s", got.url.Path)
		}
	}
	close(stop)
	wg.Wait()
}

func TestRemoteDown(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.OwnOAuth)
	s.Fail(sandbox.Fault{Kind: "status=401", Times: -1})
	if err := s.Mirror.Sync(t.Context(), s.Project.ID); err == nil {
		t.Fatal("the sync worked")
	}
	b.get(s.list()).is(200).has("The last sync failed", "API key", a.Name)
	b.get(s.page(a.ID)).is(200).has(a.Name, "at the last sync")
	b.get(s.page(a.ID) + "/connections").is(200)
	b.get(s.page(a.ID) + "/edit").is(200).has("could not be read")
	b.get(s.page(a.ID) + "/impact?do=disable").is(200)
	b.get("/").is(200).has("The last sync of")
	b.submit(b.get(s.page(a.ID)+"/impact?do=disable"), s.page(a.ID)+"/disable").has("Nothing was changed at Composio", "Try again")
}

func TestHistoryPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	editor := s.Person("Emil", access.Editor)
	a := s.Config(rig.Enabled)
	for range 15 {
		for _, on := range []bool{false, true} {
			r, err := s.Changes.ProposeSwitch(t.Context(), editor, proposal(s), []string{a.ID}, on)
			if err != nil {
				t.Fatal(err)
			}
			s.Settled(r.ID)
		}
	}
	page := b.get("/history").is(200)
	if n := page.doc.Find("[data-seq]").Length(); n != 50 {
		t.Errorf("%d rows", n)
	}
	next, _ := page.doc.Find(`a[rel="next"]`).Attr("href")
	b.get(next).is(200).has("Previous")
	b.get("/history?q=disabled+" + url.QueryEscape(a.Name)).has("Emil disabled " + a.Name)
	b.get("/history?q=nothinglikethis").has("Nothing found")
	b.get("/history?actor=" + editor.ID + "&action=auth_config.disabled&from=2020-01-01&to=2099-01-01").has("Emil disabled")
	b.get("/history?from=2099-01-01").has("Nothing found")
	row := b.get("/history?action=auth_config.disabled").doc.Find("[data-seq]").First()
	if got := strings.Join(strings.Fields(row.Find(".short").First().Text()), " "); got != "Status ENABLED → DISABLED" {
		t.Errorf("the row says %q", got)
	}
	if fields := row.Find("details").Text(); !strings.Contains(fields, "auth_config.disabled") || !strings.Contains(fields, a.ID) {
		t.Errorf("its fields are %q", fields)
	}
	b.get(personPath(editor.ID)+"/history").is(200).has("What they did", "Emil disabled "+a.Name)
	b.get(personPath(editor.ID)+"/history?of=them").is(200).has("What was done to them", "added Emil")
	seq := s.History(store.HistoryQuery{Action: "session.signed_in"})[0].Seq
	b.get(entryPath(seq)).has("192.0.2.1", "Hash", `"action":"session.signed_in"`)
	vera := s.as("Vera", access.Viewer)
	vera.get(entryPath(seq)).is(404)
	if v := vera.get(entryPath(s.History(store.HistoryQuery{Action: "change.submitted"})[0].Seq)).is(200); strings.Contains(v.text(), "192.0.2.1") {
		t.Error("a viewer sees an address")
	}
	b.get("/history/999999").is(404)
}

func TestPeopleAndAccountPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Editor)
	viewer := s.as("Vera", access.Viewer)
	for _, page := range []string{"/people", "/people/" + emil.ID} {
		if text := viewer.get(page).has("Emil").text(); strings.Contains(text, "emil@example.com") {
			t.Errorf("%s: a viewer sees an address", page)
		}
		b.get(page).has("emil@example.com")
	}
	b.submit(b.get("/people"), "/people", "name", "", "email", "x", "roles", "root").is(422).has("Enter a name", "Enter an e-mail address", "Choose from the roles")
	path := "/people/" + emil.ID
	form := b.get(path).form(path + "/roles")
	form["roles"] = []string{"approver", "viewer"}
	b.do(b.request("POST", path+"/roles", form)).is(200).has("Roles saved", "Approve changes of others")
	form = b.get(path).form(path + "/roles")
	form["roles"] = []string{"boss"}
	b.do(b.request("POST", path+"/roles", form)).is(422).has("Choose from the roles that are listed")
	b.submit(b.get(path), path+"/reset").has("Hand this link to Emil")
	b.submit(b.get(path), path+"/disable").has("Disabled", "Enable account")
	b.submit(b.get(path), path+"/enable").has("may sign in again")

	b.submit(b.get("/account"), "/account/passphrase", "secret.current", "wrong", "secret.passphrase", "short").is(422).has("This is not your passphrase", "at least 15 characters")
	b.submit(b.get("/account"), "/account/passphrase", "secret.current", rig.Passphrase, "secret.passphrase", "nine tall herons in the reeds").is(200).has("Passphrase changed")
	form = b.get("/account").form("/account/keys")
	form.Del("keys")
	b.do(b.request("POST", "/account/keys", form)).has("Saved")
	if b.get("/account").doc.Find(`html[data-keys="off"]`).Length() != 1 {
		t.Error("shortcuts are on")
	}
	b.submit(b.get("/account/sessions"), "/account/sessions/"+sessionOf(t, s, b)+"/end").at("/signin")
}

func sessionOf(t *testing.T, s *site, b *browser) string {
	one, _, err := s.Store.Session(t.Context(), access.HashToken(b.cookie("sid")))
	if err != nil {
		t.Fatal(err)
	}
	return one.ID
}

func TestProjectPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	path := projectPath(s.Project.Slug)
	b.submit(b.get(path), path, "name", "", "environment", "production").is(422).has("Enter a name")
	b.submit(b.get(path), path, "name", "Other", "environment", "nowhere").is(422).has("Choose development")
	b.submit(b.get(path), path, "name", "Renamed", "environment", "production").has("Project saved", "Renamed")
	b.get(s.list()).has("asks for no approval")
	b.submit(b.get(path), path+"/key", "secret.api_key", sandbox.ProductionKey).is(422).has("another Composio project")
	b.submit(b.get(path), path+"/key", "secret.api_key", sandbox.StagingKey).has("The new key works")
	b.submit(b.get(path), path+"/markers/off").has("Switch markers on")
	b.submit(b.get(path), path+"/archive").has("is archived")
	b.get(s.list()).is(200).has("This project is archived")
	s.as("Emil", access.Editor).get(s.list() + "/new").is(409)
	b.submit(b.get(path), path+"/restore").has("is in use again")
	if strings.Contains(b.get(path).body+b.get("/settings/projects").body, sandbox.StagingKey) {
		t.Error("an API key is on a page")
	}
}

func TestReadOnlyProject(t *testing.T) {
	s := openSite(t, rig.Bare(t, sandbox.Options{}), nil)
	s.Project = s.AddProject("prod", sandbox.ReadOnlyKey, mirror.Production)
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.Enabled)
	b.submit(b.get(s.page(a.ID)+"/impact?do=disable"), s.page(a.ID)+"/disable").has("Nothing was changed at Composio", "lacks the permission")
	page := b.get(s.list()).has("Read only.")
	if page.doc.Find(`a:contains("New auth config")`).Length() != 0 {
		t.Error("changes are offered")
	}
	b.get(s.page(a.ID) + "/edit").is(403).has("may only read")
}

func TestChangePages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	a := s.Config(rig.Enabled)
	s.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"})
	failed := b.submit(b.get(s.page(a.ID)+"/impact?do=disable"), s.page(a.ID)+"/disable").has("Nothing was changed at Composio")
	path := failed.url.Path
	b.get("/changes").has("Disable " + a.Name)
	if got := b.get("/").doc.Find(".nav .count").Text(); got != "1" {
		t.Errorf("the navigation counts %q open changes", got)
	}
	viewer := s.as("Vera", access.Viewer)
	viewer.get(path).is(200).doc.Find("main form").Each(func(_ int, f *goquery.Selection) {
		if action, _ := f.Attr("action"); action != path+"/comment" && action != path+"/watch" {
			t.Errorf("a viewer is offered %s", action)
		}
	})
	b.submit(b.get(path), path+"/apply").is(200).at(path).has("Applied")
	b.get("/changes?tab=done").has("Disable " + a.Name)
	b.get("/changes/chg_nosuch").is(404)

	s.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"})
	failed = b.submit(b.get(s.page(a.ID)+"/impact?do=enable"), s.page(a.ID)+"/enable")
	admin := s.as("Ada", access.Admin)
	admin.submit(admin.get(failed.url.Path), failed.url.Path+"/cancel").is(422)
	admin.submit(admin.get(failed.url.Path), failed.url.Path+"/cancel", "reason", "not now").has("Cancelled")
}

func TestDemoSignIn(t *testing.T) {
	r := rig.New(t, sandbox.Options{})
	r.Person("Ada", access.Admin)
	s := openSite(t, r, []DemoUser{{Email: "ada@example.com", Role: "Ada Admin"}})
	b := s.browser()
	b.submit(b.get("/signin").has("Demo:"), "/signin/demo", "email", "ada@example.com").at("/").has("Ada")
	real := newSite(t, sandbox.Options{})
	real.Person("Ada", access.Admin)
	b = real.browser()
	form := b.get("/signin").form("/signin")
	b.do(b.request("POST", "/signin/demo", url.Values{"csrf": form["csrf"], "email": {"ada@example.com"}})).is(404)
}
