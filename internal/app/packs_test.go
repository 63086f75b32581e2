package app

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// A bare machine has Python and OpenSSL, and nothing of ours.
type bareMachine struct {
	t    *testing.T
	path string // where its two programs are
}

func newBareMachine(t *testing.T) bareMachine {
	t.Helper()
	m := bareMachine{t, t.TempDir()}
	python, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.executable)").Output() // what is in PATH may be a script
	openssl, err2 := exec.LookPath("openssl")
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("%v: Python and OpenSSL are needed to verify evidence", err)
	}
	for name, found := range map[string]string{"python3": strings.TrimSpace(string(python)), "openssl": openssl} {
		if err := os.Symlink(found, filepath.Join(m.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// follow runs the commands of the pack's README as they stand there, and returns
// what they printed and whether all went well.
func (m bareMachine) follow(dir string) (printed string, ok bool) {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "README.txt"))
	if err != nil {
		return err.Error(), false
	}
	commands := commandsOf(string(text))
	if len(commands) != 3 {
		return string(text), false
	}
	for _, c := range commands {
		out, ok := m.run(dir, c)
		printed += out
		if !ok {
			return printed, false
		}
	}
	return printed, true
}

func (m bareMachine) run(dir, command string) (printed string, ok bool) {
	cmd := exec.CommandContext(m.t.Context(), "/bin/sh", "-c", command)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + m.path}
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// commandsOf are the paragraphs of a text that begin with a command, as they stand
// there.
func commandsOf(text string) []string {
	var all []string
	for _, paragraph := range strings.Split(text, "\n\n") {
		if strings.HasPrefix(paragraph, "python3 ") {
			all = append(all, paragraph)
		}
	}
	return all
}

func unpack(t *testing.T, pack string) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	z, err := zip.NewReader(strings.NewReader(pack), int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, path, body)
		names = append(names, f.Name)
	}
	return dir, names
}

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// approved is a site with a request that was approved by somebody and applied.
func approvedSite(t *testing.T) (s *site, auditor *browser, request, config string) {
	t.Helper()
	s, anna, r := reviewedSite(t, 1)
	anna.submit(anna.get(changePath(r.ID)), changePath(r.ID)+"/approve")
	emil := s.signedIn("Emil")
	emil.submit(emil.get(changePath(r.ID)), changePath(r.ID)+"/apply")
	if got := s.Settled(r.ID); got.State != "applied" {
		t.Fatalf("the request is %s", got.State)
	}
	return s, s.as("Ayo", access.Auditor), r.ID, r.Revision.Items[0].Target
}

// The evidence about a request verifies on a machine that has only Python and
// OpenSSL, by what its README says; with any file changed it doesn't.
func TestEvidencePack(t *testing.T) {
	s, b, id, _ := approvedSite(t)
	link, _ := b.get(changePath(id)).doc.Find(`a[href$="evidence.zip"]`).Attr("href")
	got := b.get(link).is(200)
	if got.header.Get("Content-Disposition") != `attachment; filename="evidence.zip"` {
		t.Error(got.header)
	}
	dir, names := unpack(t, got.body)
	m := newBareMachine(t)
	printed, ok := m.follow(dir)
	if !ok || !strings.Contains(printed, "files as they were signed") || !strings.Contains(printed, "ok: ") {
		t.Fatalf("a good pack fails:\n%s", printed)
	}

	var file struct {
		Votes []struct {
			Decision        string
			AuthenticatedBy string `json:"authenticated_by"`
			SignedInAt      string `json:"signed_in_at"`
		}
		Policies []any `json:"policies_at_submission"`
		Outcome  struct{ State string }
	}
	if err := json.Unmarshal(read(t, filepath.Join(dir, "requests", id+".json")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Votes) != 1 || file.Votes[0].AuthenticatedBy != "passphrase" || file.Votes[0].SignedInAt == "" || len(file.Policies) == 0 || file.Outcome.State != "applied" {
		t.Errorf("the request: %+v", file)
	}
	rows := string(read(t, filepath.Join(dir, "rows.jsonl")))
	for _, action := range []string{"change.submitted", "change.voted", "session.signed_in", "auth_config.disabled", "change.applied"} {
		if !strings.Contains(rows, action) {
			t.Errorf("no entry %s", action)
		}
	}

	for _, name := range names {
		path := filepath.Join(dir, filepath.FromSlash(name))
		whole := read(t, path)
		for _, at := range []int{0, len(whole) - 1} {
			broken := slices.Clone(whole)
			broken[at] ^= 1
			write(t, path, broken)
			if printed, ok := m.follow(dir); ok {
				t.Errorf("%s was changed at %d, and nothing said so:\n%s", name, at, printed)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, ok := m.follow(dir); ok {
			t.Errorf("%s was taken away, and nothing said so", name)
		}
		write(t, path, whole)
	}
	write(t, filepath.Join(dir, "more.txt"), []byte("more"))
	if _, ok := m.follow(dir); ok {
		t.Error("a file was added, and nothing said so")
	}

	e := s.History(store.HistoryQuery{Action: "evidence.exported"})
	if len(e) != 1 || e[0].Outcome != audit.OK || e[0].Request != id || e[0].Detail["sha256"] == "" {
		t.Errorf("recorded %+v", e)
	}
}

// What was put into a pack is told of, every piece of it, whatever it is; what a
// link leads to is nobody's evidence.
func TestEvidencePackMore(t *testing.T) {
	_, b, id, _ := approvedSite(t)
	pack := b.get(evidencePath(changePath(id))).is(200).body
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "inside.json"), []byte("{}"))
	m := newBareMachine(t)
	for name, more := range map[string]struct {
		do    func(dir string) error
		words []string
		only  int // the command that tells, if not both
	}{
		"two files": {func(dir string) error {
			write(t, filepath.Join(dir, "a.txt"), nil)
			write(t, filepath.Join(dir, "requests", "b.json"), nil)
			return nil
		}, []string{"a.txt", "requests/b.json"}, 0},
		"linked directory": {func(dir string) error { return os.Symlink(elsewhere, filepath.Join(dir, "requests", "more")) }, []string{"requests/more"}, 0},
		"linked file": {func(dir string) error {
			return os.Symlink(filepath.Join(elsewhere, "inside.json"), filepath.Join(dir, "more.json"))
		}, []string{"more.json"}, 0},
		"dead link": {func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "dead")) }, []string{"dead"}, 0},
		"pipe":      {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600) }, []string{"pipe"}, 0},
		"file as a link": {func(dir string) error {
			write(t, filepath.Join(elsewhere, "rows.jsonl"), read(t, filepath.Join(dir, "rows.jsonl")))
			return errors.Join(os.Remove(filepath.Join(dir, "rows.jsonl")), os.Symlink(filepath.Join(elsewhere, "rows.jsonl"), filepath.Join(dir, "rows.jsonl")))
		}, []string{"rows.jsonl"}, 0},
		"another key": {func(dir string) error { write(t, filepath.Join(dir, "key.der"), []byte("anything")); return nil }, []string{"key.der"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := unpack(t, pack)
			commands := commandsOf(string(read(t, filepath.Join(dir, "README.txt"))))
			if err := more.do(dir); err != nil {
				t.Fatal(err)
			}
			for i, c := range commands[1:] {
				if more.only > 0 && more.only != i+2 {
					continue
				}
				printed, ok := m.run(dir, c)
				for _, word := range more.words {
					if ok || !strings.Contains(printed, word) {
						t.Errorf("command %d doesn't tell of %s: %v, %s", i+2, word, ok, printed)
					}
				}
			}
		})
	}
}

// A pack that somebody else changed and signed anew with a key of their own fails
// as long as key.txt is the console's.
func TestEvidencePackForged(t *testing.T) {
	_, b, id, _ := approvedSite(t)
	dir, names := unpack(t, b.get(evidencePath(changePath(id))).is(200).body)
	write(t, filepath.Join(dir, "requests", "chg_FORGED.json"), []byte(`{"votes":[{"decision":"approve"}]}`))
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	write(t, filepath.Join(dir, "key.der"), der)
	title, _, _ := strings.Cut(string(read(t, filepath.Join(dir, "manifest.txt"))), "\n")
	var lines strings.Builder
	for _, name := range append(names, "requests/chg_FORGED.json", "key.pem") {
		if name != "manifest.txt" && name != "manifest.sig" {
			_, _ = fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(read(t, filepath.Join(dir, filepath.FromSlash(name)))), name) // never fails
		}
	}
	list := title + "\n" + lines.String()
	write(t, filepath.Join(dir, "manifest.txt"), []byte(list))
	write(t, filepath.Join(dir, "manifest.sig"), ed25519.Sign(private, []byte(list)))
	m := newBareMachine(t)
	for i, c := range commandsOf(string(read(t, filepath.Join(dir, "README.txt")))) {
		if printed, ok := m.run(dir, c); ok == (i != 1) { // the second only compares with the list
			t.Errorf("command %d: %v, %s", i+1, ok, printed)
		}
	}
}

// Packs about a config, a person and a search hold what they should, and verify.
func TestEvidencePacks(t *testing.T) {
	s, b, _, config := approvedSite(t)
	m := newBareMachine(t)
	anna := s.readerOf("Anna")
	for page, want := range map[string][]string{
		s.page(config):             {"auth_config.disabled", "change.voted", "session.signed_in"},
		personPath(anna.ID):        {"change.voted", "session.signed_in", "user.added"},
		reviewPath(s.someReview()): {"review.closed", "review.flagged"},
		"/history":                 {"policy.added", "change.voted", "user.added"},
	} {
		got := b.get(evidencePath(page)).is(200)
		dir, _ := unpack(t, got.body)
		if printed, ok := m.follow(dir); !ok {
			t.Errorf("%s: %s", page, printed)
		}
		rows := read(t, filepath.Join(dir, "rows.jsonl"))
		for _, action := range want {
			if !bytes.Contains(rows, []byte(action)) {
				t.Errorf("%s has no entry %s", page, action)
			}
		}
	}
	b.get(evidencePath("/history") + "?q=nothinglikethis").is(404).has("no evidence")
	if s.as("Vera", access.Viewer).get(s.page(config)).doc.Find(`a[href*="history.csv"], a[href$="evidence.zip"]`).Length() != 0 {
		t.Error("a viewer is offered evidence")
	}
}

// Who may not read about people doesn't learn what others searched for and took
// away: not from history, and not from the pages of what it is about.
func TestEvidenceIsReadBy(t *testing.T) {
	s, ayo, request, config := approvedSite(t)
	search := "ip:192.0.2.1 actor:emil@example.com"
	emil := s.readerOf("Emil")
	for _, path := range []string{
		evidencePath(changePath(request)), evidencePath(s.page(config)), evidencePath(personPath(emil.ID)),
		evidencePath(historyPath) + "?q=" + url.QueryEscape(search),
	} {
		ayo.get(path).is(200)
	}
	ada := s.signedIn("Ada")
	ada.submit(ada.get(sinksPath), sinksPath, "name", "SIEM", "kind", "syslog_tls", "secret.address", "siem.example.com:6514", "filter", search).is(200).has("Added SIEM")
	vera := s.as("Vera", access.Viewer)
	for _, e := range slices.Concat(s.History(store.HistoryQuery{Action: "evidence"}), s.History(store.HistoryQuery{Action: "sink.added"})) {
		vera.get(entryPath(e.Seq)).is(404)
		ayo.get(entryPath(e.Seq)).is(200)
	}
	for _, path := range []string{
		"/", historyPath, historyPath + "?q=action:evidence", historyPath + "?q=emil", historyPath + "?q=action:sink", changePath(request), s.page(config), s.page(config) + "/history",
		personPath(s.readerOf("Ayo").ID) + "/history", personPath(emil.ID) + "/history",
	} {
		text := vera.get(path).is(200).text()
		for _, hidden := range []string{"evidence.zip", "192.0.2.1", "emil@example.com", "SIEM"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s tells a viewer %q", path, hidden)
			}
		}
	}
	ayo.get(changePath(request)).has("handed out")
	ayo.get(historyPath).has("handed out", search)
}

// What people typed can't become a command of the README.
func TestEvidenceReadme(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	evil := s.Person("Eve", access.Viewer)
	eve := s.signedIn("Eve")
	eve.submit(eve.get("/account"), "/account", "name", "Eve     echo owned")
	dir, _ := unpack(t, b.get(evidencePath(personPath(evil.ID))).is(200).body)
	if n := len(commandsOf(string(read(t, filepath.Join(dir, "README.txt"))))); n != 3 {
		t.Errorf("%d commands", n)
	}
}

// meddled changes the first entry of a site's history behind its back, once it was
// signed, and has everything verified.
func (s *site) meddled() {
	s.T.Helper()
	if err := s.Witness.Checkpoint(s.T.Context(), witness.ForNews); err != nil {
		s.T.Fatal(err)
	}
	db, err := sql.Open("sqlite3", filepath.Join(s.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
	if err == nil {
		_, err = db.ExecContext(s.T.Context(), `DROP TRIGGER history_no_update; UPDATE history SET body = replace(body, '"outcome":"ok"', '"outcome":"no"') WHERE seq = 1`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		s.T.Fatal(err)
	}
	if err := s.Witness.VerifyWhole(s.T.Context()); !errors.Is(err, audit.ErrTampered) {
		s.T.Fatal(err)
	}
}

// Evidence that is handed out while the console says that history is not as it was
// written says so too, in each of its files that speak, and doesn't verify.
func TestEvidenceOfMeddledHistory(t *testing.T) {
	s, b, id, _ := approvedSite(t)
	s.meddled()
	before, err := s.Store.LatestCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := unpack(t, b.get(evidencePath(changePath(id))).is(200).body)
	after, err := s.Store.LatestCheckpoint(t.Context())
	if err != nil || after.ID != before.ID {
		t.Errorf("signed on top: %+v, %v", after, err)
	}
	if text := string(read(t, filepath.Join(dir, "README.txt"))); !strings.Contains(text, "HISTORY WAS NOT AS IT WAS WRITTEN") || !strings.Contains(text, "row 1") {
		t.Error(text)
	}
	var about struct{ Problem string }
	if err := json.Unmarshal(read(t, filepath.Join(dir, "about.json")), &about); err != nil || !strings.Contains(about.Problem, "row 1") {
		t.Errorf("%+v, %v", about, err)
	}
	printed, ok := newBareMachine(t).follow(dir)
	if ok || !strings.Contains(printed, "files as they were signed") || !strings.Contains(printed, "the console itself said when it made the pack") || !strings.Contains(printed, "row 1") {
		t.Errorf("%v:\n%s", ok, printed)
	}
	if e := s.History(store.HistoryQuery{Action: "evidence.exported"}); len(e) != 1 || !strings.Contains(e[0].Detail["problem"], "row 1") {
		t.Errorf("recorded %+v", e)
	}
}
