package sandbox

import (
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestListAuthConfigs(t *testing.T) {
	b := open(t, Options{})
	all := b.get("/auth_configs?limit=200&show_disabled=true")
	if got := all.at("total_items"); got != float64(len(productionSet)) {
		t.Fatalf("%v configs", got)
	}
	if !sort.SliceIsSorted(all.items(), func(i, j int) bool {
		return all.at("items", i, "created_at").(string) > all.at("items", j, "created_at").(string)
	}) {
		t.Error("not the newest first")
	}
	disabled := 0
	for _, s := range all.each("status") {
		if s == "DISABLED" {
			disabled++
		}
	}
	id, _ := all.at("items", 3, "id").(string)
	for query, want := range map[string]int{
		"":                          len(productionSet) - disabled,
		"show_disabled=":            len(productionSet) - disabled,
		"show_disabled=false":       len(productionSet) - disabled,
		"show_disabled=true":        len(productionSet),
		"toolkit_slug=github":       2,
		"toolkit_slug=GitHub":       2,
		"toolkit_slug=github,slack": 4,
		"toolkit_slug=github&toolkit_slug=slack,gmail": 6,
		"toolkit_slug=": len(productionSet) - disabled,
		"is_composio_managed=true&toolkit_slug=github":  1,
		"is_composio_managed=false&toolkit_slug=github": 1,
		"search=GITHUB-":                   2,
		"search=" + id[3:11]:               1,
		"search=nothing":                   0,
		"unheard_of=1&toolkit_slug=github": 2,
	} {
		if got := b.get("/auth_configs?limit=200&" + query).at("total_items"); got != float64(want) {
			t.Errorf("%s: %v items, want %d", query, got, want)
		}
	}
	b.do("GET", "/auth_configs?show_disabled=maybe", "").invalid(t, "query.show_disabled")
	b.do("GET", "/auth_configs?is_composio_managed=2", "").invalid(t, "query.is_composio_managed")
}

func TestOrderWithinAnInstant(t *testing.T) {
	clock := newTick()
	b := open(t, Options{Now: clock.time})
	for range 5 {
		b.make(githubApp)
	}
	first := b.get("/auth_configs?limit=5").each("id")
	if !slices.IsSortedFunc(first, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) {
		t.Errorf("ids of one instant are not in order: %v", first)
	}
	clock.now = clock.now.Add(time.Millisecond)
	if id := b.make(githubApp); b.get("/auth_configs").at("items", 0, "id") != id {
		t.Error("the newest is not the first")
	}
}

func TestProjectsAreApart(t *testing.T) {
	b := open(t, Options{})
	id := b.make(githubApp)
	conn, _ := b.get("/connected_accounts").at("items", 0, "id").(string)
	for _, path := range []string{"/auth_configs/" + id, "/connected_accounts/" + conn} {
		b.as(StagingKey, "GET", "/api/v3.1"+path, "").want(t, 404)
		b.as(StagingKey, "DELETE", "/api/v3.1"+path, "").want(t, 404)
	}
	b.as(StagingKey, "POST", "/api/v3/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"me"}`).refused(t, 400, 302, "Auth_Config_NotFound")
	b.as(ReadOnlyKey, "GET", "/api/v3/auth_configs/"+id, "").want(t, 200)
	if n := b.as(StagingKey, "GET", "/api/v3/auth_configs?show_disabled=true", "").at("total_items"); n != float64(len(stagingSet)) {
		t.Errorf("%v configs in staging", n)
	}
}

func TestSwitchAuthConfig(t *testing.T) {
	b := open(t, Options{})
	id := b.make(githubApp)
	for _, status := range []string{"DISABLED", "DISABLED", "ENABLED"} {
		a := b.do("PATCH", "/auth_configs/"+id+"/"+status, "").want(t, 200)
		if a.at("success") != true || a.at("message") == nil {
			t.Errorf("answer %s", a.raw)
		}
		if got := b.config(id).at("status"); got != status {
			t.Errorf("status %v, want %s", got, status)
		}
	}
	b.do("PATCH", "/auth_configs/"+id+"/disabled", "").invalid(t, "Expected 'ENABLED' | 'DISABLED'")
	b.do("PATCH", "/auth_configs/ac_missing/ENABLED", "").refused(t, 404, 302, "Auth_Config_NotFound")
	b.do("PATCH", "/auth_configs/x/ENABLED", "").invalid(t, "Invalid auth config ID format")
	b.do("PATCH", "/auth_configs/"+id+"/DISABLED", "").want(t, 200)
	link := `{"auth_config_id":"` + id + `","user_id":"me"}`
	b.do("POST", "/connected_accounts/link", link).refused(t, 400, 304, "Auth_Config_Disabled")
}

func TestDeleteAuthConfig(t *testing.T) {
	for query, status := range map[string]string{"": "INACTIVE", "?revoke_on_delete=": "INACTIVE", "?revoke_on_delete=true": "REVOKED"} {
		b := open(t, Options{})
		list := b.get("/auth_configs?search=slack-support")
		id, _ := list.at("items", 0, "id").(string)
		if n := list.at("items", 0, "no_of_connections"); n != 18.0 {
			t.Fatalf("%v connections", n)
		}
		a := b.do("DELETE", "/auth_configs/"+id+query, "").want(t, 200)
		job, _ := a.at("revoke_job_id").(string)
		if a.at("success") != true || strings.HasPrefix(job, "pj_") != (status == "REVOKED") {
			t.Errorf("answer %s", a.raw)
		}
		b.do("GET", "/auth_configs/"+id, "").refused(t, 404, 302, "Auth_Config_NotFound")
		b.do("DELETE", "/auth_configs/"+id, "").refused(t, 404, 302, "Auth_Config_NotFound")
		b.do("PATCH", "/auth_configs/"+id, `{"type":"custom"}`).want(t, 404)
		b.do("POST", "/connected_accounts/link", `{"auth_config_id":"`+id+`","user_id":"me"}`).refused(t, 400, 302, "Auth_Config_NotFound")
		if n := b.get("/auth_configs?search=slack-support").at("total_items"); n != 0.0 {
			t.Errorf("the list still has it")
		}
		conns := b.get("/connected_accounts?account_type=ALL&limit=200&auth_config_ids=" + id)
		counts := map[any]int{}
		for _, s := range conns.each("status") {
			counts[s]++
		}
		want := map[any]int{"EXPIRED": 2, "REVOKED": 1}
		want[status] += 18
		if d := cmp.Diff(want, counts); d != "" {
			t.Error(d)
		}
		if conns.at("items", 0, "auth_config", "is_disabled") != true {
			t.Error("the connections do not say that the config is gone")
		}
	}
	b := open(t, Options{})
	b.do("DELETE", "/auth_configs/ac_missing?revoke_on_delete=perhaps", "").invalid(t, "revoke_on_delete")
}

func TestRouting(t *testing.T) {
	b := open(t, Options{})
	a := b.do("PUT", "/auth_configs", "{}").want(t, 405)
	if a.header.Get("Allow") != "POST, GET" || a.at("error", "message") == nil {
		t.Errorf("Allow %q, body %s", a.header.Get("Allow"), a.raw)
	}
	b.do("DELETE", "/toolkits/github", "").want(t, 405)
	b.do("GET", "/nonesuch", "").want(t, 404)
	b.do("GET", "/auth_configs/", "").want(t, 404)
	b.as("", "GET", "/", "").want(t, 404)
	b.as(ProductionKey, "GET", "/api/v4/auth_configs", "").want(t, 404)
	b.as(ProductionKey, "GET", "/api/v1/anything", "").want(t, 410)
	b.as(ProductionKey, "POST", "/api/v2/anything/else", "{}").want(t, 410)
	b.do("GET", "/auth_configs/%61c_missing", "").refused(t, 404, 302, "Auth_Config_NotFound")
	b.do("GET", "/auth_configs/ac_a%2Fb", "").invalid(t, "format")
}
