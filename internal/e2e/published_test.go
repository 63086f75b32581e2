package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/composio"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
)

// prism starts a proxy in front of a sandbox that refuses what Composio's
// published description doesn't allow, in requests and in responses. Where that
// description doesn't lie beside the checkout there is nothing to hold to.
func prism(t *testing.T, upstream string) (url string, there bool) {
	t.Helper()
	published, err := filepath.Abs("../../../shared/composio/openapi.json")
	must(t, err)
	if _, err := os.Stat(published); err != nil {
		t.Log("Composio's published description isn't here; nothing is compared with it")
		return "", false
	}
	node := os.Getenv("E2E_NODE")
	spec := filepath.Join(t.TempDir(), "published.json")
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join(node, "published.mjs"), published, spec).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	addr := rig.FreeAddress(t)
	_, port, _ := splitAddr(addr)
	log := &output{}
	cmd := exec.Command("node", filepath.Join(node, "node_modules/@stoplight/prism-cli/dist/index.js"), "proxy", "--errors", "-h", "127.0.0.1", "-p", port, spec, upstream)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has no other way to end
		_ = cmd.Wait()
		if t.Failed() {
			text := log.String()
			t.Logf("prism: …%s", text[max(0, len(text)-6000):])
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/v3.1/toolkits/categories", nil)
		must(t, err)
		req.Header.Set("X-Api-Key", sandbox.StagingKey)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			body, _ := io.ReadAll(resp.Body) // for the message
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("prism answers %d: %s", resp.StatusCode, body)
			}
			return "http://" + addr, true
		}
		if ctx.Err() != nil {
			t.Fatalf("prism doesn't start: %s", log)
		}
	}
}

func splitAddr(addr string) (host, port string, ok bool) {
	for i := len(addr) - 1; i >= 0; i-- {
		if addr[i] == ':' {
			return addr[:i], addr[i+1:], true
		}
	}
	return addr, "", false
}

// Every call of the client, and the console's main path, through the proxy.
func TestPublishedDescription(t *testing.T) {
	c := serve(t, sandbox.Options{})
	c.unchecked = true
	url, there := prism(t, c.box.URL)
	if !there {
		return
	}
	client, err := composio.New(url, secret.New(sandbox.StagingKey), composio.WithReadBudget(0))
	must(t, err)
	everyCall(t, client)
	v3, err := composio.New(url, secret.New(sandbox.StagingKey), composio.WithReadBudget(0), composio.WithVersion("v3"))
	must(t, err)
	everyCall(t, v3)

	c.stop(c.cmd)
	for i, e := range c.env {
		if e == "COMPOSIO_BASE_URL="+c.box.URL {
			c.env[i] = "COMPOSIO_BASE_URL=" + url
		}
	}
	c.start()
	p := c.open(tabOptions{})
	p.signIn("Emil")
	p.to("/projects/default/auth-configs/new?toolkit=github&scheme=OAUTH2")
	p.fill("Name", "through-prism")
	p.fill("Client id", "Iv1.prism")
	p.fill("Scopes", "repo, user")
	p.click(p.button("Review"))
	p.fill("Client secret", canary)
	p.click(p.button("Save and apply"))
	p.sees("Created through-prism.")
	p.click(p.link("Edit"))
	p.fill("Scopes", "repo")
	p.fill("Restrict to tools", "GITHUB_GET_A_REPOSITORY")
	p.click(p.button("Review changes"))
	p.fill("Client secret", canary+"2")
	p.click(p.button("Save and apply"))
	p.sees("Saved through-prism.")
	p.click(p.link("Disable"))
	p.click(p.button("Disable config"))
	p.sees("Disabled through-prism.")
	p.click(p.link("Delete"))
	must(t, p.GetByLabel("Type the name to confirm: through-prism").Fill("through-prism"))
	p.click(p.button("Delete config"))
	p.sees("Deleted through-prism.")
}

// everyCall makes each call of the client once, refusals included.
func everyCall(t *testing.T, c *composio.Client) {
	t.Helper()
	ctx := t.Context()
	_, err := c.Session(ctx)
	must(t, err)
	own, err := c.AuthConfigs.Create(ctx, composio.CreateAuthConfig{
		Toolkit: "github", Type: composio.Custom, Name: "own", AuthScheme: "OAUTH2", Scopes: &composio.Scopes{Values: []string{"repo"}, Form: composio.ScopeComma},
		Credentials: map[string]secret.Value{"client_id": secret.New("Iv1"), "client_secret": secret.New("some-secret-1")}, RestrictToTools: []string{"GITHUB_GET_A_REPOSITORY"},
	})
	must(t, err)
	managed, err := c.AuthConfigs.Create(ctx, composio.CreateAuthConfig{Toolkit: "slack", Type: composio.Managed, Name: "managed"})
	must(t, err)
	name, flag := "renamed", true
	must(t, c.AuthConfigs.Update(ctx, own.ID, composio.UpdateAuthConfig{
		Type: composio.Custom, Name: &name, Credentials: map[string]secret.Value{"client_secret": secret.New("some-secret-2")}, Scopes: &composio.Scopes{Values: []string{"repo", "user"}, Form: composio.ScopeList},
		ToolsForExecution: &[]string{"GITHUB_GET_A_REPOSITORY"}, EnabledForToolRouter: &flag, Proxy: &composio.Proxy{URL: "https://proxy.example.com", AuthKey: secret.New("proxy-key-1")},
	}))
	must(t, c.AuthConfigs.Update(ctx, own.ID, composio.UpdateAuthConfig{Type: composio.Custom, Proxy: &composio.Proxy{}, RestrictToTools: &[]string{}}))
	must(t, c.AuthConfigs.Update(ctx, managed.ID, composio.UpdateAuthConfig{Type: composio.Managed, Name: &name, Scopes: &composio.Scopes{Values: []string{"chat:write"}, Form: composio.ScopeComma}}))
	must(t, c.AuthConfigs.Disable(ctx, own.ID))
	must(t, c.AuthConfigs.Enable(ctx, own.ID))
	for a, err := range c.AuthConfigs.List(ctx, composio.AuthConfigQuery{Limit: 20}) {
		must(t, err)
		if _, err := c.AuthConfigs.Get(ctx, a.ID); err != nil {
			t.Errorf("%s (%s): %v", a.Name, a.AuthScheme, err)
		}
		for _, err := range c.ConnectedAccounts.List(ctx, a.ID) {
			must(t, err)
		}
	}
	for k, err := range c.Toolkits.List(ctx, composio.ToolkitQuery{IncludeDeprecated: true}) {
		must(t, err)
		if _, err := c.Toolkits.Get(ctx, k.Slug); err != nil {
			t.Errorf("toolkit %s: %v", k.Slug, err)
		}
	}
	for _, err := range c.Tools.List(ctx, "github") {
		must(t, err)
	}
	_, err = c.ConnectedAccounts.Link(ctx, own.ID, "user-1", "")
	must(t, err)
	_, err = c.ConnectedAccounts.Count(ctx, own.ID, "ACTIVE")
	must(t, err)
	must(t, c.AuthConfigs.Delete(ctx, own.ID, true))
	must(t, c.AuthConfigs.Delete(ctx, managed.ID, false))
	if _, err := c.AuthConfigs.Get(ctx, own.ID); !composio.NotFound(err) {
		t.Errorf("a deleted config: %v", err)
	}
	if _, err := c.AuthConfigs.Create(ctx, composio.CreateAuthConfig{Toolkit: "hackernews", Type: composio.Managed}); !composio.Refused(err) {
		t.Errorf("a config for a toolkit without authentication: %v", err)
	}
}
