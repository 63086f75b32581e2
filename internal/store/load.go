package store

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/change"
)

// A Load is how much there is in a store, and what waits in it.
type Load struct {
	Schema     int64                // number of the newest migration
	Files      map[string]int64     // bytes of the files in the data directory, by name
	Changes    map[change.State]int // change requests that are not ended
	UnknownAt  time.Time            // since when the oldest one is of unknown outcome; zero if none is
	Deliveries int                  // notifications that are due and not sent
	DueAt      time.Time            // since when the oldest of them is; zero if none is
	GivenUp    int                  // notifications that were given up
}

// Load returns how much there is and what waits. It costs the same however long
// history is.
func (s *Store) Load(ctx context.Context) (Load, error) {
	l := Load{Files: s.files(), Changes: map[change.State]int{}}
	open, err := s.openNow(ctx)
	if err != nil {
		return l, err
	}
	for _, r := range open {
		l.Changes[r.State]++
		if r.State == change.Unknown && (l.UnknownAt.IsZero() || r.UpdatedAt.Before(l.UnknownAt)) {
			l.UnknownAt = r.UpdatedAt
		}
	}
	if err := s.row(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&l.Schema); err != nil {
		return l, err
	}
	var oldest int64
	err = s.row(ctx, `SELECT count(*) FILTER (WHERE NOT given_up), count(*) FILTER (WHERE given_up),
		coalesce(min(CASE tries WHEN 0 THEN due_at ELSE created_at END) FILTER (WHERE NOT given_up), 0)
		FROM delivery WHERE given_up OR tries > 0 OR due_at <= $1`, micros(s.now())).Scan(&l.Deliveries, &l.GivenUp, &oldest)
	l.DueAt = fromMicros(oldest)
	return l, err
}

// files are the sizes of the store's files; one that there isn't is left out.
func (s *Store) files() map[string]int64 {
	sizes := map[string]int64{}
	for _, name := range []string{DatabaseFile, DatabaseFile + "-wal", indexFile, treeFile} {
		if info, err := os.Stat(filepath.Join(filepath.Dir(s.path), name)); err == nil {
			sizes[name] = info.Size()
		}
	}
	return sizes
}

// DerivedFiles are the names of files in the data directory that belong to one
// database and are made anew: none may be left when another takes its place.
func DerivedFiles() []string {
	var all []string
	for _, name := range []string{DatabaseFile, indexFile, treeFile} {
		all = append(all, name+"-wal", name+"-shm")
	}
	return append(all, indexFile, treeFile)
}
