package composio_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestErrors(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"managed-app-withdrawn=clockify"}})
	for name, tt := range map[string]struct {
		create       composio.CreateAuthConfig
		status, code int
	}{
		"required field":    {composio.CreateAuthConfig{Toolkit: "github", Type: composio.Custom, AuthScheme: "OAUTH2"}, 400, composio.CodeMissingField},
		"withdrawn app":     {composio.CreateAuthConfig{Toolkit: "clockify", Type: composio.Managed}, 400, composio.CodeMissingField},
		"no authentication": {composio.CreateAuthConfig{Toolkit: "hackernews", Type: composio.Managed}, 400, composio.CodeNoAuthToolkit},
		"no managed app":    {composio.CreateAuthConfig{Toolkit: "openai", Type: composio.Managed}, 400, composio.CodeNoManagedApp},
		"unknown toolkit":   {composio.CreateAuthConfig{Toolkit: "nosuchtoolkit", Type: composio.Managed}, 404, 2301},
	} {
		_, err := c.AuthConfigs.Create(t.Context(), tt.create)
		var e *composio.Error
		if !errors.As(err, &e) || e.Status != tt.status || e.Code != tt.code || e.Message == "" || e.RequestID == "" || !composio.Definite(err) {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestErrorShapes(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   composio.Error
	}{
		"envelope":      {400, `{"error":{"message":"m","code":301,"slug":"S","status":400,"request_id":"r","suggested_fix":"f","errors":["e"]}}`, composio.Error{Status: 400, Code: 301, Slug: "S", Message: "m", RequestID: "r", SuggestedFix: "f", FieldErrors: []string{"e"}}},
		"error_code":    {400, `{"error":{"message":"m","error_code":10400,"suggested_fix":"f","errors":["a: b"]}}`, composio.Error{Status: 400, Code: 10400, Message: "m", SuggestedFix: "f", FieldErrors: []string{"a: b"}}},
		"bare":          {404, `{"message":"m"}`, composio.Error{Status: 404, Message: "m"}},
		"camel case":    {400, `{"error":{"code":"BadRequest","message":"m","suggestedFix":"f"}}`, composio.Error{Status: 400, Slug: "BadRequest", Message: "m", SuggestedFix: "f"}},
		"text":          {400, `{"error":"m"}`, composio.Error{Status: 400, Message: "m"}},
		"html":          {403, `<html>`, composio.Error{Status: 403, Message: "Forbidden"}},
		"empty":         {404, ``, composio.Error{Status: 404, Message: "Not Found"}},
		"odd types":     {400, `{"error":{"message":"m","code":{"a":1},"errors":"no list"}}`, composio.Error{Status: 400, Message: "m"}},
		"hostile":       {400, `{"error":{"message":"a\u202eb\u0000c\nd"}}`, composio.Error{Status: 400, Message: "abc d"}},
		"array":         {400, `[]`, composio.Error{Status: 400, Message: "Bad Request"}},
		"null":          {400, `{"error":null}`, composio.Error{Status: 400, Message: "Bad Request"}},
		"redirect text": {307, ``, composio.Error{Status: 307, Message: "Temporary Redirect"}},
	} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		err := client(t, ts.URL, "ak_x").AuthConfigs.Enable(t.Context(), "ac_1")
		ts.Close()
		var got *composio.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Whatever the remote answers, credentials that were sent don't come back, be it
// the client's key.
func TestAnswersThatQuoteCredentials(t *testing.T) {
	const canary, key = `canary-"quo<ted>"-9f3a41c7`, "ak_9f3a41c7_project"
	answers := map[string]string{
		"message":      `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"bad value canary-\"quo<ted>\"-9f3a41c7","suggested_fix":"not canary-\\\"quo\\u003cted\\u003e\\\"-9f3a41c7","errors":["canary-\"quo<ted>\"-9f3a41c7"]}}`,
		"slug":         `HTTP/1.1 409 Conflict\r\n\r\n{"error":{"message":"no","slug":"canary-\"quo<ted>\"-9f3a41c7","request_id":"x-9f3a41c7_project"}}`,
		"request id":   "HTTP/1.1 500 Oops\r\nX-Request-Id: ak_9f3a41c7_project\r\n\r\n{}",
		"key":          `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"unknown key ak_9f3a41c7_project"}}`,
		"upper case":   `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"CANARY-%22QUO%3CTED%3E%22-9F3A41C7"}}`,
		"base 64":      `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"Basic ` + base64.StdEncoding.EncodeToString([]byte(canary)) + `"}}`,
		"status line":  `HTTP/1.1 2{canary-"quo<ted>"-9f3a41c7` + "\r\n\r\n",
		"header line":  "HTTP/1.1 200 OK\r\nak_9f3a41c7_project\r\n\r\n",
		"garbled body": "HTTP/1.1 200 OK\r\n\r\n" + `{"auth_config":{"id":canary-9f3a41c7}}`,
		"wrong type":   "HTTP/1.1 200 OK\r\n\r\n" + `{"auth_config":{"id":"ac_1","created_at":"canary-9f3a41c7"},"toolkit":9}`,
	}
	for name, answer := range answers {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadString('}') // the body of the request ends
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}()
		_, err = client(t, "http://"+l.Addr().String(), key).AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{Toolkit: "x", Type: composio.Custom, AuthScheme: "API_KEY", Credentials: values("api_key", canary)})
		_ = l.Close()
		if err == nil && name != "wrong type" {
			t.Errorf("%s: no error", name)
		}
		if text := strings.ToLower(fmt.Sprintf("%+v %#v %v", err, err, err)); strings.Contains(text, "9f3a41") || strings.Contains(text, "y2fuyxj5") {
			t.Errorf("%s: the credential came back: %s", name, text)
		}
	}
}

func TestMaskedValuesAreNotSent(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	id := s.State().Projects["staging"].AuthConfigs[0].ID
	before := len(s.Journal().Calls)
	for _, v := range []string{"", "  ", "REDACTED", " REDACTED ", "abcd...", "...", "[secret]"} {
		var masked *composio.MaskedValueError
		if err := c.AuthConfigs.Update(t.Context(), id, composio.UpdateAuthConfig{Type: composio.Custom, Credentials: values("client_secret", v)}); !errors.As(err, &masked) || masked.Field != "client_secret" || !composio.Definite(err) {
			t.Errorf("%q: %v", v, err)
		}
		if _, err := c.AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{Toolkit: "github", Type: composio.Custom, AuthScheme: "OAUTH2", SharedCredentials: values("k", v)}); !errors.As(err, &masked) {
			t.Errorf("shared %q: %v", v, err)
		}
	}
	if after := len(s.Journal().Calls); after != before {
		t.Errorf("%d calls were made", after-before)
	}
}

func TestBadIDsAreNotSent(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	before := len(s.Journal().Calls)
	for _, id := range []string{"", "..", "a/b", "ac_1?x=1", "ac_1#", strings.Repeat("x", 65), "ac_ü"} {
		if _, err := c.AuthConfigs.Get(t.Context(), id); err == nil {
			t.Errorf("Get(%q) went through", id)
		}
		for _, err := range []error{c.AuthConfigs.Delete(t.Context(), id, false), c.AuthConfigs.Enable(t.Context(), id), c.AuthConfigs.Update(t.Context(), id, composio.UpdateAuthConfig{Type: composio.Custom})} {
			if !composio.Definite(err) {
				t.Errorf("write to %q: %v", id, err)
			}
		}
	}
	if after := len(s.Journal().Calls); after != before {
		t.Errorf("%d calls were made", after-before)
	}
}

func TestStrictMask(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"strict-mask"}})
	for _, a := range collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{})) {
		for _, v := range append(append(a.Credentials.Scopes.Values, a.Credentials.UserScopes.Values...), a.Credentials.ClientID, a.Credentials.RedirectURI) {
			if secret.Masked(v) {
				t.Errorf("%s: a mask was taken for a value: %q", a.Name, v)
			}
		}
	}
}

func TestHostileStrings(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"hostile-strings"}})
	bad := func(where, s string) {
		t.Helper()
		if len(s) > 16<<10 || strings.ContainsAny(s, "\x00\x1b\u202e\u2066\u200b\r\n") {
			t.Errorf("%s: %.80q", where, s)
		}
	}
	for _, a := range collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{})) {
		bad("name", a.Name)
		bad("created by", a.CreatedBy)
	}
	for _, k := range collect(t, c.Toolkits.List(t.Context(), composio.ToolkitQuery{})) {
		bad("toolkit", k.Name)
		bad("description", k.Meta.Description)
	}
}

func TestUnknownScheme(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"unknown-scheme"}})
	all := collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{}))
	known := map[string]bool{}
	for _, a := range all {
		known[a.AuthScheme] = true
	}
	if len(known) < 3 {
		t.Errorf("schemes: %v", known)
	}
}

func TestOldEmptyAnswers(t *testing.T) {
	s, c := start(t, sandbox.Options{Quirks: []string{"old-empty-responses"}})
	id := s.State().Projects["staging"].AuthConfigs[0].ID
	if err := errors.Join(c.AuthConfigs.Disable(t.Context(), id), c.AuthConfigs.Enable(t.Context(), id), c.AuthConfigs.Delete(t.Context(), id, false)); err != nil {
		t.Error(err)
	}
}

// Writes are sent once, and the error tells whether they may have had an effect.
func TestWritesUnderFaults(t *testing.T) {
	for kind, tt := range map[string]struct{ definite, applied bool }{
		"timeout-before":              {false, false},
		"timeout-after":               {false, true},
		"reset-before":                {false, false},
		"reset-after":                 {false, true},
		"5xx-before":                  {false, false},
		"5xx-after":                   {false, true},
		"garbage-2xx":                 {false, true},
		"status=429":                  {true, false},
		"status=400":                  {true, false},
		"status=422":                  {true, false},
		"status=409":                  {true, false},
		"redirect=http://127.0.0.2/x": {false, false},
	} {
		t.Run(kind, func(t *testing.T) {
			s := sandboxtest.New(t, sandbox.Options{})
			c := client(t, s.URL, sandbox.StagingKey, composio.WithTimeout(300*time.Millisecond))
			if err := s.Fail(sandbox.Fault{Kind: kind, Method: http.MethodPost}); err != nil {
				t.Fatal(err)
			}
			_, err := c.AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{Toolkit: "slack", Type: composio.Managed, Name: "n"})
			if err == nil || composio.Definite(err) != tt.definite {
				t.Errorf("definite = %v, want %v: %v", !tt.definite, tt.definite, err)
			}
			j := s.Journal()
			if len(j.Calls) != 1 {
				t.Errorf("%d calls, want 1", len(j.Calls))
			}
			if applied := len(j.Mutations) == 1; applied != tt.applied {
				t.Errorf("applied = %v, want %v", applied, tt.applied)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	ts := httptest.NewServer(http.NotFoundHandler())
	ts.Close()
	err := client(t, ts.URL, "ak_x").AuthConfigs.Enable(t.Context(), "ac_1")
	if !composio.NotSent(err) {
		t.Errorf("a refused connection is definite: %v", err)
	}
}

func TestReadsAreRepeated(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	if err := s.Fail(sandbox.Fault{Kind: "5xx-before", Method: http.MethodGet, Times: 2}); err != nil {
		t.Fatal(err)
	}
	id := s.State().Projects["staging"].AuthConfigs[0].ID
	if _, err := c.AuthConfigs.Get(t.Context(), id); err != nil {
		t.Error(err)
	}
	if n := len(s.Journal().Calls); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestReadsGiveUpWithTheContext(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	if err := s.Fail(sandbox.Fault{Kind: "timeout-before", Times: -1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.AuthConfigs.Get(ctx, "ac_123456789012"); err == nil {
		t.Error("no error")
	}
}

func TestNoRedirectCarriesTheKey(t *testing.T) {
	var leaked bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer other.Close()
	s, c := start(t, sandbox.Options{})
	if err := s.Fail(sandbox.Fault{Kind: "redirect=" + other.URL + "/steal", Times: -1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AuthConfigs.Get(t.Context(), "ac_123456789012"); err == nil {
		t.Error("a redirect passed for an answer")
	}
	if err := c.AuthConfigs.Enable(t.Context(), "ac_123456789012"); err == nil {
		t.Error("a redirect passed for an answer")
	}
	if leaked {
		t.Error("the redirect was followed")
	}
}

func TestBaseURL(t *testing.T) {
	for _, good := range []string{"https://backend.composio.dev", "https://backend.composio.dev/", "http://127.0.0.1:8099", "http://localhost:1", "http://[::1]:1"} {
		if _, err := composio.CheckBaseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "backend.composio.dev", "http://backend.composio.dev", "https://u:p@x.example", "https://x.example/api", "https://x.example?a=b", "ftp://x.example", "http://169.254.169.254"} {
		if _, err := composio.CheckBaseURL(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}
