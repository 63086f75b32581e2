// Package notify tells people what happens to change requests, and to auth configs
// at Composio directly: in the console, by mail, and in channels such as Slack. What is to be told comes through the
// outbox, which the store fills in the transaction of the event; nothing leaves
// before that is committed. A message never carries the power to approve.
package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/outbound"
	"gatehouse/internal/secret"
)

// Settings are how the service works.
type Settings struct {
	PublicURL string // of the console
	Mail      Mail   // no mail without an address
	Receivers outbound.Rules
	Retry     time.Duration // before the second try; each later one waits three times as long
}

// DefaultRetry makes eight tries take about a day.
const DefaultRetry = time.Minute

// A Service tells people what happens.
type Service struct {
	store    Store
	keys     *secret.Keyring
	settings Settings
	now      func() time.Time
	log      *slog.Logger
	out      *outbound.Sender

	wake  chan struct{}
	slots chan struct{} // how many lanes may send at once
	mu    sync.Mutex
	busy  map[string]bool // lanes that send
	group sync.WaitGroup
}

// NewService returns a service. Work begins with [Service.Run].
func NewService(store Store, keys *secret.Keyring, settings Settings, now func() time.Time, log *slog.Logger) *Service {
	return &Service{
		store: store, keys: keys, settings: settings, now: now, log: log, out: outbound.New(settings.Receivers),
		wake: make(chan struct{}, 1), slots: make(chan struct{}, 8), busy: map[string]bool{},
	}
}

// lookEvery is how often the clock is looked at when nothing happens.
const lookEvery = time.Minute

// Run tells people what happens until ctx ends. What is under way then is
// finished or tried again by the next Run: everything is told at least once.
func (s *Service) Run(ctx context.Context) {
	defer s.group.Wait()
	for {
		wait := lookEvery
		err := s.spread(ctx)
		if err == nil {
			wait, err = s.dispatch(ctx)
		}
		if err == nil {
			err = s.searches(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("tell people what happened", "err", err)
		}
		timer := time.NewTimer(min(wait, lookEvery))
		select {
		case <-timer.C:
		case <-s.store.News():
		case <-s.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// Wake makes the service look at once whether something is due.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// outboxBatch is how many entries are looked at before deliveries begin.
const outboxBatch = 100

// spread works through the outbox.
func (s *Service) spread(ctx context.Context) error {
	for {
		seqs, err := s.store.Outbox(ctx, outboxBatch)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			notices, deliveries, err := s.spreadOne(ctx, seq)
			if err != nil {
				return err
			}
			if err := s.store.Spread(ctx, seq, notices, deliveries); err != nil {
				return err
			}
		}
		if len(seqs) < outboxBatch {
			return nil
		}
	}
}

// spreadOne decides who hears of one entry, and how.
func (s *Service) spreadOne(ctx context.Context, seq int64) ([]Notice, []Delivery, error) {
	e, told, err := s.entry(ctx, seq)
	if err != nil || told {
		return nil, nil, err
	}
	if loud, err := s.loud(ctx, e); err != nil || !loud {
		return nil, nil, err
	}
	recipients, err := s.recipients(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	var notices []Notice
	var deliveries []Delivery
	for _, to := range recipients {
		p, err := s.store.Preferences(ctx, to.User.ID)
		if err != nil {
			return nil, nil, err
		}
		if p.Page[to.Why] || to.Certain {
			notices = append(notices, Notice{User: to.User.ID, Seq: e.Seq, Why: to.Why})
		}
		if (p.Mail[to.Why] || to.Why == Security) && s.settings.Mail.Enabled() {
			deliveries = append(deliveries, s.mailDelivery(e, to, p))
		}
	}
	more, err := s.channelDeliveries(ctx, e)
	return notices, append(deliveries, more...), err
}

// entry reads an entry as people hear of it. It is told already, or will be, where
// it is one event with the entry before or after it.
func (s *Service) entry(ctx context.Context, seq int64) (e audit.Entry, told bool, err error) {
	var near [3]audit.Entry
	for i := range near {
		near[i], err = s.store.HistoryEntry(ctx, seq-1+int64(i))
		if err != nil && (i == 1 || !isMissing(err)) {
			return e, false, err
		}
	}
	before, e, after := near[0], near[1], near[2]
	switch {
	case e.Action == voted && together(e, after), e.Action == submitted && together(before, e):
		return e, true, nil
	case together(before, e):
		e.Actor = before.Actor
	}
	return e, false, nil
}
