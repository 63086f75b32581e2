package change

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A Freeze is a time in which nothing is applied, but by break-glass.
type Freeze struct {
	ID          string // frz_…
	Name        string
	Project     string // prj_…, or empty: every project of the environment
	Environment string // empty: any
	From, Until time.Time
}

// Covers reports whether nothing may be applied to a project at a time.
func (f Freeze) Covers(p mirror.Project, at time.Time) bool {
	return (f.Project == "" || f.Project == p.ID) && (f.Environment == "" || f.Environment == p.Environment) && !at.Before(f.From) && at.Before(f.Until)
}

// frozen returns the freeze window that covers a time, if one does.
func (t table) frozen(at time.Time) (Freeze, bool) {
	for _, f := range t.rules.Freezes {
		if t.project.ID != "" && f.Covers(t.project, at) {
			return f, true
		}
	}
	return Freeze{}, false
}

func frozenNote(f Freeze) string {
	return "The freeze window " + f.Name + " lasts until " + f.Until.UTC().Format("2 Jan 2006 15:04 UTC") + "."
}

// scheduleFor sets when an approved request is applied.
func (r *Request) scheduleFor(by access.Reader, at time.Time, zone string, t table) ([]audit.Event, error) {
	wrong := func(format string, args ...any) error {
		return problem.InvalidFields("Nothing was scheduled.", map[string]string{"at": problem.New(problem.Invalid, format, args...).Message})
	}
	freeze, frozen := t.frozen(at)
	switch {
	case !by.May(access.ProposeChange):
		return nil, problem.New(problem.Forbidden, "Scheduling changes takes the editor role.")
	case r.Project == "":
		return nil, problem.New(problem.Conflict, "A change of the rules can't be scheduled. Apply it when it is time.")
	case r.State != Approved && r.State != Scheduled || r.State == Approved && !r.ApplyAfter.IsZero():
		return nil, r.tooLate("scheduled")
	case !at.After(t.now):
		return nil, wrong("Choose a time in the future.")
	case !r.ExpiresAt.IsZero() && at.After(r.ExpiresAt):
		return nil, wrong("Choose a time before %s, when the approval ends.", r.ExpiresAt.UTC().Format("2 Jan 2006 15:04 UTC"))
	case frozen:
		return nil, wrong("%s Choose another time.", frozenNote(freeze))
	}
	r.enter(Scheduled, "", t.now)
	r.ApplyAfter, r.Zone = at, zone
	e := r.event(by.Actor(), "change.scheduled")
	e.Detail["at"], e.Detail["zone"] = at.UTC().Format(time.RFC3339), zone
	return []audit.Event{e}, nil
}

// Schedule applies an approved request at a time, typed as "2006-01-02T15:04" in
// an IANA time zone.
func (s *Service) Schedule(ctx context.Context, by access.Reader, id, at, zone string) (Request, error) {
	where, err := time.LoadLocation(strings.TrimSpace(zone))
	if err != nil || zone == "" || zone == "Local" {
		return Request{}, problem.InvalidFields("Nothing was scheduled.", map[string]string{"zone": "Choose a time zone, such as Europe/Berlin."})
	}
	at = strings.TrimSpace(at)
	when, err := time.ParseInLocation("2006-01-02T15:04", at, where)
	if err != nil { // browsers add seconds where they aren't zero
		when, err = time.ParseInLocation("2006-01-02T15:04:05", at, where)
	}
	if err != nil {
		return Request{}, problem.InvalidFields("Nothing was scheduled.", map[string]string{"at": "Enter a date and a time."})
	}
	r, err := s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		events, err := r.scheduleFor(by, when.UTC(), where.String(), t)
		return Effect{Events: events}, err
	})
	s.wakeUp()
	return r, err
}

// Unschedule takes a scheduled request back to approved.
func (s *Service) Unschedule(ctx context.Context, by access.Reader, id string) (Request, error) {
	return s.decide(ctx, by, id, func(by access.Reader, r *Request, t table, _ Facts) (Effect, error) {
		switch {
		case !by.May(access.ProposeChange):
			return Effect{}, problem.New(problem.Forbidden, "This takes the editor role.")
		case r.State != Scheduled:
			return Effect{}, r.tooLate("taken from its schedule")
		}
		r.unschedule()
		r.enter(Approved, "", t.now)
		return Effect{Events: []audit.Event{r.event(by.Actor(), "change.unscheduled")}}, nil
	})
}

// suspend stops a request until a person lets it go on.
func (r *Request) suspend(why string, now time.Time) audit.Event {
	r.enter(Suspended, why, now)
	e := r.event(audit.System(), "change.suspended")
	e.Detail["note"] = why
	return e
}

// review looks at a waiting request again, after something around it changed:
// a schedule whose ground is gone is suspended, and what is so already is closed.
func (r *Request) reviewed(t table) []audit.Event {
	switch {
	case r.State == Scheduled:
		at := r.ApplyAfter
		if at.Before(t.now) {
			at = t.now
		}
		if why := r.unfit(t, at); why != "" {
			return []audit.Event{r.suspend(why, t.now)}
		}
	case (r.State == InReview || r.State == ChangesRequested || r.State == Approved && r.ApplyAfter.IsZero() || r.State == Suspended) && t.done():
		r.enter(Superseded, "It is so already. Nothing was sent.", t.now)
		return []audit.Event{r.event(audit.System(), "change.superseded")}
	case r.State == ChangesRequested, r.State == InReview && !t.stale():
		return r.count(t) // who blocked it may be gone
	}
	return nil
}

// done reports whether everything is at Composio as the items want it.
func (t table) done() bool {
	for _, it := range t.items {
		live, known := t.live[it.Target]
		switch {
		case it.Kind != KindConfig || it.Operation == Create:
			return false
		case it.Operation == Delete && known, it.Operation != Delete && (!known || !it.achieved(live) || !it.provable(live)):
			return false
		}
	}
	return len(t.items) > 0
}
