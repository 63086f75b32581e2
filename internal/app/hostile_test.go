package app

import (
	"net/http"
	"strings"
	"testing"
	"unicode"

	"gatehouse/internal/composio/sandbox"
)

// mostPage is how long a page may get, whatever is on it.
const mostPage = 4 << 20

// harmless checks that nothing on a page came as markup, and that what it leads to
// is a page or a guide.
func harmless(t *testing.T, path string, got *reply) {
	t.Helper()
	if got.status >= 500 || len(got.body) > mostPage {
		t.Errorf("%s: %d, %d bytes", path, got.status, len(got.body))
	}
	if !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/") && got.status == http.StatusOK && !strings.Contains(got.header.Get("Content-Disposition")+path, "attachment") && got.header.Get("Content-Type") != eventType && got.header.Get("Content-Type") != "text/plain; charset=UTF-8" {
			t.Errorf("%s is shown as %s", path, got.header.Get("Content-Type"))
		}
		return
	}
	foreign := "script:not([src^='/static/']), img, iframe, object, embed, video, math, template, style, base, meta[http-equiv], " +
		"link[href^='http'], [style], [srcdoc], [formaction^='http'], a[href^='http:'], [data-id='ac_forged'], [hx-vals], [hx-headers]"
	if n := got.doc.Find(foreign).Length(); n > 0 {
		t.Errorf("%s: %d elements came from elsewhere", path, n)
	}
	for _, node := range got.doc.Find("*").Nodes {
		for _, a := range node.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") {
				t.Errorf("%s: %s=%q", path, a.Key, a.Val)
			}
		}
	}
	for _, href := range got.doc.Find("a[href]").Map(attr("href")) {
		if !strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "#") && !strings.HasPrefix(href, "?") && !strings.HasPrefix(href, "https://") || strings.HasPrefix(href, "//") {
			t.Errorf("%s links to %q", path, href)
		}
	}
}

// unseen are characters that hide or turn round what stands beside them.
func unseen(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x61c
}

// Whatever Composio says is text, on every page that people can reach.
func TestHostileRemote(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{Quirks: []string{"hostile-strings"}})
	if err := s.Mirror.SyncCatalogue(t.Context(), s.Project.ID); err != nil {
		t.Fatal(err)
	}
	look := func(_ *probe, path string, got *reply) {
		harmless(t, path, got)
		if i := strings.IndexFunc(got.body, unseen); i >= 0 && strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s has a character that hides: %q", path, got.body[max(0, i-60):min(len(got.body), i+20)])
		}
	}
	s.crawl(fill, look, people...)
	snapshot, err := s.Store.Snapshot(t.Context(), s.Project.ID)
	if err != nil {
		t.Fatal(err)
	}
	for a := range snapshot.All {
		for _, tail := range []string{"", "/connections", "/edit", "/history", "/versions", "/impact?do=disable"} {
			look(people[1], s.page(a.ID)+tail, people[1].get(s.page(a.ID)+tail))
		}
	}
}

// hostile is what somebody might type.
var hostile = []string{
	`"><script>alert(1)</script>`, `'><img src=x onerror=alert(2)>`, "</textarea></title><svg/onload=alert(3)>", `" autofocus onfocus="alert(4)`,
	"javascript:alert(5)", "{{7*7}}${7*7}", `" hx-get="/signout" hx-trigger="load`, "=HYPERLINK(\"https://evil.example\")", "'; DROP TABLE history; --",
	strings.Repeat("W", 5000), "\u202egnp.exe\x00\x1b[31m", "\xff\xfe",
}

// Whatever people type into any field is text, on the form that comes back and on
// every page afterwards.
func TestHostilePeople(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{})
	found := s.crawl(fill, nil, people...)
	for i, what := range hostile {
		for _, f := range found.forms(fill, people) {
			if confines(f.route) {
				continue
			}
			form := f.filled("csrf", f.by.csrf())
			for _, name := range f.names {
				if name != "csrf" && name != "op" {
					form.Set(name, what)
				}
			}
			harmless(t, "POST "+f.route, f.by.post(f.action, form))
			for n, name := range f.names { // one at a time gets further
				if n%len(hostile) == i && name != "csrf" && name != "op" && !strings.HasPrefix(f.route, "/people/:id/") {
					harmless(t, "POST "+f.route+" with "+name, f.by.post(f.action, f.filled(name, what)))
				}
			}
		}
	}
	s.crawl(fill, func(_ *probe, path string, got *reply) { harmless(t, path, got) }, people...)
}
