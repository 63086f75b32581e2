package sandbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEverySchemeHasAToolkit(t *testing.T) {
	b := open(t, Options{})
	a := b.get("/toolkits?limit=1000&include_deprecated=true")
	if len(a.items()) < 50 {
		t.Fatalf("%d toolkits", len(a.items()))
	}
	seen := map[string]bool{}
	for _, item := range a.items() {
		schemes, _ := dig(item, "auth_schemes").([]any)
		for _, s := range schemes {
			seen[s.(string)] = true
		}
	}
	for _, s := range knownSchemes {
		if !seen[s] {
			t.Errorf("no toolkit has %s", s)
		}
	}
}

// Toolkits and tools must fit together: a managed app has every scope its tools
// need, and every toolkit but the deprecated has 6 to 40 tools.
func TestCatalogIsConsistent(t *testing.T) {
	b := open(t, Options{})
	for _, slug := range b.get("/toolkits?limit=1000&include_deprecated=true").each("slug") {
		slug, _ := slug.(string)
		detail := b.get("/toolkits/" + slug)
		tools := b.get("/tools?limit=1000&toolkit_slug=" + slug)
		n := len(tools.items())
		if detail.at("meta", "tools_count") != float64(n) {
			t.Errorf("%s: %d tools, but says %v", slug, n, detail.at("meta", "tools_count"))
		}
		if deprecated := n == 0 && detail.at("meta", "version") == "20251219_00"; !deprecated && (n < 6 || n > 40) {
			t.Errorf("%s: %d tools", slug, n)
		}
		available, _ := detail.at("composio_managed_auth", 0, "scopes", "available").([]any)
		for _, tool := range tools.items() {
			scopes, _ := dig(tool, "scopes").([]any)
			for _, s := range scopes {
				if available != nil && !slices.Contains(available, s) {
					t.Errorf("%s needs %v, which the app has not", dig(tool, "slug"), s)
				}
			}
			if name, _ := dig(tool, "slug").(string); !strings.HasPrefix(name, strings.ToUpper(slug)+"_") {
				t.Errorf("tool %s of %s", name, slug)
			}
		}
	}
}

func TestListToolkits(t *testing.T) {
	b := open(t, Options{})
	for query, check := range map[string]func(n int, slugs []any) bool{
		"":                         func(n int, s []any) bool { return n > 50 && s[0] == "github" && !slices.Contains(s, any("auth0")) },
		"&include_deprecated=true": func(_ int, s []any) bool { return slices.Contains(s, any("auth0")) },
		"&sort_by=alphabetically":  func(_ int, s []any) bool { return s[0] == "airtable" },
		"&search=SPREADSHEETS":     func(_ int, s []any) bool { return slices.Contains(s, any("googlesheets")) },
		"&search=hub":              func(n int, _ []any) bool { return n == 2 },
		"&category=crm":            func(n int, s []any) bool { return n > 3 && slices.Contains(s, any("hubspot")) },
		"&category=Developer%20Tools%20%26%20DevOps": func(_ int, s []any) bool { return slices.Contains(s, any("github")) },
		"&managed_by=composio":                       func(n int, _ []any) bool { return n > 50 },
		"&managed_by=project":                        func(n int, _ []any) bool { return n == 0 },
		"&managed_by=project&type=native":            func(n int, _ []any) bool { return n > 50 },
		"&type=custom":                               func(n int, _ []any) bool { return n == 0 },
	} {
		slugs := b.get("/toolkits?limit=1000" + query).each("slug")
		if !check(len(slugs), slugs) {
			t.Errorf("%s: %v", query, slugs)
		}
	}
	b.do("GET", "/toolkits?search=ab", "").invalid(t, "at least 3")
	b.do("GET", "/toolkits?sort_by=age", "").invalid(t, "sort_by")
	if n := len(b.get("/toolkits").items()); n != 20 {
		t.Errorf("%d toolkits on a page", n)
	}
}

func TestToolkitShapes(t *testing.T) {
	b := open(t, Options{})
	item := b.get("/toolkits?limit=1000&search=shopify").at("items", 0)
	if d := cmp.Diff([]any{"API_KEY", "OAUTH2", "S2S_OAUTH2"}, dig(item, "auth_schemes")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]any{}, dig(item, "composio_managed_auth_schemes")); d != "" {
		t.Error(d)
	}
	if got := dig(item, "meta", "categories", 0, "id"); got != "e-commerce" {
		t.Errorf("category %v", got)
	}
	detail := b.get("/toolkits/GITHUB")
	if detail.at("meta", "categories", 0, "slug") != "developer-tools-&-devops" || detail.at("meta", "categories", 0, "id") != nil {
		t.Errorf("categories %v", detail.at("meta", "categories"))
	}
	if got := detail.at("meta", "created_at"); got != "Fri May 03 2024" {
		t.Errorf("created %v", got)
	}
	field := detail.at("auth_config_details", 0, "fields", "auth_config_creation", "required", 1)
	want := map[string]any{
		"name": "client_secret", "displayName": "Client secret", "type": "string", "description": "Client secret of the app",
		"required": true, "default": nil, "is_secret": true,
	}
	if d := cmp.Diff(want, field); d != "" {
		t.Error(d)
	}
	slack := b.get("/toolkits/slack")
	if got, _ := slack.at("composio_managed_auth", 0, "user_scopes", "available").([]any); len(got) == 0 {
		t.Error("slack has no user scopes")
	}
	if dig(b.get("/toolkits?search=hackernews").at("items", 0), "no_auth") != true {
		t.Error("hackernews needs auth")
	}
	b.do("GET", "/toolkits/nonesuch", "").refused(t, 404, 2301, "Toolkit_ToolkitNotFound")
	categories := b.get("/toolkits/categories")
	if n := len(categories.items()); n < 20 || categories.at("total_items") != float64(n) {
		t.Errorf("%d categories", n)
	}
}

func TestListTools(t *testing.T) {
	b := open(t, Options{})
	github, _ := b.get("/auth_configs?search=github-prod").at("items", 0, "id").(string)
	all := b.get("/tools?limit=1000&toolkit_slug=GitHub").each("slug")
	if !slices.IsSortedFunc(all, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) {
		t.Error("not by slug")
	}
	for query, want := range map[string]int{
		"toolkit_slug=github": len(all),
		"tool_slugs=github_create_an_issue,SLACK_SEND_MESSAGE&toolkit_slug=notion": 2,
		"auth_config_ids=" + github:                                len(all),
		"toolkit_slug=github&scopes=gist":                          2,
		"toolkit_slug=github&tags=destructiveHint":                 1,
		"toolkit_slug=github&tags=destructiveHint&tags=createHint": 9,
		"toolkit_slug=slack&important=true":                        5,
		"toolkit_slug=slack&important=false":                       25,
		"toolkit_slug=slack&query=reminder":                        3,
		"toolkit_slug=slack&search=reminder":                       3,
		"toolkit_slug=nonesuch":                                    0,
	} {
		if got := b.get("/tools?limit=1000&" + query).at("total_items"); got != float64(want) {
			t.Errorf("%s: %v, want %d", query, got, want)
		}
	}
	b.do("GET", "/tools?auth_config_ids=ac_missing", "").refused(t, 400, 302, "Auth_Config_NotFound")
	id := b.make(`{"toolkit":{"slug":"slack"}}`)
	b.do("PATCH", "/auth_configs/"+id, `{"type":"default","tool_access_config":{"tools_available_for_execution":["SLACK_SEND_MESSAGE"]}}`).want(t, 200)
	if n := b.get("/tools?auth_config_ids=" + id).at("total_items"); n != 1.0 {
		t.Errorf("%v tools for a config that allows one", n)
	}
}

func TestToolVersions(t *testing.T) {
	b := open(t, Options{})
	for path, want := range map[string]string{
		"/api/v3/tools/GITHUB_GET_AN_ISSUE":                                          "00000000_00",
		"/api/v3.1/tools/github_get_an_issue":                                        "20260708_00",
		"/api/v3/tools/GITHUB_GET_AN_ISSUE?toolkit_versions=latest":                  "20260708_00",
		"/api/v3/tools/GITHUB_GET_AN_ISSUE?toolkit_versions%5Bgithub%5D=20251201_00": "20251201_00",
		"/api/v3.1/tools/GITHUB_GET_AN_ISSUE?version=20251201_00":                    "20251201_00",
	} {
		if got := b.as(ProductionKey, "GET", path, "").want(t, 200).at("version"); got != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
	b.do("GET", "/tools/NONE_SUCH", "").refused(t, 404, 2401, "Tool_ToolNotFound")
}

func TestRequiredScopes(t *testing.T) {
	b := open(t, Options{})
	a := b.do("POST", "/tools/scopes/required", `{"tools":["SLACK_FIND_USER_BY_EMAIL_ADDRESS","slack_list_all_channels"],"version":"latest"}`).want(t, 200)
	want := map[string]any{
		"scopes_required": []any{"channels:read", "users:read", "users:read.email"},
		"per_tool_requirements": []any{
			map[string]any{"tool": "SLACK_FIND_USER_BY_EMAIL_ADDRESS", "scope_requirements": map[string]any{"all_of": []any{"users:read", "users:read.email"}}},
			map[string]any{"tool": "SLACK_LIST_ALL_CHANNELS", "scope_requirements": map[string]any{
				"all_of": []any{map[string]any{"any_of": []any{"channels:read", "groups:read"}}},
			}},
		},
	}
	if d := cmp.Diff(want, a.body); d != "" {
		t.Error(d)
	}
	a = b.do("POST", "/tools/scopes/required", `{"tools":["TRELLO_CREATE_CARD"]}`).want(t, 200)
	if a.at("per_tool_requirements", 0, "scope_requirements") != nil || a.at("scopes_required", 0) != "write" {
		t.Errorf("a tool that knows only scopes: %s", a.raw)
	}
	b.do("POST", "/tools/scopes/required", `{"tools":["TRELLO_CREATE_CARD","SLACK_SEND_MESSAGE"]}`).invalid(t, "same toolkit")
	b.do("POST", "/tools/scopes/required", `{"tools":["NONE_SUCH"]}`).refused(t, 404, 2401, "Tool_ToolNotFound")
	b.do("POST", "/tools/scopes/required", `{}`).invalid(t, "tools: Required")
}
