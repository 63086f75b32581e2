package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
)

// A Month is a run of entries that could leave history for an archive: from the
// oldest one on, all before the first one of a later month.
type Month struct {
	Begin       time.Time
	First, Last int64
	Hold        string // why they have to stay, in words; empty if they needn't
}

// End is when the month ends.
func (m Month) End() time.Time { return m.Begin.AddDate(0, 1, 0) }

// OldestMonth returns the oldest month of history if it ended by a time; with no
// entries if there is none.
func (s *Store) OldestMonth(ctx context.Context, by time.Time) (Month, error) {
	removed, err := s.lastRemoved(ctx)
	if err != nil {
		return Month{}, err
	}
	begin := removed.Last() + 1
	found, err := s.entries(ctx, []int64{begin})
	if err != nil || len(found) == 0 {
		return Month{}, err
	}
	at := found[0].Time.UTC()
	m := Month{Begin: time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC), First: begin}
	if last, err := time.Parse(audit.MonthFormat, removed.Month); err == nil && !m.Begin.After(last) {
		m.Begin = last.AddDate(0, 1, 0) // of a clock that was set back: they leave with the next month
	}
	if m.End().After(by) {
		return Month{}, nil
	}
	var next int64
	err = s.row(ctx, "SELECT seq FROM history WHERE seq > $1 AND CAST(body AS TEXT) ->> 'time' >= $2 ORDER BY seq LIMIT 1", begin, m.End().Format(audit.TimeFormat)).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) { // nothing happened since
		err = s.row(ctx, "SELECT MAX(seq) + 1 FROM history").Scan(&next)
	}
	if err != nil {
		return Month{}, err
	}
	m.Last = next - 1
	m.Hold, err = hold(func(query string, args ...any) scanner { return s.row(ctx, query, args...) }, m)
	return m, err
}

// holds are what keeps a month from leaving.
var holds = []struct{ query, why string }{
	{"SELECT 'entry ' || last FROM m WHERE COALESCE((SELECT size FROM checkpoint ORDER BY id DESC LIMIT 1), 0) < last", "No checkpoint covers %s yet."},
	{"SELECT r.id FROM m, change_request r WHERE r.ended_at = 0 AND r.created_at < until ORDER BY r.created_at LIMIT 1", "Change request %s, of that time, is still open."},
	{"SELECT r.name FROM m, review r WHERE r.closed_at = 0 AND r.opened_at < until ORDER BY r.opened_at LIMIT 1", "The review “%s”, of that time, is still open."},
	{"SELECT r.name FROM m, review r WHERE r.closed_at = 0 AND EXISTS (SELECT 1 FROM review_entry e WHERE e.review_id = r.id AND e.seq BETWEEN first AND last) LIMIT 1", "The open review “%s” is about some of it."},
	{"SELECT k.name FROM m, sink k JOIN sink_progress p ON p.id = k.id WHERE p.cursor < last ORDER BY p.cursor LIMIT 1", "The sink “%s” hasn't had all of it yet."},
	{"SELECT MIN(seq) FROM m, outbox WHERE seq <= last HAVING count(*) > 0", "People are still to hear of entry %s."},
	{"SELECT MIN(seq) FROM m, delivery WHERE seq <= last AND NOT given_up HAVING count(*) > 0", "A message about entry %s still waits to be sent."},
}

// hold finds what keeps a month from leaving.
func hold(row func(query string, args ...any) scanner, m Month) (string, error) {
	for _, h := range holds {
		var what string
		err := row("WITH m (first, last, until) AS (SELECT $1, $2, $3) "+h.query, m.First, m.Last, micros(m.End())).Scan(&what)
		if err == nil {
			return fmt.Sprintf(h.why, what), nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return "", err
		}
	}
	return "", nil
}
