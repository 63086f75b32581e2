package change

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// What next answers instead of a wait.
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
	if err == nil {
		err = now.At(by.User).Check(access.SettleChange)
	}
	if err != nil {
		return now, err
	}
	look, err := s.look(ctx, now, item)
	if err != nil {
		return now, err
	}
	r, err := s.store.UpdateRequest(ctx, id, func(r *Request, f Facts) (Effect, error) {
		settler, err := f.User(by.ID)
		if err != nil {
			return Effect{}, err
		}
		if err := r.At(settler).Check(access.SettleChange); err != nil {
			return Effect{}, err
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
