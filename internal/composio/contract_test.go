package composio_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/composio"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/composio/sandbox/sandboxtest"
	"gatehouse/internal/secret"
)

// The contract: what the client sends and understands, against the sandbox, both
// held to openapi.yaml.

func client(t *testing.T, url, key string, opts ...composio.Option) *composio.Client {
	t.Helper()
	c, err := composio.New(url, secret.New(key), append([]composio.Option{composio.WithReadBudget(0)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func start(t *testing.T, o sandbox.Options) (*sandboxtest.Server, *composio.Client) {
	t.Helper()
	s := sandboxtest.New(t, o)
	return s, client(t, s.URL, sandbox.StagingKey)
}

func collect[T any](t *testing.T, seq func(func(T, error) bool)) []T {
	t.Helper()
	var out []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func values(pairs ...string) map[string]secret.Value {
	m := map[string]secret.Value{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = secret.New(pairs[i+1])
	}
	return m
}

func scopes(form composio.ScopeForm, v ...string) *composio.Scopes {
	return &composio.Scopes{Values: v, Form: form}
}

func ptr[T any](v T) *T { return &v }

func TestLifeOfAnAuthConfig(t *testing.T) {
	for _, version := range []string{"v3", "v3.1"} {
		t.Run(version, func(t *testing.T) {
			s := sandboxtest.New(t, sandbox.Options{})
			c := client(t, s.URL, sandbox.StagingKey, composio.WithVersion(version))
			ctx := t.Context()
			made, err := c.AuthConfigs.Create(ctx, composio.CreateAuthConfig{
				Toolkit: "github", Type: composio.Custom, Name: "github-own", AuthScheme: "OAUTH2",
				Credentials: values("client_id", "Iv1.abc", "client_secret", "s3cr3t-value-1"),
				Scopes:      scopes(composio.ScopeComma, "repo", "user"),
			})
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.AuthConfigs.Get(ctx, made.ID)
			if err != nil {
				t.Fatal(err)
			}
			if a.Name != "github-own" || a.Toolkit.Slug != "github" || a.AuthScheme != "OAUTH2" || a.Managed() || a.Status != composio.Enabled || a.CreatedAt.IsZero() {
				t.Errorf("got %+v", a)
			}
			if a.Credentials.ClientID != "Iv1.abc" || !slices.Equal(a.Credentials.Set, []string{"client_secret"}) {
				t.Errorf("credentials: %+v", a.Credentials)
			}
			if diff := cmp.Diff([]string{"repo", "user"}, a.Credentials.Scopes.Values); diff != "" {
				t.Error(diff)
			}

			update := composio.UpdateAuthConfig{
				Type: composio.Custom, Name: ptr("renamed"), Credentials: values("client_secret", "another-one"),
				Scopes: scopes(composio.ScopeList, "repo"), ToolsForExecution: ptr([]string{"GITHUB_GET_A_REPOSITORY"}),
				RestrictToTools: ptr([]string{"GITHUB_GET_A_REPOSITORY"}), EnabledForToolRouter: ptr(true),
				Proxy: &composio.Proxy{URL: "https://proxy.example.com", AuthKey: secret.New("proxy-key-1")},
			}
			if err := c.AuthConfigs.Update(ctx, made.ID, update); err != nil {
				t.Fatal(err)
			}
			if err := c.AuthConfigs.Disable(ctx, made.ID); err != nil {
				t.Fatal(err)
			}
			a, err = c.AuthConfigs.Get(ctx, made.ID)
			if err != nil {
				t.Fatal(err)
			}
			if a.Name != "renamed" || a.Status != composio.Disabled || !slices.Equal(a.Credentials.Scopes.Values, []string{"repo"}) ||
				!slices.Equal(a.ToolAccess.ForExecution, []string{"GITHUB_GET_A_REPOSITORY"}) || a.EnabledForToolRouter == nil || !*a.EnabledForToolRouter ||
				a.Proxy == nil || a.Proxy.URL != "https://proxy.example.com" || !a.Proxy.HasKey {
				t.Errorf("after the update: %+v %+v", a, a.Proxy)
			}
			clearAll := composio.UpdateAuthConfig{Type: composio.Custom, Scopes: scopes(composio.ScopeComma), RestrictToTools: &[]string{}, Proxy: &composio.Proxy{}}
			if err := c.AuthConfigs.Update(ctx, made.ID, clearAll); err != nil {
				t.Fatal(err)
			}
			if err := c.AuthConfigs.Enable(ctx, made.ID); err != nil {
				t.Fatal(err)
			}
			a, err = c.AuthConfigs.Get(ctx, made.ID)
			if err != nil || len(a.Credentials.Scopes.Values) > 0 || len(a.RestrictToTools) > 0 || a.Proxy != nil && a.Proxy.URL != "" || a.Status != composio.Enabled {
				t.Errorf("after clearing: %+v %v", a, err)
			}
			if !slices.Equal(a.Credentials.Set, []string{"client_secret"}) {
				t.Errorf("a merge lost credentials: %+v", a.Credentials)
			}
			if err := c.AuthConfigs.Delete(ctx, made.ID, true); err != nil {
				t.Fatal(err)
			}
			if _, err := c.AuthConfigs.Get(ctx, made.ID); !composio.NotFound(err) {
				t.Errorf("after the delete: %v", err)
			}
			if n := len(s.Journal().Incidents); n > 0 {
				t.Errorf("%d incidents in the journal", n)
			}
		})
	}
}

func TestManagedAuthConfig(t *testing.T) {
	_, c := start(t, sandbox.Options{})
	ctx := t.Context()
	made, err := c.AuthConfigs.Create(ctx, composio.CreateAuthConfig{Toolkit: "slack", Type: composio.Managed, Name: "slack", Scopes: scopes(composio.ScopeComma, "channels:read")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AuthConfigs.Update(ctx, made.ID, composio.UpdateAuthConfig{Type: composio.Managed, Scopes: scopes(composio.ScopeComma, "chat:write"), UserScopes: scopes(composio.ScopeComma, "users:read")}); err != nil {
		t.Fatal(err)
	}
	a, err := c.AuthConfigs.Get(ctx, made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !made.Managed || !a.Managed() || a.Type != composio.Managed {
		t.Errorf("not managed: %+v", a)
	}
	if got := append(slices.Clone(a.Credentials.Scopes.Values), a.Credentials.UserScopes.Values...); !slices.Equal(got, []string{"chat:write", "users:read"}) {
		t.Errorf("scopes: %v", got)
	}
	if _, err := c.AuthConfigs.Create(ctx, composio.CreateAuthConfig{Toolkit: "slack", Type: composio.Managed, Credentials: values("client_id", "x")}); err == nil {
		t.Error("a managed create took credentials")
	}
}

func TestAPIKeyAuthConfig(t *testing.T) {
	_, c := start(t, sandbox.Options{})
	made, err := c.AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{
		Toolkit: "openai", Type: composio.Custom, Name: "openai", AuthScheme: "API_KEY",
		Credentials: values("api_key", "sk-0123456789"), SharedCredentials: values("generic_api_key", "sk-shared-1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.AuthConfigs.Get(t.Context(), made.ID)
	if err != nil || !slices.Equal(a.Credentials.Set, []string{"api_key"}) || !slices.Equal(a.SharedCredentials.Set, []string{"generic_api_key"}) {
		t.Errorf("%+v %v", a, err)
	}
}

func TestListing(t *testing.T) {
	for name, quirks := range map[string][]string{
		"honest":                      nil,
		"a maximum of 50":             {"max-limit=50"},
		"a clamped and lying listing": {"max-limit=50", "lying-pagination"},
		"lying":                       {"lying-pagination"},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := start(t, sandbox.Options{Configs: 457, Quirks: quirks})
			for _, limit := range []int{0, 20, 100, 1000} {
				all := collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{Limit: limit}))
				if len(all) != 457 {
					t.Errorf("limit %d: %d configs, want 457", limit, len(all))
				}
				if !slices.ContainsFunc(all, func(a composio.AuthConfig) bool { return a.Status == composio.Disabled }) {
					t.Error("disabled ones are missing")
				}
			}
		})
	}
}

func TestListingFilters(t *testing.T) {
	_, c := start(t, sandbox.Options{Configs: 200})
	ctx := t.Context()
	every := func(what string, q composio.AuthConfigQuery, ok func(composio.AuthConfig) bool) {
		t.Helper()
		all := collect(t, c.AuthConfigs.List(ctx, q))
		if len(all) == 0 {
			t.Errorf("%s: nothing found", what)
		}
		for _, a := range all {
			if !ok(a) {
				t.Errorf("%s: %+v doesn't belong", what, a)
			}
		}
	}
	every("toolkit", composio.AuthConfigQuery{Toolkits: []string{"github", "slack"}}, func(a composio.AuthConfig) bool { return a.Toolkit.Slug == "github" || a.Toolkit.Slug == "slack" })
	every("scheme", composio.AuthConfigQuery{AuthScheme: "API_KEY"}, func(a composio.AuthConfig) bool { return a.AuthScheme == "API_KEY" })
	every("managed", composio.AuthConfigQuery{Managed: ptr(true)}, composio.AuthConfig.Managed)
	every("enabled", composio.AuthConfigQuery{HideDisabled: true}, func(a composio.AuthConfig) bool { return a.Status == composio.Enabled })
	one := collect(t, c.AuthConfigs.List(ctx, composio.AuthConfigQuery{}))[7]
	every("search", composio.AuthConfigQuery{Search: one.ID}, func(a composio.AuthConfig) bool { return a.ID == one.ID })
}

func TestListingBreaksOff(t *testing.T) {
	s, c := start(t, sandbox.Options{Configs: 450})
	if err := s.Fail(sandbox.Fault{Kind: "status=400", Path: "/auth_configs", Nth: 2}); err != nil {
		t.Fatal(err)
	}
	n, errs := 0, 0
	for _, err := range c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{}) {
		if err != nil {
			errs++
			continue
		}
		n++
	}
	if n != 200 || errs != 1 {
		t.Errorf("%d items and %d errors, want 200 and 1", n, errs)
	}
}

func TestCatalogue(t *testing.T) {
	_, c := start(t, sandbox.Options{})
	ctx := t.Context()
	all := collect(t, c.Toolkits.List(ctx, composio.ToolkitQuery{IncludeDeprecated: true}))
	if len(all) < 50 {
		t.Errorf("%d toolkits", len(all))
	}
	if len(collect(t, c.Toolkits.Categories(ctx))) == 0 {
		t.Error("no categories")
	}
	modes := map[string]bool{}
	for _, k := range all {
		d, err := c.Toolkits.Get(ctx, k.Slug)
		if err != nil {
			t.Fatalf("%s: %v", k.Slug, err)
		}
		for _, s := range d.Schemes {
			modes[s.Mode] = true
		}
	}
	for _, mode := range []string{"OAUTH2", "OAUTH1", "API_KEY", "BASIC", "BILLCOM_AUTH", "BEARER_TOKEN", "GOOGLE_SERVICE_ACCOUNT", "NO_AUTH",
		"BASIC_WITH_JWT", "CALCOM_AUTH", "SERVICE_ACCOUNT", "SAML", "DCR_OAUTH", "S2S_OAUTH2", "CIMD_OAUTH"} {
		if !modes[mode] {
			t.Errorf("no toolkit has %s", mode)
		}
	}
	gmail, err := c.Toolkits.Get(ctx, "gmail")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(gmail.Schemes, func(s composio.SchemeSpec) bool { return s.Mode == "OAUTH2" })
	if required := gmail.Schemes[i].Fields.Creation.Required; len(required) != 2 || required[0].Name != "client_id" || required[0].DisplayName == "" {
		t.Errorf("gmail's fields: %+v", required)
	}
	if _, err := c.Toolkits.Get(ctx, "nosuchtoolkit"); !composio.NotFound(err) {
		t.Errorf("unknown toolkit: %v", err)
	}
	for _, reserved := range []string{"categories", "multi", "../auth_configs", ""} {
		if _, err := c.Toolkits.Get(ctx, reserved); !composio.NotFound(err) {
			t.Errorf("toolkit %q: %v", reserved, err)
		}
	}
}

func TestToolsAndScopes(t *testing.T) {
	_, c := start(t, sandbox.Options{})
	tools := collect(t, c.Tools.List(t.Context(), "github"))
	if len(tools) < 6 {
		t.Fatalf("%d tools", len(tools))
	}
	need, err := c.Tools.RequiredScopes(t.Context(), []string{tools[0].Slug, tools[1].Slug})
	if err != nil || len(need.PerTool) != 2 {
		t.Errorf("%+v %v", need, err)
	}
}

func TestConnections(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	state := s.State().Projects["staging"]
	count := map[string]int{}
	for _, a := range state.Connections {
		count[a.AuthConfig]++
	}
	busiest := state.AuthConfigs[0].ID
	for id, n := range count {
		if n > count[busiest] {
			busiest = id
		}
	}
	all := collect(t, c.ConnectedAccounts.List(t.Context(), busiest))
	if len(all) != count[busiest] {
		t.Errorf("%d connections, want %d: shared ones count too", len(all), count[busiest])
	}
	n, err := c.ConnectedAccounts.Count(t.Context(), busiest, "ACTIVE")
	if want := len(collect(t, c.ConnectedAccounts.List(t.Context(), busiest, "ACTIVE"))); err != nil || n != want {
		t.Errorf("%d active ones, want %d (%v)", n, want, err)
	}
	link, err := c.ConnectedAccounts.Link(t.Context(), busiest, "user-1", "https://example.com/done")
	if err != nil || link.RedirectURL == "" || link.ConnectedAccountID == "" || link.ExpiresAt.IsZero() {
		t.Errorf("%+v %v", link, err)
	}
}

func TestSession(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	got, err := c.Session(t.Context())
	if err != nil || got.ProjectName == "" {
		t.Errorf("%+v %v", got, err)
	}
	if err := s.Fail(sandbox.Fault{Kind: "status=403", Path: "/auth/session/info"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Session(t.Context()); err != nil {
		t.Errorf("a key that may not ask is a good key all the same: %v", err)
	}
	if _, err := client(t, s.URL, "ak_wrong_key_000000").Session(t.Context()); !composio.Refused(err) {
		t.Errorf("wrong key: %v", err)
	}
}

func TestReadOnlyKey(t *testing.T) {
	s := sandboxtest.New(t, sandbox.Options{})
	c := client(t, s.URL, sandbox.ReadOnlyKey)
	all := collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{}))
	err := c.AuthConfigs.Disable(t.Context(), all[0].ID)
	if !composio.NoPermission(err) || !composio.Definite(err) {
		t.Errorf("%v", err)
	}
}
