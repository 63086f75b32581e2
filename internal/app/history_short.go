package app

import (
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/web/templates"
)

// What a row of history says of its changes; the rest is one click away.
const (
	shortRows   = 2
	shortValues = 3
	shortLength = 48 // characters of a value
)

// shortDiff says the first changes of an entry in one line each.
func shortDiff(d templates.DiffView) []templates.ShortView {
	var out []templates.ShortView
	for _, r := range d.Rows[:min(len(d.Rows), shortRows)] {
		v := templates.ShortView{Field: r.Field}
		if r.List {
			v.Before, v.After = shortList(r.Removed), shortList(r.Added)
		} else {
			v.Before, v.After = shorter(r.Before), shorter(r.After)
		}
		out = append(out, v)
	}
	return out
}

// shortList names the first values of a list.
func shortList(values []string) string {
	var out []string
	for _, v := range values[:min(len(values), shortValues)] {
		out = append(out, shorter(v))
	}
	if more := len(values) - len(out); more > 0 {
		out = append(out, "and "+number(more)+" more")
	}
	return strings.Join(out, ", ")
}

func shorter(s string) string {
	if r := []rune(s); len(r) > shortLength {
		return string(r[:shortLength-1]) + "…"
	}
	return s
}

// rowFacts are the fields of an entry that its sentence leaves out.
func (b entryBuilder) rowFacts(e audit.Entry) []templates.FactView {
	facts := []templates.FactView{{Name: "Action", Text: e.Action}, {Name: "Outcome", Text: e.Outcome}}
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, templates.FactView{Name: name, Text: text})
		}
	}
	add("Object", strings.TrimSpace(e.Object.Kind+" "+e.Object.ID))
	add("Actor id", e.Actor.ID)
	if b.personal {
		add("E-mail", e.Actor.Email)
		add("Address", e.Actor.IP)
		add("Browser", e.Actor.Agent)
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		add(capital(strings.ReplaceAll(k, "_", " ")), e.Detail[k])
	}
	return facts
}

func outcomeBadge(outcome string) templates.BadgeView {
	switch outcome {
	case audit.Denied:
		return templates.BadgeView{Text: "Denied", Tone: "warn"}
	case audit.Failed:
		return templates.BadgeView{Text: "Not done", Tone: "bad"}
	case audit.Unknown:
		return templates.BadgeView{Text: "Unknown", Tone: "warn"}
	}
	return templates.BadgeView{}
}
