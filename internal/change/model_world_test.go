package change_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
)

// people come, go and change roles, set by the machine's operator.
func (w *world) people() {
	who := pick(w, w.m.people)
	if who.active && w.chance(85) {
		for _, p := range w.m.people { // somebody has to be there
			if !p.active && p != who {
				who = p
				break
			}
		}
	}
	if w.chance(70) || who.is("admin") {
		w.note("%s disabled=%v", who.id, who.active)
		err := w.access.SetDisabled(w.t.Context(), access.Operator(), who.id, who.active)
		who.active = !who.active
		w.same(err, true)
		return
	}
	roles := w.roles()
	w.note("%s gets roles %v", who.id, roles)
	var typed []access.Role
	for _, r := range roles {
		typed = append(typed, access.Role(r))
	}
	who.roles = roles
	w.same(setRoles(w.t.Context(), w.st, who.id, typed...), true)
}

// signInAgain lets a session know its person as they are now.
func (w *world) signInAgain() {
	i := w.draw.IntN(len(w.readers))
	now, err := w.st.Account(w.t.Context(), w.readers[i].ID)
	w.must(err)
	w.readers[i].User = now.User
	w.note("%s is known as they are", now.ID)
}

// outside edits a config at Composio, or reads what was edited there.
func (w *world) outside() {
	if w.chance(50) {
		w.note("sync")
		w.must(w.mirror.Sync(w.t.Context(), w.project.ID))
		w.m.sync()
		w.catchUp()
		return
	}
	target := pick(w, w.targets)
	live := w.m.remote[target]
	field, value := "name", fmt.Sprintf("name %d", w.draw.IntN(5))
	if w.chance(50) {
		field, value = "status", pick(w, []string{"ENABLED", "DISABLED"})
	}
	if w.chance(30) { // undo what was last read
		value = w.m.mirror[target][field]
	}
	live[field] = value
	w.note("somebody sets %s of %s to %q at Composio", field, target, value)
	raw, err := json.Marshal(map[string]string{"id": target, field: value})
	w.must(err)
	_, err = w.box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{raw}}}})
	w.must(err)
}

// catchUp takes over where history ends, after what may write any number of entries.
func (w *world) catchUp() {
	head, err := w.st.HistoryHead(w.t.Context())
	w.must(err)
	w.seq = head.Seq
}

func (w *world) sweep() {
	w.note("sweep")
	w.changes.Sweep(w.t.Context())
	w.m.sweep()
	w.catchUp()
}

// work takes the next step of a request that is to be applied.
func (w *world) work() {
	var ready []*refRequest
	for _, r := range w.open() {
		if w.m.due(r) || r.state == "applying" || r.state == "unknown" {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return
	}
	r, fault := pick(w, ready), ""
	if r.state == "applying" && w.chance(25) {
		fault = pick(w, []string{"status=422", "reset-after", "5xx-before"})
		w.must(w.box.Fail(sandbox.Fault{Kind: fault, Method: "PATCH"}))
	}
	claims, try, before := w.m.due(r), r.state == "applying", w.m.writes
	w.note("next step of %s (%s) %s", r.id, r.state, fault)
	err := w.changes.Step(w.t.Context(), r.id)
	w.box.ClearFaults()
	w.m.step(r, fault)
	if err != nil && problem.Of(err) == nil {
		w.fail("step: %v", err)
	}
	w.catchUp()
	if claims && r.rule() && r.state == "applied" {
		w.learnRule(r)
	}
	if try || w.m.writes != before {
		w.sent(r)
	}
}

// learnRule gives the reference the id of a new rule.
func (w *world) learnRule(r *refRequest) {
	id := w.real(r).Progress[0].Target
	switch it := r.items[0]; it.kind {
	case "policy":
		it.policy0(id)
	case "freeze":
		for _, f := range w.m.freezes {
			if f.id == "" {
				f.id = id
			}
		}
	}
}

func (it *refItem) policy0(id string) {
	if it.policy != nil {
		it.policy.id = id
	}
}

// sent holds what the sandbox carried out against what the reference expects:
// as often, and word for word what was approved.
func (w *world) sent(r *refRequest) {
	muts := w.box.Journal().Mutations
	if len(muts) != w.m.writes {
		w.fail("%d mutations at the sandbox, the reference counts %d", len(muts), w.m.writes)
	}
	for _, m := range muts[w.muts:] {
		i := slices.IndexFunc(r.items, func(it *refItem) bool { return it.target == m.ID })
		if i < 0 {
			w.fail("a mutation of %s, which the request is not about", m.ID)
		}
		it, body := r.items[i], string(m.Body)
		for field, value := range it.set {
			if field == "status" && !strings.HasSuffix(m.Path, value) || field == "name" && !strings.Contains(body, `"name":"`+value+`"`) || field == "client_id" && !strings.Contains(body, `"client_id":"`+value+`"`) {
				w.fail("%s was sent as %s %s", it.set, m.Path, body)
			}
		}
		if _, named := it.set["name"]; !named && strings.Contains(body, `"name"`) || strings.Contains(body, "client_secret") != it.credential {
			w.fail("%s with credential=%v was sent as %s", it.set, it.credential, body)
		}
		a, err := w.st.LastAttempt(w.t.Context(), r.id, r.revision, i)
		if err != nil || a.Number == 0 {
			w.fail("a mutation without an attempt: %v", err)
		}
	}
	w.muts = len(muts)
}

func (w *world) decide() {
	for _, r := range w.open() {
		for i, it := range r.items {
			if it.decide {
				by, happened := w.person(), w.chance(50)
				now, err := w.st.Account(w.t.Context(), by.ID)
				w.must(err)
				by.User = now.User
				w.note("%s says of %s: happened=%v", by.ID, r.id, happened)
				_, err = w.changes.Decide(w.t.Context(), by, r.id, i, happened)
				w.same(err, w.m.decide(by.ID, r, i, happened))
				return
			}
		}
	}
}
