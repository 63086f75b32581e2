package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/internal/problem"
)

const (
	postTimeout = 15 * time.Second
	maxAnswer   = 4 << 10 // bytes of an answer that are read
)

// A poster posts to receivers on the public internet, and to those of a list that
// may be private. It follows no redirects and uses no proxy.
type poster struct {
	private []string // host:port
	closed  bool     // nobody else is posted to
	client  *http.Client
}

func newPoster(s Settings) *poster {
	p := &poster{private: s.Private, closed: s.Closed}
	p.client = &http.Client{
		Timeout: postTimeout,
		Transport: &http.Transport{
			DialContext: p.dial, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 10 * time.Second,
			MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// errPrivate is the refusal of an address that is not public.
var errPrivate = errors.New("not a public address")

// dial connects. The address is looked at once it is known, so that a name can't
// stand for one thing when it is checked and for another when it is used.
func (p *poster) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if !slices.Contains(p.private, strings.ToLower(addr)) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || p.closed || !public(at.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, addr)
}

// special are the networks that are not the public internet, though Go's own
// methods don't say so (IANA's special-purpose registries).
var special = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

// unicast6 is all that is handed out of IPv6.
var unicast6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// public reports whether an address belongs to the public internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && a.Zone() == "" && (a.Is4() || unicast6.Contains(a)) &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

const maxURL = 2000 // characters

// checkURL parses the address of a receiver, or says what is wrong with it.
func (p *poster) checkURL(raw string) (*url.URL, string) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case raw == "":
		return nil, "Enter the address."
	case err != nil || u.Host == "" || u.Hostname() == "" || len(raw) > maxURL:
		return nil, "Enter an address such as https://hooks.example.com/…"
	case u.User != nil || u.Fragment != "":
		return nil, "Leave out user names and what follows a #."
	}
	listed := slices.Contains(p.private, hostPort(u))
	ip, err := netip.ParseAddr(u.Hostname())
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !listed):
		return nil, "The address must begin with https://."
	case !listed && p.closed:
		return nil, "Nothing leaves this machine: only receivers that its operator named can be added."
	case !listed && (err == nil && !public(ip) || strings.EqualFold(u.Hostname(), "localhost")):
		return nil, "This address is not on the public internet. An operator can allow it."
	}
	return u, ""
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// send posts a body. Failures are problems in words for admins, which hold
// nothing of the address but its host.
func (p *poster) send(ctx context.Context, raw string, header http.Header, body []byte) error {
	u, complaint := p.checkURL(raw)
	if complaint != "" {
		return problem.New(problem.Invalid, "%s", complaint)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return problem.New(problem.Invalid, "The address can't be used.")
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Gatehouse")
	resp, err := p.client.Do(req) //nolint:gosec // where to is what checkURL and dial are about
	if err != nil {
		return unreached(u.Hostname(), err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close() // the status says it all
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return problem.New(problem.Unavailable, "The receiver answered %d and wants to lead elsewhere, which is not followed.", resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		return problem.New(problem.Unavailable, "The receiver answered %d.", resp.StatusCode)
	case err != nil:
		return unreached(u.Hostname(), err)
	}
	return nil
}

// unreached puts a failed connection into words. The address is taken out of the
// error: whoever has it can post.
func unreached(host string, err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		err = with.Err
	}
	err = fmt.Errorf("%s: %w", host, err)
	var timeout net.Error
	switch {
	case errors.Is(err, errPrivate):
		return problem.New(problem.Invalid, "This address is not on the public internet. An operator can allow it.").Because(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return problem.New(problem.Unavailable, "The receiver did not answer in time.").Because(err)
	}
	return problem.New(problem.Unavailable, "The receiver can't be reached.").Because(err)
}
