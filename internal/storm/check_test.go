package storm

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// settle lets the program finish what is open and stops it.
func (v *victim) settle() {
	v.t.Helper()
	var open []string
	for deadline := time.Now().Add(grace + 2*time.Minute); ; breathe() {
		if open = v.open(); len(open) == 0 {
			break
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("after settling, these are open still: %v\n%.4000s", open, v.log())
		}
	}
	v.kill()
}

// open lists the requests that are being applied or whose outcome is unknown,
// but for those that wait for a person, and those that wait for such a one.
func (v *victim) open() []string {
	st := v.read()
	defer func() { _ = st.Close() }()
	ids, err := st.Unfinished(v.t.Context(), time.Now())
	must(v.t, err)
	var left []change.Request
	held := map[string]bool{} // auth configs whose change a person has to look at
	for _, id := range ids {
		r, err := st.Request(v.t.Context(), id)
		must(v.t, err)
		switch {
		case r.Undecided():
			for _, p := range r.Progress {
				held[p.Target] = !p.Done() || held[p.Target]
			}
		case r.State != change.Approved || !r.ApplyAfter.IsZero():
			left = append(left, r)
		}
	}
	var out []string
	for _, r := range left {
		if r.State != change.Approved || !slices.ContainsFunc(r.Progress, func(p change.Progress) bool { return held[p.Target] }) {
			out = append(out, r.ID+" "+string(r.State))
		}
	}
	return out
}

func (v *victim) read() *store.Store {
	v.t.Helper()
	st, err := store.Open(v.dir, store.Options{ReadOnly: true})
	must(v.t, err)
	return st
}

// A checker compares what people know, the database and the sandbox's journal.
type checker struct {
	t        *testing.T
	requests map[string]change.Request // by reason
	all      []change.Request
	history  []audit.Entry
	journal  sandbox.Journal
	state    sandbox.ProjectState
}

// check proves the invariants after a storm.
func (v *victim) check(deeds []*deed) {
	v.t.Helper()
	st := v.read()
	defer func() { _ = st.Close() }()
	c := &checker{t: v.t, requests: map[string]change.Request{}, journal: v.box.Journal(), state: v.box.State().Projects["staging"]}
	list, err := st.Requests(v.t.Context(), store.RequestQuery{Limit: 1_000_000})
	must(v.t, err)
	for _, r := range list {
		full, err := st.Request(v.t.Context(), r.ID)
		must(v.t, err)
		c.all = append(c.all, full)
		if _, twice := c.requests[full.Reason]; twice {
			v.t.Errorf("%s was recorded twice", full.Reason)
		}
		c.requests[full.Reason] = full
	}
	head, err := st.VerifyHistory(v.t.Context())
	if err != nil {
		v.t.Errorf("history: %v", err)
	}
	must(v.t, st.HistoryRows(v.t.Context(), 1, head.Seq, func(r audit.Row) error {
		e, err := audit.Open(r)
		c.history = append(c.history, e)
		return err
	}))
	c.acknowledgements(deeds)
	v.t.Logf("%d intents looked at", rig.CheckApproved(v.t, st, c.journal))
	c.creates(deeds)
	c.effects()
	c.transitions()
	for _, i := range c.journal.Incidents {
		v.t.Errorf("incident in the sandbox: %+v", i)
	}
	v.integrity()
}

// What was acknowledged is there, what was refused is not, what got no answer is
// there once or not at all.
func (c *checker) acknowledgements(deeds []*deed) {
	for _, d := range deeds {
		_, there := c.requests[d.reason]
		if d.known == acknowledged && !there {
			c.t.Errorf("%s (%s) was acknowledged and is gone", d.reason, d.kind)
		}
		if d.known == refused && there {
			c.t.Errorf("%s (%s) was refused and is there", d.reason, d.kind)
		}
	}
}

// Each create made at most one object, or history names the others.
func (c *checker) creates(deeds []*deed) {
	named := map[string]bool{}
	for _, e := range c.history {
		if e.Action == "auth_config.duplicate_found" {
			named[e.Object.ID] = true
		}
	}
	for _, d := range deeds {
		if d.kind != "create" {
			continue
		}
		n := 0
		for _, a := range c.state.AuthConfigs {
			if (a.Name == d.name || strings.HasPrefix(a.Name, d.name+" ·")) && !named[a.ID] {
				n++
			}
		}
		if n > 1 {
			c.t.Errorf("%s made %d objects", d.reason, n)
		}
		if r, ok := c.requests[d.reason]; ok && r.State == change.Applied && n == 0 && !c.renamed(d.name) {
			c.t.Errorf("%s is applied, but made nothing", d.reason)
		}
	}
}

// renamed reports whether a later edit gave an object of this name another one.
func (c *checker) renamed(name string) bool {
	return slices.ContainsFunc(c.journal.Mutations, func(m sandbox.Mutation) bool { return strings.Contains(string(m.Body), `"`+name+`"`) })
}

// Applied means that the effect is in the journal; failed, cancelled and the like
// that it is not. What waits for a person to look says neither.
func (c *checker) effects() {
	done := map[string]int{} // effect → times in the journal
	for _, m := range c.journal.Mutations {
		done[rig.Digest(c.t, m)+m.ID+lastPart(m)]++
	}
	want := map[string]int{}
	for _, r := range c.all {
		for i, it := range r.Revision.Items {
			if it.Operation != change.Enable && it.Operation != change.Disable && it.Operation != change.Delete {
				continue
			}
			if r.Progress[i].State == change.ItemApplied {
				want[effect(c.t, it)]++
			}
		}
	}
	for key, n := range want {
		if done[key] != n {
			c.t.Errorf("%d requests say that they did %s, the journal has %d", n, key, done[key])
		}
	}
	for _, r := range c.all {
		for i, it := range r.Revision.Items {
			if it.Operation != change.Update || len(it.Set["name"]) == 0 {
				continue
			}
			happened := slices.ContainsFunc(c.journal.Mutations, func(m sandbox.Mutation) bool {
				return m.ID == it.Target && strings.Contains(string(m.Body), `"name":"`+it.Set["name"][0]+`"`)
			})
			p := r.Progress[i]
			if !p.Decide && (p.State == change.ItemApplied) != happened {
				c.t.Errorf("%s says %s (%s), the journal %v", r.Reason, p.State, p.Note, happened)
			}
		}
	}
}

func lastPart(m sandbox.Mutation) string {
	if m.Method == "DELETE" {
		return "delete"
	}
	return m.Path[strings.LastIndex(m.Path, "/")+1:]
}

func effect(t *testing.T, it change.Item) string {
	empty, err := audit.Digest("")
	must(t, err)
	switch it.Operation {
	case change.Enable:
		return empty + it.Target + "ENABLED"
	case change.Disable:
		return empty + it.Target + "DISABLED"
	}
	return empty + it.Target + "delete"
}

// The last entry about a request says the state that it is in.
func (c *checker) transitions() {
	last := map[string]string{}
	for _, e := range c.history {
		if e.Object.Kind == "change_request" {
			last[e.Object.ID] = e.Detail["state"]
		}
	}
	for _, r := range c.all {
		if said := last[r.ID]; said != string(r.State) && r.State != change.Unknown && r.State != change.Applying {
			c.t.Errorf("%s is %s, history says %s", r.ID, r.State, said)
		}
	}
}

func (v *victim) integrity() {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(v.dir, store.DatabaseFile)+"?mode=ro")
	must(v.t, err)
	defer func() { _ = db.Close() }()
	var result string
	must(v.t, db.QueryRowContext(v.t.Context(), "PRAGMA integrity_check").Scan(&result))
	if result != "ok" {
		v.t.Errorf("integrity_check: %s", result)
	}
}
