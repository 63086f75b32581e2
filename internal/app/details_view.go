package app

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

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
