package app

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/mirror"
	ql "gatehouse/internal/query"
	"gatehouse/web/templates"
)

// configsBuilder turns a project's snapshot into the list page.
type configsBuilder struct {
	project    mirror.Project
	base       string // path of the list
	query      mirror.Query
	now        time.Time
	open       map[string]string // config → open change request
	drifts     map[string]mirror.Drift
	mayPropose bool
	lookBack   bool
	dense      bool
}

func (b configsBuilder) build(snapshot *mirror.Snapshot) templates.ConfigsView {
	found := snapshot.Find(b.query)
	v := templates.ConfigsView{
		Filter: b.filter(snapshot.Facets()), Summary: summary(found), Columns: b.columns(),
		Rows: make([]templates.ConfigRowView, len(found.Configs)), Dense: b.dense,
		Density: templates.LinkView{Text: "Dense", URL: templates.Local(b.base + "?density=dense")},
		Pager:   b.pager(found),
	}
	if b.lookBack {
		v.AsOf = templates.Local(asOfPath(b.project.Slug))
	}
	if b.dense {
		v.Density = templates.LinkView{Text: "Roomy", URL: templates.Local(b.base + "?density=roomy")}
	}
	if b.mayPropose {
		v.Create, v.Bulk = templates.Local(b.base+"/new"), templates.Local(b.base+"/bulk")
	}
	for i, a := range found.Configs {
		b.row(&v.Rows[i], a)
	}
	v.Empty = b.empty(found, v.Create)
	return v
}

// mistaken is the list for a search that can't be read.
func (b configsBuilder) mistaken(wrong *ql.Error) templates.ConfigsView {
	v := templates.ConfigsView{Filter: b.filter(mirror.Facets{}), Wrong: wrongView(b.query.Text, wrong)}
	v.Filter.Help = helpView(ql.Configs, func(q ql.Query) templates.URL {
		return templates.Local(query(b.base, "q", q.String(), "sort", b.query.Sort))
	})
	v.Empty = templates.EmptyView{Title: "Nothing was searched", Text: "Say it differently, or clear the search.", Action: templates.LinkView{Text: "Clear the search", URL: templates.Local(b.base)}}
	return v
}

// summary counts disabled configs in words, since other tools hide them.
func summary(found mirror.Page) string {
	text := plural(found.Total, "auth config", "auth configs")
	if found.Disabled > 0 {
		text += ", " + number(found.Disabled) + " of them disabled"
	}
	if found.Matches != found.Total {
		text = number(found.Matches) + " found. In all " + text + "."
	}
	return text
}

func (b configsBuilder) row(v *templates.ConfigRowView, a *mirror.AuthConfig) {
	path := templates.Local(b.base + "/" + url.PathEscape(a.ID))
	*v = templates.ConfigRowView{
		ID: a.ID, Name: a.Name, URL: path, Avatar: avatar(a.Toolkit, a.Toolkit),
		Toolkit: a.Toolkit, Scheme: a.Scheme, Owner: owner(a.Managed), Connections: number(a.Connections),
		Status: statusBadge(a.Status), Changed: ago(a.Seen.ChangedAt, b.now), ChangedBy: changedBy(a.Seen),
	}
	if v.Name == "" {
		v.Name = a.ID
	}
	v.Badge = driftBadge(b.drifts, b.project, a.ID)
	if v.Badge.Text == "" && b.open[a.ID] != "" {
		v.Badge = templates.BadgeView{Text: "Open request", Tone: "info"}
	}
	if b.mayPropose {
		v.Switch, v.SwitchText = path+"/impact?do=enable", "Enable"
		if a.Enabled() {
			v.Switch, v.SwitchText = path+"/impact?do=disable", "Disable"
		}
	}
}

func changedBy(seen mirror.Seen) string {
	switch {
	case seen.ChangedVia == mirror.ViaOutside:
		return "outside Gatehouse"
	case seen.ChangedBy != "":
		return "by " + seen.ChangedBy
	}
	return ""
}

// link is the list in another order or on another page.
func (b configsBuilder) link(sort, after string) templates.URL {
	q := b.query
	return templates.Local(query(b.base, "q", q.Text, "toolkit", q.Toolkit, "scheme", q.Scheme,
		"status", strings.ToLower(q.Status), "managed", q.Managed, "sort", sort, "after", after))
}

func (b configsBuilder) columns() []templates.ColumnView {
	sort := b.query.Sort
	if sort == "" {
		sort = "name"
	}
	column := func(text, key string, num bool) templates.ColumnView {
		c := templates.ColumnView{Text: text, Num: num}
		if key == "" {
			return c
		}
		c.Sort = b.link(key, "")
		if key == sort {
			c.Order = "ascending"
			if key == "connections" || key == "changed" {
				c.Order = "descending"
			}
		}
		return c
	}
	return []templates.ColumnView{
		column("Name", "name", false), column("Toolkit", "toolkit", false), column("Scheme", "scheme", false), column("Credentials", "", false),
		column("Connections", "connections", true), column("Last change", "changed", false), column("Status", "status", false),
	}
}

func (b configsBuilder) filter(f mirror.Facets) templates.ConfigFilterView {
	q := b.query
	choose := func(all string, selected string, values ...templates.OptionView) []templates.OptionView {
		out := append([]templates.OptionView{{Text: all}}, values...)
		for i := range out {
			out[i].Selected = strings.EqualFold(out[i].Value, selected)
		}
		return out
	}
	plain := func(values []string) []templates.OptionView {
		out := make([]templates.OptionView, len(values))
		for i, v := range values {
			out[i] = templates.OptionView{Value: v, Text: v}
		}
		return out
	}
	return templates.ConfigFilterView{
		Action: templates.Local(b.base), Query: q.Text, Sort: q.Sort,
		Toolkits: choose("All toolkits", q.Toolkit, plain(f.Toolkits)...),
		Schemes:  choose("All schemes", q.Scheme, plain(f.Schemes)...),
		Statuses: choose("Enabled and disabled", q.Status, templates.OptionView{Value: "enabled", Text: "Enabled"}, templates.OptionView{Value: "disabled", Text: "Disabled"}),
		Owners:   choose("Any credentials", q.Managed, templates.OptionView{Value: "managed", Text: "Managed"}, templates.OptionView{Value: "own", Text: "Own"}),
		Active:   q.Text+q.Toolkit+q.Scheme+q.Status+q.Managed != "",
		Clear:    templates.Local(query(b.base, "sort", q.Sort)),
	}
}

func (b configsBuilder) pager(found mirror.Page) templates.PagerView {
	v := templates.PagerView{Text: number(found.Position+1) + "–" + number(found.Position+len(found.Configs)) + " of " + number(found.Matches)}
	if found.Next != "" {
		v.Next = b.link(b.query.Sort, found.Next)
	}
	if found.HasPrevious {
		v.Previous = b.link(b.query.Sort, found.Previous)
	}
	return v
}

func (b configsBuilder) empty(found mirror.Page, create templates.URL) templates.EmptyView {
	switch {
	case found.Total > 0:
		return templates.EmptyView{Title: "Nothing matches", Text: "None of the " + strconv.Itoa(found.Total) + " auth configs fits this search. Disabled ones are included.", Action: templates.LinkView{Text: "Clear the search", URL: templates.Local(b.base)}}
	case b.project.Sync.OKAt.IsZero():
		return templates.EmptyView{Title: "Nothing has been read yet", Text: "Gatehouse reads this project from Composio in the background. The list fills as soon as that is done."}
	}
	v := templates.EmptyView{Title: "No auth configs yet", Text: "An auth config connects a toolkit, such as GitHub or Gmail, with the OAuth app or API credentials that your users go through."}
	if create != "" {
		v.Action = templates.LinkView{Text: "New auth config", URL: create}
	}
	return v
}
