package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/internal/audit"
)

// A historyIndex is a file beside the database in which history can be searched.
// It is derived: fed behind the log, and made anew when it doesn't fit.
type historyIndex struct {
	store   *Store
	path    string
	db      *sql.DB
	upTo    atomic.Int64 // the last entry that is indexed
	wake    chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}
}

const (
	indexVersion = 1
	indexBatch   = 256
	indexPause   = 5 * time.Second // after a failure
	indexGather  = 250 * time.Millisecond
)

const indexSchema = `
CREATE TABLE entry (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE INDEX entry_at ON entry (at, seq);
CREATE VIRTUAL TABLE words USING fts5(text, content='', detail=none, columnsize=0, prefix='3',
  tokenize="unicode61 remove_diacritics 0 tokenchars '_'");
`

func openIndex(s *Store, path string) (*historyIndex, error) {
	ctx, stop := context.WithCancel(context.Background())
	x := &historyIndex{store: s, path: path, stop: stop, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	if err := x.open(ctx); err != nil {
		stop()
		return nil, err
	}
	go x.run(ctx)
	return x, nil
}

// open opens the file, or makes it anew where it is of another version or knows
// of more entries than there are.
func (x *historyIndex) open(ctx context.Context) error {
	head, err := x.store.HistoryHead(ctx)
	if err != nil {
		return err
	}
	upTo, err := x.tryOpen(ctx)
	if err == nil && upTo <= head.Seq {
		x.upTo.Store(upTo)
		return nil
	}
	if x.db != nil {
		_ = x.db.Close() // it is thrown away
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(x.path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	upTo, err = x.tryOpen(ctx)
	x.upTo.Store(upTo)
	return err
}

func (x *historyIndex) tryOpen(ctx context.Context) (upTo int64, err error) {
	register()
	x.db, err = sql.Open(driverIndex, "file:"+x.path+"?_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000&_txlock=immediate&_cache_size=-4096")
	if err != nil {
		return 0, err
	}
	x.db.SetMaxOpenConns(4)
	x.db.SetMaxIdleConns(4)
	var version int
	if err := x.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	switch version {
	case 0:
		_, err = x.db.ExecContext(ctx, indexSchema+fmt.Sprintf("PRAGMA user_version = %d;", indexVersion))
	case indexVersion:
		err = x.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM entry").Scan(&upTo)
	default:
		err = errors.New("another version")
	}
	return upTo, err
}

func (x *historyIndex) close() error {
	x.stop()
	<-x.stopped
	return x.db.Close()
}

// poke says that there may be more to index.
func (x *historyIndex) poke() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

func (x *historyIndex) run(ctx context.Context) {
	defer close(x.stopped)
	for {
		more, err := x.feed(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			x.store.log.Error("index history", "err", err)
			pause(ctx, indexPause)
		case !more:
			select {
			case <-ctx.Done():
			case <-x.wake:
				pause(ctx, indexGather) // one batch costs little more than one entry
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// feed indexes the next batch and reports whether there may be more.
func (x *historyIndex) feed(ctx context.Context) (more bool, err error) {
	from := x.upTo.Load() + 1
	var entries []audit.Entry
	err = x.store.HistoryRows(ctx, from, from+indexBatch-1, func(r audit.Row) error {
		e, err := audit.Open(r)
		entries = append(entries, e)
		return err
	})
	if err != nil || len(entries) == 0 {
		return false, err
	}
	t, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	for _, e := range entries {
		if _, err := t.ExecContext(ctx, "INSERT INTO entry (seq, at) VALUES (?, ?)", e.Seq, micros(e.Time)); err != nil {
			return false, err
		}
		if _, err := t.ExecContext(ctx, "INSERT INTO words (rowid, text) VALUES (?, ?)", e.Seq, indexText(e)); err != nil {
			return false, err
		}
	}
	if err := t.Commit(); err != nil {
		return false, err
	}
	x.upTo.Store(entries[len(entries)-1].Seq)
	return len(entries) == indexBatch, nil
}
