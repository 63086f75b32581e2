package change_test

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/secret"
)

// wish draws an edit: as the console takes it, and as the reference has it.
func (w *world) wish(target string) (change.Spec, *refItem) {
	spec := change.Spec{Fields: map[string]string{}, Credentials: map[string]secret.Value{}}
	it := &refItem{kind: "auth_config", operation: "update", target: target, set: refValues{}}
	put := func(field, value string) { spec.Fields[field], it.set[field] = value, value }
	if w.chance(60) {
		put("name", fmt.Sprintf("name %d", w.draw.IntN(4)))
	}
	if w.chance(20) {
		put("scopes", pick(w, []string{"a", "a b", "a b c"}))
	}
	if w.chance(20) {
		put("client_id", pick(w, []string{"one", "two"}))
	}
	if w.chance(30) || len(it.set) == 0 {
		spec.Credentials["client_secret"] = secret.New(canary + strconv.Itoa(w.draw.IntN(3)))
		it.credential = true
	}
	return spec, it
}

func (w *world) proposal(draft bool) change.Proposal {
	p := change.Proposal{Project: w.project.ID, Draft: draft}
	if w.chance(95) {
		p.Reason = "because"
	}
	return p
}

func (w *world) propose() {
	if len(w.open()) >= 8 {
		w.work()
		return
	}
	by, target := w.holding("editor"), pick(w, w.targets)
	p := w.proposal(w.chance(15))
	var r change.Request
	var err error
	var items []*refItem
	switch w.draw.IntN(3) {
	case 0:
		spec, it := w.wish(target)
		items = []*refItem{it}
		w.note("%s proposes an edit of %s: %v credential=%v draft=%v", by.ID, target, it.set, it.credential, p.Draft)
		r, err = w.changes.ProposeUpdate(w.t.Context(), by, p, target, spec, nil)
	default:
		ids := []string{target}
		if other := pick(w, w.targets); w.chance(40) && other != target {
			ids = append(ids, other)
		}
		enable := w.chance(50)
		op, status := "disable", "DISABLED"
		if enable {
			op, status = "enable", "ENABLED"
		}
		for _, id := range ids {
			items = append(items, &refItem{kind: "auth_config", operation: op, target: id, set: refValues{"status": status}})
		}
		w.note("%s proposes %s of %v draft=%v", by.ID, op, ids, p.Draft)
		r, err = w.changes.ProposeSwitch(w.t.Context(), by, p, ids, enable)
	}
	var want *refRequest
	ok := false
	if by.May(access.ProposeChange) { // as far as the session knows
		want, ok = w.m.propose(by.ID, p.Reason, p.Draft, items)
	}
	w.same(err, ok)
	if ok {
		w.m.add(r.ID, want)
		w.trace[len(w.trace)-1] += " " + r.ID
	}
}

func (w *world) policy() (change.Policy, *refPolicy) {
	p, m := change.Policy{Subject: change.AboutConfigs, Project: w.project.ID}, &refPolicy{}
	switch w.draw.IntN(6) {
	case 0:
		p.Operations, m.operation = []change.Operation{change.Disable}, "disable"
	case 1:
		p.Condition, m.credential = change.CredentialChanged, true
	case 2:
		p.Subject, p.Project, m.rules = change.AboutRules, "", true
	}
	steps := 1 + w.draw.IntN(2)
	if m.rules {
		steps = 1
	}
	for range steps {
		n := refNeed{count: 1 + w.draw.IntN(2)}
		switch w.draw.IntN(6) {
		case 0:
			n.groups = []string{w.group}
		case 1:
			n.roles = []string{"approver"}
		case 2:
			n.people = []string{w.readers[2+w.draw.IntN(4)].ID, w.readers[2+w.draw.IntN(4)].ID}
		}
		m.steps = append(m.steps, []refNeed{n})
		need := change.Need{Count: n.count, Groups: n.groups, People: n.people}
		for _, r := range n.roles {
			need.Roles = append(need.Roles, access.Role(r))
		}
		p.Steps = append(p.Steps, change.PolicyStep{need})
	}
	if w.chance(10) {
		p.Steps, m.steps = nil, nil
	}
	return p, m
}

func (w *world) ruleRequest() {
	if len(w.open()) >= 8 {
		w.work()
		return
	}
	ctx, by, reason := w.t.Context(), w.holding("admin"), "because"
	var r change.Request
	var err error
	it, possible := &refItem{}, true
	some := func() []string {
		var ids []string
		for _, p := range w.readers[:6] {
			if w.chance(40) {
				ids = append(ids, p.ID)
			}
		}
		return ids
	}
	switch w.draw.IntN(7) {
	case 0, 1:
		p, m := w.policy()
		it = &refItem{kind: "policy", operation: "create", policy: m}
		if len(w.m.policies) >= 4 {
			old := pick(w, w.m.policies)
			p.ID, it.target, it.operation = old.id, old.id, "update"
			m.id = old.id
		}
		possible = satisfied([]*refPolicy{m}, w.m.people)
		r, err = w.changes.ProposePolicy(ctx, by, reason, p)
	case 2:
		if len(w.m.policies) < 2 {
			return
		}
		it = &refItem{kind: "policy", operation: "delete", target: pick(w, w.m.policies).id}
		r, err = w.changes.ProposePolicyDelete(ctx, by, reason, it.target)
	case 3:
		it = &refItem{kind: "break_glass", operation: "update", target: "break_glass", list: some()}
		r, err = w.changes.ProposeBreakGlass(ctx, by, reason, it.list)
	case 4:
		it = &refItem{kind: "group", operation: "update", target: w.group, list: some()}
		r, err = w.changes.ProposeGroup(ctx, by, reason, access.Group{ID: w.group, Name: "Reviewers", Members: it.list})
	case 5:
		who := pick(w, w.m.people[:6])
		it = &refItem{kind: "role", operation: "update", target: who.id, list: w.roles()}
		var typed []access.Role
		for _, s := range it.list {
			typed = append(typed, access.Role(s))
		}
		now, aerr := w.st.Account(ctx, who.id)
		w.must(aerr)
		r, err = w.changes.ProposeRoles(ctx, by, reason, now.User, access.Unscoped(typed...))
	case 6:
		if len(w.m.freezes) > 1 || w.chance(50) && len(w.m.freezes) > 0 {
			it = &refItem{kind: "freeze", operation: "delete", target: pick(w, w.m.freezes).id}
			r, err = w.changes.ProposeFreezeDelete(ctx, by, reason, it.target)
			break
		}
		from := w.now.Add(time.Duration(w.draw.IntN(60)-10) * time.Hour).Truncate(time.Second)
		it = &refItem{kind: "freeze", operation: "create", from: from, until: from.Add(time.Duration(1+w.draw.IntN(20)) * time.Hour)}
		possible = it.until.After(w.now)
		r, err = w.changes.ProposeFreeze(ctx, by, reason, change.Freeze{Name: "Quiet", Project: w.project.ID, From: it.from, Until: it.until})
	}
	w.note("%s proposes %s of %s %s %v", by.ID, it.operation, it.kind, it.target, it.list)
	it.base = refValues{"is": w.m.ruleNow(it)}
	if it.operation == "update" && it.would() == it.base["is"] {
		possible = false
	}
	var want *refRequest
	ok := false
	if possible && by.May(access.ManageRules) {
		want, ok = w.m.propose(by.ID, reason, false, []*refItem{it})
	}
	w.same(err, ok)
	if ok {
		w.m.add(r.ID, want)
		w.trace[len(w.trace)-1] += " " + r.ID
	}
}

// would is what ruleNow says once the item is applied.
func (it *refItem) would() string {
	if it.kind == "policy" {
		return (&ref{policies: []*refPolicy{it.policy}}).ruleNow(it)
	}
	words := map[string]string{"break_glass": "list ", "role": "roles ", "group": "group "}
	return words[it.kind] + fmt.Sprint(slices.Sorted(slices.Values(it.list)))
}

func (w *world) roles() []string {
	return pick(w, [][]string{{"approver"}, {"editor"}, {"approver", "editor"}, {"editor"}, {"viewer"}, {"approver"}, {"approver", "auditor"}})
}

func (w *world) vote() {
	r := w.request("in_review", "changes_requested", "in_review", "approved", "scheduled", "suspended")
	if r == nil {
		w.propose()
		return
	}
	by := w.holding("approver")
	for range 3 {
		if slices.Contains(r.writers, by.ID) || r.standing(by.ID) == "approve" {
			by = w.holding("approver")
		}
	}
	what := pick(w, []string{"approve", "approve", "approve", "approve", "approve", "approve", "request_changes", "withdraw", "withdraw", "reject"})
	if what == "reject" && w.chance(60) {
		what = "approve"
	}
	hashes := w.effects[r.id]
	saw := hashes[len(hashes)-1]
	if w.chance(10) {
		saw = pick(w, hashes)
	}
	reason := pick(w, []string{"because", "because", "because", ""})
	current := saw == hashes[len(hashes)-1]
	w.note("%s votes %s on %s (%s), current=%v", by.ID, what, r.id, r.state, current)
	_, err := w.changes.Vote(w.t.Context(), by, r.id, change.Ballot{Decision: change.Decision(what), EffectHash: saw, Reason: reason})
	w.same(err, w.m.vote(by.ID, r, what, reason, current))
}

func (w *world) release() {
	r := w.request("approved", "suspended", "failed", "partial", "approved", "scheduled")
	if r == nil {
		return
	}
	by := w.holding(map[bool]string{true: "admin", false: "editor"}[r.rule()])
	w.note("%s applies %s (%s)", by.ID, r.id, r.state)
	_, err := w.changes.Release(w.t.Context(), by, r.id)
	w.same(err, w.m.release(by.ID, r))
}

func (w *world) revise() {
	r := w.request("in_review", "changes_requested", "approved", "scheduled", "suspended", "draft")
	if r == nil || r.rule() || r.items[0].operation != "update" {
		w.vote()
		return
	}
	by, draft := w.holding("editor"), r.state == "draft" && w.chance(60)
	spec, it := w.wish(r.items[0].target)
	p := w.proposal(draft)
	p.Revises, p.Version = r.id, w.last[r.id].Version
	current := w.chance(85)
	if !current {
		p.Version = pick(w, []int64{p.Version - 1, p.Version + 1, 0})
		current = p.Version == w.last[r.id].Version
	}
	w.note("%s revises %s (%s): %v credential=%v current=%v draft=%v reason=%q", by.ID, r.id, r.state, it.set, it.credential, current, draft, p.Reason)
	_, err := w.changes.ProposeUpdate(w.t.Context(), by, p, it.target, spec, nil)
	w.same(err, by.May(access.ProposeChange) && w.m.revise(by.ID, r, current, p.Reason, draft, []*refItem{it}))
}

func (w *world) rebase() {
	r := w.request("in_review", "suspended", "approved", "changes_requested")
	if r == nil {
		return
	}
	by, version, drop, choices := w.holding("editor"), w.last[r.id].Version, -1, change.Choices{}
	current := w.chance(90)
	if !current {
		version--
	}
	if w.chance(20) {
		drop = w.draw.IntN(len(r.items))
		choices.Drop = []int{drop}
	}
	w.note("%s brings %s (%s) up to date, current=%v drop=%d", by.ID, r.id, r.state, current, drop)
	_, err := w.changes.Rebase(w.t.Context(), by, r.id, version, choices)
	w.same(err, w.m.rebase(by.ID, r, current, drop))
}

func (w *world) submit() {
	r := w.request("draft")
	if r == nil {
		return
	}
	by := w.holding("editor")
	if w.chance(70) {
		by = w.readers[slices.IndexFunc(w.readers, func(p access.Reader) bool { return p.ID == r.author })]
	}
	w.note("%s hands %s in (%s)", by.ID, r.id, r.state)
	_, err := w.changes.Submit(w.t.Context(), by, r.id)
	w.same(err, w.m.hand(by.ID, r))
}

func (w *world) cancel() {
	r := w.request("failed", "partial", "approved", "suspended", "applying", "unknown")
	if r == nil || w.chance(50) {
		return
	}
	by, reason := w.person(), pick(w, []string{"because", ""})
	w.note("%s cancels %s (%s) %q", by.ID, r.id, r.state, reason)
	_, err := w.changes.Cancel(w.t.Context(), by, r.id, reason)
	w.same(err, w.m.cancel(by.ID, r, reason))
}

func (w *world) schedule() {
	r := w.request("approved", "approved", "scheduled")
	if r == nil {
		return
	}
	by := w.holding("editor")
	at := w.now.Add(time.Duration(w.draw.IntN(30)-2) * time.Hour)
	if w.chance(50) {
		at = w.now.Add(time.Duration(w.draw.IntN(20)) * time.Minute)
	}
	at = at.Truncate(time.Minute)
	w.note("%s schedules %s (%s) for %s", by.ID, r.id, r.state, at)
	_, err := w.changes.Schedule(w.t.Context(), by, r.id, at.Format("2006-01-02T15:04"), "UTC")
	w.same(err, w.m.schedule(by.ID, r, at))
}

func (w *world) unschedule() {
	r := w.request("scheduled")
	if r == nil {
		return
	}
	by := w.holding("editor")
	w.note("%s takes %s (%s) from its schedule", by.ID, r.id, r.state)
	_, err := w.changes.Unschedule(w.t.Context(), by, r.id)
	w.same(err, w.m.unschedule(by.ID, r))
}

func (w *world) breakGlass() {
	r := w.request("in_review", "approved", "suspended", "changes_requested", "draft")
	if r == nil {
		return
	}
	by := w.holding("editor")
	if len(w.m.list) > 0 && w.chance(70) {
		id := pick(w, w.m.list)
		by = w.readers[slices.IndexFunc(w.readers, func(p access.Reader) bool { return p.ID == id })]
	}
	ago := time.Duration(w.draw.IntN(6)) * time.Minute
	by.ProvedAt = w.now.Add(-ago)
	e := change.Emergency{Effect: w.last[r.id].Revision.EffectHash, Incident: "INC-1", Reason: "Tokens are leaking right now.", Name: w.last[r.id].Revision.Items[0].Name}
	filled := w.chance(90)
	if !filled {
		switch w.draw.IntN(3) {
		case 0:
			e.Incident = " "
		case 1:
			e.Reason = "hurry"
		case 2:
			e.Name += "?"
		}
	}
	w.note("%s breaks the glass for %s (%s) filled=%v", by.ID, r.id, r.state, filled)
	_, err := w.changes.BreakGlass(w.t.Context(), by, r.id, e)
	w.same(err, w.m.breakGlass(by.ID, r, true, filled))
}

func (w *world) reviewBypass() {
	var due []*refRequest
	for _, id := range w.m.order {
		if r := w.m.requests[id]; r.spent && !r.reviewed {
			due = append(due, r)
		}
	}
	if len(due) == 0 {
		return
	}
	r, by := pick(w, due), w.holding("approver")
	now, err := w.st.Account(w.t.Context(), by.ID)
	w.must(err)
	by.User = now.User
	w.note("%s looks back at %s", by.ID, r.id)
	w.same(w.changes.ReviewBypass(w.t.Context(), by, r.id, true, "fine"), w.m.review(by.ID, r))
}
