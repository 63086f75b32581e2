package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/store"
)

// A restored backup is refused until somebody accepts it, and both verifiers say
// so; then history goes on, and the page says that it is verified.
func TestRestoredBackup(t *testing.T) {
	c := serve(t, sandbox.Options{})
	copied := filepath.Join(t.TempDir(), "console.db")
	c.tool(0, "backup", copied)
	c.tool(0, "user", "add", "later@example.com", "--name", "Later", "--role", "viewer", "--passphrase-file", passphraseFile(t))
	added := c.entries()
	c.stop(c.cmd)
	c.start() // signs what is new
	c.until("what is new is signed", func() bool { return anchored(t, c.dir) >= added })
	c.stop(c.cmd)

	must(t, removeAll(c.dir, "console.db", "console.db-wal", "console.db-shm"))
	c.tool(0, "restore", copied)
	if out := c.tool(1, "restore", copied); !strings.Contains(out, "is there already") {
		t.Error(out)
	}
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
	p.toUntil("/history", "Verified to #") // soon after the start
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

// entries is how many entries history has.
func (c *console) entries() int {
	c.t.Helper()
	st, err := store.Open(c.dir, store.Options{ReadOnly: true})
	must(c.t, err)
	head, err := st.HistoryHead(c.t.Context())
	must(c.t, errors.Join(err, st.Close()))
	return int(head.Seq)
}

// anchored is how many entries the checkpoints beside the database cover.
func anchored(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "anchors.log"))
	must(t, err)
	size := 0
	for _, found := range regexp.MustCompile(`"checkpoint":"[^\\]*\\n(\d+)\\n`).FindAllSubmatch(text, -1) {
		n, err := strconv.Atoi(string(found[1]))
		must(t, err)
		size = max(size, n)
	}
	return size
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
