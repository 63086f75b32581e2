package sandbox

// How the API writes times in lists and in details of toolkits.
const (
	listTime   = "2006-01-02T15:04:05.000Z"
	detailTime = "Mon Jan 02 2006"
)

// A fieldView is one field of a form: camelCase displayName inside snake_case.
type fieldView struct {
	Name        string  `json:"name"`
	DisplayName string  `json:"displayName"`
	Type        string  `json:"type"`
	Description string  `json:"description"`
	Required    bool    `json:"required"`
	Default     *string `json:"default"`
	Secret      bool    `json:"is_secret,omitempty"`
	Legacy      string  `json:"legacy_template_name,omitempty"`
}

func (f field) view() fieldView {
	v := fieldView{
		Name: f.Name, DisplayName: f.Label, Type: f.Type, Description: f.About,
		Required: f.Required, Default: optional(f.Default), Secret: f.Secret,
	}
	if f.Name == "generic_api_key" {
		v.Legacy = "api_key"
	}
	return v
}

type fieldGroup struct {
	Required []fieldView `json:"required"`
	Optional []fieldView `json:"optional"`
}

func group(fields []field) fieldGroup {
	g := fieldGroup{Required: []fieldView{}, Optional: []fieldView{}}
	for _, f := range fields {
		if f.Required {
			g.Required = append(g.Required, f.view())
		} else {
			g.Optional = append(g.Optional, f.view())
		}
	}
	return g
}

// item is a toolkit in the list.
func (c *catalog) item(t *toolkit) any {
	modes, managed := []string{}, []string{}
	for _, m := range t.shown() {
		modes = append(modes, m.Mode)
		if m.Managed {
			managed = append(managed, m.Mode)
		}
	}
	meta := c.meta(t, listTime)
	categories := []category{}
	for _, id := range t.Categories {
		categories = append(categories, category{ID: id, Name: c.category(id)})
	}
	meta["categories"] = categories
	return map[string]any{
		"slug": t.Slug, "name": t.Name, "meta": meta,
		"deprecated": map[string]string{"toolkitId": legacyID(t)}, "is_local_toolkit": false,
		"auth_schemes": modes, "composio_managed_auth_schemes": managed, "no_auth": t.NoAuth,
		"type": "native", "auth_guide_url": optional(t.guide), "auth_hint_url": optional(t.hint),
	}
}

// meta is what list and detail say alike.
func (c *catalog) meta(t *toolkit, form string) map[string]any {
	return map[string]any{
		"created_at": t.created(form), "updated_at": t.updated(form),
		"description": t.About, "logo": t.logo, "app_url": optional(t.AppURL),
		"triggers_count": t.Triggers, "tools_count": len(t.tools), "version": t.Version,
	}
}

// detail is a toolkit on its own. Categories have a slug here where the list has
// an id, and there is no auth_schemes or no_auth at the top.
func (c *catalog) detail(t *toolkit) any {
	meta := c.meta(t, detailTime)
	categories := []map[string]string{}
	for _, id := range t.Categories {
		categories = append(categories, map[string]string{"slug": id, "name": c.category(id)})
	}
	meta["categories"], meta["available_versions"] = categories, t.versions()
	details, managed, names := []any{}, []any{}, []string{}
	for _, m := range t.shown() {
		details = append(details, m.detail(t))
		if m.Managed {
			names, managed = append(names, m.Mode), append(managed, m.managedView())
		}
	}
	out := map[string]any{
		"slug": t.Slug, "name": t.Name, "enabled": true, "is_local_toolkit": false, "type": "native", "meta": meta,
		"composio_managed_auth_schemes": names, "composio_managed_auth": managed, "auth_config_details": details,
		"auth_guide_url": optional(t.guide),
		"deprecated":     map[string]any{"toolkitId": legacyID(t), "rawProxyInfoByAuthSchemes": []any{}},
	}
	if t.BaseURL != "" {
		out["base_url"], out["get_current_user_endpoint"] = t.BaseURL, "/me"
		out["get_current_user_endpoint_method"] = "GET"
	}
	return out
}

func (m *scheme) detail(t *toolkit) any {
	out := map[string]any{
		"mode": m.Mode, "name": m.Name,
		"fields": map[string]fieldGroup{"auth_config_creation": group(m.Create), "connected_account_initiation": group(m.Connect)},
	}
	if t.BaseURL != "" {
		out["proxy"] = map[string]string{"base_url": t.BaseURL}
	}
	if t.hint != "" {
		out["auth_hint_url"] = t.hint
	}
	if m.AuthorizationURL != "" {
		out["deprecated_auth_provider_details"] = map[string]string{"authorization_url": m.AuthorizationURL, "token_url": m.TokenURL}
	}
	return out
}

// managedView is the ceiling of scopes of Composio's own app.
func (m *scheme) managedView() any {
	out := map[string]any{"mode": m.Mode, "scopes": map[string]any{"available": listed(m.Available)}}
	if m.UserAvailable != nil {
		out["user_scopes"] = map[string]any{"available": m.UserAvailable}
	}
	return out
}

// legacyID is the id a toolkit had before slugs.
func legacyID(t *toolkit) string {
	h := digest("toolkit " + t.Slug)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}
