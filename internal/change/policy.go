package change

import (
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
)

// A Subject is what a policy is about.
type Subject string

// The subjects.
const (
	AboutConfigs Subject = "auth_configs" // changes of auth configs
	AboutRules   Subject = "rules"        // changes of policies, roles, groups, directory clients, freeze windows and the break-glass list
)

// A Condition narrows a policy to some changes.
type Condition string

// The conditions. The empty one holds always.
const (
	ScopesWidened     Condition = "scopes_widened"
	CredentialChanged Condition = "credential_changed"
	ConnectionsOver   Condition = "connections_over"
)

// Conditions lists them all.
func Conditions() []Condition {
	return []Condition{"", ScopesWidened, CredentialChanged, ConnectionsOver}
}

// A Policy says who has to agree to some changes. All policies that cover a
// change have to be satisfied; a change that none covers is refused.
type Policy struct {
	ID          string // pol_…
	Subject     Subject
	Project     string      // prj_…, or empty: every project of the environment
	Environment string      // empty: any
	Toolkit     string      // slug, or empty: any
	Operations  []Operation // empty: any
	Condition   Condition
	Over        int          // connections, for ConnectionsOver
	Steps       []PolicyStep // one after the other; none: no approval is needed
	CreatedAt   time.Time
}

// A PolicyStep is what has to be met before the next step begins.
type PolicyStep []Need

// A Need asks for approvals of different people. Nobody counts for two needs of
// one policy.
type Need struct {
	Count  int
	Roles  []access.Role // whoever has one of these, is in one of the groups or
	Groups []string      // is named; with all three empty, whoever may approve
	People []string
}

// admits reports whether an approval by somebody counts for the need.
func (n Need) admits(u access.User) bool {
	if !u.May(access.ApproveChange) {
		return false
	}
	if len(n.Roles)+len(n.Groups)+len(n.People) == 0 || slices.Contains(n.People, u.ID) {
		return true
	}
	return slices.ContainsFunc(n.Roles, u.Has) || slices.ContainsFunc(n.Groups, u.InGroup)
}

// StartingPolicies are the explicit policies that a project begins with: no
// approval, until any policy asks for one; the recommended ones from then on, so
// that a new project is no way around them.
func StartingPolicies(project string, governed bool, now time.Time) []Policy {
	policies := []Policy{{Subject: AboutConfigs, Project: project}}
	if governed {
		policies = Recommended(project, 2)
	}
	for i := range policies {
		policies[i].CreatedAt = now.Add(time.Duration(i) * time.Microsecond)
	}
	return policies
}

// Approvals is how many people have to agree.
func (p Policy) Approvals() int {
	n := 0
	for _, step := range p.Steps {
		for _, need := range step {
			n += need.Count
		}
	}
	return n
}

// In reports whether the policy is about some changes in a project.
func (p Policy) In(project mirror.Project) bool {
	return p.Subject == AboutConfigs && (p.Project == "" || p.Project == project.ID) && (p.Environment == "" || p.Environment == project.Environment)
}

// covers reports whether the policy is about an item.
func (p Policy) covers(project mirror.Project, it Item) bool {
	if it.Kind != KindConfig {
		return p.Subject == AboutRules
	}
	switch {
	case !p.In(project),
		p.Toolkit != "" && p.Toolkit != it.Toolkit,
		len(p.Operations) > 0 && !slices.Contains(p.Operations, it.Operation):
		return false
	}
	return p.Condition.holds(p.Over, it)
}

// Holds reports whether the condition holds for an item, for those that need no
// number.
func (c Condition) Holds(it Item) bool { return c.holds(0, it) }

func (c Condition) holds(over int, it Item) bool {
	switch c {
	case ScopesWidened:
		return it.Operation == Update && (it.widens(mirror.FieldScopes) || it.widens(mirror.FieldUserScopes))
	case CredentialChanged:
		return it.Operation == Update && len(it.Credentials) > 0
	case ConnectionsOver:
		return it.Operation != Create && (!it.Impact.Counted || it.Impact.Connections > over)
	}
	return c == ""
}

// widens reports whether an item adds values to a list. Where Composio hides
// what is there, whatever is set counts as added.
func (it Item) widens(field string) bool {
	return slices.ContainsFunc(it.Set[field], func(v string) bool { return !slices.Contains(it.Base[field], v) })
}

// covering returns the policies that cover any of the items. It is false where
// an item has none.
func covering(policies []Policy, project mirror.Project, items []Item) ([]Policy, bool) {
	covered := make([]bool, len(items))
	var all []Policy
	for _, p := range policies {
		needed := false
		for i, it := range items {
			if p.covers(project, it) {
				covered[i], needed = true, true
			}
		}
		if needed {
			all = append(all, p)
		}
	}
	return all, len(items) > 0 && !slices.Contains(covered, false)
}

// Satisfiable reports whether there are people enough in each project that the
// policy is about who could agree, leaving aside who proposes.
func (p Policy) Satisfiable(people []access.User, rules Rules) bool {
	return !slices.ContainsFunc(p.wherever(people, rules), func(there []access.User) bool { return !satisfiable([]Policy{p}, there) })
}

// Rules are what decides about change requests. They change by change requests
// themselves.
type Rules struct {
	Policies   []Policy
	Groups     []access.Group
	Roles      []access.CustomRole
	BreakGlass []string // ids of people who may apply without approval; empty: nobody
	Freezes    []Freeze
	Clients    []access.Client // of directories, that weren't revoked

	Environments map[string]string // of the projects, by id
}

// Governed reports whether any policy asks for an approval. Until then an admin
// sets the rules alone.
func (r Rules) Governed() bool {
	return slices.ContainsFunc(r.Policies, func(p Policy) bool { return p.Approvals() > 0 })
}

// RootPolicyID is the policy about the rules while nobody has made another.
const RootPolicyID = "root"

// Root returns the policies about the rules themselves. They don't demand more
// people than there are, but one at the least.
func (r Rules) Root(people []access.User, contributors []string) []Policy {
	if !r.Governed() {
		return []Policy{{ID: RootPolicyID, Subject: AboutRules}}
	}
	var root []Policy
	for _, p := range r.Policies {
		if p.Subject == AboutRules {
			root = append(root, p)
		}
	}
	if len(root) == 0 {
		root = []Policy{{ID: RootPolicyID, Subject: AboutRules, Steps: []PolicyStep{{{Count: 2}}}}}
	}
	people = at([]access.Place{{}}, people)
	for i := range root {
		root[i].Steps = capped(root[i].Steps, without(people, contributors))
	}
	return root
}

func capped(steps []PolicyStep, people []access.User) []PolicyStep {
	needs, step := Policy{Steps: steps}.needs()
	got := fill(needs, people)
	out := make([]PolicyStep, len(steps))
	for i, need := range needs {
		able := slices.ContainsFunc(people, need.admits)
		if able && got[i] == 0 {
			continue // whoever could meet it is asked for already
		}
		need.Count = max(1, got[i])
		out[step[i]] = append(out[step[i]], need)
	}
	return slices.DeleteFunc(out, func(s PolicyStep) bool { return len(s) == 0 })
}

func without(people []access.User, ids []string) []access.User {
	return slices.DeleteFunc(slices.Clone(people), func(u access.User) bool { return slices.Contains(ids, u.ID) })
}

// For returns the policies that decide about items, as things stand: contributors
// aren't counted on, but those whom the items give rights are, or who writes a change
// would choose how many agree to it. None found means refused, which is said by false.
func (r Rules) For(project mirror.Project, items []Item, people []access.User, contributors []string) ([]Policy, bool) {
	all := slices.DeleteFunc(slices.Clone(r.Policies), func(p Policy) bool { return p.Subject != AboutConfigs })
	return covering(append(all, r.Root(people, contributors)...), project, items)
}

// Recommended are the policies of a production project: one approval, two to
// delete and to widen scopes, or fewer where fewer people may approve.
func Recommended(project string, approvers int) []Policy {
	two := []PolicyStep{{{Count: max(1, min(2, approvers))}}}
	return []Policy{
		{Subject: AboutConfigs, Project: project, Steps: []PolicyStep{{{Count: 1}}}},
		{Subject: AboutConfigs, Project: project, Operations: []Operation{Delete}, Steps: two},
		{Subject: AboutConfigs, Project: project, Condition: ScopesWidened, Steps: two},
	}
}

// With returns the policies with one put in place of the one that has its id, or
// added.
func (r Rules) With(p Policy) []Policy {
	all := slices.Clone(r.Policies)
	if i := slices.IndexFunc(all, func(have Policy) bool { return have.ID == p.ID }); i >= 0 && p.ID != "" {
		all[i] = p
		return all
	}
	return append(all, p)
}

// Without returns the policies but those with the given ids.
func (r Rules) Without(ids ...string) []Policy {
	return slices.DeleteFunc(slices.Clone(r.Policies), func(p Policy) bool { return slices.Contains(ids, p.ID) })
}

func itoa(n int) string { return strconv.Itoa(n) }
