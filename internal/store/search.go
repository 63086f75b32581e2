package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/audit"
)

// A HistoryQuery asks for history entries, the newest first. Empty fields don't
// narrow it.
type HistoryQuery struct {
	Text    string // every word must occur, or begin a word that occurs
	Project string
	Actor   string // user id
	Action  string
	Object  string // id
	Request string
	From    time.Time
	To      time.Time // exclusive
	Before  int64     // only entries before this one; 0 for the newest
	Limit   int
	Public  bool // don't look into addresses of people
}

// History finds entries. Those that are not indexed yet are looked through one
// by one, so that what was just done is there.
func (s *Store) History(ctx context.Context, q HistoryQuery) ([]audit.Entry, error) {
	if q != (HistoryQuery{Request: q.Request, Limit: q.Limit}) || q.Request == "" {
		return s.search(ctx, q)
	}
	incomplete := false
	all, err := keepAbout(s, q.Request, fmt.Sprint("history, ", q.Limit), func() ([]audit.Entry, error) {
		head, err := s.HistoryHead(ctx)
		if err != nil {
			return nil, err
		}
		incomplete = s.HistoryIndexed()+tailMost < head.Seq
		return s.search(ctx, q)
	})
	if incomplete {
		s.subjects.forget(map[string]bool{q.Request: true})
	}
	return slices.Clone(all), err
}

func (s *Store) search(ctx context.Context, q HistoryQuery) ([]audit.Entry, error) {
	head, err := s.HistoryHead(ctx)
	if err != nil {
		return nil, err
	}
	if q.Before <= 0 || q.Before > head.Seq+1 {
		q.Before = head.Seq + 1
	}
	if !q.narrows() {
		return s.recent(ctx, q.Before, q.Limit)
	}
	indexed := s.index.upTo.Load()
	out, err := s.searchTail(ctx, q, indexed)
	if err != nil {
		return nil, err
	}
	q.Before = min(q.Before, indexed+1)
	for len(out) < q.Limit {
		seqs, err := s.index.find(ctx, q, q.Limit)
		if err != nil {
			return nil, err
		}
		entries, err := s.entries(ctx, seqs)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if q.matches(e) && len(out) < q.Limit {
				out = append(out, e)
			}
		}
		if len(seqs) < q.Limit {
			break
		}
		q.Before = seqs[len(seqs)-1]
	}
	return out, nil
}

func (q HistoryQuery) narrows() bool {
	return q.Text != "" || q.Project != "" || q.Actor != "" || q.Action != "" || q.Object != "" || q.Request != "" ||
		!q.From.IsZero() || !q.To.IsZero()
}

// recent returns the last entries before one.
func (s *Store) recent(ctx context.Context, before int64, limit int) ([]audit.Entry, error) {
	var out []audit.Entry
	from := max(1, before-int64(limit)) // numbers have no gaps
	err := s.HistoryRows(ctx, from, before-1, func(r audit.Row) error {
		e, err := audit.Open(r)
		out = append(out, e)
		return err
	})
	slices.Reverse(out)
	return out, err
}

// tailMost is how many entries that are not indexed yet are looked through. More
// wait only while an index is made anew.
const tailMost = 2000

// HistoryIndexed returns the number of the last entry that searches surely find.
func (s *Store) HistoryIndexed() int64 { return s.index.upTo.Load() }

// searchTail looks through the entries that are not indexed yet.
func (s *Store) searchTail(ctx context.Context, q HistoryQuery, indexed int64) ([]audit.Entry, error) {
	var out []audit.Entry
	err := s.HistoryRows(ctx, max(indexed+1, q.Before-tailMost), q.Before-1, func(r audit.Row) error {
		e, err := audit.Open(r)
		if err == nil && q.matches(e) {
			out = append(out, e)
		}
		return err
	})
	slices.Reverse(out)
	return out[:min(len(out), q.Limit)], err
}

// find returns the numbers of entries that may match, the newest first. Tokens
// fold case and punctuation, so the caller compares again.
func (x *historyIndex) find(ctx context.Context, q HistoryQuery, limit int) ([]int64, error) {
	query, args := q.statement(limit)
	rows, err := x.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var seqs []int64
	err = drain(rows, func(row scanner) error {
		var n int64
		err := row.Scan(&n)
		seqs = append(seqs, n)
		return err
	})
	return seqs, err
}

// statement is the query to the index, with its arguments. Entries of a span of
// time come in the order of time, which is that of their numbers unless a clock
// was set back.
func (q HistoryQuery) statement(limit int) (string, []any) {
	from, seq, order := "entry e", "e.seq", "e.seq DESC"
	var where []string
	var args []any
	add := func(condition string, more ...any) { where, args = append(where, condition), append(args, more...) }
	dated := !q.From.IsZero() || !q.To.IsZero()
	switch match := q.match(); {
	case match != "":
		seq, order, from = "w.rowid", "w.rowid DESC", "words w"
		if dated {
			from += " JOIN entry e ON e.seq = w.rowid"
		}
		add("words MATCH ?", match)
		add("w.rowid < ?", q.Before)
	case dated:
		order = "e.at DESC, e.seq DESC"
		add("(e.at, e.seq) < (COALESCE((SELECT at FROM entry WHERE seq = ?), 9223372036854775807), ?)", q.Before, q.Before)
	default:
		add("e.seq < ?", q.Before)
	}
	if !q.From.IsZero() {
		add("e.at >= ?", micros(q.From))
	}
	if !q.To.IsZero() {
		add("e.at < ?", micros(q.To))
	}
	//nolint:gosec // made of constants; what readers typed goes through arguments
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d", seq, from, strings.Join(where, " AND "), order, limit), args
}

// match is the query in FTS5's language: filters as whole tokens, words of the
// text as prefixes.
func (q HistoryQuery) match() string {
	var terms []string
	for _, t := range q.filterTokens() {
		terms = append(terms, `"`+t+`"`)
	}
	for _, w := range q.words() {
		terms = append(terms, `"`+w+`"*`)
	}
	return strings.Join(terms, " AND ")
}

func (q HistoryQuery) filterTokens() []string {
	var out []string
	add := func(kind, value string) {
		if value != "" {
			out = append(out, filterToken(kind, value))
		}
	}
	add("prj", q.Project)
	add("who", q.Actor)
	add("act", q.Action)
	add("obj", q.Object)
	add("req", q.Request)
	return out
}

// filterToken folds a filter into one token of the index.
func filterToken(kind, value string) string {
	return "z" + kind + "_" + strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return '_'
	}, value)
}

// mostWords is how many words of a search count.
const mostWords = 16

// words are those of the query's text, each once.
func (q HistoryQuery) words() []string {
	all := tokens(q.Text[:min(len(q.Text), 1000)])
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), mostWords)]
}

// tokens splits text into words.
func tokens(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// indexText is what of an entry goes into the index.
func indexText(e audit.Entry) string {
	words := tokens(strings.Join(e.Words(true), " "))
	for _, f := range [][2]string{{"prj", e.Project}, {"who", e.Actor.ID}, {"act", e.Action}, {"obj", e.Object.ID}, {"req", e.Request}} {
		if f[1] != "" {
			words = append(words, filterToken(f[0], f[1]))
		}
	}
	return strings.Join(words, " ")
}

// matches compares an entry with the query exactly.
func (q HistoryQuery) matches(e audit.Entry) bool {
	switch {
	case q.Project != "" && e.Project != q.Project,
		q.Actor != "" && e.Actor.ID != q.Actor,
		q.Action != "" && e.Action != q.Action,
		q.Object != "" && e.Object.ID != q.Object,
		q.Request != "" && e.Request != q.Request,
		!q.From.IsZero() && e.Time.Before(q.From),
		!q.To.IsZero() && !e.Time.Before(q.To):
		return false
	}
	if q.Text == "" {
		return true
	}
	words := tokens(strings.Join(e.Words(!q.Public), " "))
	for _, want := range q.words() {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, want) }) {
			return false
		}
	}
	return true
}

// HistoryPerDay counts entries for n periods of 24 hours, the first of which
// ends at the given time; counts stop at 10,000.
func (s *Store) HistoryPerDay(ctx context.Context, first time.Time, n int) ([]int, error) {
	out := make([]int, n)
	for i := range out {
		end := first.Add(time.Duration(i) * 24 * time.Hour)
		row := s.index.db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM entry WHERE at > ? AND at <= ? LIMIT 10000)", micros(end.Add(-24*time.Hour)), micros(end))
		if err := row.Scan(&out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
