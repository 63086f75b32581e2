package mutant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// planting names the environment variable that says which bug is there.
const planting = "GATEHOUSE_PLANTED"

// A weave is the sources with many bugs in them, each asleep until the environment
// names it: so they share one build.
type weave struct {
	funcs map[string]map[int][]sleeper // by file and number of the function
}

// A sleeper is a function's body with a bug in it.
type sleeper struct {
	mutant int
	body   string
}

func newWeave() *weave {
	return &weave{funcs: map[string]map[int][]sleeper{}}
}

// A body is what a function does, in a file's text.
type body struct {
	from, to int // between the braces
	gives    bool
	labels   bool
}

func bodies(text string) ([]body, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []body
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		b := body{from: files.Position(f.Body.Lbrace).Offset + 1, to: files.Position(f.Body.Rbrace).Offset, gives: f.Type.Results != nil}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			_, label := n.(*ast.LabeledStmt)
			b.labels = b.labels || label
			return true
		})
		all = append(all, b)
	}
	return all, nil
}

// outside is a text without what its functions do.
func outside(text string, all []body) string {
	var b strings.Builder
	at := 0
	for _, one := range all {
		b.WriteString(text[at:one.from])
		at = one.to
	}
	return b.String() + text[at:]
}

// add puts a bug to sleep in the sources, and returns whether that can be done:
// what lies outside of functions can't sleep.
func (w *weave) add(number int, planted map[string]string) (bool, error) {
	type place struct {
		file string
		fn   int
	}
	found := map[place]string{}
	for file, text := range planted {
		original, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		before, err := bodies(string(original))
		if err != nil {
			return false, err
		}
		after, err := bodies(text)
		if err != nil {
			return false, err
		}
		if outside(string(original), before) != outside(text, after) {
			return false, nil
		}
		for i, b := range after {
			does := text[b.from:b.to]
			switch {
			case does == string(original[before[i].from:before[i].to]):
				continue
			case b.labels:
				return false, nil
			case !b.gives:
				does += "\nreturn\n"
			}
			found[place{file, i}] = does
		}
	}
	for at, does := range found {
		if w.funcs[at.file] == nil {
			w.funcs[at.file] = map[int][]sleeper{}
		}
		w.funcs[at.file][at.fn] = append(w.funcs[at.file][at.fn], sleeper{number, does})
	}
	return true, nil
}

// write puts the sources with everything that sleeps in them into a directory, and
// returns the overlay that names them.
func (w *weave) write(dir string) (string, error) {
	replace := map[string]string{}
	keep := func(file, text string) error {
		if replace[file] == "" {
			replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		}
		return os.WriteFile(replace[file], []byte(text), 0o600)
	}
	for file, funcs := range w.funcs {
		original, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		text := string(original)
		all, err := bodies(text)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		at := 0
		for i, one := range all {
			b.WriteString(text[at:one.from])
			at = one.from
			for _, s := range funcs[i] {
				fmt.Fprintf(&b, "\nif wokenBug == %d {%s\n}\n", s.mutant, s.body)
			}
		}
		b.WriteString(text[at:])
		if err := keep(file, b.String()); err != nil {
			return "", err
		}
		const awake = "package %s\n\nimport (\n\t\"os\"\n\t\"strconv\"\n)\n\nvar wokenBug = func() int { n, _ := strconv.Atoi(os.Getenv(%q)); return n }()\n"
		pkg := filepath.Dir(file)
		if err := keep(filepath.Join(pkg, "planted.go"), fmt.Sprintf(awake, filepath.Base(pkg), planting)); err != nil {
			return "", err
		}
	}
	return overlay(dir, replace)
}

// overlay writes a file that has the Go command read others instead of some.
func overlay(dir string, replace map[string]string) (string, error) {
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, raw, 0o600)
}

// planted is what a mutant makes of the files that it changes.
func (m mutant) planted(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.edits {
		file := filepath.Join(root, e.file)
		text := out[file]
		if text == "" {
			raw, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("the text to replace occurs %d times in %s: %s", n, e.file, e.old)
		}
		out[file] = strings.Replace(text, e.old, e.new, 1)
	}
	return out, nil
}

// packages are those of the tests, sorted.
func packages(all []mutant) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.pkg)
	}
	slices.SortFunc(out, cmp.Compare)
	return slices.Compact(out)
}
