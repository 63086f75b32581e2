package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{Now: func() time.Time { return storetest.Start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// private is a directory as the store wants it.
func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t, private(t)) })
}

func someHistory(t *testing.T, s *store.Store, n int) {
	t.Helper()
	for range n {
		if err := s.FailSignIn(t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.ActorUnknown, Email: "e@example.com"}, Action: "session.refused"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReopen(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	someHistory(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	someHistory(t, s, 2)
	head, err := s.VerifyHistory(t.Context())
	if err != nil || head.Seq != 5 {
		t.Errorf("head %d, %v", head.Seq, err)
	}
}

func TestSecondProcessIsLockedOut(t *testing.T) {
	dir := private(t)
	open(t, dir)
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v", err)
	}
	r, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.FailSignIn(t.Context(), audit.Event{Action: "x"}); err == nil {
		t.Error("a store for reading wrote")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestFilesAreForTheirOwner(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	someHistory(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"", store.DatabaseFile} {
		path := filepath.Join(dir, f)
		if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // the point of the test
			t.Fatal(err)
		}
		if _, err := store.Open(dir, store.Options{}); err == nil || !strings.Contains(err.Error(), "read by others") {
			t.Errorf("%q open to others: %v", f, err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrongKey(t *testing.T) {
	s := open(t, private(t))
	ring := func(b byte) *secret.Keyring {
		k, err := secret.NewKeyring([]byte(strings.Repeat(string(b), secret.KeySize)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for range 2 {
		if err := s.CheckKey(t.Context(), ring('a')); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CheckKey(t.Context(), ring('b')); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("got %v", err)
	}
}

// tamper opens the database file past the store's guards.
func tamper(t *testing.T, dir string, statements ...string) error {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, store.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, st := range statements {
		if _, err := db.ExecContext(t.Context(), st); err != nil {
			return err
		}
	}
	return nil
}

func TestHistoryIsAppendOnly(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	someHistory(t, s, 3)
	if err := s.AddCheckpoint(t.Context(), 2, []byte("note"), "test"); err != nil {
		t.Fatal(err)
	}
	if err := s.AddCheckpoint(t.Context(), 4, []byte("note"), "test"); err == nil {
		t.Error("a checkpoint of rows that there aren't")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, st := range []string{
		"UPDATE history SET body = 'x' WHERE seq = 2",
		"DELETE FROM history WHERE seq = 3",
		"INSERT INTO history (seq, body, prev, hash) VALUES (9, 'x', 'x', 'x')",
		"INSERT INTO history (seq, body, prev, hash) VALUES (2, 'x', 'x', 'x')",
		"UPDATE checkpoint SET size = 1",
		"DELETE FROM checkpoint",
		"INSERT INTO checkpoint (id, size, note, why, at) VALUES (3, 3, 'x', 'x', 1)",
		"INSERT INTO checkpoint (id, size, note, why, at) VALUES (2, 1, 'x', 'x', 1)",
		"INSERT INTO checkpoint (id, size, note, why, at) VALUES (2, 4, 'x', 'x', 1)",
		"UPDATE history_personal SET value = 'x'",
		"DELETE FROM history_personal",
		"PRAGMA recursive_triggers = ON; INSERT OR REPLACE INTO history (seq, body, prev, hash) VALUES (3, 'x', 'x', 'x')",
	} {
		if err := tamper(t, dir, st); err == nil {
			t.Errorf("%s went through", st)
		}
	}
}

func TestVerifyFindsTampering(t *testing.T) {
	for name, st := range map[string][]string{
		"body":     {"DROP TRIGGER history_no_update", "UPDATE history SET body = replace(body, 'refused', 'granted') WHERE seq = 2"},
		"hash":     {"DROP TRIGGER history_no_update", "UPDATE history SET hash = zeroblob(32) WHERE seq = 2"},
		"short":    {"DROP TRIGGER history_no_update", "UPDATE history SET prev = x'00' WHERE seq = 1"},
		"gap":      {"DROP TRIGGER history_no_delete", "PRAGMA foreign_keys = OFF", "DELETE FROM history WHERE seq = 2"},
		"personal": {"DROP TRIGGER history_personal_no_update", "UPDATE history_personal SET value = 'f@example.com' WHERE seq = 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := private(t)
			s := open(t, dir)
			someHistory(t, s, 4)
			if _, err := s.VerifyHistory(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := tamper(t, dir, st...); err != nil {
				t.Fatal(err)
			}
			if _, err := open(t, dir).VerifyHistory(t.Context()); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestIndexIsMadeAnew(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	someHistory(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "history_index.db"), []byte("garbage that is no database, and long enough to be read as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := open(t, dir).History(t.Context(), store.HistoryQuery{Action: "session.refused", Limit: 10})
	if err != nil || len(found) != 3 {
		t.Errorf("%d entries, %v", len(found), err)
	}
}

func TestBackup(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	someHistory(t, s, 5)
	a := access.Account{User: access.User{ID: "usr_1", Email: "a@example.com", State: access.Active}}
	if err := s.AddAccount(t.Context(), a, nil, audit.Event{Actor: audit.System(), Action: "user.added"}); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(private(t), store.DatabaseFile)
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), copied); err == nil {
		t.Error("a backup replaced a file")
	}
	c := open(t, filepath.Dir(copied))
	if head, err := c.VerifyHistory(t.Context()); err != nil || head.Seq != 6 {
		t.Errorf("head %d, %v", head.Seq, err)
	}
	if _, err := c.Account(t.Context(), "usr_1"); err != nil {
		t.Error(err)
	}
}

// A store that was closed has no file open, and everything is in the database
// itself.
func TestCloseLetsGo(t *testing.T) {
	dir := private(t)
	for range 2 {
		s := open(t, dir)
		someHistory(t, s, 3)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if path, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(path, dir) {
				t.Errorf("%s is open", path)
			}
		}
		if info, err := os.Stat(filepath.Join(dir, store.DatabaseFile+"-wal")); err == nil && info.Size() > 0 {
			t.Errorf("%d bytes lie beside the database", info.Size())
		}
	}
}
