package app

import (
	"maps"
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

func suggestedName(slug string, p mirror.Project, snapshot *mirror.Snapshot) string {
	first := slug + "-" + map[string]string{mirror.Production: "prod", mirror.Staging: "staging", mirror.Development: "dev"}[p.Environment]
	name := first
	for n := 2; named(snapshot, name) != ""; n++ {
		name = first + "-" + strconv.Itoa(n)
	}
	return name
}

// named is the id of a config of this name, whatever its case, or empty.
func named(snapshot *mirror.Snapshot, name string) string {
	name = strings.TrimSpace(name)
	for a := range snapshot.All {
		if strings.EqualFold(a.Name, name) {
			return a.ID
		}
	}
	return ""
}

// reviewCreate is the last page of the wizard.
func reviewCreate(t mirror.ToolkitDetail, in detailsForm, complaint error) templates.ReviewView {
	spec := in.spec()
	v := templates.ReviewView{
		Title: "Create " + in.Fields[mirror.FieldName], Sub: "This is what Composio will be asked to make.",
		Diff:   templates.DiffView{After: "Value"},
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
	all := strings.FieldsFunc(typed, func(r rune) bool { return strings.ContainsRune(" ,\n\t\r", r) })
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
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
		one := templates.ExtraView{
			Name:  templates.InputView{Name: "extra." + i, Label: "Name", Value: typed, Code: true, Complaint: wrong[typed]},
			Value: secretInput("secret.extra."+i, "Value", "", ""),
		}
		one.Value.ID = "extra-value-" + i
		out = append(out, one)
	}
	return out
}

// needReason makes a reason required where somebody has to agree.
func needReason(v *templates.InputView, approvals int) {
	if approvals > 0 {
		v.Optional, v.Required = false, true
	}
}

func reasonInput(typed string, complaint error) templates.InputView {
	v := templates.InputView{Name: "reason", Label: "Reason", Value: typed, Optional: true, Rows: 2, Hint: "Kept in History, for those who ask in a year."}
	if p := problem.Of(complaint); p != nil {
		v.Complaint = p.Fields["reason"]
	}
	return v
}
