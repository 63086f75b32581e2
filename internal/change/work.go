package change

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
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

const (
	done time.Duration = -1 // nothing left to do for now
	soon time.Duration = 0
)

// next does the next step of a request and returns how long to wait before the
// one after it.
func (s *Service) next(ctx context.Context, id string) (time.Duration, error) {
	r, err := s.store.Request(ctx, id)
	if err != nil {
		return done, err
	}
	switch {
	case r.due(s.now()):
		return s.claim(ctx, id)
	case r.State == Applying, r.State == Unknown:
		return s.applyNext(ctx, r)
	}
	s.forget(id)
	return done, nil
}

// claim takes an approved request up. Everything that let it be approved is
// looked at again. Rules change right here; auth configs are next, and are locked
// from here on: a request that finds one taken waits, and can be cancelled still.
func (s *Service) claim(ctx context.Context, id string) (time.Duration, error) {
	r, err := s.update(ctx, id, func(r *Request, t table, _ Facts) (Effect, error) {
		if !r.due(s.now()) {
			return Effect{}, errNothingToDo
		}
		if events := r.expire(t.now); len(events) > 0 {
			return Effect{Events: events, Destroy: r.all()}, nil
		}
		if why := r.unfit(t, t.now); why != "" {
			return Effect{Events: []audit.Event{r.halt(why, t.now)}}, nil
		}
		r.enter(Applying, "", t.now)
		effect := Effect{Events: []audit.Event{r.event(audit.System(), "change.applying")}}
		if r.Project == "" {
			err := s.applyRules(r, t, &effect)
			return effect, err
		}
		for i, p := range r.Progress {
			if !p.Done() {
				effect.Claim = append(effect.Claim, i)
			}
		}
		return effect, nil
	})
	switch {
	case errors.Is(err, errNothingToDo):
		return soon, nil
	case problem.Is(err, problem.Conflict):
		return s.lookEvery(), nil // another request works on the same config
	}
	if err == nil && r.Project == "" {
		s.wakeUp() // what other requests rely on may have changed
	}
	return soon, err
}

// halt stops a request that may not be applied after all. One that is partly
// applied stays what it is.
func (r *Request) halt(why string, now time.Time) audit.Event {
	if len(r.pending()) == len(r.Revision.Items) {
		return r.suspend(why, now)
	}
	for i := range r.Progress {
		if r.Progress[i].State == ItemPending {
			r.Progress[i].State, r.Progress[i].Note = ItemFailed, why
		}
	}
	state, _ := r.outcome()
	r.enter(state, why, now)
	return failedOutcome(r.event(audit.System(), "change."+string(state)), why)
}

// applyNext carries on with the first item that isn't done.
func (s *Service) applyNext(ctx context.Context, r Request) (time.Duration, error) {
	for i, p := range r.Progress {
		switch {
		case p.Done():
			continue
		case p.State == ItemUnknown && p.Decide:
			return done, nil // a person has to look
		case p.State == ItemPending:
			return s.tryItem(ctx, r, i)
		default:
			return s.settleUnknown(ctx, r, i)
		}
	}
	return soon, s.finish(ctx, r.ID)
}

// finish ends a request whose items are all done.
func (s *Service) finish(ctx context.Context, id string) error {
	_, err := s.store.UpdateRequest(ctx, id, func(r *Request, _ Facts) (Effect, error) {
		if r.State != Applying && r.State != Unknown {
			return Effect{}, errNothingToDo
		}
		state, note := r.outcome()
		r.enter(state, note, s.now())
		e := r.event(audit.System(), "change."+string(state))
		if state == Failed || state == Partial {
			e = failedOutcome(e, note)
		}
		effect := Effect{Events: []audit.Event{e}}
		if state.Terminal() {
			effect.Destroy = r.all()
		}
		return effect, nil
	})
	if errors.Is(err, errNothingToDo) {
		return nil
	}
	return err
}

// outcome is the state of a request whose items are all done.
func (r *Request) outcome() (State, string) {
	var applied, failed int
	note := ""
	for _, p := range r.Progress {
		switch p.State {
		case ItemApplied:
			applied++
		case ItemFailed:
			failed++
			note = p.Note
		}
	}
	switch {
	case failed == 0 && applied == 0:
		return Superseded, "It was so already. Nothing was sent."
	case failed == 0:
		return Applied, ""
	case failed == len(r.Progress):
		return Failed, note
	}
	return Partial, note
}

// Decide records what a person says about an item of unknown outcome.
func (s *Service) Decide(ctx context.Context, by access.Reader, id string, item int, happened bool) (Request, error) {
	if err := by.Check(access.SettleChange); err != nil {
		return Request{}, err
	}
	now, err := s.store.Request(ctx, id)
	if err != nil {
		return now, err
	}
	look, err := s.look(ctx, now, item)
	if err != nil {
		return now, err
	}
	r, err := s.store.UpdateRequest(ctx, id, func(r *Request, f Facts) (Effect, error) {
		if settler, err := f.User(by.ID); err != nil || !settler.May(access.SettleChange) {
			return Effect{}, errors.Join(err, settler.Check(access.SettleChange))
		}
		if item >= len(r.Progress) || r.Progress[item].State != ItemUnknown || !r.Progress[item].Decide {
			return Effect{}, problem.New(problem.Conflict, "Somebody has decided this already.")
		}
		effect := s.decided(r, item, happened, look, by)
		return effect, s.noteOutside(r, item, happened, f, &effect)
	})
	if err == nil {
		s.start(id)
	}
	return r, err
}
