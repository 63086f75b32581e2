package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/migrations"
)

// made makes a database as an earlier version of the program left it, with
// somebody in it and some history, and returns the newest version there is.
func made(t *testing.T, dir string, version int64) (newest int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, store.DatabaseFile))
	fail(t, err)
	defer func() { fail(t, db.Close()) }()
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	fail(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	fail(t, err)
	_, err = p.UpTo(t.Context(), version)
	fail(t, err)
	head := audit.Head{}
	for range 3 {
		r, err := audit.Seal(head, audit.Event{Actor: audit.System(), Action: "user.added", Object: audit.Object{Kind: "user", ID: "usr_1"}}, storetest.Start)
		fail(t, err)
		_, err = db.ExecContext(t.Context(), "INSERT INTO history (seq, body, prev, hash) VALUES (?, ?, ?, ?)", r.Seq, r.Body, r.Prev[:], r.Hash[:])
		fail(t, err)
		head = audit.Head{Seq: r.Seq, Hash: r.Hash}
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO users (id, email, name, passphrase, state, created_at, last_sign_in) VALUES ('usr_1', 'ada@example.com', 'Ada', '', 'active', 1, 1)")
	fail(t, err)
	_, newest, err = p.GetVersions(t.Context())
	fail(t, err)
	fail(t, os.Chmod(filepath.Join(dir, store.DatabaseFile), 0o600))
	return newest
}

func fail(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// schemas are the versions of the schema that there were.
func schemas(t *testing.T) (all []int64) {
	t.Helper()
	names, err := fs.Glob(migrations.SQLite, "sqlite/*.sql")
	fail(t, err)
	for _, name := range names {
		var v int64
		_, err := fmt.Sscanf(filepath.Base(name), "%d_", &v)
		fail(t, err)
		all = append(all, v)
	}
	return all
}

// A database of any earlier version is brought up to date with all that is in it,
// and can be had back as it was.
func TestUpgradeFromEachSchema(t *testing.T) {
	for _, version := range schemas(t) {
		t.Run(strconv.FormatInt(version, 10), func(t *testing.T) {
			dir := private(t)
			newest := made(t, dir, version)
			s := open(t, dir)
			if head, err := s.VerifyHistory(t.Context()); err != nil || head.Seq != 3 {
				t.Errorf("history has %d entries, %v", head.Seq, err)
			}
			people, err := s.Users(t.Context())
			if err != nil || len(people) != 1 || people[0].Name != "Ada" {
				t.Errorf("people %v, %v", people, err)
			}
			kept := filepath.Join(dir, fmt.Sprintf("%s.schema-%d", store.DatabaseFile, version))
			if version == newest {
				if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a copy was kept for nothing: %v", err)
				}
				return
			}
			before, err := sql.Open("sqlite3", "file:"+kept+"?mode=ro")
			fail(t, err)
			var was int64
			err = before.QueryRowContext(t.Context(), "SELECT max(version_id) FROM goose_db_version").Scan(&was)
			if err := errors.Join(err, before.Close()); err != nil || was != version {
				t.Errorf("the copy is of schema %d, %v", was, err)
			}
		})
	}
}

// What a newer version made is left alone.
func TestNewerSchema(t *testing.T) {
	dir := private(t)
	fail(t, open(t, dir).Close())
	db, err := sql.Open("sqlite3", filepath.Join(dir, store.DatabaseFile))
	fail(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)")
	fail(t, errors.Join(err, db.Close()))
	if _, err = store.Open(dir, store.Options{}); !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "9000") {
		t.Errorf("got %v", err)
	}
}
