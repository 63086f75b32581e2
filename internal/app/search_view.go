package app

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// searchBuilder turns a search of history into what readers see of it.
type searchBuilder struct {
	asked
	names    names
	projects []mirror.Project
	summary  store.HistorySummary
}

func (b searchBuilder) search() templates.AskedView {
	v := templates.AskedView{
		Query: b.text, From: b.from, To: b.to, Active: b.active(), Chips: b.chips(), Terms: b.terms(),
		Action: historyPath, Placeholder: "Words, or terms such as actor:ada is:drift after:7d",
		Help: helpView(ql.History, b.link),
	}
	if b.wrong != nil {
		v.Wrong = wrongView(b.text, b.wrong)
		return v
	}
	v.Query = b.query.String()
	if b.active() {
		v.Links = append(v.Links, templates.LinkView{Text: "Save this search", URL: templates.Local(query(searchesPath, b.params()...))})
	}
	v.Links = append(v.Links, templates.LinkView{Text: "Saved searches", URL: searchesPath})
	return v
}

const wrongAround = 60 // bytes of the text on each side of what is wrong

// wrongView shows where a search goes wrong.
func wrongView(text string, e *ql.Error) *templates.WrongView {
	v := &templates.WrongView{Message: e.Message}
	if e.Len == 0 {
		return v
	}
	v.Before, v.Wrong, v.After = text[:e.At], text[e.At:e.At+e.Len], text[e.At+e.Len:]
	if len(v.Before) > wrongAround {
		v.Before = "…" + v.Before[boundary(v.Before, len(v.Before)-wrongAround):]
	}
	if len(v.Wrong) > 2*wrongAround {
		v.Wrong = v.Wrong[:boundary(v.Wrong, 2*wrongAround)] + "…"
	}
	if len(v.After) > wrongAround {
		v.After = v.After[:boundary(v.After, wrongAround)] + "…"
	}
	return v
}

// boundary is the first place from n on where a character begins.
func boundary(s string, n int) int {
	for n < len(s) && !utf8.RuneStart(s[n]) {
		n++
	}
	return n
}

func helpView(l ql.Language, link func(ql.Query) templates.URL) []templates.SearchKeyView {
	var all []templates.SearchKeyView
	for _, k := range l.Keys {
		v := templates.SearchKeyView{Name: k.Name + ":", Text: capital(k.Help) + "."}
		examples := []string{k.Example}
		if len(k.Values) > 0 {
			examples = nil
			for _, value := range k.Values {
				examples = append(examples, k.Name+":"+value)
			}
		}
		for i, e := range examples {
			one := templates.ExampleView{Link: templates.LinkView{Text: e}}
			if q, err := l.Parse(e); err == nil {
				one.Link.URL = link(q)
			}
			if i < len(k.Helps) {
				one.Text = k.Helps[i]
			}
			v.Examples = append(v.Examples, one)
		}
		all = append(all, v)
	}
	return all
}

// chips are the terms, each with a link to the search without it.
func (b searchBuilder) chips() []templates.ChipView {
	var all []templates.ChipView
	for i, t := range b.query.Terms {
		all = append(all, templates.ChipView{Key: t.Key, Text: b.value(t.Key, t.Value), Not: t.Not, Quoted: t.Key == "" && t.Quoted, Remove: b.link(b.query.Without(i))})
	}
	for _, d := range []struct{ key, text, from, to string }{{"from", b.from, "", b.to}, {"to", b.to, b.from, ""}} {
		if d.text != "" {
			all = append(all, templates.ChipView{Key: d.key, Text: d.text, Remove: templates.Local(query(historyPath, "q", b.query.String(), "from", d.from, "to", d.to))})
		}
	}
	return all
}

// value is what a term or facet asks for in words.
func (b searchBuilder) value(key, value string) string {
	switch {
	case key == "actor" && value == audit.ActorSystem:
		return "Gatehouse"
	case key == "actor" && value == audit.ActorOutside:
		return "Somebody at Composio"
	case key == "actor" && value == audit.ActorUnknown:
		return "Unknown people"
	case key == "actor" || key == "project":
		if name, ok := b.names[value]; ok {
			return name
		}
	}
	return value
}

var facetTitles = []struct{ key, title string }{
	{"actor", "Who"}, {"action", "What"}, {"project", "Project"}, {"toolkit", "Toolkit"}, {"outcome", "Outcome"},
}

// facets are the values that what was found has, each with a link that adds it.
func (b searchBuilder) facets() templates.FacetsView {
	v := templates.FacetsView{Found: b.found()}
	if b.summary.More {
		v.Of = "Counts are of the newest " + number(b.summary.Found) + "."
	}
	for _, f := range facetTitles {
		group := templates.FacetView{Title: f.title}
		for _, one := range b.summary.Facets[f.key] {
			group.Values = append(group.Values, b.facet(f.key, one))
		}
		if len(group.Values) > 0 {
			v.Groups = append(v.Groups, group)
		}
	}
	return v
}

func (b searchBuilder) facet(key string, f store.Facet) templates.FacetValueView {
	t := ql.Term{Key: key, Value: f.Value}
	text := b.value(key, f.Value)
	if key == "project" {
		for _, p := range b.projects {
			if p.ID == f.Value {
				t.Value = p.Slug
			}
		}
	}
	if key == "action" {
		text = actionName(f.Value)
	}
	v := templates.FacetValueView{Text: text, Count: number(f.Count), URL: b.link(b.query.With(t))}
	if b.query.Has(t) {
		at := slices.IndexFunc(b.query.Terms, func(u ql.Term) bool { return u.Key == t.Key && u.Value == t.Value && !u.Not })
		v.Chosen, v.URL = true, b.link(b.query.Without(at))
	}
	return v
}

// actionName is an action in a few words.
func actionName(action string) string {
	for _, a := range actionNames {
		if a.action == action {
			return a.name
		}
	}
	return action
}

func (b searchBuilder) found() string {
	if b.summary.More {
		return number(b.summary.Found) + "+ entries"
	}
	return plural(b.summary.Found, "entry", "entries")
}

// histogram is the chart of when it happened.
func (b searchBuilder) histogram() templates.HistogramView {
	v := templates.HistogramView{Drag: b.within(time.Time{}, time.Time{})}
	if b.summary.Found == 0 {
		return v
	}
	most := 1
	for _, bar := range b.summary.Bars {
		most = max(most, bar.Count)
	}
	for i, bar := range b.summary.Bars {
		last := bar.To.AddDate(0, 0, -1)
		one := templates.HistogramBarView{
			Label: bar.From.Format("Mon 2 Jan 2006"), From: day(bar.From), To: day(last), Count: number(bar.Count), URL: b.within(bar.From, last),
			X: strconv.Itoa(i * histogramStep), Height: strconv.Itoa((bar.Count*histogramHeight + most - 1) / most), Empty: bar.Count == 0,
		}
		one.Y = strconv.Itoa(histogramHeight - (bar.Count*histogramHeight+most-1)/most)
		if !last.Equal(bar.From) {
			one.Label = bar.From.Format("2 Jan") + " to " + last.Format("2 Jan 2006")
		}
		if bar.More {
			one.Count += "+"
		}
		v.Bars = append(v.Bars, one)
	}
	n := len(v.Bars)
	if n == 0 {
		return v
	}
	v.Width = strconv.Itoa(max(n, histogramFewest) * histogramStep)
	first, last := b.summary.Bars[0].From.Format("2 Jan 2006"), b.summary.Bars[n-1].To.AddDate(0, 0, -1).Format("2 Jan 2006")
	switch {
	case n >= histogramFewest:
		v.First, v.Middle, v.Last = first, b.summary.Bars[n/2].From.Format("2 Jan"), last
	case first == last:
		v.First = first
	default: // the bars stand at the left
		v.First = first + " to " + last
	}
	return v
}

// The field that bars are drawn in.
const (
	histogramStep   = 10
	histogramHeight = 100
	histogramFewest = 15 // bars that there is room for: few ones don't become walls
)

// mostOffered is how many people are offered.
const mostOffered = 60

// terms are what may be completed.
func (b searchBuilder) terms() []templates.OptionView {
	var all []templates.OptionView
	add := func(t ql.Term, text string) {
		all = append(all, templates.OptionView{Value: t.String(), Text: text})
	}
	for _, k := range ql.History.Keys {
		for i, value := range k.Values {
			add(ql.Term{Key: k.Name, Value: value}, cmp.Or(at(k.Helps, i), k.Help))
		}
	}
	for _, p := range b.projects {
		add(ql.Term{Key: "project", Value: p.Slug}, p.Name)
	}
	for _, a := range actionNames {
		add(ql.Term{Key: "action", Value: a.action}, a.name)
	}
	people := 0
	for _, id := range sortedKeys(b.names) {
		if strings.HasPrefix(id, "usr_") && people < mostOffered {
			people++
			add(ql.Term{Key: "actor", Value: b.names[id]}, "who did it")
		}
	}
	for _, f := range b.summary.Facets["toolkit"] {
		add(ql.Term{Key: "toolkit", Value: f.Value}, "toolkit")
	}
	for _, ago := range []string{"after:1d", "after:7d", "after:30d"} {
		all = append(all, templates.OptionView{Value: ago, Text: "lately"})
	}
	return all
}

func at(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return ""
}
