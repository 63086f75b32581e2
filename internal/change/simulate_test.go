package change

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
)

var (
	simAnna  = access.User{ID: "usr_anna", State: access.Active, Grants: access.Unscoped(access.Approver)}
	simAnton = access.User{ID: "usr_anton", State: access.Active, Grants: access.Unscoped(access.Approver)}
	simGone  = access.User{ID: "usr_gone", State: access.Disabled, Grants: access.Unscoped(access.Approver)}
	simEmil  = access.User{ID: "usr_emil", State: access.Active, Grants: access.Unscoped(access.Editor)}

	simPeople   = []access.User{simAnna, simAnton, simGone, simEmil}
	simProjects = []mirror.Project{{ID: "prj_p", Environment: mirror.Production}, {ID: "prj_s", Environment: mirror.Staging}}
)

func simRequest(id, project, author string, state State, op Operation) Request {
	return Request{
		ID: id, Project: project, Title: id, State: state, Policies: []Policy{{ID: "pol"}},
		Revision: Revision{Items: []Item{{Kind: KindConfig, Operation: op, Set: mirror.Values{}, Base: mirror.Values{}}}, Contributors: []string{author}},
	}
}

func asking(project string, n int, ops ...Operation) Policy {
	p := Policy{ID: fmt.Sprint(project, n, ops), Subject: AboutConfigs, Project: project, Operations: ops}
	if n > 0 {
		p.Steps = []PolicyStep{{{Count: n}}}
	}
	return p
}

func TestSimulate(t *testing.T) {
	now := []Policy{asking("prj_p", 1), asking("prj_s", 0)}
	requests := []Request{
		simRequest("switch", "prj_p", simEmil.ID, Applied, Disable),
		simRequest("delete", "prj_p", simEmil.ID, InReview, Delete),
		simRequest("by an approver", "prj_p", simAnna.ID, InReview, Delete),
		simRequest("staging", "prj_s", simEmil.ID, Applied, Update),
		simRequest("a draft", "prj_p", simEmil.ID, Draft, Delete),
		{ID: "never handed in", State: Expired, Revision: Revision{Items: []Item{{Kind: KindConfig}}}},
	}
	for name, c := range map[string]struct {
		then []Policy
		want map[Verdict]int
	}{
		"nothing changes":       {now, map[Verdict]int{WouldSame: 4}},
		"two to delete":         {append([]Policy{asking("prj_p", 2, Delete)}, now...), map[Verdict]int{WouldSame: 2, WouldMore: 1, WouldStick: 1}},
		"three approvals":       {[]Policy{asking("prj_p", 3), asking("prj_s", 0)}, map[Verdict]int{WouldStick: 3, WouldSame: 1}},
		"none needed":           {[]Policy{asking("prj_p", 0), asking("prj_s", 0)}, map[Verdict]int{WouldFewer: 3, WouldSame: 1}},
		"staging left out":      {now[:1], map[Verdict]int{WouldSame: 3, WouldRefuse: 1}},
		"another one's consent": {[]Policy{{ID: "x", Subject: AboutConfigs, Project: "prj_p", Steps: []PolicyStep{{{Count: 1, People: []string{simAnna.ID}}}}}, now[1]}, map[Verdict]int{WouldOther: 2, WouldStick: 1, WouldSame: 1}},
		"who is disabled":       {[]Policy{{ID: "x", Subject: AboutConfigs, Project: "prj_p", Steps: []PolicyStep{{{Count: 1, People: []string{simGone.ID}}}}}, now[1]}, map[Verdict]int{WouldStick: 3, WouldSame: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := simulate(now, c.then, simPeople, simProjects, requests)
			if diff := cmp.Diff(c.want, got.Count); diff != "" {
				t.Error(diff)
			}
			if got.Requests != 4 || got.Open != 2 {
				t.Errorf("%d requests, %d open", got.Requests, got.Open)
			}
		})
	}
}

func TestSimulatedCases(t *testing.T) {
	now := []Policy{asking("prj_p", 1)}
	then := append([]Policy{asking("prj_p", 2, Delete)}, now...)
	old, late := simRequest("old", "prj_p", simEmil.ID, InReview, Delete), simRequest("late", "prj_p", simAnna.ID, Applied, Delete)
	late.CreatedAt = time.Now()
	got := simulate(now, then, simPeople, simProjects, []Request{late, old}).Cases
	want := []Case{
		{ID: "old", Title: "old", Open: true, Verdict: WouldMore, Before: 1, After: 2},
		{ID: "late", Title: "late", CreatedAt: late.CreatedAt, Verdict: WouldStick, Before: 1, After: 2, Why: "Its author is among the few who could approve it."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	stuck := simulate(then, then[1:], simPeople[1:], simProjects, []Request{simRequest("one", "prj_p", simAnton.ID, InReview, Delete)}).Cases[0]
	if !stuck.Already || stuck.Verdict != WouldStick {
		t.Errorf("stuck before and after: %+v", stuck)
	}
}

// Many requests take no longer than a page may.
func TestSimulateMany(t *testing.T) {
	people := simPeople
	for i := range 200 {
		people = append(people, access.User{ID: fmt.Sprint("usr_", i), State: access.Active, Grants: access.Unscoped(access.Approver)})
	}
	var requests []Request
	for i := range 10_000 {
		requests = append(requests, simRequest(strconv.Itoa(i), "prj_p", fmt.Sprint("usr_", i%300), Applied, Delete))
	}
	now := []Policy{asking("prj_p", 1)}
	got := simulate(now, append([]Policy{asking("prj_p", 2, Delete)}, now...), people, simProjects, requests)
	if got.Count[WouldMore] != 10_000 || len(got.Cases) != simulatedCases {
		t.Errorf("%v, %d cases", got.Count, len(got.Cases))
	}
	allocated := testing.AllocsPerRun(1, func() { simulate(now, now, people, simProjects, requests) })
	if most := 60.0 * 10_000; allocated > most {
		t.Errorf("%.0f allocations, at most %.0f are allowed", allocated, most)
	}
}

func BenchmarkSimulate(b *testing.B) {
	var requests []Request
	for i := range 10_000 {
		requests = append(requests, simRequest(strconv.Itoa(i), "prj_p", simEmil.ID, Applied, Delete))
	}
	now := []Policy{asking("prj_p", 1), asking("prj_p", 2, Delete), asking("prj_s", 0)}
	for b.Loop() {
		simulate(now, now[:2], simPeople, simProjects, requests)
	}
}
