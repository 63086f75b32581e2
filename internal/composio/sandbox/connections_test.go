package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestListConnections(t *testing.T) {
	b := open(t, Options{})
	config := b.get("/auth_configs?search=github-prod")
	id, _ := config.at("items", 0, "id").(string)
	if n := config.at("items", 0, "no_of_connections"); n != 43.0 {
		t.Errorf("%v active connections, want 41 private and 2 shared", n)
	}
	conns := b.get("/connected_accounts?limit=200&auth_config_ids=" + id)
	user, _ := conns.at("items", 0, "user_id").(string)
	one, _ := conns.at("items", 0, "id").(string)
	two, _ := conns.at("items", 1, "id").(string)
	of := "limit=200&auth_config_ids=" + id
	for query, want := range map[string]int{
		of:                              46,
		of + "&account_type=PRIVATE":    46,
		of + "&account_type=SHARED":     2,
		of + "&account_type=ALL":        48,
		of + "&statuses=ACTIVE":         41,
		of + "&statuses=EXPIRED,FAILED": 4,
		of + "&statuses=EXPIRED&statuses=FAILED,INITIATED": 5,
		of + "&statuses=": 46,
		"connected_account_ids=" + one + "%2C" + two:             2,
		"connected_account_ids=" + one + "&user_ids=nobody":      0,
		"connected_account_ids=" + one + "&user_ids=" + user:     1,
		"toolkit_slugs=Linear,zendesk&statuses=ACTIVE":           18,
		"toolkit_slugs=hubspot&statuses=ACTIVE&account_type=ALL": 9,
	} {
		if got := b.get("/connected_accounts?" + query).at("total_items"); got != float64(want) {
			t.Errorf("%s: %v, want %d", query, got, want)
		}
	}
	b.do("GET", "/connected_accounts?statuses=ASLEEP", "").invalid(t, "received 'ASLEEP'")
	b.do("GET", "/connected_accounts?account_type=MINE", "").invalid(t, "account_type")
	b.do("GET", "/connected_accounts?order_by=name", "").invalid(t, "order_by")
	b.do("GET", "/connected_accounts?order_direction=up", "").invalid(t, "order_direction")
}

func TestConnectionOrder(t *testing.T) {
	b := open(t, Options{})
	for query, sorted := range map[string]func(a, b string) bool{
		"":                     func(a, b string) bool { return a >= b },
		"&order_direction=asc": func(a, b string) bool { return a <= b },
		"&order_by=updated_at": func(a, b string) bool { return a >= b },
		"&order_by=updated_at&order_direction=asc": func(a, b string) bool { return a <= b },
	} {
		key := "created_at"
		if strings.Contains(query, "updated_at") {
			key = "updated_at"
		}
		times := b.get("/connected_accounts?limit=200" + query).each(key)
		for i := 1; i < len(times); i++ {
			if !sorted(times[i-1].(string), times[i].(string)) {
				t.Errorf("%q: %v before %v", query, times[i-1], times[i])
			}
		}
	}
}

func TestSeededConnections(t *testing.T) {
	b := open(t, Options{})
	seen := map[any]bool{}
	for _, path := range []string{"", "&cursor=2", "&account_type=SHARED"} {
		for _, v := range b.get("/connected_accounts?limit=200" + path).items() {
			status, reason := dig(v, "status"), dig(v, "status_reason")
			seen[status], seen[dig(v, "experimental", "account_type")] = true, true
			if (status == "EXPIRED" || status == "FAILED") && reason == nil {
				t.Errorf("no reason: %v", v)
			}
			if dig(v, "state", "val", "status") != status {
				t.Errorf("state says otherwise: %v", v)
			}
		}
	}
	want := map[any]bool{"ACTIVE": true, "EXPIRED": true, "FAILED": true, "INACTIVE": true, "REVOKED": true, "INITIATED": true, "PRIVATE": true, "SHARED": true}
	if d := cmp.Diff(want, seen); d != "" {
		t.Error(d)
	}
}

func TestLink(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time})
	id := b.make(githubApp)
	a := b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"me","alias":"mine","connection_data":{"subdomain":"hidden-canary"}}`).want(t, 201)
	conn, _ := a.at("connected_account_id").(string)
	token, _ := a.at("link_token").(string)
	if !strings.HasPrefix(conn, "ca_") || a.at("redirect_url") != "https://connect.composio.dev/link/"+token || a.at("expires_at") != "2026-11-23T12:10:00.000Z" {
		t.Errorf("answer %s", a.raw)
	}
	got := b.get("/connected_accounts/" + conn)
	want := map[string]any{"status": "INITIALIZING", "alias": "mine", "user_id": "me", "params": map[string]any{}, "requested_scopes": []any{"repo", "user"}}
	for k, v := range want {
		if d := cmp.Diff(v, got.at(k)); d != "" {
			t.Errorf("%s: %s", k, d)
		}
	}
	if _, err := b.Edit(Edit{Projects: map[string]ProjectEdit{"production": {Connections: raws(`{"id":"` + conn + `","status":"ACTIVE"}`)}}}); err != nil {
		t.Fatal(err)
	}
	if n := b.config(id).at("no_of_connections"); n != 1.0 {
		t.Errorf("%v active after the sign-in", n)
	}
	late, _ := b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"you"}`).at("connected_account_id").(string)
	clock.now = clock.now.Add(10 * time.Minute)
	got = b.get("/connected_accounts/" + late)
	if got.at("status") != "EXPIRED" || got.at("status_reason") != "Connection initiation did not complete within 10 minutes" {
		t.Errorf("after ten minutes: %s", got.raw)
	}
	for body, text := range map[string]string{
		`{"user_id":"me"}`:                                                              "auth_config_id: Required",
		`{"auth_config_id":"` + id + `"}`:                                               "user_id: Required",
		`{"auth_config_id":"x","user_id":""}`:                                           "at least 1",
		`{"auth_config_id":"x","user_id":"u","connection_data":[]}`:                     "connection_data",
		`{"auth_config_id":"x","user_id":"u","experimental":{"account_type":"PUBLIC"}}`: "account_type",
	} {
		b.do("POST", "/connected_accounts/link", body).invalid(t, text)
	}
	shared := b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"u","experimental":{"account_type":"SHARED"}}`).want(t, 201)
	if shared.at("experimental", "account_type") != "SHARED" {
		t.Errorf("answer %s", shared.raw)
	}
}

func TestInitiate(t *testing.T) {
	b := open(t, Options{})
	managed := b.make(`{"toolkit":{"slug":"slack"}}`)
	a := b.do("POST", "/connected_accounts", `{"auth_config":{"id":"`+managed+`"},"connection":{}}`).want(t, 400)
	if a.at("error", "code") != "BadRequest" || a.at("error", "suggestedFix") == nil {
		t.Errorf("answer %s", a.raw)
	}
	own := b.make(githubApp)
	a = b.do("POST", "/connected_accounts", `{"auth_config":{"id":"`+own+`"},"connection":{"user_id":"me"}}`).want(t, 201)
	if a.at("status") != "INITIATED" || a.at("redirect_url") == nil || a.at("connectionData", "val", "redirectUrl") != a.at("redirect_url") {
		t.Errorf("answer %s", a.raw)
	}
	key := b.make(`{"toolkit":{"slug":"openai"},"auth_config":{"type":"use_custom_auth","authScheme":"API_KEY"}}`)
	a = b.do("POST", "/connected_accounts", `{"auth_config":{"id":"`+key+`"},"connection":{"state":{"authScheme":"API_KEY","val":{"status":"ACTIVE","generic_api_key":"sk-canary-value"}}}}`).want(t, 201)
	if a.at("status") != "ACTIVE" || a.at("redirect_url") != nil || strings.Contains(a.raw, "canary") {
		t.Errorf("answer %s", a.raw)
	}
	id, _ := a.at("id").(string)
	got := b.get("/connected_accounts/" + id)
	if got.at("user_id") != "default" || got.at("state", "val", "generic_api_key") != "REDACTED" || got.at("status_reason") != nil {
		t.Errorf("connection %s", got.raw)
	}
	b.do("POST", "/connected_accounts", `{"auth_config":{"id":"ac_missing"},"connection":{}}`).refused(t, 400, 302, "Auth_Config_NotFound")
	b.do("POST", "/connected_accounts", `{}`).invalid(t, "auth_config: Required")
	b.do("POST", "/connected_accounts", `{"auth_config":{},"connection":{"state":{"val":5}}}`).invalid(t, "state.val")
}

func TestSwitchAndDeleteConnection(t *testing.T) {
	b := open(t, Options{})
	config, _ := b.get("/auth_configs?search=zendesk").at("items", 0, "id").(string)
	id, _ := b.get("/connected_accounts?auth_config_ids="+config).at("items", 0, "id").(string)
	for enabled, status := range map[string]string{"false": "INACTIVE", "true": "ACTIVE"} {
		b.do("PATCH", "/connected_accounts/"+id+"/status", `{"enabled":false}`).want(t, 200)
		b.do("PATCH", "/connected_accounts/"+id+"/status", `{"enabled":`+enabled+`}`).want(t, 200)
		got := b.get("/connected_accounts/" + id)
		if got.at("status") != status || got.at("status_reason") != "Connection status updated by user" || got.at("is_disabled") != (enabled == "false") {
			t.Errorf("enabled %s: %s", enabled, got.raw)
		}
	}
	b.do("PATCH", "/connected_accounts/"+id+"/status", `{}`).invalid(t, "enabled: Required")
	b.do("PATCH", "/connected_accounts/ca_missing/status", `{"enabled":true}`).refused(t, 404, 606, "ConnectedAccount_ResourceNotFound")
	if job, _ := b.do("DELETE", "/connected_accounts/"+id+"?revoke_on_delete=true", "").want(t, 200).at("revoke_job_id").(string); !strings.HasPrefix(job, "pj_") {
		t.Errorf("job %q", job)
	}
	b.do("GET", "/connected_accounts/"+id, "").refused(t, 404, 606, "ConnectedAccount_ResourceNotFound")
	b.do("DELETE", "/connected_accounts/"+id, "").want(t, 404)
	b.do("GET", "/connected_accounts/7", "").invalid(t, "format")
	if n := b.get("/connected_accounts?auth_config_ids=" + config).at("total_items"); n != 6.0 {
		t.Errorf("%v left", n)
	}
}
