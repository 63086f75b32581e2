package app

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

func searching(text string) string { return "/history?q=" + url.QueryEscape(text) }

// One field finds everything; its terms are chips that can be taken away, and
// what was found can be narrowed.
func TestHistorySearch(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin, access.Editor)
	page := b.get(searching(`action:session is:system`)).is(200)
	page.has("Nothing found")
	page = b.get(searching(`actor:Ada -is:drift signed`) + "&action=session.signed_in&from=2020-01-01").is(200)
	page.has("Ada signed in")
	if got := page.doc.Find(`input[data-terms]`).AttrOr("value", ""); got != "actor:Ada -is:drift signed action:session.signed_in" {
		t.Errorf("the field holds %q", got)
	}
	chips := page.doc.Find(".chip.term")
	if chips.Length() != 5 {
		t.Errorf("%d chips", chips.Length())
	}
	without := chips.Eq(1).Find("a")
	if label, href := without.AttrOr("aria-label", ""), without.AttrOr("href", ""); label != "Remove not is drift" || strings.Contains(href, "drift") || !strings.Contains(href, "from=2020-01-01") {
		t.Errorf("%q leads to %q", label, href)
	}
	facet := b.get("/history").is(200).doc.Find(".facets a").FilterFunction(func(_ int, a *goquery.Selection) bool { return strings.HasPrefix(a.Text(), "Signed in") })
	b.get(facet.AttrOr("href", "")).is(200).has("Ada signed in")
}

// What can't be read is answered with the place, and what was typed is kept.
func TestHistorySearchMistakes(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	auditor := s.as("Ada", access.Auditor)
	for text, place := range map[string]string{
		"is:drift colour:red": "colour:red", `actor:ada "open`: `"open`, "after:2026-02-31": "after:2026-02-31", "is:no": "is:no",
		"<script>:x": "<script>:x", strings.Repeat("w ", 5000): "",
	} {
		page := auditor.get(searching(text)).is(422)
		if got := page.doc.Find("#query-wrong mark").Text(); place != "" && got != place {
			t.Errorf("%q: the place is %q", text, got)
		}
		if got := page.doc.Find(`input[data-terms]`).AttrOr("value", ""); got != text || page.doc.Find("#entries").Length() > 0 {
			t.Errorf("%.40q: the field holds %.40q", text, got)
		}
	}
	auditor.get("/history?from=2026-02-31").is(422).has("There is no day 31 in February")
	auditor.get("/history?from=2026-03-02&to=2026-03-01").is(422).has("Nothing can be there")
	auditor.get(searching("ip:192.0.2.1")).is(200)
	viewer := s.as("Vera", access.Viewer)
	for _, text := range []string{"ip:192.0.2.1", "-actor:ada@example.com"} {
		viewer.get(searching(text)).is(422).has("You may not see people")
	}
	viewer.get(searching("example.com")).is(200).has("Nothing found")
}

// Lists speak the same language.
func TestListSearch(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin, access.Editor)
	a := s.Config(rig.Enabled)
	r, err := s.Changes.ProposeSwitch(t.Context(), s.Person("Emil", access.Editor), proposal(s), []string{a.ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(r.ID)
	list := s.list() + "?q="
	b.get(list + url.QueryEscape("is:disabled owner:emil")).is(200).has(a.Name)
	b.get(list + url.QueryEscape("is:enabled config:"+a.ID)).is(200).has("Nothing matches")
	wrong := b.get(list + url.QueryEscape("is:disabled colour:red")).is(422)
	if got := wrong.doc.Find("#query-wrong mark").Text(); got != "colour:red" || wrong.doc.Find("#filter-q").AttrOr("value", "") != "is:disabled colour:red" {
		t.Errorf("the place is %q", got)
	}
	for text, finds := range map[string]bool{
		"author:emil": true, "author:ada": false, "is:mine": false, "state:applied": true, "is:open": false, "project:staging " + a.Name: true, "before:2020-01": false, "-state:applied": false,
	} {
		page := b.get("/changes?q=" + url.QueryEscape(text)).is(200)
		if got := page.doc.Find("#requests #row-"+r.ID).Length() == 1; got != finds {
			t.Errorf("%s: %v", text, got)
		}
	}
	b.get("/changes?q=" + url.QueryEscape("state:sideways")).is(422).has("state: takes draft")
	b.get("/changes").is(200).has("How to search")
}

func TestSavedSearchPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b, other := s.as("Ada", access.Auditor), s.as("Vera", access.Viewer)
	save, _ := b.get(searching("is:drift") + "&from=2026-03-01&to=2026-03-31").is(200).doc.Find(".search-links a").First().Attr("href")
	page := b.get(save).is(200)
	if got := page.form(searchesPath).Get("q"); got != "is:drift after:2026-03-01 before:2026-04-01" {
		t.Errorf("to be saved: %q", got)
	}
	b.submit(page, searchesPath, "name", "March <b>", "q", "colour:red").is(422).has("There is no key")
	b.submit(b.get(save), searchesPath, "name", "March <b>", "shared", "1").is(200)
	b.get(searchesPath).is(200).has("March <b>", "Shared", "is:drift after:2026-03-01")
	seen := other.get(searchesPath).is(200).has("March <b>", "Saved by Ada")
	if seen.doc.Find(`form[action$="/delete"]`).Length() != 0 {
		t.Error("others may delete it")
	}
	at, _ := seen.doc.Find(`form[action$="/digest"]`).Attr("action")
	other.submit(seen, at, "every", "weekly").is(200)
	if got := other.get(searchesPath).doc.Find(`select[name="every"] option[selected]`).AttrOr("value", ""); got != "weekly" {
		t.Errorf("followed %q", got)
	}
	mine, edit := b.get(searchesPath), strings.TrimSuffix(at, "/digest")
	long := strings.Repeat("long", 60)
	refused := b.submit(mine, edit, "name", long, "shared", "1").is(422)
	if typed := refused.form(edit).Get("name"); typed != long || refused.form(searchesPath).Get("name") != "" {
		t.Errorf("what was typed comes back as %q", typed)
	}
	b.submit(refused, edit, "name", "Spring", "shared", "1").is(200)
	b.submit(b.get(searchesPath).has("Spring"), edit+"/delete").is(200)
	b.get(searchesPath).is(200).has("Nothing saved yet")
	b.get("/history?q="+url.QueryEscape("action:search")).is(200).has("Ada saved the search March", "Vera chose how often", "Ada deleted the saved search Spring")
	if strings.Contains(other.get("/history?q="+url.QueryEscape("action:search")).is(200).text(), "Spring") {
		t.Error("a viewer reads in history what an auditor looks for")
	}
}

// A search that costs too much is stopped, and what was typed is still there. One
// person can't take all places.
func TestSearchCosts(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	ayo := s.History(store.HistoryQuery{Action: "session.signed_in"})[0].Actor.ID
	s.server.searchers.limit = time.Nanosecond
	page := b.get("/history?q=github+-failed").is(422).has("was stopped. Choose a shorter period")
	if got := page.doc.Find("input[data-terms]").AttrOr("value", ""); got != "github -failed" {
		t.Errorf("the field holds %q", got)
	}
	b.get("/history").is(200)
	s.server.searchers.limit = searchTime
	for range atOnceOfMe {
		if !s.server.searchers.enter(t.Context(), ayo) {
			t.Fatal("no place for the first")
		}
	}
	b.get("/history?q=github").is(429)
	s.server.searchers.leave(ayo)
	b.get("/history?q=github").is(200)
}
