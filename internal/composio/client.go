// Package composio is a client for the part of Composio's v3 HTTP API that
// deals with auth configs.
//
// Reads are repeated on 429 and 5xx; writes are sent exactly once, over a
// connection of their own, and an error tells whether the write certainly had
// no effect ([Definite]). Responses are decoded by an allow-list: credentials
// that the API returns, masked or not, never leave this package.
package composio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"gatehouse/internal/secret"
)

const (
	// DefaultBaseURL is Composio's production backend.
	DefaultBaseURL = "https://backend.composio.dev"
	// DefaultVersion is the path version that all current official clients use.
	DefaultVersion = "v3.1"
	// DefaultTimeout bounds one attempt of one call.
	DefaultTimeout = 30 * time.Second

	maxResponse = 16 << 20 // bytes of a response body that are read
	maxAttempts = 4        // of one read
)

// A Client talks to one Composio project, whose key it holds. It is safe for
// concurrent use.
type Client struct {
	AuthConfigs       *AuthConfigsService
	Toolkits          *ToolkitsService
	Tools             *ToolsService
	ConnectedAccounts *ConnectedAccountsService

	base    *url.URL // with the path version
	key     secret.Value
	timeout time.Duration
	budget  *rate.Limiter
	reads   *http.Client
	writes  *http.Client
}

// An Option configures a [Client].
type Option func(*options)

type options struct {
	version string
	timeout time.Duration
	perMin  int
}

// WithVersion sets the path version, "v3" or "v3.1".
func WithVersion(v string) Option { return func(o *options) { o.version = v } }

// WithTimeout bounds each attempt of each call.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithReadBudget sets how many reads a minute the client allows itself; more
// have to wait; 1,000 if this isn't given. Zero means no limit.
func WithReadBudget(perMinute int) Option { return func(o *options) { o.perMin = perMinute } }

// New returns a client for the project that key belongs to. The base URL must
// be https, or http to a loopback address, and have no path.
func New(baseURL string, key secret.Value, opts ...Option) (*Client, error) {
	o := options{version: DefaultVersion, timeout: DefaultTimeout, perMin: 1000}
	for _, opt := range opts {
		opt(&o)
	}
	base, err := CheckBaseURL(baseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:    base.JoinPath("api", o.version),
		key:     key,
		timeout: o.timeout,
		budget:  rate.NewLimiter(rate.Inf, 0),
		reads:   httpClient(&http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}),
		writes:  httpClient(writeTransport()),
	}
	if o.perMin > 0 {
		c.budget = rate.NewLimiter(rate.Limit(float64(o.perMin)/60), max(1, o.perMin/5))
	}
	c.AuthConfigs = &AuthConfigsService{c}
	c.Toolkits = &ToolkitsService{c}
	c.Tools = &ToolsService{c}
	c.ConnectedAccounts = &ConnectedAccountsService{c}
	return c, nil
}

// CheckBaseURL parses the address of a Composio backend. Plain http is accepted
// for loopback hosts only, since every request carries the API key.
func CheckBaseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, errors.New("base URL must look like https://backend.composio.dev")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("base URL must have no path; the client adds /api/v3.1 itself")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
	}
	return nil, errors.New("base URL must be https; plain http only for a loopback address")
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// httpClient never follows redirects: Go would carry the key and the body to
// another host.
func httpClient(t *http.Transport) *http.Client {
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 10 * time.Second
	t.Proxy = http.ProxyFromEnvironment
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// writeTransport never repeats a request by itself: one connection per write
// (Go repeats requests when a kept connection turns out dead) and HTTP/1.1 only
// (over HTTP/2 it repeats after some errors).
func writeTransport() *http.Transport {
	t := &http.Transport{DisableKeepAlives: true, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(true)
	return t
}

// Close drops idle connections.
func (c *Client) Close() {
	c.reads.CloseIdleConnections()
	c.writes.CloseIdleConnections()
}

// A call is one request to be made.
type call struct {
	method string
	path   []string // below /api/v3.1, unescaped
	query  url.Values
	body   any // marshalled unless nil
}

// write sends a call once. Any error other than a [Definite] one leaves open
// whether the remote carried it out.
func (c *Client) write(ctx context.Context, r call, out any) error {
	return c.attempt(ctx, c.writes, r, out)
}

// attempt sends a call once and decodes a 2xx answer into out, unless out is nil.
func (c *Client) attempt(ctx context.Context, hc *http.Client, r call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	sent := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent = true },
	})
	req, err := c.request(ctx, r)
	if err != nil {
		return &TransportError{Err: err}
	}
	resp, err := hc.Do(req)
	if err != nil {
		return &TransportError{Sent: sent, Err: harmless(err)}
	}
	defer func() { _ = resp.Body.Close() }() // what was needed has been read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return &TransportError{Sent: true, Err: harmless(err)}
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.scrub(decodeError(resp, data), r.body)
	}
	if err := decode(data, out); err != nil {
		return &TransportError{Sent: true, Err: fmt.Errorf("%s %s answered %d with a body that can't be read",
			r.method, strings.Join(r.path, "/"), resp.StatusCode)} // err may quote it
	}
	return nil
}

func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	u := *c.base
	for _, p := range r.path {
		if p == "" || p == "." || p == ".." {
			return nil, fmt.Errorf("path segment %q is not allowed", p)
		}
		u = *u.JoinPath(url.PathEscape(p))
	}
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		b, err := marshalBody(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gatehouse")
	req.Header.Set("X-Request-Id", requestID(ctx))
	req.Header.Set("X-Api-Key", c.key.Reveal())
	return req, nil
}

// decode reads an answer. An empty body passes where nothing is expected back.
func decode(data []byte, out any) error {
	if out == nil {
		if len(bytes.TrimSpace(data)) == 0 || json.Valid(data) {
			return nil
		}
		return errors.New("not JSON")
	}
	if err := json.Unmarshal(data, out); err != nil {
		return err
	}
	clean(out)
	return nil
}
