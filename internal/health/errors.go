package health

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// mostErrors is how many errors are kept.
const mostErrors = 50

// An Error is one that was logged.
type Error struct {
	At      time.Time
	Message string
	Text    string // of the error itself, cut at [longestError] bytes
	Request string // id of the request that it ended, if any
}

const longestError = 500

// Errors are those that were logged since the program started, the last
// [mostErrors] of them. The zero value is ready, and safe for concurrent use.
type Errors struct {
	mu    sync.Mutex
	all   []Error
	total int64
}

// Last returns the errors, the newest first.
func (e *Errors) Last() []Error {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := slices.Clone(e.all)
	slices.Reverse(all)
	return all
}

// Total is how many there were.
func (e *Errors) Total() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

func (e *Errors) add(one Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total++
	if e.all = append(e.all, one); len(e.all) > mostErrors {
		e.all = slices.Delete(e.all, 0, 1)
	}
}

// Handler passes records on to another handler and keeps those that are errors.
func (e *Errors) Handler(to slog.Handler) slog.Handler { return keeper{to, e, nil} }

type keeper struct {
	slog.Handler
	errors *Errors
	attrs  []slog.Attr
}

// Handle implements [slog.Handler].
func (k keeper) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		one := Error{At: r.Time.UTC(), Message: r.Message}
		take := func(a slog.Attr) bool {
			switch a.Key {
			case "err":
				one.Text = a.Value.String()
				one.Text = one.Text[:min(len(one.Text), longestError)]
			case "request":
				one.Request = a.Value.String()
			}
			return true
		}
		for _, a := range k.attrs {
			take(a)
		}
		r.Attrs(take)
		k.errors.add(one)
	}
	return k.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (k keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	return keeper{k.Handler.WithAttrs(attrs), k.errors, append(slices.Clip(k.attrs), attrs...)}
}

// WithGroup implements [slog.Handler].
func (k keeper) WithGroup(name string) slog.Handler {
	return keeper{k.Handler.WithGroup(name), k.errors, k.attrs}
}
