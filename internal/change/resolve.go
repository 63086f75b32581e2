package change

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A verdict is what became of one attempt, as far as can be told.
type verdict int

const (
	verdictUnknown    verdict = iota // it may or may not have happened
	verdictApplied                   // it happened, and a look at the remote agrees
	verdictRefused                   // Composio said no: it did not happen, and won't
	verdictNotSent                   // it did not happen, but may be tried again
	verdictStale                     // the config is not what was approved; nothing was sent
	verdictSuperseded                // the config was as wanted already; nothing was sent
	verdictDecide                    // only a person can say
)

// maxAttempts is how often one step is tried before a person decides.
const maxAttempts = 3

// A sighting is what a look at the remote shows after an attempt whose outcome
// is unknown.
type sighting struct {
	gone     bool              // 404
	live     mirror.AuthConfig // unless gone
	answered bool              // the write was answered with 2xx
}

// resolve decides about an attempt of anything but a create. Before the grace
// time is over the write may still be on its way, so that what wasn't done yet
// decides nothing.
func resolve(it Item, step Step, saw sighting, graceOver bool) verdict {
	if it.Operation == Delete {
		switch {
		case saw.gone:
			return verdictApplied
		case graceOver:
			return verdictNotSent
		}
		return verdictUnknown
	}
	if saw.gone {
		return verdictRefused // nothing left to change
	}
	if step == StepRename {
		return resolveRename(it, saw, graceOver)
	}
	achieved, untouched := it.achieved(saw.live), it.unchanged(saw.live)
	switch {
	case achieved && (it.provable(saw.live) || saw.answered):
		return verdictApplied
	case !achieved && !untouched:
		return verdictDecide // a third value
	case graceOver:
		return verdictNotSent // the values are absolute: sending again does no harm
	}
	return verdictUnknown
}

func resolveRename(it Item, saw sighting, graceOver bool) verdict {
	switch {
	case saw.live.Name == it.Set[mirror.FieldName][0]:
		return verdictApplied
	case saw.live.Name != it.sentName():
		return verdictDecide
	case graceOver:
		return verdictNotSent
	}
	return verdictUnknown
}

// resolveCreate decides about an attempt of a create by the configs whose name
// ends in its marker, the oldest first. Only two full listings without one, the
// second after the grace time, show that it didn't happen.
func resolveCreate(it Item, found []mirror.AuthConfig, missedBefore, graceOver bool) verdict {
	switch {
	case len(found) > 0:
		return verdictApplied
	case it.Marker == "" && graceOver:
		return verdictDecide
	case graceOver && missedBefore:
		return verdictNotSent
	}
	return verdictUnknown
}

// digestBody names a request body: SHA-256 over its canonical JSON.
func digestBody(body []byte) (string, error) {
	if len(body) == 0 {
		return audit.Digest("")
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return "", err
	}
	return audit.Digest(v)
}

// settleUnknown looks at an attempt whose outcome is not known, be it that the
// answer got lost or that the program stopped in the middle.
func (s *Service) settleUnknown(ctx context.Context, r Request, i int) (time.Duration, error) {
	a, err := s.store.LastAttempt(ctx, r.ID, r.Revision.Number, i)
	if err != nil {
		return done, err
	}
	if r.State != Unknown {
		return soon, s.interrupted(ctx, a)
	}
	left := s.graceLeft(r.ID)
	rep, err := s.look(ctx, r, i)
	if err != nil {
		s.log.Info("can't look at a change of unknown outcome yet", "request", r.ID, "err", err)
		return max(s.shortWait(), min(s.lookEvery(), left)), nil
	}
	if rep.verdict == verdictUnknown {
		return max(s.shortWait(), min(s.lookEvery(), left)), nil
	}
	return s.settle(ctx, a, rep)
}

// graceLeft is how long a write of unknown outcome may still arrive at Composio.
// The time starts anew when the program does.
func (s *Service) graceLeft(id string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.grace[id]
	if !ok {
		until = time.Now().Add(s.settings.Grace)
		s.grace[id] = until
	}
	return time.Until(until)
}

func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.grace, id)
	delete(s.missed, id)
}

// missedBefore notes that a full listing didn't have what a request creates, and
// reports whether an earlier one hadn't either.
func (s *Service) missedBefore(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missed[id]++
	return s.missed[id] > 1
}

// interrupted takes note that an attempt was left open.
func (s *Service) interrupted(ctx context.Context, a Attempt) error {
	rep := report{verdict: verdictUnknown, note: "Gatehouse stopped while it was sending this.", answer: "interrupted"}
	if a.Answer == wasSo {
		rep.answer = wasSo
	}
	_, err := s.settle(ctx, a, rep)
	return err
}

// look reads the remote to find out what became of an item's last attempt.
func (s *Service) look(ctx context.Context, r Request, i int) (report, error) {
	if i < 0 || i >= len(r.Progress) {
		return report{}, problem.New(problem.NotFound, "This change request has no such part.")
	}
	it, p := r.Revision.Items[i], r.Progress[i]
	over := s.graceLeft(r.ID) <= 0
	a, err := s.store.LastAttempt(ctx, r.ID, r.Revision.Number, i)
	if err != nil {
		return report{}, err
	}
	target := p.Target
	if it.Operation == Create && p.Step == StepMain {
		_, target, _ = strings.Cut(a.Answer, answered+" ")
		if target == "" {
			return s.lookForCreated(ctx, r, it, over)
		}
	}
	saw := sighting{answered: strings.HasPrefix(a.Answer, answered)}
	saw.live, err = s.mirror.Refresh(ctx, r.Project, target)
	if saw.gone = problem.Is(err, problem.NotFound); err != nil && !saw.gone {
		return report{}, err
	}
	rep := report{live: saw.live, gone: saw.gone, answer: a.Answer, wait: s.shortWait()}
	if it.Operation == Create && p.Step == StepMain {
		switch {
		case !saw.gone:
			rep.verdict = verdictApplied
		case over: // made, and deleted at Composio before anyone saw it; or never there
			rep.verdict = verdictDecide
		}
		return rep, nil
	}
	rep.verdict = resolve(it, p.Step, saw, over)
	switch {
	case rep.verdict == verdictRefused:
		rep.note = "The auth config no longer exists at Composio."
	case rep.verdict == verdictApplied && a.Answer == wasSo:
		rep.verdict, rep.note = verdictSuperseded, "It was so already."
	}
	return rep, nil
}

// lookForCreated lists all configs of the project, disabled ones too, for those
// that end in the item's marker. A search would not do: it may lag behind.
func (s *Service) lookForCreated(ctx context.Context, r Request, it Item, over bool) (report, error) {
	c, err := s.mirror.Client(ctx, r.Project)
	if err != nil {
		return report{}, err
	}
	var found []mirror.AuthConfig
	for a, err := range c.AuthConfigs.List(ctx, composio.AuthConfigQuery{}) {
		if err != nil {
			return report{}, err
		}
		if it.Marker != "" && mirror.MarkerIn(a.Name) == it.Marker {
			found = append(found, mirror.FromAPI(a))
		}
	}
	slices.SortFunc(found, func(a, b mirror.AuthConfig) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	again := len(found) == 0 && it.Marker != "" && s.missedBefore(r.ID)
	rep := report{verdict: resolveCreate(it, found, again, over), wait: s.shortWait()}
	if len(found) > 0 {
		rep.live, rep.extra = found[0], found[1:]
	}
	return rep, nil
}
