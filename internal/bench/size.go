package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// gates runs the tests of what can be counted without a clock.
func (b *bench) gates(ctx context.Context) error {
	g := goal{ID: "G17", Name: "exact gates", Ceiling: "tests", Floor: 1, Target: 1, Exact: true, Ours: "pass", Ratios: []float64{1}}
	out, err := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^TestGate", "./internal/app", "./internal/store").CombinedOutput()
	if bytes.Contains(out, []byte("no tests to run")) {
		return fmt.Errorf("no gates were found: %s", out)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s", out)
		g.Ours, g.Ratios = "fail", []float64{0}
	}
	b.report.add(g)
	return nil
}

var asset = regexp.MustCompile(`/static/[a-z-]+\.[0-9a-f]{12}\.(?:css|js|svg)`)

// firstPage counts what a browser loads to show the list of auth configs, without
// the font, which is swapped in.
func (b *bench) firstPage(context.Context) error {
	console := b.children[len(b.children)-1]
	cookie, err := signIn(console.url, email)
	if err != nil {
		return err
	}
	h := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}
	plain, err := fetch(console.url+"/projects/"+slug+"/auth-configs", h)
	if err != nil {
		return err
	}
	h.Set("Accept-Encoding", "gzip")
	page, err := fetch(console.url+"/projects/"+slug+"/auth-configs", h)
	if err != nil {
		return err
	}
	total, paths := len(page), slices.Compact(slices.Sorted(slices.Values(asset.FindAllString(string(plain), -1))))
	for _, path := range paths {
		body, err := fetch(console.url+path, h)
		if err != nil {
			return err
		}
		total += len(body)
	}
	requests := 1 + len(paths) // the icon of the tab, too
	exact := func(name, ours string, value, floor, target float64) {
		b.report.add(goal{ID: "G13", Name: name, Ceiling: "–", Ours: ours, Ratios: []float64{value}, Floor: floor, Target: target, AtMost: true, Exact: true})
	}
	exact("first page, kB gzip", fmt.Sprintf("%d bytes", total), float64(total)/1e3, 60, 40)
	exact("first page, requests", strconv.Itoa(requests), float64(requests), 5, 4)
	exact("the page again, kB gzip", fmt.Sprintf("%d bytes", len(page)), float64(len(page))/1e3, 8, 5)
	return nil
}

// lighthousePages has Lighthouse look at every page as on a phone. The worst
// page counts.
func (b *bench) lighthousePages(ctx context.Context) error {
	if !b.lighthouse {
		return nil
	}
	console := b.children[len(b.children)-1]
	cookie, err := signIn(console.url, email)
	if err != nil {
		return err
	}
	list := "/projects/" + slug + "/auth-configs"
	text, err := fetch(console.url+list, http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}})
	if err != nil {
		return err
	}
	one := list + "/" + string(configID.FindSubmatch(text)[1])
	paths := []string{
		"/", list, list + "/new", list + "/new?toolkit=github&scheme=OAUTH2", one, one + "/connections", one + "/history", one + "/requests", one + "/edit",
		one + "/impact?do=disable", one + "/impact?do=delete", "/changes", "/history", "/history/5", "/people", "/policies", "/settings", "/settings/projects",
		"/settings/projects/" + slug, "/account", "/account/sessions",
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join(os.Getenv("E2E_NODE"), "lighthouse.mjs"), console.url}, paths...)...)
	cmd.Env = append(os.Environ(), "COOKIE="+cookie.Name+"="+cookie.Value, "CHROME_PATH="+os.Getenv("E2E_CHROMIUM"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var pages []lighthousePage
	if err := json.Unmarshal(out, &pages); err != nil {
		return err
	}
	b.judgeLighthouse(pages)
	return nil
}

// A lighthousePage is what Lighthouse says of one page.
type lighthousePage struct {
	Path                                      string
	Performance, Accessibility, BestPractices float64
	Failed                                    []string
}

func (b *bench) judgeLighthouse(pages []lighthousePage) {
	worst := pages[0]
	for _, p := range pages {
		if len(p.Failed) > 0 || p.Performance < 95 {
			fmt.Fprintln(os.Stderr, "bench: Lighthouse:", p.Path, "performance", p.Performance, p.Failed)
		}
		worst.Performance = min(worst.Performance, p.Performance)
		worst.Accessibility = min(worst.Accessibility, p.Accessibility)
		worst.BestPractices = min(worst.BestPractices, p.BestPractices)
	}
	add := func(what string, value, floor float64, exact bool) {
		b.report.add(goal{ID: "G18", Name: "Lighthouse " + what + ", worst page", Ceiling: fmt.Sprintf("%d pages", len(pages)), Ours: fmt.Sprint(value), Ratios: []float64{value}, Floor: floor, Target: 100, Exact: exact})
	}
	add("performance", worst.Performance, 95, false)
	add("accessibility", worst.Accessibility, 100, true)
	add("best practices", worst.BestPractices, 100, true)
}

var configID = regexp.MustCompile(`data-id="([^"]+)"`)
