package change

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A revocation is what an access review decides with a request.
type revocation struct {
	review   string
	decision access.Decision
}

func (d revocation) by(by access.Reader, r *Request, now time.Time) func(*access.Review) (audit.Event, error) {
	return func(review *access.Review) (audit.Event, error) {
		d.decision.Request = r.ID
		return review.Decide(by, d.decision, now)
	}
}

// Revoke asks for somebody to have no roles any more, as an access review decides:
// their own go, and those of groups as far as Gatehouse says that they are in them.
// What is left is kept with the decision. Request and decision are one transaction.
func (s *Service) Revoke(ctx context.Context, by access.Reader, review, user, comment string) (Request, error) {
	rules, people, err := s.around(ctx)
	if err != nil {
		return Request{}, err
	}
	at := slices.IndexFunc(people, func(u access.User) bool { return u.ID == user })
	if at < 0 {
		return Request{}, problem.New(problem.NotFound, "There is no such person any more.")
	}
	person := people[at]
	items, stays := rules.takeFrom(person)
	if len(items) == 0 {
		return Request{}, problem.InvalidFields("Nothing was changed.", map[string]string{"comment": nothingToTake(person, rules, stays)})
	}
	reason := strings.TrimSpace(comment)
	if reason == "" {
		reason = "Revoked in an access review."
	}
	decided := revocation{review, access.Decision{User: user, Verdict: access.Revoked, Comment: comment, Stays: stays}}
	return s.propose(ctx, by, Proposal{Reason: reason, revokes: &decided}, "Take the roles of "+person.Name, items, nil)
}

// takeFrom are the items that take somebody's roles, and what stays nevertheless.
func (r Rules) takeFrom(person access.User) (items []Item, stays []access.ReviewRight) {
	if own := person.Own(); len(own) > 0 {
		items = append(items, Item{
			Kind: KindRoles, Operation: Update, Target: person.ID, Name: person.Name,
			Set: mirror.Values{fieldRoles: []string{}}, Base: mirror.Values{fieldRoles: grantTexts(own)},
		})
	}
	for _, g := range r.Groups {
		if len(g.Grants) == 0 {
			continue
		}
		if source := g.Source(person.ID); source != "" {
			for _, one := range grantTexts(g.Grants) {
				stays = append(stays, access.ReviewRight{Grant: one, Through: g.ID, Source: source})
			}
		}
		if slices.Contains(g.Members, person.ID) {
			without := g
			without.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m string) bool { return m == person.ID })
			items = append(items, Item{Kind: KindGroup, Operation: Update, Target: g.ID, Name: g.Name, Set: groupValues(without), Base: groupValues(g)})
		}
	}
	return items, stays
}

// nothingToTake says why somebody's roles can't be taken here.
func nothingToTake(person access.User, rules Rules, stays []access.ReviewRight) string {
	if len(stays) == 0 {
		return person.Name + " has no roles."
	}
	var groups []string
	for _, g := range stays {
		if one, err := rules.group(g.Through); err == nil && !slices.Contains(groups, one.Name) {
			groups = append(groups, one.Name)
		}
	}
	return person.Name + " has roles only through " + strings.Join(groups, ", ") + ", and who is in there is kept elsewhere. Take them out there, or take the roles from the group."
}
