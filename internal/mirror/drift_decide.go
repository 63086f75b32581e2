package mirror

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// A DriftStore keeps drift. It follows history by itself.
type DriftStore interface {
	// DecideDrift lets fn decide about a drift inside the transaction: it is kept as
	// fn leaves it, or goes. by is who decides, as they are now. A drift that isn't
	// there is a problem of kind Conflict.
	DecideDrift(ctx context.Context, projectID, config, by string, fn func(d *Drift, p Project, by access.User) (gone bool, e audit.Event, err error)) error
	// WakeDrift opens what was ignored until now again.
	WakeDrift(ctx context.Context, projectID string, now time.Time, fn func(Drift) audit.Event) error
}

// MayDecideDrift reports whether somebody may adopt or ignore drift of a project:
// in production who approves or manages projects, elsewhere who proposes, too.
func MayDecideDrift(u access.User, p Project) bool {
	return u.May(access.ApproveChange) || u.May(access.ManageProjects) || p.Environment != Production && u.May(access.ProposeChange)
}

// A DriftDecision is what somebody decides about a drift.
type DriftDecision struct {
	Adopt   bool      // else it is ignored
	Until   time.Time // if it is ignored
	Reason  string
	Toolkit string // of the config
	Seen    int64  // the last entry of the drift that they looked at
}

const (
	maxDriftReason = 2000
	longestIgnore  = 366 * 24 * time.Hour
)

// check tidies a decision and returns a complaint per field.
func (d *DriftDecision) check(now time.Time) error {
	complaints := map[string]string{}
	d.Reason = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.C) && r != '\n' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(d.Reason, "")))
	switch {
	case d.Reason == "":
		complaints["reason"] = "Say why, for those who audit it."
	case utf8.RuneCountInString(d.Reason) > maxDriftReason:
		complaints["reason"] = "Use at most " + strconv.Itoa(maxDriftReason) + " characters."
	}
	switch {
	case d.Adopt:
	case d.Until.IsZero():
		complaints["until"] = "Choose a day."
	case !d.Until.After(now):
		complaints["until"] = "Choose a day that is still to come."
	case d.Until.Sub(now) > longestIgnore:
		complaints["until"] = "Choose a day within a year."
	}
	if len(complaints) == 0 {
		return nil
	}
	return problem.InvalidFields("Nothing was changed. Correct what is marked and send again.", complaints)
}

// DecideDrift adopts the drift of a config, so that what was changed outside is
// right from now on, or ignores it until a day. Nothing is sent to Composio.
func (s *Service) DecideDrift(ctx context.Context, by access.Reader, projectID, config string, decision DriftDecision) error {
	if err := decision.check(s.now()); err != nil {
		return err
	}
	return s.store.DecideDrift(ctx, projectID, config, by.ID, func(d *Drift, p Project, user access.User) (bool, audit.Event, error) {
		if !MayDecideDrift(user.At(p.At(decision.Toolkit)), p) {
			return false, audit.Event{}, problem.New(problem.Forbidden, "In %s, only approvers and admins adopt or ignore what was changed outside. Nothing was changed.", p.Environment)
		}
		if d.Last != decision.Seen {
			return false, audit.Event{}, problem.New(problem.Conflict, "More was changed outside since you looked. Nothing was changed. Look again.")
		}
		if decision.Adopt {
			e := d.event(by.Actor(), "drift.adopted")
			e.Changes, e.Reason = d.Changes, decision.Reason
			return true, e, nil
		}
		d.Until = decision.Until
		e := d.event(by.Actor(), "drift.ignored")
		e.Reason, e.Detail["until"] = decision.Reason, decision.Until.Format(time.DateOnly)
		return false, e, nil
	})
}

// wakeDrift opens what was ignored again when its day has come.
func (s *Service) wakeDrift(ctx context.Context, projectID string) error {
	return s.store.WakeDrift(ctx, projectID, s.now(), func(d Drift) audit.Event { return d.event(audit.System(), "drift.returned") })
}
