package sink_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/notify"
	"gatehouse/internal/outbound"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
)

// trusted is a server whose certificate, for 127.0.0.1, this process trusts as an
// operator's own.
var trusted *httptest.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	trusted = httptest.NewTLSServer(nil)
	defer trusted.Close()
	dir, err := os.MkdirTemp("", "gatehouse-sink-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a directory for temporary files
	file := filepath.Join(dir, "cert.pem")
	block := pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(&block), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv("SSL_CERT_FILE", file); err != nil { // read once, by the first handshake
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A house is a store and the service that streams from it.
type house struct {
	*rig.Rig
	sinks    *sink.Service
	settings sink.Settings
	ada      access.Reader
	ahead    atomic.Int64 // how far the clock was put forward
	stop     func()
}

func newHouse(t *testing.T, private ...string) *house {
	t.Helper()
	h := &house{Rig: rig.New(t, sandbox.Options{})}
	h.settings = sink.Settings{
		Host: "gatehouse.example.com", Version: "1.2", Dir: filepath.Join(t.TempDir(), "sinks"), Retry: time.Millisecond,
		Receivers: outbound.Rules{Private: private, Timeout: 5 * time.Second},
	}
	h.ada = h.Person("Ada", access.Admin)
	t.Cleanup(func() {
		if h.stop != nil {
			h.stop()
		}
	})
	return h
}

func (h *house) now() time.Time { return rig.Now().Add(time.Duration(h.ahead.Load())) }

// forward puts the clock forward and lets the service look at it.
func (h *house) forward(d time.Duration) {
	h.ahead.Add(int64(d))
	h.sinks.Wake()
}

func (h *house) run() {
	h.sinks = sink.NewService(h.Store, h.Keys, h.settings, h.now, slog.New(slog.NewTextHandler(h.Log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() { h.sinks.Run(ctx) })
	h.stop = func() {
		cancel()
		loop.Wait()
		h.stop = nil
	}
}

func (h *house) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// until waits for a condition.
func (h *house) until(what string, is func() bool) {
	h.T.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			h.T.Fatalf("%s: waited in vain\n%s", what, h.Log)
		}
	}
}

// record writes entries and returns the number of the last.
func (h *house) record(events ...audit.Event) int64 {
	h.T.Helper()
	for _, e := range events {
		h.must(h.Store.SetPreferences(h.T.Context(), h.ada.ID, notify.Defaults(), e))
	}
	return h.head()
}

func (h *house) head() int64 {
	h.T.Helper()
	head, err := h.Store.HistoryHead(h.T.Context())
	h.must(err)
	return head.Seq
}

// edited is an entry about an auth config.
func (h *house) edited(name string) audit.Event {
	return audit.Event{
		Actor: h.ada.Actor(), Action: "auth_config.updated", Project: h.Project.ID, Request: "chg_1", Reason: "asked for by support",
		Object:  audit.Object{Kind: "auth_config", ID: "ac_1", Name: name},
		Changes: []audit.Change{{Field: "scopes", Before: []string{"repo"}, After: []string{"repo", "user"}}},
	}
}

func (h *house) add(in sink.Input) (sink.Sink, secret.Value) {
	h.T.Helper()
	if in.Format == "" {
		in.Format = sink.Native
	}
	if in.From == "" {
		in.From = sink.FromStart
	}
	if in.Name == "" {
		in.Name = "Our " + in.Kind
	}
	k, key, err := h.sinks.Add(h.T.Context(), h.ada, in)
	if err != nil {
		h.T.Fatalf("%v: %+v", err, err)
	}
	return k, key
}

func (h *house) sink(id string) sink.Sink {
	h.T.Helper()
	k, err := h.Store.Sink(h.T.Context(), id)
	h.must(err)
	return k
}

// done waits until a sink has everything up to an entry.
func (h *house) done(id string, upTo int64) {
	h.T.Helper()
	h.until("the sink has it all", func() bool { return h.sink(id).Cursor >= upTo })
}

// seqs are the numbers of the entries in lines of the native format.
func (h *house) seqs(text string) []int64 {
	h.T.Helper()
	var out []int64
	for line := range strings.Lines(text) {
		var l struct{ Seq int64 }
		h.must(json.Unmarshal([]byte(line), &l))
		out = append(out, l.Seq)
	}
	return out
}

// span are the numbers from one to another.
func span(from, to int64) []int64 {
	var out []int64
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

// A hook is a receiver of posts that keeps what it takes.
type hook struct {
	url    string
	addr   string // host:port
	down   atomic.Bool
	refuse atomic.Int64 // how many posts it refused
	mu     sync.Mutex
	got    []posted
}

type posted struct {
	header http.Header
	body   string
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.url, h.addr = server.URL+"/in/"+canary+"-tail", server.Listener.Addr().String()
	return h
}

// canary stands for what may not leave.
const canary = "canary-sink-51d2e7"

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if h.down.Load() {
		h.refuse.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprint(w, canary) // an answer is never shown
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, posted{r.Header, string(body)})
}

func (h *hook) all() []posted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]posted{}, h.got...)
}

// text is all that it took.
func (h *hook) text() string {
	var b strings.Builder
	for _, p := range h.all() {
		b.WriteString(p.body)
	}
	return b.String()
}
