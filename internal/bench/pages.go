package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// starts compares cold starts and idle memory with a server that does nothing.
func (b *bench) starts(ctx context.Context) error {
	bareProgram := filepath.Join(b.dir, "bare")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bareProgram, "./internal/bench/bare").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	start := goal{ID: "G12", Name: fmt.Sprintf("cold start with %d history rows", b.rows), AtMost: true, Floor: 8, Target: 4}
	memory := goal{ID: "G11", Name: "memory when idle", AtMost: true, Floor: 6, Target: 4}
	for range 11 {
		bare, bareTook, err := b.launch(ctx, nil, bareProgram, func(addr string) []string { return []string{addr} })
		if err != nil {
			return err
		}
		ours, took, err := b.launch(ctx, b.env(), b.console, func(string) []string { return []string{"serve"} })
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		bareSize, err := bare.rss()
		if err != nil {
			return err
		}
		size, err := ours.rss()
		if err != nil {
			return err
		}
		if err := ours.stop(); err != nil {
			return fmt.Errorf("%w: %s", err, &ours.out)
		}
		if err := bare.stop(); err != nil {
			return err
		}
		start.Ratios = append(start.Ratios, took.Seconds()/bareTook.Seconds())
		memory.Ratios = append(memory.Ratios, size/bareSize)
		start.Ceiling, start.Ours = fmt.Sprintf("net/http %.1f ms", bareTook.Seconds()*1e3), fmt.Sprintf("%.1f ms", took.Seconds()*1e3)
		memory.Ceiling, memory.Ours = fmt.Sprintf("net/http %.1f MiB", bareSize/(1<<20)), fmt.Sprintf("%.1f MiB", size/(1<<20))
	}
	b.report.add(start)
	b.report.add(memory)
	return nil
}

// A measured is one route in the rounds.
type measured struct {
	name string
	from *child
	job  job
}

// Names of the routes, as in the report.
const (
	ceiling     = "ceiling: Echo and templ, fixed rows"
	ceilingTwin = "ceiling, again"
	ceilingZip  = "ceiling with gzip"
	hello       = "ceiling: Echo hello"
	list        = "list, each page another"
	listZip     = "list with gzip, each page another"
	hot         = "list, the same page"
	revisit     = "list, unchanged (304)"
	alone       = "list, one at a time"

	ceilingNeeds  = "ceiling: what needs me"
	ceilingOpen   = "ceiling: a tab of open requests"
	ceilingDone   = "ceiling: a tab of ended requests"
	ceilingChange = "ceiling: a change request"
	inboxNeeds    = "inbox, needs me"
	inboxOpen     = "inbox, all open"
	inboxMine     = "inbox, mine"
	inboxWatching = "inbox, watching"
	inboxDone     = "inbox, done"
	oneChange     = "a change request"
)

// pages measures the list page beside its ceilings.
func (b *bench) pages(ctx context.Context) error {
	ceilings, _, err := b.launch(ctx, nil, os.Args[0], func(addr string) []string { return []string{roleCeilings, addr} })
	if err != nil {
		return err
	}
	console, _, err := b.launch(ctx, b.env(), b.console, func(string) []string { return []string{"serve"} })
	if err != nil {
		return err
	}
	cookie, err := signIn(console.url, email)
	if err != nil {
		return err
	}
	routes, err := b.routes(ceilings, console, cookie)
	if err != nil {
		return err
	}
	more, err := b.changeRoutes(ceilings, console)
	if err != nil {
		return err
	}
	routes = append(routes, more...)
	all := map[string][]figure{}
	for round := 0; round <= mostRounds; round++ {
		for i := range routes {
			r := routes[(i+round)%len(routes)]
			f, err := r.from.ask(ctx, r.job)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if round > 0 { // the first warms up
				all[r.name] = append(all[r.name], f)
			}
		}
		b.report.Rounds = round
		b.report.Control = control(all)
		if round >= rounds && !b.report.restless() {
			break
		}
	}
	return b.judgePages(all)
}

// control is the median difference of the ceiling from itself.
func control(all map[string][]figure) float64 {
	var differences []float64
	for i, f := range all[ceiling] {
		differences = append(differences, math.Abs(f.CPU/all[ceilingTwin][i].CPU-1))
	}
	return median(differences)
}

func (b *bench) routes(ceilings, console *child, cookie *http.Cookie) ([]measured, error) {
	header := func(more ...string) http.Header {
		h := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}
		for i := 0; i+1 < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	const path = "/projects/" + slug + "/auth-configs"
	page := console.url + path
	different, err := everyPage(console.url, path, header())
	if err != nil {
		return nil, err
	}
	const few, many, workers = 1500, 6000, 16
	fixed := func(n int, h http.Header) job {
		return job{URLs: []string{ceilings.url + "/page"}, Header: h, N: n, Workers: workers, Status: http.StatusOK}
	}
	return []measured{
		{ceiling, ceilings, fixed(few, header())},
		{list, console, job{URLs: different, Header: header(), N: few, Workers: workers, Status: http.StatusOK}},
		{hot, console, job{URLs: []string{page}, Header: header(), N: few, Workers: workers, Status: http.StatusOK}},
		{ceilingTwin, ceilings, fixed(few, header())},
		{ceilingZip, ceilings, fixed(few, header("Accept-Encoding", "gzip"))},
		{listZip, console, job{URLs: different, Header: header("Accept-Encoding", "gzip"), N: few, Workers: workers, Status: http.StatusOK}},
		{hello, ceilings, job{URLs: []string{ceilings.url + "/healthz"}, Header: header(), N: many, Workers: workers, Status: http.StatusOK}},
		{revisit, console, job{URLs: []string{page}, Header: header(), N: many, Workers: workers, Revisit: true, Status: http.StatusNotModified}},
		{alone, console, job{URLs: different, Header: header(), N: 300, Workers: 1, Status: http.StatusOK}},
	}, nil
}

var nextPage = regexp.MustCompile(`rel="next" href="([^"]+)"`)

// everyPage follows a list from page to page, so that no two requests in a
// while ask for the same one.
func everyPage(base, first string, h http.Header) ([]string, error) {
	var all []string
	for at := base + first; at != ""; {
		all = append(all, at)
		text, err := fetch(at, h)
		if err != nil {
			return nil, err
		}
		at = ""
		if m := nextPage.FindStringSubmatch(string(text)); m != nil {
			at = base + html.UnescapeString(m[1])
		}
	}
	return all, nil
}

func fetch(url string, h http.Header) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = h
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it is read to its end
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func (b *bench) judgePages(all map[string][]figure) error {
	b.report.Figures = map[string]figure{}
	for name, figures := range all {
		pick := func(of func(figure) float64) float64 {
			var values []float64
			for _, f := range figures {
				values = append(values, of(f))
			}
			return median(values)
		}
		b.report.Figures[name] = figure{
			CPU: pick(func(f figure) float64 { return f.CPU }), Rate: pick(func(f figure) float64 { return f.Rate }),
			P50: pick(func(f figure) float64 { return f.P50 }), P99: pick(func(f figure) float64 { return f.P99 }), Bytes: figures[0].Bytes,
		}
	}
	for above, below := range map[string]string{ceiling: hot, ceilingNeeds: inboxNeeds, ceilingOpen: inboxOpen, ceilingDone: inboxDone, ceilingChange: oneChange} {
		fixed, ours := b.report.Figures[above].Bytes, b.report.Figures[below].Bytes
		if math.Abs(float64(ours)/float64(fixed)-1) > 0.05 {
			return fmt.Errorf("%s has %d bytes and the real page %d: they aren't the same work", above, fixed, ours)
		}
	}
	for _, g := range append(b.changeGoals(), []compared{
		{goal{ID: "G1", Name: "list page", Floor: 0.60, Target: 0.85}, ceiling, list},
		{goal{ID: "G2", Name: "list page, gzip", Floor: 0.60, Target: 0.85}, ceilingZip, listZip},
		{goal{ID: "G3", Name: "hot list page", Floor: 1.5, Target: 2.5}, ceiling, hot},
		{goal{ID: "G4", Name: "304 against hello", Floor: 0.50, Target: 0.70}, hello, revisit},
	}...) {
		for i, f := range all[g.above] {
			g.Ratios = append(g.Ratios, f.CPU/all[g.below][i].CPU)
		}
		g.Ceiling = fmt.Sprintf("%.0f µs", b.report.Figures[g.above].CPU)
		g.Ours = fmt.Sprintf("%.0f µs", b.report.Figures[g.below].CPU)
		b.report.add(g.goal)
	}
	return nil
}
