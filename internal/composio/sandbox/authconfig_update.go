package sandbox

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// updateAuthConfig changes what a flat body names and keeps the rest: since
// 2026-01-14 credentials are merged key by key, absence keeps, [] and "" clear,
// and tool_access_config:{} does nothing.
func updateAuthConfig(s *Server, q *request) (any, *failure) {
	old, f := q.pathConfig()
	if f != nil {
		return nil, f
	}
	body, f := readPayload(q.body)
	if f != nil {
		return nil, f
	}
	kind, _ := body.text("type")
	if kind != "custom" && kind != "default" {
		body.complain("type", "Invalid discriminator value. Expected 'custom' | 'default'")
		return nil, body.failure()
	}
	in := readSettings(body, kind == "custom")
	if kind == "default" {
		in.credentials = payload{} // has no such key
		body.scopes("scopes")
		body.scopes("user_scopes")
	}
	if body.has("name") {
		in.name = body.needText("name")
	}
	if f := body.failure(); f != nil {
		return nil, f
	}
	if kind != old.kind() { // EMU: what the real API answers is unknown
		return nil, badConfig("Auth config %q is of type %q, not %q", old.ID, old.kind(), kind)
	}
	c := old.clone()
	given := in.credentials.fields
	if kind == "default" {
		given = pick(body.fields, "scopes", "user_scopes")
	}
	if in.name != "" {
		c.Name = in.name
	}
	if in.proxy != nil || body.null("proxy_config") && !c.Managed {
		c.Proxy = in.proxy
	}
	s.set(c, s.catalog.toolkit(c.Toolkit), given, in)
	if touches(body) {
		c.UpdatedAt = q.now
	}
	if f := s.commit(q, change{id: c.ID, configs: []*AuthConfig{c}}); f != nil {
		return nil, f
	}
	return s.written("Auth config updated"), nil
}

// touches tells whether a body asks for any change at all.
func touches(body payload) bool {
	for k, v := range body.fields {
		var none map[string]json.RawMessage
		isObject := kindOf(v) == "object" && json.Unmarshal(v, &none) == nil
		if k != "type" && (!isObject || len(none) > 0) {
			return true
		}
	}
	return false
}

func pick(fields map[string]json.RawMessage, keys ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for _, k := range keys {
		if v, ok := fields[k]; ok {
			out[k] = v
		}
	}
	return out
}

// set merges credentials and the other settings into c. A null removes a field
// (EMU), and so do empty scopes.
func (s *Server) set(c *AuthConfig, t *toolkit, given map[string]json.RawMessage, in settings) {
	for name, raw := range given {
		scopes := name == "scopes" || name == "user_scopes"
		switch {
		case kindOf(raw) == "null", scopes && empty(raw):
			delete(c.Credentials, name)
		case t.readable(c.Scheme, name):
			c.Credentials[name] = clearValue(raw)
		default:
			c.Credentials[name] = secretValue(raw)
		}
	}
	for name, raw := range in.sealed.fields {
		c.Credentials[name] = sealedValue(plainText(raw))
	}
	if in.shared.fields != nil {
		c.SharedCredentials = map[string]Value{}
		for name, raw := range in.shared.fields {
			c.SharedCredentials[name] = secretValue(raw)
		}
	}
	if in.access.has("tools_for_connected_account_creation") {
		c.ToolsForCreation = in.forCreation
		s.deriveScopes(c)
	}
	if in.hasUse {
		c.ToolsForExecution = in.forUse
	}
	if in.hasRestrict {
		c.RestrictTo = in.restrictTo
	}
	if in.router != nil {
		c.ToolRouter = *in.router
	}
}

// deriveScopes replaces the scopes of an OAuth config by those its tools need.
// Unknown tools need none (EMU).
func (s *Server) deriveScopes(c *AuthConfig) {
	if !strings.Contains(c.Scheme, "OAUTH") {
		return
	}
	var tools []*tool
	for _, slug := range c.ToolsForCreation {
		if t := s.catalog.byTool[slug]; t != nil {
			tools = append(tools, t)
		}
	}
	if scopes := minimal(tools); len(scopes) > 0 {
		c.Credentials["scopes"] = clearText(strings.Join(scopes, ","))
	}
}

// readProxy reads proxy_config; null and absence give nil.
func readProxy(in payload) *Proxy {
	if in.null("proxy_config") {
		return nil
	}
	p, ok := in.object("proxy_config")
	if !ok {
		return nil
	}
	out := &Proxy{URL: p.needText("proxy_url")}
	if u, err := url.Parse(out.URL); out.URL != "" && (err != nil || u.Scheme == "" || u.Host == "") {
		p.complain("proxy_url", "Invalid url")
	}
	if key, ok := p.text("proxy_auth_key"); ok {
		v := secretValue(mustJSON(key))
		out.AuthKey = &v
	}
	return out
}

// readSealed reads sealed_credentials: strings of 1 to 16384 characters, none of
// which may be in credentials too.
func readSealed(in, credentials payload) payload {
	out, _ := in.object("sealed_credentials")
	for _, name := range out.keys() {
		switch v, ok := out.text(name); {
		case !ok:
		case v == "" || len(v) > 16384:
			out.complain(name, "String must contain 1 to 16384 character(s)")
		case slices.Contains(credentials.keys(), name):
			out.complain(name, "The field is in credentials too")
		}
	}
	return out
}
