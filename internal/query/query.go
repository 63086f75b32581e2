// Package query is the language in which people search: terms such as
// actor:ada and is:drift, words, and what must not be there. It knows the
// languages of history and of the lists, and says where a text goes wrong. What
// terms mean for a row is the business of who owns the rows.
package query

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of a text.
const (
	MaxBytes = 4096
	MaxTerms = 32
	maxValue = 512
)

// A Query is what a text asks for. Terms of different keys must all hold, and so
// must words. Of terms that repeat a key one must hold, unless the key is one of
// properties (is:) or of dates. What a Not term says must not hold.
type Query struct {
	Terms []Term
}

// A Term is one condition.
type Term struct {
	Key    string // empty for words
	Value  string
	Not    bool
	Quoted bool // words: whole ones, side by side, in this order
	At     int  // where it stands in the text, in bytes
	Len    int
}

// An Error says what is wrong with a text, and where.
type Error struct {
	At, Len int // in bytes
	Message string
}

func (e *Error) Error() string { return e.Message }

// Wrong is an error about a term.
func (t Term) Wrong(format string, args ...any) *Error {
	return &Error{At: t.At, Len: t.Len, Message: fmt.Sprintf(format, args...)}
}

// Parse reads a text in the language of history. The error is an [*Error].
func Parse(text string) (Query, error) { return History.Parse(text) }

// Empty reports whether the query asks for everything.
func (q Query) Empty() bool { return len(q.Terms) == 0 }

// String is the query as text, in one form for all ways to write it.
func (q Query) String() string {
	all := make([]string, len(q.Terms))
	for i, t := range q.Terms {
		all[i] = t.String()
	}
	return strings.Join(all, " ")
}

// String is the term as text.
func (t Term) String() string {
	var b strings.Builder
	if t.Not {
		b.WriteByte('-')
	}
	if t.Key != "" {
		b.WriteString(t.Key + ":")
	}
	if t.Key == "" && t.Quoted || needsQuotes(t) {
		b.WriteString(quote(t.Value))
	} else {
		b.WriteString(t.Value)
	}
	return b.String()
}

// same reports whether two terms say the same thing.
func (t Term) same(u Term) bool {
	return t.Key == u.Key && t.Value == u.Value && t.Not == u.Not && t.Quoted == u.Quoted
}

// Has reports whether the query has this term.
func (q Query) Has(t Term) bool { return slices.ContainsFunc(q.Terms, t.same) }

// With returns the query with one more term, at its end unless it is there.
func (q Query) With(t Term) Query {
	if q.Has(t) {
		return q
	}
	return Query{append(slices.Clone(q.Terms), t)}
}

// Without returns the query without its i-th term.
func (q Query) Without(i int) Query {
	return Query{slices.Delete(slices.Clone(q.Terms), i, i+1)}
}

// Match reports whether a row is what the query asks for, given whether it holds
// what a term says, its Not aside.
func (q Query) Match(holds func(Term) bool) bool {
	either := map[string]bool{} // key that is given more than once → whether one holds
	for _, t := range q.Terms {
		switch is := holds(t); {
		case t.Not && is:
			return false
		case t.Not || is && t.all():
		case t.all():
			return false
		default:
			either[t.Key] = either[t.Key] || is
		}
	}
	for _, is := range either {
		if !is {
			return false
		}
	}
	return true
}

// all reports whether each of several terms of the key must hold, not just one.
func (t Term) all() bool { return t.Key == "" || t.Key == Is || t.Key == After || t.Key == Before }

// Of returns the values of the terms of a key that must hold.
func (q Query) Of(key string) []string {
	var all []string
	for _, t := range q.Terms {
		if t.Key == key && !t.Not {
			all = append(all, t.Value)
		}
	}
	return all
}

// Drop returns the query without the terms of some keys.
func (q Query) Drop(keys ...string) Query {
	return Query{slices.DeleteFunc(slices.Clone(q.Terms), func(t Term) bool { return slices.Contains(keys, t.Key) })}
}

// Span is the time that the query's dates leave, as of now: from the first
// moment to before the last. The zero time is no bound.
func (q Query) Span(now time.Time) (from, to time.Time) {
	for _, t := range q.Terms {
		at, err := Date(t.Value, now)
		switch {
		case err != nil:
		case t.Key == After && at.After(from):
			from = at
		case t.Key == Before && (to.IsZero() || at.Before(to)):
			to = at
		}
	}
	return from, to
}

// needsQuotes reports whether a value would be read as something else without.
func needsQuotes(t Term) bool {
	if t.Value == "" || strings.ContainsFunc(t.Value, func(r rune) bool { return isSpace(r) || r == '"' }) {
		return true
	}
	return t.Key == "" && (strings.Contains(t.Value, ":") || t.Value[0] == '-')
}

var quoteEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func quote(s string) string { return `"` + quoteEscape.Replace(s) + `"` }
