package change_test

import (
	"slices"
	"strings"
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

// apart are those who can't agree: who wrote it, and whom it gives what they don't
// have. The list before is written in words.
func (m *ref) apart(items []*refItem, writers []string) []string {
	out := slices.Clone(writers)
	for _, it := range items {
		before := strings.FieldsFunc(it.base["is"], func(c rune) bool { return strings.ContainsRune(" []", c) })
		for _, one := range it.list {
			switch {
			case it.kind == "role" && !slices.Contains(m.person(it.target).roles, one):
				out = append(out, it.target)
			case it.kind == "group" && !slices.Contains(m.person(one).groups, it.target),
				it.kind == "break_glass" && !slices.Contains(before, one):
				out = append(out, one)
			}
		}
	}
	return out
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
	silent := r.writers
	if what == "approve" {
		silent = m.apart(r.items, r.writers)
	}
	for _, p := range m.people {
		if r.standing(p.id) == what && !slices.Contains(silent, p.id) && names(policies, p) {
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
