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
}

// NewService returns a service. Work begins with [Service.Run].
func NewService(store Store, m *mirror.Service, keys *secret.Keyring, settings Settings, now func() time.Time, log *slog.Logger) *Service {
	return &Service{
		store: store, mirror: m, keys: keys, settings: settings, now: now, log: log,
		instance: secret.Code(8), workers: make(chan struct{}, 8),
		working: map[string]*worker{}, grace: map[string]time.Time{}, missed: map[string]int{}, ctx: context.Background(),
	}
}

// Release applies an approved request, or tries a failed one again.
func (s *Service) Release(ctx context.Context, by access.Reader, id string) (Request, error) {
	r, err := s.store.UpdateRequest(ctx, id, func(r *Request, _ Facts) (Effect, error) {
		events, err := r.release(by, s.now())
		return Effect{Events: events}, err
	})
	if err == nil {
		s.start(id)
	}
	return r, err
}

// Rebase renews a request whose configs changed since it was written.
func (s *Service) Rebase(ctx context.Context, by access.Reader, id string) (Request, error) {
	r, err := s.store.UpdateRequest(ctx, id, func(r *Request, f Facts) (Effect, error) {
		if err := by.Check(access.ProposeChange); err != nil {
			return Effect{}, err
		}
		live := make([]mirror.AuthConfig, len(r.Revision.Items))
		for i, it := range r.Revision.Items {
			if it.Operation == Create {
				continue
			}
			var known bool
			var err error
			if live[i], known, err = f.Config(r.Project, it.Target); err != nil {
				return Effect{}, err
			}
			if !known && !r.Progress[i].Done() {
				return Effect{}, problem.New(problem.Conflict, "%s no longer exists. Cancel this request.", it.Name)
			}
		}
		policies, err := f.Policies(r.Project)
		if err != nil {
			return Effect{}, err
		}
		events, err := r.rebase(by, live, policies, s.now())
		return Effect{Events: events, Revision: true}, err
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
	return s.store.UpdateRequest(ctx, id, func(r *Request, _ Facts) (Effect, error) {
		events, err := r.cancel(by, reason, s.now())
		return Effect{Events: events, Destroy: r.all()}, err
	})
}
