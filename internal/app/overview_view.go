package app

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

type projectState struct {
	mirror.Project
	configs *mirror.Snapshot
	drifts  map[string]mirror.Drift
}

// overviewBuilder turns what there is into the first page.
type overviewBuilder struct {
	now      time.Time
	reader   access.Reader
	projects []projectState
	open     []change.Request
	failing  []sink.Status // sinks
	perDay   []store.Bar
	sync     func(mirror.Project) templates.SyncView
}

func (b overviewBuilder) build() templates.OverviewView {
	if len(b.projects) == 0 {
		start := templates.EmptyView{Title: "No project yet", Text: "Gatehouse manages the auth configs of Composio projects. Add the first one with its API key."}
		if b.reader.May(access.ManageProjects) {
			start.Action = templates.LinkView{Text: "Add a project", URL: "/settings/projects"}
		} else {
			start.Text = "An admin has to add a Composio project first."
		}
		return templates.OverviewView{Start: start}
	}
	v := templates.OverviewView{Needs: b.needs()}
	toolkits := map[string]int{}
	for _, p := range b.projects {
		v.Projects = append(v.Projects, b.project(p))
		for a := range p.configs.All {
			toolkits[a.Toolkit]++
		}
	}
	v.Charts = []templates.BarsView{b.days(), topToolkits(toolkits)}
	return v
}

// needs lists what waits and what is wrong, the most urgent first.
func (b overviewBuilder) needs() []templates.NeedView {
	var out []templates.NeedView
	for _, r := range b.open {
		tone := "warn"
		if r.State == change.Failed {
			tone = "bad"
		}
		words := capital(r.State.Words()) + ":"
		if r.State == change.Applied {
			words = "To be reviewed:" // it was applied without approval
		}
		out = append(out, templates.NeedView{Tone: tone, Text: words, Link: templates.LinkView{Text: r.Title, URL: templates.Local(changePath(r.ID))}, Age: ago(r.UpdatedAt, b.now)})
	}
	for _, p := range b.projects {
		if p.Sync.Problem != "" {
			out = append(out, templates.NeedView{Tone: "bad", Text: "The last sync of " + p.Name + " failed. " + p.Sync.Problem, Age: ago(p.Sync.StartedAt, b.now)})
		}
		if p.ReadOnly {
			out = append(out, templates.NeedView{Tone: "warn", Text: "The API key of " + p.Name + " may only read, so nothing can be changed there."})
		}
		out = append(out, b.drift(p)...)
	}
	for _, k := range b.failing {
		out = append(out, templates.NeedView{
			Tone: "bad", Text: "History does not arrive: " + k.Health.Problem + " " + plural(int(k.Behind), "entry waits", "entries wait") + " for the sink",
			Link: templates.LinkView{Text: k.Name, URL: sinksPath}, Age: ago(k.Since, b.now),
		})
	}
	return out
}

// driftsShown is how many drifts of a project stand on the overview.
const driftsShown = 5

// drift lists what was changed outside in a project, the loudest first.
func (b overviewBuilder) drift(p projectState) []templates.NeedView {
	var out []templates.NeedView
	more := 0
	for _, d := range loudest(p.drifts, p.Environment) {
		switch {
		case !d.Open():
		case len(out) == driftsShown:
			more++
		default:
			severity := severityBadge(d.Severity(p.Environment))
			name := d.Name
			if name == "" {
				name = d.Config
			}
			out = append(out, templates.NeedView{
				Tone: cmp.Or(severity.Tone, "info"), Text: severity.Text + " drift in " + p.Name + ":", Age: ago(d.FoundAt, b.now),
				Link: templates.LinkView{Text: name, URL: driftURL(p.Project, d)},
			})
		}
	}
	if more > 0 {
		out = append(out, templates.NeedView{Tone: "warn", Text: number(more) + " more drifted in " + p.Name + ".", Link: templates.LinkView{Text: "See them", URL: templates.Local(driftsPath(p.Slug))}})
	}
	return out
}

func (b overviewBuilder) project(p projectState) templates.ProjectSummaryView {
	connections := 0
	for a := range p.configs.All {
		connections += a.Connections
	}
	path := configsPath(p.Slug)
	sync := b.sync(p.Project)
	sync.Now = templates.FormView{}
	return templates.ProjectSummaryView{
		Name: p.Name, URL: templates.Local(path), Environment: environment(p.Project), Configs: number(p.configs.Len()), Connections: number(connections),
		Disabled: templates.LinkView{Text: number(p.configs.Find(mirror.Query{Limit: 0}).Disabled), URL: templates.Local(path + "?status=disabled")}, Sync: sync,
	}
}

// days charts how much happened on each of the last days.
func (b overviewBuilder) days() templates.BarsView {
	var bars []bar
	for i, n := range b.perDay {
		day := b.now.Add(-time.Duration(len(b.perDay)-1-i) * 24 * time.Hour)
		short := ""
		if i%3 == 1 {
			short = day.Format("2 Jan")
		}
		bars = append(bars, bar{day.Format("Mon 2 Jan"), short, n.Count, n.More})
	}
	return barsView("History entries per day", "Day", "Entries", bars)
}

func topToolkits(count map[string]int) templates.BarsView {
	names := sortedKeys(count)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	var bars []bar
	for _, name := range names[:min(7, len(names))] {
		short := name
		if r := []rune(name); len(r) > 8 {
			short = string(r[:7]) + "…"
		}
		bars = append(bars, bar{name, short, count[name], false})
	}
	return barsView("Auth configs by toolkit", "Toolkit", "Auth configs", bars)
}

type bar struct {
	label, short string
	n            int
	more         bool // there are more than that
}

// barsView places bars in a field of 320 by 120, of which 100 is for the bars.
func barsView(title, label, unit string, bars []bar) templates.BarsView {
	v := templates.BarsView{Title: title, Label: label, Unit: unit}
	most := 1
	for _, b := range bars {
		most = max(most, b.n)
	}
	place := func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
	step := 320 / float64(max(1, len(bars)))
	for i, b := range bars {
		height := 92 * float64(b.n) / float64(most)
		if b.n > 0 {
			height = max(height, 2)
		}
		count := number(b.n)
		if b.more {
			count += "+"
		}
		v.Bars = append(v.Bars, templates.BarView{
			Label: b.label, Short: b.short, Count: count, X: place(float64(i)*step + step*0.15), W: place(step * 0.7),
			Y: place(100 - height), H: place(height), Mid: place(float64(i)*step + step/2),
		})
	}
	return v
}
