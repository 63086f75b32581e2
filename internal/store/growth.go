package store

import (
	"context"
	"time"
)

// Growth is how fast history grows.
type Growth struct {
	Entries int64
	PerDay  int64 // over the last 30 days, or since the first entry
	PerYear int64 // bytes, with what is derived from them
}

// Bytes beside those of an entry's texts, measured at 5,000,000 entries.
const (
	rowOverhead = 150
	derived     = 0.5 // of the entry
	growthRows  = 1000
	growthDays  = 30
)

// HistoryGrowth works out how fast history grows.
func (s *Store) HistoryGrowth(ctx context.Context, now time.Time) (Growth, error) {
	head, err := s.HistoryHead(ctx)
	if err != nil || head.Seq == 0 {
		return Growth{}, err
	}
	begin, err := s.HistoryBegin(ctx)
	if err != nil {
		return Growth{}, err
	}
	g := Growth{Entries: head.Seq - begin + 1}
	first, at, err := s.firstSince(ctx, begin, head.Seq, now.AddDate(0, 0, -growthDays))
	if err != nil || first > head.Seq {
		return g, err
	}
	var bodies, personal int64
	from := max(first, head.Seq-growthRows+1)
	if err := s.row(ctx, "SELECT COALESCE(SUM(length(body)), 0) FROM history WHERE seq BETWEEN $1 AND $2", from, head.Seq).Scan(&bodies); err != nil {
		return g, err
	}
	if err := s.row(ctx, "SELECT COALESCE(SUM(length(field) + length(salt) + length(value)), 0) FROM history_personal WHERE seq BETWEEN $1 AND $2", from, head.Seq).Scan(&personal); err != nil {
		return g, err
	}
	n := head.Seq - first + 1
	days := max(1, min(growthDays, now.Sub(at).Hours()/24))
	each := float64(bodies+personal)/float64(head.Seq-from+1) + rowOverhead
	g.PerDay = int64(float64(n)/days + 0.5)
	g.PerYear = int64(float64(n) / days * 365 * each * (1 + derived))
	return g, nil
}

// firstSince finds the first entry since a moment and when it was, by halves; a
// clock that was set back makes it less exact.
func (s *Store) firstSince(ctx context.Context, begin, last int64, since time.Time) (first int64, at time.Time, err error) {
	low, high := begin, last+1
	for low < high {
		middle := low + (high-low)/2
		e, err := s.HistoryEntry(ctx, middle)
		if err != nil {
			return 0, at, err
		}
		if e.Time.Before(since) {
			low = middle + 1
		} else {
			high, at = middle, e.Time
		}
	}
	return low, at, nil
}
