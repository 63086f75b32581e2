package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// However many change the key at a time, they take turns, and one key is left that
// opens everything.
func TestRotationsTakeTurns(t *testing.T) {
	d := directory{DataDir: filepath.Join(t.TempDir(), "data")}
	c, err := openServices(d, behaviour{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, change := range []func() (string, error){
				func() (string, error) { return c.rotateKeys(t.Context()) }, func() (string, error) { return c.reseal(t.Context()) },
			} {
				if _, err := change(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := c.store.Close(); err != nil {
		t.Error(err)
	}
	f, err := d.keyFile()
	if err != nil || f.Rotating() || strings.Count(f.Text().Reveal(), "\n") != 2 {
		t.Errorf("old keys are left, or %v", err)
	}
	if c, err = openServices(d, behaviour{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := c.store.Close(); err != nil {
		t.Error(err)
	}
}
