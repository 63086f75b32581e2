package notify_test

import (
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// A test goes to oneself. Signing in with a wrong password fails, and a server
// without TLS gets nothing where TLS is asked for.
func TestMailServer(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("Ada", access.Admin)
	try := func(m notify.Mail) error {
		m.Addr, m.From = h.mails.addr, "gatehouse@example.com"
		h.must(m.Check())
		h.settings.Mail = m
		h.open()
		_, err := h.notify.Test(t.Context(), ada, notify.MailChannel)
		return err
	}
	h.must(try(notify.Mail{TLS: notify.NoTLS}))
	if got := h.mails.to(ada); len(got) != 1 || got[0].header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("mails: %+v", got)
	}
	h.must(try(notify.Mail{TLS: notify.NoTLS, User: "gate", Password: secret.New("right")}))
	if h.mails.user != "gate" {
		t.Errorf("signed in as %q", h.mails.user)
	}
	for _, m := range []notify.Mail{
		{TLS: notify.NoTLS, User: "gate", Password: secret.New(canary)}, {TLS: notify.StartTLS}, {TLS: notify.TLS}, {},
	} {
		if err := try(m); !problem.Is(err, problem.Unavailable) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if n := len(h.mails.all()); n != 2 {
		t.Errorf("%d mails arrived, want 2", n)
	}
	if strings.Contains(h.Log.String(), canary) {
		t.Error("the log holds a password")
	}
	if n := len(h.History(store.HistoryQuery{Action: "channel.tested"})); n != 6 {
		t.Errorf("%d tests in history", n)
	}
}

func TestMailSettings(t *testing.T) {
	for _, m := range []notify.Mail{
		{Addr: "mail.example.com", From: "a@example.com"}, {Addr: "mail.example.com:x", From: "a@example.com"}, {Addr: ":25", From: "a@example.com"},
		{Addr: "mail.example.com:25"}, {Addr: "mail.example.com:25", From: "a@example.com\r\nBcc: b@example.com"},
		{Addr: "mail.example.com:25", From: "a@example.com", User: "u"}, {Addr: "mail.example.com:25", From: "a@example.com", Password: secret.New("p")},
		{Addr: "mail.example.com:25", From: "a@example.com", User: "u", Password: secret.New("p"), TLS: notify.NoTLS},
	} {
		if m.Check() == nil {
			t.Errorf("%+v passed", m)
		}
	}
	for _, m := range []notify.Mail{{}, {Addr: "mail.example.com:587", From: "Gatehouse <a@example.com>", User: "u", Password: secret.New("p")}} {
		if err := m.Check(); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
	}
}
