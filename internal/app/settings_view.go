package app

import (
	"slices"
	"time"

	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// readersText says who may read a project's history.
func readersText(p mirror.Project) string {
	var who []string
	for _, r := range p.Readers {
		who = append(who, string(r)+"s")
	}
	return capital(listed(append(who, "auditors", "admins"), "and"))
}

// readerChecks are the roles to choose from.
func readerChecks(p mirror.Project) []templates.CheckView {
	var out []templates.CheckView
	for _, r := range mirror.ReaderRoles() {
		out = append(out, templates.CheckView{Name: "roles", Value: string(r), Text: capital(string(r)) + "s", Checked: slices.Contains(p.Readers, r)})
	}
	return out
}

func projectFacts(p mirror.Project, now time.Time) []templates.FactView {
	facts := []templates.FactView{
		{Name: "Environment", Text: capital(p.Environment)},
		{Name: "Base URL", Text: p.BaseURL},
		{Name: "API key", Text: "ends in " + p.Key.Last4 + ", fingerprint " + p.Key.Fingerprint},
		{Name: "Key set", Time: ago(p.Key.SetAt, now)},
	}
	if p.RemoteName != "" {
		facts = append(facts, templates.FactView{Name: "Called at Composio", Text: p.RemoteName})
	}
	facts = append(facts,
		templates.FactView{Name: "History read by", Text: readersText(p)},
		templates.FactView{Name: "Markers", Text: map[bool]string{true: "on", false: "off"}[p.Markers]},
		templates.FactView{Name: "Last good sync", Time: ago(p.Sync.OKAt, now)})
	if p.Sync.Problem != "" {
		facts = append(facts, templates.FactView{Name: "Last problem", Text: p.Sync.Problem})
	}
	return facts
}
