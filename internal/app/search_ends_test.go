package app

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	ql "gatehouse/internal/query"
	"gatehouse/web/templates"
)

// One person's searches leave room for those of others.
func TestSearchLimit(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b, other := s.as("Ayo", access.Auditor), s.as("Ben", access.Auditor)
	for range searchBurst {
		b.get("/history?q=nobody").is(200)
	}
	tooMany := false
	for range 10 * searchBurst {
		if got := b.get("/history?q=nobody"); got.status == 429 {
			tooMany = true
			if got.has("a lot of searches").header.Get("Retry-After") == "" {
				t.Error("it doesn't say when to try again")
			}
			break
		}
	}
	if !tooMany {
		t.Error("there is no limit")
	}
	b.get("/history").is(200)
	other.get("/history?q=nobody").is(200)
}

// A search that isn't through says so, and leads on.
func TestSearchGoesOn(t *testing.T) {
	q, err := ql.Parse(`"a b c"`)
	if err != nil {
		t.Fatal(err)
	}
	var v templates.HistoryView
	goOn(&v, asked{query: q, text: q.String(), from: "2026-03-01"}, 1234)
	if !strings.Contains(v.Pager.Text, "Looked back to entry 1,234") || v.Empty.Title != "Nothing found so far" {
		t.Errorf("%+v", v)
	}
	u, err := url.Parse(string(v.Pager.Next))
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("q") != `"a b c"` || q.Get("from") != "2026-03-01" || q.Get("before") != "1234" || v.Empty.Action.URL != v.Pager.Next {
		t.Errorf("it leads to %v", q)
	}
}
