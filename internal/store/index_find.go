package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// A window is the part of the index that a search looks at.
type window struct {
	index       *historyIndex
	match       string // in FTS5's language; empty: all entries
	none        bool   // nothing can be found
	loose       bool   // what is found need not match
	spread      bool   // any of it; else only entries of a clock that was set back
	first, last int64  // entries
}

// window prepares a search.
func (x *historyIndex) window(ctx context.Context, f search) (window, error) {
	w := window{index: x, first: 1, last: min(f.before-1, f.indexed)}
	if err := w.limit(ctx, f); err != nil {
		return w, err
	}
	err := w.phrase(ctx, f.conditions)
	return w, err
}

// limit makes the window no longer than the search's time.
func (w *window) limit(ctx context.Context, f search) (err error) {
	if !f.from.IsZero() {
		if w.first, err = w.index.firstSince(ctx, f.from); err != nil {
			return err
		}
	}
	if !f.to.IsZero() {
		last, err := w.index.lastBefore(ctx, f.to)
		if err != nil {
			return err
		}
		w.last = min(w.last, last)
	}
	if !f.from.IsZero() || !f.to.IsZero() {
		return w.index.db.QueryRowContext(ctx, lateWithin, w.first, w.last).Scan(&w.loose)
	}
	return nil
}

// newest returns the numbers of the newest entries of the window that may match.
func (w window) newest(ctx context.Context, limit int) ([]int64, error) {
	if w.none || w.first > w.last {
		return nil, nil
	}
	if w.match == "" {
		var seqs []int64
		for seq := w.last; seq >= w.first && len(seqs) < limit; seq-- {
			seqs = append(seqs, seq)
		}
		return seqs, nil
	}
	rows, err := w.index.db.QueryContext(ctx, newestMatches, w.match, w.first, w.last, limit)
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

const newestMatches = "SELECT rowid FROM words WHERE words MATCH ? AND rowid >= ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?"

const (
	highFrom   = "SELECT seq, high FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1"
	lateBefore = "SELECT COALESCE(MAX(seq), 0) FROM late WHERE at < ?"
	lateWithin = "SELECT EXISTS (SELECT 1 FROM late WHERE seq BETWEEN ? AND ?)"
)

// firstSince returns the first entry before which all are older, or the one that
// is to be indexed next.
func (x *historyIndex) firstSince(ctx context.Context, at time.Time) (int64, error) {
	ctx = context.WithoutCancel(ctx)       // see [Store.row]
	low, high := int64(1), x.upTo.Load()+1 // the answer lies from low to high
	for low < high {
		middle := low + (high-low)/2
		var seq, latest int64
		err := x.highFrom.QueryRowContext(ctx, middle).Scan(&seq, &latest)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && latest >= micros(at):
			high = middle
		case err != nil:
			return 0, err
		default:
			low = seq + 1
		}
	}
	return low, nil
}

// lastBefore returns the last entry that may be older: all after it aren't.
func (x *historyIndex) lastBefore(ctx context.Context, at time.Time) (int64, error) {
	next, err := x.firstSince(ctx, at)
	if err != nil {
		return 0, err
	}
	var late int64
	err = x.db.QueryRowContext(ctx, lateBefore, micros(at)).Scan(&late)
	return max(next-1, late), err
}

// phrase writes the conditions in FTS5's language. What it can't say exactly makes
// the window loose.
func (w *window) phrase(ctx context.Context, all []condition) error {
	var must, not []string
	for _, c := range all {
		one, exact, err := w.index.meets(ctx, c)
		if err != nil {
			return err
		}
		w.loose, w.spread = w.loose || !exact, w.spread || !exact
		switch {
		case one == "" && !c.not:
			w.none = true
		case c.not && one != "" && exact:
			not = append(not, one)
		case !c.not:
			must = append(must, one)
		}
	}
	if len(must) == 0 && len(not) > 0 {
		must = []string{quoted(every)}
	}
	w.match = strings.Join(must, " AND ")
	if len(not) > 0 {
		w.match = "(" + w.match + ") NOT (" + strings.Join(not, " OR ") + ")"
	}
	return nil
}

// meets is what meets a condition, in FTS5's language, as [historyIndex.anyOf] says.
func (x *historyIndex) meets(ctx context.Context, c condition) (text string, exact bool, err error) {
	text, exact, err = x.anyOf(ctx, c.any)
	if err != nil || text == "" || len(c.but) == 0 {
		return text, exact, err
	}
	but, spelt, err := x.anyOf(ctx, c.but)
	if but != "" && spelt {
		text = "(" + text + " NOT " + but + ")"
	}
	return text, exact && spelt, err
}

// anyOf is what choices are in FTS5's language. It is empty if nothing meets them,
// and inexact if more than what meets them does.
func (x *historyIndex) anyOf(ctx context.Context, choices []choice) (text string, exact bool, err error) {
	var all []string
	exact = true
	for _, c := range choices {
		one, spelt, err := x.allOf(ctx, c.atoms)
		if err != nil {
			return "", false, err
		}
		exact = exact && spelt && len(c.phrase) == 0
		if one != "" {
			all = append(all, one)
		}
	}
	return either(all), exact, nil
}

func (x *historyIndex) allOf(ctx context.Context, atoms []atom) (text string, exact bool, err error) {
	var all []string
	exact = true
	for _, a := range atoms {
		words, spelt, err := x.words(ctx, a)
		if err != nil || len(words) == 0 {
			return "", true, err
		}
		exact = exact && spelt
		all = append(all, either(words))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " AND "), exact, nil
}

// mostBeginnings is how many words a beginning is spelt out to.
const mostBeginnings = 500

const termsFrom = "SELECT word FROM term WHERE word >= ? AND word < ? ORDER BY word LIMIT ?"

// words are the tokens that an atom stands for, each quoted. It is inexact if they
// are too many to be spelt out.
func (x *historyIndex) words(ctx context.Context, a atom) (all []string, exact bool, err error) {
	tokens := []string{a.token}
	if a.addresses {
		tokens = append(tokens, inAddress+a.token)
	}
	exact = true
	for _, t := range tokens {
		if !a.prefix {
			all = append(all, quoted(t))
			continue
		}
		longer, err := x.longer(ctx, t)
		if err != nil {
			return nil, false, err
		}
		if len(longer) > mostBeginnings {
			longer, exact = []string{quoted(t) + "*"}, false
		}
		all = append(all, longer...)
	}
	return all, exact, nil
}

// longer are the words that begin like a token, up to one more than are spelt out.
func (x *historyIndex) longer(ctx context.Context, token string) ([]string, error) {
	rows, err := x.db.QueryContext(ctx, termsFrom, token, token+"\U0010ffff", mostBeginnings+1)
	if err != nil {
		return nil, err
	}
	var all []string
	err = drain(rows, func(row scanner) error {
		var word string
		err := row.Scan(&word)
		all = append(all, quoted(word))
		return err
	})
	return all, err
}

func quoted(token string) string { return `"` + token + `"` }

func either(all []string) string {
	switch len(all) {
	case 0:
		return ""
	case 1:
		return all[0]
	}
	return "(" + strings.Join(all, " OR ") + ")"
}
