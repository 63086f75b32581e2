package app

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// A listener is an open event stream.
type listener struct {
	t      *testing.T
	resp   *http.Response
	lines  chan string // closed when the stream ends
	cancel context.CancelFunc
}

const patience = 30 * time.Second

// listen opens a stream, as a browser does.
func (b *browser) listen(t *testing.T) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := b.request("GET", eventsPath, nil).WithContext(ctx)
	r.Header.Set("Accept", eventType)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := b.client.Do(r) //nolint:bodyclose // when the test ends
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, resp: resp, lines: make(chan string, 1000), cancel: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(l.lines)
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			select {
			case l.lines <- in.Text():
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close() // it may have ended
		<-done
	})
	return l
}

// next waits for a line that begins so and returns the rest; false if the stream
// ends before.
func (l *listener) next(prefix string) (string, bool) {
	l.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, open := <-l.lines:
			if !open {
				return "", false
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest, true
			}
		case <-late:
			l.t.Fatalf("no line %q came", prefix)
		}
	}
}

// hears waits for a state other than the one before.
func (l *listener) hears(before string) string {
	l.t.Helper()
	for {
		now, open := l.next("data: ")
		if !open {
			l.t.Fatal("the stream ended")
		}
		if now != before {
			return now
		}
	}
}

// ends waits for the end of the stream.
func (l *listener) ends() {
	l.t.Helper()
	if line, open := l.next("\x00"); open {
		l.t.Fatalf("%q", line)
	}
}

func TestEvents(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	emil := s.Person("Emil", access.Editor)
	b := s.as("Vera", access.Viewer)
	l := b.listen(t)
	h := l.resp.Header
	if l.resp.StatusCode != 200 || h.Get("Content-Type") != eventType || h.Get("Cache-Control") != "no-store" || h.Get("Content-Encoding") != "" {
		t.Fatalf("%d %v", l.resp.StatusCode, h)
	}
	first := l.hears("")
	page := b.get("/")
	if shown, _ := page.doc.Find("[data-as-of]").Attr("data-as-of"); shown != first {
		t.Errorf("the page is as of %q, the stream says %q", shown, first)
	}

	r, err := s.Changes.ProposeSwitch(t.Context(), emil, proposal(s), []string{s.Config(rig.Enabled).ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	second := l.hears(first)
	s.Settled(r.ID)
	if err := s.Mirror.Sync(t.Context(), s.Project.ID); err != nil {
		t.Fatal(err)
	}
	for now := second; now != s.server.asOf(); {
		now = l.hears(now)
	}

	// What no page shows isn't told: the next event is the one after.
	before := s.server.asOf()
	if _, err := s.Store.KeepFormDraft(t.Context(), store.FormDraft{UserID: emil.ID, Path: "/p"}); err != nil {
		t.Fatal(err)
	}
	if s.server.asOf() != before {
		t.Error("a draft of somebody changes every page")
	}
}

// Many commits at once are few events.
func TestEventsAreFew(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	l := s.as("Vera", access.Viewer).listen(t)
	now := l.hears("")
	began := time.Now()
	for range 40 {
		if err := s.Store.FailSignIn(t.Context(), audit.Event{Actor: audit.System(), Action: "session.refused"}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for now != s.server.asOf() {
		now = l.hears(now)
		n++
	}
	if most := int(time.Since(began)/streamGap) + 1; n > most {
		t.Errorf("%d events, at most %d were due", n, most)
	}
}

// Whoever may not be here any more is told nothing more.
func TestEventsEnd(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	var ahead atomic.Int64
	s.server.now = func() time.Time { return rig.Now().Add(time.Duration(ahead.Load())) }
	s.server.beat = 20 * time.Millisecond
	ada := s.as("Ada", access.Admin)
	for name, end := range map[string]func(b *browser, who access.Reader){
		"disabled": func(_ *browser, who access.Reader) {
			ada.submit(ada.get("/people/"+who.ID), "/people/"+who.ID+"/disable").has("is disabled")
		},
		"signedout": func(b *browser, _ access.Reader) { b.submit(b.get("/account"), "/signout").at("/signin") },
		"idle": func(b *browser, _ access.Reader) {
			b.listen(t).hears("") // a stream more is no activity
			ahead.Store(int64(access.SessionIdle + time.Minute))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ahead.Store(0)
			who := s.Person(name, access.Viewer)
			b := s.signedIn(name)
			l := b.listen(t)
			l.hears("")
			if _, open := l.next(":"); !open {
				t.Fatal("no sign of life")
			}
			end(b, who)
			if _, open := l.next("event: ended"); !open {
				t.Error("the browser isn't told why the stream ends")
			}
			l.ends()
		})
	}
	ahead.Store(0)
	r := s.browser().request("GET", eventsPath, nil)
	r.Header.Set("Accept", eventType)
	if got := s.browser().do(r); got.status != http.StatusNoContent {
		t.Errorf("somebody who isn't signed in: %d", got.status)
	}
}

// A stream is no use of the session.
func TestEventsAreNoActivity(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.server.beat = 20 * time.Millisecond
	b := s.as("Vera", access.Viewer)
	key := access.HashToken(b.cookie("sid"))
	seen := func() time.Time {
		one, _, err := s.Store.Session(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return one.LastSeen
	}
	before := seen()
	s.server.now = func() time.Time { return rig.Now().Add(time.Minute) }
	l := b.listen(t)
	for range 3 {
		l.next(":")
	}
	b.header.Set("X-Poll", "1")
	b.get("/")
	if got := seen(); !got.Equal(before) {
		t.Errorf("last seen %v, was %v", got, before)
	}
	b.header.Del("X-Poll")
	if b.get("/"); !seen().After(before) {
		t.Error("a page is no activity either: this test can't fail")
	}
}

func TestEventsLimit(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Vera", access.Viewer)
	var open []*listener
	for range streamsEach {
		open = append(open, b.listen(t))
		open[len(open)-1].hears("")
	}
	if got := b.listen(t).resp.StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("one too many: %d", got)
	}
	s.as("Edda", access.Viewer).listen(t).hears("") // others have their own
	open[0].cancel()
	for deadline := time.Now().Add(patience); ; {
		l := b.listen(t)
		if l.resp.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a closed stream still counts")
		}
	}
}

// A server that stops doesn't wait for its streams.
func TestEventsStop(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	stop := make(chan struct{})
	s.server.stop = stop
	h, err := s.server.wrap(s.server.echo)
	if err != nil {
		t.Fatal(err)
	}
	// As the program has it: what limits whole answers doesn't limit streams.
	ts := httptest.NewUnstartedServer(h)
	ts.Config.ReadTimeout, ts.Config.WriteTimeout = time.Second, time.Second
	s.server.beat = 50 * time.Millisecond
	ts.Start()
	defer ts.Close()
	s.url = ts.URL
	l := s.as("Vera", access.Viewer).listen(t)
	for began := time.Now(); time.Since(began) < 2*time.Second; {
		if _, open := l.next(":"); !open {
			t.Fatal("the server's time-outs cut the stream off")
		}
	}
	close(stop)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := ts.Config.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	l.ends()
}
