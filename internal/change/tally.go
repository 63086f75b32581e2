package change

import (
	"slices"

	"gatehouse/internal/access"
)

// A Tally says how far approval has come.
type Tally struct {
	Have, Need int    // approvals
	Open       []Need // of the steps at hand, with the counts that are missing
	Met        bool   // all policies are satisfied
}

// needs lists a policy's needs in their order, with the step that each is of.
func (p Policy) needs() (needs []Need, step []int) {
	for i, s := range p.Steps {
		for _, n := range s {
			needs, step = append(needs, n), append(step, i)
		}
	}
	return needs, step
}

// fill assigns people to needs, each person once, earlier needs first, and
// returns how many each need has got. It finds an assignment if there is one
// (augmenting paths).
func fill(needs []Need, people []access.User) []int {
	var slots []int // need of each place to be taken
	for i, n := range needs {
		for range n.Count {
			slots = append(slots, i)
		}
	}
	taken := make([]int, len(people)) // 1 + the place that a person takes
	var place func(slot int, tried []bool) bool
	place = func(slot int, tried []bool) bool {
		for i, u := range people {
			if tried[i] || !needs[slots[slot]].admits(u) {
				continue
			}
			tried[i] = true
			if taken[i] == 0 || place(taken[i]-1, tried) {
				taken[i] = slot + 1
				return true
			}
		}
		return false
	}
	got := make([]int, len(needs))
	for slot, need := range slots {
		if place(slot, make([]bool, len(people))) {
			got[need]++
		}
	}
	return got
}

// open returns what is missing of the first step that isn't complete.
func (p Policy) open(approvers []access.User) []Need {
	needs, step := p.needs()
	got := fill(needs, approvers)
	at := -1
	var open []Need
	for i, n := range needs {
		if got[i] < n.Count && (at < 0 || step[i] == at) {
			at = step[i]
			n.Count -= got[i]
			open = append(open, n)
		}
	}
	return open
}

// A front is where a policy stands: the needs up to the step at hand.
type front struct {
	upTo []Need
	open []Need // of the step at hand, those that lack somebody
	have int    // approvals that count up to there
}

// front returns the policy's front. It is false where nothing is missing.
func (p Policy) front(approvers []access.User) (front, bool) {
	needs, step := p.needs()
	got := fill(needs, approvers)
	at := 0
	for at < len(needs) && got[at] >= needs[at].Count {
		at++
	}
	if at == len(needs) {
		return front{}, false
	}
	last := at
	for last+1 < len(needs) && step[last+1] == step[at] {
		last++
	}
	f := front{upTo: needs[:last+1], have: sum(got[:last+1])}
	for i := at; i <= last; i++ {
		if got[i] < needs[i].Count {
			f.open = append(f.open, needs[i])
		}
	}
	return f, true
}

// advances reports whether an approval by somebody else brings the front further.
func (f front) advances(approvers []access.User, u access.User) bool {
	admits := func(n Need) bool { return n.admits(u) }
	switch {
	case slices.ContainsFunc(f.open, admits):
		return true
	case !slices.ContainsFunc(f.upTo, admits):
		return false
	}
	return sum(fill(f.upTo, append(slices.Clone(approvers), u))) > f.have // others may make room
}

func sum(n []int) int {
	total := 0
	for _, one := range n {
		total += one
	}
	return total
}

// tally counts approvals against policies.
func tally(policies []Policy, approvers []access.User) Tally {
	t := Tally{Met: true}
	for _, p := range policies {
		needs, _ := p.needs()
		have := sum(fill(needs, approvers))
		t.Open = append(t.Open, p.open(approvers)...)
		if need := p.Approvals(); need-have > t.Need-t.Have || need-have == t.Need-t.Have && need > t.Need {
			t.Need, t.Have = need, have
		}
	}
	t.Met = len(policies) > 0 && len(t.Open) == 0
	return t
}

// satisfiable reports whether enough people could agree.
func satisfiable(policies []Policy, people []access.User) bool { return tally(policies, people).Met }

// admits reports whether any need of the policies names somebody.
func admits(policies []Policy, u access.User) bool {
	return slices.ContainsFunc(policies, func(p Policy) bool {
		needs, _ := p.needs()
		return slices.ContainsFunc(needs, func(n Need) bool { return n.admits(u) })
	})
}
