package app

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
)

// An admin sees pages as a role does: what it sees and is offered, a banner on every
// page, and history of both ends. Nothing is changed meanwhile.
func TestViewAs(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	production := s.AddProject("production", sandbox.ProductionKey, mirror.Production)
	b := s.as("Ada", access.Admin)
	a := s.Config(rig.Enabled)
	edit := s.page(a.ID) + "/edit"
	b.get(edit).is(404)
	form := b.get("/people/roles").form(viewPath)
	form.Set("role", "editor")
	form.Set("where", "environment:staging")
	b.do(b.request("POST", viewPath, form)).is(200).at("/").has("You see pages as this role does: Editor in staging.")
	b.get(edit).is(200).has("You see pages as this role does")
	b.get(configsPath(production.Slug)).is(404).has("You see pages as this role does")
	b.get("/people").is(404)
	for _, path := range []string{s.page(a.ID) + "/disable", "/theme", "/account", viewPath, sessionsPath + "/end-others", "/drafts"} {
		page := b.get("/account")
		form := page.form("/account")
		b.do(b.request("POST", path, form)).is(403).has("End the view first")
	}
	if s.Config(func(now mirror.AuthConfig) bool { return now.ID == a.ID }).Status != a.Status || len(s.Mutations()) != 0 {
		t.Error("something was changed")
	}
	// Another browser of the same person is as ever.
	s.signedIn("Ada").get("/people").is(200)
	b.submit(b.get("/account"), viewEndPath).at("/people/roles").has("You see pages as yourself again.")
	b.get(edit).is(404)
	text := b.get("/history?q=action:session.view_began").text() + b.get("/history?q=action:session.view_ended").text()
	for _, want := range []string{"Ada began to see pages as Editor in staging", "Ada ended to see pages as Editor in staging"} {
		if !strings.Contains(text, want) {
			t.Errorf("history doesn't say %q:\n%.3000s", want, text)
		}
	}
}

// A view shows nothing that its person may not read, and ends with what allows it.
func TestViewAsShowsNoMore(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	review := s.someReview()
	b.get("/reviews/" + review).is(404)
	begin := func() {
		form := b.get("/people/roles").form(viewPath)
		form.Set("role", "auditor")
		b.do(b.request("POST", viewPath, form)).is(200).at("/")
	}
	begin()
	b.get("/reviews/" + review).is(404)
	s.grant(s.readerOf("Ada").ID, access.Unscoped(access.Viewer)...)
	if got := b.get("/"); got.status != http.StatusOK || strings.Contains(got.text(), "You see pages as") {
		t.Errorf("%d: somebody who isn't admin any more still has a view", got.status)
	}
	bad := s.as("Bea", access.Admin)
	form := bad.get("/people/roles").form(viewPath)
	form.Set("role", "nonsense")
	bad.do(bad.request("POST", viewPath, form)).is(422).has("Choose from the roles that are listed")
	form = bad.get("/people/roles").form(viewPath)
	form.Set("where", "project:prj_none")
	bad.do(bad.request("POST", viewPath, form)).is(422).has("Choose from the places that are listed")
}
