package store

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
)

// A tx is one job's part of a transaction. It must not be kept.
type tx struct {
	w       *writer
	now     time.Time
	head    *audit.Head
	mirror  map[string]mirrorDelta // what to tell the snapshots, by project
	people  bool                   // users or sessions changed
	moved   bool                   // a project is of another environment
	unseen  bool                   // no page shows it
	news    bool                   // there is something in the outbox
	weighty bool                   // a checkpoint should follow at once
	about   map[string]bool        // ids of requests and people that it is about
	entries int                    // history entries written
	op      *pendingOp             // the form operation that this uses up
}

// isAbout notes that the transaction is about a request or a person.
func (t *tx) isAbout(id string) {
	if id == "" {
		return
	}
	if t.about == nil {
		t.about = map[string]bool{}
	}
	t.about[id] = true
}

// concerns notes that the transaction is about a request and those named in it.
func (t *tx) concerns(r *change.Request) {
	t.isAbout(r.ID)
	if r.Project == "" {
		for _, p := range r.Progress {
			t.isAbout(p.Target)
		}
	}
}

func (t *tx) exec(query string, args ...any) error { return t.w.exec(query, args...) }

// affected is like exec and returns how many rows it changed.
func (t *tx) affected(query string, args ...any) (int64, error) {
	st, err := t.w.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) row(query string, args ...any) scanner {
	st, err := t.w.stmt(query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(context.Background(), args...)
}

func (t *tx) each(scan func(scanner) error, query string, args ...any) error {
	st, err := t.w.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	return drain(rows, scan)
}
