package change

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// revisable reports whether a request in this state can get another revision.
func (s State) revisable() bool { return s.bypassable() }

// mayRevise guards the next revision.
func (r *Request) mayRevise(by access.Reader, version int64) error {
	switch {
	case !r.ReadBy(by.User):
		return notFound()
	case !by.May(r.Takes()):
		return by.Check(r.Takes())
	case !r.State.revisable() || r.State == Approved && !r.ApplyAfter.IsZero():
		return r.tooLate("revised")
	case version != r.Version:
		return &MovedOn{r.Revision.EffectHash}
	}
	return nil
}

// revise makes what somebody wants the next revision of a request, which
// dismisses all votes. Credentials that were typed before and aren't typed anew
// stay as they are.
func (s *Service) revise(ctx context.Context, by access.Reader, p Proposal, next Request, credentials map[int]map[string]secret.Value) (Request, error) {
	items := next.Revision.Items
	sealed := s.seal(by, next.Project, p.Revises, items, credentials)
	r, err := s.decide(ctx, by, p.Revises, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		if err := r.mayRevise(by, p.Version); err != nil {
			return Effect{}, err
		}
		if p.Draft && r.State != Draft {
			return Effect{}, problem.New(problem.Conflict, "This request was handed in already, so its next revision can't be a draft. Nothing was changed.")
		}
		old := r.Revision.Items
		if r.Project != next.Project || len(old) != len(items) || old[0].Operation != items[0].Operation || old[0].Target != items[0].Target {
			return Effect{}, problem.New(problem.Invalid, "This change request is about something else. Propose a new one.")
		}
		for i := range items {
			items[i].keepFrom(old[i])
		}
		r.Title, r.Reason = next.Title, next.Reason
		events, err := r.renew(by, items, t, p.Draft)
		return Effect{Events: events, Revision: true, Sealed: sealed}, err
	})
	if err == nil {
		s.start(r.ID)
	}
	return r, err
}

// keepFrom takes over what the next revision of an item doesn't say anew.
func (it *Item) keepFrom(old Item) {
	it.Marker = old.Marker
	if !it.Impact.Counted {
		it.Impact = old.Impact
	}
	for _, c := range old.Credentials {
		if !slices.ContainsFunc(it.Credentials, func(n Credential) bool { return n.Field == c.Field }) {
			it.Credentials = append(it.Credentials, c)
		}
	}
	slices.SortFunc(it.Credentials, func(a, b Credential) int { return strings.Compare(a.Field, b.Field) })
}

// renew starts the next revision and hands it in, unless it stays a draft.
func (r *Request) renew(by access.Reader, items []Item, t table, draft bool) ([]audit.Event, error) {
	wasDraft := r.State == Draft
	r.VotesFrom = r.following(t.now) // a bypass doesn't hold for it either, even if the effect is the same
	if err := r.nextRevision(by, items, t.now); err != nil {
		return nil, err
	}
	t.items = items
	by, err := t.asNow(by, r) // its toolkit may be another now
	if err == nil {
		err = by.Check(r.Takes())
	}
	if err != nil {
		return nil, err
	}
	revised := r.event(by.Actor(), "change.revised")
	if wasDraft && draft {
		r.enter(Draft, "", t.now)
		r.ExpiresAt = t.now.Add(draftLife)
		revised.Detail["state"] = string(r.State)
		return []audit.Event{revised}, nil
	}
	events, err := r.submit(by.Actor(), t, true)
	if err != nil {
		return nil, err
	}
	if wasDraft {
		return events, nil
	}
	revised.Detail["state"] = string(InReview)
	return append([]audit.Event{revised}, events...), nil
}

// Choices say how a request is brought up to date with what changed at Composio
// since it was written. What changed elsewhere is always accepted as it is.
type Choices struct {
	Theirs map[int][]string // fields of an item to leave as they are there now
	Drop   []int            // items to leave out
}

// Rebase takes what is live now as what the request relies on: a new revision.
func (s *Service) Rebase(ctx context.Context, by access.Reader, id string, version int64, c Choices) (Request, error) {
	r, err := s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		if err := r.mayRevise(by, version); err != nil {
			return Effect{}, err
		}
		if r.Project == "" {
			return Effect{}, problem.New(problem.Conflict, "Propose the change of the rules again.")
		}
		items, err := r.rebased(t, c)
		if err != nil {
			return Effect{}, err
		}
		effect := Effect{Revision: true, Destroy: c.Drop}
		effect.Events, err = r.renew(by, items, t, false)
		return effect, err
	})
	if err == nil {
		s.start(id)
	}
	return r, err
}

// rebased returns the items of the next revision.
func (r *Request) rebased(t table, c Choices) ([]Item, error) {
	var items []Item
	for i, it := range r.Revision.Items {
		if slices.Contains(c.Drop, i) {
			continue
		}
		live, known := t.live[it.Target]
		if it.Operation == Create {
			items = append(items, it)
			continue
		}
		if !known {
			return nil, problem.New(problem.Conflict, "%s no longer exists at Composio. Leave it out, or cancel this request.", it.Name)
		}
		it.Set = maps.Clone(it.Set)
		for _, field := range c.Theirs[i] {
			if field == mirror.FieldProxyURL && it.setsCredential(proxyKey) {
				return nil, problem.New(problem.Conflict, "The proxy's key waits with this request, so the proxy's address can't be left as it is. Edit the request instead.")
			}
			delete(it.Set, field)
		}
		now := live.Values()
		for field, want := range it.Set {
			if field == mirror.FieldProxyURL && it.setsCredential(proxyKey) {
				continue // it is sent with its key
			}
			if got, readable := now[field]; readable && it.Operation == Update && mirror.SameValue(field, got, want) {
				delete(it.Set, field)
			}
		}
		if len(it.Set)+len(it.Credentials) == 0 && it.Operation != Delete {
			continue
		}
		it.rebase(live)
		items = append(items, it)
	}
	if len(items) == 0 {
		return nil, problem.New(problem.Conflict, "Nothing would be left of this request. Cancel it instead.")
	}
	if len(items) < len(r.Revision.Items) && slices.ContainsFunc(items, func(it Item) bool { return len(it.Credentials) > 0 }) {
		return nil, problem.New(problem.Conflict, "Credentials wait with this request, so no part can be left out. Cancel it and propose what is left.")
	}
	return items, nil
}

// Moved returns the fields that an item relies on and that differ now, sorted.
func (it Item) Moved(live mirror.AuthConfig) []string { return it.Base.Differences(live.Values()) }

// Achieved reports whether a config is as the item wants it, as far as can be read.
func (it Item) Achieved(live mirror.AuthConfig) bool { return it.achieved(live) }

// Revert proposes to undo what a partly applied request did. It names what can't
// be undone: what was deleted, and credentials.
func (s *Service) Revert(ctx context.Context, by access.Reader, id string) (Request, error) {
	old, err := s.store.Request(ctx, id)
	if err == nil && !old.ReadBy(by.User) {
		err = notFound()
	}
	if err != nil {
		return old, err
	}
	if old.State != Partial && old.State != Applied {
		return old, old.tooLate("reverted")
	}
	snapshot, err := s.store.Snapshot(ctx, old.Project)
	if err != nil {
		return old, err
	}
	var items []Item
	for i, p := range old.Progress {
		live, known := snapshot.Get(p.Target)
		if p.State != ItemApplied || !known {
			continue
		}
		if it, ok := old.Revision.Items[i].inverse(live); ok {
			items = append(items, it)
		}
	}
	if len(items) == 0 {
		return old, problem.New(problem.Conflict, "Nothing of it can be undone: deleted auth configs and earlier credentials can't be brought back.")
	}
	return s.propose(ctx, by, Proposal{Project: old.Project, Reason: fmt.Sprintf("Undo what %s did.", old.ID)}, "Undo: "+old.Title, items, nil)
}

// inverse is the item that undoes another one.
func (it Item) inverse(live mirror.AuthConfig) (Item, bool) {
	back := Item{Kind: KindConfig, Target: live.ID, Set: mirror.Values{}, ScopeForm: it.ScopeForm}
	switch it.Operation {
	case Enable:
		back.Operation, back.Set = Disable, mirror.Values{mirror.FieldStatus: {mirror.Disabled}}
	case Disable:
		back.Operation, back.Set = Enable, mirror.Values{mirror.FieldStatus: {mirror.Enabled}}
	case Create:
		back.Operation = Delete
	case Update:
		back.Operation, back.Set = Update, it.Base.Pick(slices.Collect(maps.Keys(it.Set))...)
	default:
		return back, false
	}
	if len(back.Set) == 0 && back.Operation == Update || back.Operation == Update && back.achieved(live) {
		return back, false
	}
	back.rebase(live)
	return back, true
}

// setsCredential reports whether a credential waits to be sent with the item.
func (it Item) setsCredential(field string) bool {
	return slices.ContainsFunc(it.Credentials, func(c Credential) bool { return c.Field == field })
}
