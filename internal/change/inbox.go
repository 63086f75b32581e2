package change

import "gatehouse/internal/access"

// NeedsMe reports whether a request waits for something that only somebody like u
// can do: a decision, a word on what happened, a review, or, for its author, the
// next step.
func (r *Request) NeedsMe(u access.User, people []access.User) bool {
	u = r.At(u)
	if r.MayReviewBypass(u) {
		return true
	}
	if r.Undecided() && u.May(access.SettleChange) {
		return true
	}
	if (r.State == InReview || r.State == ChangesRequested) && r.WhyNotApprove(u, people) == "" {
		_, voted := r.Standing(u.ID)
		return !voted
	}
	if r.Author.ID != u.ID || !u.May(access.ViewConfigs) {
		return false
	}
	switch r.State {
	case Draft, ChangesRequested, Suspended, Failed, Partial:
		return true
	case Approved:
		return r.ApplyAfter.IsZero()
	case InReview:
		return r.Note != "" // it is stale
	}
	return false
}
