package app

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// reviewedSite is a site whose project asks for approvals, and a request.
func reviewedSite(t *testing.T, approvals int) (*site, *browser, change.Request) {
	t.Helper()
	s := newSite(t, sandbox.Options{})
	anna := s.as("Anna", access.Approver)
	s.Person("Anton", access.Approver)
	admin, editor := s.Person("Ada", access.Admin), s.Person("Emil", access.Editor)
	rule, err := s.Changes.ProposePolicy(t.Context(), admin, "r", change.Policy{Subject: change.AboutConfigs, Project: s.Project.ID, Steps: []change.PolicyStep{{{Count: approvals}}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(rule.ID)
	r, err := s.Changes.ProposeSwitch(t.Context(), editor, change.Proposal{Project: s.Project.ID, Reason: "r"}, []string{s.Config(rig.Enabled).ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	return s, anna, r
}

func (s *site) votes(id string) []change.Vote {
	s.T.Helper()
	r, err := s.Store.Request(s.T.Context(), id)
	if err != nil {
		s.T.Fatal(err)
	}
	return r.Votes
}

// A double click and a repeated POST count once; the same form with another body
// is refused; looking decides nothing.
func TestDecisionSentTwice(t *testing.T) {
	s, b, r := reviewedSite(t, 2)
	path := changePath(r.ID)
	form, remark := b.get(path).form(path+"/approve"), b.get(path).form(path+"/comment")
	remark.Set("text", "Why now?")
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := b.do(b.request("POST", path+"/approve", form)); got.status != http.StatusSeeOther && got.status != http.StatusConflict {
				t.Errorf("a repeated form is answered by %d", got.status)
			}
			b.do(b.request("POST", path+"/comment", remark))
		})
	}
	wg.Wait()
	form.Set("reason", "something else")
	b.do(b.request("POST", path+"/approve", form)).is(http.StatusConflict)
	if n := len(s.votes(r.ID)); n != 1 {
		t.Errorf("%d votes", n)
	}
	if all, err := s.Store.Comments(t.Context(), r.ID); err != nil || len(all) != 1 {
		t.Errorf("%d remarks, %v", len(all), err)
	}
	if got := b.do(b.request("GET", path+"/approve", nil)).status; got != http.StatusNotFound && got != http.StatusMethodNotAllowed {
		t.Errorf("approval by GET: %d", got)
	}
}

// An approval of what was edited meanwhile shows what changed.
func TestDecisionOnWhatMovedOn(t *testing.T) {
	s, b, _ := reviewedSite(t, 1)
	editor, err := s.Store.AccountByEmail(t.Context(), "emil@example.com")
	if err != nil {
		t.Fatal(err)
	}
	a := s.Config(rig.OwnOAuth)
	old, err := s.Changes.ProposeUpdate(t.Context(), access.Reader{User: editor.User}, change.Proposal{Project: s.Project.ID, Reason: "r"}, a.ID, change.Spec{Fields: map[string]string{"name": "first"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := changePath(old.ID)
	page := b.get(path)
	if _, err := s.Changes.ProposeUpdate(t.Context(), access.Reader{User: editor.User}, change.Proposal{Project: s.Project.ID, Reason: "r", Revises: old.ID, Version: old.Version}, a.ID, change.Spec{Fields: map[string]string{"name": "second"}}, nil); err != nil {
		t.Fatal(err)
	}
	b.submit(page, path+"/approve").is(http.StatusConflict).has("Changed since you looked", "second")
	if n := len(s.votes(old.ID)); n != 0 {
		t.Errorf("%d votes", n)
	}
}

// A session that ends with the decision form open decides nothing.
func TestSessionEndsBeforeDecision(t *testing.T) {
	s, b, r := reviewedSite(t, 1)
	path := changePath(r.ID)
	page := b.get(path)
	s.Store.TouchSession(access.HashToken(b.cookie("sid")), rig.Now())
	s.server.now = func() time.Time { return rig.Now().Add(access.SessionIdle + time.Minute) }
	t.Cleanup(func() { s.server.now = rig.Now })
	signin := b.submit(page, path+"/approve").at("/signin")
	if n := len(s.votes(r.ID)); n != 0 {
		t.Errorf("%d votes of an ended session", n)
	}
	s.server.now = rig.Now
	b.submit(signin, "/signin", "email", "anna@example.com", "secret.passphrase", rig.Passphrase).is(200)
	if n := len(s.votes(r.ID)); n != 0 {
		t.Errorf("%d votes by signing in", n)
	}
	b.submit(b.get(path), path+"/approve").is(200)
	if n := len(s.votes(r.ID)); n != 1 {
		t.Errorf("%d votes", n)
	}
}
