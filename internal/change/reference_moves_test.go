package change_test

import (
	"maps"
	"slices"
	"time"
)

func (m *ref) propose(by, reason string, draft bool, items []*refItem) (*refRequest, bool) {
	items, some := m.normal(items)
	if !some || !m.takes(by, items) {
		return nil, false
	}
	r := &refRequest{author: by, state: "draft", reason: reason, revision: 1, writers: []string{by}, items: items, until: m.now.Add(refDraft)}
	for _, it := range items {
		it.state = "pending"
	}
	if !draft && !m.submit(r) {
		return nil, false
	}
	return r, true
}

func (m *ref) add(id string, r *refRequest) {
	r.id = id
	m.requests[id] = r
	m.order = append(m.order, id)
}

func (m *ref) submit(r *refRequest) bool {
	policies, ok := m.covering(r.items, r.writers)
	if !ok || !satisfied(policies, m.others(r.writers)) || asks(policies) && r.reason == "" {
		return false
	}
	r.policies, r.state, r.until, r.at = policies, "in_review", m.now.Add(refReview), time.Time{}
	if m.met(r) {
		m.approve(r)
		r.at = m.now
	}
	return true
}

func (m *ref) approve(r *refRequest) {
	r.state, r.until = "approved", m.now.Add(refApproval)
}

func (m *ref) hand(by string, r *refRequest) bool {
	return r.author == by && r.state == "draft" && m.takes(by, r.items) && !m.over(r) && !m.stale(r) && m.submit(r)
}

// revise replaces the items; what they don't say anew of credentials stays.
func (m *ref) mayRevise(by string, r *refRequest, current bool) bool {
	return current && (r.state != "draft" || r.author == by) && m.takes(by, r.items) && !m.over(r) && r.waits() && (r.state != "approved" || r.at.IsZero())
}

func (m *ref) revise(by string, r *refRequest, current bool, reason string, draft bool, items []*refItem) bool {
	credential := items[0].credential
	items[0].credential = true // what waits makes an edit of itself
	items, some := m.normal(items)
	if !some {
		return false
	}
	items[0].credential = credential
	if len(items[0].set) == 0 && !credential || !m.mayRevise(by, r, current) || r.items[0].operation != items[0].operation || r.items[0].target != items[0].target {
		return false
	}
	items[0].credential = credential || r.items[0].credential
	return m.next(by, r, reason, draft, items)
}

func (m *ref) rebase(by string, r *refRequest, current bool, drop int) bool {
	if !m.mayRevise(by, r, current) || r.rule() {
		return false
	}
	var items []*refItem
	for i, old := range r.items {
		live := m.mirror[old.target]
		if i == drop {
			continue
		}
		if live == nil {
			return false
		}
		it := &refItem{kind: old.kind, operation: old.operation, target: old.target, set: maps.Clone(old.set), credential: old.credential}
		if it.operation == "update" {
			maps.DeleteFunc(it.set, func(k, v string) bool { return live[k] == v })
		}
		if len(it.set) == 0 && !it.credential {
			continue
		}
		it.rest(live)
		items = append(items, it)
	}
	if len(items) == 0 || len(items) < len(r.items) && slices.ContainsFunc(items, func(it *refItem) bool { return it.credential }) {
		return false
	}
	return m.next(by, r, r.reason, false, items)
}

// next is another revision: all votes are dismissed.
func (m *ref) next(by string, r *refRequest, reason string, draft bool, items []*refItem) bool {
	before := *r
	r.items, r.reason = items, reason
	r.writers = slices.Clone(r.writers)
	if !slices.Contains(r.writers, by) {
		r.writers = append(r.writers, by)
	}
	for _, it := range items {
		it.state = "pending"
	}
	if before.state == "draft" && draft {
		r.until = m.now.Add(refDraft)
	} else {
		votes := r.votes
		r.votes = nil
		ok := m.submit(r)
		r.votes = votes
		if !ok {
			*r = before
			return false
		}
	}
	r.revision++
	r.voids()
	r.broken = false
	return true
}

// Deciding.

func (m *ref) vote(by string, r *refRequest, what, reason string, sawCurrent bool) bool {
	p, said := m.person(by), r.standing(by)
	review := r.state == "in_review" || r.state == "changes_requested"
	resting := r.state == "approved" && r.at.IsZero() || r.state == "scheduled" || r.state == "suspended"
	if r.state == "draft" || r.ended() || m.over(r) || slices.Contains(r.writers, by) || !p.is("approver") || !sawCurrent || said == what {
		return false
	}
	if (what != "withdraw" || said == "") && !names(r.policies, p) {
		return false
	}
	switch what {
	case "withdraw":
		if said == "" || !review && !resting {
			return false
		}
	case "reject":
		if reason == "" || !r.waits() {
			return false
		}
	case "request_changes":
		if reason == "" || !review {
			return false
		}
	case "approve":
		have := m.saying(r, "approve", r.policies)
		if !review || slices.Contains(m.apart(r.items, r.writers), by) || !slices.ContainsFunc(r.policies, func(pol *refPolicy) bool { return pol.helps(have, p) }) {
			return false
		}
	}
	r.votes = append(r.votes, &refVote{who: by, what: what})
	if what == "reject" {
		r.state = "rejected"
		return true
	}
	m.recount(r)
	return true
}

// recount puts a request where its votes put it.
func (m *ref) recount(r *refRequest) {
	review := r.state == "in_review" || r.state == "changes_requested"
	blocked, met := len(m.saying(r, "request_changes", r.policies)) > 0, m.met(r)
	switch {
	case blocked:
		r.state, r.at = "changes_requested", time.Time{}
	case !met && r.state != "in_review":
		r.state, r.at, r.until = "in_review", time.Time{}, m.now.Add(refReview)
	case met && review && m.stale(r):
		r.state = "in_review"
	case met && review:
		m.approve(r)
	}
}

func (m *ref) cancel(by string, r *refRequest, reason string) bool {
	p := m.person(by)
	mine := r.author == by
	if !p.active || !mine && (r.state == "draft" || !p.is("admin") || reason == "") || !r.waits() && r.state != "failed" && r.state != "partial" {
		return false
	}
	r.state = "cancelled"
	return true
}

func (m *ref) schedule(by string, r *refRequest, at time.Time) bool {
	if !m.person(by).is("editor") || r.rule() || r.state != "scheduled" && (r.state != "approved" || !r.at.IsZero()) || m.over(r) ||
		!at.After(m.now) || at.After(r.until) || m.frozen(at) {
		return false
	}
	r.state, r.at = "scheduled", at
	return true
}

func (m *ref) unschedule(by string, r *refRequest) bool {
	if !m.person(by).is("editor") || r.state != "scheduled" || m.over(r) {
		return false
	}
	r.state, r.at = "approved", time.Time{}
	return true
}

func (m *ref) release(by string, r *refRequest) bool {
	ready := r.state == "approved" && r.at.IsZero() || slices.Contains([]string{"scheduled", "suspended", "failed", "partial"}, r.state)
	if !ready || !m.takes(by, r.items) || m.over(r) || !m.fit(r, m.now) {
		return false
	}
	for _, it := range r.items {
		if it.state == "failed" {
			it.state, it.tries, it.maybe = "pending", 0, false
		}
	}
	r.state, r.at = "approved", m.now
	return true
}

func (m *ref) breakGlass(by string, r *refRequest, fresh, filled bool) bool {
	due := slices.ContainsFunc(m.order, func(id string) bool { o := m.requests[id]; return o.breaker == by && !o.reviewed })
	if due || r.state == "draft" && r.author != by || !r.waits() || r.spent || r.rule() || m.over(r) || !fresh || !filled ||
		!slices.Contains(m.list, by) || !m.person(by).is("editor") {
		return false
	}
	if len(r.policies) == 0 {
		policies, covered := m.covering(r.items, r.writers)
		if !covered {
			return false // no policy is no permission
		}
		r.policies = policies
	}
	r.broken, r.spent, r.breaker = true, true, by
	m.approve(r)
	r.at = m.now
	return true
}

func (m *ref) review(by string, r *refRequest) bool {
	p := m.person(by)
	if !r.spent || r.reviewed || !p.is("approver") && !p.is("auditor") || r.breaker == by || slices.Contains(r.writers, by) {
		return false
	}
	r.reviewed = true
	return true
}
