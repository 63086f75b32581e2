package change

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/mirror"
)

// A worker carries one request as far as it goes.
type worker struct {
	rested chan struct{} // closed when the worker has nothing left to do for now
	again  bool          // somebody asked for more meanwhile
}

const (
	sweepEvery  = 30 * time.Second // how often due and overdue requests are looked for
	longestWait = 60 * time.Second // that Composio may ask for
)

// lookEvery is how often an unknown outcome is looked at: 5 s at the default
// grace time.
func (s *Service) lookEvery() time.Duration { return s.settings.Grace / 24 }

// shortWait is how long to wait before something is tried again that was not
// sent: 2 s at the default grace time.
func (s *Service) shortWait() time.Duration { return s.settings.Grace / 60 }

// Run carries on what a stop or a crash left behind, and what is due, as long
// as ctx lasts. It returns when all work in progress is parked.
func (s *Service) Run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	for {
		s.sweep(ctx)
		tick := time.NewTimer(s.untilDue(ctx))
		select {
		case <-ctx.Done():
			s.mu.Lock() // a start that saw ctx alive has joined the group by now
			s.mu.Unlock()
			s.group.Wait()
			return
		case <-tick.C:
		case <-s.wake:
		}
		tick.Stop()
	}
}

// untilDue is how long the sweep can wait.
func (s *Service) untilDue(ctx context.Context) time.Duration {
	next, err := s.store.NextDue(ctx)
	if err != nil {
		s.log.Error("look for the next schedule", "err", err)
		return sweepEvery
	}
	if next.IsZero() {
		return sweepEvery
	}
	return max(0, min(sweepEvery, next.Sub(s.now())))
}

// wakeUp makes the sweep look at once: something changed that requests rely on.
func (s *Service) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// Recheck looks again at requests that wait, because people, rules or auth
// configs changed. It returns at once.
func (s *Service) Recheck() { s.wakeUp() }

// recheck suspends schedules whose ground is gone and closes requests for what
// is so already.
func (s *Service) recheck(ctx context.Context) error {
	open, err := s.store.OpenRequests(ctx)
	if err != nil {
		return err
	}
	for _, r := range open {
		if !r.State.Waiting() || r.State == Draft {
			continue
		}
		t, err := s.glance(ctx, r)
		if err != nil {
			return err
		}
		if copied := r; len(copied.reviewed(t)) == 0 {
			continue
		}
		_, err = s.update(ctx, r.ID, func(r *Request, t table, _ Facts) (Effect, error) {
			events := r.reviewed(t)
			if len(events) == 0 {
				return Effect{}, errNothingToDo
			}
			effect := Effect{Events: events}
			if r.State.Terminal() {
				effect.Destroy = r.all()
			}
			return effect, nil
		})
		if err != nil && !errors.Is(err, errNothingToDo) {
			return err
		}
	}
	return nil
}

// glance gathers a request's table outside a transaction: what it suggests is
// decided anew inside one.
func (s *Service) glance(ctx context.Context, r Request) (table, error) {
	t := table{now: s.now(), live: map[string]mirror.AuthConfig{}, items: r.pending()}
	var err error
	if t.rules, err = s.store.Rules(ctx); err != nil {
		return t, err
	}
	if t.people, err = s.store.Users(ctx); err != nil || r.Project == "" {
		return t, err
	}
	if t.project, err = s.store.Project(ctx, r.Project); err != nil {
		return t, err
	}
	t.lives = livesIn(t.project)
	snapshot, err := s.store.Snapshot(ctx, r.Project)
	if err != nil {
		return t, err
	}
	for _, it := range t.items {
		if live, known := snapshot.Get(it.Target); known {
			t.live[it.Target] = live
		}
	}
	return t, nil
}

// sweep starts work on every unfinished request and ends overdue ones.
func (s *Service) sweep(ctx context.Context) {
	overdue, err := s.store.Overdue(ctx, s.now())
	if err != nil {
		s.log.Error("look for overdue change requests", "err", err)
	}
	for _, id := range overdue {
		if _, err := s.store.UpdateRequest(ctx, id, func(r *Request, _ Facts) (Effect, error) {
			events := r.expire(s.now())
			if len(events) == 0 {
				return Effect{}, errNothingToDo
			}
			return Effect{Events: events, Destroy: r.all()}, nil
		}); err != nil && !errors.Is(err, errNothingToDo) {
			s.log.Error("expire a change request", "request", id, "err", err)
		}
	}
	if err := s.recheck(ctx); err != nil {
		s.log.Error("look at waiting change requests", "err", err)
	}
	unfinished, err := s.store.Unfinished(ctx, s.now())
	if err != nil {
		s.log.Error("look for unfinished change requests", "err", err)
	}
	for _, id := range unfinished {
		s.start(id)
	}
}

// errNothingToDo rolls a transaction back that turned out not to be needed.
var errNothingToDo = errors.New("nothing to do")

// start makes sure that a worker looks after a request.
func (s *Service) start(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.working[id]; w != nil {
		w.again = true
		return
	}
	if s.ctx.Err() != nil {
		return // the next start of the program takes it up
	}
	w := &worker{rested: make(chan struct{})}
	s.working[id] = w
	s.group.Go(func() { s.work(s.ctx, id, w) })
}

// Settled waits until a request has come to rest, or ctx is over.
func (s *Service) Settled(ctx context.Context, id string) {
	s.mu.Lock()
	w := s.working[id]
	s.mu.Unlock()
	if w == nil {
		return
	}
	select {
	case <-w.rested:
	case <-ctx.Done():
	}
}

// work runs steps of a request until none is left or the program ends.
func (s *Service) work(ctx context.Context, id string, w *worker) {
	for {
		pause, err := s.next(ctx, id)
		if err != nil {
			s.log.Error("apply a change request", "request", id, "err", err)
			pause = s.lookEvery()
		}
		s.mu.Lock()
		if pause == done && !w.again || ctx.Err() != nil {
			delete(s.working, id)
			s.mu.Unlock()
			close(w.rested)
			return
		}
		w.again = false
		s.mu.Unlock()
		if pause > 0 {
			sleep(ctx, pause)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
