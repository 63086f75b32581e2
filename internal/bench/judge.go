package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-sqlite3"
)

// A goal is one line of the report. Ratios come one from each round.
type goal struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Ceiling string    `json:"ceiling"` // the figure compared with, in words
	Ours    string    `json:"ours"`
	Ratios  []float64 `json:"ratios"`
	Median  float64   `json:"median"`
	Floor   float64   `json:"floor"`
	Target  float64   `json:"target"`
	AtMost  bool      `json:"at_most"` // smaller is better
	Exact   bool      `json:"exact"`   // no clock is in it, so that noise excuses nothing
	Verdict string    `json:"verdict"`
}

// Verdicts.
const (
	pass  = "ok"
	warn  = "WARN"  // the target is missed
	fail  = "FAIL"  // the floor is missed
	noisy = "NOISY" // the machine was too restless to judge
)

// judge sets the verdict: a floor is missed only if the whole middle half of the
// rounds is on the wrong side of it.
func (g *goal) judge(restless bool) {
	sorted := slices.Sorted(slices.Values(g.Ratios))
	n := len(sorted)
	g.Median = median(sorted)
	best := sorted[n-1-n/4]
	worse := func(x, limit float64) bool { return x < limit }
	if g.AtMost {
		best = sorted[n/4]
		worse = func(x, limit float64) bool { return x > limit }
	}
	switch {
	case restless && !g.Exact:
		g.Verdict = noisy
	case worse(best, g.Floor):
		g.Verdict = fail
	case worse(g.Median, g.Target):
		g.Verdict = warn
	default:
		g.Verdict = pass
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// A report is the outcome of a run.
type report struct {
	Go       string            `json:"go"`
	SQLite   string            `json:"sqlite"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Rows     int               `json:"history_rows"`
	Configs  int               `json:"auth_configs"`
	Rounds   int               `json:"rounds"`
	Control  float64           `json:"control"` // median difference of the ceiling from itself
	FsyncP50 float64           `json:"fsync_p50_ms"`
	Seconds  int               `json:"seconds"`
	Figures  map[string]figure `json:"figures"`
	Goals    []*goal           `json:"goals"`
}

// A figure is what one route did, to see the scale; medians over the rounds.
type figure struct {
	CPU   float64 `json:"cpu_us"` // per request, user and system
	Rate  float64 `json:"per_second"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Bytes int     `json:"bytes"`
}

func (r *report) describe(rows, configs int) {
	r.Go, r.Cores, r.Rows, r.Configs = runtime.Version(), runtime.NumCPU(), rows, configs
	r.SQLite, _, _ = sqlite3.Version()
	r.CPU = "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				r.CPU = strings.Trim(name, "\t :\n")
				break
			}
		}
	}
}

// restless reports whether the ceiling differed too much from itself.
func (r *report) restless() bool { return r.Control > 0.10 }

func (r *report) add(g goal) {
	g.judge(r.restless())
	r.Goals = append(r.Goals, &g)
}

func (r *report) failed() (n int) {
	for _, g := range r.Goals {
		if g.Verdict == fail {
			n++
		}
	}
	return n
}

func (r *report) write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func (r *report) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s, SQLite %s, %s, %d cores; %d history rows, %d auth configs; %d rounds, control ±%.0f %%, fsync %.2f ms; %d s\n\n",
		r.Go, r.SQLite, r.CPU, r.Cores, r.Rows, r.Configs, r.Rounds, 100*r.Control, r.FsyncP50, r.Seconds) // to the terminal
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "route\tCPU µs\treq/s\tp50 ms\tp99 ms\tbytes")
	for _, name := range slices.Sorted(mapKeys(r.Figures)) {
		f := r.Figures[name]
		_, _ = fmt.Fprintf(t, "%s\t%.1f\t%.0f\t%.2f\t%.2f\t%d\n", name, f.CPU, f.Rate, f.P50, f.P99, f.Bytes)
	}
	_, _ = fmt.Fprintln(t, "\ngoal\tceiling\tours\tratio (min..max)\tfloor\ttarget\tverdict")
	for _, g := range r.Goals {
		sign := "≥"
		if g.AtMost {
			sign = "≤"
		}
		_, _ = fmt.Fprintf(t, "%s %s\t%s\t%s\t%.3g (%.3g..%.3g)\t%s %g\t%s %g\t%s\n", g.ID, g.Name, g.Ceiling, g.Ours,
			g.Median, slices.Min(g.Ratios), slices.Max(g.Ratios), sign, g.Floor, sign, g.Target, g.Verdict)
	}
	_ = t.Flush() // to the terminal
	if r.restless() {
		_, _ = fmt.Fprintln(w, "\nNOISY: the same ceiling differed from itself by more than 10 %, so nothing was judged by clock.")
	}
}
