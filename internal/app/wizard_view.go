package app

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// A stepLink is what was chosen in a step, and where to choose again.
type stepLink struct{ value, path string }

var stepNames = [...]string{"Toolkit", "Whose app", "Scheme", "Fields", "Scopes", "Tools", "Review"}

// wizardSteps lists the steps; those before the current one are done.
func wizardSteps(current int, chosen []stepLink) []templates.StepView {
	out := make([]templates.StepView, len(stepNames))
	for i, name := range stepNames {
		out[i] = templates.StepView{Name: name, Done: i < current, Current: i == current}
		if i < len(chosen) && chosen[i].value != "" {
			out[i].Value, out[i].URL = chosen[i].value, templates.Local(chosen[i].path)
		}
	}
	return out
}

// galleryMost is how many toolkits the gallery shows at a time.
const galleryMost = 60

func galleryView(all []mirror.Toolkit, snapshot *mirror.Snapshot, text, category string, path func(slug string) string) templates.GalleryView {
	v := templates.GalleryView{
		Query: text, Active: text+category != "", Categories: []templates.OptionView{{Text: "All categories"}},
		ByName: templates.InputView{Name: "toolkit", Label: "Or by its slug", Hint: "Deprecated and custom toolkits aren't listed, but can still be configured.", Code: true},
		Empty:  templates.EmptyView{Title: "No toolkit found", Text: "Try another word, or enter the toolkit's slug."},
	}
	if len(all) == 0 {
		v.Empty = templates.EmptyView{Title: "The catalogue has not been read yet", Text: "Gatehouse reads it in the background. You can enter a toolkit's slug meanwhile."}
	}
	categories, existing := map[string]bool{}, map[string]int{}
	for a := range snapshot.All {
		existing[a.Toolkit]++
	}
	shown := 0
	for _, t := range all {
		for _, k := range t.Categories {
			categories[k] = true
		}
		if !toolkitMatches(t, text, category) {
			continue
		}
		if shown++; shown <= galleryMost {
			v.Toolkits = append(v.Toolkits, toolkitCard(t, existing[t.Slug], path(t.Slug)))
		}
	}
	for _, k := range sortedKeys(categories) {
		v.Categories = append(v.Categories, templates.OptionView{Value: k, Text: k, Selected: k == category})
	}
	v.Note = plural(shown, "toolkit", "toolkits")
	if shown > galleryMost {
		v.Note += "; the first " + strconv.Itoa(galleryMost) + " are shown. Search for others."
	}
	return v
}

func toolkitMatches(t mirror.Toolkit, text, category string) bool {
	if category != "" && !slices.Contains(t.Categories, category) {
		return false
	}
	hay := strings.ToLower(t.Name + " " + t.Slug + " " + t.Description + " " + strings.Join(t.Categories, " "))
	for _, w := range strings.Fields(strings.ToLower(text)) {
		if !strings.Contains(hay, w) {
			return false
		}
	}
	return true
}

func toolkitCard(t mirror.Toolkit, existing int, path string) templates.ToolkitCardView {
	v := templates.ToolkitCardView{Name: t.Name, Slug: t.Slug, Text: t.Description, Avatar: avatar(t.Slug, t.Name)}
	if len(t.ManagedSchemes) > 0 {
		v.Badges = append(v.Badges, templates.BadgeView{Text: "Composio's app", Tone: "accent"})
	}
	for _, s := range t.Schemes {
		if len(v.Badges) < 3 && s != "NO_AUTH" {
			v.Badges = append(v.Badges, templates.BadgeView{Text: s})
		}
	}
	if existing > 0 {
		v.Existing = number(existing) + " here"
	}
	if !t.Creatable() {
		v.Why = "Needs no authentication, so no auth config."
		return v
	}
	v.URL = templates.Local(path)
	return v
}

func schemesView(t mirror.ToolkitDetail, path func(managed, scheme string) string) templates.SchemesView {
	v := templates.SchemesView{Title: "New auth config for " + t.Name}
	if !t.Creatable() {
		v.Notice = templates.NoticeView{Tone: "info", Text: t.Name + " needs no authentication, so it can't have an auth config. Its tools work without one."}
		return v
	}
	for _, mode := range t.ManagedSchemes {
		v.Choices = append(v.Choices, templates.SchemeView{
			Title: "Composio's app, " + mode, URL: templates.Local(path("true", mode)), Badge: templates.BadgeView{Text: "Quickest", Tone: "accent"},
			Text: "Nothing to register. Users see Composio's name, and only the scopes that Composio's app was approved for work.",
		})
	}
	for _, s := range t.SchemeSpecs {
		if s.Mode == "NO_AUTH" {
			continue
		}
		v.Choices = append(v.Choices, templates.SchemeView{Title: "Your own credentials, " + s.Mode, Text: schemeText(s), URL: templates.Local(path("false", s.Mode))})
	}
	if len(t.ManagedSchemes) == 0 {
		v.Notice = templates.NoticeView{Tone: "info", Text: "Composio has no app of its own for " + t.Name + "."}
	}
	return v
}

func schemeText(s mirror.Scheme) string {
	var needs []string
	for _, f := range s.Fields {
		if f.Required {
			needs = append(needs, f.Label)
		}
	}
	if len(needs) > 0 {
		return "You need: " + strings.Join(needs, ", ") + "."
	}
	var users []string
	for _, f := range s.ConnectionFields {
		if f.Required {
			users = append(users, f.Label)
		}
	}
	if len(users) > 0 {
		return "Nothing is needed now. Each user gives, when connecting: " + strings.Join(users, ", ") + "."
	}
	return "Nothing else is needed."
}

func suggestedName(slug string, p mirror.Project) string {
	return slug + "-" + map[string]string{mirror.Production: "prod", mirror.Staging: "staging", mirror.Development: "dev"}[p.Environment]
}

// detailsBuilder makes the form with everything that is no credential.
type detailsBuilder struct {
	toolkit mirror.ToolkitDetail
	scheme  string
	managed bool
	tools   []mirror.Tool
	typed   url.Values // nil at first
	wrong   map[string]string
	suggest string
	live    mirror.Values // of an edit
}

// value is what a field is filled with: what was typed, what is live, or the
// toolkit's default.
func (b detailsBuilder) value(name, instead string) string {
	if b.typed != nil {
		return b.typed.Get("field." + name)
	}
	if b.live != nil {
		separator := ""
		if mirror.ListField(name) {
			separator = "\n"
		}
		return strings.Join(b.live[name], separator)
	}
	return instead
}

func (b detailsBuilder) input(name, label, instead, hint string) templates.InputView {
	return templates.InputView{Name: "field." + name, Label: label, Value: b.value(name, instead), Hint: hint, Complaint: b.wrong[name]}
}

// create is the form of the wizard.
func (b detailsBuilder) create() templates.DetailsView {
	name := b.input(mirror.FieldName, "Name", b.suggest, "What your team calls it, such as github-prod.")
	name.Required = true
	v := templates.DetailsView{Fields: []templates.InputView{name}}
	scheme, _ := b.toolkit.Scheme(b.scheme)
	if !b.managed {
		for _, f := range scheme.Fields {
			if !change.Editable(false, f.Name) || f.Name == mirror.FieldScopes || f.Name == mirror.FieldUserScopes {
				continue
			}
			instead := f.Default
			if f.Name == mirror.FieldRedirectURI {
				instead = "" // catalogues still name the callback of API v1; Composio fills in today's
			}
			in := b.input(f.Name, f.Label, instead, f.Description)
			in.Required, in.Optional, in.Code = f.Required, !f.Required, true
			v.Fields = append(v.Fields, in)
		}
	}
	b.lists(&v, scheme)
	if url := scheme.HintURL; url != "" {
		v.Guide = templates.ExternalView{Text: "How to get these for " + b.toolkit.Name, URL: url}
	} else if b.toolkit.GuideURL != "" {
		v.Guide = templates.ExternalView{Text: "Guide for " + b.toolkit.Name, URL: b.toolkit.GuideURL}
	}
	return v
}

// lists adds scopes and tools, with suggestions.
func (b detailsBuilder) lists(v *templates.DetailsView, scheme mirror.Scheme) {
	app, _ := b.toolkit.App(b.scheme)
	defaults := map[string]string{}
	for _, f := range scheme.Fields {
		defaults[f.Name] = f.Default
	}
	if b.hasScopes(scheme, mirror.FieldScopes) {
		hint := "Commas, spaces or lines between. " + b.emptied()
		offer := app.Scopes
		if !b.managed || len(offer) == 0 {
			offer = scopesOfTools(b.tools)
		}
		if b.managed {
			hint = "Only scopes that Composio's app was approved for work. " + b.emptied()
		}
		v.Scopes = append(v.Scopes, b.scopeInput(mirror.FieldScopes, "Scopes", defaults[mirror.FieldScopes], hint, offer))
	}
	if b.hasScopes(scheme, mirror.FieldUserScopes) || b.managed && len(app.UserScopes) > 0 {
		v.Scopes = append(v.Scopes, b.scopeInput(mirror.FieldUserScopes, "User scopes", defaults[mirror.FieldUserScopes], "What the app may do in the name of the user.", app.UserScopes))
	}
	v.Tools = append(v.Tools, b.toolInput(mirror.FieldTools, "Restrict to tools", "Leave it empty to allow all tools of the toolkit."))
}

// emptied says what an empty list of scopes means.
func (b detailsBuilder) emptied() string {
	if b.live != nil {
		return "Emptied, the list is cleared."
	}
	return "Leave it empty for the toolkit's defaults."
}

// hasScopes reports whether a config of this kind has a scope list at all.
func (b detailsBuilder) hasScopes(scheme mirror.Scheme, field string) bool {
	if len(b.live[field]) > 0 {
		return true
	}
	if b.managed {
		return field == mirror.FieldScopes
	}
	return slices.ContainsFunc(scheme.Fields, func(f mirror.Field) bool { return f.Name == field }) ||
		field == mirror.FieldScopes && strings.Contains(b.scheme, "OAUTH")
}

// offerMost is up to how many suggestions are listed to tick.
const offerMost = 200

func (b detailsBuilder) scopeInput(name, label, instead, hint string, offer []string) templates.ScopeInputView {
	in := b.input(name, label, instead, hint)
	in.Rows, in.Code = 3, true
	v := templates.ScopeInputView{Text: in, Name: "tick." + name, Caption: plural(len(offer), "scope", "scopes") + " to choose from"}
	if len(offer) > offerMost {
		return v
	}
	for _, o := range offer {
		v.Offer = append(v.Offer, templates.OptionView{Value: o, Text: o, Selected: slices.Contains(b.typed[v.Name], o)})
	}
	return v
}

func (b detailsBuilder) toolInput(name, label, hint string) templates.ToolInputView {
	in := b.input(name, label, "", hint)
	in.Rows, in.Code = 2, true
	v := templates.ToolInputView{Text: in, Name: "tick." + name, Caption: plural(len(b.tools), "tool", "tools") + " to choose from"}
	if len(b.tools) > offerMost {
		return v
	}
	for _, t := range b.tools {
		v.Offer = append(v.Offer, templates.ToolView{Slug: t.Slug, Name: t.Name, Scopes: strings.Join(t.Scopes, ", "), Checked: slices.Contains(b.typed[v.Name], t.Slug)})
	}
	return v
}

func scopesOfTools(tools []mirror.Tool) []string {
	all := map[string]bool{}
	for _, t := range tools {
		for _, s := range t.Scopes {
			all[s] = true
		}
	}
	return sortedKeys(all)
}

// reviewCreate is the last page of the wizard.
func reviewCreate(t mirror.ToolkitDetail, in detailsForm, complaint error) templates.ReviewView {
	spec := in.spec()
	v := templates.ReviewView{
		Title: "Create " + in.Fields[mirror.FieldName], Sub: "This is what Composio will be asked to make.",
		Diff:   templates.DiffView{Before: "Now", After: "Then"},
		Button: "Save and apply", Reason: reasonInput(in.Reason, complaint),
		SecretsHint: "They are sent to Composio once, are never shown again, and leave only a fingerprint here.",
	}
	v.Diff.Rows = append(v.Diff.Rows, templates.DiffRowView{Field: "Toolkit", After: t.Name}, templates.DiffRowView{Field: "Credentials", After: ownerLong(spec.Managed) + ", " + spec.Scheme})
	for _, name := range sortedKeys(spec.Fields) {
		if typed := strings.TrimSpace(spec.Fields[name]); typed != "" {
			v.Diff.Rows = append(v.Diff.Rows, diffRow(name, nil, splitTyped(name, typed)))
		}
	}
	if spec.Managed {
		return v
	}
	wrong := fieldComplaints(complaint)
	scheme, _ := t.Scheme(spec.Scheme)
	for _, f := range scheme.Fields {
		if change.Editable(false, f.Name) {
			continue
		}
		in := secretInput("secret.cred."+f.Name, f.Label, f.Description, wrong[f.Name])
		in.Required, in.Optional = f.Required && f.Default == "", !f.Required
		v.Credentials = append(v.Credentials, in)
	}
	v.Extra, v.ExtraHint = extraInputs(in, wrong), "Another credential, by its name"
	return v
}

// splitTyped shows a typed list as a list.
func splitTyped(name, typed string) []string {
	if !mirror.ListField(name) {
		return []string{typed}
	}
	return strings.FieldsFunc(typed, func(r rune) bool { return strings.ContainsRune(" ,\n\t\r", r) })
}

func secretInput(name, label, hint, complaint string) templates.InputView {
	return templates.InputView{Name: name, Label: label, Type: "password", Hint: hint, Complaint: complaint, Complete: "off", Code: true}
}

// extraInputs take credentials that the toolkit doesn't name.
func extraInputs(in detailsForm, wrong map[string]string) []templates.ExtraView {
	var out []templates.ExtraView
	for n := range 2 {
		i := strconv.Itoa(n)
		typed := in.ExtraNames[i]
		out = append(out, templates.ExtraView{
			Name:  templates.InputView{Name: "extra." + i, Label: "Name", Value: typed, Code: true, Complaint: wrong[typed]},
			Value: secretInput("secret.extra."+i, "Value", "", ""),
		})
	}
	return out
}

func reasonInput(typed string, complaint error) templates.InputView {
	v := templates.InputView{Name: "reason", Label: "Reason", Value: typed, Optional: true, Rows: 2, Hint: "Kept in History, for those who ask in a year."}
	if p := problem.Of(complaint); p != nil {
		v.Complaint = p.Fields["reason"]
	}
	return v
}
