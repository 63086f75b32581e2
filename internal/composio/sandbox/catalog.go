package sandbox

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// toolkitData lists the toolkits and, in shorthand, their tools. Slugs, names,
// schemes and fields are those of the real catalogue where they are known;
// toolkits whose slug starts with synthetic_ are invented, so that every scheme
// and every kind of field has an example.
//
//go:embed toolkits.json
var toolkitData []byte

// Where the real API sends the browser back to after consent. Configs made
// through v3.1 get the newer address (changelog of 2026-05-19).
const (
	legacyRedirect  = "https://backend.composio.dev/api/v1/auth-apps/add"
	currentRedirect = "https://backend.composio.dev/api/v3.1/toolkits/auth/callback"
)

type category struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// A toolkit is one entry of the data file; the wire shapes are made from it.
type toolkit struct {
	Slug       string            `json:"slug"`
	Name       string            `json:"name"`
	About      string            `json:"about"`
	Categories []string          `json:"categories"`
	Version    string            `json:"version"`
	Created    string            `json:"created"`
	Triggers   int               `json:"triggers"`
	AppURL     string            `json:"app_url"`
	BaseURL    string            `json:"base_url"`
	NoAuth     bool              `json:"no_auth"`
	Deprecated bool              `json:"deprecated"`
	Schemes    []*scheme         `json:"schemes"`
	Nouns      map[string]string `json:"nouns"`
	Lines      []string          `json:"tools"`

	logo  string
	guide string
	hint  string
	tools []*tool
}

// A scheme is one way of signing in to a toolkit. A hidden one is accepted on
// create but no longer advertised, like BEARER_TOKEN of gmail since 2025-12-31.
type scheme struct {
	Mode             string   `json:"mode"`
	Name             string   `json:"name"`
	Managed          bool     `json:"managed"`
	Hidden           bool     `json:"hidden"`
	Scopes           string   `json:"scopes"`
	Available        []string `json:"available"`
	UserAvailable    []string `json:"user_available"`
	AuthorizationURL string   `json:"authorization_url"`
	TokenURL         string   `json:"token_url"`
	Create           []field  `json:"create"`
	Connect          []field  `json:"connect"`
}

type field struct {
	Name     string `json:"name"`
	Label    string `json:"label"`
	Type     string `json:"type"`
	About    string `json:"about"`
	Default  string `json:"default"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"`
}

// A catalog holds all toolkits and tools. Nothing changes it once it is made.
type catalog struct {
	categories []category
	toolkits   []*toolkit // the most used first
	bySlug     map[string]*toolkit
	tools      []*tool // by slug
	byTool     map[string]*tool
}

func newCatalog() (*catalog, error) {
	var data struct {
		Categories []category `json:"categories"`
		Toolkits   []*toolkit `json:"toolkits"`
	}
	if err := json.Unmarshal(toolkitData, &data); err != nil {
		return nil, fmt.Errorf("read toolkits: %w", err)
	}
	c := &catalog{categories: data.Categories, bySlug: map[string]*toolkit{}, byTool: map[string]*tool{}}
	for _, t := range data.Toolkits {
		if err := c.add(t); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add completes a toolkit from its shorthand and takes it in.
func (c *catalog) add(t *toolkit) error {
	if c.bySlug[t.Slug] != nil {
		return fmt.Errorf("toolkit %q appears twice", t.Slug)
	}
	t.logo = "https://logos.composio.dev/api/" + t.Slug
	if !t.NoAuth {
		t.guide = "https://docs.composio.dev/toolkits/" + t.Slug
	}
	for _, s := range t.Schemes {
		s.complete()
		if slices.ContainsFunc(s.Connect, func(f field) bool { return f.Secret }) {
			t.hint = t.guide + "#credentials"
		}
	}
	tools, err := makeTools(t)
	if err != nil {
		return fmt.Errorf("tools of %s: %w", t.Slug, err)
	}
	t.tools = tools
	t.widen()
	c.toolkits = append(c.toolkits, t)
	c.bySlug[t.Slug] = t
	for _, tool := range tools {
		c.byTool[tool.slug] = tool
	}
	c.tools = append(c.tools, tools...)
	slices.SortFunc(c.tools, func(a, b *tool) int { return strings.Compare(a.slug, b.slug) })
	return nil
}

// complete adds the fields every scheme of a kind has, and fills in labels.
func (s *scheme) complete() {
	if s.Mode == "OAUTH2" || s.Mode == "S2S_OAUTH2" {
		app := []field{
			{Name: "client_id", About: "Client id of the app", Required: true},
			{Name: "client_secret", About: "Client secret of the app", Required: true, Secret: true},
		}
		s.Create = append(app, s.Create...)
	}
	if s.Mode == "OAUTH2" {
		s.Create = append(s.Create,
			field{Name: "oauth_redirect_uri", Label: "Redirect URI", About: "Address to allow in the settings of the app", Default: legacyRedirect},
			field{Name: "scopes", About: "Scopes to ask a user for", Default: s.Scopes})
	}
	for _, fields := range [][]field{s.Create, s.Connect} {
		for i := range fields {
			f := &fields[i]
			if f.Label == "" {
				f.Label = strings.ToUpper(f.Name[:1]) + strings.ReplaceAll(f.Name[1:], "_", " ")
			}
			if f.Type == "" {
				f.Type = "string"
			}
		}
	}
}

// widen makes sure that the ceiling of a managed app covers its own defaults
// and every tool of the toolkit.
func (t *toolkit) widen() {
	for _, s := range t.Schemes {
		if !s.Managed {
			continue
		}
		s.Available = union(s.Available, splitScopes(s.Scopes))
		for _, tool := range t.tools {
			s.Available = union(s.Available, tool.scopes())
		}
	}
}

// union appends to a what it lacks of b.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// splitScopes reads scopes in either of the forms in use: separated by commas
// or by spaces.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// toolkit finds a toolkit by slug in any case: documented examples also pass
// upper case.
func (c *catalog) toolkit(slug string) *toolkit {
	return c.bySlug[strings.ToLower(slug)]
}

// scheme finds a scheme of the toolkit, hidden ones too.
func (t *toolkit) scheme(mode string) *scheme {
	for _, s := range t.Schemes {
		if s.Mode == mode {
			return s
		}
	}
	return nil
}

// managed is the scheme Composio's own app offers, nil where there is none.
func (t *toolkit) managed() *scheme {
	for _, s := range t.Schemes {
		if s.Managed {
			return s
		}
	}
	return nil
}

// shown are the schemes the catalogue advertises.
func (t *toolkit) shown() []*scheme {
	var out []*scheme
	for _, s := range t.Schemes {
		if !s.Hidden {
			out = append(out, s)
		}
	}
	return out
}

// readable tells whether a credential field may be kept in clear: ids of apps,
// scopes, redirect addresses, and what the toolkit's metadata knows not to be
// secret.
func (t *toolkit) readable(mode, name string) bool {
	switch name {
	case "scopes", "user_scopes", "oauth_redirect_uri", "client_id", "consumer_key":
		return true
	}
	if t == nil {
		return false
	}
	s := t.scheme(mode)
	if s == nil {
		return false
	}
	for _, f := range slices.Concat(s.Create, s.Connect) {
		if f.Name == name {
			return !f.Secret
		}
	}
	return false
}
