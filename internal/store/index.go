package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A historyIndex is a file beside the database in which history can be searched.
// It is derived: fed behind the log, and made anew when it doesn't fit.
type historyIndex struct {
	store   *Store
	path    string
	db      *sql.DB
	first   atomic.Int64 // the first entry of history
	upTo    atomic.Int64 // the last entry that is indexed
	made    atomic.Int64 // how often it was emptied since the start
	feeder  feeder
	feeding sync.Mutex // held while it is fed or cleared

	highFrom *sql.Stmt
	wake     chan struct{}
	stop     context.CancelFunc
	stopped  chan struct{}
}

const (
	indexVersion = 6
	indexBatch   = 256
	indexRush    = 4096            // a batch while much is missing
	indexPause   = 5 * time.Second // after a failure
	indexGather  = 250 * time.Millisecond
)

// The tables of the index. In entry, high is the latest time of all entries so
// far, so that it never falls; those before whose time was later are in late.
// The other columns are numbers of value. The words of entries that can be found
// by their beginnings are in term.
const indexSchema = `
CREATE TABLE entry (seq INTEGER PRIMARY KEY, high INTEGER NOT NULL, actor INTEGER NOT NULL, action INTEGER NOT NULL,
  project INTEGER NOT NULL, toolkit INTEGER NOT NULL, outcome INTEGER NOT NULL);
CREATE TABLE late (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE value (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE term (word TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(text, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_.@'");
INSERT INTO words (words, rank) VALUES ('hashsize', 8388608);
`

func openIndex(s *Store, path string) (*historyIndex, error) {
	ctx, stop := context.WithCancel(context.Background())
	x := &historyIndex{store: s, path: path, stop: stop, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	err := x.open(ctx)
	if err == nil {
		err = x.begin(ctx)
	}
	if err != nil {
		stop()
		return nil, err
	}
	go x.run(ctx)
	return x, nil
}

// open opens the file, or makes it anew where it is of another version or of
// another history.
func (x *historyIndex) open(ctx context.Context) error {
	upTo, err := x.tryOpen(ctx)
	if err == nil {
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
		upTo, err = x.known(ctx)
	default:
		err = errors.New("another version")
	}
	if err == nil {
		x.highFrom, err = x.db.PrepareContext(ctx, highFrom)
	}
	return upTo, err
}

// known is the last entry that the file has, if it is of this history.
func (x *historyIndex) known(ctx context.Context) (upTo int64, err error) {
	var hash, ours []byte
	err = x.db.QueryRowContext(ctx, "SELECT seq, hash FROM head").Scan(&upTo, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = x.store.row(ctx, "SELECT hash FROM history WHERE seq = $1", upTo).Scan(&ours)
	if err == nil && !bytes.Equal(hash, ours) {
		err = errors.New("of another history")
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
		x.feeding.Lock()
		more, err := x.feed(ctx)
		x.feeding.Unlock()
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
