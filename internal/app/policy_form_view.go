package app

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/web/templates"
)

// policyFormView fills the form of a policy.
func policyFormView(b rulebook, f policyForm, complaint error) templates.PolicyFormView {
	wrong := fieldComplaints(complaint)
	scope, field := wrong["project"], "project"
	if scope == "" {
		scope, field = wrong["environment"], "environment"
	}
	v := templates.PolicyFormView{
		Complaints: complaintsView(complaint, fieldLabels),
		Subject:    choices("subject", "About", f.Subject, wrong["subject"], [][2]string{{string(change.AboutConfigs), "Changes of auth configs"}, {string(change.AboutRules), "Changes of these rules"}}),
		Scope:      scopeSelect(b, f.Scope, scope),
		Toolkit: templates.InputView{
			Name: "toolkit", Label: "Toolkit", Value: f.Toolkit, Optional: true, Code: true, Complaint: wrong["toolkit"],
			Hint: "As Composio names it, such as github. Empty means every toolkit.",
		},
		Condition: choices("condition", "Only where", f.Condition, wrong["condition"], [][2]string{
			{"", "No further condition"}, {string(change.ScopesWidened), "Scopes are widened"},
			{string(change.CredentialChanged), "A credential is set"}, {string(change.ConnectionsOver), "More connections are touched than …"},
		}),
		Over:  templates.InputView{Name: "connections_over", Label: "… this many connections", Value: f.Over, Type: "number", Optional: true, Complaint: wrong["connections_over"]},
		Wrong: wrong["operations"], StepsWrong: wrong["steps"],
	}
	v.Scope.ID = field // where a complaint leads to
	for _, op := range []change.Operation{change.Create, change.Update, change.Enable, change.Disable, change.Delete} {
		v.Operations = append(v.Operations, templates.CheckView{Name: "operations", Value: string(op), Text: operationTitles[op], Checked: slices.Contains(f.Operations, string(op))})
	}
	for i := range f.needs {
		v.Steps = append(v.Steps, stepForm(b, f, i))
	}
	v.Sentence = "It can't be said yet: something is missing or wrong."
	if p, err := f.policy(""); err == nil {
		v.Sentence = policySentence(p, b.names) + "."
		if !p.Satisfiable(b.people, b.rules) {
			v.Warn = tooFew
		}
	}
	return v
}

const tooFew = "There aren't enough people now who may give these approvals."

func choices(name, label, chosen, complaint string, options [][2]string) templates.SelectView {
	v := templates.SelectView{Name: name, Label: label, Complaint: complaint}
	known := false
	for _, o := range options {
		v.Options = append(v.Options, templates.OptionView{Value: o[0], Text: o[1], Selected: o[0] == chosen})
		known = known || o[0] == chosen
	}
	if !known && chosen != "" {
		v.Options = append(v.Options, templates.OptionView{Value: chosen, Text: chosen, Selected: true})
	}
	return v
}

func stepForm(b rulebook, f policyForm, i int) templates.StepFormView {
	v := templates.StepFormView{Title: "Step " + number(i+1), Open: i == 0}
	if i > 0 {
		v.Hint = "begins when step " + number(i) + " is complete"
	}
	for k, n := range f.needs[i] {
		v.Open = v.Open || !n.empty()
		need := templates.NeedFormView{Open: !n.empty(), Count: countSelect(needName(i, k)+"count", n.Count), From: n.from(b.names), Sets: needSets(b, n, needName(i, k))}
		if k > 0 {
			need.Title = "And at the same time, from others"
		}
		v.Needs = append(v.Needs, need)
	}
	return v
}

func countSelect(name, chosen string) templates.SelectView {
	options := [][2]string{{"", "none"}}
	for n := 1; n <= formCount; n++ {
		options = append(options, [2]string{strconv.Itoa(n), plural(n, "approval", "approvals")})
	}
	return choices(name, "How many", chosen, "", options)
}

// from sums up who may give the approvals of a need.
func (n needForm) from(names names) string {
	var who []string
	for _, r := range n.Roles {
		who = append(who, capital(r)+"s")
	}
	for _, id := range append(slices.Clone(n.Groups), n.People...) {
		who = append(who, names.of(id))
	}
	if len(who) == 0 {
		return "From whoever may approve"
	}
	return "From " + listed(who, "or")
}

func needSets(b rulebook, n needForm, prefix string) []templates.CheckSetView {
	roles := templates.CheckSetView{Title: "Roles"}
	known := roleTexts(access.Roles())
	for _, r := range append(known, unknown(n.Roles, known)...) {
		roles.Checks = append(roles.Checks, templates.CheckView{Name: prefix + "roles", Value: r, Text: capital(r), Checked: slices.Contains(n.Roles, r)})
	}
	groups := templates.CheckSetView{Title: "Groups"}
	for _, g := range b.rules.Groups {
		groups.Checks = append(groups.Checks, templates.CheckView{Name: prefix + "groups", Value: g.ID, Text: g.Name, Hint: plural(len(g.Members), "person", "people"), Checked: slices.Contains(n.Groups, g.ID)})
	}
	people := templates.CheckSetView{Title: "People"}
	for _, u := range b.people {
		if chosen := slices.Contains(n.People, u.ID); chosen || u.May(access.ApproveChange) {
			people.Checks = append(people.Checks, templates.CheckView{Name: prefix + "people", Value: u.ID, Text: u.Name, Hint: rolesOf(u), Checked: chosen})
		}
	}
	return []templates.CheckSetView{roles, groups, people}
}

// unknown are the chosen values that aren't offered.
func unknown(chosen, offered []string) []string {
	var out []string
	for _, v := range chosen {
		if !slices.Contains(offered, v) && strings.TrimSpace(v) != "" {
			out = append(out, v)
		}
	}
	return out
}
