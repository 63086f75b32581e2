package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

func TestSubcommands(t *testing.T) {
	c := serve(t, sandbox.Options{})
	file := filepath.Join(t.TempDir(), "passphrase")
	must(t, os.WriteFile(file, []byte("four hidden copper kettles\n"), 0o600))
	list := c.tool(0, "user", "list") // through the running console
	for _, p := range people {
		if !strings.Contains(list, p.name) {
			t.Errorf("%s is not listed:\n%s", p.name, list)
		}
	}
	c.tool(0, "user", "add", "cli@example.com", "--name", "Clio", "--role", "viewer", "--passphrase-file", file)
	if out := c.tool(1, "user", "add", "cli@example.com", "--name", "", "--role", "root", "--passphrase-file", file); !strings.Contains(out, "nobody was added") {
		t.Error(out)
	}
	p := c.open(tabOptions{})
	p.to("/signin")
	must(t, p.GetByLabel("Email").Fill("cli@example.com"))
	must(t, p.GetByLabel("Passphrase").Fill("four hidden copper kettles"))
	p.click(p.button("Sign in"))
	p.heading("Overview")
	c.tool(0, "user", "disable", "cli@example.com")
	p.to("/")
	p.heading("Sign in") // at once
	reset := c.tool(0, "user", "reset", "ada@example.com")
	link := regexp.MustCompile(`http://\S+/link\?token=\S+`).FindString(reset)
	p.to(link)
	p.heading("Choose a new passphrase")
	c.tool(1, "user", "reset", "nobody@example.com")

	if out := c.tool(0, "history", "verify"); !strings.HasPrefix(out, "ok: ") {
		t.Error(out)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	c.tool(0, "backup", copied)
	c.tool(1, "backup", copied) // never over a file
	c.tool(0, "health")
	c.tool(1, "health", "--addr", rig.FreeAddress(t))
	if out := c.tool(0, "version"); !strings.Contains(out, "gatehouse") {
		t.Error(out)
	}
	if out := c.tool(0, "help"); !strings.Contains(out, "history verify") {
		t.Error(out)
	}
	c.tool(2, "nonsense")

	// A second server on the same data is turned away.
	c.tool(4, "serve", "--addr", "127.0.0.1:0")
	c.stop(c.cmd)
	c.tool(0, "user", "list") // without a running console
	c.tool(0, "history", "verify")
}

// One that holds the lock and doesn't answer: exit 4.
func TestHeldDirectory(t *testing.T) {
	c := serve(t, sandbox.Options{})
	must(t, os.Remove(filepath.Join(c.dir, "console.sock")))
	c.tool(4, "user", "list")
}

func TestHistoryVerifyExitCodes(t *testing.T) {
	c := serve(t, sandbox.Options{})
	c.unchecked = true
	c.stop(c.cmd)
	db, err := sql.Open("sqlite3", filepath.Join(c.dir, "console.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "DROP TRIGGER history_no_update; UPDATE history SET body = replace(body, 'user.added', 'user.invent') WHERE seq = 2")
	must(t, err)
	must(t, db.Close())
	if out := c.tool(1, "history", "verify"); !strings.Contains(out, "row 2") {
		t.Error(out)
	}
	must(t, os.WriteFile(filepath.Join(c.dir, "console.db"), bytes.Repeat([]byte("x"), 8192), 0o600))
	must(t, removeAll(c.dir, "console.db-wal", "console.db-shm"))
	c.tool(2, "history", "verify")
	c.env = append(c.env, "CONSOLE_DATA_DIR="+t.TempDir())
	c.tool(2, "history", "verify")
}

func removeAll(dir string, names ...string) error {
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// What the settings must not be, and what is said about it.
func TestBadSettings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for want, env := range map[string][]string{
		"must be https":         {"CONSOLE_PUBLIC_URL=http://gatehouse.example.com"},
		"should look like":      {"CONSOLE_PUBLIC_URL=gatehouse"},
		"trusted proxies":       {"CONSOLE_TRUSTED_PROXIES=everybody"},
		"SQLite only":           {"CONSOLE_DATABASE_URL=postgres://x"},
		"at least 1s":           {"CONSOLE_SYNC_INTERVAL=1ms"},
		"not an e-mail address": {"CONSOLE_SMTP_ADDR=mail.example.com:587"},
		"no such file":          {"CONSOLE_SMTP_PASSWORD_FILE=/nosuchfile"},
		"chat.internal:443":     {"CONSOLE_NOTIFY_PRIVATE=chat.internal"},
		"there is no role":      {"CONSOLE_SECOND_FACTOR=boss"},
		"is it misspelt":        {"CONSOLE_ADRR=127.0.0.1:1", "CONSOLE_DATABASE_URL=postgres://x"},
		"may be read by others": {"CONSOLE_KEY_FILE=" + looseFile(t)},
	} {
		cmd := exec.CommandContext(t.Context(), binary, "serve", "--addr", "127.0.0.1:0")
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "CONSOLE_DATA_DIR=" + dir}, env...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, want %q in\n%s", env, err, want, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--addr", "0.0.0.0:0")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "loopback") {
		t.Errorf("the demo listens to the world: %s", out)
	}
}

func looseFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(path, []byte(strings.Repeat("ab", 32)), 0o644)) //nolint:gosec // the point of the test
	return path
}

// A missing or another key: nothing starts, nothing is written.
func TestKeyFile(t *testing.T) {
	c := serve(t, sandbox.Options{})
	c.stop(c.cmd)
	key := filepath.Join(c.dir, "console.key")
	good, err := os.ReadFile(key)
	must(t, err)
	before, err := os.ReadFile(filepath.Join(c.dir, "console.db"))
	must(t, err)
	must(t, os.Remove(key))
	if out := c.tool(1, "serve"); !strings.Contains(out, "is missing") {
		t.Error(out)
	}
	must(t, os.WriteFile(key, []byte(strings.Repeat("cd", 32)), 0o600))
	if out := c.tool(1, "serve"); !strings.Contains(out, "not the one that this database was made with") {
		t.Error(out)
	}
	after, err := os.ReadFile(filepath.Join(c.dir, "console.db"))
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the database was written")
	}
	must(t, os.WriteFile(key, good, 0o600))
	c.start()
}

// The demo: one command, one click.
func TestDemo(t *testing.T) {
	c := &console{t: t, dir: filepath.Join(t.TempDir(), "data"), out: &output{}, args: []string{"demo"}}
	addr, box := rig.FreeAddress(t), rig.FreeAddress(t)
	c.url = "http://" + addr
	c.env = []string{"PATH=" + os.Getenv("PATH"), "CONSOLE_ADDR=" + addr, "CONSOLE_SANDBOX_ADDR=" + box, "CONSOLE_DATA_DIR=" + c.dir, "CONSOLE_DEMO_PASSPHRASE=" + passphrase, "TMPDIR=" + t.TempDir()}
	c.start()
	for _, name := range []string{"Ada Admin", "Emil Editor", "Edda Editor", "Anna Approver", "Anton Approver", "Ayo Auditor", "Vera Viewer"} {
		p := c.open(tabOptions{expect: []string{"ERR_"}}) // it stays open while the program restarts
		p.to("/signin")
		p.click(p.button("Enter as " + name))
		p.heading("Overview")
		p.sees("Demo:", name, "Production", "Staging")
	}
	p := c.open(tabOptions{expect: []string{"ERR_"}})
	p.to("/signin")
	must(t, p.GetByLabel("Email").Fill("editor@example.com"))
	must(t, p.GetByLabel("Passphrase").Fill(passphrase))
	p.click(p.button("Sign in"))
	p.heading("Overview")
	p.to("/projects/staging/auth-configs?status=enabled")
	p.click(p.Locator("tr[data-id] a"))
	name, err := p.Locator("h1").InnerText()
	must(t, err)
	p.click(p.link("Disable"))
	p.click(p.button("Disable config"))
	p.sees("Disabled " + name)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+box+"/_sandbox/journal", nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	var journal struct {
		Calls     []json.RawMessage
		Mutations []struct{ Path string }
	}
	must(t, json.NewDecoder(resp.Body).Decode(&journal))
	if n := len(journal.Mutations); n == 0 || !strings.HasSuffix(journal.Mutations[n-1].Path, "/DISABLED") {
		t.Errorf("%d mutations", n)
	}

	// With a data directory, both sides survive a restart.
	c.stop(c.cmd)
	c.start()
	p.to("/projects/staging/auth-configs?status=disabled&q=" + name)
	must(t, expect.Locator(p.Locator("tr[data-id]").First()).ToContainText(name))
}

// Credentials reach no place where they could be read.
func TestCanaries(t *testing.T) {
	c := serve(t, sandbox.Options{})
	secrets := []string{canary, canary + "-second", "canary-proxy-key-9d0e", sandbox.StagingKey, sandbox.ProductionKey, passphrase, "another-passphrase-of-eight-words"}
	p := c.open(tabOptions{})
	seen := capture(p)
	p.signIn("Ada")
	list := "/projects/default/auth-configs"
	create := func(name, value string) {
		p.to(list + "/new?toolkit=github&scheme=OAUTH2")
		p.fill("Name", name)
		p.fill("Client id", "Iv1.x")
		p.click(p.button("Review"))
		p.fill("Client secret", value)
		p.click(p.button("Save and apply"))
	}
	create("canary-config", canary)
	p.sees("Created canary-config.")
	p.click(p.link("Edit"))
	must(t, p.GetByLabel("Proxy").Fill("https://proxy.example.com"))
	p.click(p.button("Review changes"))
	p.fill("Client secret", canary+"-second")
	p.fill("Proxy key", "canary-proxy-key-9d0e")
	p.click(p.button("Save and apply"))
	p.sees("Saved canary-config.")
	for _, fault := range []string{"status=400", "status=422", "reset-after", "5xx-before"} {
		must(t, c.box.Fail(sandbox.Fault{Kind: fault, Method: "POST"}))
		create("canary-"+fault, canary)
		p.sees("canary-")
	}
	p.to("/account")
	p.fill("Current passphrase", passphrase)
	p.fill("New passphrase", "another-passphrase-of-eight-words")
	p.click(p.button("Change passphrase"))
	p.sees("Passphrase changed")
	p.to("/settings/projects/default")
	p.fill("New API key", sandbox.StagingKey)
	p.click(p.button("Check and replace the key"))
	p.sees("The new key works")
	p.fill("New API key", sandbox.ProductionKey)
	p.click(p.button("Check and replace the key"))
	p.sees("another Composio project")
	for _, path := range []string{"/", "/history", "/changes", "/changes?tab=done", list, "/settings", "/people"} {
		p.to(path)
	}
	must(t, p.Close()) // it would ask on while the program is down
	c.tool(0, "backup", filepath.Join(c.dir, "backup.db"))

	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.cmd.Process.Pid))
	must(t, err)
	places := map[string][]byte{"answers to the browser": seen(), "output and logs": []byte(c.out.String()), "process arguments": cmdline}
	read := func() {
		must(t, filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			places[path], err = os.ReadFile(path)
			return err
		}))
	}
	read() // while it runs, with the write-ahead log
	sweep(t, places, secrets)
	c.stop(c.cmd)
	read()
	sweep(t, places, secrets)
	if len(places["answers to the browser"]) < 100_000 || len(places[filepath.Join(c.dir, "console.db")]) < 50_000 {
		t.Error("too little was looked at")
	}
}

// sweep looks for secrets as they are.
func sweep(t *testing.T, places map[string][]byte, secrets []string) {
	t.Helper()
	for place, content := range places {
		for _, s := range secrets {
			if n := bytes.Count(content, []byte(s)); n > 0 {
				t.Errorf("%.20s… is in %s, %d times", s, place, n)
			}
		}
	}
}
