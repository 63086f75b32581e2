package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/query"
)

// A HistoryQuery asks for history entries, the newest first. Empty fields don't
// narrow it.
type HistoryQuery struct {
	Where   query.Query // in the language of history
	Text    string      // every word must occur, or begin a word that occurs
	Project string
	Actor   string // user id
	Action  string
	Object  string // id
	Request string
	From    time.Time
	To      time.Time // exclusive
	Before  int64     // only entries before this one; 0 for the newest
	Limit   int
	Public  bool // nothing of people: addresses, sign-ins, accounts, reviews, and what they read

	// Hidden are ids of projects, empty for what is of none, of which only what a
	// person did is found, and what is about some toolkits.
	Hidden []string
	But    string // that person's id
	Parts  []Part
	Barred []string // ids of projects of which nothing is found
}

// A Part is what history tells of one toolkit of a project.
type Part struct{ Project, Toolkit string }

// aboutRequest reports whether the query asks for all of one request and nothing
// else.
func (q HistoryQuery) aboutRequest() bool {
	return q.Request != "" && q.Where.Empty() && q.Text+q.Project+q.Actor+q.Action+q.Object == "" &&
		q.From.IsZero() && q.To.IsZero() && q.Before == 0 && !q.Public && len(q.Hidden)+len(q.Barred) == 0
}

// History finds entries. Those that are not indexed yet are looked through one
// by one, so that what was just done is there. What can't be read any more is
// found, by [audit.Look], where it was found before.
func (s *Store) History(ctx context.Context, q HistoryQuery) ([]audit.Entry, error) {
	if !q.aboutRequest() {
		found, _, err := s.search(ctx, q, 0)
		return found, err
	}
	incomplete := false
	all, err := keepAbout(s, q.Request, fmt.Sprint("history, ", q.Limit), func() ([]audit.Entry, error) {
		head, err := s.HistoryHead(ctx)
		if err != nil {
			return nil, err
		}
		incomplete = s.HistoryIndexed()+tailMost < head.Seq
		found, _, err := s.search(ctx, q, 0)
		return found, err
	})
	if incomplete {
		s.subjects.forget(map[string]bool{q.Request: true})
	}
	return slices.Clone(all), err
}

// SearchMost is how many entries that may match a page of a search looks at.
const SearchMost = 3000

// HistoryPage is [Store.History] with an end: of a search whose matches the index
// can't tell exactly, it looks at [SearchMost] entries and then says before which
// entry the search goes on. That is 0 if it was through or found enough.
func (s *Store) HistoryPage(ctx context.Context, q HistoryQuery) (found []audit.Entry, rest int64, err error) {
	return s.search(ctx, q, SearchMost)
}

// Resolve names projects by their ids, and environments by those of their
// projects, as [HistoryQuery.Matches] wants them. Short names and names are known,
// those of archived projects too; what isn't known stays and finds nothing.
func (s *Store) Resolve(ctx context.Context, q query.Query) (query.Query, error) {
	if !slices.ContainsFunc(q.Terms, named) {
		return q, nil
	}
	projects, err := s.Projects(ctx)
	if err != nil {
		return q, err
	}
	var out query.Query
	for _, t := range q.Terms {
		known := false
		for _, p := range projects {
			if named(t) && (t.Key == "environment" && p.Environment == t.Value ||
				t.Key == "project" && (p.ID == t.Value || strings.EqualFold(p.Slug, t.Value) || strings.EqualFold(p.Name, t.Value))) {
				one := t
				one.Value, known = p.ID, true
				out.Terms = append(out.Terms, one)
			}
		}
		if !known {
			out.Terms = append(out.Terms, t)
		}
	}
	return out, nil
}

func named(t query.Term) bool { return t.Key == "project" || t.Key == "environment" }

// search finds entries. With most it gives up after as many that may match, and
// says before which entry it would go on.
func (s *Store) search(ctx context.Context, q HistoryQuery, most int) (out []audit.Entry, rest int64, err error) {
	found, err := s.prepareSearch(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	out, err = s.recent(ctx, &found, q.Limit)
	if err != nil || len(out) >= q.Limit || !found.narrows() {
		return out, 0, err
	}
	tail, err := s.searchTail(ctx, found, q.Limit-len(out))
	out = append(out, tail...)
	if err != nil || len(out) >= q.Limit {
		return out, 0, err
	}
	w, err := s.index.window(ctx, found)
	if err != nil {
		return nil, 0, err
	}
	for looked := 0; len(out) < q.Limit; looked += q.Limit {
		if most > 0 && looked >= most {
			return out, w.last + 1, nil
		}
		some, through, err := s.candidates(ctx, found, &w, q.Limit)
		out = append(out, some[:min(len(some), q.Limit-len(out))]...)
		if err != nil || through {
			return out, 0, err
		}
	}
	return out, 0, nil
}

// candidates returns those that match of the window's newest entries, and takes
// them off it. The window is through when there were fewer.
func (s *Store) candidates(ctx context.Context, f search, w *window, limit int) (out []audit.Entry, through bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err // nobody waits for it any more
	}
	seqs, err := w.newest(ctx, limit)
	if err != nil {
		return nil, false, err
	}
	entries, err := s.entries(ctx, seqs)
	if err != nil {
		return nil, false, err
	}
	if through = len(seqs) < limit; !through {
		w.last = seqs[len(seqs)-1] - 1
	}
	return slices.DeleteFunc(entries, func(e audit.Entry) bool { return e.Action != audit.Unreadable && !f.matches(e) }), through, nil
}

// A search is a query made ready: its names are resolved, and it knows where to
// begin and what is indexed.
type search struct {
	matcher
	before  int64 // only entries before this one
	indexed int64
}

func (s *Store) prepareSearch(ctx context.Context, q HistoryQuery) (search, error) {
	head, err := s.HistoryHead(ctx)
	if err != nil {
		return search{}, err
	}
	if q.Where, err = s.Resolve(ctx, q.Where); err != nil {
		return search{}, err
	}
	if q.Before <= 0 || q.Before > head.Seq+1 {
		q.Before = head.Seq + 1
	}
	f := search{matcher: q.matcher(s.now()), before: q.Before}
	if s.index != nil {
		f.indexed = s.index.upTo.Load()
	}
	return f, nil
}

// recent returns the last entries of a search that leaves out little or nothing,
// as far as they are quickly found, and moves its beginning past them.
func (s *Store) recent(ctx context.Context, f *search, limit int) ([]audit.Entry, error) {
	var out []audit.Entry
	if f.narrows() && f.little == nil {
		return nil, nil
	}
	first := int64(1)
	if s.index != nil {
		first = s.index.first.Load()
	}
	for tries := int64(1); tries <= 8 && len(out) < limit && f.before > first; tries *= 2 {
		from := max(first, f.before-tries*int64(limit)) // numbers have no gaps
		var some []audit.Entry
		err := s.HistoryRows(ctx, from, f.before-1, func(r audit.Row) error {
			if e := audit.Look(r); f.matches(e) {
				some = append(some, e)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		slices.Reverse(some)
		out, f.before = append(out, some...), from
	}
	return out[:min(len(out), limit)], nil
}

// tailMost is how many entries that are not indexed yet are looked through. More
// wait only while an index is made anew.
const tailMost = 2000

// HistoryIndexed returns the number of the last entry that searches surely find.
func (s *Store) HistoryIndexed() int64 { return s.index.upTo.Load() }

// searchTail looks through the entries that are not indexed yet.
func (s *Store) searchTail(ctx context.Context, f search, limit int) ([]audit.Entry, error) {
	var out []audit.Entry
	err := s.HistoryRows(ctx, max(f.indexed+1, f.before-tailMost), f.before-1, func(r audit.Row) error {
		if e := audit.Look(r); f.matches(e) {
			out = append(out, e)
		}
		return nil
	})
	slices.Reverse(out)
	return out[:min(len(out), limit)], err
}

// mostWords is how many words of a plain text count.
const mostWords = 16

// words are those of the query's text, each once.
func (q HistoryQuery) words() []string {
	all := tokens(q.Text[:min(len(q.Text), 1000)])
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), mostWords)]
}
