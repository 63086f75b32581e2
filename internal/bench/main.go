// Program bench measures speed and size as ratios to ceilings that are measured
// in the same run, since absolute figures of a shared machine mean little. It
// starts the built console as a child, beside children that do nothing but the
// least work possible, and asks all of them in turn.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"time"

	"gatehouse/internal/composio/sandbox"
)

func main() {
	if err := dispatch(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Roles that the program plays as its own child.
const (
	roleCeilings = "ceilings" // Echo and templ over fixed rows
	roleLoad     = "load"     // sends requests
)

func dispatch() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleCeilings:
			return serveCeilings(os.Args[2])
		case roleLoad:
			return load(ctx, os.Stdin, os.Stdout)
		}
	}
	return run(ctx)
}

func run(ctx context.Context) (err error) {
	b := &bench{log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	flag.StringVar(&b.console, "console", "bin/console", "the built program")
	flag.IntVar(&b.rows, "rows", 100_000, "history rows")
	flag.IntVar(&b.configs, "configs", 10_000, "auth configs")
	flag.IntVar(&b.requests, "requests", 10_000, "change requests")
	flag.BoolVar(&b.lighthouse, "lighthouse", true, "run Lighthouse (needs a Chromium; see make bench)")
	out := flag.String("out", "bench", "directory for bench.json")
	large := flag.Int("history", 0, "fill a history of so many entries, measure searches in it and nothing else, into history.json")
	keep := flag.String("keep", "", "with -history: the data directory to fill and keep; one that has entries is filled up")
	flag.Parse()
	if *large > 0 {
		b.rows = *large
		return b.onlyHistory(ctx, *keep, filepath.Join(*out, "history.json"))
	}
	if b.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return err
	}
	defer func() {
		b.stopChildren()
		if b.box != nil {
			_ = b.box.Close() // it keeps nothing
		}
		if e := os.RemoveAll(b.dir); err == nil {
			err = e
		}
	}()
	debug.SetGCPercent(400) // as the console does
	started := time.Now()
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.report.Seconds = int(time.Since(started).Seconds())
	if err := b.report.write(filepath.Join(*out, "bench.json")); err != nil {
		return err
	}
	b.report.print(os.Stdout)
	if failed := b.report.failed(); failed > 0 {
		return fmt.Errorf("%d goals are missed", failed)
	}
	return nil
}

// A bench is one run.
type bench struct {
	console       string
	rows, configs int
	requests      int
	lighthouse    bool

	dossier  string // id of the change request whose page is measured
	dir      string
	box      *sandbox.Server
	boxAddr  string // where the first project has it
	log      *slog.Logger
	children []*child
	report   report
}

// measure does everything, quiet work first.
func (b *bench) measure(ctx context.Context) error {
	b.report.describe(b.rows, b.configs)
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"exact gates", b.gates},
		{"data and sync", b.prepare},
		{"disk", b.disk},
		{"start and memory", b.starts},
		{"change requests", b.fillRequests},
		{"pages", b.pages},
		{"first page", b.firstPage},
		{"Lighthouse", b.lighthousePages},
		{"pages while others write", b.writing},
		{"votes while a sync runs", b.votes},
	} {
		fmt.Fprintln(os.Stderr, "bench:", part.name)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
