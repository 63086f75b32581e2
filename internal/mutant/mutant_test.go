// Package mutant plants bugs and requires that the tests catch them: a test that
// never fails proves nothing. The product has no trace of it: the bugs are an
// overlay of the tests' build.
package mutant

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

var only = flag.String("only", "", "plant only bugs whose name contains this")

// modelArgs keeps the property test short where it has to catch something.
const modelArgs = "-model.steps=2000"

// What the bugs change is still there.
func TestPlaces(t *testing.T) {
	for _, m := range mutants {
		if _, err := m.planted(".."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("planted bugs are left out by -short")
	}
	TestPlaces(t)
	mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !strings.Contains(m.name, *only) })
	begun := time.Now()
	g, err := plant(t)
	if err != nil {
		t.Fatal(err)
	}
	built := time.Since(begun)
	g.sound(t)
	results := make([]string, len(mutants))
	each(len(mutants), func(i int) { results[i] = g.try(t, i) })
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for i, m := range mutants {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", m.name, m.test, results[i]) // to memory
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
	t.Logf("%d planted bugs in %s, %s of it for building\n%s", len(mutants), time.Since(begun).Round(time.Second), built.Round(time.Second), table.String())
}

// each does something for each of n, two at a time.
func each(n int, do func(i int)) {
	work := make(chan int)
	var wg sync.WaitGroup
	for range min(2, runtime.NumCPU()) {
		wg.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

// A garden has the test programs of all packages, with the bugs in them.
type garden struct {
	root  string
	dir   string
	apart map[int]string // directories of programs with one bug that can't sleep
}

// plant builds the test programs: one for each package with all bugs asleep, and
// one for each bug that can't sleep.
func plant(t *testing.T) (*garden, error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	g := &garden{root: root, dir: t.TempDir(), apart: map[int]string{}}
	w := newWeave()
	for i, m := range mutants {
		planted, err := m.planted(root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		sleeps, err := w.add(i+1, planted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		if sleeps {
			continue
		}
		g.apart[i] = t.TempDir()
		replace := map[string]string{}
		for file, text := range planted {
			replace[file] = filepath.Join(g.apart[i], fmt.Sprintf("%d.go", len(replace)))
			if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
				return nil, err
			}
		}
		over, err := overlay(g.apart[i], replace)
		if err == nil {
			err = build(t, g.apart[i], over, m.pkg)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	over, err := w.write(g.dir)
	if err != nil {
		return nil, err
	}
	return g, build(t, g.dir, over, packages(mutants)...)
}

// build puts the test programs of packages into a directory.
func build(t *testing.T, dir, overlay string, pkgs ...string) error {
	args := []string{"test", "-c", "-o", dir + "/", "-overlay=" + overlay, "-vet=off", "-ldflags=-s -w"}
	for _, p := range pkgs {
		args = append(args, "gatehouse/internal/"+p)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%.4000s", pkgs, err, out)
	}
	return nil
}

// run runs tests with a bug awake, or none for -1, and returns whether they ran
// and passed, and what they printed.
func (g *garden) run(t *testing.T, pkg, tests string, bug int) (ran, passed bool, out string) {
	t.Helper()
	dir := cmp.Or(g.apart[bug], g.dir)
	args := []string{"-test.run", tests, "-test.v", "-test.failfast", "-test.timeout=200s"}
	if strings.Contains(tests, "TestModel") {
		args = append(args, modelArgs)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, filepath.Base(pkg)+".test"), args...)
	cmd.Dir = filepath.Join(g.root, pkg)
	cmd.Env = append(os.Environ(), planting+"="+strconv.Itoa(bug+1))
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	out = b.String()
	return strings.Contains(out, "=== RUN "), err == nil, out
}

// sound requires that every test that is to catch something passes while all bugs
// are asleep.
func (g *garden) sound(t *testing.T) {
	t.Helper()
	pkgs := packages(mutants)
	each(len(pkgs), func(i int) {
		var names []string
		for _, m := range mutants {
			name, _, _ := strings.Cut(m.test, "/")
			if m.pkg == pkgs[i] && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		_, passed, out := g.run(t, pkgs[i], "^("+strings.Join(names, "|")+")$", -1)
		if !passed {
			t.Errorf("%s fails without a planted bug:\n%.4000s", pkgs[i], out)
			return
		}
		for _, n := range names {
			if !strings.Contains(out, "--- PASS: "+n+" ") {
				t.Errorf("%s has no test %s", pkgs[i], n)
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// pattern is a -run pattern for exactly this test.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i := range parts {
		parts[i] = "^" + parts[i] + "$"
	}
	return strings.Join(parts, "/")
}

// try wakes a bug and says what became of it.
func (g *garden) try(t *testing.T, bug int) string {
	m := mutants[bug]
	name, _, _ := strings.Cut(m.test, "/")
	ran, passed, out := g.run(t, m.pkg, pattern(m.test), bug)
	switch {
	case !ran:
		t.Errorf("%s: the test did not run:\n%.2000s", m.name, out)
		return "did not run"
	case passed:
		t.Errorf("%s: %s did not notice", m.name, m.test)
		return "SURVIVED"
	case !strings.Contains(out, "--- FAIL: "+name+" "):
		t.Errorf("%s: something else than %s failed:\n%.2000s", m.name, m.test, out)
		return "something else failed"
	}
	return "caught"
}
