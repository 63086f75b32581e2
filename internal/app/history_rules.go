package app

import (
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// ruleKinds are the kinds of objects that are rules of ours.
var ruleKinds = map[string]bool{"policy": true, "group": true, "freeze": true, "break_glass": true, "custom_role": true}

// ruleObject names a rule in a sentence, with a link to where it stands.
func ruleObject(e audit.Entry) templates.LinkView {
	switch e.Object.Kind {
	case "policy":
		return templates.LinkView{Text: "a policy", URL: policiesPath}
	case "break_glass":
		return templates.LinkView{Text: "the break-glass list", URL: policiesPath}
	case "group":
		return templates.LinkView{Text: e.Object.Name, URL: groupsPath}
	case "custom_role":
		return templates.LinkView{Text: e.Object.Name, URL: rolesPath}
	case "directory_client":
		return templates.LinkView{Text: e.Object.Name, URL: directoriesPath}
	}
	return templates.LinkView{Text: e.Object.Name, URL: policiesPath}
}

var voteWords = map[change.Decision][2]string{
	change.Approve: {"approved", ""}, change.Reject: {"voted to reject", ""},
	change.RequestChanges: {"asked for changes of", ""}, change.Withdraw: {"took back the vote on", ""},
}

// ruleSentence says what depends on more than the action.
func ruleSentence(e audit.Entry, v *templates.SentenceView) {
	switch e.Action {
	case "change.voted":
		if words, ok := voteWords[change.Decision(e.Detail["decision"])]; ok {
			v.Did, v.More = words[0], words[1]
		}
	case "change.scheduled":
		if at, err := time.Parse(time.RFC3339, e.Detail["at"]); err == nil {
			v.More = "for " + exact(at).Full
		}
	case "change.ratified":
		v.Did = "reviewed and ratified the break-glass of"
		if e.Detail["verdict"] == "objected" {
			v.Did = "reviewed and objected to the break-glass of"
		}
	case audit.Read:
		v.Object.Text = e.Detail["page"]
	case "history.exported", "evidence.exported":
		v.More = exportSentence(e)
	case "policy.added":
		if len(e.Changes) == 0 {
			v.More = "to begin with: " + e.Object.Name // a project's first
		}
	}
}

// diff shows an entry's changes, those of rules in words.
func (b entryBuilder) diff(e audit.Entry) templates.DiffView {
	if !ruleKinds[e.Object.Kind] && e.Action != "user.roles_set" && e.Action != "user.groups_set" && e.Action != "user.groups_provisioned" {
		d := changesDiff(e.Changes)
		for i, ch := range inPageOrder(e.Changes) {
			if mirror.WasHidden(e.Event, ch.Field) {
				d.Rows[i].Note = "Composio hid what it was before."
			}
		}
		return d
	}
	d := templates.DiffView{Before: "Before", After: "After"}
	if e.Object.Kind == "policy" && e.Action != "policy.edited" && len(e.Changes) > 0 {
		d.Rows = []templates.DiffRowView{policyEntryRow(e, b.names)}
		return d
	}
	for _, ch := range e.Changes {
		d.Rows = append(d.Rows, ruleRow(ch.Field, ch.Before, ch.After, b.names))
	}
	return d
}

// policyEntryRow says a policy that was added or removed: its entry has all that
// it says.
func policyEntryRow(e audit.Entry, n names) templates.DiffRowView {
	values := mirror.Values{}
	added := strings.HasSuffix(e.Action, ".added")
	for _, ch := range e.Changes {
		values[ch.Field] = ch.Before
		if added {
			values[ch.Field] = ch.After
		}
	}
	row := templates.DiffRowView{Field: "Policy"}
	if added {
		row.After = policyText(values, n)
	} else {
		row.Before = policyText(values, n)
	}
	return row
}
