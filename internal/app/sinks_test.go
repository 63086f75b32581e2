package app

import (
	"context"
	"encoding/json"
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
	"gatehouse/internal/outbound"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
)

func TestSinkPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var mu sync.Mutex
	status, got := 200, map[int64]int{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
		lines := json.NewDecoder(r.Body)
		var line struct{ Seq int64 }
		for status == 200 && lines.Decode(&line) == nil {
			got[line.Seq]++
		}
	}))
	t.Cleanup(receiver.Close)
	host := receiver.Listener.Addr().String()
	s.server.sinks = streamer(s.Rig, sink.Settings{Retry: time.Hour, Receivers: outbound.Rules{Private: []string{host}}})
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() { s.server.sinks.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		loop.Wait()
	})
	b := s.as("Ada", access.Admin)
	b.get(sinksPath).is(200).has("No sinks yet")
	b.submit(b.get(sinksPath), sinksPath, "name", " ", "secret.address", "http://169.254.169.254/"+canary, "kind", "https").is(422).
		has("Enter a name", "must begin with https")

	shown := b.submit(b.get(sinksPath), sinksPath, "name", "SIEM", "secret.address", receiver.URL+"/"+canary+"-tail", "from", "start").is(200).
		has("It is shown only now", "SIEM", "Signed HTTPS posts", host+"/…tail", "without personal data")
	key := regexp.MustCompile(`whk_[0-9A-Z]{40}`).FindString(shown.body)
	if key == "" || shown.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the key is %q", key)
	}
	s.streamed()
	page := b.get(sinksPath).is(200).has("Up to date")
	test, _ := page.doc.Find(`form[action$="/test"]`).Attr("action")
	path := strings.TrimSuffix(test, "/test")
	b.submit(page, test).has("A test went to SIEM")
	s.streamed()
	mu.Lock()
	status = 500
	mu.Unlock()
	b.submit(b.get(sinksPath), test).is(422).has("The test was not delivered", "The receiver answered 500", "Last failure")
	failing := s.sinkIs("it fails", func(k sink.Status) bool { return k.Health.Tries > 0 })
	if err := s.Store.SinkFailed(t.Context(), failing, "The receiver answered 500.", triesBeforeAlarm, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.get("/").has("History does not arrive: The receiver answered 500.", "for the sink SIEM")
	b.submit(b.get(sinksPath), path+"/pause").has("Paused SIEM", "waits")
	b.submit(b.get(sinksPath), path+"/replay", "entry", "0").is(422).has("Nothing is delivered again", "Enter a number from 1")
	b.submit(b.get(sinksPath), path+"/replay", "entry", "x").is(422)
	b.submit(b.get(sinksPath), path+"/replay", "entry", "2").has("Delivering from entry 2 again", "Has everything up to entry 1")
	mu.Lock()
	status = 200
	mu.Unlock()
	b.submit(b.get(sinksPath), path+"/resume").has("Resumed SIEM")
	s.streamed()
	head, err := s.Store.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if got[1] != 1 || got[2] != 2 || got[3] != 2 || int64(len(got)) != head.Seq+1 { // tests are number 0
		t.Errorf("delivered: %v", got)
	}
	mu.Unlock()
	auditor := s.as("Ayo", access.Auditor).get(sinksPath).is(200).has("SIEM")
	if auditor.doc.Find("main form").Length() != 0 {
		t.Error("an auditor is offered something")
	}
	for _, page := range []*reply{auditor, b.get(sinksPath), b.get("/history")} {
		if strings.Contains(page.body, canary) || strings.Contains(page.body, key) {
			t.Errorf("%s shows an address or a key", page.url)
		}
	}
	b.submit(b.get(sinksPath), path+"/remove").has("Removed SIEM", "No sinks yet")
	b.do(b.request("POST", test, url.Values{})).is(403)
	for _, action := range []string{"added", "tested", "paused", "replayed", "resumed", "removed"} {
		if s.historyOf("sink."+action) == 0 {
			t.Error("history doesn't know of sink." + action)
		}
	}
}

// A sink is changed by a form that never shows its address; what was typed comes
// back with complaints.
func TestSinkEdit(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.server.sinks = streamer(s.Rig, sink.Settings{Dir: t.TempDir()})
	b := s.as("Ada", access.Admin)
	path := sinkPath(s.someSink()) + "/edit"
	b.submit(b.get(sinksPath), sinksPath, "name", "Other", "secret.address", "other.jsonl", "kind", "file")
	form := b.get(path).is(200).has("Edit Archive", "File to archive.jsonl")
	if value, there := form.doc.Find(`input[name="secret.address"]`).Attr("value"); there && value != "" {
		t.Errorf("the form shows the address %q", value)
	}
	b.submit(form, path).is(422).has("nothing was changed")
	taken := b.submit(b.get(path), path, "name", "Other", "filter", "is:drift").is(422).has("Another sink has this name", "Edit Archive")
	if typed := taken.form(path).Get("filter"); typed != "is:drift" {
		t.Errorf("what was typed comes back as %q", typed)
	}
	b.submit(b.get(path), path, "filter", "after:7d").is(422).has("can't have after:")
	b.submit(b.get(path), path, "secret.address", "../up").is(422).has("Enter a name such as")
	b.submit(b.get(path), path, "name", "Vault", "filter", "actor:nobody@example.com", "format", "ocsf", "personal", "yes", "secret.address", "vault.jsonl").
		has("Saved Vault", "vault.jsonl", "OCSF", "only actor:nobody@example.com", "with personal data")
	b.submit(b.get(path), path, "filter", "").has("Saved Vault", "vault.jsonl")
	b.get("/history?action=sink.edited").has("edited the sink", "Archive", "Vault", "archive.jsonl")
	vera := s.as("Vera", access.Viewer)
	vera.get(path).is(404)
	if strings.Contains(vera.get("/history").body, "nobody@example.com") {
		t.Error("a viewer reads what a sink filters by")
	}
}

// someSink is the id of a sink.
func (s *site) someSink() string {
	s.T.Helper()
	all, err := s.server.sinks.Sinks(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	if len(all) > 0 {
		return all[0].ID
	}
	added, _, err := s.server.sinks.Add(s.T.Context(), s.Person("Sinker", access.Admin), sink.Input{Kind: sink.File, Name: "Archive", Format: sink.Native, From: sink.FromNow, Address: secret.New("archive.jsonl")})
	if err != nil {
		s.T.Fatal(err)
	}
	return added.ID
}

// sinkIs waits for the first sink to be so.
func (s *site) sinkIs(what string, so func(sink.Status) bool) sink.Sink {
	s.T.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		all, err := s.server.sinks.Sinks(s.T.Context())
		if err != nil || len(all) == 0 {
			s.T.Fatal(all, err)
		}
		if so(all[0]) {
			return all[0].Sink
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.T.Fatalf("%s: waited in vain: %+v", what, all[0])
		}
	}
}

// streamed waits until the first sink has everything.
func (s *site) streamed() {
	s.T.Helper()
	s.sinkIs("it has everything", func(k sink.Status) bool { return k.Behind == 0 })
}
