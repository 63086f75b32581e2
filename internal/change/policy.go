package change

import (
	"strconv"
	"time"
)

// A Policy says how many approvals a project's changes need.
type Policy struct {
	ID        string // pol_…
	Project   string
	Approvals int // 0 lets changes through at once, and is said in so many words
	CreatedAt time.Time
}

// StartingPolicy is the explicit policy that every project begins with.
func StartingPolicy(id, project string, now time.Time) Policy {
	return Policy{ID: id, Project: project, Approvals: 0, CreatedAt: now}
}

// Sentence is the policy as readers see it, without the project's name.
func (p Policy) Sentence() string {
	switch p.Approvals {
	case 0:
		return "every change needs no approval"
	case 1:
		return "every change needs 1 approval"
	}
	return "every change needs " + strconv.Itoa(p.Approvals) + " approvals"
}

// findPolicy returns the policy of a project. None found means refused.
func findPolicy(policies []Policy, project string) (Policy, bool) {
	for _, p := range policies {
		if p.Project == project {
			return p, true
		}
	}
	return Policy{}, false
}

func itoa(n int) string { return strconv.Itoa(n) }
