package change_test

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// This file says in its own words what docs of the workflow ask for. It shares
// nothing with the engine, so that the two can be held against each other.

type refPerson struct {
	id            string
	roles, groups []string
	active        bool
}

func (p *refPerson) is(role string) bool { return p.active && slices.Contains(p.roles, role) }

type refNeed struct {
	count                 int
	roles, groups, people []string
}

func (n refNeed) takes(p *refPerson) bool {
	if !p.is("approver") {
		return false
	}
	anyOf := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	named := len(n.roles) > 0 || len(n.groups) > 0 || len(n.people) > 0
	return !named || anyOf(n.roles, p.roles) || anyOf(n.groups, p.groups) || slices.Contains(n.people, p.id)
}

type refPolicy struct {
	id         string
	rules      bool // about the rules
	operation  string
	credential bool // only where a credential changes
	steps      [][]refNeed
}

// places are the needs of the first n steps, one by one.
func (p *refPolicy) places(n int) []refNeed {
	var out []refNeed
	for _, step := range p.steps[:n] {
		for _, need := range step {
			for range need.count {
				out = append(out, need)
			}
		}
	}
	return out
}

// seated is how many of the places different people can take, by trying all ways.
func seated(places []refNeed, people []*refPerson) int {
	if len(places) == 0 {
		return 0
	}
	best := seated(places[1:], people)
	for i, p := range people {
		if places[0].takes(p) {
			best = max(best, 1+seated(places[1:], slices.Concat(people[:i], people[i+1:])))
		}
	}
	return best
}

func satisfied(policies []*refPolicy, people []*refPerson) bool {
	for _, p := range policies {
		if all := p.places(len(p.steps)); seated(all, people) < len(all) {
			return false
		}
	}
	return len(policies) > 0
}

// helps reports whether one more approval brings the step at hand further.
func (p *refPolicy) helps(have []*refPerson, one *refPerson) bool {
	for n := range p.steps {
		places := p.places(n + 1)
		if before := seated(places, have); before < len(places) {
			return seated(places, append(slices.Clone(have), one)) > before
		}
	}
	return false
}

func names(policies []*refPolicy, one *refPerson) bool {
	return slices.ContainsFunc(policies, func(p *refPolicy) bool {
		return slices.ContainsFunc(p.places(len(p.steps)), func(n refNeed) bool { return n.takes(one) })
	})
}

type refValues = map[string]string

type refItem struct {
	kind, operation, target string
	set, base               refValues
	credential              bool
	policy                  *refPolicy // a rule's new content
	list                    []string   // roles, members or the break-glass list
	from, until             time.Time  // of a freeze

	state         string // pending, applied, failed, unknown, superseded
	tries         int
	maybe, decide bool
}

func (it *refItem) reached(live refValues) bool {
	for k, v := range it.set {
		if live[k] != v {
			return false
		}
	}
	return true
}

func (it *refItem) moved(live refValues) bool {
	for k, v := range it.base {
		if live[k] != v {
			return true
		}
	}
	return false
}

func (it *refItem) rest(live refValues) {
	_, scopes := it.set["scopes"]
	it.base = refValues{}
	for k, v := range live {
		if _, touched := it.set[k]; touched || scopes || it.operation == "disable" {
			it.base[k] = v
		}
	}
}

type refVote struct {
	who, what string
	void      bool
}

type refRequest struct {
	id, author, state string
	reason            string
	revision          int
	writers           []string
	items             []*refItem
	policies          []*refPolicy
	votes             []*refVote
	at                time.Time // when it is applied
	until             time.Time // when its time is over
	broken, spent     bool      // the glass is broken for what it wants; was ever
	breaker           string
	reviewed          bool
}

func (r *refRequest) rule() bool { return r.items[0].kind != "auth_config" }

func (r *refRequest) ended() bool {
	return slices.Contains([]string{"applied", "rejected", "cancelled", "expired", "superseded"}, r.state)
}

func (r *refRequest) waits() bool {
	return slices.Contains([]string{"draft", "in_review", "changes_requested", "approved", "scheduled", "suspended"}, r.state)
}

func (r *refRequest) standing(who string) string {
	said := ""
	for _, v := range r.votes {
		if v.who == who && !v.void {
			said = v.what
		}
	}
	if said == "withdraw" {
		return ""
	}
	return said
}

// voids dismisses all votes.
func (r *refRequest) voids() {
	for _, v := range r.votes {
		v.void = true
	}
}

// left are the items that something is to be done for.
func (r *refRequest) left() []*refItem {
	return slices.DeleteFunc(slices.Clone(r.items), func(it *refItem) bool { return it.state == "applied" || it.state == "superseded" })
}

type refFreeze struct {
	id          string
	from, until time.Time
}

// A ref is the reference.
type ref struct {
	now            time.Time
	people         []*refPerson
	policies       []*refPolicy
	list           []string
	freezes        []*refFreeze
	mirror, remote map[string]refValues
	held           map[string]string // target → request that works on it
	requests       map[string]*refRequest
	order          []string
	writes         int
}

const (
	refDraft    = 24 * time.Hour
	refReview   = 7 * 24 * time.Hour
	refApproval = 72 * time.Hour
)

func (m *ref) person(id string) *refPerson {
	for _, p := range m.people {
		if p.id == id {
			return p
		}
	}
	return &refPerson{id: id}
}

func (m *ref) others(writers []string) []*refPerson {
	return slices.DeleteFunc(slices.Clone(m.people), func(p *refPerson) bool { return slices.Contains(writers, p.id) })
}

func (m *ref) governed() bool {
	return slices.ContainsFunc(m.policies, func(p *refPolicy) bool { return len(p.places(len(p.steps))) > 0 })
}

// root are the policies about rules: never more people than there are, never none.
func (m *ref) root(writers []string) []*refPolicy {
	if !m.governed() {
		return []*refPolicy{{rules: true}}
	}
	var out []*refPolicy
	for _, p := range m.policies {
		if p.rules {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		out = []*refPolicy{{rules: true, steps: [][]refNeed{{{count: 2}}}}}
	}
	for i, p := range out {
		c := &refPolicy{id: p.id, rules: true}
		for _, step := range p.steps {
			var needs []refNeed
			for _, n := range step {
				able := 0
				for _, one := range m.others(writers) {
					if n.takes(one) {
						able++
					}
				}
				n.count = max(1, min(n.count, able))
				needs = append(needs, n)
			}
			c.steps = append(c.steps, needs)
		}
		out[i] = c
	}
	return out
}

// covering are the policies about items; none for some item means refused.
func (m *ref) covering(items []*refItem, writers []string) ([]*refPolicy, bool) {
	var out []*refPolicy
	if items[0].kind != "auth_config" {
		return m.root(writers), true
	}
	covered := map[*refItem]bool{}
	for _, p := range m.policies {
		hit := false
		for _, it := range items {
			if !p.rules && (p.operation == "" || p.operation == it.operation) && (!p.credential || it.operation == "update" && it.credential) {
				covered[it], hit = true, true
			}
		}
		if hit {
			out = append(out, p)
		}
	}
	return out, len(covered) == len(items)
}

func asks(policies []*refPolicy) bool {
	return slices.ContainsFunc(policies, func(p *refPolicy) bool { return len(p.steps) > 0 })
}

// takes is whether somebody holds the role to propose and apply these items.
func (m *ref) takes(who string, items []*refItem) bool {
	if items[0].kind == "auth_config" {
		return m.person(who).is("editor")
	}
	return m.person(who).is("admin")
}

func (m *ref) saying(r *refRequest, what string, policies []*refPolicy) []*refPerson {
	var out []*refPerson
	for _, p := range m.people {
		if r.standing(p.id) == what && !slices.Contains(r.writers, p.id) && names(policies, p) {
			out = append(out, p)
		}
	}
	return out
}

func (m *ref) met(r *refRequest) bool {
	return satisfied(r.policies, m.saying(r, "approve", r.policies))
}

func (m *ref) stale(r *refRequest) bool {
	return slices.ContainsFunc(r.left(), func(it *refItem) bool {
		return it.kind == "auth_config" && (m.mirror[it.target] == nil || it.moved(m.mirror[it.target]))
	})
}

func (m *ref) frozen(at time.Time) bool {
	return slices.ContainsFunc(m.freezes, func(f *refFreeze) bool { return !at.Before(f.from) && at.Before(f.until) })
}

func (m *ref) over(r *refRequest) bool { return !m.now.Before(r.until) }

// fit is whether everything that let a request be approved holds still.
func (m *ref) fit(r *refRequest, at time.Time) bool {
	if !m.takes(r.author, r.items) {
		return false
	}
	if r.broken {
		return true
	}
	today, ok := m.covering(r.items, r.writers)
	return ok && (r.rule() || !m.frozen(at)) && m.met(r) && satisfied(today, m.saying(r, "approve", today)) &&
		len(m.saying(r, "request_changes", r.policies)) == 0 && !m.stale(r)
}

// Proposing.

// normal leaves out what is so already; it is false where nothing is left to do.
func (m *ref) normal(items []*refItem) ([]*refItem, bool) {
	var out []*refItem
	for _, it := range items {
		if it.kind != "auth_config" {
			out = append(out, it)
			continue
		}
		live := m.mirror[it.target]
		if live == nil {
			return nil, false
		}
		if it.operation != "update" {
			if it.set["status"] == live["status"] {
				continue
			}
		}
		for k, v := range it.set {
			if live[k] == v {
				delete(it.set, k)
			}
		}
		if len(it.set) == 0 && !it.credential {
			return nil, false
		}
		it.rest(live)
		out = append(out, it)
	}
	return out, len(out) > 0
}

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
		if !review || !slices.ContainsFunc(r.policies, func(pol *refPolicy) bool { return pol.helps(have, p) }) {
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
