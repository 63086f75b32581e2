package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// The README names every setting, and none that there isn't.
func TestReadmeNamesAllSettings(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	known := append(environment(parser.Model.Node), otherSettings...)
	for _, name := range known {
		if name != "CONSOLE_FAILPOINT" && !strings.Contains(string(text), "`"+name+"`") { // of test builds
			t.Errorf("README.md doesn't name %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`\b(CONSOLE|COMPOSIO)_[A-Z_]+`).FindAllString(string(text), -1) {
		if !slices.Contains(known, name) {
			t.Errorf("README.md names %s, which there isn't", name)
		}
	}
}
