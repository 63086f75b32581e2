package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// An Archive is what left history, with when that was decided.
type Archive struct {
	audit.Statement
	At time.Time
}

// Archives returns what left history, the newest first. Signatures are not
// checked.
func (s *Store) Archives(ctx context.Context, limit int) ([]Archive, error) {
	var out []Archive
	err := s.each(ctx, func(row scanner) error {
		a, err := scanArchive(row)
		out = append(out, a)
		return err
	}, "SELECT note, made_at FROM archive ORDER BY id DESC LIMIT $1", limit)
	return out, err
}

func scanArchive(row scanner) (Archive, error) {
	var note []byte
	var at int64
	if err := row.Scan(&note, &at); err != nil {
		return Archive{}, err
	}
	one, err := audit.ReadStatement(note)
	if err != nil {
		err = fmt.Errorf("%w: %w", audit.ErrTampered, err)
	}
	return Archive{one, fromMicros(at)}, err
}

// ArchiveOf returns the archive that holds an entry, if it left.
func (s *Store) ArchiveOf(ctx context.Context, seq int64) (a Archive, left bool, err error) {
	a, err = scanArchive(s.row(ctx, "SELECT note, made_at FROM archive WHERE last >= $1 AND first <= $1 ORDER BY id LIMIT 1", seq))
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	return a, err == nil, err
}

// lastRemoved is what is stated about the rows that left last.
func (s *Store) lastRemoved(ctx context.Context) (audit.Statement, error) {
	if has, err := s.hasArchives(ctx); err != nil || !has {
		return audit.Statement{}, err
	}
	a, err := scanArchive(s.row(ctx, "SELECT note, made_at FROM archive WHERE id = (SELECT MAX(id) FROM archive)"))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return a.Statement, err
}

// HistoryBegin returns the number of the first entry that has not left for an
// archive.
func (s *Store) HistoryBegin(ctx context.Context) (int64, error) {
	last, err := s.lastRemoved(ctx)
	return last.Last() + 1, err
}

// AddArchive decides that rows leave for an archive: from then on verification
// begins after them, on the word of the signed note. The rows themselves go by
// [Store.Prune]. What only led to them goes with the decision. A month that has to
// stay by now is a problem of kind Conflict.
func (s *Store) AddArchive(ctx context.Context, m Month, one audit.Statement, note []byte, events ...audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		why, err := hold(t.row, m)
		if err != nil {
			return err
		}
		if why != "" {
			return problem.New(problem.Conflict, "%s", why)
		}
		if err := t.record(events...); err != nil {
			return err
		}
		return errors.Join(
			t.exec("INSERT INTO archive (id, first, last, note, made_at) VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM archive), $1, $2, $3, $4)", one.First(), one.Last(), note, micros(t.now)),
			t.exec("DELETE FROM notification WHERE seq <= $1", one.Last()),
			t.exec("DELETE FROM delivery WHERE seq <= $1 AND given_up", one.Last()),
		)
	})
}

// prunePart is how many rows go before others may write.
const prunePart = 2000

// Prune deletes the rows that left for archives, the oldest first. It can be
// broken off anywhere and goes on the next time: what is left of them always leads
// to where history begins by the signed statement.
func (s *Store) Prune(ctx context.Context) error {
	removed, err := s.lastRemoved(ctx)
	if err != nil {
		return err
	}
	first, err := s.firstRow(ctx)
	if err != nil || first == 0 || first > removed.Last() {
		return err
	}
	// As in [Store.FinishErasures]: the connections of the program may not do this.
	db, err := openDB(driverMigrate, s.path, "", 1)
	if err != nil {
		return err
	}
	// Nothing refers to these rows any more; looking for that takes long.
	_, err = db.ExecContext(ctx, "PRAGMA foreign_keys = OFF")
	for ; err == nil && first <= removed.Last(); first += prunePart {
		if err = ctx.Err(); err == nil {
			err = pruneTo(ctx, db, min(first+prunePart-1, removed.Last()))
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	s.forgetAll()
	return s.index.begin(ctx)
}

func pruneTo(ctx context.Context, db *sql.DB, last int64) error {
	return unguarded(ctx, db, []string{"history_no_delete", "history_personal_no_delete"}, func(t *sql.Tx) error {
		for _, table := range []string{"history_personal", "history"} {
			//nolint:gosec // made of constants
			if _, err := t.ExecContext(ctx, "DELETE FROM "+table+" WHERE seq <= ?", last); err != nil {
				return err
			}
		}
		return nil
	})
}

// firstRow is the number of the first row that is there, 0 if there is none.
func (s *Store) firstRow(ctx context.Context) (first int64, err error) {
	err = s.row(ctx, "SELECT COALESCE(MIN(seq), 0) FROM history").Scan(&first)
	return first, err
}

// Leaving reports whether rows are still there that left for an archive.
func (s *Store) Leaving(ctx context.Context) (bool, error) {
	begin, err := s.HistoryBegin(ctx)
	if err != nil {
		return false, err
	}
	first, err := s.firstRow(ctx)
	return first > 0 && first < begin, err
}
