package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddress is one below the ports that the system gives to outgoing
// connections: one of those could take the port while a program that listens on it
// is down.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))) //nolint:gosec // any port will do
		if err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}
