package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/health"
	"gatehouse/internal/notify"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
)

// A ward is a console whose health is looked after, with a clock that can be moved.
type ward struct {
	box *rig.Rig
	*health.Service
	errors *health.Errors
	log    *slog.Logger

	mu    sync.Mutex
	ahead time.Duration
}

func newWard(t *testing.T, o sandbox.Options) *ward {
	t.Helper()
	w := &ward{box: rig.New(t, o), errors: &health.Errors{}}
	w.log = slog.New(w.errors.Handler(slog.NewTextHandler(w.box.Log, nil)))
	w.Service = health.NewService(health.Parts{
		Store: w.box.Store, Witness: w.box.Witness, Archive: w.box.Archive, Errors: w.errors, Build: "1.2.3", Sync: time.Minute, Now: w.now,
		Notify: notify.NewService(w.box.Store, w.box.Keys, notify.Settings{}, w.now, w.log),
		Sinks:  sink.NewService(w.box.Store, w.box.Keys, sink.Settings{Dir: t.TempDir()}, w.now, w.log),
	})
	return w
}

func (w *ward) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return rig.Now().Add(w.ahead)
}

func (w *ward) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func (w *ward) report() health.Report {
	w.box.T.Helper()
	r, err := w.Report(w.box.T.Context())
	if err != nil {
		w.box.T.Fatal(err)
	}
	return r
}

func (w *ward) wants(state health.State, trouble string) {
	w.box.T.Helper()
	r := w.report()
	told := fmt.Sprint(r.Troubles)
	if r.State() != state || !strings.Contains(told, trouble) || trouble == "" && len(r.Troubles) > 0 {
		w.box.T.Errorf("%s with %s; want %s with %q", r.State(), told, state, trouble)
	}
}

// What isn't as it should be is told, and a remote that is down doesn't take the
// console out of service.
func TestTroubles(t *testing.T) {
	w := newWard(t, sandbox.Options{Configs: 7})
	w.wants(health.Ready, "")
	if r := w.report(); r.Build != "1.2.3" || len(r.Projects) != 1 || r.Projects[0].Configs != 7 || r.Load.Schema < 20 || r.Load.Files["console.db"] == 0 || r.Head == 0 {
		t.Errorf("report %+v", r)
	}
	w.later(4 * time.Minute)
	w.wants(health.Ready, "")
	w.later(2 * time.Minute)
	w.wants(health.Degraded, "not read for project staging lately")
}

// Nobody has verified or copied anything in a new console; then a backup is known
// until the next one.
func TestBackupIsKnown(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	if r := w.report(); !r.BackupAt.IsZero() {
		t.Errorf("backup at %s before there was one", r.BackupAt)
	}
	for range 2 {
		before := rig.Now()
		if err := w.box.Store.Record(t.Context(), audit.Event{Actor: access.Operator().Actor(), Action: health.BackedUp, Object: audit.Object{Kind: "database", Name: "database"}}); err != nil {
			t.Fatal(err)
		}
		if r := w.report(); r.BackupAt.Before(before) {
			t.Errorf("backup at %s, want after %s", r.BackupAt, before)
		}
	}
}

// Errors are kept with their requests, the newest first, and so many that they
// stay few.
func TestErrors(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	w.log.Warn("not this one")
	w.log.Error("first", "err", errors.New(strings.Repeat("x", 2000)))
	w.log.With("request", "REQ12345").WithGroup("deep").Error("second", "err", errors.New("boom"))
	all := w.report().Errors
	if len(all) != 2 || all[0].Message != "second" || all[0].Request != "REQ12345" || all[0].Text != "boom" || len(all[1].Text) != 500 {
		t.Errorf("%+v", all)
	}
	for i := range 100 {
		w.log.Error(fmt.Sprint("number ", i))
	}
	if all = w.report().Errors; len(all) != 50 || all[0].Message != "number 99" || w.errors.Total() != 102 {
		t.Errorf("%d kept of %d, the newest %q", len(all), w.errors.Total(), all[0].Message)
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	body, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Code, string(body)
}

// Prometheus reads what the report says, and counts of what was done.
func TestMetrics(t *testing.T) {
	w := newWard(t, sandbox.Options{Configs: 7})
	m := health.NewMetrics()
	h := m.Handler(w.Service, w.log)
	m.Answered(http.MethodGet, "/projects/:slug/auth-configs", 200, 30*time.Millisecond)
	m.Attempted("applied")
	w.log.Error("oops")
	code, text := get(t, h, "/metrics")
	for _, line := range []string{
		`gatehouse_up 1`, `gatehouse_ready 1`, `gatehouse_troubles 0`, `gatehouse_auth_configs{project="staging"} 7`, `gatehouse_sync_ok{project="staging"} 1`,
		`gatehouse_http_requests_total{method="GET",route="/projects/:slug/auth-configs",status="200"} 1`, `gatehouse_apply_attempts_total{outcome="applied"} 1`,
		`gatehouse_changes{state="unknown"} 0`, `gatehouse_outbox_deliveries 0`, `gatehouse_history_ok 1`, `gatehouse_logged_errors_total 1`,
		fmt.Sprintf("gatehouse_history_entries %d", w.report().Head),
	} {
		if code != http.StatusOK || !slices.Contains(strings.Split(text, "\n"), line) {
			t.Errorf("status %d, no line %q in\n%s", code, line, text)
		}
	}
	if code, text = get(t, h, "/readyz"); code != http.StatusOK || text != "ok\n" {
		t.Errorf("%d %q", code, text)
	}
	w.later(time.Hour)
	if code, text = get(t, h, "/readyz"); code != http.StatusOK || !strings.HasPrefix(text, "degraded\nComposio was not read for project staging lately.") {
		t.Errorf("%d %q", code, text)
	}
}

// Whatever clients send, there are as many series as there are routes, and no more.
func TestMetricsStayFew(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	m := health.NewMetrics()
	for i := range 1000 {
		m.Answered("METHOD"+strconv.Itoa(i), "/", 405, time.Millisecond)
	}
	_, text := get(t, m.Handler(w.Service, w.log), "/metrics")
	if n := strings.Count(text, "gatehouse_http_requests_total{"); n != 1 || !strings.Contains(text, `gatehouse_http_requests_total{method="other",route="/",status="405"} 1000`) {
		t.Errorf("%d series", n)
	}
}

// A database that doesn't answer is told, and nothing is made up.
func TestNotReady(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	h := health.NewMetrics().Handler(w.Service, w.log)
	w.box.Restart() // the service still has the store that was closed
	if code, text := get(t, h, "/readyz"); code != http.StatusServiceUnavailable || strings.TrimSpace(text) != "not ready" {
		t.Errorf("%d %q", code, text)
	}
	if code, text := get(t, h, "/metrics"); code != http.StatusOK || !strings.Contains(text, "\ngatehouse_up 0\n") || strings.Contains(text, "gatehouse_history_entries") {
		t.Errorf("%d %s", code, text)
	}
	if got := w.State(context.WithoutCancel(t.Context()), w.log); got != health.NotReady {
		t.Errorf("%s", got)
	}
}

// Diagnostics can be read by a program, and lists that are empty are lists.
func TestDiagnostics(t *testing.T) {
	w := newWard(t, sandbox.Options{Configs: 7})
	text, err := json.Marshal(w.report().Diagnostics())
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"troubles", "projects", "sinks", "errors"} {
		if _, isList := d[name].([]any); !isList {
			t.Errorf("%s is %v", name, d[name])
		}
	}
	if d["state"] != "ok" || d["last_backup"] != nil || d["projects"].([]any)[0].(map[string]any)["auth_configs"] != 7.0 {
		t.Errorf("%s", text)
	}
}

var ours = regexp.MustCompile(`gatehouse_[a-z_]+`)

// Rules, dashboard and manual name no metric that there isn't.
func TestDocumentedMetrics(t *testing.T) {
	w := newWard(t, sandbox.Options{})
	admin := w.box.Person("Ada", access.Admin)
	if _, _, err := w.Sinks.Add(t.Context(), admin, sink.Input{Kind: sink.File, Name: "Archive", Format: sink.Native, From: sink.FromNow, Address: secret.New("archive.jsonl")}); err != nil {
		t.Fatal(err)
	}
	if err := w.box.Store.Record(t.Context(), audit.Event{Actor: access.Operator().Actor(), Action: health.BackedUp, Object: audit.Object{Kind: "database", Name: "database"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.box.Witness.Checkpoint(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.box.Witness.VerifyWhole(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := health.NewMetrics()
	m.Answered(http.MethodGet, "/", 200, time.Second)
	m.Attempted("applied")
	_, text := get(t, m.Handler(w.Service, w.log), "/metrics")
	there := map[string]bool{}
	for _, name := range ours.FindAllString(text, -1) {
		there[name] = true
	}
	for _, file := range []string{"deploy/alerts.yml", "deploy/grafana.json", "operating.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
		if err != nil {
			t.Fatal(err)
		}
		names := ours.FindAllString(string(text), -1)
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s names %s, which there isn't", file, name)
			}
		}
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
	}
}
