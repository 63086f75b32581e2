package storetest

import (
	"errors"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/notify"
	"gatehouse/internal/store"
)

// What people hear of lies in the outbox exactly when it was committed, and comes
// out of it once.
func outbox(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	addProject(t, s, "prj_one")
	r := request("chg_1", "ac_1")
	e := event("change.submitted")
	e.Request = "chg_1"
	refused := errors.New("refused")
	if err := s.AddRequest(ctx, &r, nil, func(change.Facts) ([]audit.Event, error) { return []audit.Event{e}, refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	waits := func(want int) []int64 {
		t.Helper()
		seqs, err := s.Outbox(ctx, 10)
		must(t, err)
		if len(seqs) != want {
			t.Fatalf("the outbox holds %v, want %d", seqs, want)
		}
		return seqs
	}
	waits(0)
	must(t, s.AddRequest(ctx, &r, nil, func(change.Facts) ([]audit.Event, error) { return []audit.Event{e, event("auth_config.enabled")}, nil }))
	seq := waits(1)[0]
	select {
	case <-s.News():
	default:
		t.Error("nobody was woken")
	}
	notices := []notify.Notice{{User: "usr_1", Seq: seq, Why: notify.Mine}}
	waiting := []notify.Delivery{
		{Lane: "channel:a", Channel: "a", Seq: seq, Due: Start, Created: Start},
		{Lane: "digest:usr_1", Channel: notify.MailChannel, User: "usr_1", Seq: seq, Due: Start.Add(time.Hour), Created: Start},
	}
	for range 2 {
		must(t, s.Spread(ctx, seq, notices, waiting))
	}
	waits(0)
	if n, err := s.Unread(ctx, "usr_1"); err != nil || n != 1 {
		t.Errorf("%d to read, %v", n, err)
	}
	lanes, err := s.Lanes(ctx)
	must(t, err)
	if len(lanes) != 2 || !lanes["digest:usr_1"].Equal(Start.Add(time.Hour)) {
		t.Errorf("lanes: %v", lanes)
	}
	pending, err := s.Pending(ctx, Start, 10)
	must(t, err)
	if len(pending) != 1 || pending[0].Lane != "channel:a" {
		t.Errorf("pending: %+v", pending)
	}
	must(t, s.Sent(ctx, pending))
	if h, err := s.Health(ctx, "a"); err != nil || h.OKAt.IsZero() {
		t.Errorf("health: %+v %v", h, err)
	}
}
