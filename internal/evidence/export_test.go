package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

var auditor = access.Reader{User: access.User{ID: "usr_a", Name: "Ayo", Email: "ayo@example.com", Grants: access.Unscoped(access.Auditor), State: access.Active}}

func open(t *testing.T, entries int) (*Service, *store.Store) {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var wg sync.WaitGroup
	for worker := range 64 { // they share transactions
		wg.Go(func() {
			for i := worker; i < entries; i += 64 {
				err := s.Record(t.Context(), audit.Event{
					Actor:  audit.Actor{Kind: audit.ActorUser, ID: "usr_1", Name: "=HYPERLINK(1)", Email: "ada@example.com", IP: "192.0.2.7"},
					Action: "auth_config.updated", Object: audit.Object{Kind: "auth_config", ID: "ac_1", Name: "github <&> \"prod\""},
					Changes: []audit.Change{{Field: "scopes", Before: []string{"repo"}, After: []string{"repo", "user"}}}, Reason: "line\r\nbreak",
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.HistoryIndexed() < int64(entries) {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("history is not indexed")
		}
	}
	return NewService(s, nil, time.Now), s
}

func export(t *testing.T, s *Service, w Wish, to io.Writer) (Receipt, error) {
	t.Helper()
	e, err := s.Begin(t.Context(), auditor, w)
	if err != nil {
		t.Fatal(err)
	}
	return e.Write(t.Context(), to)
}

func last(t *testing.T, s *store.Store) audit.Entry {
	t.Helper()
	head, err := s.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.HistoryEntry(t.Context(), head.Seq)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExportCSV(t *testing.T) {
	const n = perPage*2 + 7
	s, st := open(t, n)
	var out bytes.Buffer
	r, err := export(t, s, Wish{Text: "all", Format: CSV}, &out)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != n+1 || r.Rows != n || r.Bytes != int64(out.Len()) || r.SHA256 != sha256.Sum256(out.Bytes()) {
		t.Errorf("%d lines, receipt %+v", len(lines), r)
	}
	for i, l := range lines[1:] {
		if l[0] != strconv.Itoa(n-i) || l[4] != "'=HYPERLINK(1)" || l[11] != `github <&> "prod"` {
			t.Fatalf("line %d: %q", i+1, l)
		}
	}
	e := last(t, st)
	if e.Action != "history.exported" || e.Outcome != audit.OK || e.Reason != "all" || e.Detail["rows"] != strconv.Itoa(n) || e.Detail["sha256"] != hex.EncodeToString(r.SHA256[:]) {
		t.Errorf("recorded %+v", e)
	}
}

// Whoever has the file alone can check it: each body against its hash, and all
// lines against the last.
func TestExportJSONL(t *testing.T) {
	s, st := open(t, 5)
	var out bytes.Buffer
	if _, err := export(t, s, Wish{Format: JSONL}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, text := range lines[:5] {
		var l Line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		if l.Seq != int64(5-i) || audit.HashBody([]byte(l.Body)).String() != l.Hash {
			t.Errorf("line %d: %s", i, text)
		}
		for _, p := range l.Personal {
			salt, err := hex.DecodeString(p.Salt)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(append(salt, p.Value...))
			if !strings.Contains(l.Body, hex.EncodeToString(sum[:])) {
				t.Errorf("%s isn't bound to its row", p.Field)
			}
		}
		if len(l.Personal) != 4 {
			t.Errorf("personal data: %+v", l.Personal)
		}
	}
	var end struct {
		Manifest struct {
			Rows   int64
			SHA256 string
		}
	}
	if err := json.Unmarshal([]byte(lines[5]), &end); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(strings.Join(lines[:5], "")))
	if end.Manifest.Rows != 5 || end.Manifest.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("manifest %+v", end)
	}
	if e := last(t, st); e.Seq != 7 {
		t.Errorf("%d entries, want the five, the beginning and the end", e.Seq)
	}
}

func TestLineWithoutAddresses(t *testing.T) {
	row, err := audit.Seal(audit.Head{}, audit.Event{Actor: audit.Actor{Name: "Ada", Email: "e", IP: "i", Agent: "a"}, Reason: "r"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := line(row, false).Personal; len(got) != 2 || got[0].Field != "actor_name" || got[1].Field != "reason" {
		t.Errorf("%+v", got)
	}
	row.Body = []byte("\xff")
	if l := line(row, false); l.Body != "" || l.Base64 != "/w==" {
		t.Errorf("%+v", l)
	}
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

// An export that ends early is recorded as one, with how far it came.
func TestExportBrokenOff(t *testing.T) {
	s, st := open(t, perPage*3)
	if _, err := export(t, s, Wish{Format: CSV}, &brokenWriter{40 << 10}); err == nil {
		t.Error("no error")
	}
	if e := last(t, st); e.Action != "history.exported" || e.Outcome != audit.Failed || e.Detail["sha256"] != "" || !strings.Contains(e.Detail["note"], "connection") {
		t.Errorf("recorded %+v", e)
	}
	e, err := s.Begin(t.Context(), auditor, Wish{Format: CSV})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Write(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if e := last(t, st); e.Outcome != audit.Failed {
		t.Errorf("recorded %+v", e)
	}
}

// A closer closes the store when it is first written to.
type closer struct {
	t     *testing.T
	store *store.Store
}

func (c closer) Write(b []byte) (int, error) {
	if err := c.store.Close(); err != nil {
		c.t.Error(err)
	}
	return len(b), nil
}

// An export of which history can't be written isn't whole, and none begins.
func TestExportWithoutHistory(t *testing.T) {
	s, st := open(t, 3)
	if _, err := export(t, s, Wish{Format: CSV}, closer{t, st}); err == nil {
		t.Error("it could not be recorded, and nothing said so")
	}
	if _, err := s.Begin(t.Context(), auditor, Wish{Format: CSV}); err == nil {
		t.Error("an export begins that can't be recorded")
	}
}

func TestWhoMayExport(t *testing.T) {
	s, _ := open(t, 1)
	for _, role := range access.Roles() {
		_, err := s.Begin(t.Context(), access.Reader{User: access.User{Grants: access.Unscoped(role), State: access.Active}}, Wish{Format: CSV})
		if may := role == access.Auditor || role == access.Admin; may != (err == nil) || !may && !problem.Is(err, problem.Forbidden) {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// peak notes the most memory that was in use while it was written to.
type peak struct{ writes, most uint64 }

func (p *peak) Write(b []byte) (int, error) {
	if p.writes++; p.writes%8 == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		p.most = max(p.most, m.HeapAlloc)
	}
	return len(b), nil
}

// What is in memory doesn't grow with the result.
func TestGateExportMemory(t *testing.T) {
	s, _ := open(t, 20_000)
	var few, all peak
	if _, err := export(t, s, Wish{Query: store.HistoryQuery{Actor: "usr_a"}, Format: JSONL}, &few); err != nil {
		t.Fatal(err)
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := export(t, s, Wish{Format: JSONL}, &all)
	if err != nil || r.Rows < 20_000 {
		t.Fatal(r, err)
	}
	const most = 8 << 20
	if all.most > before.HeapAlloc+most {
		t.Errorf("%d bytes of export took %d bytes of memory", r.Bytes, all.most-before.HeapAlloc)
	}
}

func FuzzCells(f *testing.F) {
	for _, c := range []string{"=1+1", "+1", "-1", "@x", "\tx", "\rx", "\n=x", `a","=b`, "＝1", "a;=b", "", "\x00=", "'=", "\xff\"=1"} {
		f.Add(c, "next")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var out bytes.Buffer
		m := newMeter(&out)
		if err := errors.Join(writeCells(m.out, []string{a, b}), m.out.Flush()); err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(&out)
		lines, err := r.ReadAll()
		if err != nil || len(lines) != 1 || len(lines[0]) != 2 {
			t.Fatal(lines, err)
		}
		for i, want := range []string{a, b} {
			got := lines[0][i]
			if got != "" && strings.ContainsAny(got[:1], "=+-@\t\r\n") {
				t.Errorf("%q could be a formula", got)
			}
			want = strings.ReplaceAll(want, "\r\n", "\n") // as the reader has it
			if got != want && got != "'"+want {
				t.Errorf("%q became %q", want, got)
			}
		}
	})
}

// A writer that does something else with its first bytes.
type meddler struct {
	bytes.Buffer
	once sync.Once
	do   func()
}

func (m *meddler) Write(p []byte) (int, error) {
	m.once.Do(m.do)
	return m.Buffer.Write(p)
}

// An erasure empties the search index. An export that runs meanwhile says that it
// isn't whole.
func TestExportDuringErasure(t *testing.T) {
	s, st := open(t, 4000) // more than is sent at once
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	people := access.NewService(st, nil, time.Now)
	for _, id := range []string{"usr_x", "usr_y"} {
		a := access.Account{User: access.User{ID: id, Name: id, Email: id + "@example.com", State: access.Active, Grants: access.Unscoped(access.Admin)}}
		must(st.AddAccount(ctx, a, nil, audit.Event{Actor: audit.System(), Action: "user.added", Object: audit.Object{Kind: "user", ID: id, Name: id}}))
	}
	admin := access.Reader{User: access.User{ID: "usr_y", Name: "usr_y", Grants: access.Unscoped(access.Admin), State: access.Active}}
	export, err := s.Begin(ctx, auditor, Wish{Query: store.HistoryQuery{Action: "auth_config.updated"}, Format: JSONL})
	must(err)
	out := &meddler{do: func() {
		must(people.SetDisabled(ctx, admin, "usr_x", true))
		must(people.Erase(ctx, admin, "usr_x"))
		must(st.FinishErasures(ctx))
	}}
	got, err := export.Write(ctx, out)
	if !problem.Is(err, problem.Unavailable) {
		t.Errorf("%d rows, %v", got.Rows, err)
	}
	found, err := st.History(ctx, store.HistoryQuery{Action: "history.exported", Limit: 1})
	must(err)
	if len(found) != 1 || found[0].Outcome != audit.Failed || !strings.Contains(found[0].Detail["note"], "index was made anew") {
		t.Errorf("recorded: %+v", found)
	}
}
