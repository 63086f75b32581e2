package notify

import (
	"context"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A Recipient is somebody who hears of an event, and why. Of what is Certain they
// hear in the console whatever they chose.
type Recipient struct {
	User    access.User
	Why     Why
	Certain bool
}

// recipients works out who hears of an event. Who did it doesn't, but a requester
// always hears what came of their request.
func (s *Service) recipients(ctx context.Context, e audit.Entry) ([]Recipient, error) {
	people, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	people = slices.DeleteFunc(slices.Clone(people), func(u access.User) bool { return u.State != access.Active }) // what the store returns is shared
	if e.Request == "" {
		return s.addressed(ctx, e, people)
	}
	r, err := s.store.Request(ctx, e.Request)
	if problem.Is(err, problem.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Recipient
	switch e.Action {
	case submitted, revised:
		if waits(r) {
			found = because(NeedsMe, r.Awaited(people))
		}
	case bypassed:
		found = because(BreakGlass, slices.DeleteFunc(slices.Clone(people), func(u access.User) bool { return !r.At(u).May(access.ReviewBypass) }))
	default:
		if found, err = s.involved(ctx, r, people, acts[e.Action].outcome); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(found, func(f Recipient) bool { return f.User.ID == e.Actor.ID && !f.Certain }), nil
}

// addressed are those who hear of an entry that is about no change request: who
// can adopt a drift and may read of it, whose account it is about, or who is asked
// in a review.
func (s *Service) addressed(ctx context.Context, e audit.Entry, people []access.User) ([]Recipient, error) {
	if owner := account(e); owner != "" {
		return certain(Security, people, func(u access.User) bool { return u.ID == owner }), nil
	}
	if e.Action == access.EmergencyAction {
		return certain(Security, people, func(u access.User) bool { return u.May(access.ManagePeople) }), nil
	}
	if acts[e.Action].topic == Drift {
		p, err := s.store.Project(ctx, e.Project)
		return because(Outside, slices.DeleteFunc(people, func(u access.User) bool {
			there := u.At(p.At(e.Detail["toolkit"]))
			return !there.May(access.ApproveChange) && !there.May(access.ManageProjects) || !p.ReadBy(there)
		})), err
	}
	return certain(Asked, people, func(u access.User) bool { return u.ID == e.Detail["assignee"] }), nil
}

// account is the id of the person whose account an entry is about, for those that
// only they hear of.
func account(e audit.Entry) string {
	switch e.Action {
	case access.NewDeviceAction:
		return e.Actor.ID
	case access.TokenExpiresAction:
		return e.Detail["owner"]
	case access.FactorAddedAction, access.FactorRemovedAction, access.FactorsResetAction, access.CodeUsedAction, access.ClonedAction:
		return e.Object.ID
	}
	return ""
}

// certain is one person who hears of an entry whatever they chose.
func certain(why Why, people []access.User, is func(access.User) bool) []Recipient {
	found := because(why, slices.DeleteFunc(people, func(u access.User) bool { return !is(u) }))
	for i := range found {
		found[i].Certain = true
	}
	return found
}

// loud reports whether people hear of an entry at all. Of what was changed outside
// they don't if it is of low severity.
func (s *Service) loud(ctx context.Context, e audit.Entry) (bool, error) {
	if acts[e.Action].topic != Drift {
		return true, nil
	}
	p, err := s.store.Project(ctx, e.Project)
	if err != nil {
		return false, err
	}
	d, _ := mirror.Follow(nil, e)
	return d != nil && d.Severity(p.Environment) >= mirror.Medium, nil
}

// waits reports whether a request waits for approval.
func waits(r change.Request) bool {
	return r.State == change.InReview || r.State == change.ChangesRequested
}

func because(why Why, people []access.User) []Recipient {
	var out []Recipient
	for _, u := range people {
		out = append(out, Recipient{User: u, Why: why})
	}
	return out
}

// involved are the author and all who watch.
func (s *Service) involved(ctx context.Context, r change.Request, people []access.User, outcome bool) ([]Recipient, error) {
	watchers, err := s.store.Watchers(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	var out []Recipient
	for _, u := range people {
		switch {
		case !r.ReadBy(u):
		case u.ID == r.Author.ID:
			out = append(out, Recipient{User: u, Why: Mine, Certain: outcome})
		case slices.Contains(watchers, u.ID):
			out = append(out, Recipient{User: u, Why: Watching})
		}
	}
	return out, nil
}
