package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"
)

func cursor(page, limit int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d-%d", page, limit))
}

// pages follows cursors and gives the number of items of each page, and how many
// different ones there were.
func pages(b *box, first string) (sizes []int, distinct int) {
	seen := map[any]bool{}
	at := first
	for {
		a := b.get(at)
		for _, id := range a.each("id") {
			seen[id] = true
		}
		sizes = append(sizes, len(a.items()))
		next, _ := a.at("next_cursor").(string)
		if next == "" {
			return sizes, len(seen)
		}
		at = "/auth_configs?show_disabled=true&cursor=" + url.QueryEscape(next)
	}
}

func TestHonestPagination(t *testing.T) {
	b := open(t, Options{Configs: 56})
	for limit, want := range map[string]string{
		"": "[20 20 16]", "limit=": "[20 20 16]", "limit=50": "[50 6]", "limit=200": "[56]", "limit=100000000000": "[56]", "limit=28": "[28 28]", "limit=1": fmt.Sprint(ones(56)),
	} {
		sizes, distinct := pages(b, "/auth_configs?show_disabled=true&"+limit)
		if fmt.Sprint(sizes) != want || distinct != 56 {
			t.Errorf("%q: %v, %d different", limit, sizes, distinct)
		}
	}
	first := b.get("/auth_configs?show_disabled=true&limit=50")
	if first.at("next_cursor") != cursor(2, 50) || first.at("total_pages") != 2.0 || first.at("current_page") != 1.0 || first.at("total_items") != 56.0 {
		t.Errorf("envelope %v %v %v %v", first.at("next_cursor"), first.at("total_pages"), first.at("current_page"), first.at("total_items"))
	}
	second := b.get("/auth_configs?show_disabled=true&limit=50&cursor=2")
	if len(second.items()) != 6 || second.at("current_page") != 2.0 || second.at("next_cursor") != nil {
		t.Errorf("a bare page number: %d items", len(second.items()))
	}
	beyond := b.get("/auth_configs?cursor=" + url.QueryEscape(cursor(99, 20)))
	if len(beyond.items()) != 0 || beyond.at("current_page") != 99.0 || beyond.at("next_cursor") != nil {
		t.Errorf("beyond the end: %.200s", beyond.raw)
	}
	none := b.get("/auth_configs?search=nothing-like-it")
	if none.at("total_pages") != 0.0 || none.at("total_items") != 0.0 || none.at("items") == nil {
		t.Errorf("an empty list: %s", none.raw)
	}
}

func ones(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

func TestBadPages(t *testing.T) {
	b := open(t, Options{})
	for _, q := range []string{"limit=0", "limit=-1", "limit=ten", "cursor=!", "cursor=0", "cursor=-1", "cursor=" + base64.StdEncoding.EncodeToString([]byte("2")), "cursor=" + base64.StdEncoding.EncodeToString([]byte("0-20"))} {
		b.do("GET", "/auth_configs?"+q, "").invalid(t, "query.")
	}
	b.get("/auth_configs?cursor=" + url.QueryEscape(cursor(1<<62, 1<<62)))
}

// The lie of 2026-07-20: items of the first page, an envelope of one page.
func TestLyingPagination(t *testing.T) {
	b := open(t, Options{Configs: 56, Quirks: []string{"lying-pagination", "max-limit=50"}})
	a := b.get("/auth_configs?show_disabled=true&limit=100")
	if len(a.items()) != 50 || a.at("total_pages") != 1.0 || a.at("next_cursor") != nil || a.at("total_items") != 56.0 {
		t.Errorf("%d items of %v in %v pages, then %v", len(a.items()), a.at("total_items"), a.at("total_pages"), a.at("next_cursor"))
	}
	rest := b.get("/auth_configs?show_disabled=true&cursor=" + url.QueryEscape(cursor(2, 50)))
	if len(rest.items()) != 6 {
		t.Errorf("%d items on the page that was hidden", len(rest.items()))
	}
	if sizes, distinct := pages(b, "/auth_configs?show_disabled=true&limit=50"); fmt.Sprint(sizes) != "[50 6]" || distinct != 56 {
		t.Errorf("within the limit: %v", sizes)
	}
}

func TestMaxLimit(t *testing.T) {
	for quirk, want := range map[string]int{"max-limit": 50, "max-limit=50": 50, "max-limit=200": 200, "max-limit=1000": 300} {
		b := open(t, Options{Configs: 300, Quirks: []string{quirk}})
		if n := len(b.get("/auth_configs?show_disabled=true&limit=1000").items()); n != want {
			t.Errorf("%s: %d items, want %d", quirk, n, want)
		}
	}
}
