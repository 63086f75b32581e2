package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/store"
)

// Rounds of everything that is compared by clock.
const (
	rounds     = 7
	mostRounds = 15
)

// disk compares appending to history with bare fsync (G7), and history pages at
// any depth with the newest page (G5).
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
	return b.append(ctx, st)
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
	sync := func() error {
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
		raw, err := repeat(300, sync)
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
