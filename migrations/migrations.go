// Package migrations holds the schema of the database, a numbered file a step.
package migrations

import "embed"

// SQLite are the migrations for SQLite, below the folder sqlite.
//
//go:embed sqlite/*.sql
var SQLite embed.FS
