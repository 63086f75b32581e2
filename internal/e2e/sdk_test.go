package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gatehouse/internal/composio/sandbox"
)

// sdk runs a step of sdk.mjs and returns what it printed.
func sdk(t *testing.T, url, key string, args ...string) map[string]any {
	t.Helper()
	node := os.Getenv("E2E_NODE")
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(node, "sdk.mjs")}, args...)...)
	cmd.Dir = node
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "COMPOSIO_API_KEY=" + key, "COMPOSIO_BASE_URL=" + url,
		"TELEMETRY_DISABLED=true", "NODE_ENV=test",
	}
	out, err := cmd.Output() // it warns about new schemes on standard error
	if err != nil {
		t.Fatalf("sdk %v: %v\n%s", args, err, out)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("sdk %v printed %s", args, out)
	}
	return got
}

// The official SDK and the console work on one project: what either does, the
// other sees.
func TestOfficialSDK(t *testing.T) {
	c := serve(t, sandbox.Options{Configs: 260})
	p := c.open(tabOptions{})
	p.signIn("Ada")
	list := "/projects/default/auth-configs"

	made := sdk(t, c.box.URL, sandbox.StagingKey, "make")
	if got := made["got"].(map[string]any); got["name"] != "sdk-own" || got["status"] != "ENABLED" || got["authScheme"] != "OAUTH2" {
		t.Errorf("the SDK reads back %v", got)
	}
	own, key := made["own"].(string), made["key"].(string)
	p.to(list)
	p.click(p.button("Sync now"))
	p.sees("263 auth configs")
	p.to(list + "/" + own)
	p.heading("sdk-own")
	p.sees("repo", "user", "Client secret", "is set; not through Gatehouse", "Somebody created sdk-own at Composio directly")

	changed := sdk(t, c.box.URL, sandbox.StagingKey, "change", own, key)
	p.to(list)
	p.click(p.button("Sync now"))
	p.sees("262 auth configs")
	p.to(list + "/" + own)
	p.sees("Somebody changed sdk-own at Composio directly", "Disabled")
	p.to("/history?action=auth_config.deleted_outside")
	p.sees("Somebody deleted sdk-key at Composio directly")
	enabled := 0
	for _, a := range c.box.State().Projects["staging"].AuthConfigs {
		if a.Status == "ENABLED" && a.DeletedAt == nil {
			enabled++
		}
	}
	if int(changed["list"].(float64)) != enabled || enabled < 200 {
		t.Errorf("the SDK lists %v configs, %d are enabled", changed["list"], enabled)
	}

	// And the other way round.
	p.to(list + "/" + own + "/edit")
	p.fill("Name", "named by the console")
	p.click(p.button("Review changes"))
	p.click(p.button("Save and apply"))
	p.sees("named by the console")
	p.click(p.link("Enable"))
	p.click(p.button("Enable config"))
	p.sees("Enabled named by the console.")
	if got := sdk(t, c.box.URL, sandbox.StagingKey, "look", own); got["name"] != "named by the console" || got["status"] != "ENABLED" || int(got["list"].(float64)) != enabled+1 {
		t.Errorf("the SDK sees %v", got)
	}
}
