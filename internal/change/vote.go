package change

import (
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A Decision is what a reviewer says.
type Decision string

// The decisions.
const (
	Approve        Decision = "approve"
	Reject         Decision = "reject"
	RequestChanges Decision = "request_changes"
	Withdraw       Decision = "withdraw" // takes back what one said before
)

// A Vote is one decision about one revision. It never changes.
type Vote struct {
	ID            string // vot_…
	Revision      int
	EffectHash    string
	Reviewer      Author
	Decision      Decision
	Reason        string
	Authenticated string    // how the reviewer had signed in
	SignedInAt    time.Time // and when
	At            time.Time
}

// A Ballot is what a reviewer sends in. EffectHash is of what they saw.
type Ballot struct {
	Decision   Decision
	EffectHash string
	Reason     string
}

// MovedOn says that what a reviewer decided about is not what is asked now.
type MovedOn struct{ Saw string }

// Error implements error.
func (*MovedOn) Error() string { return "the change request was revised since it was looked at" }

// standing returns each reviewer's vote that counts as far as the request goes:
// the last one about this revision and what it relies on.
func (r *Request) standing() []Vote {
	var votes []Vote
	for _, v := range r.Votes {
		votes = slices.DeleteFunc(votes, func(w Vote) bool { return w.Reviewer.ID == v.Reviewer.ID })
		if v.Decision != Withdraw && v.EffectHash == r.Revision.EffectHash && v.Revision == r.Revision.Number && v.At.After(r.VotesFrom) {
			votes = append(votes, v)
		}
	}
	return votes
}

// Standing returns a person's vote that counts, if there is one.
func (r *Request) Standing(userID string) (Vote, bool) {
	for _, v := range r.standing() {
		if v.Reviewer.ID == userID {
			return v, true
		}
	}
	return Vote{}, false
}

// contributed reports whether somebody wrote any revision.
func (r *Request) contributed(userID string) bool {
	return slices.Contains(r.Revision.Contributors, userID)
}

// voters returns those whose standing vote is a decision and who may decide now.
func (r *Request) voters(d Decision, policies []Policy, people []access.User) []access.User {
	var out []access.User
	apart := r.Revision.Contributors
	if d == Approve {
		apart = r.apart(people)
	}
	for _, v := range r.standing() {
		i := slices.IndexFunc(people, func(u access.User) bool { return u.ID == v.Reviewer.ID })
		if v.Decision != d || i < 0 || slices.Contains(apart, v.Reviewer.ID) {
			continue
		}
		if u := r.At(people[i]); admits(policies, u) {
			out = append(out, u)
		}
	}
	return out
}

// Tally counts the approvals that stand, with people as they are now.
func (r *Request) Tally(people []access.User) Tally {
	return tally(r.Policies, r.voters(Approve, r.Policies, people))
}

// Awaited returns those who can bring the request further by approving it.
func (r *Request) Awaited(people []access.User) []access.User {
	if r.State != InReview && r.State != ChangesRequested {
		return nil
	}
	b := r.standings(people)
	return slices.DeleteFunc(slices.Clone(people), func(u access.User) bool { return b.whyNot(u) != "" })
}

// WhyNotApprove says why somebody can't approve, in words for them, or "".
func (r *Request) WhyNotApprove(u access.User, people []access.User) string {
	return r.standings(people).whyNot(u)
}

// standings are how far approval of a request has come.
type standings struct {
	request   *Request
	people    []access.User
	approvers []access.User
	fronts    []front // of the policies that lack somebody
}

func (r *Request) standings(people []access.User) standings {
	b := standings{request: r, people: people, approvers: r.voters(Approve, r.Policies, people)}
	for _, p := range r.Policies {
		if f, open := p.front(b.approvers); open {
			b.fronts = append(b.fronts, f)
		}
	}
	return b
}

func (b standings) whyNot(u access.User) string {
	u = b.request.At(u)
	if why := b.request.Barred(u.ID, b.people); why != "" {
		return why
	}
	switch {
	case !u.May(access.ApproveChange):
		return "Your roles don't include approving this."
	case !admits(b.request.Policies, u):
		return "The policies name others for this change."
	case slices.ContainsFunc(b.approvers, func(a access.User) bool { return a.ID == u.ID }):
		return "You have approved it."
	case !slices.ContainsFunc(b.fronts, func(f front) bool { return f.advances(b.approvers, u) }):
		return "It isn't your turn: somebody else has to approve first."
	}
	return ""
}

// voted adds a vote and moves the request to where it then stands.
func (r *Request) vote(by access.Reader, b Ballot, id string, t table) ([]audit.Event, error) {
	if err := r.mayVote(by, b, t); err != nil {
		return nil, err
	}
	v := Vote{
		ID: id, Revision: r.Revision.Number, EffectHash: r.Revision.EffectHash, Reviewer: Author{by.ID, by.Name},
		Decision: b.Decision, Reason: b.Reason, Authenticated: by.Method, SignedInAt: by.ProvedAt, At: r.following(t.now),
	}
	r.Votes = append(slices.Clone(r.Votes), v)
	e := r.event(by.Actor(), "change.voted")
	e.Reason = b.Reason
	e.Detail["decision"], e.Detail["vote"] = string(b.Decision), v.ID
	if b.Decision == Reject {
		r.enter(Rejected, "", t.now)
		rejected := r.event(by.Actor(), "change.rejected")
		rejected.Reason = b.Reason
		return []audit.Event{e, rejected}, nil
	}
	return append([]audit.Event{e}, r.count(t)...), nil
}

// following is the given time, or the one right after all that votes are ordered
// by where a clock that was set back says less.
func (r *Request) following(now time.Time) time.Time {
	last := r.VotesFrom
	if r.Bypass != nil && r.Bypass.At.After(last) {
		last = r.Bypass.At
	}
	for _, v := range r.Votes {
		if v.At.After(last) {
			last = v.At
		}
	}
	if now.After(last) {
		return now
	}
	return last.Add(time.Microsecond)
}

// mayVote guards a vote.
func (r *Request) mayVote(by access.Reader, b Ballot, t table) error {
	last, voted := r.Standing(by.ID)
	if why := r.Barred(by.ID, t.people); why != "" && (b.Decision == Approve || r.contributed(by.ID)) {
		return problem.New(problem.Forbidden, "%s", why)
	}
	switch {
	case !by.May(access.ApproveChange) || !admits(r.Policies, by.User) && (!voted || b.Decision != Withdraw):
		return problem.New(problem.Forbidden, "You can't vote on this change request: its policies name others.")
	case b.EffectHash != r.Revision.EffectHash:
		return &MovedOn{b.EffectHash}
	case b.Decision == Withdraw && !voted:
		return problem.New(problem.Conflict, "You have no vote on this revision to take back.")
	case b.Decision == Withdraw && (r.State == Approved && r.ApplyAfter.IsZero() || r.State == Scheduled || r.State == Suspended):
		return nil
	case r.State == Approved && b.Decision == Reject, r.State == Scheduled && b.Decision == Reject, r.State == Suspended && b.Decision == Reject:
		return r.reasoned(b)
	case r.State != InReview && r.State != ChangesRequested:
		return r.tooLate("voted on")
	case voted && last.Decision == b.Decision:
		return problem.New(problem.Conflict, "You have said so already.")
	case b.Decision == Approve:
		if why := r.WhyNotApprove(by.User, t.people); why != "" {
			return problem.New(problem.Conflict, "%s", why)
		}
	}
	return r.reasoned(b)
}

func (r *Request) reasoned(b Ballot) error {
	if b.Reason == "" && (b.Decision == Reject || b.Decision == RequestChanges) {
		return problem.InvalidFields("Nothing was recorded.", map[string]string{"reason": "Say why, so that the author knows what to do."})
	}
	return nil
}

// count moves a request under review to where its votes put it.
func (r *Request) count(t table) []audit.Event {
	waits := r.State == InReview || r.State == ChangesRequested
	blocked := len(r.voters(RequestChanges, r.Policies, t.people)) > 0
	met := r.Tally(t.people).Met
	switch {
	case !waits && met && !blocked:
		r.Version++ // a vote was taken back that wasn't needed
		r.UpdatedAt = t.now
		return nil
	case blocked && r.State != ChangesRequested:
		r.unschedule()
		r.enter(ChangesRequested, "", t.now)
		return []audit.Event{r.event(audit.System(), "change.changes_requested")}
	case blocked || !met:
		if (r.State == ChangesRequested && blocked) || r.State == InReview {
			r.Version++
			r.UpdatedAt = t.now
			return nil
		}
		r.unschedule()
		r.enter(InReview, "", t.now)
		r.ExpiresAt = t.now.Add(t.lives.review)
		return []audit.Event{r.event(audit.System(), "change.back_in_review")}
	case t.stale():
		r.enter(InReview, staleNote, t.now)
		e := r.event(audit.System(), "change.stale")
		e.Outcome = audit.Failed
		return []audit.Event{e}
	}
	return []audit.Event{r.approved(t)}
}

const staleNote = "The auth config changed at Composio after this request was written. Nothing was sent. Look at what is different, then bring it up to date or cancel it."

// approved notes that the quorum is met.
func (r *Request) approved(t table) audit.Event {
	r.enter(Approved, "", t.now)
	r.ExpiresAt = t.now.Add(t.lives.approval)
	e := r.event(audit.System(), "change.approved")
	e.Detail["policies"] = policyIDs(r.Policies)
	return e
}

func (r *Request) unschedule() { r.ApplyAfter, r.Zone = time.Time{}, "" }

// A table is what a transition looks at, all read in its transaction.
type table struct {
	now     time.Time
	project mirror.Project
	rules   Rules
	people  []access.User
	lives   lives
	live    map[string]mirror.AuthConfig // configs that items are about, as mirrored
	items   []Item
}

// lives are how long a request waits in a project.
type lives struct{ review, approval time.Duration }

// livesIn returns the times of a project: production is in more of a hurry.
func livesIn(p mirror.Project) lives {
	if p.Environment == mirror.Development {
		return lives{30 * 24 * time.Hour, 7 * 24 * time.Hour}
	}
	return lives{7 * 24 * time.Hour, 72 * time.Hour}
}

// asNow is a reader with the roles and groups that they have now where a request is.
func (t table) asNow(by access.Reader, r *Request) (access.Reader, error) {
	i := slices.IndexFunc(t.people, func(u access.User) bool { return u.ID == by.ID })
	if i < 0 || t.people[i].State != access.Active {
		return by, problem.New(problem.Forbidden, "Your account may not be used any more.")
	}
	by.User = r.At(by.Renew(t.people[i]))
	return by, nil
}

// stale reports whether a config isn't any more what its item relies on.
func (t table) stale() bool {
	return slices.ContainsFunc(t.items, func(it Item) bool {
		live, known := t.live[it.Target]
		return it.Kind == KindConfig && it.Operation != Create && (!known || !it.unchanged(live))
	})
}

// pending returns the items that something is left to do for.
func (r *Request) pending() []Item {
	var items []Item
	for i, it := range r.Revision.Items {
		if i >= len(r.Progress) || !r.Progress[i].Done() || r.Progress[i].State == ItemFailed {
			items = append(items, it)
		}
	}
	return items
}

// table gathers what decisions about a request look at.
func (s *Service) table(r *Request, f Facts) (table, error) {
	t := table{now: s.now(), live: map[string]mirror.AuthConfig{}, items: r.pending()}
	var err error
	if t.rules, err = f.Rules(); err != nil {
		return t, err
	}
	if t.people, err = f.People(); err != nil {
		return t, err
	}
	if r.Project == "" {
		t.lives = livesIn(t.project)
		return t, nil
	}
	if t.project, err = f.Project(r.Project); err != nil {
		return t, err
	}
	r.Environment = t.project.Environment
	t.lives = livesIn(t.project)
	for _, it := range t.items {
		live, known, err := f.Config(r.Project, it.Target)
		if err != nil {
			return t, err
		}
		if known {
			t.live[it.Target] = live
		}
	}
	return t, nil
}
