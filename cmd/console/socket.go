package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// socketFile is where a running console takes subcommands that write.
const socketFile = "console.sock"

// A toolCall is a subcommand and what it needs.
type toolCall struct {
	Command    string
	Email      string
	Name       string
	Roles      []string
	Emergency  bool
	Passphrase string
	Path       string
	Recipients []string
	Factors    bool
}

// A toolResult is what it printed, or why it didn't work.
type toolResult struct {
	Output string
	Error  string
}

// serveSocket takes subcommands from this machine's owner. It returns a function
// that stops it.
func serveSocket(ctx context.Context, path string, c *services, log *slog.Logger) (func() error, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket for subcommands: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call toolCall
		var result toolResult
		if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&call); err != nil {
			result.Error = "the call could not be read"
		} else if out, err := runTool(r.Context(), c, call); err != nil {
			result.Error = err.Error()
		} else {
			result.Output = out
		}
		if err := json.NewEncoder(w).Encode(result); err != nil {
			log.Warn("answer a subcommand", "err", err)
		}
	})}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("socket for subcommands", "err", err)
		}
	}()
	return server.Close, nil
}

// errNoServer means that no console answers on the socket.
var errNoServer = errors.New("no console answers")

// callServer lets a running console carry out a subcommand.
func callServer(ctx context.Context, path string, call toolCall) (string, error) {
	body, err := json.Marshal(call)
	if err != nil {
		return "", err
	}
	client := &http.Client{Timeout: time.Hour, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://console/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoServer, err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	var result toolResult
	if err := json.NewDecoder(resp.Body).Decode(&result); err != nil {
		return "", err
	}
	if result.Error != "" {
		return "", errors.New(result.Error)
	}
	return result.Output, nil
}
