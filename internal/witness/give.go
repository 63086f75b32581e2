package witness

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/store"
)

var errHangs = errors.New("it doesn't take anything: what was sent last has not come back")

// give sends a checkpoint, and returns when it is delivered, failed or, at the
// latest, a second after ctx ended. Nothing is sent beside what hangs.
func (a *anchor) give(ctx context.Context, note []byte) error {
	select {
	case a.turn <- struct{}{}:
	default:
		return errHangs
	}
	return bounded(ctx, func() error {
		defer func() { <-a.turn }()
		return a.send(ctx, lineOf(note), note)
	})
}

// bounded runs fn, which may hang, and waits for it until a second after ctx ended.
func bounded(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errHangs
	}
}

// now is how far the anchor is: what this process knows itself goes before what
// the database says, which is never more than there is.
func (a *anchor) now(kept store.Anchored, newest int64) store.Anchored {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != nil {
		return *a.state
	}
	if kept.Reached > newest {
		kept.Reached = 0
	}
	return kept
}

func (a *anchor) keep(state store.Anchored) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = &state
}
