package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// knownSchemes is what create accepts as authScheme.
var knownSchemes = []string{
	"OAUTH2", "OAUTH1", "API_KEY", "BASIC", "BILLCOM_AUTH", "BEARER_TOKEN", "GOOGLE_SERVICE_ACCOUNT", "NO_AUTH",
	"BASIC_WITH_JWT", "CALCOM_AUTH", "SERVICE_ACCOUNT", "SAML", "DCR_OAUTH", "S2S_OAUTH2", "CIMD_OAUTH",
}

// createAuthConfig makes an auth config. The toolkit may be deprecated; its slug
// may be in any case. With the duplicates quirk it is made twice.
func createAuthConfig(s *Server, q *request) (any, *failure) {
	body, f := readPayload(q.body)
	if f != nil {
		return nil, f
	}
	toolkit, _ := body.object("toolkit")
	if !body.has("toolkit") {
		body.complain("toolkit", "Required")
	}
	slug := ""
	if toolkit.fields != nil {
		slug = toolkit.needText("slug")
	}
	in := readNewConfig(body)
	if f := body.failure(); f != nil {
		return nil, f
	}
	t := s.catalog.toolkit(slug)
	if t == nil {
		return nil, noToolkit(slug)
	}
	c, f := s.newConfig(t, in, q)
	if f != nil {
		return nil, f
	}
	times := 1
	if s.quirks.duplicates {
		times = 2
	}
	for range times {
		c = c.clone()
		s.name(c)
		if f := s.commit(q, change{id: c.ID, configs: []*AuthConfig{c}}); f != nil {
			return nil, f
		}
	}
	return map[string]any{
		"toolkit": map[string]string{"slug": c.Toolkit},
		"auth_config": map[string]any{
			"id": c.ID, "auth_scheme": c.Scheme, "is_composio_managed": c.Managed,
			"restrict_to_following_tools": listed(c.RestrictTo),
		},
	}, nil
}

// name gives a config its ids, and a name where none was given (EMU: the real
// default is unknown; it once was the slug and four characters).
func (s *Server) name(c *AuthConfig) {
	c.ID, c.UUID = s.newID("ac_"), s.newUUID()
	if c.Name == "" {
		c.Name = c.Toolkit + c.ID[2:7]
	}
}

// A newConfig is the auth_config object of a create request.
type newConfig struct {
	managed bool
	scheme  string
	settings
}

// settings are what create and update have in common.
type settings struct {
	credentials payload
	sealed      payload
	proxy       *Proxy
	name        string
	access      payload
	forCreation []string
	forUse      []string
	hasUse      bool
	restrictTo  []string
	hasRestrict bool
	shared      payload
	router      *bool
}

func readNewConfig(body payload) newConfig {
	out := newConfig{managed: true}
	if !body.has("auth_config") {
		return out
	}
	in, ok := body.object("auth_config")
	if !ok {
		return out
	}
	kind, _ := in.text("type")
	if kind != "use_composio_managed_auth" && kind != "use_custom_auth" {
		in.complain("type", "Invalid discriminator value. Expected 'use_composio_managed_auth' | 'use_custom_auth'")
		return out
	}
	out.managed = kind == "use_composio_managed_auth"
	out.settings = readSettings(in, !out.managed)
	out.hasUse = false // tools_available_for_execution can only be set by an update
	out.name, _ = in.text("name")
	if !out.managed {
		out.scheme = in.needText("authScheme")
		if out.scheme != "" && !slices.Contains(knownSchemes, out.scheme) {
			in.complain("authScheme", "Invalid enum value. Expected '%s', received '%s'", strings.Join(knownSchemes, "' | '"), out.scheme)
		}
	}
	return out
}

// readSettings reads the optional parts; own says that the app is the
// customer's, which opens proxy_config and sealed_credentials.
func readSettings(in payload, own bool) settings {
	var out settings
	out.credentials, _ = in.object("credentials")
	out.credentials.scopes("scopes")
	out.credentials.scopes("user_scopes")
	out.access, _ = in.object("tool_access_config")
	out.forCreation, _ = out.access.texts("tools_for_connected_account_creation")
	out.forUse, out.hasUse = out.access.texts("tools_available_for_execution")
	out.restrictTo, out.hasRestrict = in.texts("restrict_to_following_tools")
	out.shared, _ = in.object("shared_credentials")
	if router, ok := in.flag("is_enabled_for_tool_router"); ok {
		out.router = &router
	}
	if own {
		out.proxy = readProxy(in)
		out.sealed = readSealed(in, out.credentials)
	}
	return out
}

// newConfig makes the auth config a request describes, without its ids.
func (s *Server) newConfig(t *toolkit, in newConfig, q *request) (*AuthConfig, *failure) {
	if t.NoAuth || in.scheme == "NO_AUTH" {
		return nil, needsNoAuth(t.Slug)
	}
	m := t.managed()
	if !in.managed {
		m = t.scheme(in.scheme)
	}
	switch {
	case m == nil && in.managed:
		return nil, noManagedApp(t.Slug)
	case m == nil:
		return nil, badConfig("Auth scheme %q is not supported for toolkit %q", in.scheme, t.Slug)
	case in.managed && slices.Contains(s.quirks.withdrawn, t.Slug):
		return nil, s.withdrawn(t, m)
	}
	c := &AuthConfig{
		Name: in.name, Toolkit: t.Slug, Scheme: m.Mode, Managed: in.managed, Status: "ENABLED",
		Credentials: map[string]Value{}, Proxy: in.proxy, CreatedBy: orgMember, CreatedAt: q.now, UpdatedAt: q.now,
	}
	given := in.credentials.fields
	if !in.managed {
		var f *failure
		if given, f = complete(t, m, in); f != nil {
			return nil, f
		}
		if m.redirects() && empty(given["oauth_redirect_uri"]) {
			given["oauth_redirect_uri"] = mustJSON(defaultRedirect(q.version))
		}
	}
	s.set(c, t, given, in.settings)
	return c, nil
}

// defaultRedirect is where the provider sends people when a custom config does
// not say.
func defaultRedirect(version string) string {
	if version == "v3.1" {
		return currentRedirect
	}
	return legacyRedirect
}

// redirects tells whether a scheme has a redirect address.
func (m *scheme) redirects() bool {
	return slices.ContainsFunc(m.Create, func(f field) bool { return f.Name == "oauth_redirect_uri" })
}

// complete checks the required fields of a scheme, and fills in the defaults of
// those that have one (EMU).
func complete(t *toolkit, m *scheme, in newConfig) (map[string]json.RawMessage, *failure) {
	given := map[string]json.RawMessage{}
	for k, v := range in.credentials.fields {
		given[k] = v
	}
	for _, f := range m.Create {
		if !f.Required || !empty(given[f.Name]) || in.sealed.has(f.Name) {
			continue
		}
		if f.Default == "" {
			return nil, missingField(f, m.Mode, t.Slug)
		}
		given[f.Name] = mustJSON(f.Default)
	}
	return given, nil
}

// withdrawn refuses a managed create although the metadata claims an app, as
// was seen with shopify and clockify.
func (s *Server) withdrawn(t *toolkit, m *scheme) *failure {
	for _, f := range m.Create {
		if f.Required {
			return missingField(f, m.Mode, t.Slug)
		}
	}
	return failf(http.StatusBadRequest, 306, "Auth_Config_DefaultAuthConfigNotFound", "Default auth config not found for toolkit %q.", t.Slug)
}
