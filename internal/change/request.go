// Package change holds change requests: what somebody wants to change at
// Composio, who agrees, and how it is carried out once, as agreed, or not at all.
// Every write to Composio goes through here.
package change

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
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
	Project    string // prj_…, empty for a change of the rules
	Title      string
	Reason     string
	State      State
	Version    int64 // grows with every change of the request
	Author     Author
	Revision   Revision // the current one
	Progress   []Progress
	Policies   []Policy  // that cover it, as they were at submission
	Votes      []Vote    // all, the oldest first
	VotesFrom  time.Time // earlier votes don't count any more
	Approvals  Tally     // as last counted, for lists: only Have and Need
	Bypass     *Bypass   // nil unless somebody broke the glass
	Note       string    // why it is in this state, in words for readers
	ApplyAfter time.Time
	Zone       string // IANA time zone that ApplyAfter was given in
	ExpiresAt  time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	EndedAt    time.Time // zero while open

	Environment string // of the project, as it is now
}

// A Line is what lists show of a request.
type Line struct {
	ID        string
	Project   string
	Title     string
	State     State
	Author    Author
	Approvals Tally // only Have and Need
	CreatedAt time.Time
	Toolkits  []string // of its auth configs
}

// Line returns what lists show of the request.
func (r *Request) Line() Line {
	return Line{r.ID, r.Project, r.Title, r.State, r.Author, r.Approvals, r.CreatedAt, r.Toolkits()}
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
	By           Author   // who wrote this one
	CreatedAt    time.Time
}

// Undecided reports whether a person has to say what became of an item.
func (r *Request) Undecided() bool {
	return slices.ContainsFunc(r.Progress, func(p Progress) bool { return p.Decide })
}

// Private reports whether the request was never handed in: it is its author's
// alone, also after its end.
func (r *Request) Private() bool { return len(r.Policies) == 0 }

// event starts a history event about the request.
func (r *Request) event(by audit.Actor, action string) audit.Event {
	name := r.Title
	if r.Private() {
		name = "a draft"
	}
	e := audit.Event{
		Actor: by, Action: action, Project: r.Project, Request: r.ID,
		Object: audit.Object{Kind: "change_request", ID: r.ID, Name: name},
		Detail: map[string]string{"state": string(r.State), "revision": itoa(r.Revision.Number), "effect": r.Revision.EffectHash},
	}
	if toolkits := strings.Join(r.Toolkits(), " "); toolkits != "" && !r.Private() {
		e.Detail["toolkit"] = toolkits
	}
	return e
}

// Toolkits are those of the request's auth configs, each once and sorted.
func (r *Request) Toolkits() []string {
	var all []string
	for _, it := range r.Revision.Items {
		if it.Toolkit != "" && !slices.Contains(all, it.Toolkit) {
			all = append(all, it.Toolkit)
		}
	}
	slices.Sort(all)
	return all
}

// enter moves the request into a state.
func (r *Request) enter(s State, note string, now time.Time) {
	r.State, r.Note, r.UpdatedAt = s, note, now
	r.Version++
	if s.Terminal() {
		r.EndedAt = now
	}
}

// submit hands a draft or a new revision in: it is reviewed, or, where policy
// asks for no approval in so many words, it is approved at once and due.
func (r *Request) submit(by audit.Actor, t table, applyNow bool) ([]audit.Event, error) {
	policies, ok := t.rules.For(t.project, r.Revision.Items, t.people, r.Revision.Contributors)
	if !ok {
		return nil, notCovered()
	}
	if !satisfiable(policies, r.here(without(t.people, r.Revision.Contributors))) {
		return nil, problem.New(problem.Forbidden, "The policies ask for more approvals than there are people who could give them. Nothing was changed. Ask an admin for approvers, or for another policy.")
	}
	if r.Reason == "" && tally(policies, nil).Need > 0 {
		return nil, problem.InvalidFields("Nothing was sent to Composio.", map[string]string{"reason": "Say why, for those who review and audit it."})
	}
	r.Policies = policies
	r.enter(InReview, "", t.now)
	r.ExpiresAt = t.now.Add(t.lives.review)
	r.unschedule()
	submitted := r.event(by, "change.submitted")
	submitted.Reason = r.Reason
	submitted.Detail["items"] = itoa(len(r.Revision.Items))
	submitted.Detail["policies"] = policyIDs(policies)
	events := []audit.Event{submitted}
	if !r.Tally(t.people).Met {
		return events, nil
	}
	events = append(events, r.approved(t))
	if applyNow {
		r.ApplyAfter = t.now
	}
	return events, nil
}

func notCovered() error {
	return problem.New(problem.Forbidden, "No policy covers this change, so it is refused. Ask an admin to add one.")
}

func policyIDs(policies []Policy) string {
	var ids []string
	for _, p := range policies {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

// due reports whether the request is to be applied at the given time.
func (r *Request) due(now time.Time) bool {
	return (r.State == Approved || r.State == Scheduled) && !r.ApplyAfter.IsZero() && !now.Before(r.ApplyAfter)
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

// over reports whether the request's time has run out.
func (r *Request) over(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// expire ends a request whose time is over.
func (r *Request) expire(now time.Time) []audit.Event {
	if !r.over(now) {
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

// release lets an approved or suspended request be applied, or a failed one be
// tried again. Items that failed start over; those that are done stay so.
func (r *Request) release(by access.Reader, t table) ([]audit.Event, error) {
	switch {
	case !by.May(r.Takes()):
		return nil, problem.New(problem.Forbidden, "Applying this change takes another role.")
	case r.State == Approved && r.ApplyAfter.IsZero(), r.State == Scheduled, r.State == Suspended, r.State == Failed, r.State == Partial:
	default:
		return nil, r.tooLate("applied")
	}
	if r.over(t.now) {
		return nil, problem.New(problem.Conflict, "The approval is too old. Propose the change again.")
	}
	if why := r.unfit(t, t.now); why != "" {
		return nil, problem.New(problem.Conflict, "%s Nothing was sent.", why)
	}
	action := "change.released"
	if !r.State.Waiting() {
		action = "change.retried"
		for i := range r.Progress {
			if r.Progress[i].State == ItemFailed {
				r.Progress[i] = Progress{Target: r.Progress[i].Target, State: ItemPending, Step: r.Progress[i].Step}
			}
		}
	}
	r.enter(Approved, "", t.now)
	r.ApplyAfter, r.Zone = t.now, ""
	return []audit.Event{r.event(by.Actor(), action)}, nil
}

// Takes is the permission that proposing and applying the request takes.
func (r *Request) Takes() access.Permission {
	for _, it := range r.Revision.Items {
		switch it.Kind {
		case KindConfig:
			return access.ProposeChange
		case KindRoles, KindGroup, KindCustomRole, KindClient:
			return access.ManagePeople
		}
	}
	return access.ManageRules
}

// unfit says why an approved request may not be applied at a time after all, or
// "". Everything that let it be approved is looked at again.
func (r *Request) unfit(t table, at time.Time) string {
	author := slices.IndexFunc(t.people, func(u access.User) bool { return u.ID == r.Author.ID })
	if author < 0 || !r.At(t.people[author]).May(r.Takes()) {
		return "Its author may no longer propose changes."
	}
	if hash, err := effectHash(r.Project, r.Revision.Items); err != nil || hash != r.Revision.EffectHash {
		return "What it would do is not what was approved."
	}
	if r.bypassed() {
		return ""
	}
	if f, frozen := t.frozen(at); frozen {
		return frozenNote(f)
	}
	today, ok := t.rules.For(t.project, r.Revision.Items, t.people, r.Revision.Contributors)
	switch {
	case !ok:
		return "No policy covers this change any more."
	case !r.Tally(t.people).Met:
		return "Somebody who approved it may not approve it any more."
	case !tally(today, r.voters(Approve, today, t.people)).Met:
		return "Today's policies ask for approvals that it doesn't have."
	case len(r.voters(RequestChanges, r.Policies, t.people)) > 0:
		return "Somebody asked for changes."
	case t.stale():
		return staleNote
	}
	return ""
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
