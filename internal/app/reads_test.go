package app

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // a second connection

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// reads are the records of reading, the newest first: page and search.
func (s *site) readRecords() []string {
	s.T.Helper()
	out := []string{}
	for _, e := range s.History(store.HistoryQuery{Action: "history.read"}) {
		out = append(out, e.Detail["page"]+" "+e.Reason)
	}
	return out
}

// Reading history is recorded: once per person, page and search within a while,
// also where the browser has the page already.
func TestReadingIsRecorded(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo, vera := s.as("Ayo", access.Auditor), s.as("Vera", access.Viewer)
	s.wantReads()
	first := ayo.get("/history").is(200)
	ayo.get("/history?before=3").is(200)
	ayo.header.Set("If-None-Match", first.header.Get("Etag"))
	if got := ayo.get("/history"); got.status != 304 {
		t.Errorf("the page was sent again: %d", got.status)
	}
	ayo.header.Del("If-None-Match")
	s.wantReads("/history ")
	ayo.get("/history?q=github+-failed&action=session.signed_in").is(200)
	ayo.get("/history?action=session.signed_in&q=github+-failed&before=9").is(200)
	vera.get("/history").is(200)
	vera.get(entryPath(1)).is(200)
	s.wantReads("/history/1 ", "/history ", "/history github -failed action:session.signed_in", "/history ")
	now := rig.Now
	s.server.reads.now = func() time.Time { return now().Add(readWindow) }
	ayo.get("/history").is(200)
	if n := len(s.readRecords()); n != 5 {
		t.Errorf("%d records, later", n)
	}
	if got := s.History(store.HistoryQuery{Text: "github"}); len(got) > 0 && got[0].Action == "history.read" {
		t.Error("a search finds searches")
	}
	ayo.get("/history?action=history.read").has("Vera read", "github -failed")
}

func (s *site) wantReads(want ...string) {
	s.T.Helper()
	if got := s.readRecords(); fmt.Sprint(got) != fmt.Sprint(want) {
		s.T.Errorf("recorded: %q, want %q", got, want)
	}
}

// Nothing is recorded of what isn't shown: a path can't be written into history,
// nor be asked for so often that what is read later leaves no record.
func TestReadingNothingIsNotRecorded(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	vera := s.as("Vera", access.Viewer)
	for _, path := range []string{
		"/projects/victim@example.com/as-of", s.page("ac_victim@example.com") + "/history", s.page("ac_victim@example.com") + "/versions",
		personPath("usr_victim@example.com") + "/history", entryPath(1_000_000), "/history/" + strings.Repeat("0", 300) + "1", "/history/+1",
	} {
		vera.get(path).is(404)
	}
	vera.get(entryPath(s.History(store.HistoryQuery{Action: "user.added"})[0].Seq)).is(404)
	vera.get("/history?q=nokey:x").is(422)
	vera.get("/projects/" + s.Project.Slug + "/as-of?at=never").is(422)
	for i := range mostReads {
		vera.get(fmt.Sprintf("/history/x%d", i)).is(404)
	}
	s.wantReads()
	vera.get("/history").is(200)
	s.wantReads("/history ")
}

// Whoever reads a great deal doesn't flood history.
func TestReadingDoesNotFlood(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	for i := range mostReads + 5 {
		b.get(fmt.Sprintf("/history?q=w%d", i)).is(200)
	}
	all := s.History(store.HistoryQuery{Action: "history.read"})
	if len(all) != mostReads || all[0].Detail["more"] == "" || all[1].Detail["more"] != "" {
		t.Errorf("%d records, the last of them %v", len(all), all[0].Detail)
	}
}

// Where it can't be recorded, history isn't shown, until it can.
func TestReadingUnrecorded(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // only for the test
	if _, err := db.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.get("/history").is(503).has("can't be recorded now")
	}
	if _, err := db.ExecContext(t.Context(), "DROP TRIGGER full"); err != nil {
		t.Fatal(err)
	}
	b.get("/history").is(200)
	s.wantReads("/history ")
}

// One's own auth configs are read without a record.
func TestReadingOwnConfigs(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	emil, edna := s.as("Emil", access.Editor), s.as("Edna", access.Editor)
	a := s.Config(rig.Enabled)
	emil.submit(emil.get(s.page(a.ID)+"/impact?do=disable"), s.page(a.ID)+"/disable").is(200)
	emil.get(s.page(a.ID) + "/history").is(200)
	s.wantReads()
	edna.get(s.page(a.ID) + "/history").is(200)
	edna.get(s.page(a.ID)).is(200)
	s.wantReads(s.page(a.ID) + "/history ")
}

// What is about people is for auditors and admins, in lists and searches too.
func TestWhoReadsWhat(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	vera, ayo := s.as("Vera", access.Viewer), s.as("Ayo", access.Auditor)
	ayo.get("/history").has("Vera signed in", "read")
	for _, search := range []string{"", "?action=session.signed_in", "?q=vera", "?action=user.added", "?action=history.read"} {
		page := vera.get("/history" + search).is(200)
		for _, e := range s.History(store.HistoryQuery{}) {
			hidden := !(store.HistoryQuery{Public: true}).Matches(e)
			if hidden && page.doc.Find(fmt.Sprintf(`[data-seq="%d"]`, e.Seq)).Length() > 0 {
				t.Errorf("%q shows a viewer %s", search, e.Action)
			}
		}
	}
	vera.get("/history").has("added the project")
	users, err := s.Store.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		page := vera.get(personPath(u.ID) + "/history").is(200)
		if signedIn := strings.Contains(page.text(), "signed in"); signedIn != (u.Name == "Vera") {
			t.Errorf("a viewer sees that %s signed in: %v", u.Name, signedIn)
		}
		if strings.Contains(vera.get(personPath(u.ID)+"/history?of=them").text(), "was added") {
			t.Error("a viewer sees what was done to an account")
		}
		ayo.get(personPath(u.ID) + "/history").is(200).has("signed in")
	}
	for _, e := range s.History(store.HistoryQuery{}) {
		want := 200
		if !(store.HistoryQuery{Public: true}).Matches(e) && e.Actor.Name != "Vera" {
			want = 404
		}
		vera.get(entryPath(e.Seq)).is(want)
		if e.Action == "session.signed_in" {
			ayo.get(entryPath(e.Seq)).is(200)
		}
	}
}

// What else stands in an address hides neither a search nor that it is another.
func TestReadingUnderRubbish(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo := s.as("Ayo", access.Auditor)
	rubbish := "/history?a=" + strings.Repeat("x", 3000) + "&q="
	ayo.get(rubbish + "github").is(200)
	ayo.get(rubbish + "slack").is(200)
	ayo.get("/history?q=" + strings.Repeat("gmail+", 600) + "notion").is(422)
	got := s.readRecords()
	if len(got) != 2 || !strings.HasPrefix(got[0], "/history slack a:xxx") || !strings.HasPrefix(got[1], "/history github a:xxx") {
		t.Errorf("%d records: %.200q", len(got), got)
	}
}
