package sandbox

import (
	"slices"
	"strings"
)

// baseVersion is what v3 pins toolkits to unless told otherwise; v3.1 takes the
// latest. It is the only difference between the two besides the default redirect
// address.
const baseVersion = "00000000_00"

// listTools answers by slug. Deprecated tools are listed unless told otherwise.
func listTools(s *Server, q *request) (any, *failure) {
	p := &query{q: q}
	keep := toolFilter{
		toolkits:  p.list("toolkit_slug"),
		slugs:     p.list("tool_slugs"),
		tags:      p.list("tags"),
		scopes:    p.list("scopes"),
		important: p.flag("important"),
		old:       p.flag("include_deprecated"),
		search:    strings.ToLower(or(p.text("query"), p.text("search"))),
	}
	configs := p.list("auth_config_ids")
	w := p.window(catalogLimit)
	if f := p.failure(); f != nil {
		return nil, f
	}
	for _, id := range configs {
		c := q.project.config(id)
		if c == nil {
			return nil, noAuthConfig(400)
		}
		keep.configs = append(keep.configs, c)
	}
	var found []*tool
	for _, t := range s.catalog.tools {
		if keep.matches(t) {
			found = append(found, t)
		}
	}
	return paged(s, w, found, func(t *tool) any { return t.view(q) }), nil
}

type toolFilter struct {
	toolkits, slugs, tags, scopes []string
	important, old                *bool
	search                        string
	configs                       []*AuthConfig
}

// matches tells whether a tool is wanted; slugs override everything else.
func (f toolFilter) matches(t *tool) bool {
	if f.slugs != nil {
		return slices.ContainsFunc(f.slugs, func(s string) bool { return strings.EqualFold(s, t.slug) })
	}
	has := func(list []string) func(string) bool {
		return func(s string) bool { return slices.Contains(list, s) }
	}
	switch {
	case f.toolkits != nil && !slices.ContainsFunc(f.toolkits, func(s string) bool { return strings.EqualFold(s, t.toolkit.Slug) }):
		return false
	case f.configs != nil && !slices.ContainsFunc(f.configs, t.servedBy):
		return false
	case f.tags != nil && !slices.ContainsFunc(f.tags, has(t.tags)):
		return false
	case f.scopes != nil && !slices.ContainsFunc(f.scopes, has(t.scopes())):
		return false
	case f.important != nil && *f.important != slices.Contains(t.tags, "important"):
		return false
	case f.old != nil && !*f.old && t.toolkit.Deprecated:
		return false
	}
	return f.search == "" || strings.Contains(strings.ToLower(t.slug+" "+t.name+" "+t.about), f.search)
}

// servedBy tells whether an auth config lets a tool be executed.
func (t *tool) servedBy(c *AuthConfig) bool {
	return c.Toolkit == t.toolkit.Slug && (len(c.ToolsForExecution) == 0 || slices.Contains(c.ToolsForExecution, t.slug))
}

func getTool(s *Server, q *request) (any, *failure) {
	t := s.catalog.byTool[strings.ToUpper(q.params[0])]
	if t == nil {
		return nil, noTool(q.params[0])
	}
	return t.view(q), nil
}

// requiredScopes answers which scopes a set of tools of one toolkit needs. It
// changes nothing, so that a read-only key may ask.
func requiredScopes(s *Server, q *request) (any, *failure) {
	body, f := readPayload(q.body)
	if f != nil {
		return nil, f
	}
	slugs, _ := body.texts("tools")
	if !body.has("tools") {
		body.complain("tools", "Required")
	}
	body.text("version")
	if f := body.failure(); f != nil {
		return nil, f
	}
	var tools []*tool
	each := []any{}
	for _, slug := range slugs {
		t := s.catalog.byTool[strings.ToUpper(slug)]
		if t == nil {
			return nil, noTool(slug)
		}
		if len(tools) > 0 && tools[0].toolkit != t.toolkit {
			return nil, invalid("Error in payload.tools: All tools must belong to the same toolkit")
		}
		tools = append(tools, t)
		each = append(each, map[string]any{"tool": t.slug, "scope_requirements": t.requirements()})
	}
	return map[string]any{"scopes_required": minimal(tools), "per_tool_requirements": each}, nil
}

// requirements is what has to be granted: all of a list whose entries are scopes
// or {"any_of": scopes}. It is null for tools that only know a list of scopes.
func (t *tool) requirements() any {
	if !t.structured {
		return nil
	}
	all := []any{}
	for _, term := range t.terms {
		if len(term) == 1 {
			all = append(all, term[0])
		} else {
			all = append(all, map[string]any{"any_of": term})
		}
	}
	return map[string]any{"all_of": all}
}

// view is a tool on the wire.
func (t *tool) view(q *request) any {
	v := t.toolkit.Version
	if q.version == "v3" {
		v = baseVersion
	}
	p := &query{q: q}
	switch asked := or(p.text("toolkit_versions["+t.toolkit.Slug+"]"), or(p.text("toolkit_versions"), p.text("version"))); asked {
	case "":
	case "latest":
		v = t.toolkit.Version
	default:
		v = asked
	}
	return map[string]any{
		"slug": t.slug, "name": t.name, "description": t.about, "human_description": t.about,
		"toolkit":          map[string]string{"slug": t.toolkit.Slug, "name": t.toolkit.Name, "logo": t.toolkit.logo},
		"input_parameters": t.inputs(), "output_parameters": outputs(),
		"no_auth": t.toolkit.NoAuth, "version": v, "available_versions": t.toolkit.versions(),
		"scopes": t.scopes(), "scope_requirements": t.requirements(), "tags": t.tags, "is_deprecated": t.toolkit.Deprecated,
		"deprecated": map[string]any{
			"displayName": t.name, "version": v, "available_versions": t.toolkit.versions(),
			"is_deprecated": t.toolkit.Deprecated, "toolkit": map[string]string{"logo": t.toolkit.logo},
		},
	}
}

func (t *tool) inputs() any {
	properties, required := map[string]any{}, []string{}
	for _, p := range t.params {
		properties[p.name] = map[string]string{"type": p.kind, "description": p.about}
		if p.name == "id" {
			required = append(required, p.name)
		}
	}
	return map[string]any{"type": "object", "title": t.name, "properties": properties, "required": required}
}

func outputs() any {
	return map[string]any{"type": "object", "properties": map[string]any{
		"data":       map[string]string{"type": "object", "description": "What the service answered"},
		"successful": map[string]string{"type": "boolean", "description": "Whether it worked"},
	}}
}
