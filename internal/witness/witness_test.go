package witness_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"gatehouse/internal/archive"
	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// A console is a data directory with a witness.
type console struct {
	t       *testing.T
	dir     string
	anchors []string
	store   *store.Store
	witness *witness.Service
	public  audit.PublicKeys
	at      time.Time // by its clock; the zero time for the real one
	months  int       // that entries stay
	archive *archive.Service
}

func (c *console) now() time.Time {
	if c.at.IsZero() {
		return now()
	}
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func start(t *testing.T, anchors ...string) *console {
	t.Helper()
	c := &console{t: t, dir: filepath.Join(t.TempDir(), "data"), anchors: anchors}
	c.open()
	t.Cleanup(func() { c.must(c.store.Close()) })
	return c
}

func (c *console) open() {
	c.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	c.store, err = store.Open(c.dir, store.Options{Now: c.now, Log: log})
	c.must(err)
	keys, err := witness.LoadKeys(c.dir, true)
	c.must(err)
	c.public = keys.Public
	c.witness, err = witness.New(c.store, witness.Settings{Keys: keys, Anchors: c.anchors, Stdout: io.Discard}, c.now, log)
	c.must(err)
	c.archive = archive.NewService(c.store, c.witness, archive.Settings{Months: c.months, Dir: c.archives()}, c.now, log)
}

// archives is the directory of the archives.
func (c *console) archives() string { return filepath.Join(c.dir, "archive") }

func (c *console) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) rows(n int) {
	c.t.Helper()
	for range n {
		c.must(c.store.Record(c.t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.ActorUser, ID: "usr_1", Email: "a@example.com"}, Action: "x.y"}))
	}
}

func (c *console) sign() {
	c.t.Helper()
	c.must(c.witness.Checkpoint(c.t.Context(), witness.ForNews))
}

// run runs the witness while fn does something.
func (c *console) run(fn func()) {
	ctx, stop := context.WithCancel(c.t.Context())
	var loop sync.WaitGroup
	loop.Go(func() { c.witness.Run(ctx) })
	fn()
	stop()
	loop.Wait()
}

// until waits until the anchors are as they should be.
func (c *console) until(ok func([]witness.Anchor) bool) {
	c.t.Helper()
	c.wait(func() bool {
		all, err := c.witness.Anchors(c.t.Context())
		c.must(err)
		return ok(all)
	})
}

// wait looks again and again until a condition holds.
func (c *console) wait(ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			c.t.Fatal("it took too long")
		}
	}
}

func (c *console) examine(anchors ...string) witness.Report {
	c.t.Helper()
	r, err := store.Open(c.dir, store.Options{ReadOnly: true})
	c.must(err)
	defer func() { c.must(r.Close()) }()
	return witness.Examine(c.t.Context(), r, witness.Evidence{Keys: func() (audit.PublicKeys, error) { return c.public, nil }, Anchors: anchors})
}

// copy copies the database to a new directory, with the keys.
func (c *console) copy() *console {
	c.t.Helper()
	other := &console{t: c.t, dir: filepath.Join(c.t.TempDir(), "copy"), anchors: c.anchors}
	c.must(os.Mkdir(other.dir, 0o700))
	c.must(c.store.Backup(c.t.Context(), filepath.Join(other.dir, store.DatabaseFile)))
	for _, name := range []string{witness.KeyFile, witness.PublicFile} {
		text, err := os.ReadFile(filepath.Join(c.dir, name))
		c.must(err)
		c.must(os.WriteFile(filepath.Join(other.dir, name), text, 0o600))
	}
	return other
}

func TestCheckpoints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+file)
	c.rows(5)
	c.run(func() {
		c.until(func(a []witness.Anchor) bool { return a[0].Reached == 1 })
	})
	c.rows(3)
	c.sign()
	last, err := c.store.LatestCheckpoint(t.Context())
	c.must(err)
	if got, err := c.public.OpenCheckpoint(last.Note); err != nil || got.Size != 8 || last.ID != 2 {
		t.Errorf("%+v, %v", last, err)
	}
	c.rows(2)
	r := c.examine(file)
	if want := (witness.Report{Result: witness.OK, Rows: 10, Hash: r.Hash, Checkpoints: 2, Anchored: 1, Signed: 8}); r != want {
		t.Errorf("%+v", r)
	}
	c.must(c.witness.VerifyWhole(t.Context()))
	if known := c.witness.Known(); known.WholeAt.IsZero() || known.Problem != nil || known.Size != 8 {
		t.Errorf("%+v", known)
	}
}

// What people agreed to is signed at once.
func TestDecisionIsSignedAtOnce(t *testing.T) {
	c := start(t)
	c.rows(1)
	c.run(func() {
		c.must(c.store.Record(t.Context(), audit.Event{Action: "change.voted"}))
		c.wait(func() bool {
			last, err := c.store.LatestCheckpoint(t.Context())
			c.must(err)
			return last.Size == 2
		})
	})
}

func TestRestartGoesOn(t *testing.T) {
	c := start(t)
	c.rows(300)
	c.sign()
	c.must(c.store.Close())
	c.open()
	c.must(c.witness.Start(t.Context(), false))
	c.rows(2)
	c.sign()
	if r := c.examine(); r.Result != witness.OK || r.Checkpoints != 2 || r.Signed != 302 {
		t.Errorf("%+v", r)
	}
}

// An older database is refused, unless that is wanted; then it is on record, and
// what was before need not fit any more.
func TestRestore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+file)
	c.rows(3)
	c.sign()
	old := c.copy()
	c.rows(4)
	c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached == 2 }) })
	if r := old.examineWith(c.public, file); r.Result != witness.RolledBack {
		t.Errorf("%+v", r)
	}
	old.open()
	defer func() { old.must(old.store.Close()) }()
	if err := old.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrRolledBack) {
		t.Fatal(err)
	}
	if head, err := old.store.HistoryHead(t.Context()); err != nil || head.Seq != 3 {
		t.Errorf("a refused start wrote: %d, %v", head.Seq, err)
	}
	old.must(old.witness.Start(t.Context(), true))
	e, err := old.store.HistoryEntry(t.Context(), 4)
	if err != nil || e.Action != "history.restored" || e.Detail["back_to"] != "3" || e.Detail["was_at"] != "7" || e.Detail["epoch"] != "2" {
		t.Errorf("%+v, %v", e, err)
	}
	old.rows(9)
	old.run(func() { old.until(func(a []witness.Anchor) bool { return a[0].Reached == 3 }) })
	// Only who names the restore takes it for agreed.
	if r := old.examine(file); r.Result != witness.RolledBack || r.Excused != 1 || !strings.Contains(r.Problem, "verify with --restored 3") {
		t.Errorf("%+v", r)
	}
	if got := old.both(file); got != witness.RolledBack {
		t.Errorf("unnamed, it is %s", got)
	}
	ours, theirs := old.named(file, 2, 3)
	if ours.Result != witness.OK || ours.Restored != 1 || ours.Excused != 1 || ours != theirs {
		t.Errorf("we say %+v, the other verifier %+v", ours, theirs)
	}
	if ours, theirs := old.named(file, 2); ours.Result != witness.RolledBack || theirs.Result != ours.Result {
		t.Errorf("we say %+v, the other verifier %+v", ours, theirs)
	}
	// And the history that was left is refused from now on.
	if r := c.examine(file); r.Result != witness.RolledBack {
		t.Errorf("%+v", r)
	}
}

// named asks both verifiers, who know of some restores.
func (c *console) named(anchor string, restores ...int64) (ours, theirs witness.Report) {
	c.t.Helper()
	path := filepath.Join(c.dir, store.DatabaseFile)
	r, err := store.Open(c.dir, store.Options{ReadOnly: true})
	c.must(err)
	ours = witness.Examine(c.t.Context(), r, witness.Evidence{Keys: func() (audit.PublicKeys, error) { return c.public, nil }, Anchors: []string{anchor}, Restored: restores})
	c.must(r.Close())
	python := startVerifier(c.t)
	python.restored = restores
	theirs, err = python.ask(path, filepath.Join(c.dir, witness.PublicFile), []string{anchor})
	c.must(err)
	return ours, theirs
}

func (c *console) examineWith(public audit.PublicKeys, anchors ...string) witness.Report {
	other := *c
	other.public = public
	return other.examine(anchors...)
}

// Rows that were replaced by others of the right form don't fit the checkpoint.
func TestReplacedHistory(t *testing.T) {
	c := start(t)
	c.rows(300)
	c.sign()
	var note []byte
	last, err := c.store.LatestCheckpoint(t.Context())
	c.must(err)
	note = last.Note
	other := start(t)
	other.rows(400)
	file := filepath.Join(t.TempDir(), "note.txt")
	c.must(os.WriteFile(file, note, 0o600))
	if r := other.examineWith(c.public, file); r.Result != witness.RolledBack {
		t.Errorf("%+v", r)
	}
	if r := other.examineWith(other.public, file); r.Result != witness.Tampered {
		t.Errorf("signed by another key: %+v", r)
	}
}

func TestTamperedIsFound(t *testing.T) {
	c := start(t)
	c.rows(10)
	c.sign()
	db, err := sql.Open("sqlite3", filepath.Join(c.dir, store.DatabaseFile))
	c.must(err)
	_, err = db.ExecContext(t.Context(), "DROP TRIGGER history_no_update; UPDATE history SET body = replace(body, 'x.y', 'x.z') WHERE seq = 4")
	c.must(errors.Join(err, db.Close()))
	if err := c.witness.VerifyWhole(t.Context()); !errors.Is(err, audit.ErrTampered) {
		t.Error(err)
	}
	if known := c.witness.Known(); known.Problem == nil || !strings.Contains(known.Problem.Error(), "row 4") {
		t.Errorf("%+v", known)
	}
	if r := c.examine(); r.Result != witness.Tampered {
		t.Errorf("%+v", r)
	}
	c.rows(1)
	if err := c.witness.Checkpoint(t.Context(), witness.ForNews); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("signed on top: %v", err)
	}
}

// The console goes on whatever an anchor does, and the anchor is served once it
// works again.
func TestFailingAnchors(t *testing.T) {
	var works sync.Mutex
	var got []string
	hang := make(chan struct{})
	broken := true
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		works.Lock()
		defer works.Unlock()
		if broken {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		body, _ := io.ReadAll(r.Body)
		got = append(got, string(body))
	}))
	defer web.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(hang)
	secretPath := "/hook/s3cret-token"
	c := start(t, "file:"+filepath.Join(t.TempDir(), "no", "such", "directory"), web.URL+secretPath, silent.URL)
	c.rows(1)
	c.run(func() {
		c.until(func(a []witness.Anchor) bool { return a[0].Problem != "" && a[1].Problem != "" })
		begun := time.Now()
		c.rows(50)
		c.sign()
		if took := time.Since(begun); took > 12*time.Second {
			t.Errorf("writing took %s beside broken anchors", took)
		}
		all, err := c.witness.Anchors(t.Context())
		c.must(err)
		if strings.Contains(all[1].Name+all[1].Problem, "s3cret") {
			t.Errorf("the address is shown: %+v", all[1])
		}
		works.Lock()
		broken = false
		works.Unlock()
		c.until(func(a []witness.Anchor) bool { return a[1].Reached == 2 })
	})
	if len(got) != 1 {
		t.Fatalf("%q", got)
	}
	if cp, err := c.public.OpenCheckpoint([]byte(got[0])); err != nil || cp.Size != 51 {
		t.Errorf("%+v, %v", cp, err)
	}
}

// The signing key lies in its own file, readable by its owner alone.
func TestKeyStaysOutside(t *testing.T) {
	c := start(t)
	c.rows(3)
	c.sign()
	key, err := os.ReadFile(filepath.Join(c.dir, witness.KeyFile))
	c.must(err)
	line := strings.Split(string(key), "\n")[0]
	private := []byte(strings.SplitN(line, "+", 5)[4]) // PRIVATE+KEY+name+hash+key
	files, err := os.ReadDir(c.dir)
	c.must(err)
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(c.dir, f.Name()))
		c.must(err)
		if f.Name() != witness.KeyFile && bytes.Contains(text, private) {
			t.Errorf("%s holds the key", f.Name())
		}
	}
	path := filepath.Join(c.dir, witness.KeyFile)
	c.must(os.Chmod(path, 0o640))
	if _, err := witness.LoadKeys(c.dir, true); err == nil || !strings.Contains(err.Error(), "read by others") {
		t.Error(err)
	}
	c.must(os.Remove(path))
	if _, err := witness.LoadKeys(c.dir, false); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Error(err)
	}
}

func TestSign(t *testing.T) {
	c := start(t)
	signed, err := c.witness.Sign(t.Context(), "report", []byte("42 rows\n"))
	c.must(err)
	text, err := c.public.Open(signed)
	if err != nil || !strings.HasSuffix(text, "/report\n42 rows\n") {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := c.public.OpenCheckpoint(signed); err == nil {
		t.Error("it passes for a checkpoint")
	}
}

func TestReadAnchor(t *testing.T) {
	line := func(text string) string {
		b, err := json.Marshal(map[string]string{"checkpoint": text})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		text string
		want int
		bad  bool
	}{
		"empty":        {"", 0, false},
		"lines":        {line("a") + "\n" + line("b") + "\n", 2, false},
		"a log":        {"hello\nNov 23 host gatehouse: " + line("a") + "\n", 1, false},
		"cut off":      {line("a") + "\n" + line("b")[:9], 1, false},
		"was cut off":  {line("a")[:9] + "#torn\n" + line("b") + "\n", 1, false},
		"damaged":      {line("a") + "\n" + "{\"chexkpoint\":\"b\"}\n", 1, true},
		"damaged more": {line("a")[:9] + "\n", 0, true},
		"one note":     {"a\n1\n", 1, false},
	} {
		path := filepath.Join(t.TempDir(), "anchor")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		notes, err := witness.ReadAnchor(path)
		if len(notes) != c.want || (err != nil) != c.bad || c.bad && !errors.Is(err, audit.ErrTampered) {
			t.Errorf("%s: %d notes, %v", name, len(notes), err)
		}
	}
}

func TestAnchorsRefused(t *testing.T) {
	c := start(t)
	keys, err := witness.LoadKeys(c.dir, true)
	c.must(err)
	for _, target := range []string{"", "file:", "nowhere", "http://example.com/", "https://", "syslog:host", "ftp://x"} {
		if _, err := witness.New(c.store, witness.Settings{Keys: keys, Anchors: []string{target}}, now, slog.Default()); err == nil {
			t.Errorf("%q passes", target)
		}
	}
}
