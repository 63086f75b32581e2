package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/query"
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
var slow = regexp.MustCompile(`SCAN (history|history_personal|entry|e|p|term|value)\b|TEMP B-TREE`)

func checkPlan(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	for _, step := range planOf(t, db, query, args...) {
		if found := slow.FindString(step); found != "" && !strings.Contains(step, "VIRTUAL TABLE") {
			t.Errorf("%s: %s", query, step)
		}
	}
}

func planOf(t *testing.T, db *sql.DB, query string, args ...any) (steps []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(query, err)
	}
	err = drain(rows, func(row scanner) error {
		var id, parent, unused int
		var step string
		err := row.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestGateHistoryPlans(t *testing.T) {
	s := openGate(t)
	for range 3 {
		if err := s.FailSignIn(t.Context(), audit.Event{Action: "session.refused", Actor: audit.Actor{Email: "e@example.com"}}); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Now()
	where, err := query.Parse(`actor:ada -is:drift before:2100-01 outcome:ok outcome:denied some "quoted words"`)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []HistoryQuery{
		{}, {Text: "some words"}, {Actor: "usr_1"}, {Action: "x.y", Project: "prj_1"}, {Object: "ac_1", Text: "a"}, {Request: "chg_1"},
		{From: day}, {To: day}, {From: day, To: day}, {From: day, Action: "x.y"}, {From: day, To: day, Text: "a"}, {Where: where},
		{Public: true, Hidden: []string{"prj_1", "prj_2"}, But: "usr_1"}, {Where: where, Public: true, Hidden: []string{"prj_1"}, But: "usr_1"},
	} {
		q.Before, q.Limit = 100, 50
		if _, err := s.History(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if _, err := s.HistorySummary(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if _, err := s.HistoryPerDay(t.Context(), q, day, 14); err != nil {
			t.Fatal(err)
		}
	}
	checkPlan(t, s.index.db, newestMatches, `("open.") NOT (("prj.a" OR "prj.b") NOT "who.c")`, 1, 100, 50)
	checkPlan(t, s.index.db, countMatches, `("open.") NOT ("prj.a" NOT "who.c")`, 1, 100, 50)
	checkPlan(t, s.index.db, matchFacets, `"a"`, 1, 100, 50)
	checkPlan(t, s.index.db, entryFacets, 1, 100, 50)
	checkPlan(t, s.index.db, countMatches, `"a"`, 1, 100, 50)
	checkPlan(t, s.index.db, newestMatches, `"a" AND ("b" OR "c")`, 1, 100, 50)
	checkPlan(t, s.index.db, highFrom, 1)
	checkPlan(t, s.index.db, termsFrom, "a", "b", 10)
	checkPlan(t, s.index.db, lateWithin, 1, 100)
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
	for i := 0; i < 20 && best > 0.7; i++ {
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

// slowChanges is a plan that gets slower with the number of change requests, or
// that sorts more than it shows.
var slowChanges = regexp.MustCompile(`SCAN (change_request|r|v|i|c|vote|comment|revision|change_item|watch|bypass)\b|TEMP B-TREE FOR ORDER BY`)

// newestFirst is how a list is read that ends with its page.
var newestFirst = regexp.MustCompile(`^SCAN r USING INDEX change_request_(created|done)$`)

// sorted are statements that sort the few rows which they are about.
var sorted = regexp.MustCompile(`change_item WHERE target|UNION|state IN|FROM (vote|bypass|change_item|comment)`)

// Lists of change requests cost as much as they show, however many there are.
func TestGateChangePlans(t *testing.T) {
	s := openGate(t)
	yes, no := true, false
	for _, q := range []RequestQuery{
		{}, {Project: "prj_1"}, {Author: "usr_1"}, {Open: &yes}, {Open: &no}, {Config: "ac_1", Project: "prj_1"},
		{Before: 9}, {Author: "usr_1", Before: 9}, {Open: &yes, Before: 9}, {Open: &no, Before: 9},
	} {
		q.Reader, q.Limit = access.User{ID: "usr_1"}, 50
		if _, err := s.Requests(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	for _, read := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := s.readRequest(ctx, "chg_1"); return ignoreMissing(err) },
		func(ctx context.Context) error { _, err := s.Inbox(ctx, access.User{ID: "usr_1"}); return err },
		func(ctx context.Context) error { _, err := s.Watched(ctx, access.User{ID: "usr_1"}, 0, 50); return err },
		func(ctx context.Context) error { _, err := s.lines(ctx, []string{"chg_1"}); return err },
		func(ctx context.Context) error { _, err := s.Unfinished(ctx, time.Now()); return err },
		func(ctx context.Context) error { _, err := s.NextDue(ctx); return err },
		func(ctx context.Context) error { _, err := s.Overdue(ctx, time.Now()); return err },
		func(ctx context.Context) error { _, err := s.Comments(ctx, "chg_1"); return err },
		func(ctx context.Context) error { _, err := s.Revisions(ctx, "chg_1"); return err },
		func(ctx context.Context) error { _, err := s.Watching(ctx, "chg_1", "usr_1"); return err },
		func(ctx context.Context) error { _, err := s.Watchers(ctx, "chg_1"); return err },
	} {
		if err := read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	checked := 0
	s.readStmts.Range(func(query, _ any) bool {
		text := query.(string)
		if !strings.Contains(text, "change_request") && !strings.Contains(text, "request_id") {
			return true
		}
		checked++
		for _, step := range planOf(t, s.reads, rebind(text), make([]any, parameters(text))...) {
			switch found := slowChanges.FindString(step); {
			case found == "", newestFirst.MatchString(step), strings.HasPrefix(found, "TEMP") && sorted.MatchString(text):
			default:
				t.Errorf("%s: %s", text, step)
			}
		}
		return true
	})
	if checked < 20 {
		t.Errorf("only %d statements were looked at", checked)
	}
}

func ignoreMissing(err error) error {
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	return err
}

// parameters is how many a statement takes.
func parameters(query string) int {
	most := 0
	for _, m := range placeholder.FindAllStringSubmatch(query, -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		most = max(most, n)
	}
	return most
}
