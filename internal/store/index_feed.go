package store

import (
	"context"
	"database/sql"
	"errors"

	"gatehouse/internal/audit"
)

// A feeder remembers what it wrote, so that it need not look. It belongs to the
// goroutine that feeds.
type feeder struct {
	values map[string]int64 // text → number
	terms  map[string]bool  // words that are in term
	high   int64
}

// mostTerms is how many words are remembered as written.
const mostTerms = 50_000

// feed indexes the next batch and reports whether there may be more.
func (x *historyIndex) feed(ctx context.Context) (more bool, err error) {
	from, size := max(x.upTo.Load()+1, x.first.Load()), int64(indexBatch)
	head, err := x.store.HistoryHead(ctx)
	if err != nil || head.Seq < from {
		return false, err
	}
	if head.Seq-from > indexRush {
		size = indexRush
	}
	var entries []audit.Entry
	var last audit.Row
	err = x.store.HistoryRows(ctx, from, from+size-1, func(r audit.Row) error {
		entries, last = append(entries, audit.Look(r)), r
		return nil
	})
	if err != nil || len(entries) == 0 {
		return false, err
	}
	if err := x.write(ctx, entries, last); err != nil {
		x.feeder = feeder{} // what it wrote was taken back
		return false, err
	}
	x.upTo.Store(last.Seq)
	return last.Seq < head.Seq, nil
}

// write puts a batch into the index.
func (x *historyIndex) write(ctx context.Context, entries []audit.Entry, last audit.Row) error {
	if err := x.remember(ctx); err != nil {
		return err
	}
	t, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	w := batch{ctx: context.WithoutCancel(ctx), tx: t, feeder: &x.feeder}
	for _, e := range entries {
		w.add(e)
	}
	w.exec("INSERT INTO head (id, seq, hash) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash", last.Seq, last.Hash[:])
	if w.err != nil {
		return w.err
	}
	return t.Commit()
}

// remember reads back what the feeder has to know.
func (x *historyIndex) remember(ctx context.Context) error {
	f := &x.feeder
	if f.values != nil {
		return nil
	}
	f.values, f.terms = map[string]int64{}, map[string]bool{}
	rows, err := x.db.QueryContext(ctx, "SELECT id, text FROM value")
	if err != nil {
		return err
	}
	err = drain(rows, func(row scanner) error {
		var id int64
		var text string
		err := row.Scan(&id, &text)
		f.values[text] = id
		return err
	})
	if err != nil {
		return err
	}
	err = x.db.QueryRowContext(ctx, "SELECT high FROM entry ORDER BY seq DESC LIMIT 1").Scan(&f.high)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// A batch writes entries until something fails.
type batch struct {
	*feeder
	ctx   context.Context //nolint:containedctx // lives as long as the call that it came with
	tx    *sql.Tx
	stmts map[string]*sql.Stmt
	err   error
}

func (b *batch) exec(query string, args ...any) {
	if b.err != nil {
		return
	}
	st := b.stmts[query]
	if st == nil {
		if st, b.err = b.tx.PrepareContext(b.ctx, query); b.err != nil {
			return
		}
		if b.stmts == nil {
			b.stmts = map[string]*sql.Stmt{}
		}
		b.stmts[query] = st
	}
	_, b.err = st.ExecContext(b.ctx, args...)
}

func (b *batch) add(e audit.Entry) {
	at := micros(e.Time)
	if at < b.high {
		b.exec("INSERT INTO late (seq, at) VALUES (?, ?)", e.Seq, at)
	}
	b.high = max(b.high, at)
	b.exec("INSERT INTO entry (seq, high, actor, action, project, toolkit, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
		e.Seq, b.high, b.value(actorValue(e)), b.value(e.Action), b.value(e.Project), b.value(e.Detail["toolkit"]), b.value(outcomeValue(e)))
	d := newDocument(e)
	for t := range d.tokens {
		if where, word := splitToken(t); (where == "" || where == inAddress) && isPrefix(word) {
			b.term(t)
		}
	}
	b.exec("INSERT INTO words (rowid, text) VALUES (?, ?)", e.Seq, d.text())
}

// value is the number of a text.
func (b *batch) value(text string) int64 {
	id, ok := b.values[text]
	if !ok {
		id = int64(len(b.values)) + 1
		b.exec("INSERT INTO value (id, text) VALUES (?, ?)", id, text)
		b.values[text] = id
	}
	return id
}

func (b *batch) term(word string) {
	if b.terms[word] {
		return
	}
	b.exec("INSERT OR IGNORE INTO term (word) VALUES (?)", word)
	if len(b.terms) >= mostTerms {
		clear(b.terms)
	}
	b.terms[word] = true
}
