package composio

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// A ToolsService reads the tools of toolkits.
type ToolsService struct{ c *Client }

// A Tool is an action that a toolkit offers.
type Tool struct {
	Slug        string   `json:"slug"` // upper case
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Scopes      []string `json:"scopes"`
	Tags        []string `json:"tags"`
	Deprecated  bool     `json:"is_deprecated"`
}

// List iterates over the tools of a toolkit by slug, deprecated ones left out.
func (s *ToolsService) List(ctx context.Context, toolkit string) iter.Seq2[Tool, error] {
	v := url.Values{"toolkit_slug": {toolkit}, "include_deprecated": {"false"}, "toolkit_versions": {"latest"}}
	return listing(ctx, s.c, func(t Tool) string { return t.Slug }, maxToolkitPage, v, "tools")
}

// RequiredScopes are the scopes that a set of tools needs.
type RequiredScopes struct {
	All     []string         `json:"scopes_required"`
	PerTool []ToolScopeNeeds `json:"per_tool_requirements"`
}

// ToolScopeNeeds are the scopes that one tool needs: all of them, where one
// entry may be satisfied by any of its alternatives.
type ToolScopeNeeds struct {
	Tool         string `json:"tool"`
	Requirements *struct {
		AllOf lenientList[AnyOf] `json:"all_of"`
	} `json:"scope_requirements"`
}

// AnyOf is a choice between scopes.
type AnyOf struct {
	AnyOf []string `json:"any_of"`
}

// RequiredScopes returns what the tools, all of one toolkit, need. It is a POST
// that changes nothing, so it is repeated like a read.
func (s *ToolsService) RequiredScopes(ctx context.Context, tools []string) (RequiredScopes, error) {
	var out RequiredScopes
	err := s.c.repeat(ctx, call{
		method: http.MethodPost,
		path:   []string{"tools", "scopes", "required"},
		body:   object{"tools": tools},
	}, &out)
	return out, err
}
