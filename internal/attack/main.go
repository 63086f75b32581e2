// Command attack lets sqlmap and wapiti loose on a running demo console, as several
// of its people, and fails where they find what isn't explained here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// explained are findings of the tools that are none, by a part of where they were
// found, and why; docs/security.md says more.
var explained = []struct{ tool, kind, where, why string }{
	{"wapiti", "HTTP Secure Headers", "Strict-Transport-Security", "the demo speaks http; under https it is set"},
	{"wapiti", "HTTP Secure Headers", "X-Frame-Options", "frame-ancestors 'none' says so to every browser of today"},
	{"wapiti", "HTTP Secure Headers", "X-XSS-Protection", "browsers have given it up; the Content-Security-Policy lets no inline script run"},
	{"wapiti", "Secure Flag cookie", "Secure flag is not set", "the demo speaks http; under https it is set"},
	{"wapiti", "Cross Site Request Forgery", "POST /signout", "our gate answers there, so that the tool stays signed in"},
	{"wapiti", "Cross Site Request Forgery", "POST /people/view-as", "our gate answers there, so that the tool can change things"},
}

var versionPattern = regexp.MustCompile(`\d+\.\d+[.\d]*`)

// say prints what is going on.
var say = log.New(os.Stdout, "", 0)

// A finding is what a tool holds against the console.
type finding struct{ tool, kind, where string }

func main() {
	program := flag.String("console", "bin/console", "the program to attack")
	minutes := flag.Duration("time", 10*time.Minute, "how long wapiti may take in all")
	only := flag.String("as", "", "come as this person of the demo alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *program, *only, *minutes)
	stop()
	if err != nil {
		say.Fatal(err)
	}
}

func run(ctx context.Context, program, only string, wapiti time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "attack-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, tool := range []string{"sqlmap", "wapiti"} {
		out, _ := exec.CommandContext(ctx, tool, "--version").CombinedOutput() //nolint:gosec // one of two; who isn't there has no version
		say.Println(tool, versionPattern.FindString(string(out)))
	}
	d, err := startDemo(ctx, program, dir)
	if err != nil {
		return err
	}
	var found []finding
	for _, a := range attackers {
		if only != "" && a.email != only {
			continue
		}
		gate, openErr := d.open(ctx, a.email)
		if openErr != nil {
			return errors.Join(openErr, d.stop())
		}
		for _, t := range a.targets {
			found = append(found, sqlmap(ctx, gate, filepath.Join(dir, "sqlmap"), t)...)
		}
		found = append(found, crawl(ctx, gate, filepath.Join(dir, "wapiti-"+a.email), wapiti/time.Duration(len(attackers)))...)
		found = append(found, gate.close()...)
	}
	if err := d.stop(); err != nil {
		return err
	}
	found = append(found, d.complaints()...)
	if out, err := exec.CommandContext(ctx, program, "history", "verify", "--data-dir", d.dir).CombinedOutput(); err != nil { //nolint:gosec // the program under attack
		found = append(found, finding{"history", "verify", string(out)})
	}
	return report(found)
}

// report prints the findings, and returns an error if one isn't explained.
func report(found []finding) error {
	unexplained := 0
	slices.SortFunc(found, func(a, b finding) int {
		return slices.Compare([]string{a.tool, a.kind, a.where}, []string{b.tool, b.kind, b.where})
	})
	for _, f := range slices.Compact(found) {
		why := "NOT EXPLAINED"
		for _, e := range explained {
			if e.tool == f.tool && e.kind == f.kind && strings.Contains(f.where, e.where) {
				why = e.why
			}
		}
		if why == "NOT EXPLAINED" {
			unexplained++
		}
		say.Printf("%s: %s: %s (%s)\n", f.tool, f.kind, f.where, why)
	}
	if unexplained > 0 {
		return fmt.Errorf("%d findings are not explained", unexplained)
	}
	say.Println("nothing unexplained was found")
	return nil
}
