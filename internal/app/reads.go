package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
)

// That history was read is recorded once per person and search within a window,
// and no more than so many times: the records must not drown what they guard.
const (
	readWindow = 10 * time.Minute
	mostReads  = 60
	mostText   = 500 // bytes of what is recorded beside a search
)

// reads remember what was recorded of each person's reading. After a restart it
// is recorded again.
type reads struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*reading
}

// A reading is what a person read since a moment.
type reading struct {
	since time.Time
	seen  map[string]bool
}

func newReads(now func() time.Time) *reads { return &reads{now: now, by: map[string]*reading{}} }

// first reports whether a person reads something for the first time within the
// window, and whether they have read so much that what follows isn't recorded.
func (r *reads) first(person, what string) (first, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.by[person]
	if one == nil || r.now().Sub(one.since) >= readWindow {
		one = &reading{since: r.now(), seen: map[string]bool{}}
		r.by[person] = one
	}
	if one.seen[what] || len(one.seen) >= mostReads {
		return false, false
	}
	one.seen[what] = true
	return true, len(one.seen) == mostReads
}

// forget makes that something counts as not read yet.
func (r *reads) forget(person, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.by[person]; one != nil {
		delete(one.seen, what)
	}
}

// recorded answers with a page of history and leaves in history that it was read,
// and what was searched for. Where that can't be written, nothing is shown; where
// nothing is shown, nothing is written.
func (s *Server) recorded(page echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Param("id") != reader(c).ID { // what they did themselves
			c.Set(readKey, func() error { return s.recordRead(c) })
		}
		return page(c)
	}
}

// readKey is where a request keeps what is to be done before it is shown a page,
// and stillKey how it finds out that its reader is still signed in.
const (
	readKey  = "read"
	stillKey = "still"
)

// beforeShown stands before every answer that holds something: who was signed out
// or disabled while it was made doesn't get it.
func beforeShown(c echo.Context) error {
	if still, ok := c.Get(stillKey).(func() bool); ok && !still() {
		return problem.New(problem.SignIn, "Your session ended while this was on its way. Sign in again.")
	}
	if record, ok := c.Get(readKey).(func() error); ok {
		return record()
	}
	return nil
}

// recordRead records a page that is about to be shown: what its path names exists.
func (s *Server) recordRead(c echo.Context) error {
	return s.noteRead(c.Request().Context(), reader(c), c.Request().URL.Path, readText(c))
}

// noteRead records that somebody reads a page, and what they searched for.
func (s *Server) noteRead(ctx context.Context, who access.Reader, path, text string) error {
	text = cut(text, ql.MaxBytes+mostText)
	first, last := s.reads.first(who.ID, path+"?"+text)
	if !first {
		return nil
	}
	e := audit.Event{Actor: who.Actor(), Action: audit.Read, Object: audit.Object{Kind: "history"}, Reason: text, Detail: map[string]string{"page": path}}
	if last {
		e.Detail["more"] = "what follows within 10 minutes is not recorded"
	}
	if err := s.store.AddRead(ctx, e); err != nil {
		s.reads.forget(who.ID, path+"?"+text)
		return problem.New(problem.Unavailable, "That history is read can't be recorded now, so it isn't shown. An operator has to look at the server's log.").Because(err)
	}
	return nil
}

// recordedUnlessOwn is [Server.recorded] for the history of one auth config, which
// whoever changed it may read without that.
func (s *Server) recordedUnlessOwn(page echo.HandlerFunc) echo.HandlerFunc {
	recorded := s.recorded(page)
	return func(c echo.Context) error {
		mine, err := s.store.History(c.Request().Context(), store.HistoryQuery{Object: c.Param("id"), Actor: reader(c).ID, Limit: 1})
		if err != nil {
			return err
		}
		if len(mine) > 0 {
			return page(c)
		}
		return recorded(c)
	}
}

// readText is what a page was asked for, without where in it: the search first
// and whole, as far as one may be long.
func readText(c echo.Context) string {
	values := c.Request().URL.Query()
	parts := []string{cut(strings.Join(values["q"], " "), ql.MaxBytes)}
	var rest []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[key] {
			if v != "" && key != "before" && key != "draft" && key != "q" {
				rest = append(rest, key+":"+v)
			}
		}
	}
	parts = append(parts, cut(strings.Join(rest, " "), mostText))
	return strings.TrimSpace(strings.Join(parts, " "))
}

// cut is the beginning of a text of at most so many bytes.
func cut(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.C) {
			return '\ufffd' // it could turn the text around
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
