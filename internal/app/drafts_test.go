package app

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// keep sends what a page's form holds as a draft, as the script does.
func (b *browser) keep(on *reply, action string, pairs ...string) *reply {
	b.site.T.Helper()
	form := on.form(action)
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	op, ok := on.doc.Find(`form[data-draft][action="` + action + `"]`).Attr("data-draft")
	if !ok {
		b.site.T.Fatalf("the form %s is not kept while it is typed", action)
	}
	form.Set("path", form.Get("draft"))
	form.Del("draft")
	form.Set("op", op)
	r := b.request("POST", draftsPath, form)
	r.Header.Set("Referer", on.url.String())
	return b.do(r)
}

func TestDraftOfAnEdit(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	path := s.page(s.Config(rig.OwnOAuth).ID)
	b, other := s.as("Emil", access.Editor), s.as("Edda", access.Editor)
	edit := b.get(path + "/edit")
	for _, name := range []string{"first", "typed"} { // as often as one likes
		b.keep(edit, path+"/review", "field.name", name, "secret.cred.client_secret", canary).is(204)
	}
	again := b.get(path + "/edit").has("You have a draft from")
	if again.form(path+"/review").Get("field.name") == "typed" {
		t.Error("the draft was taken without a question")
	}
	next, _ := again.doc.Find(`a:contains("Continue with it")`).Attr("href")
	kept := b.get(next).is(200)
	if got := kept.form(path + "/review"); got.Get("field.name") != "typed" || strings.Contains(kept.body, canary) {
		t.Errorf("the draft holds %v", got)
	}
	if strings.Contains(kept.text(), "You have a draft") || kept.header.Get("Cache-Control") != "no-store" {
		t.Error("the draft's own page tells of it, or is kept by the browser")
	}
	for _, page := range []string{path + "/edit", next} {
		if text := other.get(page).body; strings.Contains(text, `"typed"`) || strings.Contains(text, "You have a draft") {
			t.Errorf("%s: somebody else sees the draft", page)
		}
	}

	// The review is kept as the same draft; what is refused stays, what is sent goes.
	review := b.submit(kept, path+"/review").has("Compared with what is live now")
	b.keep(review, path, "reason", "why I do it", "secret.cred.client_secret", canary).is(204)
	b.submit(review, path, "reason", strings.Repeat("long", 2000)).is(422)
	kept = b.get(next)
	if got := kept.form(path + "/review"); got.Get("reason") != "why I do it" || strings.Contains(kept.body, canary) {
		t.Errorf("after the review the draft holds %v", got)
	}
	b.submit(b.submit(kept, path+"/review"), path).has("Saved typed")
	if strings.Contains(b.get(path+"/edit").text(), "You have a draft") {
		t.Error("what was sent is still a draft")
	}
}

func TestDraftOfTheWizard(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	start := s.list() + "/new"
	details := b.get(start + "?toolkit=github&scheme=OAUTH2")
	b.keep(details, s.list()+"/review", "field.name", "half-typed").is(204)
	for _, page := range []string{"", "?toolkit=slack", "?toolkit=github&scheme=OAUTH2"} {
		next, _ := b.get(start + page).has("You have a draft from").doc.Find(`a:contains("Continue with it")`).Attr("href")
		if got := b.get(next).has("New auth config for GitHub").form(s.list() + "/review").Get("field.name"); got != "half-typed" {
			t.Errorf("from %q: the form holds %q", page, got)
		}
	}
	// Signing out, or another form of the page, leaves it alone.
	b.submit(b.get(start), "/signout").at("/signin")
	b = s.signedIn("Emil")
	page := b.get(start).has("You have a draft from")
	discard, _ := page.doc.Find(`form[action^="/drafts/"]`).Attr("action")
	theirs := s.as("Edda", access.Editor)
	theirs.submit(page, discard).is(403)
	b.submit(page, discard).at(start).has("Draft discarded.")
	if strings.Contains(b.get(start).text(), "You have a draft") {
		t.Error("it is still there")
	}
}

// Drafts are taken from our own forms alone, for pages of ours, and not for ever.
func TestDraftWalls(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	path := s.page(s.Config(rig.OwnOAuth).ID)
	b := s.as("Emil", access.Editor)
	edit := b.get(path + "/edit")
	action := path + "/review"
	op, _ := edit.doc.Find("form[data-draft]").Attr("data-draft")
	good := url.Values{"csrf": {edit.form(action).Get("csrf")}, "op": {op}, "path": {"/p"}, "a": {"b"}}
	b.do(b.request("POST", draftsPath, good)).is(204)
	for name, change := range map[string]func(url.Values){
		"no token": func(v url.Values) { v.Del("csrf") }, "another form's op": func(v url.Values) { v.Set("op", edit.form(action).Get("op")) },
		"no path": func(v url.Values) { v.Del("path") }, "two paths": func(v url.Values) { v.Add("path", "/q") },
		"elsewhere": func(v url.Values) { v.Set("path", "https://evil.example/") }, "long path": func(v url.Values) { v.Set("path", "/"+strings.Repeat("x", 600)) },
		"too long": func(v url.Values) { v.Set("a", strings.Repeat("x", 65<<10)) },
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = append([]string{}, v...)
		}
		change(form)
		if got := b.do(b.request("POST", draftsPath, form)); got.status != 403 && got.status != 422 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	tooMany := false
	for i := 0; i < 100 && !tooMany; i++ {
		tooMany = b.do(b.request("POST", draftsPath, good)).status == 429
	}
	if !tooMany {
		t.Error("100 drafts at once went through")
	}
}
