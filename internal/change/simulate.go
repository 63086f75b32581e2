package change

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
)

// A Verdict says how other policies would treat a request.
type Verdict string

// The verdicts, the worst first.
const (
	WouldRefuse Verdict = "refused" // no policy covers it
	WouldStick  Verdict = "stuck"   // nobody could ever give the approvals
	WouldMore   Verdict = "more"    // more approvals
	WouldOther  Verdict = "other"   // as many, but others'
	WouldFewer  Verdict = "fewer"   // fewer approvals
	WouldSame   Verdict = "same"
)

// A Simulation is what policies would have meant for requests that were made.
type Simulation struct {
	Requests int // that were replayed
	Open     int // of these
	Count    map[Verdict]int
	Cases    []Case // those that would go another way, open ones first, cut off
}

// A Case is one request under other policies.
type Case struct {
	ID, Title     string
	Open          bool
	CreatedAt     time.Time
	Verdict       Verdict
	Before, After int    // approvals
	Already       bool   // it is refused or stuck under the policies of today, too
	Why           string // nobody could approve it, in words for readers
}

// Limits of a simulation.
const (
	simulatedDays  = 90
	simulatedCases = 50
)

// Simulate replays the requests of the last 90 days and all that are open under
// other policies, as things stand with people and projects.
func (s *Service) Simulate(ctx context.Context, proposed []Policy) (Simulation, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Simulation{}, err
	}
	people, err := s.store.Users(ctx)
	if err != nil {
		return Simulation{}, err
	}
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return Simulation{}, err
	}
	requests, err := s.store.RequestsSince(ctx, s.now().AddDate(0, 0, -simulatedDays))
	if err != nil {
		return Simulation{}, err
	}
	return simulate(rules.Policies, proposed, people, projects, requests), nil
}

// A replay judges requests by one set of policies.
type replay struct {
	rules     Rules
	approvers []access.User
	projects  map[string]mirror.Project
	stuck     map[string]string // by policies, contributors and where it is
}

func newReplay(policies []Policy, approvers []access.User, projects map[string]mirror.Project) *replay {
	return &replay{rules: Rules{Policies: policies}, approvers: approvers, projects: projects, stuck: map[string]string{}}
}

// A judgement is what one set of policies says of a request.
type judgement struct {
	covered   bool
	approvals int
	needs     string // all of them, to tell others from the same
	stuck     string // why nobody could approve it, or empty
}

func (p *replay) judge(r *Request) judgement {
	policies, covered := p.rules.For(p.projects[r.Project], r.Revision.Items, p.approvers, r.Revision.Contributors)
	j := judgement{covered: covered}
	if !covered {
		return j
	}
	var needs []string
	for _, one := range policies {
		j.approvals = max(j.approvals, one.Approvals())
		if one.Approvals() > 0 {
			needs = append(needs, strings.Join(one.Values()[fieldSteps], "\n"))
		}
	}
	slices.Sort(needs)
	j.needs = strings.Join(slices.Compact(needs), "\n\n")
	key := j.needs + "\n\n" + strings.Join(slices.Concat(r.apart(p.approvers), []string{r.Project}, r.Toolkits()), " ")
	why, known := p.stuck[key]
	if !known {
		why = p.why(policies, r)
		p.stuck[key] = why
	}
	j.stuck = why
	return j
}

// why says why nobody could ever approve a request, or "".
func (p *replay) why(policies []Policy, r *Request) string {
	approvers := r.here(p.approvers)
	switch {
	case satisfiable(policies, without(approvers, r.apart(p.approvers))):
		return ""
	case !satisfiable(policies, approvers):
		return "Fewer people may approve than it asks for."
	case len(r.apart(p.approvers)) == 1:
		return "Its author is among the few who could approve it."
	}
	return "Those who wrote it or gain by it are among the few who could approve it."
}

func (b judgement) verdict(a judgement) Verdict {
	switch {
	case !a.covered:
		return WouldRefuse
	case a.stuck != "":
		return WouldStick
	case !b.covered || a.approvals > b.approvals:
		return WouldMore
	case a.approvals < b.approvals:
		return WouldFewer
	case a.needs != b.needs:
		return WouldOther
	}
	return WouldSame
}

// simulate compares policies over requests. Drafts and what was never handed in
// are left out, being their authors' alone.
func simulate(now, then []Policy, people []access.User, projects []mirror.Project, requests []Request) Simulation {
	approvers := slices.DeleteFunc(slices.Clone(people), func(u access.User) bool { return !u.May(access.ApproveChange) })
	byID := map[string]mirror.Project{}
	for _, p := range projects {
		byID[p.ID] = p
	}
	before, after := newReplay(now, approvers, byID), newReplay(then, approvers, byID)
	sim := Simulation{Count: map[Verdict]int{}}
	for i := range requests {
		r := &requests[i]
		if r.State == Draft || len(r.Policies) == 0 {
			continue
		}
		b, a := before.judge(r), after.judge(r)
		v := b.verdict(a)
		sim.Requests++
		sim.Count[v]++
		if !r.State.Terminal() {
			sim.Open++
		}
		if v != WouldSame {
			sim.Cases = append(sim.Cases, Case{
				ID: r.ID, Title: r.Title, Open: !r.State.Terminal(), CreatedAt: r.CreatedAt, Verdict: v,
				Before: b.approvals, After: a.approvals, Why: a.stuck, Already: v == WouldRefuse && !b.covered || v == WouldStick && b.stuck != "",
			})
		}
	}
	slices.SortStableFunc(sim.Cases, func(a, b Case) int {
		switch {
		case a.Open != b.Open && a.Open:
			return -1
		case a.Open != b.Open:
			return 1
		}
		return b.CreatedAt.Compare(a.CreatedAt)
	})
	sim.Cases = sim.Cases[:min(len(sim.Cases), simulatedCases)]
	return sim
}
