package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// An erased person's data is nowhere any more, history verifies, and what was
// written about others stays.
func TestErase(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	people := access.NewService(s, nil, time.Now)
	add := func(id, name, email string) access.User {
		a := access.Account{User: access.User{ID: id, Name: name, Email: email, State: access.Active, Grants: access.Unscoped(access.Admin)}}
		if err := s.AddAccount(t.Context(), a, nil, audit.Event{Actor: audit.System(), Action: "user.added", Object: audit.Object{Kind: "user", ID: id, Name: name}}); err != nil {
			t.Fatal(err)
		}
		return a.User
	}
	ada, grace := add("usr_1", "Ada Zebrowska", "zebrowska@example.com"), add("usr_2", "Grace", "grace@example.com")
	record := func(e audit.Event) {
		if err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	at := access.Origin{IP: "198.51.100.77", Agent: "Zebrabrowser"}
	record(audit.Event{Actor: ada.Actor(at), Action: "x.y", Reason: "for the audit"})
	record(audit.Event{Actor: grace.Actor(at), Action: "x.y", Object: audit.Object{Kind: "user", ID: ada.ID, Name: ada.Name}})
	record(audit.Event{Actor: audit.Actor{Kind: audit.ActorUnknown, Email: ada.Email, IP: at.IP}, Action: "session.refused"})
	by := access.Reader{User: grace}
	if err := people.Erase(t.Context(), by, ada.ID); err == nil {
		t.Error("somebody who may sign in was erased")
	}
	if err := people.SetDisabled(t.Context(), by, ada.ID, true); err != nil {
		t.Fatal(err)
	}
	before, err := s.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := people.Erase(t.Context(), by, ada.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it can be repeated
		if err := s.FinishErasures(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	head, err := s.VerifyHistory(t.Context())
	if err != nil || head.Seq != before.Seq+1 {
		t.Errorf("%d, %v", head.Seq, err)
	}
	e, err := s.HistoryEntry(t.Context(), 3)
	if err != nil || e.Actor != (audit.Actor{Kind: audit.ActorUser, ID: ada.ID}) || e.Reason != "for the audit" {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err = s.HistoryEntry(t.Context(), 4); err != nil || e.Actor.Name != "Grace" || e.Actor.IP != at.IP || e.Object.Name != "" {
		t.Errorf("%+v, %v", e, err)
	}
	if a, err := s.Account(t.Context(), ada.ID); err != nil || a.Name != "Erased person 1" || !a.Erased() {
		t.Errorf("%+v, %v", a, err)
	}
	if err := people.SetDisabled(t.Context(), by, ada.ID, false); err == nil {
		t.Error("an erased account was enabled")
	}
	if found, err := s.History(t.Context(), store.HistoryQuery{Text: "zebrowska", Limit: 10}); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	if err := tamper(t, dir, "DELETE FROM history_personal"); err == nil {
		t.Error("the trigger is gone")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tamper(t, dir, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{store.DatabaseFile, "history_index.db"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"Zebrowska", "zebrowska"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s still holds %s", name, secret)
			}
		}
	}
}

// What is written about a person while they are being erased stays: nobody's
// record says that it was erased.
func TestErasedWhileWritten(t *testing.T) {
	s := open(t, private(t))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	people := access.NewService(s, nil, time.Now)
	add := func(id, name, email string) access.User {
		u := access.User{ID: id, Name: name, Email: email, State: access.Active, Grants: access.Unscoped(access.Admin)}
		must(s.AddAccount(t.Context(), access.Account{User: u}, nil, audit.Event{Actor: audit.System(), Action: "user.added", Object: audit.Object{Kind: "user", ID: id, Name: name}}))
		return u
	}
	ada, by := add("usr_1", "Ada Zebrowska", "zebrowska@example.com"), access.Reader{User: add("usr_2", "Grace", "grace@example.com")}
	refuse := func() {
		must(s.Record(t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.ActorUnknown, Email: ada.Email, IP: "192.0.2.7"}, Action: "session.refused", Outcome: audit.Denied}))
	}
	refuse()
	must(people.SetDisabled(t.Context(), by, ada.ID, true))
	must(people.Erase(t.Context(), by, ada.ID))
	refuse() // before the work is done
	must(s.FinishErasures(t.Context()))
	if _, err := s.VerifyHistory(t.Context()); err != nil {
		t.Error(err)
	}
	first, err := s.HistoryEntry(t.Context(), 3)
	must(err)
	head, err := s.HistoryHead(t.Context())
	must(err)
	last, err := s.HistoryEntry(t.Context(), head.Seq)
	must(err)
	if first.Actor.Email != "" || last.Actor.Email != ada.Email {
		t.Errorf("before the erasure: %q, after it: %q", first.Actor.Email, last.Actor.Email)
	}
}
