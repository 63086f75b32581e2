package storm

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

var crowdTime = flag.Duration("crowd", 12*time.Second, "how long the storm of people lasts")

// rules makes policies that ask for approvals, and a break-glass list, while the
// program is down.
func (v *victim) rules(admin string, list []string, policies ...change.Policy) {
	v.t.Helper()
	ctx := v.t.Context()
	st, err := store.Open(v.dir, store.Options{})
	must(v.t, err)
	defer func() { must(v.t, st.Close()) }()
	keys, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	must(v.t, err)
	log := slog.New(slog.DiscardHandler)
	s := change.NewService(st, mirror.NewService(st, keys, mirror.Settings{}, time.Now, log), keys, change.Settings{Lease: time.Minute, Grace: grace}, time.Now, log)
	by := func(name string) access.Account {
		a, err := st.AccountByEmail(ctx, name+"@example.com")
		must(v.t, err)
		return a
	}
	projects, err := st.Projects(ctx)
	must(v.t, err)
	for i := range policies {
		policies[i].Subject, policies[i].Project = change.AboutConfigs, projects[0].ID
	}
	var ids []string
	for _, name := range list {
		ids = append(ids, by(name).ID)
	}
	admins := access.Reader{User: by(admin).User}
	for _, propose := range []func() (change.Request, error){
		func() (change.Request, error) { return s.ProposeBreakGlass(ctx, admins, "to begin with", ids) },
		func() (change.Request, error) {
			return s.ProposePolicies(ctx, admins, "to begin with too", "Set policies", policies)
		},
	} {
		r, err := propose()
		must(v.t, err)
		s.Settled(ctx, r.ID)
		r, err = st.Request(ctx, r.ID)
		if err != nil || r.State != change.Applied {
			v.t.Fatalf("the rules are %s, %v", r.State, err)
		}
	}
}

// A voice is a vote that somebody was told is recorded.
type voice struct{ who, request, decision, effect string }

// A crowd of people proposes, decides and applies, through HTTP, while the
// sandbox has its moods and the program is killed. Afterwards each mutation has
// the approvals that it takes, counted anew from votes, revisions and policies.
func TestCrowd(t *testing.T) {
	var names []string
	roles := map[string]string{}
	add := func(n int, kind, role string) {
		for i := range n {
			name := fmt.Sprintf("%s%d", kind, i)
			names, roles[name] = append(names, name), role
		}
	}
	add(7, "editor", "editor")
	add(7, "approver", "approver")
	add(3, "both", "editor,approver")
	add(2, "oncall", "editor")
	add(1, "admin", "admin")
	v, people := newCrowd(t, sandbox.Options{Configs: 200}, names, roles)
	v.kill()
	two := []change.PolicyStep{{{Count: 2}}}
	v.rules("admin0", []string{"oncall0", "oncall1"},
		change.Policy{Steps: []change.PolicyStep{{{Count: 1}}}}, change.Policy{Operations: []change.Operation{change.Delete}, Steps: two}, change.Policy{Operations: []change.Operation{change.Disable}, Steps: two})
	v.start("")
	v.ready()
	targets := v.enabledConfigs()[:60]
	var mu sync.Mutex
	var deeds []*deed
	var voices []voice
	var open []string // paths of requests
	done := map[string]int{}
	var over atomic.Bool
	end := time.Now().Add(*crowdTime)
	var wg sync.WaitGroup
	for n, p := range people {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(n)))
			for i := 0; !over.Load(); i++ {
				if !v.answers() {
					breathe()
					continue
				}
				propose := strings.Contains(roles[p.name], "editor") && r.IntN(3) == 0
				if propose {
					kind := []string{"update", "update", "disable", "enable", "delete", "create"}[r.IntN(6)]
					d := &deed{reason: fmt.Sprintf("%s-%d", p.name, i), kind: kind, target: targets[r.IntN(len(targets))], name: fmt.Sprintf("%s-name-%d", p.name, i)}
					mu.Lock()
					deeds = append(deeds, d)
					mu.Unlock()
					p.do(d)
					mu.Lock()
					if strings.HasPrefix(d.location, "/changes/") {
						open = append(open, d.location)
					}
					mu.Unlock()
					continue
				}
				mu.Lock()
				if len(open) == 0 {
					mu.Unlock()
					breathe()
					continue
				}
				path := open[max(0, len(open)-1-r.IntN(12))]
				mu.Unlock()
				action, said := p.decides(path, r)
				mu.Lock()
				done[action+" "+said.known]++
				if said.known == acknowledged && said.effect != "" {
					voices = append(voices, voice{p.name, strings.TrimPrefix(path, "/changes/"), said.decision, said.effect})
				}
				mu.Unlock()
			}
		})
	}
	r := rand.New(rand.NewPCG(*seed, 1000))
	moods := []string{"reset-before", "reset-after", "5xx-after", "garbage-2xx", "status=429", "latency=50ms"}
	for time.Until(end) > 4*time.Second {
		must(t, v.box.Fail(sandbox.Fault{Kind: moods[r.IntN(len(moods))], Nth: 1 + r.IntN(4)}))
		timer := time.NewTimer(2500*time.Millisecond + time.Duration(r.IntN(500))*time.Millisecond)
		<-timer.C
		v.kill()
		v.start("")
		v.ready()
	}
	v.wait("there is something to learn from", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().After(end) && len(voices) >= 10 && len(v.box.Journal().Mutations) >= 3
	})
	over.Store(true)
	wg.Wait()
	v.box.ClearFaults()
	v.ready()
	v.settle()
	t.Logf("%d deeds, %d votes acknowledged, %d mutations; %v", len(deeds), len(voices), len(v.box.Journal().Mutations), done)
	v.check(deeds)
	v.heard(voices)
}

type answer struct{ known, decision, effect string }

// decides does one of the things that a request's page offers to somebody.
func (p *person) decides(path string, r *rand.Rand) (string, answer) {
	page, err := p.get(path)
	if err != nil {
		return "look", answer{known: lost}
	}
	actions := []string{"approve", "approve", "approve", "approve", "apply", "apply", "apply", "request-changes", "withdraw", "reject", "cancel", "bypass"}
	action := actions[r.IntN(len(actions))]
	if page.Find(`form[action="`+path+"/"+action+`"]`).Length() == 0 {
		if action = "approve"; page.Find(`form[action="`+path+`/approve"]`).Length() == 0 {
			action = "apply"
		}
	}
	form := fields(page, path+"/"+action)
	if len(form) == 0 {
		return "nothing", answer{known: refused}
	}
	for name, value := range map[string]string{"reason": "because it is a storm of people", "incident": "INC-1"} {
		if _, asked := form[name]; asked {
			form.Set(name, value)
		}
	}
	if _, asked := form["confirm"]; asked {
		_, name, _ := strings.Cut(page.Find(`form[action="`+path+"/"+action+`"] label[for="input-confirm"]`).Text(), "confirm: ")
		form.Set("confirm", strings.TrimSpace(name))
	}
	status, _, err := p.post(path+"/"+action, form)
	a := answer{known: p.outcome(status, err)}
	if _, voted := form["effect"]; voted {
		a.decision, a.effect = strings.ReplaceAll(action, "-", "_"), form.Get("effect")
	}
	return action, a
}

// heard proves that every vote that somebody was told of is there.
func (v *victim) heard(voices []voice) {
	v.t.Helper()
	ctx := v.t.Context()
	st := v.read()
	defer func() { _ = st.Close() }()
	people, err := st.Users(ctx)
	must(v.t, err)
	ids := map[string]string{}
	for _, u := range people {
		ids[u.Name] = u.ID
	}
	for _, said := range voices {
		r, err := st.Request(ctx, said.request)
		must(v.t, err)
		if !counts(r, ids[said.who], said) {
			v.t.Errorf("%s was told that their %s of %s counts, and it is gone", said.who, said.decision, said.request)
		}
	}
}

// counts reports whether a request knows of what somebody was told that it counts.
func counts(r change.Request, who string, said voice) bool {
	if said.decision == "bypass" {
		return r.Bypass != nil && r.Bypass.By.ID == who && r.Bypass.Effect == said.effect
	}
	return slices.ContainsFunc(r.Votes, func(one change.Vote) bool {
		return one.Reviewer.ID == who && string(one.Decision) == said.decision && one.EffectHash == said.effect
	})
}
