// Package store keeps everything in SQL. It alone knows the tables.
//
// One connection writes: jobs that wait share a transaction and one fsync, each
// in a savepoint of its own. Readers have a pool. Every method that changes
// something takes the history events of the change, or a function that returns
// them, and writes both in one transaction; [quiet] lists the few that don't.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/internal/bell"
	"gatehouse/internal/secret"
)

// Names of the files in the data directory.
const (
	DatabaseFile = "console.db"
	indexFile    = "history_index.db"
	treeFile     = "history_tree.db"
	lockFile     = "console.lock"
)

// ErrLocked means that another process has the data directory.
var ErrLocked = errors.New("another process is using the data directory")

// ErrWrongKey means that the database was made with another key file.
var ErrWrongKey = errors.New("the key file is not the one that this database was made with")

// A Store is the database of one data directory. It is safe for concurrent use.
type Store struct {
	now  func() time.Time
	log  *slog.Logger
	lock *os.File

	reads     *sql.DB
	readStmts sync.Map // text → *sql.Stmt
	writer    *writer
	index     *historyIndex
	tree      historyTree
	news      chan struct{} // see [Store.News]
	signable  chan struct{} // see [Store.Signable]
	erasing   chan struct{} // wakes what finishes erasures
	path      string        // of the database

	eraseAround func(context.Context, []Erased, func() error) error // see [Store.EraseAround]

	version   atomic.Int64 // grows with every commit that pages may show
	changed   bell.Bell    // rings after that
	recorded  bell.Bell    // rings when history grew
	mirrors   mirrors
	sessions  sessions
	kept      kept
	keptLines lines
	subjects  subjects
	open      openRequests
	people    atomic.Int64 // grows with every commit that changes people or sessions

	keptPeople kept
	closeOnce  sync.Once
}

// Options say how to open a store.
type Options struct {
	Now      func() time.Time // time.Now if nil
	Log      *slog.Logger     // slog.Default() if nil
	ReadOnly bool             // no lock, no migrations, no writes
}

// Open opens the store in a data directory, which is made if need be, and
// brings its schema up to date. The directory and the database must not be
// readable by others.
func Open(dir string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Store{now: func() time.Time { return o.Now().UTC().Truncate(time.Microsecond) }, log: o.Log, news: make(chan struct{}, 1), signable: make(chan struct{}, 1), erasing: make(chan struct{}, 1)}
	s.tree.store = s
	s.path = filepath.Join(dir, DatabaseFile)
	path := s.path
	if !o.ReadOnly {
		if err := s.prepare(dir, path); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if err := s.openFiles(dir, path, o.ReadOnly); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, err
	}
	return s, nil
}

// prepare makes the directory, takes its lock and runs migrations.
func (s *Store) prepare(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := private(dir); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	s.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		return ErrLocked
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(private(path), f.Close()); err != nil {
		return err
	}
	return migrate(path)
}

// private refuses a file or directory that other users may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read by others (mode %04o): chmod go-rwx it first", path, info.Mode().Perm())
	}
	return nil
}

func (s *Store) openFiles(dir, path string, readOnly bool) (err error) {
	more := ""
	if readOnly {
		more = "&mode=ro"
	}
	if s.reads, err = openDB(driverReader, path, more, 4); err != nil {
		return err
	}
	if err := s.checkBuild(); err != nil {
		return err
	}
	s.sessions.reset()
	if readOnly {
		return nil
	}
	if s.writer, err = newWriter(s, path); err != nil {
		return err
	}
	s.tree.path = filepath.Join(dir, treeFile)
	s.index, err = openIndex(s, filepath.Join(dir, indexFile))
	return err
}

// checkBuild refuses a SQLite that was built without what the store relies on.
func (s *Store) checkBuild() error {
	for _, option := range []string{"ENABLE_QPSG", "ENABLE_FTS5"} {
		var used bool
		if err := s.reads.QueryRowContext(context.Background(), "SELECT sqlite_compileoption_used('"+option+"')").Scan(&used); err != nil {
			return err
		}
		if !used {
			return fmt.Errorf("this program was built without SQLite's %s: build it with make", option)
		}
	}
	return nil
}

// Close finishes what waits to be written and closes the files.
func (s *Store) Close() error {
	var errs []error
	s.closeOnce.Do(func() {
		if s.writer != nil {
			if err := s.flushLastSeen(); err != nil {
				errs = append(errs, err)
			}
		}
		if s.index != nil {
			errs = append(errs, s.index.close())
		}
		errs = append(errs, s.tree.close())
		if s.writer != nil {
			errs = append(errs, s.writer.close())
		}
		if s.reads != nil {
			errs = append(errs, s.reads.Close())
		}
		if s.lock != nil {
			errs = append(errs, s.lock.Close())
		}
	})
	return errors.Join(errs...)
}

// Version grows with every commit that changes what pages show. Read it before
// what it is to vouch for.
func (s *Store) Version() int64 { return s.version.Load() }

// Changed returns a channel that is closed when Version next grows. By then every
// cache is up to date. Call it before looking at the version.
func (s *Store) Changed() <-chan struct{} { return s.changed.Next() }

// Failed is closed when a commit ended in an error of which nobody can say
// whether it took effect. Nothing more is written; the process should end and
// start again, which reads the database afresh.
func (s *Store) Failed() <-chan struct{} { return s.writer.failed }

// The place of the sealed constant that tells the right key file.
const keyTable, keyRow, keyField = "key_check", "1", "sealed"

// CheckKey makes sure that the database belongs to the key: on first use it
// leaves a sealed constant, later it opens that.
func (s *Store) CheckKey(ctx context.Context, keys *secret.Keyring) error {
	var n int
	if err := s.row(ctx, "SELECT count(*) FROM key_check").Scan(&n); err != nil || n > 0 {
		return errors.Join(err, s.VerifyKey(ctx, keys))
	}
	return s.quiet(ctx, keyCheck, func(t *tx) error {
		return t.exec("INSERT INTO key_check (id, sealed) VALUES (1, $1)", keys.Seal(secret.New("gatehouse"), keyTable, keyRow, keyField))
	})
}

// VerifyKey is [Store.CheckKey] without writing: a database that has no constant
// yet passes.
func (s *Store) VerifyKey(ctx context.Context, keys *secret.Keyring) error {
	var tables int
	if err := s.row(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'key_check'").Scan(&tables); err != nil || tables == 0 {
		return err
	}
	var sealed []byte
	err := s.row(ctx, "SELECT sealed FROM key_check WHERE id = 1").Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := keys.Open(sealed, keyTable, keyRow, keyField); err != nil {
		return ErrWrongKey
	}
	return nil
}
