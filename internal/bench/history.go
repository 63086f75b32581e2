package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
)

// historyRounds is how often everything about a large history is measured.
const historyRounds = 5

// onlyHistory measures a large history, in a directory to keep or in one that goes.
func (b *bench) onlyHistory(ctx context.Context, dir, out string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gatehouse-history-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	debug.SetGCPercent(400) // as the console does
	begun := time.Now()
	if err := b.largeHistory(ctx, dir); err != nil {
		return err
	}
	b.report.Rounds, b.report.Seconds = historyRounds, int(time.Since(begun).Seconds())
	if err := b.report.write(out); err != nil {
		return err
	}
	b.report.print(os.Stdout)
	if failed := b.report.failed(); failed > 0 {
		return fmt.Errorf("%d goals are missed", failed)
	}
	return nil
}

// largeHistory fills a directory with entries, or goes on with one that has some,
// and measures searches and pages in it (G5, G6, G9, G10, G16, G20).
func (b *bench) largeHistory(ctx context.Context, dir string) (err error) {
	b.report.describe(b.rows, 0)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "bench: history")
	begun := time.Now()
	if err := seed(ctx, dir, b.rows); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: filled in %.0f s\n", time.Since(begun).Seconds())
	st, err := store.Open(dir, store.Options{Log: b.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	l := large{bench: b, st: st, dir: dir}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"index", l.feeding}, {"depth", l.anywhere}, {"verification", l.verifying}, {"searches", l.searching}, {"small and large", l.growing}, {"reading while others write", l.shared}} {
		fmt.Fprintln(os.Stderr, "bench:", part.name)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// A large history is being measured.
type large struct {
	*bench
	st  *store.Store
	dir string
}

// feeding compares filling the index with writing rows into a table with five
// indexes.
func (l *large) feeding(ctx context.Context) error {
	from, begun := l.st.HistoryIndexed(), time.Now()
	if err := indexed(ctx, l.st); err != nil {
		return err
	}
	n, took := l.st.HistoryIndexed()-from, time.Since(begun)
	if n < 10_000 {
		fmt.Fprintln(os.Stderr, "bench: the index was there already, so its filling is not measured")
		return nil
	}
	ours := float64(n) / took.Seconds()
	g := goal{ID: "G9", Name: "indexer / raw batched insert with 5 indexes", Floor: 0.4, Target: 0.7, Ours: fmt.Sprintf("%.0f/s over %s entries, %.0f s", ours, entriesText(int(n)), took.Seconds())}
	for range historyRounds {
		raw, err := l.insertRaw(ctx)
		if err != nil {
			return err
		}
		g.Ceiling = fmt.Sprintf("raw %.0f/s", raw)
		g.Ratios = append(g.Ratios, ours/raw)
	}
	l.report.add(g)
	return nil
}

// insertRaw returns how many rows a second go into a table with five indexes, in
// transactions of 256.
func (l *large) insertRaw(ctx context.Context) (float64, error) {
	random := rand.New(rand.NewPCG(6, 6))
	return rawInsert{
		path: filepath.Join(l.dir, "raw.db"), synchronous: "NORMAL", batches: 400, size: 256,
		schema: `CREATE TABLE raw (seq INTEGER PRIMARY KEY, at INTEGER, actor TEXT, action TEXT, target TEXT, outcome TEXT, request TEXT, body TEXT);
			CREATE INDEX a ON raw (actor, action, at); CREATE INDEX b ON raw (action, at); CREATE INDEX c ON raw (target, at); CREATE INDEX d ON raw (at); CREATE INDEX e ON raw (request)`,
		insert: "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		args: func(i int) []any {
			e := lifelike(random)
			return []any{i, i, e.Actor.ID, e.Action, e.Object.ID, e.Outcome, e.Request, e.Reason + e.Object.Name}
		},
	}.rate(ctx)
}

func (l *large) anywhere(ctx context.Context) error { return l.depth(ctx, l.st) }

func (l *large) verifying(ctx context.Context) error { return l.verification(ctx, l.st, 3) }

// searching compares the slowest hundredth of each search with one look through
// all of history by LIKE.
func (l *large) searching(ctx context.Context) error {
	g := goal{ID: "G6", Name: "search of up to three terms, p99 of the worst", AtMost: true, Floor: 0.03, Target: 0.015}
	typical := goal{ID: "G6", Name: "… median of all searches' p99", AtMost: true, Floor: 0.03, Target: 0.015}
	counts := goal{ID: "G6", Name: "… with counts and chart, median of all", AtMost: true, Floor: 0.03, Target: 0.03}
	for i := range historyRounds + 1 {
		like, err := l.like(ctx)
		if err != nil {
			return err
		}
		worst, name, all, sums := 0.0, "", []float64{}, []float64{}
		for _, text := range searches() {
			q, err := ql.Parse(text)
			if err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
			h := store.HistoryQuery{Where: q, Limit: 50}
			took, err := repeat(100, func() error { _, err := l.st.History(ctx, h); return err })
			if err != nil {
				return err
			}
			sum, err := repeat(5, func() error { _, err := l.st.HistorySummary(ctx, h); return err })
			if err != nil {
				return err
			}
			all, sums = append(all, took.p99), append(sums, took.p50+sum.p50)
			if took.p99 > worst {
				worst, name = took.p99, text
			}
			if i == historyRounds {
				fmt.Fprintf(os.Stderr, "bench: %-60s p50 %8.2f p99 %8.2f ms, counts %8.2f ms\n", text, took.p50, took.p99, sum.p50)
			}
		}
		if i == 0 {
			continue // warm-up
		}
		for _, one := range []struct {
			g    *goal
			ours float64
			more string
		}{{&g, worst, " (" + name + ")"}, {&typical, median(all), ""}, {&counts, median(sums), ""}} {
			one.g.Ratios = append(one.g.Ratios, one.ours/like)
			one.g.Ceiling, one.g.Ours = fmt.Sprintf("LIKE %.0f ms", like), fmt.Sprintf("%.2f ms%s", one.ours, one.more)
		}
	}
	l.report.add(g)
	l.report.add(typical)
	l.report.add(counts)
	return nil
}

// like looks through all of history for what isn't there, and returns the
// milliseconds that it took.
func (l *large) like(ctx context.Context) (float64, error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(l.dir, store.DatabaseFile)+"?mode=ro&_query_only=1")
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }() // nothing was written
	var n int
	begun := time.Now()
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM history WHERE CAST(body AS TEXT) LIKE '%nothinglikethis%' ORDER BY seq DESC LIMIT 50)").Scan(&n)
	return time.Since(begun).Seconds() * 1e3, err
}

// growing compares what pages ask for with a history of 10,000 entries.
func (l *large) growing(ctx context.Context) (err error) {
	const few = 10_000
	dir := filepath.Join(l.dir, "few")
	if err := errors.Join(os.MkdirAll(dir, 0o700), seed(ctx, dir, few)); err != nil {
		return err
	}
	small, err := store.Open(dir, store.Options{Log: l.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, small.Close()) }()
	if err := indexed(ctx, small); err != nil {
		return err
	}
	for _, kind := range []struct{ name, text string }{{"history page and counts", ""}, {"history page and counts of one action", "action:auth_config.updated"}} {
		q, err := ql.Parse(kind.text)
		if err != nil {
			return err
		}
		ask := func(st *store.Store) func() error {
			return func() error {
				h := store.HistoryQuery{Where: q, Limit: 50}
				_, err := st.History(ctx, h)
				if err == nil {
					_, err = st.HistorySummary(ctx, h)
				}
				return err
			}
		}
		g := goal{ID: "G20", Name: kind.name + ": " + entriesText(l.rows) + " / " + entriesText(few), AtMost: true, Floor: 4, Target: 3}
		for range historyRounds {
			less, err := repeat(100, ask(small))
			if err != nil {
				return err
			}
			more, err := repeat(100, ask(l.st))
			if err != nil {
				return err
			}
			g.Ratios = append(g.Ratios, more.p50/less.p50)
			g.Ceiling, g.Ours = fmt.Sprintf("few %.2f ms", less.p50), fmt.Sprintf("%.2f ms", more.p50)
		}
		l.report.add(g)
	}
	return nil
}

// appendRate is how many entries a second others write.
const appendRate = 500

// shared compares reading while others write with reading alone.
func (l *large) shared(ctx context.Context) error {
	for _, kind := range []struct{ name, text string }{{"newest page", ""}, {"search", "toolkit:github action:auth_config.updated"}} {
		q, err := ql.Parse(kind.text)
		if err != nil {
			return err
		}
		read := func() error {
			_, err := l.st.History(ctx, store.HistoryQuery{Where: q, Limit: 50})
			return err
		}
		g := goal{ID: "G16", Name: fmt.Sprintf("%s, p99 with %d appends/s / alone", kind.name, appendRate), AtMost: true, Floor: 4, Target: 2.5}
		for range historyRounds {
			if err := indexed(ctx, l.st); err != nil {
				return err
			}
			alone, err := repeat(500, read)
			if err != nil {
				return err
			}
			var busy times
			err = l.whileAppending(ctx, func() error { busy, err = repeat(500, read); return err })
			if err != nil {
				return err
			}
			g.Ratios = append(g.Ratios, busy.p99/alone.p99)
			g.Ceiling, g.Ours = fmt.Sprintf("alone %.2f ms", alone.p99), fmt.Sprintf("%.2f ms", busy.p99)
		}
		l.report.add(g)
	}
	return nil
}

// whileAppending does something while entries are appended at a steady rate.
func (l *large) whileAppending(ctx context.Context, do func() error) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		random := rand.New(rand.NewPCG(7, 7))
		tick := time.NewTicker(time.Second / appendRate)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				ended <- nil
				return
			case <-tick.C:
				if err := l.st.FailSignIn(context.WithoutCancel(ctx), lifelike(random)); err != nil {
					ended <- err
					return
				}
			}
		}
	}()
	err := do()
	stop()
	return errors.Join(err, <-ended)
}
