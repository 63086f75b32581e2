package sandbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The rows of the merge table: what a PATCH of a custom config leaves behind.
func TestUpdateCustom(t *testing.T) {
	before := map[string]any{
		"name": "made", "client_id": "Iv1.public", "client_secret": "hush...", "scopes": "repo,user", "proxy": "https://p.example/",
		"creation": []any{}, "execution": []any{"GITHUB_GET_AN_ISSUE"}, "restrict": []any{"GITHUB_GET_AN_ISSUE"},
		"shared": map[string]any{"k": "REDACTED"}, "router": false,
	}
	for name, c := range map[string]struct {
		body string
		want map[string]any // what changes
	}{
		"credentials omitted":           {`"name":"new"`, map[string]any{"name": "new"}},
		"one credential":                {`"credentials":{"client_secret":"other-secret"}`, map[string]any{"client_secret": "othe..."}},
		"credential null":               {`"credentials":{"client_secret":null}`, map[string]any{"client_secret": nil}},
		"credentials empty":             {`"credentials":{}`, nil},
		"scopes as list":                {`"credentials":{"scopes":["gist"]}`, map[string]any{"scopes": []any{"gist"}}},
		"scopes empty":                  {`"credentials":{"scopes":""}`, map[string]any{"scopes": nil}},
		"scopes at the top are ignored": {`"scopes":"gist"`, nil},
		"tool access omitted":           {`"is_enabled_for_tool_router":true`, map[string]any{"router": true}},
		"tool access empty":             {`"tool_access_config":{}`, nil},
		"execution cleared":             {`"tool_access_config":{"tools_available_for_execution":[]}`, map[string]any{"execution": []any{}}},
		"creation gives scopes": {`"tool_access_config":{"tools_for_connected_account_creation":["GITHUB_CREATE_A_GIST"]}`,
			map[string]any{"creation": []any{"GITHUB_CREATE_A_GIST"}, "scopes": "gist"}},
		"restrict cleared":   {`"restrict_to_following_tools":[]`, map[string]any{"restrict": []any{}}},
		"proxy null":         {`"proxy_config":null`, map[string]any{"proxy": nil}},
		"proxy replaced":     {`"proxy_config":{"proxy_url":"https://q.example/"}`, map[string]any{"proxy": "https://q.example/"}},
		"shared replaced":    {`"shared_credentials":{"l":"x"}`, map[string]any{"shared": map[string]any{"l": "REDACTED"}}},
		"sealed merged":      {`"sealed_credentials":{"client_secret":"eyJ"}`, map[string]any{"client_secret": "..."}},
		"unknown key":        {`"toolkit":{"slug":"slack"},"auth_scheme":"BASIC"`, nil},
		"wrapped as in docs": {`"auth_config":{"credentials":{"client_id":"z"}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, Options{})
			id := b.make(githubApp)
			b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","proxy_config":{"proxy_url":"https://p.example/"},"shared_credentials":{"k":"v"},
				"tool_access_config":{"tools_available_for_execution":["GITHUB_GET_AN_ISSUE"]},"restrict_to_following_tools":["GITHUB_GET_AN_ISSUE"]}`).want(t, 200)
			a := b.do("PATCH", "/auth_configs/"+id, `{"type":"custom",`+c.body+`}`).want(t, 200)
			if d := cmp.Diff(map[string]any{"success": true, "message": "Auth config updated"}, a.body); d != "" {
				t.Error(d)
			}
			want := map[string]any{}
			for _, m := range []map[string]any{before, c.want} {
				for k, v := range m {
					want[k] = v
				}
			}
			if d := cmp.Diff(want, summary(b.config(id))); d != "" {
				t.Error(d)
			}
		})
	}
}

func summary(a answer) map[string]any {
	return map[string]any{
		"name": a.at("name"), "client_id": a.at("credentials", "client_id"), "client_secret": a.at("credentials", "client_secret"),
		"scopes": a.at("credentials", "scopes"), "proxy": a.at("proxy_config", "proxy_url"),
		"creation":  a.at("tool_access_config", "tools_for_connected_account_creation"),
		"execution": a.at("tool_access_config", "tools_available_for_execution"),
		"restrict":  a.at("restrict_to_following_tools"), "shared": a.at("shared_credentials"), "router": a.at("is_enabled_for_tool_router"),
	}
}

func TestUpdateDefault(t *testing.T) {
	b := open(t, Options{})
	id := b.make(`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","credentials":{"scopes":"chat:write","user_scopes":"search:read"}}}`)
	for _, c := range []struct {
		body         string
		scopes, user any
	}{
		{`"name":"kept"`, "chat:write", "search:read"},
		{`"credentials":{"scopes":"ignored"}`, "chat:write", "search:read"},
		{`"scopes":["a","b"]`, []any{"a", "b"}, "search:read"},
		{`"user_scopes":"c"`, []any{"a", "b"}, "c"},
		{`"scopes":""`, nil, "c"},
		{`"user_scopes":[]`, nil, nil},
	} {
		b.do("PATCH", "/auth_configs/"+id, `{"type":"default",`+c.body+`}`).want(t, 200)
		a := b.config(id)
		if d := cmp.Diff([]any{c.scopes, c.user}, []any{a.at("credentials", "scopes"), a.at("credentials", "user_scopes")}); d != "" {
			t.Errorf("after %s: %s", c.body, d)
		}
	}
}

func TestUpdateRefuses(t *testing.T) {
	b := open(t, Options{})
	id := b.make(githubApp)
	patch := func(body string) answer { return b.do("PATCH", "/auth_configs/"+id, body) }
	patch(`{}`).invalid(t, "Expected 'custom' | 'default'")
	patch(`{"type":"use_custom_auth"}`).invalid(t, "Expected 'custom' | 'default'")
	patch(`{"type":"custom","name":""}`).invalid(t, "at least 1")
	patch(`{"type":"custom","name":null}`).invalid(t, "received null")
	patch(`{"type":"custom","credentials":null}`).invalid(t, "received null")
	patch(`{"type":"custom","tool_access_config":{"tools_available_for_execution":null}}`).invalid(t, "received null")
	patch(`not json`).invalid(t, "Invalid JSON")
	patch(`{"type":"default"}`).refused(t, 400, 301, "Auth_Config_ValidationError")
	b.do("PATCH", "/auth_configs/ac_missing", `{"type":"custom"}`).refused(t, 404, 302, "Auth_Config_NotFound")
	b.do("PATCH", "/auth_configs/7", `{"type":"custom"}`).invalid(t, "Invalid auth config ID format")
}

func TestUpdateTimes(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time})
	id := b.make(githubApp)
	at := clock.now
	for _, c := range []struct {
		body  string
		moves bool
	}{
		{`{"type":"custom"}`, false},
		{`{"type":"custom","tool_access_config":{ }}`, false},
		{`{"type":"custom","credentials":{"client_secret":"again"}}`, true},
	} {
		clock.now = clock.now.Add(time.Minute)
		b.do("PATCH", "/auth_configs/"+id, c.body).want(t, 200)
		if c.moves {
			at = clock.now
		}
		if got := b.config(id).at("last_updated_at"); got != stamp(at) {
			t.Errorf("after %s: %v, want %s", c.body, got, stamp(at))
		}
	}
	if n := len(b.Journal().Mutations); n != 4 {
		t.Errorf("%d mutations, want 4", n)
	}
}
