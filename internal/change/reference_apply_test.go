package change_test

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The clock, and what looks around.

func (m *ref) sweep() {
	for _, id := range m.order {
		r := m.requests[id]
		switch {
		case r.ended() || !m.over(r):
		case r.waits():
			r.state = "expired"
		case r.state == "failed" || r.state == "partial":
			r.state = "cancelled"
		}
	}
	for _, id := range m.order {
		r := m.requests[id]
		at := r.at
		if at.Before(m.now) {
			at = m.now
		}
		switch {
		case r.state == "scheduled" && !m.fit(r, at):
			r.state = "suspended"
		case (r.state == "in_review" || r.state == "changes_requested" || r.state == "suspended" || r.state == "approved" && r.at.IsZero()) && m.so(r):
			r.state = "superseded"
		case r.state == "changes_requested" || r.state == "in_review" && !m.stale(r):
			m.recount(r) // people come and go
		}
	}
}

// so is whether everything is as wanted already.
func (m *ref) so(r *refRequest) bool {
	return !slices.ContainsFunc(r.left(), func(it *refItem) bool {
		return it.kind != "auth_config" || it.credential || m.mirror[it.target] == nil || !it.reached(m.mirror[it.target])
	})
}

func (m *ref) sync() {
	for target, live := range m.remote {
		if m.held[target] == "" {
			m.mirror[target] = maps.Clone(live)
		}
	}
}

// Applying, step by step.

// due is whether the next step has anything to do.
func (m *ref) due(r *refRequest) bool {
	return (r.state == "approved" || r.state == "scheduled") && !r.at.IsZero() && !m.now.Before(r.at)
}

func (m *ref) step(r *refRequest, fault string) {
	switch {
	case m.due(r):
		m.claim(r)
	case r.state == "applying":
		m.carryOut(r, fault)
	case r.state == "unknown":
		m.settle(r)
	}
}

func (m *ref) claim(r *refRequest) {
	switch {
	case m.over(r):
		r.state = "expired"
		return
	case !m.fit(r, m.now):
		r.state = "suspended"
		if len(r.left()) < len(r.items) {
			m.finish(r)
		}
		return
	}
	if r.rule() {
		m.changeRules(r)
		return
	}
	for _, it := range r.left() {
		if holder := m.held[it.target]; holder != "" && holder != r.id {
			return // one after the other
		}
	}
	for _, it := range r.left() {
		m.held[it.target] = r.id
	}
	r.state = "applying"
}

func (m *ref) current(r *refRequest) *refItem {
	for _, it := range r.items {
		if it.state == "pending" || it.state == "unknown" {
			return it
		}
	}
	return nil
}

func (m *ref) letGo(r *refRequest, it *refItem, state string) {
	it.state = state
	if m.held[it.target] == r.id {
		delete(m.held, it.target)
	}
}

func (m *ref) carryOut(r *refRequest, fault string) {
	it := m.current(r)
	if it == nil {
		m.finish(r)
		return
	}
	first := it.tries == 0
	it.tries++
	live := m.remote[it.target]
	switch {
	case it.reached(live) && !it.credential:
		m.mirror[it.target] = maps.Clone(live)
		m.letGo(r, it, map[bool]string{true: "superseded", false: "applied"}[first])
		return
	case it.moved(live) && (first || !it.reached(live)):
		if it.maybe {
			it.state, it.decide, r.state = "unknown", true, "unknown"
			return
		}
		m.goneStale(r, it)
		return
	}
	write := func() {
		maps.Copy(live, it.set)
		m.writes++
	}
	switch fault {
	case "":
		write()
		m.mirror[it.target] = maps.Clone(live)
		m.letGo(r, it, "applied")
	case "status=422":
		if it.maybe {
			it.state, it.decide, r.state = "unknown", true, "unknown"
			return
		}
		m.letGo(r, it, "failed")
	case "reset-after":
		write()
		it.state, r.state = "unknown", "unknown"
	case "5xx-before":
		it.state, r.state = "unknown", "unknown"
	}
}

func (m *ref) goneStale(r *refRequest, it *refItem) {
	m.mirror[it.target] = maps.Clone(m.remote[it.target])
	if slices.ContainsFunc(r.items, func(it *refItem) bool { return it.state == "applied" }) {
		m.letGo(r, it, "failed")
		return
	}
	for _, one := range r.left() {
		delete(m.held, one.target)
	}
	r.state, r.at, r.until, r.broken = "in_review", time.Time{}, m.now.Add(refReview), false
	it.tries = 0
	r.voids()
}

// settle looks after an attempt of unknown outcome. The grace time is over.
func (m *ref) settle(r *refRequest) {
	it := m.current(r)
	if it == nil || it.decide {
		return
	}
	live := m.remote[it.target]
	switch {
	case it.reached(live) && !it.credential:
		m.mirror[it.target] = maps.Clone(live)
		m.letGo(r, it, "applied")
		r.state = "applying"
	case !it.reached(live) && it.moved(live):
		it.decide = true
	default:
		it.maybe = it.maybe || it.credential
		if it.tries < 3 {
			it.state, r.state = "pending", "applying"
			return
		}
		it.decide = true
	}
}

func (m *ref) decide(by string, r *refRequest, item int, happened bool) bool {
	if !m.person(by).is("editor") && !m.person(by).is("admin") || item >= len(r.items) || !r.items[item].decide {
		return false
	}
	it := r.items[item]
	it.decide = false
	m.mirror[it.target] = maps.Clone(m.remote[it.target])
	m.letGo(r, it, map[bool]string{true: "applied", false: "failed"}[happened])
	r.state = "applying"
	return true
}

func (m *ref) finish(r *refRequest) {
	applied, failed := 0, 0
	for _, it := range r.items {
		switch it.state {
		case "applied":
			applied++
		case "failed", "pending":
			failed++
			it.state = "failed"
		}
	}
	switch {
	case applied+failed == 0:
		r.state = "superseded"
	case failed == 0:
		r.state = "applied"
	case failed == len(r.items):
		r.state = "failed"
	default:
		r.state = "partial"
	}
}

// Rules.

func (m *ref) changeRules(r *refRequest) {
	it := r.items[0]
	if !m.ruleStands(it) {
		it.state, r.state = "failed", "failed"
		return
	}
	switch it.kind + " " + it.operation {
	case "policy create":
		m.policies = append(m.policies, it.policy)
	case "policy update", "policy delete":
		i := slices.IndexFunc(m.policies, func(p *refPolicy) bool { return p.id == it.target })
		if it.operation == "update" {
			it.policy.id = it.target
			m.policies[i] = it.policy
		} else {
			m.policies = slices.Delete(m.policies, i, i+1)
		}
	case "break_glass update":
		m.list = it.list
	case "role update":
		m.person(it.target).roles = it.list
	case "group update":
		for _, p := range m.people {
			p.groups = nil
			if slices.Contains(it.list, p.id) {
				p.groups = []string{it.target}
			}
		}
	case "freeze create":
		m.freezes = append(m.freezes, &refFreeze{from: it.from, until: it.until})
	case "freeze delete":
		m.freezes = slices.DeleteFunc(m.freezes, func(f *refFreeze) bool { return f.id == it.target })
	}
	it.state, r.state = "applied", "applied"
}

// ruleStands is whether a rule is as it was when the request was written, and
// enough people could satisfy it.
func (m *ref) ruleStands(it *refItem) bool {
	if it.base["is"] != m.ruleNow(it) {
		return false
	}
	return it.kind != "policy" || it.operation == "delete" || satisfied([]*refPolicy{it.policy}, m.people)
}

// ruleNow is the content of the rule that an item is about, in words.
func (m *ref) ruleNow(it *refItem) string {
	switch it.kind {
	case "policy":
		for _, p := range m.policies {
			if p.id == it.target {
				return fmt.Sprint("policy ", p.rules, p.operation, p.credential, p.steps)
			}
		}
	case "break_glass":
		return "list " + fmt.Sprint(slices.Sorted(slices.Values(m.list)))
	case "role":
		return "roles " + fmt.Sprint(slices.Sorted(slices.Values(m.person(it.target).roles)))
	case "group":
		var in []string
		for _, p := range m.people {
			if slices.Contains(p.groups, it.target) {
				in = append(in, p.id)
			}
		}
		return "group " + fmt.Sprint(slices.Sorted(slices.Values(in)))
	case "freeze":
		for _, f := range m.freezes {
			if f.id == it.target {
				return "freeze"
			}
		}
	}
	return ""
}
