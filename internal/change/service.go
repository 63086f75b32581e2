package change

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Service takes change requests and carries them out.
type Service struct {
	store    Store
	mirror   *mirror.Service
	keys     *secret.Keyring
	settings Settings
	now      func() time.Time
	log      *slog.Logger
	instance string // names this process in leases

	workers chan struct{} // how many requests may call Composio at once
	mu      sync.Mutex
	working map[string]*worker
	grace   map[string]time.Time // when an unknown outcome may be decided, by request; monotonic
	missed  map[string]int       // full listings without the marker since then, by request
	wake    chan struct{}        // looks for what is due at once
	group   sync.WaitGroup
	ctx     context.Context // of Run; work outlives requests but not the program
}

// Settings are how the service works.
type Settings struct {
	// Grace is how long after an attempt of unknown outcome it can still arrive
	// at Composio: the client's time-out and the longest queueing on the way.
	Grace time.Duration
	// Lease is how long an attempt may take. It exceeds the client's time-outs.
	Lease time.Duration
	// Attempted is told the outcome of each attempt, once it is written down; nobody
	// is if nil.
	Attempted func(outcome string)
}

// NewService returns a service. Work begins with [Service.Run].
func NewService(store Store, m *mirror.Service, keys *secret.Keyring, settings Settings, now func() time.Time, log *slog.Logger) *Service {
	return &Service{
		store: store, mirror: m, keys: keys, settings: settings, now: now, log: log,
		instance: secret.Code(8), workers: make(chan struct{}, 8),
		working: map[string]*worker{}, grace: map[string]time.Time{}, missed: map[string]int{}, wake: make(chan struct{}, 1), ctx: context.Background(),
	}
}

// update lets fn change a request, with what such decisions look at.
func (s *Service) update(ctx context.Context, id string, fn func(*Request, table, Facts) (Effect, error)) (Request, error) {
	return s.store.UpdateRequest(ctx, id, func(r *Request, f Facts) (Effect, error) {
		t, err := s.table(r, f)
		if err != nil {
			return Effect{}, err
		}
		return fn(r, t, f)
	})
}

// decide lets somebody change a request. Who they are and what they may do is
// looked up again: their session may know them as they were. A request whose
// time is over takes nothing more.
func (s *Service) decide(ctx context.Context, by access.Reader, id string, fn func(access.Reader, *Request, table, Facts) (Effect, error)) (Request, error) {
	return s.update(ctx, id, func(r *Request, t table, f Facts) (Effect, error) {
		by, err := t.asNow(by, r)
		if err != nil {
			return Effect{}, err
		}
		if r.State.Waiting() && r.over(t.now) {
			return Effect{}, problem.New(problem.Conflict, "The time of this change request is over. Nothing was changed. Propose the change again.")
		}
		return fn(by, r, t, f)
	})
}

// Vote records a reviewer's decision. A [MovedOn] says that the request is not
// what they saw any more.
func (s *Service) Vote(ctx context.Context, by access.Reader, id string, b Ballot) (Request, error) {
	reason, err := checkReason(b.Reason, false)
	if err != nil {
		return Request{}, err
	}
	b.Reason = reason
	return s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		if r.State == Draft {
			return Effect{}, notFound()
		}
		n := len(r.Votes)
		events, err := r.vote(by, b, "vot_"+secret.Code(16), t)
		if err != nil {
			return Effect{}, err
		}
		effect := Effect{Events: events, Vote: &r.Votes[n]}
		if r.State.Terminal() {
			effect.Destroy = r.all()
		}
		return effect, nil
	})
}

// Release applies an approved request, or tries a failed one again.
func (s *Service) Release(ctx context.Context, by access.Reader, id string) (Request, error) {
	r, err := s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		events, err := r.release(by, t)
		return Effect{Events: events}, err
	})
	if err == nil {
		s.start(id)
	}
	return r, err
}

// Submit hands a draft in.
func (s *Service) Submit(ctx context.Context, by access.Reader, id string) (Request, error) {
	r, err := s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		switch {
		case r.Author.ID != by.ID:
			return Effect{}, notFound()
		case r.State != Draft:
			return Effect{}, r.tooLate("sent for approval")
		case !by.May(r.Takes()):
			return Effect{}, by.Check(r.Takes())
		case t.stale():
			return Effect{}, problem.New(problem.Conflict, "The auth config changed at Composio after this draft was written. Nothing was sent. Renew the draft first.")
		}
		events, err := r.submit(by.Actor(), t, true)
		return Effect{Events: events}, err
	})
	if err == nil {
		s.start(id)
	}
	return r, err
}

// Cancel ends a request before anything is sent, or closes one that failed.
func (s *Service) Cancel(ctx context.Context, by access.Reader, id, reason string) (Request, error) {
	reason, err := checkReason(reason, false)
	if err != nil {
		return Request{}, err
	}
	return s.update(ctx, id, func(r *Request, t table, _ Facts) (Effect, error) {
		by, err := t.asNow(by, r)
		switch {
		case err != nil:
			return Effect{}, err
		case r.Private() && r.Author.ID != by.ID:
			return Effect{}, notFound()
		}
		events, err := r.cancel(by, reason, t.now)
		return Effect{Events: events, Destroy: r.all()}, err
	})
}
