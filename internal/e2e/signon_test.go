package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// provide starts a real OpenID Connect provider, and a console that knows it.
func provide(t *testing.T) *console {
	t.Helper()
	const client, secret = "gatehouse", "a-secret-of-the-tests"
	c := prepare(t, sandbox.Options{}, people)
	addr, dir, node := rig.FreeAddress(t), t.TempDir(), os.Getenv("E2E_NODE")
	_, port, err := net.SplitHostPort(addr)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600))
	file, err := json.Marshal(map[string]any{"providers": []map[string]any{{
		"id": "corp", "name": "Corp", "issuer": "http://" + addr, "allow_http": true, "client_id": client, "client_secret_file": "secret",
		"scopes": []string{"email", "profile", "groups"}, "groups_claim": "groups",
	}}})
	must(t, err)
	path := filepath.Join(dir, "oidc.json")
	must(t, os.WriteFile(path, file, 0o600))
	c.env = append(c.env, "CONSOLE_OIDC_FILE="+path)

	cmd := exec.Command("node", filepath.Join(node, "op.mjs"), port, client, secret, c.url+"/signin/oidc/corp/callback")
	cmd.Dir = node
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	out, err := cmd.StdoutPipe()
	must(t, err)
	said := &output{}
	cmd.Stderr = said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it keeps nothing
		_ = cmd.Wait()
	})
	ready := make([]byte, 5)
	if _, err := out.Read(ready); err != nil || string(ready) != "ready" {
		t.Fatalf("the provider doesn't start: %v\n%s", err, said)
	}
	c.start()
	return c
}

// atProvider signs in at the provider's own pages, and agrees there.
func (p *tab) atProvider(name string) {
	p.t.Helper()
	must(p.t, p.Locator("input[name=login]").Fill(name))
	must(p.t, p.Locator("input[name=password]").Fill("anything"))
	p.click(p.Locator("button[type=submit]"))
	p.sees("Authorize")
	p.click(p.Locator("button[type=submit]"))
}

// Somebody comes through a real provider: first as a newcomer, then with the rights
// of the group that an admin gave the provider's group.
func TestSignInThroughProvider(t *testing.T) {
	c := provide(t)
	p := c.open(tabOptions{expect: []string{"favicon.ico", "status of 404", "ERR_NAME_NOT_RESOLVED", "ERR_INTERNET_DISCONNECTED"}})
	source := axe(t)
	_, err := p.Goto(strings.Replace(c.url, "127.0.0.1", "localhost", 1) + "/signin") // where there are passkeys, too
	must(t, err)
	must(t, expect.Locator(p.button("Sign in with a passkey")).ToBeVisible())
	p.check(source, "signin-provider", "light", 1280)
	p.to("/signin")
	p.click(p.link("Sign in with Corp"))
	p.atProvider("olga")
	p.heading("Welcome to Gatehouse")
	p.check(source, "newcomer", "light", 1280)
	p.sees("Olga (olga@example.com)", "you may do nothing here yet")
	p.to("/account/identities")
	p.check(source, "identities", "light", 1280)
	if !strings.HasPrefix(p.URL(), c.url) {
		t.Errorf("at %s", p.URL())
	}
	p.click(p.button("Sign out"))
	p.heading("Sign in")

	admin := c.open(tabOptions{})
	admin.signIn("Ada")
	admin.to("/people/groups/new")
	admin.fill("Name", "Operations")
	must(t, admin.Locator("input[name=roles][value=viewer]").Check())
	must(t, admin.GetByLabel("Ids of this group at Corp").Fill("7f3c-operations"))
	admin.click(admin.Locator("main form button.primary").First())
	admin.sees("Operations")

	p.click(p.link("Sign in with Corp")) // the provider knows her still
	p.heading("Overview")
	p.to("/changes")
	p.heading("Changes")
	admin.to("/history?action=user.groups_set")
	admin.sees("Olga", "Operations")
}
