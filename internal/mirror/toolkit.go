package mirror

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/composio"
)

// A Toolkit is an entry of a project's catalogue.
type Toolkit struct {
	Slug           string
	Name           string
	Description    string
	Categories     []string
	Schemes        []string
	ManagedSchemes []string // for which Composio claims to have an app
	NoAuth         bool
	Tools          int
}

// Creatable reports whether the toolkit can have auth configs at all: it can't
// when the only thing it needs is no authentication.
func (t Toolkit) Creatable() bool {
	if t.NoAuth && len(t.Schemes) == 0 {
		return false
	}
	return len(t.Schemes) == 0 || slices.ContainsFunc(t.Schemes, func(s string) bool { return s != "NO_AUTH" })
}

// A ToolkitDetail says what the auth configs of a toolkit are made of.
type ToolkitDetail struct {
	Toolkit
	SchemeSpecs []Scheme
	Managed     []ManagedApp
	GuideURL    string
	ReadAt      time.Time
}

// A Scheme is a way to authenticate with a toolkit.
type Scheme struct {
	Mode             string // such as OAUTH2; an open set
	HintURL          string
	Fields           []Field // for the auth config
	ConnectionFields []Field // given by each user when connecting
}

// A Field is one input of a scheme.
type Field struct {
	Name        string
	Label       string
	Type        string // mostly "string"; an open set
	Description string
	Required    bool
	Default     string
}

// A ManagedApp is Composio's own app for one scheme of a toolkit.
type ManagedApp struct {
	Mode       string
	Scopes     []string // that it may ask for
	UserScopes []string
}

// Scheme returns the toolkit's scheme of a mode.
func (t ToolkitDetail) Scheme(mode string) (Scheme, bool) {
	i := slices.IndexFunc(t.SchemeSpecs, func(s Scheme) bool { return s.Mode == mode })
	if i < 0 {
		return Scheme{}, false
	}
	return t.SchemeSpecs[i], true
}

// App returns Composio's own app for a scheme.
func (t ToolkitDetail) App(mode string) (ManagedApp, bool) {
	i := slices.IndexFunc(t.Managed, func(m ManagedApp) bool { return m.Mode == mode })
	if i < 0 {
		return ManagedApp{}, false
	}
	return t.Managed[i], true
}

// ScopeForm is how this toolkit writes scopes: as the default of its scopes
// field does, else with commas.
func (s Scheme) ScopeForm() composio.ScopeForm {
	for _, f := range s.Fields {
		if f.Name == FieldScopes && f.Default != "" {
			return composio.ParseScopes(f.Default).Form
		}
	}
	return composio.ScopeComma
}

// A Tool is an action that a toolkit offers.
type Tool struct {
	Slug        string
	Name        string
	Description string
	Scopes      []string
}

func toolkitFromAPI(t composio.Toolkit) Toolkit {
	return Toolkit{
		Slug: t.Slug, Name: t.Name, Description: t.Meta.Description,
		Categories: categoryNames(t.Meta.Categories), Schemes: t.AuthSchemes,
		ManagedSchemes: t.ManagedSchemes, NoAuth: t.NoAuth, Tools: int(t.Meta.ToolsCount),
	}
}

func categoryNames(cs []composio.Category) []string {
	var names []string
	for _, c := range cs {
		if c.Name != "" {
			names = append(names, strings.ToUpper(c.Name[:1])+c.Name[1:])
		}
	}
	return names
}

func detailFromAPI(t composio.ToolkitDetail, at time.Time) ToolkitDetail {
	d := ToolkitDetail{
		Toolkit: Toolkit{
			Slug: t.Slug, Name: t.Name, Description: t.Meta.Description,
			Categories: categoryNames(t.Meta.Categories), ManagedSchemes: t.ManagedSchemes,
			Tools: int(t.Meta.ToolsCount),
		},
		GuideURL: t.AuthGuideURL, ReadAt: at,
	}
	for _, s := range t.Schemes {
		d.Schemes = append(d.Schemes, s.Mode)
		d.NoAuth = d.NoAuth || s.Mode == "NO_AUTH"
		d.SchemeSpecs = append(d.SchemeSpecs, Scheme{
			Mode: s.Mode, HintURL: s.AuthHintURL,
			Fields:           fieldsFromAPI(s.Fields.Creation),
			ConnectionFields: fieldsFromAPI(s.Fields.Connection),
		})
	}
	for _, m := range t.ManagedAuth {
		app := ManagedApp{Mode: m.Mode, Scopes: m.Scopes.Available}
		if m.UserScopes != nil {
			app.UserScopes = m.UserScopes.Available
		}
		d.Managed = append(d.Managed, app)
	}
	return d
}

// fieldsFromAPI lists the required fields first. Which group a field stands in
// decides whether it is required, whatever its flag says.
func fieldsFromAPI(g composio.FieldGroup) []Field {
	var fields []Field
	add := func(specs []composio.FieldSpec, required bool) {
		for _, s := range specs {
			label := s.DisplayName
			if label == "" {
				label = s.Name
			}
			fields = append(fields, Field{Name: s.Name, Label: label, Type: s.Type, Description: s.Description, Required: required, Default: string(s.Default)})
		}
	}
	add(g.Required, true)
	add(g.Optional, false)
	return fields
}
