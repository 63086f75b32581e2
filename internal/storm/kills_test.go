package storm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/composio/sandbox"
)

// enabledConfigs are ids of configs that deeds are done to.
func (v *victim) enabledConfigs() []string {
	var ids []string
	for _, a := range v.box.State().Projects["staging"].AuthConfigs {
		if a.Status == "ENABLED" && a.DeletedAt == nil && !a.Managed {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// Killed at each named point of each kind of change, then started again: what
// was acknowledged holds, nothing happened twice, and history tells it.
func TestFailpoints(t *testing.T) {
	points := []string{"apply.claimed", "apply.answered", "apply.settled"}
	for skip := range 8 {
		points = append(points, fmt.Sprintf("store.before_commit@%d", skip), fmt.Sprintf("store.after_commit@%d", skip))
	}
	for _, kind := range []string{"create", "update", "disable", "delete"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			v, people := newVictim(t, sandbox.Options{Configs: 300}, "emil")
			targets := v.enabledConfigs()
			var deeds []*deed
			for i, point := range points {
				v.kill()
				v.start(armed(point, "kill"))
				d := &deed{reason: fmt.Sprintf("%s at %s", kind, point), kind: kind, target: targets[i], name: fmt.Sprintf("name-%s-%d", kind, i)}
				people[0].do(d)
				deeds = append(deeds, d)
				if strings.HasPrefix(point, "apply.") && !v.died() {
					t.Errorf("the program lives on after %s", point)
				}
			}
			v.kill()
			v.start("")
			v.ready()
			v.settle()
			v.check(deeds)
		})
	}
}

func armed(point, action string) string {
	name, skip := point, ""
	for i := range point {
		if point[i] == '@' {
			name, skip = point[:i], point[i:]
		}
	}
	return name + "=" + action + skip
}

// Two people disable the same config. The second request waits for the first,
// and the program is killed in between: the second finds done what it wanted, and
// doesn't say that it did it.
func TestKilledAfterTheSame(t *testing.T) {
	v, people := newVictim(t, sandbox.Options{Configs: 100}, "emil", "edda")
	target := v.enabledConfigs()[0]
	v.kill()
	v.start(armed("apply.settled", "kill"))
	must(t, v.box.Fail(sandbox.Fault{Kind: "latency=200ms", Method: "PATCH", Path: "/auth_configs/" + target + "/*"}))
	var wg sync.WaitGroup
	var deeds []*deed
	for _, p := range people {
		d := &deed{reason: "disable by " + p.name, kind: "disable", target: target}
		deeds = append(deeds, d)
		wg.Go(func() { p.do(d) })
	}
	wg.Wait()
	if !v.died() {
		t.Fatal("nothing was settled")
	}
	v.start("")
	v.ready()
	v.settle()
	v.check(deeds)
}

// A commit that ends in an error of unknown outcome: the program stops writing
// and ends; the next start reads the truth.
func TestCommitError(t *testing.T) {
	v, people := newVictim(t, sandbox.Options{Configs: 100}, "emil")
	targets := v.enabledConfigs()
	var deeds []*deed
	for skip := range 5 {
		v.kill()
		v.start(armed(fmt.Sprintf("store.commit_error@%d", skip), "error"))
		d := &deed{reason: fmt.Sprintf("commit error %d", skip), kind: "disable", target: targets[skip]}
		people[0].do(d)
		deeds = append(deeds, d)
		if !v.died() {
			t.Fatal("the program goes on after a commit of unknown outcome")
		}
		if v.cmd.ProcessState.Success() {
			t.Error("the program ended as if all were well")
		}
		v.start("")
		v.ready()
	}
	v.settle()
	v.check(deeds)
}

// People work, the sandbox has its moods, and the program is killed, stopped and
// paused again and again.
func TestKills(t *testing.T) {
	v, people := newVictim(t, sandbox.Options{Configs: 400}, "emil", "edda", "eric", "ella")
	t.Logf("%d kills, seed %d", *kills, *seed)
	targets := v.enabledConfigs()
	var mu sync.Mutex
	var deeds []*deed
	var held atomic.Int64 // deeds that were acknowledged
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n, p := range people {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(*seed, uint64(n)))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				kind := []string{"create", "update", "update", "disable", "enable", "disable", "enable", "delete"}[r.IntN(8)]
				if !v.answers() {
					breathe()
					continue
				}
				d := &deed{reason: fmt.Sprintf("%s-%d", p.name, i), kind: kind, target: targets[r.IntN(len(targets))], name: fmt.Sprintf("%s-name-%d", p.name, i)}
				mu.Lock()
				deeds = append(deeds, d)
				mu.Unlock()
				p.do(d)
				if d.known == acknowledged {
					held.Add(1)
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(*seed, 1000))
	moods := []string{"reset-before", "reset-after", "5xx-before", "5xx-after", "garbage-2xx", "timeout-before", "timeout-after", "status=429", "latency=50ms"}
	befell := map[string]int{}
	for n := range *kills {
		v.ready()
		if r.IntN(2) == 0 {
			must(t, v.box.Fail(sandbox.Fault{Kind: moods[r.IntN(len(moods))], Nth: 1 + r.IntN(4)}))
		}
		timer := time.NewTimer(time.Duration(20+r.IntN(300)) * time.Millisecond)
		<-timer.C
		v.wait("there is something to learn from", func() bool { return held.Load() >= int64(n/4) })
		misfortune := misfortunes[r.IntN(len(misfortunes))]
		befell[misfortune.name]++
		misfortune.strike(v, r)
	}
	close(stop)
	wg.Wait()
	v.box.ClearFaults()
	v.ready()
	v.settle()
	count := map[string]int{}
	for _, d := range deeds {
		count[d.known]++
	}
	t.Logf("%v befell it; %d deeds: %v; %d mutations", befell, len(deeds), count, len(v.box.Journal().Mutations))
	v.check(deeds)
}
