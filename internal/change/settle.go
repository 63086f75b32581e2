package change

import (
	"maps"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Outcomes of an attempt, as they are stored.
const (
	outcomeApplied    = "applied"
	outcomeRefused    = "refused"
	outcomeNotSent    = "not_sent"
	outcomeStale      = "stale"
	outcomeSuperseded = "superseded"
	outcomeUnknown    = "unknown"
)

// conclude turns a report into the new state of the item and its request, with
// everything that goes with it. It also says how long to wait before the next step.
func (s *Service) conclude(r *Request, a Attempt, rep report, l lives) (Effect, time.Duration) {
	i, now := a.Item, s.now()
	p := &r.Progress[i]
	p.Note, p.Decide = rep.note, false
	a.EndedAt, a.Answer = now, rep.answer
	effect := Effect{Attempt: &a}
	wait := soon
	if p.Maybe && (rep.verdict == verdictRefused && !rep.gone || rep.verdict == verdictStale) {
		rep.verdict = verdictDecide // nothing was sent this time, but perhaps before
	}
	switch rep.verdict {
	case verdictApplied:
		a.Outcome = outcomeApplied
		s.applied(r, i, a.Step, rep, &effect)
	case verdictSuperseded:
		a.Outcome = outcomeSuperseded
		p.State = ItemSuperseded
		effect.add(s.itemEvent(r, i, "apply.superseded"))
		effect.Release = []int{i}
		effect.Mirror = mirrorChange(rep, p.Target)
	case verdictRefused:
		a.Outcome = outcomeRefused
		s.refused(r, i, a.Step, rep, &effect)
	case verdictNotSent:
		a.Outcome = outcomeNotSent
		wait = s.notSent(r, i, rep, &effect)
	case verdictStale:
		a.Outcome = outcomeStale
		s.stale(r, i, rep, l, &effect)
	case verdictDecide:
		a.Outcome = outcomeUnknown
		p.State, p.Decide = ItemUnknown, true
		effect.add(unknownOutcome(s.itemEvent(r, i, "apply.undecided")))
	default:
		a.Outcome = outcomeUnknown
		p.State = ItemUnknown
		effect.add(unknownOutcome(s.itemEvent(r, i, "apply.unknown")))
		wait = s.shortWait()
	}
	if p.State == ItemUnknown {
		r.enter(Unknown, p.Note, now)
	} else if r.State == Unknown {
		r.enter(Applying, "", now)
	}
	for j := range effect.Events {
		effect.Events[j].Detail["attempt"] = itoa(a.Number)
		effect.Events[j].Detail["digest"] = a.Digest
	}
	return effect, wait
}

func (e *Effect) add(events ...audit.Event) { e.Events = append(e.Events, events...) }

func unknownOutcome(e audit.Event) audit.Event {
	e.Outcome = audit.Unknown
	return e
}

func failedOutcome(e audit.Event, note string) audit.Event {
	e.Outcome = audit.Failed
	e.Detail["note"] = note
	return e
}

func mirrorChange(rep report, target string) []MirrorChange {
	switch {
	case rep.gone:
		return []MirrorChange{{Config: mirror.AuthConfig{ID: target}, Gone: true}}
	case rep.live.ID != "":
		return []MirrorChange{{Config: rep.live}}
	}
	return nil
}

// pastTense names the history action of an operation.
var pastTense = map[Operation]string{
	Create: "auth_config.created", Update: "auth_config.updated", Enable: "auth_config.enabled",
	Disable: "auth_config.disabled", Delete: "auth_config.deleted",
}

// applied notes that a step took effect.
func (s *Service) applied(r *Request, i int, step Step, rep report, effect *Effect) {
	it, p := r.Revision.Items[i], &r.Progress[i]
	p.Note = ""
	if rep.live.ID != "" {
		p.Target = rep.live.ID
	}
	effect.Mirror = mirrorChange(rep, p.Target)
	if step == StepRename {
		p.State = ItemApplied
		effect.Release = []int{i}
		effect.add(s.itemEvent(r, i, "auth_config.marker_removed"))
		return
	}
	e := s.itemEvent(r, i, pastTense[it.Operation])
	e.Changes = it.changes(rep)
	it.describe(e.Detail, rep)
	effect.add(e)
	effect.Destroy = []int{i}
	if len(effect.Mirror) > 0 {
		effect.Mirror[0].Credentials = it.Credentials
	}
	if it.Operation == Create && it.Marker != "" {
		*p = Progress{Target: p.Target, State: ItemPending, Step: StepRename}
		for _, extra := range rep.extra {
			incident := unknownOutcome(s.itemEvent(r, i, "auth_config.duplicate_found"))
			incident.Object, incident.Changes = extra.Object(), mirror.ChangesBetween(nil, extra.Values())
			extra.Describe(incident.Detail)
			effect.add(incident)
			effect.Mirror = append(effect.Mirror, MirrorChange{Config: extra})
		}
		return
	}
	p.State = ItemApplied
	effect.Release = []int{i}
}

// changes lists what an item changed: readable fields with their values,
// credentials as fingerprints.
func (it Item) changes(rep report) []audit.Change {
	var changes []audit.Change
	switch it.Operation {
	case Create:
		after := rep.live.Values()
		after[mirror.FieldName] = it.Set[mirror.FieldName]
		changes = mirror.ChangesBetween(nil, after)
	case Delete:
		changes = mirror.ChangesGone(it.Base)
	default:
		for _, f := range slices.Sorted(maps.Keys(it.Set)) {
			changes = append(changes, audit.Change{Field: f, Before: it.Base[f], After: it.Set[f]})
		}
	}
	for _, c := range it.Credentials {
		changes = append(changes, audit.Change{Field: c.Field, Before: []string{}, After: []string{"fingerprint " + c.Fingerprint}})
	}
	return changes
}

// describe adds to the details of what an item did which fields are hidden, or
// were before it.
func (it Item) describe(detail map[string]string, rep report) {
	switch it.Operation {
	case Create:
		rep.live.Values().Hidden(detail)
	case Delete:
		it.Base.Hidden(detail)
	default:
		mirror.HiddenBefore(detail, it.Base, it.Set)
	}
}

func (s *Service) refused(r *Request, i int, step Step, rep report, effect *Effect) {
	p := &r.Progress[i]
	effect.Release = []int{i}
	if rep.gone {
		effect.Mirror = mirrorChange(rep, p.Target)
	}
	if step == StepRename {
		s.keepMarker(r, i, rep, effect)
		return
	}
	p.State = ItemFailed
	effect.add(failedOutcome(s.itemEvent(r, i, "apply.refused"), rep.note))
}

// keepMarker ends a create whose rename did not work: the config exists, only its
// name still ends in the marker.
func (s *Service) keepMarker(r *Request, i int, rep report, effect *Effect) {
	p := &r.Progress[i]
	p.State = ItemApplied
	p.Note = "The name still ends in the marker, because it could not be renamed: " + rep.note
	effect.Release = []int{i}
	effect.add(failedOutcome(s.itemEvent(r, i, "auth_config.marker_kept"), rep.note))
}

// notSent lets the item be tried again after a wait, or gives up.
func (s *Service) notSent(r *Request, i int, rep report, effect *Effect) time.Duration {
	p := &r.Progress[i]
	lost := p.State == ItemUnknown // this settles an attempt whose outcome was unknown
	if lost && len(r.Revision.Items[i].Credentials) > 0 && p.Step == StepMain {
		p.Maybe = true // the new credential can't be read, so it is sent again
	}
	effect.add(failedOutcome(s.itemEvent(r, i, "apply.not_sent"), rep.note))
	switch {
	case p.Attempts < maxAttempts:
		p.State = ItemPending
		return rep.wait
	case lost || p.Maybe:
		p.State, p.Decide = ItemUnknown, true
	case p.Step == StepRename:
		s.keepMarker(r, i, rep, effect)
	default:
		p.State = ItemFailed
		effect.Release = []int{i}
	}
	return soon
}

// stale sends the request back for review, since the config is not what was
// approved. Nothing was sent. Where other items are done already, only this one
// ends.
func (s *Service) stale(r *Request, i int, rep report, l lives, effect *Effect) {
	p := &r.Progress[i]
	effect.Release = r.all()
	effect.Mirror = mirrorChange(rep, p.Target)
	p.Note = "It changed at Composio after this request was written."
	if slices.ContainsFunc(r.Progress, func(p Progress) bool { return p.State == ItemApplied }) {
		effect.Release = []int{i}
		p.State = ItemFailed
		effect.add(failedOutcome(s.itemEvent(r, i, "apply.stale"), p.Note))
		return
	}
	*p = Progress{Target: p.Target, State: ItemPending, Step: p.Step, Note: p.Note}
	r.enter(InReview, staleNote, s.now())
	r.unschedule()
	r.VotesFrom = r.following(s.now()) // who approved, approved something else
	r.ExpiresAt = s.now().Add(l.review)
	e := r.event(audit.System(), "change.stale")
	e.Outcome = audit.Failed
	effect.add(e)
}

// decided notes what a person said about an item whose outcome nobody can read.
func (s *Service) decided(r *Request, i int, happened bool, saw report, by access.Reader) Effect {
	it, p := r.Revision.Items[i], &r.Progress[i]
	action := "apply.declared_undone"
	p.State, p.Decide, p.Note = ItemFailed, false, "A person found that it did not happen."
	if happened {
		action = "apply.declared_done"
		p.State, p.Note = ItemApplied, "A person found that it happened."
	}
	if saw.live.ID != "" && happened {
		p.Target = saw.live.ID
	}
	e := s.itemEvent(r, i, action)
	e.Actor = by.Actor()
	if happened {
		e.Changes, e.Detail[mirror.DetailOperation] = it.changes(saw), string(it.Operation)
		it.describe(e.Detail, saw)
	}
	effect := Effect{Events: []audit.Event{e}, Release: []int{i}, Mirror: mirrorChange(saw, p.Target)}
	if happened {
		effect.Destroy = []int{i}
		if len(effect.Mirror) > 0 && !saw.gone {
			effect.Mirror[0].Credentials = it.Credentials
		}
	}
	r.enter(Applying, "", s.now())
	return effect
}

// proposeCleanUp asks for the deletion of configs that one create made too many.
// It waits for a person to apply it.
func (s *Service) proposeCleanUp(r *Request, item int, extra []mirror.AuthConfig, f Facts, effect *Effect) error {
	now := s.now()
	next := Request{
		ID: "chg_" + secret.Code(16), Project: r.Project, State: Draft, Author: r.Author, CreatedAt: now, UpdatedAt: now,
		Title:  "Delete what was created twice: " + r.Revision.Items[item].Name,
		Reason: "Composio carried out one create more than once. See " + r.ID + ".",
	}
	next.Revision = Revision{Number: 1, Contributors: []string{r.Author.ID}, By: r.Author, CreatedAt: now}
	for _, a := range extra {
		it := Item{Kind: KindConfig, Operation: Delete, Target: a.ID, Set: mirror.Values{}}
		it.rebase(a)
		next.Revision.Items = append(next.Revision.Items, it)
		next.Progress = append(next.Progress, Progress{Target: a.ID, State: ItemPending, Step: StepMain})
	}
	var err error
	if next.Revision.EffectHash, err = effectHash(next.Project, next.Revision.Items); err != nil {
		return err
	}
	t, err := s.table(&next, f)
	if err != nil {
		return err
	}
	effect.Next = &next
	events, err := next.submit(audit.System(), t, false)
	if problem.Of(err) != nil { // nobody could agree to it: it stays its author's draft
		next.ExpiresAt = now.Add(t.lives.review)
		events, err = []audit.Event{next.event(audit.System(), "change.drafted")}, nil
	}
	effect.add(events...)
	return err
}

// noteOutside records what somebody else did to the config of an item, as far as
// it was met on the way: the next sync wouldn't see it any more.
func (s *Service) noteOutside(r *Request, i int, happened bool, f Facts, effect *Effect) error {
	it := r.Revision.Items[i]
	for k := range effect.Mirror {
		m := &effect.Mirror[k]
		before, known, err := f.Config(r.Project, m.Config.ID)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		if m.Gone {
			if it.Operation != Delete || !happened {
				effect.add(mirror.OutsideEvent(r.Project, "auth_config.deleted_outside", before, mirror.ChangesGone(before.Values())))
			}
			continue
		}
		changes := mirror.ChangesBetween(before.Values(), m.Config.Values())
		if happened {
			effect.tellCredentials(m.Config.ID, changes)
			changes = slices.DeleteFunc(changes, func(c audit.Change) bool { return it.explains(c.Field) })
		}
		switch {
		case len(changes) > 0:
			effect.add(mirror.OutsideEvent(r.Project, "auth_config.changed_outside", m.Config, changes))
			if !happened {
				m.Config.Seen = mirror.Seen{ChangedAt: s.now(), ChangedVia: mirror.ViaOutside}
			}
		case !happened:
			m.Config.Seen = before.Seen
		}
	}
	return nil
}

// tellCredentials adds which credentials are set now to what an effect says of a
// config.
func (e *Effect) tellCredentials(id string, changes []audit.Change) {
	for k := range e.Events {
		if _, step := mirror.StepOf(e.Events[k]); !step || e.Events[k].Object.ID != id {
			continue
		}
		for _, c := range changes {
			if c.Field == mirror.FieldCredentials {
				e.Events[k].Changes = append(e.Events[k].Changes, c)
			}
		}
	}
}

// explains reports whether a field differs because the item took effect.
func (it Item) explains(field string) bool {
	if it.Operation == Create || field == mirror.FieldCredentials {
		return true
	}
	_, ours := it.intended()[field]
	return ours
}
