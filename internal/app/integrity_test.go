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
