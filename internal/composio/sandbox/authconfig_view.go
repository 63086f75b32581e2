package sandbox

import "time"

// A configView is an auth config on the wire.
type configView struct {
	ID            string         `json:"id"`
	UUID          string         `json:"uuid"`
	Type          string         `json:"type"`
	Toolkit       configToolkit  `json:"toolkit"`
	Name          string         `json:"name"`
	Status        string         `json:"status"`
	Connections   int            `json:"no_of_connections"`
	Tools         toolAccess     `json:"tool_access_config"`
	Scheme        string         `json:"auth_scheme"`
	Managed       bool           `json:"is_composio_managed"`
	Credentials   map[string]any `json:"credentials"`
	Proxy         *proxyView     `json:"proxy_config"`
	CreatedBy     string         `json:"created_by"`
	CreatedAt     string         `json:"created_at"`
	UpdatedAt     string         `json:"last_updated_at"`
	InputFields   []any          `json:"expected_input_fields"`
	RestrictTo    []string       `json:"restrict_to_following_tools"`
	Shared        map[string]any `json:"shared_credentials"`
	ForToolRouter bool           `json:"is_enabled_for_tool_router"`
}

type configToolkit struct {
	Slug     string  `json:"slug"`
	Logo     string  `json:"logo"`
	GuideURL *string `json:"auth_guide_url"`
	HintURL  *string `json:"auth_hint_url"`
}

type toolAccess struct {
	ForCreation  []string `json:"tools_for_connected_account_creation"`
	ForExecution []string `json:"tools_available_for_execution"`
}

type proxyView struct {
	URL     string `json:"proxy_url"`
	AuthKey any    `json:"proxy_auth_key,omitempty"`
}

// configView shows an auth config: everything of the published shape and what
// came since (is_enabled_for_tool_router, guide addresses, typed input fields,
// nullable proxy_config).
func (s *Server) configView(p *project, c *AuthConfig) any {
	v := configView{
		ID: c.ID, UUID: c.UUID, Type: c.kind(), Name: c.Name, Status: c.Status,
		Toolkit:     configToolkit{Slug: c.Toolkit},
		Connections: p.active(c.ID),
		Tools:       toolAccess{ForCreation: listed(c.ToolsForCreation), ForExecution: listed(c.ToolsForExecution)},
		Scheme:      c.Scheme, Managed: c.Managed,
		Credentials: s.shownCredentials(c),
		CreatedBy:   c.CreatedBy, CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt),
		InputFields: []any{}, RestrictTo: listed(c.RestrictTo),
		Shared:        map[string]any{},
		ForToolRouter: c.ToolRouter,
	}
	for name := range c.SharedCredentials {
		v.Shared[name] = redacted
	}
	if c.Proxy != nil {
		v.Proxy = &proxyView{URL: c.Proxy.URL}
		if c.Proxy.AuthKey != nil {
			v.Proxy.AuthKey = c.Proxy.AuthKey.mask()
		}
	}
	if t := s.catalog.toolkit(c.Toolkit); t != nil {
		v.Toolkit.Logo, v.Toolkit.GuideURL, v.Toolkit.HintURL = t.logo, optional(t.guide), optional(t.hint)
		if m := t.scheme(c.Scheme); m != nil {
			for _, f := range m.Connect {
				v.InputFields = append(v.InputFields, inputField{fieldView: f.view(), UserVisible: true, Shareable: f.Secret})
			}
		}
	}
	return overlay(v, c.Wire)
}

// An inputField is what a user is asked for when they connect.
type inputField struct {
	fieldView
	UserVisible bool `json:"user_visible"`
	Shareable   bool `json:"is_available_as_shared_credentials"`
}

// active counts the connections of a config that are ACTIVE, shared ones
// included (EMU).
func (p *project) active(config string) int {
	n := 0
	for _, c := range p.connectionsOf(config) {
		if c.Status == "ACTIVE" {
			n++
		}
	}
	return n
}

// stamp writes a time as the API does.
func stamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func listed(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
