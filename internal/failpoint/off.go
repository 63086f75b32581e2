//go:build !failpoint

// Package failpoint names the places where a test build can be made to die or
// to fail. In every other build it does nothing.
package failpoint

// Hit passes a point.
func Hit(string) error { return nil }
