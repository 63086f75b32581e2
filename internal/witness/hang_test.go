package witness

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// stuck takes nothing until it is let go.
type stuck struct{ begun, free chan struct{} }

func newStuck() stuck { return stuck{make(chan struct{}, 9), make(chan struct{})} }

func (s stuck) Write(p []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.free
	return len(p), nil
}

// What hangs is left alone until it comes back, and nothing is sent beside it.
func TestGiveHangs(t *testing.T) {
	out := newStuck()
	a, err := parseAnchor("stdout", out)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 2 {
		if err := a.give(ctx, []byte("x")); !errors.Is(err, errHangs) {
			t.Error(err)
		}
	}
	if n := len(out.begun); n != 1 {
		t.Errorf("sent %d times", n)
	}
	close(out.free)
	a.turn <- struct{}{} // it came back
	<-a.turn
	if err := a.give(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
}

// An anchor that hangs doesn't hold up the end of the program.
func TestStopDespiteHang(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := filepath.Join(t.TempDir(), "data")
	st, err := store.Open(dir, store.Options{Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	keys, err := LoadKeys(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	out := newStuck()
	defer close(out.free)
	w, err := New(st, Settings{Keys: keys, Anchors: []string{"stdout"}, Stdout: out}, time.Now, log)
	if err == nil {
		err = st.Record(t.Context(), audit.Event{Actor: audit.System(), Action: "x.y"})
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(ended)
	}()
	<-out.begun
	stop()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("it did not end")
	}
}
