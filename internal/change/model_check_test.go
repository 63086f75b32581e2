package change_test

import (
	"context"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
)

// compare holds every open request, and those that have just ended, against the
// reference, and looks at what must hold whatever the reference says.
func (w *world) compare() {
	if v := w.st.Version(); v == w.version {
		return
	}
	w.version = w.st.Version()
	open, err := w.st.OpenRequests(w.t.Context())
	w.must(err)
	seen := map[string]bool{}
	at := map[string]string{}
	for _, r := range open {
		seen[r.ID] = true
		w.check(r)
		for i, it := range r.Revision.Items {
			if (r.State == change.Applying || r.State == change.Unknown) && !r.Progress[i].Done() {
				if other := at[it.Target]; other != "" {
					w.fail("%s and %s work on %s at once", other, r.ID, it.Target)
				}
				at[it.Target] = r.ID
			}
		}
	}
	for _, id := range w.m.order {
		if m := w.m.requests[id]; !seen[id] && !w.last[id].State.Terminal() {
			w.check(w.real(m))
		} else if !seen[id] && !m.ended() {
			w.fail("%s is ended, the reference says %s", id, m.state)
		}
	}
}

func (w *world) check(r change.Request) {
	m := w.m.requests[r.ID]
	if m == nil {
		if r.Title != "Add the group Reviewers" {
			w.fail("%s is there, and the reference has no such request", r.ID)
		}
		return
	}
	if string(r.State) != m.state || r.Revision.Number != m.revision || !slices.Equal(r.Revision.Contributors, m.writers) || len(r.Votes) != len(m.votes) {
		w.fail("%s is %s (%s), revision %d by %v with %d votes; the reference says %s, %d by %v with %d",
			r.ID, r.State, r.Note, r.Revision.Number, r.Revision.Contributors, len(r.Votes), m.state, m.revision, m.writers, len(m.votes))
	}
	for i, v := range r.Votes {
		if v.Reviewer.ID != m.votes[i].who || string(v.Decision) != m.votes[i].what {
			w.fail("vote %d of %s is %s by %s, the reference says %+v", i, r.ID, v.Decision, v.Reviewer.ID, m.votes[i])
		}
	}
	for i, p := range r.Progress {
		if got := string(p.State); got != m.items[i].state || p.Decide != m.items[i].decide {
			w.fail("item %d of %s is %s (decide %v), the reference says %s (%v)", i, r.ID, got, p.Decide, m.items[i].state, m.items[i].decide)
		}
	}
	if !m.ended() && !r.ExpiresAt.Equal(m.until) {
		w.fail("%s ends at %s, the reference says %s", r.ID, r.ExpiresAt, m.until)
	}
	before, known := w.last[r.ID]
	if known && (before.State != r.State || len(before.Votes) != len(r.Votes)) && r.Version <= before.Version {
		w.fail("%s went from %s to %s, its version from %d to %d", r.ID, before.State, r.State, before.Version, r.Version)
	}
	if known && r.State == change.Approved && (before.State == change.InReview || before.State == change.ChangesRequested) && m.at.IsZero() {
		w.quorum(r, m)
	}
	if hashes := w.effects[r.ID]; len(hashes) == 0 || hashes[len(hashes)-1] != r.Revision.EffectHash {
		w.effects[r.ID] = append(hashes, r.Revision.EffectHash)
	}
	w.sealed(r, m)
	if !known || before.State != r.State {
		w.reached[r.State]++
	}
	w.last[r.ID] = r
}

// quorum counts the votes of a request that has just been approved, from its
// rows and nothing else.
func (w *world) quorum(r change.Request, m *refRequest) {
	said := map[string]change.Decision{}
	for _, v := range r.Votes {
		if v.EffectHash == r.Revision.EffectHash && v.Revision == r.Revision.Number {
			said[v.Reviewer.ID] = v.Decision
		}
	}
	var have []*refPerson
	for _, p := range w.m.people {
		if said[p.id] == change.Approve && !slices.Contains(r.Revision.Contributors, p.id) {
			have = append(have, p)
		}
	}
	if !satisfied(m.policies, have) {
		w.fail("%s is approved by %d people, which isn't what its policies ask for", r.ID, len(have))
	}
}

// sealed credentials wait as long as something may be sent, and no longer.
func (w *world) sealed(r change.Request, m *refRequest) {
	for i, it := range m.items {
		if !it.credential {
			continue
		}
		kept, err := w.st.SealedCredentials(w.t.Context(), r.ID, i)
		w.must(err)
		wait := !m.ended() && it.state != "applied"
		if (len(kept) > 0) != wait {
			w.fail("%d credentials of %s (%s) are kept", len(kept), r.ID, m.state)
		}
	}
}

// end looks at the whole world once more.
func (w *world) end() {
	ctx := context.WithoutCancel(w.t.Context())
	if _, err := w.st.VerifyHistory(ctx); err != nil {
		w.fail("history: %v", err)
	}
	if n := len(w.box.Journal().Mutations); n != w.m.writes {
		w.fail("%d mutations, the reference counts %d", n, w.m.writes)
	}
	for _, id := range w.m.order { // what ended stayed as it was
		r := w.real(w.m.requests[id])
		if was := w.last[id]; was.State != r.State || was.Version != r.Version || len(was.Votes) != len(r.Votes) {
			w.fail("%s was %s, version %d, with %d votes; now %s, %d, %d", id, was.State, was.Version, len(was.Votes), r.State, r.Version, len(r.Votes))
		}
	}
	said := map[string]string{}
	w.must(w.st.HistoryRows(ctx, 1, w.seq, func(row audit.Row) error {
		e, err := audit.Open(row)
		if e.Object.Kind == "change_request" {
			said[e.Object.ID] = e.Detail["state"]
		}
		return err
	}))
	for id, r := range w.m.requests {
		if r.state != "applying" && r.state != "unknown" && said[id] != r.state {
			w.fail("%s is %s, the last entry of history says %s", id, r.state, said[id])
		}
	}
}
