package app

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/a-h/templ"

	"gatehouse/internal/mirror"
)

// lists keeps rendered lists until anything is committed or a minute is over,
// since ages are in them. They hold nothing that belongs to one reader.
type lists struct {
	mu   sync.Mutex
	at   listTime
	html map[listKey]keptHTML
}

const mostLists = 64

// A listTime is as of when a list is.
type listTime struct{ version, minute int64 }

// A listKey is everything else that a list depends on.
type listKey struct {
	project    string
	query      mirror.Query
	mayPropose bool
	lookBack   bool // at how it was
	dense      bool
}

// keptHTML is a component that was rendered before.
type keptHTML []byte

// Render implements [templ.Component].
func (h keptHTML) Render(_ context.Context, w io.Writer) error {
	_, err := w.Write(h)
	return err
}

func (l *lists) get(at listTime, key listKey) (keptHTML, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at != l.at {
		return nil, false
	}
	html, ok := l.html[key]
	return html, ok
}

// put renders a list and keeps it.
func (l *lists) put(ctx context.Context, at listTime, key listKey, list templ.Component) (keptHTML, error) {
	var b bytes.Buffer
	if err := list.Render(ctx, &b); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at != l.at || len(l.html) >= mostLists {
		l.at, l.html = at, map[listKey]keptHTML{}
	}
	l.html[key] = b.Bytes()
	return b.Bytes(), nil
}
