package app

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/composio/sandbox"
)

// quicker is by how much the times of a server are cut for a test.
const quicker = 20

// slowSite serves a site as the program does, only that its patience is shorter.
func slowSite(t *testing.T) (address string) {
	t.Helper()
	s := newSite(t, sandbox.Options{})
	h, err := s.server.wrap(s.server.echo)
	if err != nil {
		t.Fatal(err)
	}
	server := HTTPServer(h, slog.New(slog.NewTextHandler(s.Log, nil)))
	if server.ReadHeaderTimeout > 10*time.Second || server.ReadTimeout > time.Minute || server.WriteTimeout > 2*time.Minute || server.IdleTimeout > 5*time.Minute || server.MaxHeaderBytes > 64<<10 {
		t.Errorf("the server waits long: %+v", server)
	}
	server.ReadHeaderTimeout /= quicker
	server.ReadTimeout /= quicker
	server.WriteTimeout /= quicker
	server.IdleTimeout /= quicker
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// Clients that send or read slowly, hundreds of them, lose their connections, and
// keep nobody from being answered.
func TestSlowClients(t *testing.T) {
	address := slowSite(t)
	css := strings.Repeat("GET /signin HTTP/1.1\r\nHost: "+address+"\r\n\r\n", 3000)
	kinds := map[string]string{
		"nothing":                   "",
		"half a line":               "GET /sign",
		"headers without end":       "GET /signin HTTP/1.1\r\nHost: " + address + "\r\nX-A: b\r\n",
		"a body that doesn't come":  "POST /signin HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\ncsrf=",
		"a chunk without end":       "POST /signin HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\ncsrf=",
		"an idle connection":        "GET /healthz HTTP/1.1\r\nHost: " + address + "\r\n\r\n",
		"answers that nobody reads": css,
	}
	before := runtime.NumGoroutine()
	var clients sync.WaitGroup
	for kind, sends := range kinds {
		for range 60 {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			clients.Go(func() {
				defer func() { _ = c.Close() }() // it is over
				if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
					t.Error(err)
				}
				if _, err := io.WriteString(c, sends); isTimeout(err) { // it fails where the server had enough
					t.Errorf("%s: the server still listens", kind)
				}
				if kind == "answers that nobody reads" {
					return
				}
				if _, err := io.Copy(io.Discard, c); isTimeout(err) {
					t.Errorf("%s: the connection is still there", kind)
				}
			})
		}
	}
	for range 50 {
		resp, err := (&http.Client{Timeout: patience}).Get("http://" + address + "/signin") //nolint:noctx // it has a time-out
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%d %v", resp.StatusCode, err)
		}
	}
	clients.Wait()
	http.DefaultClient.CloseIdleConnections()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before+5; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // as it comes from the connection
	return ok && e.Timeout()
}

// What isn't HTTP at all is refused as such, and what is too large before it is read.
func TestBrokenRequests(t *testing.T) {
	address := slowSite(t)
	for what, want := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":                                                                                                                        "400", // without a host
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03":                                                                                                  "400",
		"GET /%zz HTTP/1.1\r\nHost: " + address + "\r\n\r\n":                                                                                            "400",
		"GET / HTTP/1.1\r\nHost: " + address + "\r\nHost: evil.example\r\n\r\n":                                                                         "400",
		"GET / HTTP/1.1\r\nHost: " + address + "\r\nX: " + strings.Repeat("x", 80<<10):                                                                  "431",
		"POST / HTTP/1.1\r\nHost: " + address + "\r\nContent-Length: -1\r\n\r\n":                                                                        "400",
		"POST /signin HTTP/1.1\r\nHost: " + address + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n":                                              "400",
		"POST /signin HTTP/1.1\r\nHost: " + address + "\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nzz\r\n": "400",
		"POST /signin HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300_000):                            "413",
		"POST /signin HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\x1f\x8b\x00\x00": "40",
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Error(err)
		}
		go func() { _, _ = io.WriteString(c, what) }() // it fails where the server had enough
		line := make([]byte, len("HTTP/1.1 400"))
		if _, err := io.ReadFull(c, line); err != nil || !strings.HasPrefix(string(line), "HTTP/1.1 "+want) {
			t.Errorf("%.60q is answered %q, %v, want %s", what, line, err, want)
		}
		_ = c.Close() // it is over
	}
}
