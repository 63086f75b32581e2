package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

func (h *house) addChannel(by access.Reader, kind string, k *hook) (notify.Channel, secret.Value) {
	h.T.Helper()
	c, key, err := h.notify.AddChannel(h.T.Context(), by, notify.ChannelInput{Kind: kind, Name: "Our " + kind, URL: secret.New(k.url), Topics: notify.Topics()})
	h.must(err)
	return c, key
}

// A receiver can tell by the documented signature that a message is ours.
func TestSignedWebhook(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	emil, ada := h.Person("Emil", access.Editor), h.Person("Ada", access.Admin)
	h.run()
	c, key := h.addChannel(ada, notify.Webhook, k)
	id := h.submit(emil, "Widen scopes")
	h.until("a post arrives", func() bool { return len(k.all()) == 1 })
	got := k.all()[0]
	at, signature, ok := strings.Cut(strings.TrimPrefix(got.header.Get("Gatehouse-Signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(at + "." + got.body))
	if !ok || signature != hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("the signature is wrong: %v", got.header)
	}
	if !strings.HasPrefix(got.header.Get("Gatehouse-Delivery"), c.ID+"-") {
		t.Errorf("headers: %v", got.header)
	}
	var body struct {
		Event, Text, URL, By string
		Request              struct{ ID, Title, State string }
		Project              struct{ Name, Environment string }
	}
	h.must(json.Unmarshal([]byte(got.body), &body))
	if body.Event != "change.submitted" || body.Request.ID != id || body.Request.State != "in_review" || body.URL != public+"/changes/"+id || body.Project.Environment != "staging" || body.By != "Emil" {
		t.Errorf("body: %s", got.body)
	}
}

// A receiver that fails gets everything later, in order; one that goes on failing
// is given up, and others don't wait for it.
func TestRetry(t *testing.T) {
	bad, good := newHook(t), newHook(t)
	h := newHouse(t, bad.addr, good.addr)
	emil, ada := h.Person("Emil", access.Editor), h.Person("Ada", access.Admin)
	h.run()
	bad.answer(500, 503, 500)
	c, _ := h.addChannel(ada, notify.Webhook, bad)
	h.addChannel(ada, notify.Slack, good)
	titles := []string{"One", "Two", "Three"}
	for _, title := range titles {
		h.submit(emil, title)
	}
	h.until("all arrive", func() bool { return len(bad.all()) == 6 && len(good.all()) == 3 })
	h.quiet()
	for i, want := range []string{"One", "One", "One", "One", "Two", "Three"} {
		if got := bad.all()[i].body; !strings.Contains(got, `"title":"`+want+`"`) {
			t.Errorf("post %d is %s, want %s", i, got, want)
		}
	}
	c, err := h.Store.Channel(t.Context(), c.ID)
	h.must(err)
	if c.Health.OKAt.IsZero() || c.Health.FailedAt.IsZero() || c.Health.Problem != "The receiver answered 500." {
		t.Errorf("health: %+v", c.Health)
	}

	bad.answer(500, 500, 500, 500, 500, 500, 500, 500)
	h.submit(emil, "Four")
	h.until("it is given up", func() bool {
		pending, err := h.notify.Pending(t.Context(), 10)
		h.must(err)
		return len(pending) == 1 && pending[0].GivenUp && pending[0].Tries == 8 && pending[0].To == "Our webhook" && len(bad.all()) == 14
	})
	h.submit(emil, "Five")
	h.until("what follows arrives", func() bool { return len(bad.all()) == 15 && strings.Contains(bad.all()[14].body, "Five") })
}

// What waits longer and longer is spread over about a day.
func TestBackOff(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.settings.Retry = notify.DefaultRetry
	emil, ada := h.Person("Emil", access.Editor), h.Person("Ada", access.Admin)
	h.run()
	k.answer(500, 500, 500, 500, 500, 500, 500, 500)
	h.addChannel(ada, notify.Slack, k)
	h.submit(emil, "One")
	var waited time.Duration
	for tries := 1; ; tries++ {
		var left time.Duration
		gone := false
		h.until("a try", func() bool {
			pending, err := h.notify.Pending(t.Context(), 10)
			h.must(err)
			if len(pending) != 1 || pending[0].Tries != tries {
				return false
			}
			left, gone = pending[0].Due.Sub(h.now()), pending[0].GivenUp
			return true
		})
		if gone {
			break
		}
		waited += left
		h.forward(left + time.Second)
	}
	if n := len(k.all()); n != 8 || waited < 16*time.Hour || waited > 26*time.Hour {
		t.Errorf("%d tries in %s", n, waited)
	}
}

// Outbound rules: no redirects, no addresses that aren't public, https only.
func TestOutbound(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	ada := h.Person("Ada", access.Admin)
	h.open()
	for _, url := range []string{
		"http://example.com/x", "https://169.254.169.254/latest/meta-data", "https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.1/", "https://[::1]/",
		"https://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/", "https://100.64.0.1/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:a9fe:a9fe::]/", "https://0.0.0.0/",
		"https://user:pass@example.com/", "ftp://example.com/", "//example.com", "", "https://", strings.Replace(k.url, "127.0.0.1", "127.0.0.2", 1),
	} {
		_, _, err := h.notify.AddChannel(t.Context(), ada, notify.ChannelInput{Kind: notify.Webhook, Name: "n", URL: secret.New(url), Topics: notify.Topics()})
		if p := problem.Of(err); p == nil || p.Fields["url"] == "" {
			t.Errorf("%s was taken: %v", url, err)
		}
	}
	c, _ := h.addChannel(ada, notify.Webhook, k)
	k.answer(302)
	if _, err := h.notify.Test(t.Context(), ada, c.ID); err == nil || !strings.Contains(err.Error(), "not followed") || len(k.all()) != 1 {
		t.Errorf("a redirect: %v, %d posts", err, len(k.all()))
	}
	// A name is judged by what it stands for when it is used: here the list shrinks.
	h.settings.Receivers.Private = nil
	h.open()
	if _, err := h.notify.Test(t.Context(), ada, c.ID); err == nil || len(k.all()) != 1 {
		t.Errorf("a private address was posted to: %v", err)
	}
	_, _, err := h.notify.AddChannel(t.Context(), ada, notify.ChannelInput{Kind: notify.Webhook, Name: "by name", URL: secret.New("https://localtest.me.invalid/"), Topics: notify.Topics()})
	h.must(err)
	h.settings.Receivers.Closed = true
	h.open()
	_, _, err = h.notify.AddChannel(t.Context(), ada, notify.ChannelInput{Kind: notify.Webhook, Name: "closed", URL: secret.New("https://hooks.example.com/"), Topics: notify.Topics()})
	if p := problem.Of(err); p == nil || p.Fields["url"] == "" {
		t.Errorf("the closed house took a receiver: %v", err)
	}
}

// Every write has its entry, only admins write, and addresses and keys are nowhere
// in the clear.
func TestChannelsAreSealed(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	emil, ada := h.Person("Emil", access.Editor), h.Person("Ada", access.Admin)
	h.run()
	c, key := h.addChannel(ada, notify.Webhook, k)
	if c.Last4 != "tail" || c.Host != k.addr {
		t.Errorf("shown: %+v", c)
	}
	k.answer(500)
	if _, err := h.notify.Test(t.Context(), ada, c.ID); err == nil {
		t.Error("a test that failed is said to be good")
	}
	_, err := h.notify.Test(t.Context(), ada, c.ID)
	h.must(err)
	h.happens(h.submit(emil, "One"), change.Cancelled, step{emil.Actor(), "change.cancelled", nil})
	h.quiet()
	if _, _, err := h.notify.AddChannel(t.Context(), ada, notify.ChannelInput{Kind: notify.Slack, Name: "Our webhook", URL: secret.New(k.url), Topics: notify.Topics()}); problem.Of(err) == nil || problem.Of(err).Fields["name"] == "" {
		t.Errorf("a name was given twice: %v", err)
	}
	if _, err := h.notify.RemoveChannel(t.Context(), emil, c.ID); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an editor removed a channel: %v", err)
	}
	_, err = h.notify.RemoveChannel(t.Context(), ada, c.ID)
	h.must(err)
	var outcomes []string
	for _, e := range h.History(store.HistoryQuery{}) {
		if strings.HasPrefix(e.Action, "channel.") {
			outcomes = append(outcomes, e.Action+" "+e.Outcome)
		}
	}
	if got := strings.Join(outcomes, ", "); got != "channel.removed ok, channel.tested ok, channel.tested "+audit.Failed+", channel.added ok" {
		t.Errorf("history: %s", got)
	}
	h.stop()
	files, err := filepath.Glob(filepath.Join(h.Dir, "*"))
	h.must(err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && (strings.Contains(string(data), canary+"-tail") || strings.Contains(string(data), key.Reveal())) {
			t.Errorf("%s holds an address or a key", filepath.Base(file))
		}
	}
	if log := h.Log.String(); strings.Contains(log, canary) || strings.Contains(log, key.Reveal()) {
		t.Error("the log holds an address or a key")
	}
}

// A channel that can't be connected to tells nothing of its address.
func TestUnreachableChannel(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, "127.0.0.1:1")
	ada := h.Person("Ada", access.Admin)
	h.open()
	k.url = "http://127.0.0.1:1/" + canary
	c, _ := h.addChannel(ada, notify.Slack, k)
	_, err := h.notify.Test(t.Context(), ada, c.ID)
	if !problem.Is(err, problem.Unavailable) || strings.Contains(err.Error()+h.Log.String(), canary) {
		t.Errorf("%v\n%s", err, h.Log)
	}
}
