package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/mattn/go-sqlite3"
)

// Backup copies the database, while it is in use, to a new file that only its
// owner can read, and checks the copy.
func (s *Store) Backup(ctx context.Context, path string) error { return backup(ctx, s.reads, path) }

func backup(ctx context.Context, from *sql.DB, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	register()
	to, err := sql.Open(driverIndex, "file:"+path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := copyDatabase(ctx, to, from); err != nil {
		return err
	}
	var result string
	if err := to.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		return fmt.Errorf("the copy is damaged: %s %w", result, err)
	}
	return nil
}

func copyDatabase(ctx context.Context, to, from *sql.DB) error {
	dst, err := to.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = dst.Close() }() // back into a pool that is closed
	src, err := from.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // back into the pool
	return dst.Raw(func(d any) error {
		return src.Raw(func(s any) error {
			b, err := d.(*sqlite3.SQLiteConn).Backup("main", s.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			for done := false; !done && err == nil; {
				done, err = b.Step(1000)
			}
			return errors.Join(err, b.Finish())
		})
	})
}
