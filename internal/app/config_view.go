package app

import (
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/mirror"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

func configHead(p mirror.Project, a mirror.AuthConfig, tab, open string, may bool) templates.ConfigHeadView {
	path := configPath(p.Slug, a.ID)
	v := templates.ConfigHeadView{
		ID: a.ID, Name: a.Name, Avatar: avatar(a.Toolkit, a.Toolkit), Toolkit: a.Toolkit + " · " + a.Scheme + " · " + owner(a.Managed), Status: statusBadge(a.Status),
	}
	if v.Name == "" {
		v.Name = a.ID
	}
	if open != "" {
		v.Request = templates.LinkView{Text: "See the change request", URL: templates.Local(changePath(open))}
	}
	if may {
		v.Edit, v.Delete = templates.Local(path+"/edit"), templates.Local(impactPath(p.Slug, a.ID, "delete"))
		v.Switch = templates.LinkView{Text: "Enable", URL: templates.Local(impactPath(p.Slug, a.ID, "enable"))}
		if a.Enabled() {
			v.Switch = templates.LinkView{Text: "Disable", URL: templates.Local(impactPath(p.Slug, a.ID, "disable"))}
		}
	}
	for _, t := range []struct{ name, path string }{{"Overview", ""}, {"Connections", "/connections"}, {"History", "/history"}, {"Versions", "/versions"}, {"Requests", "/requests"}} {
		v.Tabs = append(v.Tabs, templates.TabView{Text: t.name, URL: templates.Local(path + t.path), Current: t.name == tab})
	}
	return v
}

func configView(p mirror.Project, a mirror.AuthConfig, prints []store.Fingerprint, now time.Time) templates.ConfigView {
	v := templates.ConfigView{History: templates.Local(configPath(p.Slug, a.ID) + "/history"), Facts: configFacts(a, now)}
	v.Scopes = []templates.ScopeGroupView{{Values: a.Scopes.Values, None: noScopes(a.Scopes.Masked)}}
	if len(a.UserScopes.Values) > 0 || a.UserScopes.Masked {
		v.Scopes[0].Name = "Scopes"
		v.Scopes = append(v.Scopes, templates.ScopeGroupView{Name: "User scopes", Values: a.UserScopes.Values, None: noScopes(a.UserScopes.Masked)})
	}
	v.Tools = []templates.ScopeGroupView{{Name: "Restricted to tools", Values: a.Tools, None: "All tools of the toolkit."}}
	if len(a.ToolsForExecution) > 0 {
		v.Tools = append(v.Tools, templates.ScopeGroupView{Name: "Tools available for execution", Values: a.ToolsForExecution})
	}
	if len(a.ToolsForConnection) > 0 {
		v.Tools = append(v.Tools, templates.ScopeGroupView{Name: "Tools that scopes were derived from", Values: a.ToolsForConnection})
	}
	v.Credentials, v.NoSecrets = credentialViews(a, prints, now)
	return v
}

func noScopes(masked bool) string {
	if masked {
		return "Composio hides them."
	}
	return "None beyond the toolkit's defaults."
}

func configFacts(a mirror.AuthConfig, now time.Time) []templates.FactView {
	facts := []templates.FactView{
		{Name: "Toolkit", Text: a.Toolkit},
		{Name: "Scheme", Text: orNone(a.Scheme)},
		{Name: "Credentials", Text: ownerLong(a.Managed)},
	}
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, templates.FactView{Name: name, Text: text})
		}
	}
	if a.ClientID != "" {
		facts = append(facts, templates.FactView{Name: "Client ID", Code: a.ClientID})
	}
	if a.ConsumerKey != "" {
		facts = append(facts, templates.FactView{Name: "Consumer key", Code: a.ConsumerKey})
	}
	if a.RedirectURI != "" {
		facts = append(facts, templates.FactView{Name: "Redirect URI", Code: a.RedirectURI})
	}
	add("Proxy", a.ProxyURL)
	if a.ToolRouter != nil {
		add("Tool router", yesNo(*a.ToolRouter))
	}
	if a.GuideURL != "" {
		facts = append(facts, templates.FactView{Name: "Guide", Link: templates.ExternalView{Text: "How to set up " + a.Toolkit, URL: a.GuideURL}})
	}
	created := ago(a.CreatedAt, now)
	if a.CreatedAt.IsZero() {
		created.Text = "unknown"
	}
	facts = append(facts, templates.FactView{Name: "Created", Time: created})
	add("Created by", a.CreatedBy)
	return append(facts,
		templates.FactView{Name: "Last change at Composio", Time: ago(a.UpdatedAt, now)},
		templates.FactView{Name: "Last change known here", Text: strings.TrimSpace(exact(a.Seen.ChangedAt).Text + " " + changedBy(a.Seen))})
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func orNone(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// credentialViews lists what is set: by us with fingerprint and date, by others
// with its name alone.
func credentialViews(a mirror.AuthConfig, prints []store.Fingerprint, now time.Time) (views []templates.CredentialView, none string) {
	by := map[string]store.Fingerprint{}
	for _, f := range prints {
		by[f.Field] = f
	}
	names := a.Values()[mirror.FieldCredentials]
	for _, f := range slices.Sorted(maps.Keys(by)) {
		if !slices.Contains(names, f) {
			names = append(names, f)
		}
	}
	for _, name := range names {
		v := templates.CredentialView{Name: fieldLabel(name)}
		if f, ok := by[name]; ok {
			v.Fingerprint, v.SetAt, v.SetBy = f.Fingerprint, ago(f.SetAt, now), f.SetBy
		}
		views = append(views, v)
	}
	if a.Managed {
		return views, "Composio's own app is used; there is nothing of yours to keep."
	}
	return views, "None. Each user gives theirs when connecting."
}

func connectionCounts(all mirror.Connections) templates.StatusCountsView {
	v := templates.StatusCountsView{Total: plural(all.Total, "connection", "connections")}
	if all.Total == 0 {
		v.Text = "Nobody is connected through it."
	}
	for _, status := range slices.Sorted(maps.Keys(all.ByStatus)) {
		b := connectionBadge(status)
		v.Counts = append(v.Counts, templates.CountView{Name: b.Text, Tone: b.Tone, Count: number(all.ByStatus[status])})
	}
	return v
}

func connectionBadge(status string) templates.BadgeView {
	b := templates.BadgeView{Text: capital(strings.ToLower(status))}
	switch status {
	case "ACTIVE":
		b.Tone = "good"
	case "FAILED", "EXPIRED", "REVOKED":
		b.Tone = "bad"
	case "INITIATED", "INITIALIZING":
		b.Tone = "info"
	}
	return b
}

func connectionRows(all mirror.Connections, now time.Time) []templates.ConnectionView {
	rows := make([]templates.ConnectionView, len(all.Newest))
	for i, one := range all.Newest {
		rows[i] = templates.ConnectionView{ID: one.ID, User: one.UserID, Status: connectionBadge(one.Status), Reason: one.StatusReason, Changed: ago(one.UpdatedAt, now)}
	}
	return rows
}

// diffRow shows one field before and after.
func diffRow(name string, before, after []string) templates.DiffRowView {
	row := templates.DiffRowView{Field: fieldLabel(name), List: mirror.ListField(name) || len(before) > 1 || len(after) > 1}
	if !row.List {
		row.Before, row.After = strings.Join(before, ", "), strings.Join(after, ", ")
		return row
	}
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
