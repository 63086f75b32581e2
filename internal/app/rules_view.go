package app

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

var ruleVerbs = map[change.Operation]string{change.Create: "Add", change.Update: "Edit", change.Delete: "Remove"}

// ruleTitle says what an item does to the rules, in the imperative.
func ruleTitle(it change.Item, n names) string {
	verb := ruleVerbs[it.Operation]
	switch it.Kind {
	case change.KindPolicy:
		return verb + " a policy"
	case change.KindRoles:
		return "Change the roles of " + n.orElse(it.Target, it.Name)
	case change.KindGroup:
		return verb + " the group " + it.Name
	case change.KindCustomRole:
		return verb + " the role " + it.Name
	case change.KindBreakGlass:
		return "Change the break-glass list"
	case change.KindFreeze:
		return verb + " the freeze window " + it.Name
	case change.KindClient:
		return "Make the directory client " + it.Name
	case change.KindProject:
		return "Change the environment of " + it.Name
	}
	return operationTitles[it.Operation] + " " + it.Name
}

// ruleDone says it when it is done.
func ruleDone(r change.Request, n names) string {
	it := r.Revision.Items[0]
	done := map[change.Operation]string{change.Create: "Added ", change.Update: "Saved ", change.Delete: "Removed "}[it.Operation]
	switch it.Kind {
	case change.KindRoles:
		return "Roles saved. They count from now on."
	case change.KindPolicy:
		if len(r.Revision.Items) > 1 {
			return "The policies are in force. They count from now on."
		}
		return done + "the policy. It counts from now on."
	case change.KindBreakGlass:
		return "Saved the break-glass list."
	case change.KindProject:
		return "Project saved."
	}
	title := ruleTitle(it, n)
	return done + title[strings.IndexByte(title, ' ')+1:] + "."
}

// ruleDiff shows old and new of a rule side by side, with names for ids.
func ruleDiff(it change.Item, n names) templates.DiffView {
	d := templates.DiffView{Before: "Now", After: "Then"}
	if it.Operation == change.Create {
		d.Before = ""
	}
	if it.Kind == change.KindPolicy {
		d.Rows = []templates.DiffRowView{policyRow(it, n)}
		return d
	}
	for _, field := range ruleFields[it.Kind] {
		before, after := it.Base[field], it.Set[field]
		if it.Operation == change.Delete {
			after = nil
		}
		if len(before)+len(after) > 0 && (it.Operation != change.Update || !slices.Equal(before, after) || len(ruleFields[it.Kind]) == 1) {
			d.Rows = append(d.Rows, ruleRow(field, before, after, n))
		}
	}
	return d
}

// ruleFields are the fields of rules in the order in which they are shown.
var ruleFields = map[change.Kind][]string{
	change.KindProject: {"environment"}, change.KindRoles: {"roles"}, change.KindGroup: {"name", "members", "roles", "external"}, change.KindCustomRole: {"name", "permissions"}, change.KindBreakGlass: {"people"},
	change.KindClient: {"name", "directory", "days", "giving"}, change.KindFreeze: {"name", "project", "environment", "from", "until"},
}

func policyRow(it change.Item, n names) templates.DiffRowView {
	row := templates.DiffRowView{Field: "Policy"}
	if it.Operation != change.Create {
		row.Before = policyText(it.Base, n)
	}
	if row.After = "It is removed."; it.Operation != change.Delete {
		row.After = policyText(it.Set, n)
	}
	return row
}

// policyText is the sentence of a policy that stands in a revision.
func policyText(v mirror.Values, n names) string {
	p, err := change.PolicyFrom("", v, time.Time{})
	if err != nil {
		return wordsOf(v)
	}
	return policySentence(p, n) + "."
}

// ruleRow shows one field of a rule, before and after.
func ruleRow(field string, before, after []string, n names) templates.DiffRowView {
	row := diffRow(field, ruleWords(field, before, n), ruleWords(field, after, n))
	if field == "members" || field == "people" || field == "groups" || field == "external" || field == "giving" || field == "permissions" || field == "roles" || field == "steps" || field == "operations" {
		row = listRow(field, ruleWords(field, before, n), ruleWords(field, after, n))
	}
	return row
}

func listRow(field string, before, after []string) templates.DiffRowView {
	row := templates.DiffRowView{Field: fieldLabel(field), List: true}
	for _, v := range after {
		if slices.Contains(before, v) {
			row.Same = append(row.Same, v)
		} else {
			row.Added = append(row.Added, v)
		}
	}
	for _, v := range before {
		if !slices.Contains(after, v) {
			row.Removed = append(row.Removed, v)
		}
	}
	return row
}

// ruleWords puts the values of a rule's field into words.
func ruleWords(field string, values []string, n names) []string {
	var out []string
	for _, v := range values {
		switch field {
		case "roles":
			v = grantWords(v, n)
		case "permissions":
			v = permissionName(access.Permission(v))
		case "giving":
			v = givingWords(v, n)
		case "directory":
			v = n.of(v)
		case "days":
			v += " days"
		case "environment":
			v = capital(v)
		case "members", "people", "project", "groups":
			v = n.of(v)
		case "from", "until":
			if at, err := time.Parse(time.RFC3339, v); err == nil {
				v = exact(at).Full
			}
		case "operations":
			v = capital(operationGerunds[change.Operation(v)])
		case "condition":
			v = conditionWords[change.Condition(v)]
		case "subject":
			v = subjectWords[change.Subject(v)]
		case "steps":
			v = stepWords(v, n)
		}
		out = append(out, v)
	}
	return out
}

var conditionWords = map[change.Condition]string{
	"": "Always", change.ScopesWidened: "Scopes are widened", change.CredentialChanged: "A credential is set", change.ConnectionsOver: "More connections are touched than",
}

var subjectWords = map[change.Subject]string{
	change.AboutConfigs: "Changes of auth configs", change.AboutRules: "Changes of policies, roles, groups, directory clients, freeze windows and the break-glass list",
}

// stepWords says one line of a policy's steps.
func stepWords(line string, n names) string {
	p, err := change.PolicyFrom("", mirror.Values{"steps": {line}}, time.Time{})
	if err != nil || len(p.Steps) == 0 {
		return line
	}
	at := len(p.Steps) - 1
	return "Step " + number(at+1) + ": " + needWords(p.Steps[at][0], n)
}

// givingWords says what a group gives those whom its directory puts into it.
func givingWords(line string, n names) string {
	group, grants, named := change.Giving(line)
	what := ruleWords("roles", grants, n)
	if named {
		what = append(what, "named in a policy")
	}
	return n.of(group) + " (" + strings.Join(what, ", ") + ")"
}

// agreedTo says what it means that there is a client.
func agreedTo(it change.Item, n names) string {
	text := "Whoever holds its token decides who exists in " + directoryWords(it.Set["directory"], n) + " and who is in the groups it keeps"
	if len(it.Set["giving"]) == 0 {
		return text + ". None of them gives anything so far."
	}
	return text + ": " + strings.Join(ruleWords("giving", it.Set["giving"], n), ", ") + "."
}

func directoryWords(id []string, n names) string {
	if len(id) == 0 {
		return "the directory"
	}
	return "the directory of " + n.of(id[0])
}

func roleTexts(roles []access.Role) []string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}
