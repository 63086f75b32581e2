package change

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// A Bypass is a request that was applied without the approval that its policies
// ask for (break-glass). Somebody who had no part in it looks back at it.
type Bypass struct {
	By       Author
	Incident string
	Reason   string
	Effect   string // hash of what was applied
	At       time.Time
	Review   *BypassReview // nil while it is due
}

// bypassed reports whether the glass was broken for the request as it is now.
func (r *Request) bypassed() bool {
	return r.Bypass != nil && r.Bypass.Effect == r.Revision.EffectHash && r.Bypass.At.After(r.VotesFrom)
}

// A BypassReview is what an eligible person says afterwards.
type BypassReview struct {
	By      Author
	Fine    bool // ratified; otherwise objected to
	Comment string
	At      time.Time
}

const (
	minBypassReason = 20  // characters
	maxIncident     = 100 // characters
)

// An Emergency is what somebody gives to break the glass.
type Emergency struct {
	Effect   string // hash of what they saw
	Incident string
	Reason   string
	Name     string // of the auth config, typed
}

// bypassable reports whether the glass can be broken for a request.
func (s State) bypassable() bool {
	switch s {
	case Draft, InReview, ChangesRequested, Approved, Scheduled, Suspended:
		return true
	}
	return false
}

// MayBypass reports whether somebody may break the glass for the request.
func (r *Request) MayBypass(u access.User, rules Rules) bool {
	return r.Project != "" && r.State.bypassable() && r.Bypass == nil && slices.Contains(rules.BreakGlass, u.ID) && r.At(u).May(access.ProposeChange)
}

// bypassName is the name that has to be typed to break the glass.
func (r *Request) bypassName() string { return r.Revision.Items[0].Name }

func (r *Request) breakGlass(by access.Reader, e Emergency, t table) ([]audit.Event, error) {
	wrong := map[string]string{}
	e.Incident, e.Reason = strings.Join(strings.Fields(cleanText(e.Incident)), " "), cleanText(e.Reason)
	switch {
	case !r.State.bypassable() || r.Bypass != nil:
		return nil, r.tooLate("applied without approval")
	case !r.MayBypass(by.User, t.rules):
		return nil, problem.New(problem.Forbidden, "You are not on the break-glass list.")
	case e.Effect != r.Revision.EffectHash:
		return nil, &MovedOn{e.Effect}
	case !by.Fresh(t.now):
		return nil, problem.New(problem.Forbidden, "Break-glass takes a proof of who you are that is not older than 5 minutes. Nothing was changed.")
	}
	if utf8.RuneCountInString(e.Reason) < minBypassReason {
		wrong["reason"] = "Say in at least 20 characters why this can't wait."
	}
	if utf8.RuneCountInString(e.Reason) > maxReason {
		wrong["reason"] = "Use at most 2000 characters."
	}
	if e.Incident == "" || utf8.RuneCountInString(e.Incident) > maxIncident {
		wrong["incident"] = "Enter the incident's id, in at most 100 characters."
	}
	if strings.TrimSpace(e.Name) != r.bypassName() {
		wrong["confirm"] = "Type the name exactly as it is shown, to confirm."
	}
	if len(wrong) > 0 {
		return nil, problem.InvalidFields("Nothing was applied.", wrong)
	}
	r.Bypass = &Bypass{By: Author{by.ID, by.Name}, Incident: e.Incident, Reason: e.Reason, Effect: r.Revision.EffectHash, At: r.following(t.now)}
	r.enter(Approved, "", t.now)
	r.ApplyAfter, r.Zone, r.ExpiresAt = t.now, "", t.now.Add(t.lives.approval)
	event := r.event(by.Actor(), "change.bypassed")
	event.Reason = e.Reason
	event.Detail["incident"], event.Detail["policies"] = e.Incident, policyIDs(r.Policies)
	return []audit.Event{event}, nil
}

// BreakGlass applies a request without the approval that it lacks. Who did so
// can't do it again before somebody else has looked back at it.
func (s *Service) BreakGlass(ctx context.Context, by access.Reader, id string, e Emergency) (Request, error) {
	r, err := s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, f Facts) (Effect, error) {
		due, err := f.OpenBypass(by.ID)
		if err != nil {
			return Effect{}, err
		}
		if due {
			return Effect{}, problem.New(problem.Conflict, "You broke the glass before, and nobody has reviewed that yet. Until then you can't do it again.")
		}
		if r.Private() && r.Author.ID != by.ID {
			return Effect{}, notFound()
		}
		if len(r.Policies) == 0 {
			var covered bool
			if r.Policies, covered = t.rules.For(t.project, r.Revision.Items, t.people, r.Revision.Contributors); !covered {
				return Effect{}, notCovered()
			}
		}
		events, err := r.breakGlass(by, e, t)
		return Effect{Events: events}, err
	})
	if err == nil {
		s.start(id)
	}
	return r, err
}

func notFound() error {
	return problem.New(problem.NotFound, "There is no such change request, or you may not see it.")
}

// MayReviewBypass reports whether somebody may look back at a bypass of the request.
func (r *Request) MayReviewBypass(u access.User) bool {
	return r.Bypass != nil && r.Bypass.Review == nil && r.At(u).May(access.ReviewBypass) && !r.contributed(u.ID) && r.Bypass.By.ID != u.ID
}

// ReviewBypass records what somebody who had no part in a bypass says of it. The
// request itself stays as it is.
func (s *Service) ReviewBypass(ctx context.Context, by access.Reader, id string, fine bool, comment string) error {
	comment, complaint := cleanComment(comment)
	if complaint == "" && comment == "" && !fine {
		complaint = "Say what was wrong."
	}
	if complaint != "" {
		return problem.InvalidFields("Nothing was recorded.", map[string]string{"comment": complaint})
	}
	_, err := s.store.ReviewBypass(ctx, id, func(r *Request) (BypassReview, audit.Event, error) {
		if r.Bypass == nil || r.Bypass.Review != nil {
			return BypassReview{}, audit.Event{}, problem.New(problem.Conflict, "There is no review due for this change request.")
		}
		if !r.MayReviewBypass(by.User) {
			return BypassReview{}, audit.Event{}, problem.New(problem.Forbidden, "Somebody who had no part in it, an approver or an auditor, has to review this.")
		}
		verdict := "objected"
		if fine {
			verdict = "ratified"
		}
		e := r.event(by.Actor(), "change.ratified")
		e.Reason = comment
		e.Detail["verdict"] = verdict
		return BypassReview{By: Author{by.ID, by.Name}, Fine: fine, Comment: comment, At: s.now()}, e, nil
	})
	return err
}
