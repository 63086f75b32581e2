package app

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
)

// Whom a change gives rights can't approve it and may say no; where too few are left
// to agree, the page says so.
func TestGainsPage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	admin := s.Person("Ada", access.Admin)
	anna, boris := s.Person("Anna", access.Approver), s.Person("Boris", access.Approver)
	s.govern(admin, 1)
	ask := func(ids ...string) string {
		t.Helper()
		r, err := s.Changes.ProposeBreakGlass(t.Context(), admin, "on call", ids)
		s.must(err)
		return changePath(r.ID)
	}
	b := s.signedIn("Anna")
	path := ask(anna.ID)
	p := b.get(path).is(200).has("can't approve a change that gives you rights", "Can still approve: Boris. Too few to agree: it gives the others rights.")
	if p.doc.Find("form[action$='/approve']").Length() != 0 || p.doc.Find("form[action$='/request-changes']").Length() != 1 {
		t.Error("Anna is offered something else than to say no")
	}
	b.submit(p, path+"/reject", "reason", "not me").is(200).has("Rejected")
	s.Person("Carl", access.Approver)
	b.get(ask(anna.ID)).is(200).has("Can still approve: Boris and Carl.").hasNot("Too few to agree")
	b.get(ask(anna.ID, boris.ID)).is(200).has("Too few to agree")
	if p := s.signedIn("Ada").get(path).is(200); p.doc.Find("form[action$='/reject']").Length() != 0 {
		t.Error("the author is offered a vote")
	}
	if r := s.Settled(path[len(changePath("")):]); r.State != change.Rejected {
		t.Errorf("it is %s", r.State)
	}
}
