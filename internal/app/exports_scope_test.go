package app

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// Who may export what is in one project takes nothing else away, whatever more they
// may read.
func TestExportScope(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
		t.Fatal(err)
	}
	author := s.Person("Author", access.Editor)
	s.signedIn("Author")
	enabled := func(a mirror.AuthConfig) bool { return a.Enabled() }
	own := s.spotOf(author, s.Project, enabled)
	other := s.spotOf(author, s.AddProject("production", sandbox.ProductionKey, mirror.Production), enabled)
	b := s.scoped("Pia", access.NewGrant(access.Viewer, access.Everywhere), access.NewGrant(access.Auditor, access.Scope{Project: own.project.ID}))
	proposed := func(p mirror.Project) int64 {
		return s.History(store.HistoryQuery{Project: p.ID, Actor: author.ID})[0].Seq
	}
	theirs, readable := proposed(own.project), proposed(other.project)
	b.get(entryPath(readable)).is(200)

	packs := map[string]string{"an export": b.get("/history.jsonl").is(200).body}
	for _, path := range []string{"/people/" + author.ID, "/history"} {
		dir, _ := unpack(t, b.get(path+"/evidence.zip").is(200).body)
		packs["the pack of "+path] = string(read(t, filepath.Join(dir, "rows.jsonl")))
	}
	signIns := s.History(store.HistoryQuery{Actor: author.ID, Action: "session.signed_in"})
	for what, rows := range packs {
		has := func(seq int64) bool { return strings.Contains(rows, `{"seq":`+strconv.FormatInt(seq, 10)+`,`) }
		if !has(theirs) {
			t.Errorf("%s lacks what is theirs to take", what)
		}
		if has(readable) {
			t.Errorf("%s has what they may only read", what)
		}
		if has(signIns[0].Seq) {
			t.Errorf("%s has what they may not read", what)
		}
	}
}
