package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// Limits of the policy form.
const (
	formSteps = 3
	formNeeds = 3 // in each step
	formCount = 9 // approvals in each need
)

// policyFields are the parts of a policy that are typed once.
type policyFields struct {
	Subject    string   `form:"subject"`
	Scope      string   `form:"scope"` // prj_…, an environment, or empty
	Toolkit    string   `form:"toolkit"`
	Operations []string `form:"operations"`
	Condition  string   `form:"condition"`
	Over       string   `form:"connections_over"`
	Base       string   `form:"base"` // names what the form showed of a policy that there is
	Reason     string   `form:"reason"`
	Back       bool     `form:"back"`
}

// policyForm is what is typed about a policy.
type policyForm struct {
	policyFields
	needs [formSteps][formNeeds]needForm
}

// needForm is what is typed about one need.
type needForm struct {
	Count  string
	Roles  []string
	Groups []string
	People []string
}

func (n needForm) empty() bool {
	return (n.Count == "" || n.Count == "0") && len(n.Roles)+len(n.Groups)+len(n.People) == 0
}

var needField = regexp.MustCompile(`^need\.([1-3])\.([1-3])\.(count|roles|groups|people)$`)

// decodePolicy reads the form of a policy.
func decodePolicy(form url.Values) (policyForm, error) {
	var f policyForm
	rest := url.Values{}
	for name, values := range form {
		m := needField.FindStringSubmatch(name)
		if m == nil {
			rest[name] = values
			continue
		}
		n := &f.needs[m[1][0]-'1'][m[2][0]-'1']
		switch m[3] {
		case "count":
			if len(values) != 1 {
				return f, malformed("%q came %d times", name, len(values))
			}
			n.Count = strings.TrimSpace(values[0])
		case "roles":
			n.Roles = values
		case "groups":
			n.Groups = values
		case "people":
			n.People = values
		}
	}
	return f, decodeValues(rest, &f.policyFields)
}

// policy is the policy that was typed.
func (f policyForm) policy(id string) (change.Policy, error) {
	p := change.Policy{ID: id, Subject: change.Subject(f.Subject), Toolkit: strings.ToLower(strings.TrimSpace(f.Toolkit)), Condition: change.Condition(f.Condition)}
	if strings.HasPrefix(f.Scope, "prj_") {
		p.Project = f.Scope
	} else {
		p.Environment = f.Scope
	}
	for _, op := range f.Operations {
		p.Operations = append(p.Operations, change.Operation(op))
	}
	wrong := map[string]string{}
	if over := strings.TrimSpace(f.Over); over != "" {
		n, err := strconv.Atoi(strings.ReplaceAll(over, ",", ""))
		if p.Over = n; err != nil {
			wrong["connections_over"] = "Enter a number of connections from 0 to 1,000,000."
		}
	}
	var complaint string
	if p.Steps, complaint = f.steps(); complaint != "" {
		wrong["steps"] = complaint
	}
	if len(wrong) > 0 {
		return p, problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	return p, nil
}

func (f policyForm) steps() ([]change.PolicyStep, string) {
	var steps []change.PolicyStep
	for i := range f.needs {
		var step change.PolicyStep
		for _, n := range f.needs[i] {
			if n.empty() {
				continue
			}
			count, err := strconv.Atoi(n.Count)
			if err != nil || count < 1 || count > 99 {
				return nil, fmt.Sprintf("Say how many approvals step %d takes, from 1 to %d.", i+1, formCount)
			}
			need := change.Need{Count: count, Groups: n.Groups, People: n.People}
			for _, r := range n.Roles {
				need.Roles = append(need.Roles, access.Role(r))
			}
			step = append(step, need)
		}
		if len(step) > 0 {
			steps = append(steps, step)
		}
	}
	return steps, ""
}

// formOf is the form filled with a policy. It is false where the form is too
// small for it.
func formOf(p change.Policy) (policyForm, bool) {
	f := policyForm{policyFields: policyFields{Subject: string(p.Subject), Scope: p.Project + p.Environment, Toolkit: p.Toolkit, Condition: string(p.Condition), Base: policyBase(p)}}
	for _, op := range p.Operations {
		f.Operations = append(f.Operations, string(op))
	}
	if p.Condition == change.ConnectionsOver {
		f.Over = strconv.Itoa(p.Over)
	}
	if len(p.Steps) > formSteps {
		return f, false
	}
	for i, step := range p.Steps {
		if len(step) > formNeeds {
			return f, false
		}
		for k, n := range step {
			f.needs[i][k] = needForm{Count: strconv.Itoa(n.Count), Roles: roleTexts(n.Roles), Groups: n.Groups, People: n.People}
		}
	}
	return f, true
}

// policyBase names the content of a policy.
func policyBase(p change.Policy) string {
	values := p.Values()
	h := sha256.New()
	for _, name := range sortedKeys(values) {
		_, _ = fmt.Fprintf(h, "%s %q\n", name, values[name]) // never fails (hash)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// hidden are all typed values, to travel along.
func (f policyForm) hidden() []templates.HiddenView {
	var out []templates.HiddenView
	add := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				out = append(out, templates.HiddenView{Name: name, Value: v})
			}
		}
	}
	add("subject", f.Subject)
	add("scope", f.Scope)
	add("toolkit", f.Toolkit)
	add("operations", f.Operations...)
	add("condition", f.Condition)
	add("connections_over", f.Over)
	add("base", f.Base)
	for i := range f.needs {
		for k, n := range f.needs[i] {
			prefix := needName(i, k)
			add(prefix+"count", n.Count)
			add(prefix+"roles", n.Roles...)
			add(prefix+"groups", n.Groups...)
			add(prefix+"people", n.People...)
		}
	}
	return out
}

func needName(step, need int) string { return fmt.Sprintf("need.%d.%d.", step+1, need+1) }

// scopeSelect offers every project and environment.
func scopeSelect(b rulebook, chosen, complaint string) templates.SelectView {
	v := templates.SelectView{Name: "scope", Label: "Where", Complaint: complaint}
	add := func(value, text string) {
		v.Options = append(v.Options, templates.OptionView{Value: value, Text: text, Selected: value == chosen})
	}
	add("", "Everywhere")
	for _, p := range b.projects {
		if !p.Archived() || p.ID == chosen {
			add(p.ID, "In "+p.Name)
		}
	}
	for _, e := range mirror.Environments() {
		add(e, "In every "+e+" project")
	}
	if !slices.ContainsFunc(v.Options, func(o templates.OptionView) bool { return o.Selected }) {
		add(chosen, chosen)
	}
	return v
}
