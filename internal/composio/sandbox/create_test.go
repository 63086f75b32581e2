package sandbox

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCreate(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time})
	a := b.do("POST", "/auth_configs", githubApp).want(t, 201)
	id, _ := a.at("auth_config", "id").(string)
	if !regexp.MustCompile(`^ac_[A-Za-z0-9_-]{12}$`).MatchString(id) {
		t.Errorf("id %q", id)
	}
	want := map[string]any{
		"toolkit": map[string]any{"slug": "github"},
		"auth_config": map[string]any{
			"id": id, "auth_scheme": "OAUTH2", "is_composio_managed": false, "restrict_to_following_tools": []any{},
		},
	}
	if d := cmp.Diff(want, a.body); d != "" {
		t.Error(d)
	}
	got := b.config(id)
	delete(got.body, "uuid")
	delete(got.body, "created_by")
	want = map[string]any{
		"id": id, "type": "custom", "name": "made", "status": "ENABLED", "no_of_connections": 0.0,
		"toolkit": map[string]any{
			"slug": "github", "logo": "https://logos.composio.dev/api/github",
			"auth_guide_url": "https://docs.composio.dev/toolkits/github", "auth_hint_url": nil,
		},
		"tool_access_config": map[string]any{"tools_for_connected_account_creation": []any{}, "tools_available_for_execution": []any{}},
		"auth_scheme":        "OAUTH2", "is_composio_managed": false,
		"credentials": map[string]any{
			"client_id": "Iv1.public", "client_secret": "hush...", "scopes": "repo,user",
			"oauth_redirect_uri": "https://backend.composio.dev/api/v3.1/toolkits/auth/callback",
		},
		"proxy_config": nil, "created_at": "2026-11-23T12:00:00.000Z", "last_updated_at": "2026-11-23T12:00:00.000Z",
		"expected_input_fields": []any{}, "restrict_to_following_tools": []any{}, "shared_credentials": map[string]any{},
		"is_enabled_for_tool_router": false,
	}
	if d := cmp.Diff(want, got.body); d != "" {
		t.Error(d)
	}
}

func TestCreateVersions(t *testing.T) {
	b := open(t, Options{})
	a := b.as(ProductionKey, "POST", "/api/v3/auth_configs", githubApp).want(t, 201)
	id, _ := a.at("auth_config", "id").(string)
	if got := b.config(id).at("credentials", "oauth_redirect_uri"); got != "https://backend.composio.dev/api/v1/auth-apps/add" {
		t.Errorf("redirect of v3: %v", got)
	}
	id = b.make(strings.Replace(githubApp, `"client_id"`, `"oauth_redirect_uri":"https://own.example/cb","client_id"`, 1))
	if got := b.config(id).at("credentials", "oauth_redirect_uri"); got != "https://own.example/cb" {
		t.Errorf("own redirect: %v", got)
	}
}

func TestCreateAccepts(t *testing.T) {
	b := open(t, Options{})
	for name, c := range map[string]struct {
		body string
		path []any
		want any
	}{
		"managed by default":   {`{"toolkit":{"slug":"GITHUB"}}`, []any{"type"}, "default"},
		"slug in any case":     {`{"toolkit":{"slug":"GitHub"}}`, []any{"toolkit", "slug"}, "github"},
		"managed is redacted":  {`{"toolkit":{"slug":"slack"}}`, []any{"credentials", "client_secret"}, "REDACTED"},
		"managed scopes":       {`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","credentials":{"scopes":["a","b"]}}}`, []any{"credentials", "scopes", 1}, "b"},
		"managed oauth1":       {`{"toolkit":{"slug":"trello"}}`, []any{"credentials", "consumer_key"}, "REDACTED"},
		"deprecated toolkit":   {`{"toolkit":{"slug":"auth0"},"auth_config":{"type":"use_custom_auth","authScheme":"OAUTH2","credentials":{"client_id":"a","client_secret":"b"}}}`, []any{"toolkit", "slug"}, "auth0"},
		"hidden scheme":        {`{"toolkit":{"slug":"gmail"},"auth_config":{"type":"use_custom_auth","authScheme":"BEARER_TOKEN"}}`, []any{"expected_input_fields", 0, "name"}, "token"},
		"no credentials":       {`{"toolkit":{"slug":"perplexityai"},"auth_config":{"type":"use_custom_auth","authScheme":"API_KEY","credentials":{}}}`, []any{"auth_scheme"}, "API_KEY"},
		"default of required":  {`{"toolkit":{"slug":"discordbot"},"auth_config":{"type":"use_custom_auth","authScheme":"OAUTH2","credentials":{"client_id":"a","client_secret":"b","bot_token":"c"}}}`, []any{"credentials", "permissions"}, "..."},
		"sealed":               {`{"toolkit":{"slug":"github"},"auth_config":{"type":"use_custom_auth","authScheme":"OAUTH2","credentials":{"client_id":"a"},"sealed_credentials":{"client_secret":"eyJhbGciOi"}}}`, []any{"credentials", "client_secret"}, "..."},
		"default name":         {`{"toolkit":{"slug":"notion"}}`, []any{"status"}, "ENABLED"},
		"shared credentials":   {`{"toolkit":{"slug":"openai"},"auth_config":{"type":"use_custom_auth","authScheme":"API_KEY","shared_credentials":{"generic_api_key":"sk-verysecret"}}}`, []any{"shared_credentials", "generic_api_key"}, "REDACTED"},
		"proxy key":            {`{"toolkit":{"slug":"openai"},"auth_config":{"type":"use_custom_auth","authScheme":"API_KEY","proxy_config":{"proxy_url":"https://p.example","proxy_auth_key":"topsecretkey"}}}`, []any{"proxy_config", "proxy_auth_key"}, "tops..."},
		"tool router":          {`{"toolkit":{"slug":"openai"},"auth_config":{"type":"use_custom_auth","authScheme":"API_KEY","is_enabled_for_tool_router":true}}`, []any{"is_enabled_for_tool_router"}, true},
		"tools give scopes":    {`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","tool_access_config":{"tools_for_connected_account_creation":["SLACK_SEND_MESSAGE","SLACK_LIST_ALL_USERS"]}}}`, []any{"credentials", "scopes"}, "chat:write,users:read"},
		"execution is ignored": {`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","tool_access_config":{"tools_available_for_execution":["SLACK_SEND_MESSAGE"]}}}`, []any{"tool_access_config", "tools_available_for_execution", 0}, nil},
		"restricted":           {`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","restrict_to_following_tools":["SLACK_SEND_MESSAGE"]}}`, []any{"restrict_to_following_tools", 0}, "SLACK_SEND_MESSAGE"},
		"unknown key":          {`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","shoe_size":43}}`, []any{"type"}, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := b.config(b.make(c.body)).at(c.path...); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	b := open(t, Options{})
	custom := func(toolkit, rest string) string {
		return `{"toolkit":{"slug":"` + toolkit + `"},"auth_config":{"type":"use_custom_auth",` + rest + `}}`
	}
	for name, c := range map[string]struct {
		body         string
		status, code int
		slug, text   string
	}{
		"missing field": {custom("shopify", `"authScheme":"OAUTH2","credentials":{"client_secret":"x"}`), 400, 301, "Auth_Config_ValidationError",
			`Missing required field "Client id" for auth scheme "OAUTH2" in toolkit "shopify" (Client id of the app)`},
		"empty field":        {custom("github", `"authScheme":"OAUTH2","credentials":{"client_id":"x","client_secret":""}`), 400, 301, "Auth_Config_ValidationError", `"Client secret"`},
		"scheme not offered": {custom("github", `"authScheme":"BASIC"`), 400, 301, "Auth_Config_ValidationError", "not supported"},
		"no auth, managed": {`{"toolkit":{"slug":"hackernews"}}`, 400, 303, "Auth_Config_NoAuthApp",
			`Cannot create an auth config for toolkit "hackernews" because it does not require authentication. `},
		"no auth, custom": {custom("hackernews", `"authScheme":"API_KEY"`), 400, 303, "Auth_Config_NoAuthApp", "You can use its tools directly"},
		"NO_AUTH scheme":  {custom("gemini", `"authScheme":"NO_AUTH"`), 400, 303, "Auth_Config_NoAuthApp", "gemini"},
		"no managed app": {`{"toolkit":{"slug":"xero"}}`, 400, 306, "Auth_Config_DefaultAuthConfigNotFound",
			`Default auth config not found for toolkit "xero". Composio does not have managed credentials for this toolkit.`},
		"unknown toolkit": {`{"toolkit":{"slug":"nonesuch"}}`, 404, 2301, "Toolkit_ToolkitNotFound", "nonesuch"},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.do("POST", "/auth_configs", c.body).refused(t, c.status, c.code, c.slug)
			if message, _ := a.at("error", "message").(string); !strings.Contains(message, c.text) {
				t.Errorf("message %q, want %q", message, c.text)
			}
		})
	}
	if n := len(b.Journal().Mutations); n != 0 {
		t.Errorf("%d mutations of refused requests", n)
	}
}

func TestCreateInvalid(t *testing.T) {
	b := open(t, Options{})
	config := func(rest string) string { return `{"toolkit":{"slug":"github"},"auth_config":` + rest + `}` }
	own := func(rest string) string {
		return config(`{"type":"use_custom_auth","authScheme":"OAUTH2",` + rest + `}`)
	}
	for name, c := range map[string]struct{ body, text string }{
		"nothing":            {``, "payload.toolkit: Required"},
		"broken":             {`{"toolkit":`, "Invalid JSON"},
		"trailing":           {`{} {}`, "Invalid JSON"},
		"a list":             {`[]`, "Expected object, received array"},
		"toolkit as text":    {`{"toolkit":"github"}`, "payload.toolkit: Expected object, received string"},
		"no slug":            {`{"toolkit":{}}`, "payload.toolkit.slug: Required"},
		"empty slug":         {`{"toolkit":{"slug":""}}`, "at least 1"},
		"type of an update":  {config(`{"type":"custom"}`), "Expected 'use_composio_managed_auth' | 'use_custom_auth'"},
		"auth_config null":   {config(`null`), "Expected object, received null"},
		"no authScheme":      {config(`{"type":"use_custom_auth","auth_scheme":"OAUTH2"}`), "authScheme: Required"},
		"unknown authScheme": {config(`{"type":"use_custom_auth","authScheme":"MAGIC"}`), "Invalid enum value"},
		"name as number":     {own(`"name":5`), "payload.auth_config.name: Expected string, received number"},
		"scopes as number":   {own(`"credentials":{"scopes":5}`), "credentials.scopes"},
		"scopes of numbers":  {own(`"credentials":{"scopes":[5]}`), "credentials.scopes.0"},
		"tools as text":      {own(`"restrict_to_following_tools":"A"`), "Expected array, received string"},
		"flag as text":       {own(`"is_enabled_for_tool_router":"true"`), "Expected boolean, received string"},
		"proxy without url":  {own(`"proxy_config":{}`), "proxy_url: Required"},
		"proxy url":          {own(`"proxy_config":{"proxy_url":"nowhere"}`), "Invalid url"},
		"sealed empty":       {own(`"sealed_credentials":{"client_secret":""}`), "1 to 16384"},
		"sealed twice":       {own(`"credentials":{"client_secret":"x"},"sealed_credentials":{"client_secret":"y"}`), "in credentials too"},
	} {
		t.Run(name, func(t *testing.T) {
			b.do("POST", "/auth_configs", c.body).invalid(t, c.text)
		})
	}
	b.do("POST", "/auth_configs", githubApp, "Content-Type", "text/plain").invalid(t, "content type")
	b.do("POST", "/auth_configs", strings.Repeat(" ", maxBody+1)).want(t, 413)
}
