package app

import (
	"context"
	"database/sql"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // a second connection

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

func TestIntegrityPage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	auditor := s.as("Ayo", access.Auditor)
	before := auditor.get("/history").has("Not verified yet")
	auditor.get("/history/checkpoint").is(404)
	if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
		t.Fatal(err)
	}
	auditor.header.Set("If-None-Match", before.header.Get("Etag"))
	auditor.get("/history").is(200).has("Verified to #")
	auditor.header.Del("If-None-Match")
	page := auditor.get("/history/integrity").is(200)
	page.has("New entries", s.Witness.PublicKey(), "Nothing delivered yet", "beside the database", "a day")
	auditor.submit(page, "/history/integrity/verify").has("is being verified")
	if s.historyOf("history.verify_asked") != 1 {
		t.Error("asking left no entry")
	}
	note := auditor.get("/history/checkpoint").is(200).body
	if !strings.Contains(note, "— gatehouse-") {
		t.Errorf("%q is no checkpoint", note)
	}

	auditor.get("/history/integrity").has("anchors.log")
	seen := s.as("Vera", access.Viewer).get("/history/integrity").is(200).has("Anchor 1", "Nothing delivered yet")
	if seen.doc.Find("form[action$='/verify']").Length() > 0 || strings.Contains(seen.body, s.Dir) || strings.Contains(seen.text(), "beside the database") {
		t.Error("a viewer is offered to verify, or sees where anchors are")
	}
}

// A row that can't be read, or is gone, is said to be so on the pages that show
// it, to everybody, and has all of history verified.
func TestTamperedRows(t *testing.T) {
	for name, change := range map[string]string{
		"unreadable": "UPDATE history SET body = CAST('x' || substr(CAST(body AS TEXT), 2) AS BLOB) WHERE seq = ?",
		"gone":       "DELETE FROM history WHERE seq = ?",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, sandbox.Options{})
			ayo, vera := s.as("Ayo", access.Auditor), s.as("Vera", access.Viewer)
			added := s.History(store.HistoryQuery{Action: "project.added"})[0].Seq
			for range time.Tick(5 * time.Millisecond) { // it is found where the index has it
				if s.Store.HistoryIndexed() >= added {
					break
				}
			}
			s.verifying()
			s.behindItsBack("DROP TRIGGER history_no_update")
			s.behindItsBack("DROP TRIGGER history_no_delete")
			s.behindItsBack(change, added)
			for _, b := range []*browser{ayo, vera} {
				for _, path := range []string{"/", "/history", "/history?q=action:project", "/history/integrity"} {
					b.get(path).is(200)
				}
				if name == "unreadable" {
					b.get("/history?before="+strconv.FormatInt(added+1, 10)).is(200).has("Entry "+strconv.FormatInt(added, 10), "can't be read")
					b.get("/history?q=action:project.added").is(200).has("can't be read")
				}
			}
			ayo.get("/history/integrity").has("Verify")
			vera.get(entryPath(added)).is(404)
			if name == "unreadable" {
				ayo.get(entryPath(added)).is(200).has("can't be read", `"action":"project.added"`)
				waitFor(t, "the badge", func() bool { return strings.Contains(vera.get("/history/integrity").text(), "Not as it was written") })
			}
		})
	}
}

// verifying lets the witness work, and waits until it has verified everything.
func (s *site) verifying() {
	s.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() { s.Witness.Run(ctx) })
	s.T.Cleanup(func() {
		cancel()
		loop.Wait()
	})
	s.Witness.AskVerify()
	waitFor(s.T, "verification", func() bool { return !s.Witness.Known().WholeAt.IsZero() })
}

// behindItsBack changes the database past the console.
func (s *site) behindItsBack(statement string, args ...any) {
	s.T.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = db.Close() }() // only for the test
	if _, err := db.ExecContext(s.T.Context(), statement, args...); err != nil {
		s.T.Fatal(err)
	}
}

func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(what + ": waited in vain")
		}
	}
}

func TestPersonErase(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	admin := s.as("Ada", access.Admin)
	victim := s.Person("Vic", access.Viewer)
	path := personPath(victim.ID)
	if admin.get(path).doc.Find("form[action$='/erase']").Length() > 0 {
		t.Error("somebody who may sign in can be erased")
	}
	admin.submit(admin.get(path), path+"/disable")
	admin.submit(admin.get(path), path+"/erase", "confirm", "somebody@example.com").has("Nothing was erased", "Type the e-mail")
	admin.submit(admin.get(path), path+"/erase", "confirm", "vic@example.com").has("Erased person 1")
	if err := s.Store.FinishErasures(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin.get("/history").has("erased the personal data of Erased person 1", "added Erased person 1")
	page := admin.get(path)
	if page.doc.Find("form[action$='/erase'], form[action$='/enable']").Length() > 0 {
		t.Error("an erased person can be enabled or erased again")
	}
	if _, err := s.Store.VerifyHistory(t.Context()); err != nil {
		t.Error(err)
	}
}
