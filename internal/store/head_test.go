package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

// meddle writes to the database past the store.
func meddle(t *testing.T, dir, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, store.DatabaseFile)+"?_busy_timeout=5000")
	if err == nil {
		_, err = db.ExecContext(t.Context(), query, args...)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// What somebody else writes into history while the store is open is found, by the
// next write as by looking, and nothing is built upon it.
func TestForeignWriter(t *testing.T) {
	for name, meddling := range map[string]func(t *testing.T, dir string, head audit.Head){
		"an entry": func(t *testing.T, dir string, head audit.Head) {
			r, err := audit.Seal(head, audit.Event{Actor: audit.Actor{Kind: audit.ActorUser, ID: "usr_1"}, Action: "change.voted"}, storetest.Start)
			if err != nil {
				t.Fatal(err)
			}
			meddle(t, dir, "INSERT INTO history (seq, body, prev, hash) VALUES (?, ?, ?, ?)", r.Seq, r.Body, r.Prev[:], r.Hash[:])
		},
		"no entry": func(t *testing.T, dir string, head audit.Head) {
			meddle(t, dir, "DROP TRIGGER history_no_delete; DELETE FROM history WHERE seq = ?", head.Seq)
		},
		"another hash": func(t *testing.T, dir string, head audit.Head) {
			meddle(t, dir, "DROP TRIGGER history_no_update; UPDATE history SET hash = zeroblob(32) WHERE seq = ?", head.Seq)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, look := range []bool{true, false} {
				dir := private(t)
				s := open(t, dir)
				record := func() error {
					return s.Record(t.Context(), audit.Event{Actor: audit.System(), Action: "x.y"})
				}
				for range 3 {
					if err := errors.Join(record(), s.CheckHead(t.Context())); err != nil {
						t.Fatal(err)
					}
				}
				before, err := s.HistoryHead(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				meddling(t, dir, before)
				after, err := s.HistoryHead(t.Context())
				if err != nil || after == before {
					t.Fatal(after, err)
				}
				if look {
					if err := s.CheckHead(t.Context()); !errors.Is(err, audit.ErrTampered) {
						t.Errorf("looking finds %v", err)
					}
				}
				for range 3 {
					if err := record(); !errors.Is(err, audit.ErrTampered) || !problem.Is(err, problem.Unavailable) {
						t.Errorf("writing says %v", err)
					}
				}
				if err := s.CheckHead(t.Context()); !errors.Is(err, audit.ErrTampered) {
					t.Errorf("looking finds %v", err)
				}
				if head, err := s.HistoryHead(t.Context()); err != nil || head != after {
					t.Errorf("written on top: %v, %v", head, err)
				}
				select {
				case <-s.Signable():
				default:
					t.Error("verification isn't told")
				}
				if closed(s.Failed()) {
					t.Error("the program would end, and take it for its own on the next start")
				}
			}
		})
	}
}
