package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// fetch returns what an address answers.
func (c *console) fetch(url string) string {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, url, nil)
	must(c.t, err)
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer func() { must(c.t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return string(body)
}

// Metrics are on a listener of their own and nowhere else, and count what people
// and the console do.
func TestMetricsListener(t *testing.T) {
	c := prepare(t, sandbox.Options{Configs: 9}, people)
	addr := rig.FreeAddress(t)
	c.env = append(c.env, "CONSOLE_METRICS_ADDR="+addr)
	c.start()
	c.fetch(c.url + "/signin")
	c.fetch(c.url + "/no/such/page")
	metrics := c.fetch("http://" + addr + "/metrics")
	for _, want := range []string{
		`gatehouse_auth_configs{project="default"} 9`, `gatehouse_http_requests_total{method="GET",route="/signin",status="200"} 1`, `gatehouse_ready 1`, `gatehouse_up 1`,
		`status="404"} 1`, "process_resident_memory_bytes ", "go_goroutines ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if got := c.fetch("http://" + addr + "/readyz"); got != "ok\n" {
		t.Errorf("/readyz says %q", got)
	}
	if got := c.fetch(c.url + "/metrics"); strings.Contains(got, "gatehouse_up") {
		t.Error("the pages' listener has metrics")
	}
}

// The drill: a running console is copied, encrypted; machine and key file are lost;
// from the copy and the keys that were kept elsewhere another one goes on.
func TestRestoreDrill(t *testing.T) {
	c := serve(t, sandbox.Options{})
	id, err := age.GenerateX25519Identity()
	must(t, err)
	identity := filepath.Join(t.TempDir(), "key.txt")
	must(t, os.WriteFile(identity, []byte(id.String()+"\n"), 0o600))
	place := t.TempDir()
	c.tool(0, "backup", place, "--recipient", id.Recipient().String())
	copies, err := filepath.Glob(filepath.Join(place, "console-*Z.db.age"))
	if err != nil || len(copies) != 1 {
		t.Fatalf("%v, %v", copies, err)
	}
	c.stop(c.cmd)
	entries := c.entries()

	lost := c.dir
	c.dir = filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.Mkdir(c.dir, 0o700))
	c.env = append(c.env, "CONSOLE_DATA_DIR="+c.dir)
	if out := c.tool(1, "restore", copies[0], "--identity", identity); !strings.Contains(out, "put the key files back first") {
		t.Error(out)
	}
	for _, name := range []string{"console.key", "witness.key"} {
		text, err := os.ReadFile(filepath.Join(lost, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(c.dir, name), text, 0o600))
	}
	if out := c.tool(1, "restore", copies[0]); !strings.Contains(out, "--identity") {
		t.Error(out)
	}
	c.tool(0, "restore", copies[0], "--identity", identity)
	c.tool(0, "history", "verify")
	if got := c.entries(); got < entries-3 || got > entries { // a backup is recorded once it was made
		t.Errorf("restored %d entries of %d", got, entries)
	}
	c.start()
	p := c.open(tabOptions{})
	p.signIn("Ada")
	p.to("/settings/operation")
	p.sees("All is well")
}

// The key is changed while the console runs and while it doesn't; nobody notices,
// and the old key is gone.
func TestKeysRotate(t *testing.T) {
	c := serve(t, sandbox.Options{})
	file := filepath.Join(c.dir, "console.key")
	text := func() string {
		text, err := os.ReadFile(file)
		must(t, err)
		return string(text)
	}
	first := text()
	if out := c.tool(0, "keys", "rotate"); !strings.Contains(out, "sealed with a new key") {
		t.Error(out)
	}
	second := text()
	if second == first || strings.Contains(second, strings.TrimSpace(first)) || strings.Contains(second, "old") {
		t.Error("the old key is still there")
	}
	c.stop(c.cmd)
	c.tool(0, "keys", "rotate")
	c.tool(0, "keys", "reseal")
	c.start() // reads Composio with the project's key
	c.stop(c.cmd)
	third := text()
	must(t, os.WriteFile(file, []byte(second), 0o600))
	if out := c.tool(1, "serve"); !strings.Contains(out, store.ErrWrongKey.Error()) {
		t.Error(out)
	}
	if out := c.tool(1, "keys", "rotate"); !strings.Contains(out, store.ErrWrongKey.Error()) || text() != second {
		t.Error(out)
	}
	must(t, os.WriteFile(file, []byte(third), 0o600))
	c.tool(0, "history", "verify")
}
