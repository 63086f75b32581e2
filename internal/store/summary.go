package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

// What a [HistorySummary] looks at.
const (
	SummaryMost = 1000 // entries that are counted by what they have
	BarMost     = 5000 // entries that are counted of a bar
	Bars        = 30   // bars at most
)

// A HistorySummary says how the entries that a query finds are spread.
type HistorySummary struct {
	Found  int  // how many there are, up to [SummaryMost]
	More   bool // there are more, or may be: the counts are of the newest
	Facets map[string][]Facet
	Bars   []Bar // none where they can't be told without looking at too much
}

// A Facet is a value that entries have, and how many do. Values of actor are ids
// or kinds of actors, those of project are ids.
type Facet struct {
	Value string
	Count int
}

// A Bar counts the entries of some whole days.
type Bar struct {
	From, To time.Time
	Count    int
	More     bool // there are more
}

// facetKeys are the keys of facets, in the order of the index's columns.
var facetKeys = []string{"actor", "action", "project", "toolkit", "outcome"}

// mostFacets is how many values of a key are told.
const mostFacets = 8

// HistorySummary counts what a query finds, whatever its Before and Limit.
func (s *Store) HistorySummary(ctx context.Context, q HistoryQuery) (HistorySummary, error) {
	q.Before = 0
	f, err := s.prepareSearch(ctx, q)
	if err != nil {
		return HistorySummary{}, err
	}
	tail, err := s.searchTail(ctx, f, tailMost)
	if err != nil {
		return HistorySummary{}, err
	}
	w, err := s.index.window(ctx, f)
	if err != nil {
		return HistorySummary{}, err
	}
	var out HistorySummary
	read, unread := tail, w
	if w.loose {
		if read, out.More, err = s.readLoose(ctx, f, w, tail); err != nil {
			return out, err
		}
		unread.none = true
	}
	if err := s.countFacets(ctx, unread, read, &out); err != nil {
		return out, err
	}
	if w.loose && out.More { // what was read isn't all
		if w.spread {
			return out, nil
		}
		read, unread = tail, w
	}
	out.Bars, err = s.countBars(ctx, f, unread, read)
	return out, err
}

// readLoose reads what a search finds that the index can't tell exactly, up to a
// little more than is counted, and tells whether there may be more.
func (s *Store) readLoose(ctx context.Context, f search, w window, tail []audit.Entry) (all []audit.Entry, more bool, err error) {
	all = slices.Clone(tail)
	for looked := 0; len(all) <= SummaryMost && looked < SearchMost; looked += SummaryMost {
		some, through, err := s.candidates(ctx, f, &w, SummaryMost)
		all = append(all, some...)
		if err != nil || through {
			return all, false, err
		}
	}
	return all, true, nil
}

// counts are how often values of each key occur.
type counts [5]map[string]int

func (c *counts) add(key int, value string, n int) {
	if c[key] == nil {
		c[key] = map[string]int{}
	}
	c[key][value] += n
}

func (c *counts) entry(e audit.Entry) {
	for key, value := range []string{actorValue(e), e.Action, e.Project, e.Detail["toolkit"], outcomeValue(e)} {
		c.add(key, value, 1)
	}
}

func (s *Store) countFacets(ctx context.Context, w window, read []audit.Entry, out *HistorySummary) error {
	var c counts
	entries := read[:min(len(read), SummaryMost+1)]
	if left := SummaryMost + 1 - len(entries); left > 0 {
		n, err := w.facets(ctx, left, &c)
		if err != nil {
			return err
		}
		out.Found = n
	}
	for _, e := range entries {
		c.entry(e)
	}
	out.Found += len(entries)
	out.More = out.More || out.Found > SummaryMost
	out.Found = min(out.Found, SummaryMost)
	out.Facets = map[string][]Facet{}
	for i, key := range facetKeys {
		out.Facets[key] = c.most(i)
	}
	return nil
}

// most are the values of a key that occur most. Several toolkits of one request
// count for each.
func (c *counts) most(key int) []Facet {
	sums := map[string]int{}
	for text, n := range c[key] {
		for _, value := range split(key, text) {
			sums[value] += n
		}
	}
	all := make([]Facet, 0, len(sums))
	for value, n := range sums {
		all = append(all, Facet{value, n})
	}
	slices.SortFunc(all, func(a, b Facet) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value)) })
	return all[:min(len(all), mostFacets)]
}

func split(key int, text string) []string {
	switch {
	case text == "":
		return nil
	case facetKeys[key] == "toolkit":
		return strings.Fields(text)
	}
	return []string{text}
}

const (
	facetColumns = "SELECT e.actor, e.action, e.project, e.toolkit, e.outcome FROM "
	matchFacets  = facetColumns + "words w JOIN entry e ON e.seq = w.rowid WHERE words MATCH ? AND w.rowid >= ? AND w.rowid <= ? ORDER BY w.rowid DESC LIMIT ?"
	entryFacets  = facetColumns + "entry e WHERE e.seq >= ? AND e.seq <= ? ORDER BY e.seq DESC LIMIT ?"
	valueText    = "SELECT text FROM value WHERE id = ?"
)

// facets counts the values of the newest entries of the window.
func (w window) facets(ctx context.Context, limit int, c *counts) (n int, err error) {
	if w.none {
		return 0, nil
	}
	query, args := entryFacets, []any{w.first, w.last, limit}
	if w.match != "" {
		query, args = matchFacets, []any{w.match, w.first, w.last, limit}
	}
	rows, err := w.index.db.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	var numbers [len(c)]map[int64]int
	for i := range numbers {
		numbers[i] = map[int64]int{}
	}
	err = drain(rows, func(row scanner) error {
		var v [len(numbers)]int64
		err := row.Scan(&v[0], &v[1], &v[2], &v[3], &v[4])
		for key := range v {
			numbers[key][v[key]]++
		}
		n++
		return err
	})
	for key := range numbers {
		for id, count := range numbers[key] {
			var text string
			if err == nil {
				err = w.index.db.QueryRowContext(ctx, valueText, id).Scan(&text)
			}
			c.add(key, text, count)
		}
	}
	return n, err
}
