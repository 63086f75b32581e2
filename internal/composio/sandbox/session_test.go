package sandbox

import (
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	b := open(t, Options{})
	for key, message := range map[string]string{
		"ak_wrongwrongUbOz":       "Invalid API key: ak_**UbOz",
		"ck_consumerconsumer9876": "Invalid API key: ck_**9876",
		"ak_short":                "Invalid API key: ak_**",
		"noprefixatall":           "Invalid API key: **tall",
		"uak_1234567890":          "Invalid API key: uak_**7890 is a user key, which belongs in x-user-api-key",
		"":                        "No API key was provided",
	} {
		a := b.as(key, "GET", "/api/v3/auth_configs", "").refused(t, 401, 801, "APIKey_InvalidAPIKey")
		if a.at("error", "message") != message || a.at("error", "suggested_fix") != "Please check you are using a valid key." {
			t.Errorf("key %q: %s", key, a.raw)
		}
		if a.header.Get("X-RateLimit") == "" || a.header.Get("X-RateLimit-Window-Size") != "60s" {
			t.Errorf("headers %v", a.header)
		}
	}
	b.as("", "GET", "/api/v3/toolkits", "", "x-user-api-key", "uak_x").refused(t, 401, 801, "APIKey_InvalidAPIKey")
	for _, key := range []string{StagingKey, ProductionKey, ReadOnlyKey} {
		b.as(key, "GET", "/api/v3/toolkits", "").want(t, 200)
	}
}

// refusesWrites checks that a key can read everything and change nothing.
func refusesWrites(t *testing.T, b *box, key string) {
	t.Helper()
	before := b.State()
	config, conn := before.Projects["production"].AuthConfigs[0].ID, before.Projects["production"].Connections[0].ID
	for _, c := range [][3]string{
		{"POST", "/auth_configs", githubApp},
		{"PATCH", "/auth_configs/" + config, `{"type":"custom"}`},
		{"PATCH", "/auth_configs/" + config + "/DISABLED", ""},
		{"DELETE", "/auth_configs/" + config, ""},
		{"POST", "/connected_accounts", "{}"},
		{"POST", "/connected_accounts/link", "{}"},
		{"DELETE", "/connected_accounts/" + conn, ""},
		{"PATCH", "/connected_accounts/" + conn + "/status", `{"enabled":false}`},
	} {
		a := b.as(key, c[0], "/api/v3.1"+c[1], c[2]).refused(t, 403, 812, "APIKey_InsufficientPermissions")
		if message, _ := a.at("error", "message").(string); !strings.Contains(message, "does not have the permissions") {
			t.Errorf("message %q", message)
		}
	}
	for _, path := range []string{"/auth_configs", "/auth_configs/" + config, "/connected_accounts", "/toolkits", "/tools", "/auth/session/info"} {
		b.as(key, "GET", "/api/v3.1"+path, "").want(t, 200)
	}
	b.as(key, "GET", "/api/v3.1/toolkits", "ignored", "Content-Type", "text/plain").want(t, 200)
	b.as(key, "POST", "/api/v3.1/tools/scopes/required", `{"tools":[]}`).want(t, 200)
	if n := len(b.Journal().Mutations); n != 0 {
		t.Errorf("%d mutations", n)
	}
}

func TestReadOnlyKey(t *testing.T) {
	refusesWrites(t, open(t, Options{}), ReadOnlyKey)
}

func TestSessionInfo(t *testing.T) {
	b := open(t, Options{})
	for key, want := range map[string]string{StagingKey: "staging", ProductionKey: "production", ReadOnlyKey: "production"} {
		a := b.as(key, "GET", "/api/v3/auth/session/info", "").want(t, 200)
		if a.at("project", "name") != want || a.at("api_key", "key") != key || a.at("org_member", "role") != "admin" {
			t.Errorf("%s: %s", key, a.raw)
		}
		for _, name := range []string{"webhook_url", "event_webhook_url", "webhook_secret", "last_subscribed_at"} {
			project, _ := a.at("project").(map[string]any)
			if v, there := project[name]; !there || v != nil {
				t.Errorf("project.%s is %v, there: %v", name, v, there)
			}
		}
	}
}

func TestRequestID(t *testing.T) {
	b := open(t, Options{})
	a := b.do("GET", "/auth_configs/ac_missing", "", "x-request-id", "mine-1").want(t, 404)
	if a.at("error", "request_id") != "mine-1" || a.header.Get("X-Request-Id") != "mine-1" {
		t.Errorf("%v: %s", a.header, a.raw)
	}
	b.do("POST", "/auth_configs", "{}", "x-request-id", "mine-2").invalid(t, `"request_id":"mine-2"`)
	for _, bad := range []string{"", "with space", strings.Repeat("x", 129)} {
		a = b.do("GET", "/auth_configs/ac_missing", "", "x-request-id", bad)
		if id, _ := a.at("error", "request_id").(string); !strings.HasPrefix(id, "req_") {
			t.Errorf("for %q: %q", bad, id)
		}
	}
}
