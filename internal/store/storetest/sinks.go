package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
)

// A sink's cursor moves quietly, but never one that was set by hand meanwhile.
func sinks(t *testing.T, s *store.Store) {
	ctx := t.Context()
	recorded := s.Recorded()
	k := sink.Sink{ID: "snk_1", Kind: sink.HTTPS, Name: "SIEM", Format: sink.OCSF, Shown: "siem.example.com/…1234", Address: []byte("sealed"), Key: []byte("too"), Filter: "is:drift", Personal: true, Created: Start, Cursor: 3}
	must(t, s.AddSink(ctx, k, event("sink.added")))
	select {
	case <-recorded:
	default:
		t.Error("nobody was woken")
	}
	got, err := s.Sink(ctx, k.ID)
	must(t, err)
	if diff := cmp.Diff(k, got); diff != "" {
		t.Error(diff)
	}
	if err := s.AddSink(ctx, k, event("sink.added")); !problem.Is(err, problem.Invalid) {
		t.Error("a sink was added twice")
	}
	version, head := s.Version(), headSeq(t, s)
	must(t, s.SinkFailed(ctx, k, "It is away.", 2, Start))
	moved, err := s.SinkDelivered(ctx, k, 7, true)
	must(t, err)
	got, err = s.Sink(ctx, k.ID)
	must(t, err)
	want := sink.Health{OKAt: Start, FailedAt: Start, Problem: "It is away."}
	if !moved || got.Cursor != 7 || got.Health != want || s.Version() != version || headSeq(t, s) != head {
		t.Errorf("delivered: %v %+v, version %d", moved, got, s.Version())
	}
	refused := errors.New("refused")
	if _, err := s.SteerSink(ctx, k.ID, func(k *sink.Sink) (audit.Event, error) { k.Cursor = 1; return audit.Event{}, refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	steered, err := s.SteerSink(ctx, k.ID, func(k *sink.Sink) (audit.Event, error) {
		k.Cursor, k.Paused = 2, true
		k.Name, k.Format, k.Shown, k.Address, k.Filter, k.Personal = "Vault", sink.Native, "vault.example.com/…5678", []byte("sealed anew"), "", false
		k.Epoch++
		return event("sink.replayed"), nil
	})
	must(t, err)
	moved, err = s.SinkDelivered(ctx, got, 8, true)
	must(t, err)
	must(t, s.SinkFailed(ctx, got, "late", 9, Start))
	all, err := s.Sinks(ctx)
	must(t, err)
	if diff := cmp.Diff([]sink.Sink{steered}, all); moved || diff != "" || steered.Cursor != 2 || !steered.Paused {
		t.Errorf("moved %v: %s", moved, diff)
	}
	rows, err := s.HistoryAfter(ctx, 1, 1)
	must(t, err)
	if len(rows) != 1 || rows[0].Seq != 2 {
		t.Errorf("after the first: %+v", rows)
	}
	other := k
	other.ID, other.Name = "snk_2", "Other"
	must(t, s.AddSink(ctx, other, event("sink.added")))
	if _, err := s.SteerSink(ctx, k.ID, func(k *sink.Sink) (audit.Event, error) { k.Name = "Other"; return event("sink.edited"), nil }); !problem.Is(err, problem.Invalid) {
		t.Errorf("two sinks of one name: %v", err)
	}
	must(t, s.RemoveSink(ctx, k.ID, event("sink.removed")))
	if err := s.RemoveSink(ctx, k.ID, event("sink.removed")); !problem.Is(err, problem.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func headSeq(t *testing.T, s *store.Store) int64 {
	t.Helper()
	head, err := s.HistoryHead(t.Context())
	must(t, err)
	return head.Seq
}
