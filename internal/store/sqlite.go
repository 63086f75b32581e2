package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sync"

	"github.com/mattn/go-sqlite3"
)

// Names under which the SQLite driver is registered: the writer's connection may
// not touch the schema or rewrite history, the readers' write nothing, and only
// migrations may do anything.
const (
	driverWriter  = "gatehouse-writer"
	driverReader  = "gatehouse-reader"
	driverMigrate = "gatehouse-migrate"
	driverIndex   = "gatehouse-index"
)

// pragmas are asserted on every connection. Full synchronization is what makes
// an acknowledged commit survive a power cut in WAL mode.
var pragmas = map[string]string{
	"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "recursive_triggers": "1",
	"secure_delete": "1", "busy_timeout": "5000", "trusted_schema": "0",
}

var register = sync.OnceFunc(func() {
	sql.Register(driverMigrate, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		return setUp(c, "PRAGMA trusted_schema = OFF")
	}})
	sql.Register(driverWriter, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		err := setUp(c, "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 67108864")
		c.RegisterAuthorizer(authorize)
		return err
	}})
	sql.Register(driverReader, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		err := setUp(c, "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2048; PRAGMA query_only = ON")
		c.RegisterAuthorizer(authorize)
		return err
	}})
	sql.Register(driverIndex, &sqlite3.SQLiteDriver{}) // derived data, rebuilt at will
})

func setUp(c *sqlite3.SQLiteConn, statements string) error {
	if _, err := c.Exec(statements, nil); err != nil {
		return err
	}
	for name, want := range pragmas {
		got, err := pragma(c, name)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("PRAGMA %s is %s, want %s", name, got, want)
		}
	}
	return nil
}

func pragma(c *sqlite3.SQLiteConn, name string) (string, error) {
	rows, err := c.Query("PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }() // read to the end
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		return "", fmt.Errorf("PRAGMA %s: %w", name, err)
	}
	return fmt.Sprint(row[0]), nil
}

// appendOnly are the tables whose rows never change and never go.
var appendOnly = []string{"history", "history_personal", "revision", "vote", "checkpoint", "archive", "review_remark"}

// readablePragmas change nothing.
var readablePragmas = []string{"integrity_check", "quick_check", "table_info", "wal_checkpoint", "page_count", "page_size", "data_version", "compile_options"}

// authorize refuses what the program never does: to rewrite history, to alter
// the schema (triggers alone would fall to DROP TRIGGER), to attach files and to
// set pragmas.
func authorize(op int, arg1, arg2, _ string) int {
	switch op {
	case sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE:
		if slices.Contains(appendOnly, arg1) || arg1 == "sqlite_master" {
			return sqlite3.SQLITE_DENY
		}
	case sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_CREATE_VIEW,
		sqlite3.SQLITE_CREATE_TEMP_INDEX, sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_TEMP_TRIGGER, sqlite3.SQLITE_CREATE_TEMP_VIEW,
		sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_VTABLE,
		sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_DROP_VIEW,
		sqlite3.SQLITE_DROP_TEMP_INDEX, sqlite3.SQLITE_DROP_TEMP_TABLE, sqlite3.SQLITE_DROP_TEMP_TRIGGER, sqlite3.SQLITE_DROP_TEMP_VIEW,
		sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_REINDEX:
		return sqlite3.SQLITE_DENY
	case sqlite3.SQLITE_PRAGMA:
		if _, ours := pragmas[arg1]; !slices.Contains(readablePragmas, arg1) && (!ours || arg2 != "") {
			return sqlite3.SQLITE_DENY
		}
	case sqlite3.SQLITE_FUNCTION:
		if arg2 == "load_extension" {
			return sqlite3.SQLITE_DENY
		}
	}
	return sqlite3.SQLITE_OK
}

func dsn(path, more string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_recursive_triggers=on&_secure_delete=on&_busy_timeout=5000&_txlock=immediate" + more
}

// openDB opens a pool whose connections stay open.
func openDB(driverName, path, more string, conns int) (*sql.DB, error) {
	register()
	db, err := sql.Open(driverName, dsn(path, more))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, db.PingContext(context.Background())
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// rebind turns $1 into SQLite's ?1.
func rebind(query string) string { return placeholder.ReplaceAllString(query, "?$1") }

// isUnique reports a violated UNIQUE or PRIMARY KEY constraint.
func isUnique(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}
