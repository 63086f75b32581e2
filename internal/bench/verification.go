package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// verification compares verifying all of history with hashing as many bodies that
// lie in memory, in processor time, and one processor with two (G10). Beside the
// chain, verification checks each body's form, the commitments of personal data
// and the tree.
func (b *bench) verification(ctx context.Context, st *store.Store, rounds int) error {
	alone := goal{ID: "G10", Name: "verification, chain in memory / ours", Floor: 0.30, Target: 0.38}
	both := goal{ID: "G10", Name: "… two processors / one", Floor: 1.5, Target: 1.8}
	var bodies [][]byte
	err := st.HistoryRows(ctx, 1, 50_000, func(r audit.Row) error {
		bodies = append(bodies, r.Body)
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { _ = processors(runtime.NumCPU()) }() // what is measured next has pins of its own
	for range rounds {
		if err := processors(1); err != nil {
			return err
		}
		begun := used()
		for _, body := range bodies {
			_ = sha256.Sum256(body)
		}
		raw := float64(used()-begun) / float64(len(bodies))
		one, n, err := verified(ctx, st)
		if err != nil {
			return err
		}
		if err := processors(2); err != nil {
			return err
		}
		two, _, err := verified(ctx, st)
		if err != nil {
			return err
		}
		ours := float64(one.cpu) / float64(n)
		alone.Ratios, both.Ratios = append(alone.Ratios, raw/ours), append(both.Ratios, float64(one.elapsed)/float64(two.elapsed))
		alone.Ceiling, alone.Ours = fmt.Sprintf("%.0f ns a row", raw), fmt.Sprintf("%.0f ns a row, %.1f s", ours, one.elapsed.Seconds())
		both.Ceiling, both.Ours = fmt.Sprintf("one %.1f s", one.elapsed.Seconds()), fmt.Sprintf("%.1f s", two.elapsed.Seconds())
	}
	b.report.add(alone)
	if runtime.NumCPU() > 1 {
		b.report.add(both)
	}
	return nil
}

// A duration of work, on the clock and on processors.
type duration struct{ elapsed, cpu time.Duration }

func verified(ctx context.Context, st *store.Store) (duration, int64, error) {
	begun, cpu := time.Now(), used()
	head, err := st.VerifyHistory(ctx)
	return duration{time.Since(begun), used() - cpu}, head.Seq, err
}

// used is the processor time of this process so far.
func used() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // can't be: the arguments are right
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// processors lets all threads of this process run on so many.
func processors(n int) error {
	n = min(n, runtime.NumCPU())
	out, err := exec.Command("taskset", "-a", "-p", "-c", "0-"+strconv.Itoa(n-1), strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w: %s", err, out)
	}
	return nil
}
