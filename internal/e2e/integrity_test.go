package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/composio/sandbox"
)

// A restored backup is refused until somebody accepts it, and both verifiers say
// so; then history goes on, and the page says that it is verified.
func TestRestoredBackup(t *testing.T) {
	c := serve(t, sandbox.Options{})
	file := filepath.Join(c.dir, "console.db")
	copied := filepath.Join(t.TempDir(), "console.db")
	c.tool(0, "backup", copied)
	c.tool(0, "user", "add", "later@example.com", "--name", "Later", "--role", "viewer", "--passphrase-file", passphraseFile(t))
	c.stop(c.cmd)
	c.start() // signs what is new
	until(t, func() bool { return anchored(t, c.dir) == 2 })
	c.stop(c.cmd)

	must(t, removeAll(c.dir, "console.db", "console.db-wal", "console.db-shm"))
	text, err := os.ReadFile(copied)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o600))
	c.tool(3, "history", "verify")
	if out := python(t, 3, c.dir); !strings.Contains(out, "rolled back") {
		t.Error(out)
	}
	if out := c.tool(3, "serve"); !strings.Contains(out, "--accept-restore") {
		t.Error(out)
	}
	c.args = append(c.args, "--accept-restore")
	c.start()
	p := c.open(tabOptions{})
	p.signIn("Ada")
	until(t, func() bool { // everything is verified soon after the start
		p.to("/history")
		text, err := p.Locator("main").InnerText()
		return err == nil && strings.Contains(text, "Verified to #")
	})
	p.sees("started on an older state of")
	p.to("/history/integrity")
	p.heading("Integrity")
	p.sees("History was taken back")
	c.stop(c.cmd)
	// Who verifies names the restore, of which both verifiers tell.
	for _, out := range []string{c.tool(3, "history", "verify"), python(t, 3, c.dir)} {
		size := regexp.MustCompile(`verify with --restored (\d+)`).FindStringSubmatch(out)
		if size == nil {
			t.Fatal(out)
		}
		c.tool(0, "history", "verify", "--restored", size[1])
		if out := python(t, 0, c.dir, "--restored", size[1]); !strings.Contains(out, "taken back 1 times with consent") {
			t.Error(out)
		}
	}
}

// anchored is how many checkpoints the anchor beside the database has.
func anchored(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "anchors.log"))
	must(t, err)
	lines := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		lines[line] = true
	}
	return len(lines)
}

// python runs the independent verifier on a data directory.
func python(t *testing.T, code int, dir string, more ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{"../../docs/verify_history.py", "db", dir}, more...)...)
	out, _ := cmd.CombinedOutput() // the code tells
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("the verifier ends with %d, want %d: %s", got, code, out)
	}
	return string(out)
}

func passphraseFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	must(t, os.WriteFile(path, []byte(passphrase+"\n"), 0o600))
	return path
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it took too long")
		}
	}
}
