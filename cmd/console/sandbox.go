package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"gatehouse/internal/composio/sandbox"
)

type sandboxCommand struct {
	Addr    string   `default:"127.0.0.1:8099" env:"CONSOLE_SANDBOX_ADDR" help:"Address to listen on."`
	Seed    uint64   `default:"1" help:"Seed of the made-up data."`
	Configs int      `default:"0" help:"Auth configs in each project; 0 is a small lifelike set."`
	Quirk   []string `help:"An oddity of the API to show, such as max-limit=50; may be repeated. 'list' names them all."`
	State   string   `help:"File that keeps the state across restarts." type:"path"`
}

// Run serves the sandbox until ctx ends.
func (c sandboxCommand) Run(ctx context.Context, t terminal) error {
	if len(c.Quirk) == 1 && c.Quirk[0] == "list" {
		for _, q := range sandbox.Quirks() {
			if _, err := fmt.Fprintln(t.out, q); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := sandbox.New(sandbox.Options{Seed: c.Seed, Configs: c.Configs, Quirks: c.Quirk, StateFile: c.State})
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if _, err := fmt.Fprintf(t.out, "Composio sandbox on http://%s\n  keys: %s, %s, %s (reads only)\n",
		l.Addr(), sandbox.StagingKey, sandbox.ProductionKey, sandbox.ReadOnlyKey); err != nil {
		return err
	}
	return serveSandbox(ctx, s, l)
}

// serveSandbox serves until ctx ends, then lets go of requests that hang.
func serveSandbox(ctx context.Context, s *sandbox.Server, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		err := s.Close() // first, or hanging requests hold the server up
		stopped <- errors.Join(err, server.Close())
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
