package sink_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/mattn/go-sqlite3" // a second connection

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
)

// A receiver that is down for a day loses nothing, and gets everything in order.
func TestDownForADay(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.settings.Retry = sink.DefaultRetry
	h.run()
	added, key := h.add(sink.Input{Kind: sink.HTTPS, Address: secret.New(k.url)})
	h.done(added.ID, h.head())
	k.down.Store(true)
	for hour := range 24 {
		if hour == 12 { // a restart in between forgets nothing
			h.stop()
			h.run()
		}
		h.record(h.edited(fmt.Sprint("at ", hour)), h.edited("and again"))
		for range 3 {
			before := k.refuse.Load()
			h.forward(20 * time.Minute)
			h.until("a try", func() bool { return k.refuse.Load() > before })
			h.until("it is noted", func() bool { return h.sink(added.ID).Health.Due.After(h.now()) })
		}
	}
	failing := h.sink(added.ID)
	if failing.Health.Problem != "The receiver answered 503." || failing.Health.Tries < 72 || failing.Health.Due.Sub(h.now()) > 13*time.Minute {
		t.Errorf("after a day: %+v", failing.Health)
	}
	status, err := h.sinks.Sinks(t.Context())
	h.must(err)
	if status[0].Behind != 48 || status[0].Since.IsZero() {
		t.Errorf("behind: %+v", status[0])
	}
	k.down.Store(false)
	h.forward(20 * time.Minute)
	h.done(added.ID, h.head())
	if diff := cmp.Diff(span(1, h.head()), h.seqs(k.text())); diff != "" {
		t.Error(diff)
	}
	for _, p := range k.all() {
		at, signature, _ := strings.Cut(strings.TrimPrefix(p.header.Get("Gatehouse-Signature"), "t="), ",v1=")
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		mac.Write([]byte(at + "." + p.body))
		seqs := h.seqs(p.body)
		if want := fmt.Sprintf("%s-%d-%d", added.ID, seqs[0], seqs[len(seqs)-1]); p.header.Get("Gatehouse-Delivery") != want || signature != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("headers: %v, want %s", p.header, want)
		}
	}
}

// What was changed of a sink holds from the next delivery on; nothing is skipped,
// and history doesn't tell the address.
func TestEdit(t *testing.T) {
	old, next := newHook(t), newHook(t)
	h := newHouse(t, old.addr, next.addr)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.HTTPS, Address: secret.New(old.url)})
	h.done(added.ID, h.head())
	old.down.Store(true)
	first := h.record(h.edited("while it is away"))
	_, err := h.sinks.Edit(t.Context(), h.ada, added.ID, sink.Input{Name: "New", Format: sink.Native, Filter: "action:auth_config.updated", Address: secret.New(next.url)})
	h.must(err)
	h.done(added.ID, h.head())
	if diff := cmp.Diff([]int64{first}, h.seqs(next.text())); diff != "" {
		t.Error(diff)
	}
	if _, err = h.sinks.Edit(t.Context(), h.ada, added.ID, sink.Input{Name: "New", Format: sink.OCSF, Personal: true}); err != nil {
		t.Fatal(err)
	}
	h.record(h.edited("again"))
	h.done(added.ID, h.head())
	if text := next.text(); !strings.Contains(text, `"class_uid":3004`) {
		t.Errorf("not OCSF: %s", text)
	}
	k := h.sink(added.ID)
	if k.Kind != sink.HTTPS || k.Filter != "" || !k.Personal || k.Name != "New" {
		t.Errorf("changed to %+v", k)
	}
	for _, in := range []sink.Input{{Name: "New", Format: sink.OCSF, Personal: true}, {Name: " ", Format: sink.OCSF}, {Name: "New", Format: "xml"}, {Name: "New", Format: sink.OCSF, Address: secret.New("http://169.254.169.254/")}} {
		if _, err := h.sinks.Edit(t.Context(), h.ada, added.ID, in); !problem.Is(err, problem.Invalid) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	if _, err := h.sinks.Edit(t.Context(), h.Person("Vera", access.Auditor), added.ID, sink.Input{Name: "Mine", Format: sink.OCSF}); !problem.Is(err, problem.Forbidden) {
		t.Error(err)
	}
	rows, err := h.Store.HistoryAfter(t.Context(), 0, 1000)
	h.must(err)
	for _, r := range rows {
		if strings.Contains(string(r.Body), canary) {
			t.Errorf("history tells the address: %s", r.Body)
		}
	}
}

// Replay from an entry delivers each from there once more, in order, also while
// deliveries are under way.
func TestReplay(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.HTTPS, Address: secret.New(k.url)})
	var events []audit.Event
	for i := range 20 {
		events = append(events, h.edited(strconv.Itoa(i)))
	}
	last := h.record(events...)
	h.done(added.ID, last)
	if diff := cmp.Diff(span(1, last), h.seqs(k.text())); diff != "" {
		t.Fatal(diff)
	}
	_, err := h.sinks.Pause(t.Context(), h.ada, added.ID)
	h.must(err)
	cursor := h.sink(added.ID).Cursor
	h.record(h.edited("while it is paused"))
	from := last - 7
	_, err = h.sinks.Replay(t.Context(), h.ada, added.ID, from)
	h.must(err)
	if n := len(h.seqs(k.text())); int64(n) != cursor {
		t.Errorf("%d entries after a pause at %d", n, cursor)
	}
	_, err = h.sinks.Resume(t.Context(), h.ada, added.ID)
	h.must(err)
	h.done(added.ID, h.head())
	if diff := cmp.Diff(append(span(1, cursor), span(from, h.head())...), h.seqs(k.text())); diff != "" {
		t.Error(diff)
	}
	for _, n := range []int64{0, -1, h.head() + 1} {
		if _, err := h.sinks.Replay(t.Context(), h.ada, added.ID, n); problem.Of(err) == nil || problem.Of(err).Fields["from"] == "" {
			t.Errorf("replay from %d: %v", n, err)
		}
	}
	e := h.History(store.HistoryQuery{Action: "sink.replayed"})
	if len(e) != 1 || e[0].Detail["from_entry"] != strconv.FormatInt(from, 10) || e[0].Actor.ID != h.ada.ID {
		t.Errorf("history: %+v", e)
	}
}

// A cursor that was set by hand isn't moved by a delivery that began before.
func TestReplayDuringADelivery(t *testing.T) {
	h := newHouse(t)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.File, Address: secret.New("a.jsonl")})
	h.done(added.ID, h.head())
	before := h.sink(added.ID)
	_, err := h.sinks.Pause(t.Context(), h.ada, added.ID)
	h.must(err)
	_, err = h.sinks.Replay(t.Context(), h.ada, added.ID, 1)
	h.must(err)
	moved, err := h.Store.SinkDelivered(t.Context(), before, before.Cursor, true)
	h.must(err)
	if k := h.sink(added.ID); moved || k.Cursor != 0 {
		t.Errorf("moved %v, cursor %d", moved, k.Cursor)
	}
}

// Receivers that never answer, answer slowly, or answer garbage delay nobody but
// themselves, and lose nothing.
func TestBadReceivers(t *testing.T) {
	good := newHook(t)
	end := make(chan struct{})
	bad := map[string]http.HandlerFunc{
		"in time": func(http.ResponseWriter, *http.Request) { <-end },
		"in time ": func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				case <-time.After(20 * time.Millisecond):
				}
				if _, err := fmt.Fprint(w, "x"); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
			}
		},
		"answered 500": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, strings.Repeat(canary, 1<<20))
		},
		"not followed": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, good.url, http.StatusTemporaryRedirect)
		},
		"can't be reached": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "\x00\xff garbage "+canary+"\r\n\r\n")
				_ = conn.Close()
			}
		},
		"can't be reached ": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		},
	}
	var private []string
	servers := map[string]*httptest.Server{}
	for why, handler := range bad {
		servers[why] = httptest.NewServer(handler)
		private = append(private, servers[why].Listener.Addr().String())
	}
	t.Cleanup(func() {
		close(end)
		for _, s := range servers {
			s.Close()
		}
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and nothing else
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	h := newHouse(t, append(private, good.addr, silent.Addr().String())...)
	h.settings.Receivers.Timeout = 500 * time.Millisecond
	h.run()
	ids := map[string]string{}
	for why, server := range servers {
		k, _ := h.add(sink.Input{Kind: sink.HTTPS, Name: "http " + server.URL, Address: secret.New(server.URL)})
		ids[k.ID] = strings.TrimSpace(why)
	}
	for _, kind := range []string{sink.SyslogTCP, sink.SyslogTLS} {
		k, _ := h.add(sink.Input{Kind: kind, Address: secret.New(silent.Addr().String())})
		ids[k.ID] = "in time"
	}
	k, _ := h.add(sink.Input{Kind: sink.HTTPS, Name: "good", Address: secret.New(good.url)})
	last := h.record(h.edited("x"))
	h.done(k.ID, last)
	for id, why := range ids {
		h.until(why, func() bool {
			k := h.sink(id).Health
			return k.Tries > 1 && strings.Contains(k.Problem, why)
		})
		if k := h.sink(id); k.Cursor != 0 {
			t.Errorf("%s has moved: %+v", k.Name, k)
		}
	}
	if diff := cmp.Diff(span(1, last), h.seqs(good.text())[:last]); diff != "" {
		t.Error(diff)
	}
	h.stop()
	if strings.Contains(h.Log.String(), canary) {
		t.Error("the log holds an answer or an address")
	}
}

// What a filter keeps back is passed over, and isn't behind.
func TestFilter(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.HTTPS, Address: secret.New(k.url), Filter: "config:github-prod action:auth_config -outcome:failed"})
	h.record(h.edited("slack"))
	want := h.record(h.edited("github-prod"))
	last := h.record(h.edited("jira"))
	h.done(added.ID, last)
	if diff := cmp.Diff([]int64{want}, h.seqs(k.text())); diff != "" {
		t.Error(diff)
	}
}

// A filter with dates would pass over what happens while a receiver is away. None
// is taken, and a sink that has one delivers nothing and says so.
func TestFilterWithDates(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.run()
	for _, filter := range []string{"after:1d", "after:7d before:2026-11-17", "action:auth_config -before:2020"} {
		_, _, err := h.sinks.Add(t.Context(), h.ada, sink.Input{Kind: sink.File, Name: "n", Format: sink.Native, From: sink.FromNow, Address: secret.New("x"), Filter: filter})
		if p := problem.Of(err); p == nil || !strings.Contains(p.Fields["filter"], "after:") {
			t.Errorf("%s was taken: %v", filter, err)
		}
	}
	old := sink.Sink{ID: "snk_1", Kind: sink.HTTPS, Name: "Old", Format: sink.Native, Filter: "after:1d", Address: []byte{1}}
	h.must(h.Store.AddSink(t.Context(), old, audit.Event{Actor: h.ada.Actor(), Action: "sink.added"}))
	h.record(h.edited("slack"))
	h.until("it says so", func() bool { return strings.Contains(h.sink(old.ID).Health.Problem, "after:") })
	if got := h.sink(old.ID); got.Cursor != 0 || got.Health.Tries == 0 {
		t.Errorf("it went on: %+v", got)
	}
}

// A sink stops before an entry that can't be read, has what comes before it, and
// says why it stopped.
func TestUnreadable(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.record(h.edited("github-prod"))
	bad := h.record(h.edited("slack"))
	h.record(h.edited("jira"))
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(h.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
	h.must(err)
	defer func() { _ = db.Close() }() // only for the test
	_, err = db.ExecContext(t.Context(), "DROP TRIGGER history_no_update; UPDATE history SET body = x'78' WHERE seq = ?", bad)
	h.must(err)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.HTTPS, Address: secret.New(k.url)})
	h.until("it says so", func() bool { return strings.Contains(h.sink(added.ID).Health.Problem, "can't be read") })
	if got := h.sink(added.ID).Cursor; got != bad-1 {
		t.Errorf("it has everything up to %d, and %d can't be read", got, bad)
	}
	if diff := cmp.Diff(span(1, bad-1), h.seqs(k.text())); diff != "" {
		t.Error(diff)
	}
	if all, err := h.sinks.Sinks(t.Context()); err != nil || len(all) != 1 || all[0].Behind == 0 {
		t.Errorf("the list: %+v, %v", all, err)
	}
}

// A long history goes in parts, none of which is large.
func TestParts(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	for range 40 {
		h.record(h.edited(strings.Repeat("long ", 4000)))
	}
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.HTTPS, Address: secret.New(k.url)})
	h.done(added.ID, h.head())
	for _, p := range k.all() {
		if len(p.body) > 300<<10 {
			t.Errorf("a body of %d bytes", len(p.body))
		}
	}
	if diff := cmp.Diff(span(1, h.head()), h.seqs(k.text())); diff != "" || len(k.all()) < 3 {
		t.Errorf("%d parts: %s", len(k.all()), diff)
	}
}

// Only admins may, everything has its entry, complaints come by field, and
// addresses and keys are nowhere in the clear.
func TestAdmin(t *testing.T) {
	k := newHook(t)
	h := newHouse(t, k.addr)
	h.run()
	emil := h.Person("Emil", access.Editor, access.Auditor)
	if _, _, err := h.sinks.Add(t.Context(), emil, sink.Input{}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an auditor added a sink: %v", err)
	}
	for address, kind := range map[string]string{
		"http://example.com/x": sink.HTTPS, "https://10.0.0.1/": sink.HTTPS, "": sink.File, "../x": sink.File, "a/b": sink.File, ".hidden": sink.File,
		"logs.example.com:514": sink.SyslogTCP, "127.0.0.1:6514": sink.SyslogTLS, "localhost:6514": sink.SyslogTLS, "logs.example.com": sink.SyslogTLS, "x:0": sink.SyslogTLS, ":1": sink.SyslogTLS,
	} {
		_, _, err := h.sinks.Add(t.Context(), h.ada, sink.Input{Kind: kind, Name: "n", Format: sink.OCSF, From: sink.FromNow, Address: secret.New(address)})
		if p := problem.Of(err); p == nil || p.Fields["address"] == "" || len(p.Fields) != 1 {
			t.Errorf("%s %q was taken: %v", kind, address, err)
		}
	}
	_, _, err := h.sinks.Add(t.Context(), h.ada, sink.Input{Kind: "pigeon", Format: "poem", From: "yesterday", Filter: strings.Repeat("x", 10_000)})
	if p := problem.Of(err); p == nil || len(p.Fields) != 5 {
		t.Errorf("complaints: %+v", p)
	}
	_, _, err = h.sinks.Add(t.Context(), h.ada, sink.Input{Kind: sink.File, Name: "n", Format: sink.OCSF, From: sink.FromNow, Address: secret.New("x"), Filter: "colour:red"})
	if p := problem.Of(err); p == nil || !strings.Contains(p.Fields["filter"], "colour") {
		t.Errorf("a filter that means nothing was taken: %+v", p)
	}
	added, key := h.add(sink.Input{Kind: sink.HTTPS, Name: "SIEM", Address: secret.New(k.url), From: sink.FromNow})
	if added.Shown != k.addr+"/…tail" || added.Cursor != h.head()-1 {
		t.Errorf("added: %+v", added)
	}
	if _, _, err := h.sinks.Add(t.Context(), h.ada, sink.Input{Kind: sink.File, Name: "SIEM", Format: sink.Native, From: sink.FromNow, Address: secret.New("x")}); problem.Of(err) == nil || problem.Of(err).Fields["name"] == "" {
		t.Errorf("a name was given twice: %v", err)
	}
	k.down.Store(true)
	if _, err := h.sinks.Test(t.Context(), h.ada, added.ID); !problem.Is(err, problem.Unavailable) {
		t.Errorf("a test that failed is said to be good: %v", err)
	}
	k.down.Store(false)
	_, err = h.sinks.Test(t.Context(), h.ada, added.ID)
	h.must(err)
	if _, err := h.sinks.Resume(t.Context(), h.ada, added.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("resumed what runs: %v", err)
	}
	_, err = h.sinks.Pause(t.Context(), h.ada, added.ID)
	h.must(err)
	_, err = h.sinks.Remove(t.Context(), h.ada, added.ID)
	h.must(err)
	if _, err := h.sinks.Pause(t.Context(), h.ada, added.ID); !problem.Is(err, problem.NotFound) {
		t.Errorf("paused what is gone: %v", err)
	}
	var got []string
	for _, e := range h.History(store.HistoryQuery{}) {
		if strings.HasPrefix(e.Action, "sink.") {
			got = append(got, e.Action+" "+e.Outcome)
		}
	}
	if diff := cmp.Diff([]string{"sink.removed ok", "sink.paused ok", "sink.tested ok", "sink.tested " + audit.Failed, "sink.added ok"}, got); diff != "" {
		t.Error(diff)
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

// Who writes into the database that a sink has everything doesn't starve it: what
// was delivered is known, and after a start the sink fails until it is replayed.
func TestCursorTooFar(t *testing.T) {
	h := newHouse(t)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.File, Address: secret.New("a.jsonl")})
	h.done(added.ID, h.head())
	meddle := func() {
		db, err := sql.Open("sqlite3", filepath.Join(h.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
		h.must(err)
		_, err = db.ExecContext(t.Context(), "UPDATE sink_progress SET cursor = 1000000")
		h.must(errors.Join(err, db.Close()))
	}
	text := func() string {
		b, err := os.ReadFile(filepath.Join(h.settings.Dir, "a.jsonl"))
		h.must(err)
		return string(b)
	}
	meddle()
	if err := h.Store.CheckProgress(t.Context()); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("it isn't noticed: %v", err)
	}
	last := h.record(h.edited("kept from the receiver"))
	h.until("the entry goes out", func() bool { return h.sink(added.ID).Cursor == last })
	if diff := cmp.Diff(span(1, last), h.seqs(text())); diff != "" {
		t.Error(diff)
	}
	h.must(h.Store.CheckProgress(t.Context()))
	h.stop()
	meddle()
	h.run()
	last = h.record(h.edited("kept from the receiver too"))
	h.until("the sink fails", func() bool { return strings.Contains(h.sink(added.ID).Health.Problem, "Replay") })
	_, err := h.sinks.Replay(t.Context(), h.ada, added.ID, last)
	h.must(err)
	h.done(added.ID, last)
	h.until("replayed", func() bool { return h.sink(added.ID).Cursor == h.head() })
	if diff := cmp.Diff(span(1, h.head()), h.seqs(text())); diff != "" {
		t.Error(diff)
	}
}
