package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// answered counts requests, where somebody reads metrics.
func (c *services) answered() func(method, route string, status int, took time.Duration) {
	if c.metrics == nil {
		return nil
	}
	return c.metrics.Answered
}

// serveMetrics answers on a listener of its own, if there is to be one. It returns
// a function that stops it.
func (c *services) serveMetrics(ctx context.Context, addr string) (func() error, error) {
	if c.metrics == nil {
		return func() error { return nil }, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: c.metrics.Handler(c.health, c.log), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("serve metrics", "err", err)
		}
	}()
	return server.Close, nil
}
