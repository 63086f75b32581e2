package rig

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/store"
)

// agent is how Gatehouse names itself to Composio. What tests change at the
// sandbox themselves comes from others.
const agent = "gatehouse"

// CheckApproved proves that each change in the sandbox's journal that Gatehouse
// made was written down before it was sent, and that its request had by then the
// approvals that its policies ask for, from people who had no part in it, or a
// bypass of its own. It returns how many such intents history holds.
func CheckApproved(t testing.TB, st *store.Store, journal sandbox.Journal) int {
	t.Helper()
	c := approvals{t: t, store: st, said: map[string]map[string]string{}, bypassed: map[string]bool{}, intents: map[string][]time.Time{}}
	ctx := context.Background() // tests are over when this is called
	head, err := st.HistoryHead(ctx)
	if err == nil {
		err = st.HistoryRows(ctx, 1, head.Seq, func(row audit.Row) error {
			return c.entry(audit.Look(row)) // what a test made unreadable is no approval
		})
	}
	if err != nil {
		t.Error(err)
	}
	sent := map[string]bool{} // by request id: a quirk of the sandbox carries some out twice
	for _, m := range journal.Mutations {
		if m.Agent == agent && !sent[m.RequestID] {
			sent[m.RequestID] = true
			c.mutation(m)
		}
	}
	return c.checked
}

// approvals follow history from its beginning.
type approvals struct {
	t        testing.TB
	store    *store.Store
	said     map[string]map[string]string // request and effect → person → last decision
	bypassed map[string]bool
	intents  map[string][]time.Time // by what is sent where
	checked  int
}

func (c *approvals) entry(e audit.Entry) error {
	key := e.Request + " " + e.Detail["effect"]
	switch e.Action {
	case "change.voted":
		if c.said[key] == nil {
			c.said[key] = map[string]string{}
		}
		c.said[key][e.Actor.ID] = e.Detail["decision"]
	case "change.stale":
		delete(c.bypassed, key)
		delete(c.said, key)
	case "change.bypassed":
		c.bypassed[key] = true
	case "apply.intent":
		sent := e.Detail["digest"] + " " + sentTo(e)
		c.intents[sent] = append(c.intents[sent], e.Time)
		r, err := c.store.Request(context.Background(), e.Request)
		if err != nil {
			return err
		}
		c.checked++
		c.agreed(r, e, key)
	}
	return nil
}

// agreed counts who agreed to what an intent sends.
func (c *approvals) agreed(r change.Request, e audit.Entry, key string) {
	c.t.Helper()
	if c.bypassed[key] {
		if r.Bypass == nil || r.Bypass.Effect != e.Detail["effect"] || len(r.Bypass.Reason) < 20 {
			c.t.Errorf("history says that %s was bypassed, its record %+v", r.ID, r.Bypass)
		}
		return
	}
	need := 0
	for _, p := range r.Policies {
		need = max(need, p.Approvals())
	}
	have := 0
	for who, what := range c.said[key] {
		last := change.Vote{}
		for _, v := range r.Votes { // the oldest first
			if v.Reviewer.ID == who && v.EffectHash == e.Detail["effect"] && !v.At.After(e.Time) {
				last = v
			}
		}
		if string(last.Decision) != what {
			c.t.Errorf("history and the votes of %s disagree about %s", r.ID, who)
		} else if what == "approve" && !slices.Contains(r.Revision.Contributors, who) {
			have++
		}
	}
	if len(r.Policies) == 0 || have < need {
		c.t.Errorf("%s was sent with %d approvals, its %d policies ask for %d", r.ID, have, len(r.Policies), need)
	}
}

// mutation looks for the intent behind what the sandbox carried out.
func (c *approvals) mutation(m sandbox.Mutation) {
	c.t.Helper()
	key := Digest(c.t, m) + " " + m.Method + " " + m.ID
	if m.Method == http.MethodPost {
		key = Digest(c.t, m) + " create"
	}
	times := c.intents[key]
	if len(times) == 0 {
		c.t.Errorf("mutation %d, %s %s, has no intent", m.Seq, m.Method, m.Path)
		return
	}
	if times[0].After(m.Time.Add(50 * time.Millisecond)) {
		c.t.Errorf("mutation %d came before its intent", m.Seq)
	}
	c.intents[key] = times[1:]
}

// sentTo names what an intent is about as the journal does.
func sentTo(e audit.Entry) string {
	if e.Detail["operation"] == "create" && e.Detail["step"] == "main" {
		return "create"
	}
	method := "PATCH"
	if e.Detail["operation"] == "delete" {
		method = "DELETE"
	}
	return method + " " + e.Object.ID
}

// Digest names a mutation's body as an intent does: without credentials.
func Digest(t testing.TB, m sandbox.Mutation) string {
	t.Helper()
	var body any = ""
	if len(m.Body) > 0 && string(m.Body) != "null" {
		if err := json.Unmarshal(m.Body, &body); err != nil {
			t.Error(err)
		}
		hide(body)
	}
	d, err := audit.Digest(body)
	if err != nil {
		t.Error(err)
	}
	return d
}

func hide(v any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	for k, e := range m {
		if s, ok := e.(string); ok && strings.HasPrefix(s, "sha256:") {
			m[k] = "[secret]"
		}
		hide(e)
	}
}
