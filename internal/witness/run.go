package witness

import (
	"context"
	"errors"
	"sync"
	"time"

	"gatehouse/internal/audit"
)

// Run signs, anchors and verifies until ctx ends. Nothing waits for it.
func (s *Service) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for i := range s.anchors {
		loops.Go(func() { s.feed(ctx, s.anchors[i], s.wake[i]) })
	}
	loops.Go(func() { s.verifyNowAndThen(ctx) })
	s.signNowAndThen(ctx)
	loops.Wait()
}

// How long after a start nothing is verified unasked that wasn't new: people who
// waited for the console come first.
const (
	calm      = time.Second
	calmLarge = 10 * time.Minute // above muchToVerify
)

// together is how long decisions wait for one another once one was signed: each
// checkpoint is a commit, and one more line for every anchor.
const together = time.Second

func (s *Service) signNowAndThen(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	if s.littleToVerify(ctx) {
		s.signDue(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.store.Signable():
			s.trySign(ctx, ForDecision)
			rest(ctx, together)
		case <-tick.C:
			s.signDue(ctx)
		}
	}
}

// muchToVerify is how many entries are not verified while the program starts.
const muchToVerify = 100_000

// littleToVerify reports whether signing will hardly be noticed.
func (s *Service) littleToVerify(ctx context.Context) bool {
	last, err := s.store.LatestCheckpoint(ctx)
	if err != nil {
		return false
	}
	head, err := s.store.HistoryHead(ctx)
	return err == nil && head.Seq-last.Size < muchToVerify
}

// signDue signs when there is news, or nothing was signed for long.
func (s *Service) signDue(ctx context.Context) {
	s.checkProgress(ctx)
	last, err := s.store.LatestCheckpoint(ctx)
	if err != nil {
		s.log.Error("read the last checkpoint", "err", s.found(err))
		return
	}
	head, err := s.store.HistoryHead(ctx)
	switch {
	case err != nil:
		s.log.Error("read history", "err", err)
	case head.Seq > last.Size:
		s.trySign(ctx, ForNews)
	case s.now().Sub(last.At) >= idle:
		s.trySign(ctx, ForIdle)
	default:
		_, _ = s.verifyNew(ctx) // it tells of what it finds
	}
}

func (s *Service) trySign(ctx context.Context, why string) {
	if err := s.Checkpoint(ctx, why); err != nil && ctx.Err() == nil {
		s.log.Error("sign a checkpoint", "err", err)
	}
}

// verifyNowAndThen verifies the whole chain after the start, every day and when
// asked.
func (s *Service) verifyNowAndThen(ctx context.Context) {
	at, err := s.store.Verified(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Error("read when history was verified", "err", err)
	}
	s.mu.Lock()
	s.wholeAt = at
	s.mu.Unlock()
	at = s.now().Add(calm - whole)
	if head, err := s.store.HistoryHead(ctx); err != nil || head.Seq > muchToVerify {
		at = s.now().Add(calmLarge - whole)
	}
	for {
		timer := time.NewTimer(max(0, at.Add(whole).Sub(s.now())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.recheck:
		case <-timer.C:
		}
		timer.Stop()
		if err := s.VerifyWhole(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, audit.ErrTampered) && !errors.Is(err, audit.ErrRolledBack) {
			s.log.Error("verify history", "err", err)
		}
		at = s.now()
	}
}

// Pauses after an anchor failed.
const (
	firstPause = time.Second
	mostPause  = 5 * time.Minute
)

// feed gives an anchor the newest checkpoint whenever there is one. Those between
// are part of it.
func (s *Service) feed(ctx context.Context, a *anchor, wake <-chan struct{}) {
	pause := firstPause
	for {
		done, err := s.deliver(ctx, a)
		if err == nil && done {
			pause = firstPause
			select {
			case <-ctx.Done():
				return
			case <-wake:
			}
			continue
		}
		if !rest(ctx, pause) {
			return
		}
		pause = min(2*pause, mostPause)
	}
}

// rest waits, and reports whether ctx goes on.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// deliver gives an anchor the newest checkpoint and reports whether it has it from
// this process: what the database says is kept from nobody who can write there.
func (s *Service) deliver(ctx context.Context, a *anchor) (done bool, err error) {
	s.checkProgress(ctx)
	kept, err := s.store.Anchored(ctx, a.id)
	if err != nil {
		return false, err
	}
	last, err := s.store.LatestCheckpoint(ctx)
	if err != nil || last.ID == a.given {
		return err == nil, err
	}
	limited, cancel := context.WithTimeout(ctx, anchorTimeout)
	defer cancel()
	state := a.now(kept, last.ID)
	if err := a.give(limited, last.Note); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		s.log.Warn("an anchor failed", "anchor", a.name, "err", err)
		state.FailedAt, state.Problem = s.now(), err.Error()
	} else {
		a.given, done = last.ID, true
		state.Reached, state.OKAt = last.ID, s.now()
	}
	a.keep(state)
	return done, s.store.SetAnchored(context.WithoutCancel(ctx), a.id, state)
}

// checkProgress tells if anchors or sinks are said to have more than there is.
func (s *Service) checkProgress(ctx context.Context) {
	err := s.store.CheckProgress(ctx)
	if errors.Is(err, audit.ErrTampered) {
		s.tell(err)
	} else if err != nil && ctx.Err() == nil {
		s.log.Error("look at what was delivered", "err", err)
	}
}

// tell remembers until the next start what is wrong beside history itself.
func (s *Service) tell(err error) {
	s.mu.Lock()
	known := s.beside != nil && s.beside.Error() == err.Error()
	s.beside = err
	s.mu.Unlock()
	if known {
		return
	}
	s.activity.Add(1)
	s.log.Error("what was delivered is not as it was written; see docs/audit.md", "err", err)
}
