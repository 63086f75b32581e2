package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMasks(t *testing.T) {
	body := `{"toolkit":{"slug":"trello"},"auth_config":{"type":"use_custom_auth","authScheme":"OAUTH1","credentials":{
		"consumer_key":"public-key","consumer_secret":"abcdefghij","pin":"12","port":443,"scopes":["read","write"],"oauth_redirect_uri":"https://a.example/"}}}`
	for quirk, want := range map[string]map[string]any{
		"max-limit": {
			"consumer_key": "public-key", "consumer_secret": "abcd...", "pin": "1...", "port": "4...",
			"scopes": []any{"read", "write"}, "oauth_redirect_uri": "https://a.example/",
		},
		"strict-mask": {
			"consumer_key": "public-key", "consumer_secret": "abcd...", "pin": "1...", "port": "4...",
			"scopes": []any{"re...", "wr..."}, "oauth_redirect_uri": "http...",
		},
	} {
		b := quirky(t, quirk)
		id := b.make(body)
		if d := cmp.Diff(want, b.config(id).at("credentials")); d != "" {
			t.Errorf("%s: %s", quirk, d)
		}
		list := b.get("/auth_configs?limit=1")
		if d := cmp.Diff(want, list.at("items", 0, "credentials")); d != "" {
			t.Errorf("%s, in the list: %s", quirk, d)
		}
	}
	b := quirky(t, "strict-mask")
	id := b.make(`{"toolkit":{"slug":"slack"},"auth_config":{"type":"use_composio_managed_auth","credentials":{"scopes":"chat:write"}}}`)
	want := map[string]any{"client_id": "REDACTED", "client_secret": "REDACTED", "scopes": "REDACTED"}
	if d := cmp.Diff(want, b.config(id).at("credentials")); d != "" {
		t.Error(d)
	}
}

// A credential goes in and is never seen again: not in answers, state, journal
// or state file.
func TestNothingKeepsCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	b := open(t, Options{StateFile: file})
	const canary = "CANARY-4f1c9"
	id := b.make(`{"toolkit":{"slug":"github"},"auth_config":{"type":"use_custom_auth","authScheme":"OAUTH2",
		"credentials":{"client_id":"public","client_secret":"x-` + canary + `","odd":{"deep":["y-` + canary + `"]}},
		"shared_credentials":{"a":{"b":"z-` + canary + `"}},"proxy_config":{"proxy_url":"https://p.example","proxy_auth_key":"p-` + canary + `"}}}`)
	b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","sealed_credentials":{"s":"s-`+canary+`"},"client_secret":"misplaced-`+canary+`"}`).want(t, 200)
	b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"me","connection_data":{"k":"c-`+canary+`"}}`).want(t, 201)
	b.do("POST", "/connected_accounts", `{"auth_config":{"id":"`+id+`"},"connection":{"state":{"val":{"access_token":"t-`+canary+`"}}}}`).want(t, 201)
	if _, err := b.Edit(Edit{Projects: map[string]ProjectEdit{"production": {AuthConfigs: raws(`{"id":"` + id + `","credentials":{"client_secret":"e-` + canary + `"}}`)}}}); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"state file": string(stored),
		"journal":    b.as("", "GET", "/_sandbox/journal", "").raw,
		"state":      b.as("", "GET", "/_sandbox/state", "").raw,
		"answers":    b.config(id).raw + b.get("/connected_accounts?auth_config_ids="+id).raw,
	}
	for place, text := range places {
		if strings.Contains(text, canary) {
			t.Errorf("the %s holds a credential", place)
		}
	}
	if want := "sha256:" + digest("x-"+canary); !strings.Contains(places["journal"], want) {
		t.Errorf("the journal has no %s", want)
	}
	if want := digest("e-" + canary); !strings.Contains(places["state"], want) {
		t.Errorf("the state has no %s", want)
	}
}

func TestMaskedWrites(t *testing.T) {
	b := open(t, Options{})
	id := b.make(githubApp)
	shown := b.config(id).at("credentials", "client_secret")
	b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","name":"dots...","credentials":{"client_secret":"`+shown.(string)+`"}}`).want(t, 200)
	b.do("POST", "/auth_configs", strings.Replace(githubApp, "hush-hush-secret", "REDACTED", 1)).want(t, 201)
	b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","credentials":{"scopes":["repo","re..."]}}`).want(t, 200)
	b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","credentials":{"client_secret":"longer..."}}`).want(t, 200)
	var got []string
	for _, i := range b.Journal().Incidents {
		if i.Kind != "masked_write" || i.Project != "production" || i.ID == "" {
			t.Errorf("incident %+v", i)
		}
		got = append(got, i.Method+" "+i.Detail)
	}
	want := []string{"PATCH credentials.client_secret", "POST auth_config.credentials.client_secret", "PATCH credentials.scopes.1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := len(b.Journal().Mutations); n != 5 {
		t.Errorf("%d mutations: masked writes are applied all the same", n)
	}
}
