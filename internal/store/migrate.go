package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"

	"gatehouse/migrations"
)

// ErrNewer means that a newer version of the program made the database.
var ErrNewer = errors.New("a newer version of this program made the database: start that one, or restore the copy that was kept when it was first started")

// migrate brings the schema up to date, on a connection of its own: the others
// may not touch the schema. A copy of what was there before is kept beside it.
func migrate(path string) error {
	db, err := openDB(driverMigrate, path, "", 1)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	if err = migrateDB(context.Background(), db, path); err != nil {
		err = fmt.Errorf("migrate the database: %w", err)
	}
	return errors.Join(err, db.Close())
}

func migrateDB(ctx context.Context, db *sql.DB, path string) error {
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return err
	}
	from, to, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return err
	case from > to:
		return fmt.Errorf("%w (its schema is %d, ours %d)", ErrNewer, from, to)
	case from > 0 && from < to:
		if err := keepBefore(ctx, db, path, from); err != nil {
			return fmt.Errorf("keep a copy first: %w", err)
		}
	}
	_, err = p.Up(ctx)
	return err
}

// keepBefore copies the database as it is, for who wants to go back to the version
// of the program that made it.
func keepBefore(ctx context.Context, db *sql.DB, path string, version int64) error {
	kept := fmt.Sprintf("%s.schema-%d", path, version)
	if err := os.Remove(kept); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return backup(ctx, db, kept)
}
