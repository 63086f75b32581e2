package store

import (
	"context"
	"time"

	"gatehouse/internal/audit"
)

const countMatches = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? AND rowid >= ? AND rowid <= ? ORDER BY rowid LIMIT ?)"

// countBars counts by days, or by so many of them that there are no more bars
// than fit. Entries of a clock that was set back count where their neighbours do.
func (s *Store) countBars(ctx context.Context, f search, w window, read []audit.Entry) ([]Bar, error) {
	bars, err := s.barsOf(ctx, f)
	if err != nil {
		return nil, err
	}
	return bars, s.fillBars(ctx, bars, w, read)
}

// fillBars counts the entries of a window, and others, by consecutive bars.
func (s *Store) fillBars(ctx context.Context, bars []Bar, w window, read []audit.Entry) error {
	if len(bars) == 0 {
		return nil
	}
	next, err := s.index.firstSince(ctx, bars[0].From)
	if err != nil {
		return err
	}
	for i := range bars {
		b := &bars[i]
		first := next
		if next, err = s.index.firstSince(ctx, b.To); err != nil {
			return err
		}
		part := w
		part.first, part.last = max(w.first, first), min(w.last, next-1)
		if err := part.count(ctx, b); err != nil {
			return err
		}
		for _, e := range read {
			if !e.Time.Before(b.From) && e.Time.Before(b.To) {
				b.Count++
			}
		}
	}
	return nil
}

// count adds the window's entries to a bar.
func (w window) count(ctx context.Context, b *Bar) error {
	switch {
	case w.none || w.first > w.last:
		return nil
	case w.match == "":
		b.Count = int(w.last - w.first + 1)
		return nil
	}
	err := w.index.db.QueryRowContext(ctx, countMatches, w.match, w.first, w.last, BarMost+1).Scan(&b.Count)
	if b.Count > BarMost {
		b.Count, b.More = BarMost, true
	}
	return err
}

const day = 24 * time.Hour

// barsOf are the empty bars of a search: of its time, or of the last days.
func (s *Store) barsOf(ctx context.Context, f search) ([]Bar, error) {
	to := f.to
	if now := s.now(); to.IsZero() || to.After(now) {
		to = now
	}
	to = to.Add(day - time.Microsecond).Truncate(day)
	from := f.from
	if from.IsZero() {
		from = to.Add(-Bars * day)
	}
	first, err := s.firstTime(ctx)
	if err != nil {
		return nil, err
	}
	if from.Before(first) && !f.from.IsZero() {
		from = first
	}
	from = from.Truncate(day)
	days := int(to.Sub(from) / day)
	step := time.Duration((days + Bars - 1) / Bars)
	var all []Bar
	for at := from; at.Before(to); at = at.Add(step * day) {
		end := at.Add(step * day)
		if end.After(to) {
			end = to
		}
		all = append(all, Bar{From: at, To: end})
	}
	return all, nil
}

// firstTime is when history begins.
func (s *Store) firstTime(ctx context.Context) (time.Time, error) {
	var first time.Time
	entries, err := s.entries(ctx, []int64{1})
	for _, e := range entries {
		first = e.Time
	}
	return first, err
}

// HistoryPerDay counts what a query finds, whatever its Before and Limit, for n
// periods of 24 hours, the first of which ends at the given time.
func (s *Store) HistoryPerDay(ctx context.Context, q HistoryQuery, first time.Time, n int) ([]Bar, error) {
	q.Before = 0
	bars := make([]Bar, n)
	for i := range bars {
		to := first.Add(time.Duration(i) * day)
		bars[i] = Bar{From: to.Add(-day), To: to}
	}
	f, err := s.prepareSearch(ctx, q)
	if err != nil {
		return nil, err
	}
	tail, err := s.searchTail(ctx, f, tailMost)
	if err != nil {
		return nil, err
	}
	w, err := s.index.window(ctx, f)
	if err != nil {
		return nil, err
	}
	return bars, s.fillBars(ctx, bars, w, tail)
}
