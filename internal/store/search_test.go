package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/query"
)

// A chronicle is a store with made-up history, whose clock runs as told.
type chronicle struct {
	*Store
	t       *testing.T
	clock   time.Time
	random  *rand.Rand
	entries []audit.Entry
}

func newChronicle(t *testing.T) *chronicle {
	t.Helper()
	c := &chronicle{t: t, clock: time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC), random: rand.New(rand.NewPCG(1, 2))}
	s, err := Open(filepath.Join(t.TempDir(), "data"), Options{Now: func() time.Time { return c.clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c.Store = s
	return c
}

func (c *chronicle) pick(all ...string) string { return all[c.random.IntN(len(all))] }

var vocabulary = []string{"rotate", "rotated", "by", "hand", "Wörtchen", "x1", "adr", "all", "is", "aé", "who_usr_1", "prod", "production"}

func (c *chronicle) words(most int) string {
	words := make([]string, c.random.IntN(most+1))
	for i := range words {
		words[i] = c.pick(vocabulary...)
	}
	return strings.Join(words, c.pick(" ", "-", ": "))
}

// write adds n made-up entries. Now and then the clock is set back.
func (c *chronicle) write(n int) {
	c.t.Helper()
	for range n {
		c.clock = c.clock.Add(time.Duration(c.random.IntN(7200)) * time.Second)
		if c.random.IntN(60) == 0 {
			c.clock = c.clock.Add(-50 * time.Hour)
		}
		if err := c.FailSignIn(c.t.Context(), c.event()); err != nil {
			c.t.Fatal(err)
		}
	}
	c.entries = nil
	err := c.HistoryRows(c.t.Context(), 1, 1<<40, func(r audit.Row) error {
		e, err := audit.Open(r)
		c.entries = append(c.entries, e)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *chronicle) event() audit.Event {
	who := c.pick("1", "2", "3")
	e := audit.Event{
		Actor:   audit.Actor{Kind: audit.ActorUser, ID: "usr_" + who, Name: c.pick("Ada Lovelace", "Bo", "Ada"), Email: "ada" + who + "@example.com", IP: "192.0.2." + who},
		Action:  c.pick("auth_config.updated", "auth_config.disabled", "auth_config.created", "change.voted", "session.refused"),
		Object:  audit.Object{Kind: "auth_config", ID: c.pick("ac_A1", "ac_a1", "ac_2"), Name: c.pick("github-prod", "Slack Prod", c.words(3))},
		Project: c.pick("", "prj_1", "prj_2"), Request: c.pick("", "chg_X", "chg_Y"), Outcome: c.pick("", audit.Denied, audit.Failed),
		Reason: c.words(5), Detail: map[string]string{"toolkit": c.pick("", "github", "GitHub slack")},
		Changes: []audit.Change{{Field: c.pick("scopes", "name"), Before: []string{c.pick("repo", "read:org")}, After: []string{c.pick("repo", "read:org"), "user"}}},
	}
	switch c.random.IntN(6) {
	case 0:
		e.Actor = audit.System()
	case 1:
		e.Actor = audit.Actor{Kind: audit.ActorOutside}
	}
	return e
}

// question is a made-up search.
func (c *chronicle) question() HistoryQuery {
	var terms []string
	for range 1 + c.random.IntN(4) {
		term := c.pick("actor:", "word", "word", "quoted", "action:", "toolkit:", "config:", "project:", "outcome:", "ip:", "request:", "is:", "is:", "date")
		switch term {
		case "actor:":
			term += c.pick("ada", "usr_1", `"Ada Lovelace"`, "ADA2@example.com", "system", "outside", "gatehouse", "nobody")
		case "word":
			term = c.pick(append(vocabulary, "rot", "rota", "ex", "exa", "192", "ada1@example.com", "ac_A1", "read-org", "git", "pro", "zzz")...)
		case "quoted":
			term = `"` + c.pick("by hand", "rotated by hand", "Ada Lovelace", "example.com", "rot", "by", "192.0.2.1", "adr x1", "read:org") + `"`
		case "action:":
			term += c.pick("auth_config", "auth_config.updated", "change", "none")
		case "toolkit:":
			term += c.pick("github", "Slack", "gmail")
		case "config:":
			term += c.pick("ac_A1", "ac_a1", "GITHUB-prod", `"slack prod"`)
		case "project:":
			term += c.pick("prj_1", "prj_2", "none")
		case "outcome:":
			term += c.pick("ok", "denied", "failed")
		case "ip:":
			term += c.pick("192.0.2.1", "192.0.2.9")
		case "request:":
			term += c.pick("chg_X", "chg_Z")
		case "is:":
			term += c.pick("drift", "denied", "widened", "narrowed", "system")
		}
		if term == "date" {
			term = c.pick("after:2026-02", "after:2026-02-25", "before:2026-03", "before:2026-03-05", "after:2026-03-02")
		} else if c.random.IntN(4) == 0 {
			term = "-" + term
		}
		terms = append(terms, term)
	}
	text := strings.Join(terms, " ")
	where, err := query.Parse(text)
	if err != nil {
		return c.question() // dates that exclude each other
	}
	q := HistoryQuery{Where: where, Public: c.random.IntN(3) == 0, Limit: 1 + c.random.IntN(40)}
	if c.random.IntN(3) == 0 {
		q.Hidden, q.But = []string{c.pick("prj_1", "prj_2"), c.pick("prj_1", "prj_9")}, c.pick("", "usr_1", "usr_9")
	}
	return q
}

// same compares a search, page by page, with looking through everything.
func (c *chronicle) same(q HistoryQuery) {
	c.t.Helper()
	var want, got []int64
	for _, e := range slices.Backward(c.entries) {
		if q.Matches(e) {
			want = append(want, e.Seq)
		}
	}
	for {
		page, err := c.History(c.t.Context(), q)
		if err != nil {
			c.t.Fatalf("%s: %v", q.Where, err)
		}
		for _, e := range page {
			got = append(got, e.Seq)
		}
		if len(page) < q.Limit || len(got) > len(c.entries) {
			break
		}
		q.Before = page[len(page)-1].Seq
	}
	if d := cmp.Diff(want, got); d != "" {
		c.t.Fatalf("%s, public %v, hidden %v but %q: %s", q.Where, q.Public, q.Hidden, q.But, d)
	}
}

func (c *chronicle) indexed() {
	c.t.Helper()
	for range time.Tick(5 * time.Millisecond) {
		if c.HistoryIndexed() == int64(len(c.entries)) {
			return
		}
	}
}

// The index gives the answers that reading everything gives, whatever is asked
// for and however much of history is in it.
func TestSearchEqualsScan(t *testing.T) {
	c := newChronicle(t)
	for range 4 {
		c.write(100)
		for range 20 {
			c.same(c.question()) // while the index is fed
		}
		c.indexed()
		for range 100 {
			c.same(c.question())
		}
	}
}

// What terms mean, one by one.
func TestMatches(t *testing.T) {
	at := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	e := audit.Entry{Seq: 7, Time: at, Event: audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUser, ID: "usr_Ab", Name: "Ada Lovelace", Email: "Ada@Example.com", IP: "192.0.2.7"},
		Action: "auth_config.updated", Object: audit.Object{Kind: "auth_config", ID: "ac_X1", Name: "GitHub prod"}, Project: "prj_1", Request: "chg_1",
		Changes: []audit.Change{{Field: "scopes", Before: []string{"repo"}, After: []string{"repo", "read:org"}}},
		Reason:  "Rotated by hand, as agreed", Detail: map[string]string{"toolkit": "github", "effect": "0123456789abcdef0123"},
	}}
	for text, want := range map[string]bool{
		"": true, "actor:usr_Ab": true, "actor:usr_ab": false, "actor:ada@example.com": true, `actor:"ada lovelace"`: true, "actor:ADA": true, "actor:lovel": false,
		"actor:bo actor:usr_Ab": true, "actor:bo -actor:usr_Ab": false, "-actor:bo": true, "actor:system": false,
		"action:auth_config": true, "action:auth_config.updated": true, "action:auth": false, "action:AUTH_CONFIG.updated": true,
		"toolkit:GitHub": true, "toolkit:git": false, "config:ac_X1": true, "config:ac_x1": false, `config:"github PROD"`: true, "config:github": false,
		"project:prj_1": true, "project:prj_1 project:prj_2": true, "project:prj_2": false, "outcome:ok": true, "outcome:denied outcome:ok": true, "-outcome:ok": false,
		"ip:192.0.2.7": true, "ip:192.0.2.8": false, "request:chg_1": true, "is:widened": true, "is:narrowed": false, "is:widened is:drift": false, "-is:drift": true,
		"after:2026-03": true, "after:2026-03-15": true, "after:2026-03-16": false, "before:2026-03-15": false, "before:2026-03-16": true, "after:2026-03 before:2026-04": true,
		"rotated": true, "rota": true, "ro": false, "rotated hand": true, "rotated foot": false, "-foot": true, "-rot": false, "by": true,
		`"by hand"`: true, `"rotated by hand as"`: true, `"by agreed"`: false, `"rota by"`: false, `-"by hand"`: false, `"hand as agreed rotated"`: false,
		"read:org": false, `"read:org"`: true, "0123456789abcdef0123": true, "0123456": false, "example": true, "ada@example.com": true, "github-prod": true,
	} {
		q, err := query.Parse(text)
		if err != nil {
			if want {
				t.Error(text, err)
			}
			continue
		}
		if got := (HistoryQuery{Where: q}).Matches(e); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"actor:ada@example.com", "example", "192", "ip:192.0.2.7", `"example.com"`, "ada@example.com"} {
		q, err := query.Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if (HistoryQuery{Where: q, Public: true}).Matches(e) {
			t.Errorf("%s finds an address for who may not see it", text)
		}
	}
}

// Nothing of addresses can be learnt by asking what isn't so.
func TestPublicNegation(t *testing.T) {
	c := newChronicle(t)
	c.write(200)
	c.indexed()
	all, err := c.History(t.Context(), HistoryQuery{Public: true, Limit: 500})
	if err != nil || len(all) == 0 || len(all) == len(c.entries) {
		t.Fatalf("%d of %d entries, %v", len(all), len(c.entries), err)
	}
	for _, text := range []string{"-ip:192.0.2.1", "-actor:ada1@example.com", `-"example.com"`, "-example"} {
		q, err := query.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.History(t.Context(), HistoryQuery{Where: q, Public: true, Limit: 500})
		if err != nil || len(found) != len(all) {
			t.Errorf("%s: %d of %d entries, %v", text, len(found), len(all), err)
		}
	}
}

// A beginning that too many words have is still found.
func TestManyBeginnings(t *testing.T) {
	c := newChronicle(t)
	for i := range mostBeginnings + 20 {
		if err := c.FailSignIn(t.Context(), audit.Event{Actor: audit.System(), Action: "x.y", Reason: fmt.Sprintf("word%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	c.write(10)
	c.indexed()
	for _, text := range []string{"word", "-word", "word1 -word10", "wordless"} {
		q, err := query.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c.same(HistoryQuery{Where: q, Limit: 100})
	}
}

// Counts are those of looking through everything.
func TestHistorySummary(t *testing.T) {
	c := newChronicle(t)
	c.write(300)
	c.indexed()
	c.write(3) // some of it in no index yet
	for range 60 {
		q := c.question()
		got, err := c.HistorySummary(t.Context(), q)
		if err != nil {
			t.Fatal(q.Where, err)
		}
		found, actions := 0, map[string]int{}
		for _, e := range c.entries {
			if q.Matches(e) {
				found++
				actions[e.Action]++
			}
		}
		of := map[string]int{}
		for _, f := range got.Facets["action"] {
			of[f.Value] = f.Count
		}
		if got.Found != found || got.More || !cmp.Equal(of, actions) {
			t.Fatalf("%s: %d entries found, want %d; %v", q.Where, got.Found, found, cmp.Diff(actions, of))
		}
	}
	c.clock = c.clock.Add(400 * time.Hour) // after all times there were
	all, err := c.HistorySummary(t.Context(), HistoryQuery{})
	if err != nil || len(all.Bars) != Bars {
		t.Fatalf("%d bars, %v", len(all.Bars), err)
	}
	sum := 0
	for _, b := range all.Bars {
		sum += b.Count
	}
	if sum != len(c.entries) {
		t.Errorf("the bars count %d of %d entries", sum, len(c.entries))
	}
}

// fill adds n entries at one time, with a reason, and waits until they are indexed.
func (c *chronicle) fill(n int, reason string) {
	c.t.Helper()
	var wg sync.WaitGroup
	for worker := range 64 { // they share transactions
		wg.Go(func() {
			for range n/64 + min(1, max(0, n%64-worker)) {
				if err := c.Record(c.t.Context(), audit.Event{Actor: audit.System(), Action: "x.y", Reason: reason}); err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	head, err := c.HistoryHead(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for range time.Tick(5 * time.Millisecond) {
		if c.HistoryIndexed() >= head.Seq {
			return
		}
	}
}

// Phrases of more than two words are in the index by pairs of words. What has the
// pairs and not the phrase isn't counted.
func TestSummaryOfPhrase(t *testing.T) {
	c := newChronicle(t)
	c.clock = c.clock.Add(time.Hour)
	c.fill(30, "a b c")
	c.fill(1600, "b c x a b")
	count := func(want int, more bool) HistorySummary {
		t.Helper()
		got, err := c.HistorySummary(t.Context(), HistoryQuery{Where: parsed(t, `"a b c"`)})
		if err != nil {
			t.Fatal(err)
		}
		if got.Found != want || got.More != more {
			t.Errorf("found %d, more %v; want %d, %v", got.Found, got.More, want, more)
		}
		return got
	}
	sum := 0
	for _, b := range count(30, false).Bars {
		sum += b.Count
	}
	if sum != 30 {
		t.Errorf("the bars count %d", sum)
	}
	c.fill(SearchMost, "b c x a b")
	if got := count(0, true); got.Bars != nil {
		t.Errorf("bars of what nobody has read: %v", got.Bars)
	}
}

// A page of a search that the index answers too broadly ends after a while, says
// where it goes on, and finds everything in the end.
func TestHistoryPageEnds(t *testing.T) {
	c := newChronicle(t)
	c.fill(5, "a b c")
	c.fill(2*SearchMost, "b c x a b")
	q := HistoryQuery{Where: parsed(t, `"a b c"`), Limit: 51}
	all, err := c.History(t.Context(), q)
	if err != nil || len(all) != 5 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	var found []audit.Entry
	pages := 0
	for more := true; more; pages++ {
		some, rest, err := c.HistoryPage(t.Context(), q)
		if err != nil || pages > 3 || rest > 0 && q.Before > 0 && rest >= q.Before {
			t.Fatalf("page %d goes on before %d: %v", pages, rest, err)
		}
		found = append(found, some...)
		q.Before, more = rest, rest > 0
	}
	if d := cmp.Diff(all, found); d != "" || pages < 2 {
		t.Errorf("%d pages: %s", pages, d)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.History(gone, HistoryQuery{Where: q.Where, Limit: 51}); !errors.Is(err, context.Canceled) {
		t.Errorf("a search goes on for who has hung up: %v", err)
	}
}

func parsed(t *testing.T, text string) query.Query {
	t.Helper()
	q, err := query.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
