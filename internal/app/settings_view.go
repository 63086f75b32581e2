package app

import (
	"time"

	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

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
