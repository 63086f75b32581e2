package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"

	"gatehouse/internal/audit"
	"gatehouse/internal/failpoint"
	"gatehouse/internal/problem"
)

// maxBatch is how many jobs share a transaction at the most.
const maxBatch = 512

// errDown is the answer to writes after a commit of unknown outcome.
var errDown = problem.New(problem.Unavailable, "The database can't be written. Nothing was changed. An operator has to look at the server's log.")

// A writer owns the one connection that writes. Whoever comes while it is idle
// writes at once; those who come meanwhile wait, and the first of them to get the
// turn writes for all.
type writer struct {
	store    *Store
	db       *sql.DB
	conn     *sql.Conn
	stmts    map[string]*sql.Stmt
	head     *audit.Head           // end of the chain in the open transaction or, between two, on disk; nil if it has to be read
	kept     audit.Head            // end of the chain as this process left it on disk
	foreign  atomic.Pointer[error] // somebody else wrote into history: nothing is written any more
	turn     chan struct{}         // holds a token while somebody writes
	failed   chan struct{}
	failOnce sync.Once

	mu      sync.Mutex
	closed  bool
	waiting []*job
}

type job struct {
	fn   func(*tx) error
	tx   *tx
	err  error
	done chan struct{}
}

func newWriter(s *Store, path string) (*writer, error) {
	db, err := openDB(driverWriter, path, "", 1)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	w := &writer{store: s, db: db, conn: conn, stmts: map[string]*sql.Stmt{}, turn: make(chan struct{}, 1), failed: make(chan struct{})}
	if w.kept, err = w.readHead(); err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	return w, nil
}

// close writes what waits and takes nothing more.
func (w *writer) close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	w.turn <- struct{}{} // kept
	for batch := w.take(); len(batch) > 0; batch = w.take() {
		w.commit(batch)
	}
	var errs []error
	for _, st := range w.stmts { // a connection with open statements keeps its files open
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
}

// do runs a job and waits for its commit. The caller's context can't stop a job
// that waits or has begun: that would roll back everyone's.
func (w *writer) do(ctx context.Context, fn func(*tx) error) error {
	if w == nil {
		return errors.New("the store was opened for reading")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{fn: fn, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errDown
	}
	w.waiting = append(w.waiting, j)
	w.mu.Unlock()
	for {
		select {
		case <-j.done:
			return j.err
		case w.turn <- struct{}{}:
			w.commit(w.take())
			<-w.turn // commit doesn't panic
		}
	}
}

// take removes the next batch from those that wait.
func (w *writer) take() []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.waiting), maxBatch)
	batch := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	return batch
}

// commit runs a batch in one transaction, sets each job's outcome and tells those
// who wait for it.
func (w *writer) commit(batch []*job) {
	defer func() {
		if p := recover(); p != nil {
			w.giveUp(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			for _, j := range batch {
				j.err = errDown
			}
		}
		for _, j := range batch {
			close(j.done)
		}
	}()
	if len(batch) > 0 {
		w.transact(batch)
	}
}

func (w *writer) transact(batch []*job) {
	fail := func(err error) {
		w.head = nil
		for _, j := range batch {
			if j.err == nil {
				j.err = err
			}
		}
	}
	select {
	case <-w.failed:
		fail(errDown)
		return
	default:
	}
	if err := w.meddled(); err != nil {
		fail(errDown.Because(err))
		return
	}
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		fail(fmt.Errorf("begin: %w", err))
		return
	}
	for _, j := range batch {
		j.err = w.runJob(j, len(batch) > 1)
		if open, err := w.open(); err != nil || !open {
			// The statement's error ended the transaction for everyone in it.
			fail(errors.Join(errors.New("the transaction was rolled back"), err))
			return
		}
	}
	if err := failpoint.Hit("store.before_commit"); err != nil {
		fail(errors.Join(err, w.exec("ROLLBACK")))
		return
	}
	err := w.exec("COMMIT")
	if err == nil {
		err = failpoint.Hit("store.commit_error")
	}
	if err != nil {
		w.giveUp(err)
		fail(errDown.Because(err))
		return
	}
	if w.head != nil {
		w.kept = *w.head
	}
	w.publish(batch)
	if err := failpoint.Hit("store.after_commit"); err != nil {
		fail(err)
	}
}

// giveUp stops all writing: after a COMMIT that failed it is not known whether
// the transaction will be there when the database is next opened.
func (w *writer) giveUp(err error) {
	w.store.log.Error("a commit failed; its outcome is unknown until the database is opened again", "err", err)
	w.failOnce.Do(func() { close(w.failed) })
}

// publish makes a batch visible to the caches before anyone is answered.
func (w *writer) publish(batch []*job) {
	seen, recorded := false, false
	for _, j := range batch {
		if j.err == nil {
			seen = seen || !j.tx.unseen
			recorded = recorded || j.tx.entries > 0
			w.store.mirrors.publish(j.tx.mirror)
			w.store.forget(j.tx.about)
			if j.tx.moved {
				w.store.forgetRequests()
			}
			if j.tx.people {
				w.store.people.Add(1)
				w.store.sessions.reset()
			}
			if j.tx.news {
				w.store.pokeNews()
			}
			if j.tx.weighty {
				w.store.pokeSignable()
			}
			if j.tx.op != nil {
				j.tx.op.used = true
			}
		}
	}
	if seen {
		w.store.version.Add(1)
	}
	if w.store.index != nil {
		w.store.index.poke()
	}
	if seen {
		w.store.changed.Ring()
	}
	if recorded {
		w.store.recorded.Ring()
	}
}

// runJob runs one job, in a savepoint of its own where it shares the transaction.
// A job that is alone takes the transaction with it if it fails.
func (w *writer) runJob(j *job, shared bool) (err error) {
	if shared {
		if err := w.exec("SAVEPOINT job"); err != nil {
			return err
		}
	}
	j.tx = &tx{w: w, now: w.store.now(), mirror: map[string]mirrorDelta{}}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
		switch open, oerr := w.open(); {
		case oerr != nil || !open: // there is nothing to undo or to keep any more
		case err != nil && shared:
			err = errors.Join(err, w.exec("ROLLBACK TO job"), w.exec("RELEASE job"))
		case err != nil:
			err = errors.Join(err, w.exec("ROLLBACK"))
		case shared:
			err = w.exec("RELEASE job")
		}
		if err == nil && j.tx.head != nil {
			w.head = j.tx.head
		}
	}()
	return j.fn(j.tx)
}

// open reports whether the transaction still stands.
func (w *writer) open() (open bool, err error) {
	err = w.conn.Raw(func(c any) error {
		open = !c.(*sqlite3.SQLiteConn).AutoCommit()
		return nil
	})
	return open, err
}

func (w *writer) exec(query string, args ...any) error {
	st, err := w.stmt(query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background(), args...)
	return err
}

func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if st := w.stmts[query]; st != nil {
		return st, nil
	}
	st, err := w.conn.PrepareContext(context.Background(), rebind(query))
	if err != nil {
		return nil, err
	}
	w.stmts[query] = st
	return st, nil
}

// write runs fn in a transaction that must leave a history entry. Where the
// context carries a form's operation id, the id is used up with it.
func (s *Store) write(ctx context.Context, fn func(*tx) error) error {
	return s.writer.do(ctx, func(t *tx) error {
		if err := t.useOp(ctx); err != nil {
			return err
		}
		if err := fn(t); err != nil {
			return err
		}
		if t.entries == 0 {
			return errors.New("a write came without a history entry")
		}
		return nil
	})
}
