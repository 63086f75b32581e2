package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

// EraseAccount implements [access.Store].
func (s *Store) EraseAccount(ctx context.Context, id string, fn func(a *access.Account, number int) ([]audit.Event, error)) error {
	err := s.write(ctx, func(t *tx) error {
		a, err := t.account(id)
		if err != nil {
			return err
		}
		before := a.User
		var number int
		if err := t.row("SELECT COALESCE(MAX(number), 0) + 1 FROM erasure").Scan(&number); err != nil {
			return err
		}
		events, err := fn(&a, number)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO erasure (user_id, number, email, name, finished_at) VALUES ($1, $2, $3, $4, 0)", id, number, before.Email, before.Name); err != nil {
			return err
		}
		err = errors.Join(t.saveAccount(a), t.exec("UPDATE users SET email = $2 WHERE id = $1", id, a.Email),
			t.exec("DELETE FROM session WHERE user_id = $1", id), t.exec("DELETE FROM form_draft WHERE user_id = $1", id), t.exec("DELETE FROM device WHERE user_id = $1", id), t.exec("DELETE FROM api_token WHERE user_id = $1", id),
			t.exec("DELETE FROM identity WHERE user_id = $1", id), t.exec("DELETE FROM scim_user WHERE user_id = $1", id), t.dropFactors(id), t.endPending(id))
		if err != nil {
			return err
		}
		return t.record(events...)
	})
	if err == nil {
		select {
		case s.erasing <- struct{}{}:
		default:
		}
	}
	return err
}

// An erasure is what is to be done for one person.
type erasure struct {
	user, name, oldName, email string
}

// An Erased person is one whose personal data goes: by id, and by the address that
// they had.
type Erased struct{ ID, Email string }

// EraseAround has fn called for each round of erasures. It erases elsewhere what
// the store doesn't have, and then calls finish, which erases what the store has.
// It must be set before work begins.
func (s *Store) EraseAround(fn func(ctx context.Context, due []Erased, finish func() error) error) {
	s.eraseAround = fn
}

// FinishErasures takes away the personal data of those whose erasure is on
// record: from history, from the names beside requests and reviews, and from the
// search index. It can be repeated.
func (s *Store) FinishErasures(ctx context.Context) error {
	var due []erasure
	err := s.each(ctx, func(row scanner) error {
		var e erasure
		err := row.Scan(&e.user, &e.name, &e.oldName, &e.email)
		due = append(due, e)
		return err
	}, "SELECT e.user_id, u.name, e.name, e.email FROM erasure e JOIN users u ON u.id = e.user_id WHERE e.finished_at = 0")
	if err != nil || len(due) == 0 {
		return err
	}
	if s.eraseAround == nil {
		return s.finishErasures(ctx, due)
	}
	who := make([]Erased, len(due))
	for i, one := range due {
		who[i] = Erased{one.user, one.email}
	}
	return s.eraseAround(ctx, who, func() error { return s.finishErasures(ctx, due) })
}

func (s *Store) finishErasures(ctx context.Context, due []erasure) error {
	// The connections of the program may not do this, and the schema refuses it.
	db, err := openDB(driverMigrate, s.path, "", 1)
	if err != nil {
		return err
	}
	for _, one := range due {
		if err = s.erase(ctx, db, one); err != nil {
			break
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := s.index.clear(ctx); err != nil {
		return fmt.Errorf("clear the search index: %w", err)
	}
	s.forgetAll()
	for _, one := range due {
		err := s.quiet(ctx, erasures, func(t *tx) error {
			return t.exec("UPDATE erasure SET email = '', name = '', finished_at = $2 WHERE user_id = $1", one.user, micros(t.now))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// erasePart is how many entries are looked through before others may write.
const erasePart = 1000

// erase ends with the entry that records the erasure: what came later is missing
// on nobody's record.
func (s *Store) erase(ctx context.Context, db *sql.DB, who erasure) error {
	last, err := s.HistoryHead(ctx)
	if err != nil {
		return err
	}
	first, err := s.firstRow(ctx)
	if err != nil {
		return err
	}
	recorded := false
	for from := first; from <= last.Seq && !recorded; from += erasePart {
		var gone [][2]any
		err := s.HistoryRows(ctx, from, from+erasePart-1, func(r audit.Row) error {
			if recorded {
				return nil
			}
			e, err := audit.Open(r)
			recorded = e.Action == audit.ErasedAction && e.Object.ID == who.user
			for _, p := range r.Personal {
				if p.Concerns(e, who.user, who.email) {
					gone = append(gone, [2]any{r.Seq, p.Field})
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := unguarded(ctx, db, []string{"history_personal_no_delete"}, func(t *sql.Tx) error {
			for _, one := range gone {
				if _, err := t.ExecContext(ctx, "DELETE FROM history_personal WHERE seq = ? AND field = ?", one[:]...); err != nil {
					return err
				}
			}
			return nil
		}); len(gone) > 0 && err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return unguarded(ctx, db, []string{"revision_no_update", "vote_no_update", "review_remark_no_update"}, func(t *sql.Tx) error {
		for _, c := range nameColumns {
			//nolint:gosec // made of constants
			if _, err := t.ExecContext(ctx, "UPDATE "+c[0]+" SET "+c[2]+" = ? WHERE "+c[1]+" = ?", who.name, who.user); err != nil {
				return err
			}
		}
		// This one has no id beside it; namesakes keep theirs.
		_, err := t.ExecContext(ctx, "UPDATE auth_config SET changed_by = ?1 WHERE changed_by = ?2 AND NOT EXISTS (SELECT 1 FROM users WHERE name = ?2)", who.name, who.oldName)
		return err
	})
}

// nameColumns are the tables that hold a person's name beside their id.
var nameColumns = [][3]string{
	{"change_request", "author_id", "author_name"}, {"revision", "author_id", "author_name"}, {"vote", "reviewer_id", "reviewer_name"},
	{"bypass", "user_id", "user_name"}, {"bypass", "reviewer_id", "reviewer_name"}, {"comment", "author_id", "author_name"},
	{"review", "opened_by", "opened_name"}, {"review", "closed_by", "closed_name"}, {"review_entry", "looked_by", "looked_name"},
	{"review_flag", "assignee_id", "assignee_name"}, {"review_remark", "by_id", "by_name"},
}

// unguarded runs fn in a transaction in which some triggers don't exist.
func unguarded(ctx context.Context, db *sql.DB, triggers []string, fn func(*sql.Tx) error) error {
	ctx = context.WithoutCancel(ctx)
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	var again []string
	for _, name := range triggers {
		var text string
		if err := t.QueryRowContext(ctx, "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", name).Scan(&text); err != nil {
			return fmt.Errorf("trigger %s: %w", name, err)
		}
		again = append(again, text)
		if _, err := t.ExecContext(ctx, "DROP TRIGGER "+name); err != nil {
			return err
		}
	}
	if err := fn(t); err != nil {
		return err
	}
	for _, text := range again {
		if _, err := t.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return t.Commit()
}

// forgetAll drops everything that is kept in memory of people and requests.
func (s *Store) forgetAll() {
	s.forgetRequests()
	s.mirrors.mu.Lock()
	s.mirrors.all = nil
	s.mirrors.mu.Unlock()
	s.people.Add(1)
	s.sessions.reset()
	s.version.Add(1)
	s.changed.Ring()
}

// keepErased finishes erasures that a restart left behind, and new ones.
func (s *Store) keepErased(ctx context.Context) {
	for {
		if err := s.FinishErasures(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("erase personal data", "err", err)
			pause(ctx, time.Minute)
			if ctx.Err() == nil {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.erasing:
		}
	}
}

// clear empties the index, which is then fed anew from the first entry.
func (x *historyIndex) clear(ctx context.Context) error {
	x.feeding.Lock()
	defer x.feeding.Unlock()
	conn, err := x.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back into the pool
	ctx = context.WithoutCancel(ctx)
	before := x.upTo.Swap(0) // whoever reads from now on, or is reading, learns of it
	x.made.Add(1)
	for _, do := range []string{
		"PRAGMA secure_delete = ON", "BEGIN IMMEDIATE", "INSERT INTO words (words) VALUES ('delete-all')",
		"DELETE FROM entry", "DELETE FROM late", "DELETE FROM value", "DELETE FROM term", "DELETE FROM head", "COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		if _, err := conn.ExecContext(ctx, do); err != nil {
			x.upTo.Store(before)
			return errors.Join(fmt.Errorf("%s: %w", do, err), rollback(ctx, conn))
		}
	}
	x.feeder = feeder{}
	x.poke()
	return nil
}

// begin takes notice of what left history. The words of what left stay until they
// are more than those of what is there; then the index is made anew.
func (x *historyIndex) begin(ctx context.Context) error {
	first, err := x.store.HistoryBegin(ctx)
	if err != nil {
		return err
	}
	x.first.Store(first)
	var oldest int64
	if err := x.db.QueryRowContext(ctx, "SELECT COALESCE(MIN(seq), 0) FROM entry").Scan(&oldest); err != nil {
		return err
	}
	if oldest == 0 || first-oldest <= x.upTo.Load()-first {
		return nil
	}
	return x.clear(ctx)
}

func rollback(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// forgetRequests drops what is kept of change requests.
func (s *Store) forgetRequests() {
	s.subjects.clear()
	s.keptLines.clear()
	s.open.reading.Lock()
	s.open.loaded = false
	s.open.reading.Unlock()
}
