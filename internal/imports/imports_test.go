// Package imports holds the test that keeps packages within their walls.
package imports

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
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
	"internal/access":                       {"audit", "problem", "secret"},
	"internal/composio":                     {"secret"},
	"internal/composio/sandbox":             {},
	"internal/composio/sandbox/sandboxtest": {"composio", "composio/sandbox"},
	"internal/mirror":                       {"access", "audit", "composio", "problem", "secret"},
	"internal/change":                       {"access", "audit", "composio", "failpoint", "mirror", "problem", "secret"},
	"internal/store":                        {"access", "audit", "change", "failpoint", "mirror", "problem", "secret", "migrations"},
	"internal/store/storetest":              {"access", "audit", "change", "mirror", "problem", "secret", "store"},
	"internal/app":                          {"access", "audit", "change", "mirror", "problem", "secret", "store", "web/static", "web/templates"},
	"internal/imports":                      {},
	"internal/e2e":                          {},
	"internal/e2e/driverversion":            {},
	"internal/rig":                          {"access", "audit", "change", "composio/sandbox", "composio/sandbox/sandboxtest", "mirror", "secret", "store"},
	"internal/storm":                        {},
	"internal/bench":                        {"*"},
}

// never lists what a package may not import from elsewhere.
var never = map[string][]string{
	"internal/app":    {"database/sql", "os"},
	"internal/change": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/mirror": {"github.com/labstack/echo/v4", "database/sql"},
	"internal/access": {"github.com/labstack/echo/v4", "database/sql"},
	"web/templates":   {"net/http", "database/sql"},
}

func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Module", "gatehouse/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		check(t, strings.TrimPrefix(p.ImportPath, "gatehouse/"), p.Imports)
	}
}

func check(t *testing.T, name string, imports []string) {
	allowed, known := may[name]
	if !known {
		t.Errorf("%s is a new package: give it a row here and in docs/architecture.md", name)
		return
	}
	for _, i := range imports {
		ours, mine := strings.CutPrefix(i, "gatehouse/")
		if mine && !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) && !slices.Contains(allowed, strings.TrimPrefix(ours, "internal/")) {
			t.Errorf("%s may not import %s", name, ours)
		}
		if slices.Contains(never[name], i) {
			t.Errorf("%s may not import %s", name, i)
		}
	}
}
