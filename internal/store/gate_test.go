package store

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

// These hold whatever the machine: how history is read, and how SQLite is set up.

func openGate(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// slow is a plan that gets slower as history grows. FTS5's own index is named as
// a scan of a virtual table.
var slow = regexp.MustCompile(`SCAN (history|history_personal|entry|e|p)\b|TEMP B-TREE`)

func checkPlan(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(query, err)
	}
	err = drain(rows, func(row scanner) error {
		var id, parent, unused int
		var step string
		if err := row.Scan(&id, &parent, &unused, &step); err != nil {
			return err
		}
		if found := slow.FindString(step); found != "" && !strings.Contains(step, "VIRTUAL TABLE") {
			t.Errorf("%s: %s", query, step)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGateHistoryPlans(t *testing.T) {
	s := openGate(t)
	for range 3 {
		if err := s.FailSignIn(t.Context(), audit.Event{Action: "session.refused", Actor: audit.Actor{Email: "e@example.com"}}); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Now()
	queries := []HistoryQuery{
		{}, {Text: "some words"}, {Actor: "usr_1"}, {Action: "x.y", Project: "prj_1"}, {Object: "ac_1", Text: "a"}, {Request: "chg_1"},
		{From: day}, {To: day}, {From: day, To: day}, {From: day, Action: "x.y"}, {From: day, To: day, Text: "a"},
	}
	for _, q := range queries {
		q.Before, q.Limit = 100, 50
		if _, err := s.History(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		query, args := q.statement(q.Limit)
		checkPlan(t, s.index.db, query, args...)
	}
	if _, err := s.HistoryEntry(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	checked := 0
	s.readStmts.Range(func(query, _ any) bool {
		if text := query.(string); strings.Contains(text, "history") {
			checkPlan(t, s.reads, rebind(text), make([]any, strings.Count(text, "$"))...)
			checked++
		}
		return true
	})
	if checked < 3 {
		t.Errorf("only %d statements were looked at", checked)
	}
}

// The planner must not run again on every execution, as it does without QPSG.
func TestGatePreparedReads(t *testing.T) {
	s := openGate(t)
	const query = "SELECT id, slug, name FROM project WHERE id = ?1 AND archived_at = 0 ORDER BY name"
	prepared, err := s.reads.PrepareContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	read := func(do func() *sql.Row) time.Duration {
		begun := time.Now()
		for range 2000 {
			var id, slug, name string
			_ = do().Scan(&id, &slug, &name) // there is no such row
		}
		return time.Since(begun)
	}
	best := 1.0
	for range 5 {
		once := read(func() *sql.Row { return prepared.QueryRowContext(t.Context(), "none") })
		each := read(func() *sql.Row { return s.reads.QueryRowContext(t.Context(), query, "none") })
		best = min(best, float64(once)/float64(each))
	}
	if best > 0.7 {
		t.Errorf("a prepared read takes %.2f of an unprepared one, 0.70 is allowed", best)
	}
}

func TestGateSettings(t *testing.T) {
	s := openGate(t)
	var synchronous int
	if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous); err != nil || synchronous != 2 {
		t.Errorf("synchronous = %d, %v; commits may be lost", synchronous, err)
	}
	if err := s.writer.exec("PRAGMA synchronous = OFF"); err == nil {
		t.Error("the writer may be told not to wait for the disk")
	}
	for _, option := range []string{"ENABLE_QPSG", "ENABLE_FTS5"} {
		var used bool
		if err := s.reads.QueryRowContext(t.Context(), "SELECT sqlite_compileoption_used(?)", option).Scan(&used); err != nil || !used {
			t.Errorf("SQLite was built without %s (%v)", option, err)
		}
	}
}

// A search of many words costs no more than one of a few.
func TestGateSearchWords(t *testing.T) {
	q := HistoryQuery{Text: strings.Repeat("same ", 10_000)}
	if got := q.words(); len(got) != 1 {
		t.Errorf("%d words of one", len(got))
	}
	q.Text = ""
	for i := range 500 {
		q.Text += "w" + strconv.Itoa(i) + " "
	}
	if got := q.words(); len(got) > mostWords {
		t.Errorf("%d words count, at most %d may", len(got), mostWords)
	}
}
