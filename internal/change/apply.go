package change

import (
	"context"
	"errors"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/composio"
	"gatehouse/internal/failpoint"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A report is what came of one attempt, or of a look at one that was left open.
type report struct {
	verdict verdict
	note    string            // in words for readers
	answer  string            // for the record
	live    mirror.AuthConfig // as last read; zero if it wasn't
	gone    bool              // the config is not there
	extra   []mirror.AuthConfig
	wait    time.Duration // before another attempt
	noRight bool          // the key may not write
}

// tryItem makes one attempt at an item: intent, read, write, read back, result.
func (s *Service) tryItem(ctx context.Context, r Request, i int) (time.Duration, error) {
	select {
	case s.workers <- struct{}{}:
		defer func() { <-s.workers }()
	case <-ctx.Done():
		return done, nil
	}
	deadline := time.Now().Add(s.settings.Lease) // monotonic, unlike the lease in the row
	a, err := s.begin(ctx, r.ID, i)
	if problem.Is(err, problem.Conflict) {
		return s.lookEvery(), nil // another request works on the same config
	}
	if err != nil {
		return done, err
	}
	// Leaving the page or stopping the program doesn't stop what has begun.
	ctx = context.WithoutCancel(ctx)
	rep := s.perform(ctx, r, i, a, deadline)
	if err := failpoint.Hit("apply.answered"); err != nil {
		return done, err
	}
	wait, err := s.settle(ctx, a, rep)
	if err == nil {
		err = failpoint.Hit("apply.settled")
	}
	return wait, err
}

// begin records the intent: who, what, which attempt. It is durable before the
// first byte leaves.
func (s *Service) begin(ctx context.Context, id string, i int) (Attempt, error) {
	var a Attempt
	_, err := s.store.UpdateRequest(ctx, id, func(r *Request, f Facts) (Effect, error) {
		p := &r.Progress[i]
		it := r.Revision.Items[i]
		last, err := f.Attempt(Attempt{Request: r.ID, Revision: r.Revision.Number, Item: i})
		if err != nil {
			return Effect{}, err
		}
		now := s.now()
		a = Attempt{
			Request: r.ID, Revision: r.Revision.Number, Item: i, Number: last.Number + 1, Step: p.Step,
			LeaseOwner: s.instance, LeaseUntil: now.Add(s.settings.Lease), StartedAt: now,
		}
		if a.Digest, err = it.digest(p.Step); err != nil {
			return Effect{}, err
		}
		if a.Number == 1 {
			if a.Answer, err = foundBefore(r, it, f); err != nil {
				return Effect{}, err
			}
		}
		p.State = ItemApplying
		p.Attempts++
		r.enter(Applying, "", now)
		e := s.itemEvent(r, i, "apply.intent")
		e.Detail["digest"], e.Detail["attempt"], e.Detail["step"] = a.Digest, itoa(a.Number), string(a.Step)
		e.Detail["operation"] = string(it.Operation)
		return Effect{Events: []audit.Event{e}, Attempt: &a, Claim: []int{i}}, nil
	})
	if err == nil {
		err = failpoint.Hit("apply.claimed")
	}
	return a, err
}

// wasSo is what the record of a first attempt begins with where the mirror shows
// that what the item wants was there before: should the program end right here,
// finding it there later doesn't mean that this attempt did it.
const wasSo = "was so before"

func foundBefore(r *Request, it Item, f Facts) (string, error) {
	if it.Operation == Create {
		return "", nil
	}
	live, known, err := f.Config(r.Project, it.Target)
	switch {
	case err != nil:
		return "", err
	case it.Operation == Delete && !known, it.Operation != Delete && known && it.achieved(live) && it.provable(live):
		return wasSo, nil
	}
	return "", nil
}

// itemEvent starts a history event about the config of an item. The actor is
// the request's author: it is their change, whoever agreed and whatever sends it;
// but who broke the glass did so themselves.
func (s *Service) itemEvent(r *Request, i int, action string) audit.Event {
	it := r.Revision.Items[i]
	who := r.Author
	if r.bypassed() {
		who = r.Bypass.By
	}
	return audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUser, ID: who.ID, Name: who.Name},
		Action: action, Project: r.Project, Request: r.ID,
		Object: audit.Object{Kind: "auth_config", ID: r.Progress[i].Target, Name: it.Name},
		Detail: map[string]string{
			"item": itoa(i), "revision": itoa(r.Revision.Number), "effect": r.Revision.EffectHash,
			mirror.DetailToolkit: it.Toolkit, mirror.DetailScheme: it.Scheme, mirror.DetailManaged: strconv.FormatBool(it.Managed),
		},
	}
}

// perform reads the target, sends one write and reads back.
func (s *Service) perform(ctx context.Context, r Request, i int, a Attempt, deadline time.Time) report {
	it, target := r.Revision.Items[i], r.Progress[i].Target
	c, err := s.mirror.Client(ctx, r.Project)
	if err != nil {
		return report{verdict: verdictRefused, note: mirror.Refusal(err).Message}
	}
	if target != "" {
		if rep, stop := s.precheck(ctx, r, i, a, target); stop {
			return rep
		}
	}
	credentials, err := s.open(ctx, r.ID, i)
	if err != nil || a.Step == StepMain && !s.approvedOnes(r, it, credentials) {
		return report{verdict: verdictRefused, note: "The credentials that wait to be sent can't be opened with the key file in use. Enter them again in a new change request."}
	}
	if time.Until(deadline) < s.settings.Lease/2 {
		return report{verdict: verdictNotSent, note: "Reading the auth config took too long.", wait: s.shortWait()}
	}
	switch {
	case a.Step == StepRename:
		err = c.AuthConfigs.Update(ctx, target, it.rename())
	case it.Operation == Create:
		var made composio.CreatedAuthConfig
		made, err = c.AuthConfigs.Create(ctx, it.create(credentials))
		target = made.ID
	case it.Operation == Update:
		err = c.AuthConfigs.Update(ctx, target, it.update(credentials))
	case it.Operation == Enable:
		err = c.AuthConfigs.Enable(ctx, target)
	case it.Operation == Disable:
		err = c.AuthConfigs.Disable(ctx, target)
	case it.Operation == Delete:
		err = c.AuthConfigs.Delete(ctx, target, it.Revoke)
	}
	if err != nil {
		return s.failed(it, a, err)
	}
	return s.readBack(ctx, r.Project, it, a, target)
}

// precheck compares the live config with what was approved, just before the
// write. With stop, the report is the outcome and nothing is sent.
func (s *Service) precheck(ctx context.Context, r Request, i int, a Attempt, target string) (rep report, stop bool) {
	it := r.Revision.Items[i]
	first := r.Progress[i].Attempts == 0 // begin counts on its own copy
	live, err := s.mirror.Refresh(ctx, r.Project, target)
	switch {
	case problem.Is(err, problem.NotFound) && it.Operation == Delete && a.Step == StepMain:
		if first {
			return report{verdict: verdictSuperseded, note: "It was deleted already.", gone: true}, true
		}
		return report{verdict: verdictApplied, gone: true}, true
	case problem.Is(err, problem.NotFound):
		return report{verdict: verdictRefused, note: "The auth config no longer exists at Composio.", gone: true}, true
	case err != nil:
		wait := min(max(mirror.Refusal(err).RetryAfter, s.shortWait()), longestWait)
		return report{verdict: verdictNotSent, note: mirror.Refusal(err).Message, answer: err.Error(), wait: wait}, true
	case a.Step == StepRename:
		return report{}, false
	case it.Operation != Delete && it.achieved(live) && it.provable(live):
		if first {
			return report{verdict: verdictSuperseded, note: "It was so already.", live: live}, true
		}
		return report{verdict: verdictApplied, live: live}, true
	case !it.unchanged(live) && (first || !it.achieved(live)):
		return report{verdict: verdictStale, live: live}, true
	}
	return report{live: live}, false
}

// failed sorts the error of a write.
func (s *Service) failed(it Item, a Attempt, err error) report {
	why := mirror.Refusal(err)
	switch {
	case it.Operation == Delete && composio.NotFound(err):
		return report{verdict: verdictApplied, gone: true, answer: err.Error()}
	case composio.Refused(err):
		return report{verdict: verdictRefused, note: why.Message, answer: err.Error(), noRight: composio.NoPermission(err)}
	case composio.NotSent(err):
		return report{verdict: verdictNotSent, note: why.Message, answer: err.Error(), wait: min(max(why.RetryAfter, s.shortWait()), longestWait)}
	}
	s.log.Warn("outcome of a write is unknown", "request", a.Request, "item", a.Item, "attempt", a.Number, "err", err)
	return report{verdict: verdictUnknown, note: why.Message, answer: err.Error()}
}

// answered is what an attempt's record says once the write got a 2xx; the id of
// a new config follows it.
const answered = "answered 2xx"

// readBack looks whether a write that was answered had the effect.
func (s *Service) readBack(ctx context.Context, project string, it Item, a Attempt, target string) report {
	rep := report{verdict: verdictUnknown, answer: answered, note: "Composio accepted the change, but a look at it did not confirm it yet."}
	if it.Operation == Create {
		rep.answer += " " + target
	}
	live, err := s.mirror.Refresh(ctx, project, target)
	switch {
	case problem.Is(err, problem.NotFound):
		rep.gone = true
		if it.Operation == Delete {
			rep.verdict = verdictApplied
		}
	case err != nil || it.Operation == Delete:
	case a.Step == StepRename:
		if live.Name == it.Set[mirror.FieldName][0] {
			rep.verdict, rep.live = verdictApplied, live
		}
	case it.Operation == Create:
		rep.verdict, rep.live = verdictApplied, live
	case it.achieved(live):
		rep.verdict, rep.live = verdictApplied, live
	}
	return rep
}

// settle writes down what became of an attempt, unless somebody else did.
func (s *Service) settle(ctx context.Context, a Attempt, rep report) (time.Duration, error) {
	wait := soon
	if rep.verdict == verdictUnknown {
		s.forget(a.Request) // the grace time runs from now
	}
	var outcome string
	r, err := s.store.UpdateRequest(ctx, a.Request, func(r *Request, f Facts) (Effect, error) {
		current, err := f.Attempt(a)
		if err != nil {
			return Effect{}, err
		}
		if current.Number != a.Number || current.Outcome != "" && current.Outcome != outcomeUnknown {
			return Effect{}, errNothingToDo
		}
		project, err := f.Project(r.Project)
		if err != nil {
			return Effect{}, err
		}
		var effect Effect
		effect, wait = s.conclude(r, current, rep, livesIn(project))
		outcome = effect.Attempt.Outcome
		if len(rep.extra) > 0 {
			if err := s.proposeCleanUp(r, a.Item, rep.extra, f, &effect); err != nil {
				return Effect{}, err
			}
		}
		return effect, s.noteOutside(r, a.Item, rep.verdict == verdictApplied, f, &effect)
	})
	if errors.Is(err, errNothingToDo) {
		return soon, nil
	}
	if err != nil {
		return done, err
	}
	if s.settings.Attempted != nil {
		s.settings.Attempted(outcome)
	}
	if rep.noRight {
		err = s.mirror.MarkReadOnly(ctx, r.Project)
	}
	return wait, err
}
