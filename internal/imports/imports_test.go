// Package imports holds the test that keeps packages within their walls.
package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// may lists which of our packages each package may import. A package that isn't
// named here may not exist; tests may import more.
var may = map[string][]string{
	"cmd/console":                           {"*"},
	"migrations":                            {},
	"web/static":                            {},
	"web/templates":                         {"web/static"},
	"internal/problem":                      {},
	"internal/secret":                       {},
	"internal/audit":                        {},
	"internal/failpoint":                    {},
	"internal/bell":                         {},
	"internal/query":                        {},
	"internal/access":                       {"audit", "problem", "secret"},
	"internal/composio":                     {"secret"},
	"internal/composio/sandbox":             {},
	"internal/composio/sandbox/sandboxtest": {"composio", "composio/sandbox"},
	"internal/mirror":                       {"access", "audit", "bell", "composio", "problem", "query", "secret"},
	"internal/change":                       {"access", "audit", "composio", "failpoint", "mirror", "problem", "secret"},
	"internal/notify":                       {"access", "audit", "change", "mirror", "outbound", "problem", "query", "secret"},
	"internal/archive":                      {"audit", "problem", "store", "docs"},
	"internal/evidence":                     {"access", "audit", "change", "problem", "review", "secret", "store", "witness", "docs"},
	"docs":                                  {},
	"internal/review":                       {"access", "audit", "problem", "secret"},
	"internal/store":                        {"access", "audit", "bell", "change", "failpoint", "mirror", "notify", "problem", "query", "review", "secret", "sink", "migrations"},
	"internal/store/storetest":              {"access", "audit", "change", "mirror", "notify", "problem", "query", "review", "secret", "sink", "store"},
	"internal/api":                          {"access", "audit", "change", "mirror", "problem", "query", "secret", "store"},
	"internal/app":                          {"access", "api", "archive", "audit", "change", "evidence", "health", "mirror", "notify", "problem", "query", "review", "scim", "secret", "signon", "sink", "store", "witness", "web/static", "web/templates"},
	"internal/signon":                       {"access", "problem", "secret"},
	"internal/scim":                         {"access", "problem"},
	"internal/signon/signontest":            {},
	"internal/witness":                      {"archive", "audit", "secret", "store"},
	"internal/outbound":                     {"problem", "secret"},
	"internal/sink":                         {"access", "audit", "outbound", "problem", "secret"},
	"internal/backup":                       {"audit", "secret", "store", "witness"},
	"internal/health":                       {"archive", "change", "mirror", "notify", "sink", "store", "witness"},
	"internal/imports":                      {},
	"internal/e2e":                          {},
	"internal/e2e/driverversion":            {},
	"internal/rig":                          {"access", "archive", "audit", "change", "composio/sandbox", "composio/sandbox/sandboxtest", "mirror", "secret", "store", "witness"},
	"internal/storm":                        {},
	"internal/bench":                        {"*"},
	"internal/bench/bare":                   {},
	"internal/attack":                       {},
}

// never lists what a package may not import from elsewhere.
var never = map[string][]string{
	"internal/app":    {"database/sql", "os"},
	"internal/api":    {"database/sql", "os"},
	"internal/change": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/mirror": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/access": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/scim":   {"database/sql", "os"},
	"internal/signon": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/notify": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/sink":   {"github.com/labstack/echo/v4", "database/sql"},
	"web/templates":   {"net/http", "database/sql"},
}

func TestImports(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "node_modules" || name == "driver" || path != root && strings.HasPrefix(name, ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		check(t, filepath.ToSlash(dir), file.Imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, dir string, imports []*ast.ImportSpec) {
	allowed, known := may[dir]
	if !known {
		t.Fatalf("%s is a new package: give it a row here and in docs/architecture.md", dir)
	}
	for _, i := range imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		ours, mine := strings.CutPrefix(path, "gatehouse/")
		if mine && !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) && !slices.Contains(allowed, strings.TrimPrefix(ours, "internal/")) {
			t.Errorf("%s may not import %s", dir, ours)
		}
		if slices.Contains(never[dir], path) {
			t.Errorf("%s may not import %s", dir, path)
		}
	}
}
