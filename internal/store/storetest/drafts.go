package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

func formDrafts(t *testing.T, s *store.Store) {
	addAccount(t, s, "usr_1")
	d := store.FormDraft{UserID: "usr_1", Path: "/p", Fields: map[string][]string{"name": {"typed"}}}
	id, err := s.KeepFormDraft(t.Context(), d)
	must(t, err)
	d.ID = id
	got, err := s.FormDraft(t.Context(), id, "usr_1")
	must(t, err)
	d.SavedAt = got.SavedAt
	if diff := cmp.Diff(d, got); diff != "" || d.SavedAt.IsZero() {
		t.Error(diff, d.SavedAt)
	}
	_, err = s.FormDraft(t.Context(), id, "usr_2")
	kind(t, err, problem.NotFound)

	// Of one page there is one, under the same id.
	d.Fields["name"] = []string{"typed more"}
	if again, err := s.KeepFormDraft(t.Context(), d); err != nil || again != id {
		t.Errorf("kept again as %s: %v", again, err)
	}
	got, err = s.FormDraftOf(t.Context(), "/p", "usr_1")
	must(t, err)
	if got.ID != id || got.Fields["name"][0] != "typed more" {
		t.Errorf("%+v", got)
	}
	_, err = s.FormDraftOf(t.Context(), "/p", "usr_2")
	kind(t, err, problem.NotFound)
	must(t, s.DropFormDraft(t.Context(), id, "usr_2"))
	_, err = s.FormDraft(t.Context(), id, "usr_1")
	must(t, err)
	must(t, s.DropFormDraft(t.Context(), id, "usr_1"))
	_, err = s.FormDraft(t.Context(), id, "usr_1")
	kind(t, err, problem.NotFound)

	// A form that was sent takes its draft along, and that alone.
	var ids []string
	for _, path := range []string{"/p", "/q"} {
		id, err := s.KeepFormDraft(t.Context(), store.FormDraft{UserID: "usr_1", Path: path})
		must(t, err)
		ids = append(ids, id)
	}
	must(t, s.FinishFormOp(t.Context(), store.FormOp{ID: "op", User: access.User{ID: "usr_1"}}, "/there", "/p"))
	_, err = s.FormDraft(t.Context(), ids[0], "usr_1")
	kind(t, err, problem.NotFound)
	_, err = s.FormDraft(t.Context(), ids[1], "usr_1")
	must(t, err)

	// Nobody fills the database with drafts.
	kept := 0
	for i := range 40 {
		_, err := s.KeepFormDraft(t.Context(), store.FormDraft{UserID: "usr_1", Path: fmt.Sprint("/many/", i)})
		must(t, err)
	}
	for i := range 40 {
		if _, err := s.FormDraftOf(t.Context(), fmt.Sprint("/many/", i), "usr_1"); err == nil {
			kept++
		}
	}
	if kept == 0 || kept > 30 {
		t.Errorf("%d drafts of one person are kept", kept)
	}
}

// What pages may show moves the version and wakes who waits for it; what they
// don't leaves both alone.
func watching(t *testing.T, s *store.Store) {
	rung := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	changed, version := s.Changed(), s.Version()
	addAccount(t, s, "usr_1")
	if !rung(changed) || s.Version() == version {
		t.Error("a commit was not told")
	}
	changed, version = s.Changed(), s.Version()
	_, err := s.KeepFormDraft(t.Context(), store.FormDraft{UserID: "usr_1", Path: "/p"})
	must(t, err)
	if rung(changed) || s.Version() != version {
		t.Error("a draft was told to everybody")
	}
	must(t, s.FailSignIn(t.Context(), event("a")))
	if !rung(changed) {
		t.Error("the next commit was not told")
	}
}
