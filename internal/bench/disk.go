package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/store"
)

// Rounds of everything that is compared by clock.
const (
	rounds     = 7
	mostRounds = 15
)

// disk compares appending to history with bare fsync (G7, G8), history pages at any
// depth with the newest page (G5), and verification with hashing (G10).
func (b *bench) disk(ctx context.Context) (err error) {
	st, err := store.Open(b.dataDir(), store.Options{Log: b.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := indexed(ctx, st); err != nil {
		return err
	}
	if err := b.depth(ctx, st); err != nil {
		return err
	}
	if err := b.verification(ctx, st, rounds); err != nil {
		return err
	}
	if err := b.append(ctx, st); err != nil {
		return err
	}
	return b.together(ctx, st)
}

// indexed waits until searches find all of history.
func indexed(ctx context.Context, st *store.Store) error {
	head, err := st.HistoryHead(ctx)
	for err == nil && st.HistoryIndexed() < head.Seq {
		time.Sleep(10 * time.Millisecond)
		err = ctx.Err()
	}
	return err
}

func (b *bench) append(ctx context.Context, st *store.Store) error {
	file, err := os.Create(filepath.Join(b.dir, "fsync"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // scratch
	block := make([]byte, 4096)
	random := rand.New(rand.NewPCG(2, 2))
	flush := func() error {
		if _, err := file.WriteAt(block, 0); err != nil {
			return err
		}
		return file.Sync()
	}
	add := func() error { return st.FailSignIn(ctx, madeUp(random)) }
	rate := goal{ID: "G7", Name: "durable append, one writer: rate", Floor: 0.70, Target: 0.85}
	tail := goal{ID: "G7", Name: "durable append, one writer: p99", AtMost: true, Floor: 3, Target: 1.5}
	var fsyncs []float64
	for i := range rounds + 1 {
		raw, err := repeat(300, flush)
		if err != nil {
			return err
		}
		ours, err := repeat(300, add)
		if err != nil {
			return err
		}
		if err := indexed(ctx, st); err != nil {
			return err
		}
		if i == 0 {
			continue // warm-up
		}
		fsyncs = append(fsyncs, raw.p50)
		rate.Ratios = append(rate.Ratios, raw.mean/ours.mean)
		tail.Ratios = append(tail.Ratios, ours.p99/raw.p99)
		rate.Ceiling, rate.Ours = fmt.Sprintf("%.0f fsync/s", 1e3/raw.mean), fmt.Sprintf("%.0f/s", 1e3/ours.mean)
		tail.Ceiling, tail.Ours = fmt.Sprintf("fsync %.2f ms", raw.p99), fmt.Sprintf("%.2f ms", ours.p99)
	}
	b.report.FsyncP50 = median(fsyncs)
	b.report.add(rate)
	b.report.add(tail)
	return nil
}

// together compares many writers at once with bare fsync, and with rows that go
// into a plain table a thousand at a time (G8).
func (b *bench) together(ctx context.Context, st *store.Store) error {
	file, err := os.Create(filepath.Join(b.dir, "fsync"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // scratch
	some := goal{ID: "G8", Name: "32 writers at once: rate / fsync", Floor: 4, Target: 7}
	many := goal{ID: "G8", Name: "128 writers at once: rate / fsync", Floor: 8, Target: 13}
	batch := goal{ID: "G8", Name: "… / raw batched insert", Floor: 0.4, Target: 0.6}
	block := make([]byte, 4096)
	for i := range rounds + 1 {
		raw, err := repeat(300, func() error {
			_, err := file.WriteAt(block, 0)
			return errors.Join(err, file.Sync())
		})
		if err != nil {
			return err
		}
		rows, err := b.insertBatched(ctx)
		if err != nil {
			return err
		}
		few, err := crowd(ctx, st, 32)
		if err != nil {
			return err
		}
		lots, err := crowd(ctx, st, 128)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // warm-up
		}
		fsync := 1e3 / raw.mean
		some.Ratios, many.Ratios, batch.Ratios = append(some.Ratios, few/fsync), append(many.Ratios, lots/fsync), append(batch.Ratios, lots/rows)
		some.Ceiling, some.Ours = fmt.Sprintf("%.0f fsync/s", fsync), fmt.Sprintf("%.0f/s", few)
		many.Ceiling, many.Ours = some.Ceiling, fmt.Sprintf("%.0f/s", lots)
		batch.Ceiling, batch.Ours = fmt.Sprintf("raw %.0f/s", rows), many.Ours
	}
	b.report.add(some)
	b.report.add(many)
	b.report.add(batch)
	return nil
}

// crowd returns how many entries a second so many writers append, once the index
// has caught up.
func crowd(ctx context.Context, st *store.Store, writers int) (float64, error) {
	const each = 8192
	if err := indexed(ctx, st); err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	errs := make([]error, writers)
	begun := time.Now()
	for w := range writers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(8, uint64(w)))
			for i := 0; i < each/writers && errs[w] == nil; i++ {
				errs[w] = st.FailSignIn(ctx, madeUp(random))
			}
		})
	}
	wg.Wait()
	return each / time.Since(begun).Seconds(), errors.Join(errs...)
}

// insertBatched returns how many rows a second go into a plain table, in
// transactions of a thousand.
func (b *bench) insertBatched(ctx context.Context) (float64, error) {
	body, hash := make([]byte, 635), make([]byte, 32)
	return rawInsert{
		path: filepath.Join(b.dir, "raw.db"), synchronous: "FULL", batches: 20, size: 1000,
		schema: "CREATE TABLE raw (seq INTEGER PRIMARY KEY, body BLOB, prev BLOB, hash BLOB)",
		insert: "INSERT INTO raw VALUES (?, ?, ?, ?)",
		args:   func(i int) []any { return []any{i, body, hash, hash} },
	}.rate(ctx)
}

// A rawInsert puts rows into a table of its own.
type rawInsert struct {
	path, synchronous, schema, insert string
	batches, size                     int
	args                              func(i int) []any
}

// rate returns how many rows a second went in.
func (r rawInsert) rate(ctx context.Context) (float64, error) {
	defer func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(r.path + suffix) // scratch
		}
	}()
	db, err := sql.Open("sqlite3", "file:"+r.path+"?_journal_mode=WAL&_synchronous="+r.synchronous)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }() // scratch
	if _, err := db.ExecContext(ctx, r.schema); err != nil {
		return 0, err
	}
	begun := time.Now()
	for i := range r.batches {
		t, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		one, err := t.PrepareContext(context.WithoutCancel(ctx), r.insert)
		for j := 0; j < r.size && err == nil; j++ {
			_, err = one.ExecContext(context.WithoutCancel(ctx), r.args(i*r.size+j)...)
		}
		if err = errors.Join(err, t.Commit()); err != nil {
			return 0, err
		}
	}
	return float64(r.batches*r.size) / time.Since(begun).Seconds(), nil
}

// depth compares pages of history anywhere in it with the newest.
func (b *bench) depth(ctx context.Context, st *store.Store) error {
	for _, kind := range []struct {
		name  string
		query store.HistoryQuery
	}{
		{"history page at any depth", store.HistoryQuery{Limit: 50}},
		{"history page of one action at any depth", store.HistoryQuery{Limit: 50, Action: actions[0]}},
	} {
		random := rand.New(rand.NewPCG(3, 3))
		g := goal{ID: "G5", Name: kind.name, AtMost: true, Floor: 3, Target: 1.5}
		for i := range rounds + 1 {
			head, err := repeat(200, func() error {
				_, err := st.History(ctx, kind.query)
				return err
			})
			if err != nil {
				return err
			}
			deep, err := repeat(200, func() error {
				q := kind.query
				q.Before = 1000 + random.Int64N(int64(b.rows)-1000)
				_, err := st.History(ctx, q)
				return err
			})
			if err != nil {
				return err
			}
			if i > 0 {
				g.Ratios = append(g.Ratios, deep.p50/head.p50)
				g.Ceiling, g.Ours = fmt.Sprintf("newest page %.2f ms", head.p50), fmt.Sprintf("%.2f ms", deep.p50)
			}
		}
		b.report.add(g)
	}
	return nil
}

// times are milliseconds.
type times struct{ mean, p50, p99 float64 }

func repeat(n int, do func() error) (times, error) {
	all := make([]float64, n)
	total := 0.0
	for i := range all {
		begun := time.Now()
		if err := do(); err != nil {
			return times{}, err
		}
		all[i] = time.Since(begun).Seconds() * 1e3
		total += all[i]
	}
	slices.Sort(all)
	return times{total / float64(n), all[n/2], all[n*99/100]}, nil
}
