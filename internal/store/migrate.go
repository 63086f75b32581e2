package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"gatehouse/migrations"
)

// migrate brings the schema up to date, on a connection of its own: the others
// may not touch the schema.
func migrate(path string) error {
	db, err := openDB(driverMigrate, path, "", 1)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err == nil {
		_, err = p.Up(context.Background())
	}
	if err != nil {
		err = fmt.Errorf("migrate the database: %w", err)
	}
	return errors.Join(err, db.Close())
}
