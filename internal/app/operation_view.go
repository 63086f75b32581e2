package app

import (
	"maps"
	"slices"
	"time"

	"gatehouse/internal/change"
	"gatehouse/internal/health"
	"gatehouse/web/templates"
)

func operationView(r health.Report, frame templates.PageView) templates.OperationView {
	v := templates.OperationView{Page: frame, Tabs: settingsTabs("Operation"), State: healthBadge(r.State()), Diagnostics: operationPath + "/diagnostics.json"}
	for _, t := range r.Troubles {
		v.Troubles = append(v.Troubles, templates.NoticeView{Tone: "warn", Title: t.What, Text: t.Do})
	}
	v.Groups = []templates.FactGroupView{
		{Title: "Program", Facts: programFacts(r)},
		{Title: "Database", Facts: databaseFacts(r)},
		{Title: "Work", Facts: workFacts(r)},
	}
	for _, p := range r.Projects {
		v.Readings = append(v.Readings, readingView(p, r.At))
	}
	for _, e := range r.Errors {
		v.Errors = append(v.Errors, templates.LoggedView{At: ago(e.At, r.At), Message: capital(e.Message), Text: e.Text, Request: e.Request})
	}
	return v
}

func healthBadge(s health.State) templates.BadgeView {
	switch s {
	case health.Ready:
		return templates.BadgeView{Text: "All is well", Tone: "good"}
	case health.Degraded:
		return templates.BadgeView{Text: "Degraded", Tone: "warn"}
	default:
		return templates.BadgeView{Text: "Not ready", Tone: "bad"}
	}
}

func programFacts(r health.Report) []templates.FactView {
	return []templates.FactView{
		{Name: "Version", Text: r.Build + " on " + r.Go},
		{Name: "Running since", Time: ago(r.Started, r.At)},
		{Name: "Schema", Text: number(int(r.Load.Schema))},
		{Name: "Last backup", Time: ago(r.BackupAt, r.At)},
	}
}

func databaseFacts(r health.Report) []templates.FactView {
	facts := []templates.FactView{
		{Name: "History", Text: plural(int(r.Head), "entry", "entries")},
		{Name: "Searchable up to entry", Text: number(int(r.Indexed))},
		{Name: "Verified up to entry", Text: number(int(r.Known.Size))},
		{Name: "Last signed", Time: ago(r.Known.SignedAt, r.At)},
	}
	for _, name := range slices.Sorted(maps.Keys(r.Load.Files)) {
		facts = append(facts, templates.FactView{Name: name, Text: size(r.Load.Files[name])})
	}
	return facts
}

func readingView(p health.Project, now time.Time) templates.ReadingView {
	v := templates.ReadingView{Project: p.Name, At: ago(p.Sync.OKAt, now), Configs: number(p.Configs), Problem: p.Sync.Problem}
	if p.Sync.OKAt.IsZero() {
		v.At = templates.TimeView{Text: "Not yet"}
	}
	return v
}

func workFacts(r health.Report) []templates.FactView {
	var facts []templates.FactView
	for _, s := range change.Open() {
		if n := r.Load.Changes[s]; n > 0 {
			facts = append(facts, templates.FactView{Name: "Changes, " + s.Words(), Text: number(n)})
		}
	}
	if len(facts) == 0 {
		facts = []templates.FactView{{Name: "Open changes", Text: "None"}}
	}
	facts = append(facts, templates.FactView{Name: "Notifications due", Text: number(r.Load.Deliveries)})
	if r.Load.GivenUp > 0 {
		facts = append(facts, templates.FactView{Name: "Notifications given up", Text: number(r.Load.GivenUp)})
	}
	for _, k := range r.Sinks {
		facts = append(facts, templates.FactView{Name: "Sink " + k.Name, Text: plural(int(k.Behind), "entry", "entries") + " behind"})
	}
	return facts
}
