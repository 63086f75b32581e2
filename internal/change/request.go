// Package change holds change requests: what somebody wants to change at
// Composio, who agrees, and how it is carried out once, as agreed, or not at all.
// Every write to Composio goes through here.
package change

import (
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A State is where a change request stands.
type State string

// The states.
const (
	Draft            State = "draft"
	InReview         State = "in_review"
	ChangesRequested State = "changes_requested"
	Approved         State = "approved"
	Scheduled        State = "scheduled"
	Suspended        State = "suspended"
	Applying         State = "applying"
	Applied          State = "applied"
	Failed           State = "failed"
	Partial          State = "partial"
	Unknown          State = "unknown"
	Rejected         State = "rejected"
	Cancelled        State = "cancelled"
	Expired          State = "expired"
	Superseded       State = "superseded"
)

// Terminal reports whether a request in this state never changes again.
func (s State) Terminal() bool {
	switch s {
	case Applied, Rejected, Cancelled, Expired, Superseded:
		return true
	}
	return false
}

// Waiting reports whether nothing was sent yet.
func (s State) Waiting() bool {
	switch s {
	case Draft, InReview, ChangesRequested, Approved, Scheduled, Suspended:
		return true
	}
	return false
}

// Open lists the states that are not terminal.
func Open() []State {
	return []State{Draft, InReview, ChangesRequested, Approved, Scheduled, Suspended, Applying, Failed, Partial, Unknown}
}

// A Request is a change request as it stands now.
type Request struct {
	ID         string // chg_…
	Project    string // prj_…
	Title      string
	Reason     string
	State      State
	Version    int64 // grows with every change of the request
	Author     Author
	Revision   Revision // the current one
	Progress   []Progress
	Policy     Policy // as it was at submission
	Note       string // why it is in this state, in words for readers
	ApplyAfter time.Time
	ExpiresAt  time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	EndedAt    time.Time // zero while open
}

// An Author is who made a request, named as they were then.
type Author struct {
	ID   string
	Name string
}

// A Revision is what a request wants. It never changes; an edit makes the next.
type Revision struct {
	Number       int
	Items        []Item
	EffectHash   string   // of what would be done, see [effectHash]
	Contributors []string // ids of all who wrote this or an earlier revision
	CreatedAt    time.Time
}

// Undecided reports whether a person has to say what became of an item.
func (r *Request) Undecided() bool {
	return slices.ContainsFunc(r.Progress, func(p Progress) bool { return p.Decide })
}

// event starts a history event about the request.
func (r *Request) event(by audit.Actor, action string) audit.Event {
	return audit.Event{
		Actor: by, Action: action, Project: r.Project, Request: r.ID,
		Object: audit.Object{Kind: "change_request", ID: r.ID, Name: r.Title},
		Detail: map[string]string{"state": string(r.State), "revision": itoa(r.Revision.Number), "effect": r.Revision.EffectHash},
	}
}

// enter moves the request into a state.
func (r *Request) enter(s State, note string, now time.Time) {
	r.State, r.Note, r.UpdatedAt = s, note, now
	r.Version++
	if s.Terminal() {
		r.EndedAt = now
	}
}

// submit hands a draft in: it is reviewed, or, where policy asks for no
// approval in so many words, it is approved at once and due.
func (r *Request) submit(by audit.Actor, policies []Policy, applyNow bool, now time.Time) ([]audit.Event, error) {
	policy, ok := findPolicy(policies, r.Project)
	if !ok {
		return nil, problem.New(problem.Forbidden, "No policy covers this change, so it is refused. Ask an admin to add one.")
	}
	r.Policy = policy
	r.enter(InReview, "", now)
	r.ExpiresAt = now.Add(reviewLife)
	submitted := r.event(by, "change.submitted")
	submitted.Reason = r.Reason
	submitted.Detail["items"] = itoa(len(r.Revision.Items))
	events := []audit.Event{submitted}
	if policy.Approvals > 0 {
		return events, nil
	}
	r.enter(Approved, "", now)
	r.ExpiresAt = now.Add(approvalLife)
	if applyNow {
		r.ApplyAfter = now
	}
	approved := r.event(audit.System(), "change.approved")
	approved.Detail["policy"] = policy.Sentence()
	return append(events, approved), nil
}

const (
	reviewLife   = 7 * 24 * time.Hour // without a decision
	approvalLife = 72 * time.Hour     // approved and not applied
)

// due reports whether the request is to be applied at the given time.
func (r *Request) due(now time.Time) bool {
	return r.State == Approved && !r.ApplyAfter.IsZero() && !now.Before(r.ApplyAfter)
}

// cancel ends the request before anything is sent, or closes one that failed.
func (r *Request) cancel(by access.Reader, reason string, now time.Time) ([]audit.Event, error) {
	mine := by.ID == r.Author.ID
	switch {
	case !mine && !by.May(access.CancelChange):
		return nil, problem.New(problem.Forbidden, "Only %s or an admin can cancel this change request.", r.Author.Name)
	case !mine && reason == "":
		return nil, problem.InvalidFields("Nothing was changed.", map[string]string{"reason": "Say why you cancel somebody else's request."})
	case !r.State.Waiting() && r.State != Failed && r.State != Partial:
		return nil, r.tooLate("cancelled")
	}
	r.enter(Cancelled, "", now)
	e := r.event(by.Actor(), "change.cancelled")
	e.Reason = reason
	return []audit.Event{e}, nil
}

// expire ends a request whose time is over.
func (r *Request) expire(now time.Time) []audit.Event {
	if r.ExpiresAt.IsZero() || now.Before(r.ExpiresAt) {
		return nil
	}
	switch {
	case r.State.Waiting():
		r.enter(Expired, "Nobody carried it on in time.", now)
		return []audit.Event{r.event(audit.System(), "change.expired")}
	case r.State == Failed || r.State == Partial:
		r.enter(Cancelled, "It failed and was not retried in time.", now)
		return []audit.Event{r.event(audit.System(), "change.cancelled")}
	}
	return nil
}

// release lets an approved request be applied, or a failed one be tried again.
// Items that failed start over; those that are done stay so.
func (r *Request) release(by access.Reader, now time.Time) ([]audit.Event, error) {
	switch {
	case !by.May(access.ProposeChange):
		return nil, problem.New(problem.Forbidden, "Applying changes takes the editor role.")
	case r.State == Approved && r.ApplyAfter.IsZero(), r.State == Failed, r.State == Partial:
	default:
		return nil, r.tooLate("applied")
	}
	if !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt) {
		return nil, problem.New(problem.Conflict, "The approval is too old. Propose the change again.")
	}
	action := "change.released"
	if r.State != Approved {
		action = "change.retried"
		for i := range r.Progress {
			if r.Progress[i].State == ItemFailed {
				r.Progress[i] = Progress{Target: r.Progress[i].Target, State: ItemPending, Step: r.Progress[i].Step}
			}
		}
	}
	r.enter(Approved, "", now)
	r.ApplyAfter = now
	return []audit.Event{r.event(by.Actor(), action)}, nil
}

// rebase takes what is live now as what the request relies on: a new revision,
// which dismisses all votes and is submitted again.
func (r *Request) rebase(by access.Reader, live []mirror.AuthConfig, policies []Policy, now time.Time) ([]audit.Event, error) {
	switch {
	case by.ID != r.Author.ID:
		return nil, problem.New(problem.Forbidden, "Only %s can renew this change request.", r.Author.Name)
	case r.State != InReview && r.State != ChangesRequested:
		return nil, r.tooLate("renewed")
	}
	next := r.Revision
	next.Number++
	next.CreatedAt = now
	next.Items = slices.Clone(r.Revision.Items)
	for i := range next.Items {
		if r.Progress[i].Done() {
			continue
		}
		next.Items[i].rebase(live[i])
	}
	var err error
	if next.EffectHash, err = effectHash(r.Project, next.Items); err != nil {
		return nil, err
	}
	r.Revision = next
	renewed := r.event(by.Actor(), "change.revised")
	events, err := r.submit(by.Actor(), policies, true, now)
	return append([]audit.Event{renewed}, events...), err
}

// all numbers the items.
func (r *Request) all() []int {
	n := make([]int, len(r.Progress))
	for i := range n {
		n[i] = i
	}
	return n
}

func (r *Request) tooLate(participle string) error {
	return problem.New(problem.Conflict, "This change request is %s and can't be %s any more.", r.State.Words(), participle)
}

// Words is the state as readers see it.
func (s State) Words() string {
	switch s {
	case InReview:
		return "in review"
	case ChangesRequested:
		return "changes requested"
	case Partial:
		return "partly applied"
	case Unknown:
		return "outcome unknown"
	}
	return string(s)
}
