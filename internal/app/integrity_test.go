package app

import (
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/witness"
)

func TestIntegrityPage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	auditor := s.as("Ayo", access.Auditor)
	auditor.get("/history").has("Not verified yet")
	auditor.get("/history/checkpoint").is(404)
	if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
		t.Fatal(err)
	}
	auditor.get("/history?q=x").has("Verified to #")
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

	viewer := s.as("Vera", access.Viewer)
	if viewer.get("/history/integrity").is(200).doc.Find("form[action$='/verify']").Length() > 0 {
		t.Error("a viewer is offered to verify")
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
