package notify_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

// A search that is followed comes as mail when it finds something new, and not
// otherwise; who may not see people doesn't get to by asking.
func TestSearchDigests(t *testing.T) {
	h := newHouse(t)
	anna, vera := h.Person("Anna", access.Auditor), h.Person("Vera", access.Viewer)
	h.run()
	ctx := t.Context()
	q, err := h.notify.SaveSearch(ctx, anna, notify.Search{Name: "Refused", Text: "is:denied", Shared: true})
	h.must(err)
	h.must(h.notify.FollowSearch(ctx, anna, q.ID, notify.Daily))
	h.must(h.notify.FollowSearch(ctx, vera, q.ID, notify.Weekly))
	deny := func(action string) {
		h.must(h.Store.FailSignIn(ctx, audit.Event{Actor: audit.Actor{Kind: audit.ActorUnknown}, Action: action, Outcome: audit.Denied, Object: audit.Object{Kind: "project", Name: "made up"}}))
	}
	deny("project.edited")
	deny("session.refused")
	h.forward(24 * time.Hour)
	h.until("the daily digest comes", func() bool { return len(h.mails.to(anna)) == 1 })
	got := h.mails.to(anna)[0]
	if !strings.Contains(got.subject, "2 new entries for Refused") || !strings.Contains(got.body, "project edited, made up") || !strings.Contains(got.body, "/history?q=is") {
		t.Errorf("%q: %s", got.subject, got.body)
	}
	h.forward(24 * time.Hour) // nothing new
	h.forward(7 * 24 * time.Hour)
	h.until("the weekly digest comes", func() bool { return len(h.mails.to(vera)) == 1 })
	if got := h.mails.to(vera)[0]; !strings.Contains(got.subject, "1 new entry") {
		t.Errorf("%q: %s", got.subject, got.body)
	}
	if n := len(h.mails.to(anna)); n != 1 {
		t.Errorf("%d mails, the later ones about nothing", n)
	}
	if n := len(h.History(store.HistoryQuery{Action: "search.followed"})); n != 2 {
		t.Errorf("history has %d entries about it", n)
	}
}

func TestSavedSearches(t *testing.T) {
	h := newHouse(t)
	h.open()
	anna, vera := h.Person("Anna", access.Auditor), h.Person("Vera", access.Viewer)
	ctx := t.Context()
	for _, in := range []notify.Search{{Name: "", Text: "a"}, {Name: "x", Text: " "}, {Name: "x", Text: "colour:red"}, {Name: strings.Repeat("x", 61), Text: "a"}} {
		if _, err := h.notify.SaveSearch(ctx, anna, in); !problem.Is(err, problem.Invalid) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	q, err := h.notify.SaveSearch(ctx, anna, notify.Search{Name: "Mine", Text: "is:drift"})
	h.must(err)
	if _, err := h.notify.SaveSearch(ctx, anna, notify.Search{Name: "Mine", Text: "is:drift"}); !problem.Is(err, problem.Invalid) {
		t.Errorf("a name twice: %v", err)
	}
	if all, err := h.notify.Searches(ctx, vera); err != nil || len(all) != 0 {
		t.Errorf("others see %v, %v", all, err)
	}
	for name, err := range map[string]error{
		"follow": h.notify.FollowSearch(ctx, vera, q.ID, notify.Daily), "edit": h.notify.EditSearch(ctx, vera, q.ID, "x", true), "remove": h.notify.RemoveSearch(ctx, vera, q.ID),
	} {
		if !problem.Is(err, problem.NotFound) {
			t.Errorf("who doesn't see it may %s it, or learns that it is there: %v", name, err)
		}
	}
	h.must(h.notify.EditSearch(ctx, anna, q.ID, "Ours", true))
	h.must(h.notify.FollowSearch(ctx, vera, q.ID, notify.Daily))
	for name, err := range map[string]error{"edit": h.notify.EditSearch(ctx, vera, q.ID, "x", true), "remove": h.notify.RemoveSearch(ctx, vera, q.ID)} {
		if !problem.Is(err, problem.Forbidden) {
			t.Errorf("others may %s: %v", name, err)
		}
	}
	h.must(h.notify.EditSearch(ctx, anna, q.ID, "Ours", false)) // ends what others get
	if due, err := h.Store.DueSearches(ctx, h.now().Add(48*time.Hour)); err != nil || len(due) != 0 {
		t.Errorf("still due: %v, %v", due, err)
	}
	h.must(h.notify.RemoveSearch(ctx, anna, q.ID))
	for _, action := range []string{"search.saved", "search.edited", "search.followed", "search.removed"} {
		if len(h.History(store.HistoryQuery{Action: action})) == 0 {
			t.Errorf("history doesn't know of %s", action)
		}
	}
}
