package composio

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"slices"
)

// A ToolkitsService reads the catalogue of toolkits.
type ToolkitsService struct{ c *Client }

// A Toolkit is an entry of the catalogue. ManagedSchemes is a claim: a managed
// create may be refused all the same when Composio's app was withdrawn.
type Toolkit struct {
	Slug           string      `json:"slug"`
	Name           string      `json:"name"`
	Meta           ToolkitMeta `json:"meta"`
	AuthSchemes    []string    `json:"auth_schemes"`
	ManagedSchemes []string    `json:"composio_managed_auth_schemes"`
	NoAuth         bool        `json:"no_auth"`
	AuthGuideURL   string      `json:"auth_guide_url"`
}

// ToolkitMeta describes a toolkit.
type ToolkitMeta struct {
	Description string     `json:"description"`
	Categories  []Category `json:"categories"`
	ToolsCount  float64    `json:"tools_count"`
	Version     string     `json:"version"`
}

// A Category groups toolkits. Its id is called id in lists and slug in details.
type Category struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// A ToolkitQuery narrows the catalogue.
type ToolkitQuery struct {
	Category          string
	Search            string // at least 3 characters
	IncludeDeprecated bool
}

const maxToolkitPage = 1000

// List iterates over the catalogue.
func (s *ToolkitsService) List(ctx context.Context, q ToolkitQuery) iter.Seq2[Toolkit, error] {
	v := url.Values{}
	if q.Category != "" {
		v.Set("category", q.Category)
	}
	if q.Search != "" {
		v.Set("search", q.Search)
	}
	if q.IncludeDeprecated {
		v.Set("include_deprecated", "true")
	}
	return listing(ctx, s.c, func(t Toolkit) string { return t.Slug }, maxToolkitPage, v, "toolkits")
}

// Categories iterates over the categories of the catalogue.
func (s *ToolkitsService) Categories(ctx context.Context) iter.Seq2[Category, error] {
	return listing(ctx, s.c, func(c Category) string { return c.ID }, maxToolkitPage, nil, "toolkits", "categories")
}

// A ToolkitDetail says what a toolkit's auth configs are made of.
type ToolkitDetail struct {
	Slug           string                   `json:"slug"`
	Name           string                   `json:"name"`
	Meta           ToolkitMeta              `json:"meta"`
	ManagedSchemes []string                 `json:"composio_managed_auth_schemes"`
	ManagedAuth    lenientList[ManagedAuth] `json:"composio_managed_auth"`
	Schemes        lenientList[SchemeSpec]  `json:"auth_config_details"`
	AuthGuideURL   string                   `json:"auth_guide_url"`
}

// ManagedAuth are the scopes that Composio's own app can ask for.
type ManagedAuth struct {
	Mode       string      `json:"mode"`
	Scopes     ScopeOffer  `json:"scopes"`
	UserScopes *ScopeOffer `json:"user_scopes"`
}

// A ScopeOffer lists scopes that are available.
type ScopeOffer struct {
	Available []string `json:"available"`
}

// A SchemeSpec describes one auth scheme of a toolkit.
type SchemeSpec struct {
	Mode        string `json:"mode"`
	Name        string `json:"name"`
	AuthHintURL string `json:"auth_hint_url"`
	Fields      struct {
		Creation   FieldGroup `json:"auth_config_creation"`         // given when the config is made
		Connection FieldGroup `json:"connected_account_initiation"` // given when a user connects
	} `json:"fields"`
}

// A FieldGroup are required and optional fields.
type FieldGroup struct {
	Required lenientList[FieldSpec] `json:"required"`
	Optional lenientList[FieldSpec] `json:"optional"`
}

// A FieldSpec describes one input. Type is an open set; mostly "string".
type FieldSpec struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Default     Text   `json:"default"`
	IsSecret    *bool  `json:"is_secret"`
}

// A Text is a string where the API may also send null, a number or a boolean.
type Text string

// UnmarshalJSON implements [json.Unmarshaler] and never fails.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = Text(s)
	case len(b) < 64 && b[0] != '{' && b[0] != '[':
		*t = Text(b)
	}
	return nil
}

// Get returns one toolkit with its fields. An unknown slug is a 404.
func (s *ToolkitsService) Get(ctx context.Context, slug string) (ToolkitDetail, error) {
	var t ToolkitDetail
	if CheckID(slug) != nil || slices.Contains([]string{"categories", "multi", "changelog"}, slug) {
		return t, &Error{Status: 404, Message: "no such toolkit"}
	}
	err := s.c.read(ctx, &t, nil, "toolkits", slug)
	if err == nil && t.Slug == "" {
		err = &TransportError{Sent: true, Err: errors.New("the toolkit came without a slug")}
	}
	return t, err
}
