package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/notify"
	"gatehouse/internal/outbound"
	"gatehouse/internal/rig"
)

// tell runs the service that tells people, with settings of the test's.
func (s *site) tell(settings notify.Settings) {
	s.T.Helper()
	settings.PublicURL, settings.Retry = s.url, time.Millisecond
	s.server.notify = notifier(s.Rig, settings)
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() { s.server.notify.Run(ctx) })
	s.T.Cleanup(func() {
		cancel()
		loop.Wait()
	})
}

// told waits until the outbox is empty.
func (s *site) told() {
	s.T.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		left, err := s.Store.Outbox(s.T.Context(), 1)
		if err != nil {
			s.T.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.T.Fatal("the outbox doesn't empty")
		}
	}
}

func TestNotificationPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.tell(notify.Settings{})
	b := s.as("Emil", access.Editor)
	b.get("/notifications").is(200).has("Nothing to read")
	a := s.Config(rig.Enabled)
	s.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"})
	failed := b.submit(b.get(s.page(a.ID)+"/impact?do=disable"), s.page(a.ID)+"/disable").url.Path
	s.told()
	if got := b.get("/").doc.Find(".bell").Text(); strings.Join(strings.Fields(got), " ") != "Notifications, unread: 1" {
		t.Errorf("the bell says %q", got)
	}
	page := b.get("/notifications").is(200).has("New", "Failed: Disable "+a.Name, "your request")
	if page.doc.Find(`a[href="`+failed+`"]`).Length() != 1 {
		t.Error("no link to the change request")
	}
	if got := s.as("Vera", access.Viewer).get("/notifications"); strings.Contains(got.text(), a.Name) {
		t.Error("somebody else sees it")
	}
	read := b.submit(page, "/notifications/read").at("/notifications").has("All marked as read", "Failed: Disable")
	if read.doc.Find(".unread").Length() != 0 || read.doc.Find(".badge:contains('New')").Length() != 0 {
		t.Error("there is something unread")
	}
	form := page.form("/notifications/read")
	form.Set("up_to", "x")
	form.Set("op", b.get("/account").form("/account").Get("op"))
	b.do(b.request("POST", "/notifications/read", form)).is(403)
}

func TestAccountNotifications(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Emil", access.Editor)
	page := b.get("/account/notifications").is(200).has("No mail is sent")
	form := page.form("/account/notifications")
	if form.Get("digest") != "at_once" || len(form["page"]) != 6 || len(form["mail"]) != 5 {
		t.Errorf("the defaults: %v", form)
	}
	form["page"], form["mail"] = []string{"needs_me"}, nil
	form.Set("digest", "daily")
	got := b.do(b.request("POST", "/account/notifications", form)).has("Saved.").form("/account/notifications")
	if got.Get("digest") != "daily" || len(got["page"]) != 1 || got.Get("page") != "needs_me" || got.Has("mail") {
		t.Errorf("saved: %v", got)
	}
	if s.historyOf("user.notifications_set") != 1 {
		t.Error("history doesn't know")
	}
	b.submit(b.get("/account/notifications"), "/account/notifications", "digest", "never").is(422).has("Choose from what is listed")
	b.submit(b.get("/account/notifications"), "/account/notifications", "mail", "everything").is(422)
}

func TestChannelPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var mu sync.Mutex
	status := 200
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(receiver.Close)
	host := receiver.Listener.Addr().String()
	s.tell(notify.Settings{Receivers: outbound.Rules{Private: []string{host}}})
	const at = "/settings/notifications"
	b := s.as("Ada", access.Admin)
	b.get(at).is(200).has("No channels yet", "no mail is sent")
	b.submit(b.get(at), at, "name", " ", "secret.url", "http://169.254.169.254/"+canary, "kind", "pigeon", "topics", "gossip").is(422).
		has("Enter a name", "must begin with https", "Choose from what is listed", "Choose at least one of these")

	form := b.get(at).form(at)
	form.Set("name", "Our hook")
	form.Set("kind", "webhook")
	form.Set("secret.url", receiver.URL+"/"+canary+"-tail")
	form["topics"] = []string{"outcome", "break_glass"}
	shown := b.do(b.request("POST", at, form)).is(200).has("It is shown only now", "Our hook", "Signed webhook", host+"/…tail", "Outcomes, Break-glass")
	key := regexp.MustCompile(`whk_[0-9A-Z]{40}`).FindString(shown.body)
	if key == "" || shown.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the key is %q", key)
	}
	page := b.get(at).is(200)
	test, _ := page.doc.Find(`form[action$="/test"]`).Attr("action")
	b.submit(page, test).has("A test went to Our hook")
	mu.Lock()
	status = 500
	mu.Unlock()
	b.submit(b.get(at), test).is(422).has("The test was not delivered", "The receiver answered 500", "Last failure")
	auditor := s.as("Ayo", access.Auditor).get(at).is(200).has("Our hook")
	if auditor.doc.Find("main form").Length() != 0 {
		t.Error("an auditor is offered something")
	}
	for _, page := range []*reply{auditor, b.get(at), b.get("/history")} {
		if strings.Contains(page.body, canary) || strings.Contains(page.body, key) {
			t.Errorf("%s shows an address or a key", page.url)
		}
	}
	b.submit(b.get(at), strings.TrimSuffix(test, "/test")+"/remove").has("Removed Our hook", "No channels yet")
	b.do(b.request("POST", test, url.Values{})).is(403)
}
