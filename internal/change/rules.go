package change

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// Names of the fields of rules, as they stand in revisions and in history.
const (
	fieldSubject     = "subject"
	fieldProject     = "project"
	fieldEnvironment = "environment"
	fieldToolkit     = "toolkit"
	fieldOperations  = "operations"
	fieldCondition   = "condition"
	fieldOver        = "connections_over"
	fieldSteps       = "steps"
	fieldRoles       = "roles"
	fieldName        = "name"
	fieldMembers     = "members"
	fieldPeople      = "people"
	fieldFrom        = "from"
	fieldUntil       = "until"
	fieldPermissions = "permissions"
	fieldExternal    = "external"
	fieldDirectory   = "directory"
	fieldDays        = "days"
	fieldGiving      = "giving"
)

func one(s string) []string {
	if s == "" {
		return []string{}
	}
	return []string{s}
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i := range in {
		out[i] = string(in[i])
	}
	return out
}

func typed[T ~string](in []string) []T {
	var out []T
	for _, s := range in {
		out = append(out, T(s))
	}
	return out
}

// Values are the policy's fields as they stand in revisions.
func (p Policy) Values() mirror.Values {
	v := mirror.Values{
		fieldSubject: one(string(p.Subject)), fieldProject: one(p.Project), fieldEnvironment: one(p.Environment), fieldToolkit: one(p.Toolkit),
		fieldOperations: texts(p.Operations), fieldCondition: one(string(p.Condition)), fieldOver: []string{}, fieldSteps: []string{},
	}
	if p.Condition == ConnectionsOver {
		v[fieldOver] = one(itoa(p.Over))
	}
	for i, step := range p.Steps {
		for _, n := range step {
			who := texts(n.Roles)
			for k := range who {
				who[k] = "role:" + who[k]
			}
			for _, g := range n.Groups {
				who = append(who, "group:"+g)
			}
			for _, u := range n.People {
				who = append(who, "person:"+u)
			}
			line := strings.Join(append([]string{fmt.Sprintf("%d: %d", i+1, n.Count)}, who...), " ")
			v[fieldSteps] = append(v[fieldSteps], line)
		}
	}
	return v
}

// PolicyFrom reads a policy's fields. It refuses what can't be understood.
func PolicyFrom(id string, v mirror.Values, now time.Time) (Policy, error) {
	p := Policy{
		ID: id, Subject: Subject(first(v[fieldSubject])), Project: first(v[fieldProject]), Environment: first(v[fieldEnvironment]), Toolkit: first(v[fieldToolkit]),
		Operations: typed[Operation](v[fieldOperations]), Condition: Condition(first(v[fieldCondition])), CreatedAt: now,
	}
	p.Over, _ = strconv.Atoi(first(v[fieldOver])) // empty is 0
	for _, line := range v[fieldSteps] {
		at, n, err := needFrom(line)
		if err != nil {
			return p, err
		}
		for len(p.Steps) < at {
			p.Steps = append(p.Steps, nil)
		}
		p.Steps[at-1] = append(p.Steps[at-1], n)
	}
	return p, nil
}

var needLine = regexp.MustCompile(`^([1-9]): ([1-9][0-9]?)((?: (?:role|group|person):[A-Za-z0-9_]+)*)$`)

func needFrom(line string) (int, Need, error) {
	m := needLine.FindStringSubmatch(line)
	if m == nil {
		return 0, Need{}, fmt.Errorf("policy step %q can't be read", line)
	}
	step, _ := strconv.Atoi(m[1]) // digits
	n := Need{}
	n.Count, _ = strconv.Atoi(m[2]) // digits
	for _, who := range strings.Fields(m[3]) {
		kind, id, _ := strings.Cut(who, ":")
		switch kind {
		case "role":
			n.Roles = append(n.Roles, access.Role(id))
		case "group":
			n.Groups = append(n.Groups, id)
		case "person":
			n.People = append(n.People, id)
		}
	}
	return step, n, nil
}

func groupValues(g access.Group) mirror.Values {
	return mirror.Values{fieldName: one(g.Name), fieldMembers: slices.Sorted(slices.Values(g.Members)), fieldRoles: grantTexts(g.Grants), fieldExternal: externalTexts(g.External)}
}

// externalTexts are ids elsewhere as they stand in revisions, each once and sorted.
func externalTexts(ids []access.ExternalID) []string {
	all := make([]string, len(ids))
	for i, e := range ids {
		all[i] = e.String()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func roleValues(r access.CustomRole) mirror.Values {
	return mirror.Values{fieldName: one(r.Name), fieldPermissions: texts(r.Allows)}
}

// grantTexts are grants as they stand in revisions, each once and sorted.
func grantTexts(grants []access.Grant) []string {
	all := make([]string, len(grants))
	for i, g := range grants {
		all[i] = g.String()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// grantsFrom reads grants as they stand in revisions, with what they allow now.
func grantsFrom(lines []string, custom []access.CustomRole) ([]access.Grant, error) {
	var all []access.Grant
	for _, line := range lines {
		g, ok := access.ReadGrant(line)
		if !ok {
			return nil, fmt.Errorf("grant %q can't be read", line)
		}
		all = append(all, g)
	}
	all, known := access.Known(all, custom)
	if !known {
		return nil, problem.New(problem.Conflict, "A role that it gives is not there any more.")
	}
	return all, nil
}

func (f Freeze) values() mirror.Values {
	return mirror.Values{
		fieldName: one(f.Name), fieldProject: one(f.Project), fieldEnvironment: one(f.Environment),
		fieldFrom: one(f.From.UTC().Format(time.RFC3339)), fieldUntil: one(f.Until.UTC().Format(time.RFC3339)),
	}
}
