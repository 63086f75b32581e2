// Package outbound reaches receivers that admins name: only those on the public
// internet and those of a list, by connections that are looked at when they are
// made. It follows no redirects, uses no proxy, and reads little of an answer.
package outbound

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
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse/internal/problem"
)

const (
	defaultTimeout = 15 * time.Second
	maxAnswer      = 4 << 10 // bytes of an answer that are read
)

// Rules say who may be reached.
type Rules struct {
	Private []string      // receivers, as host:port in lower case, that may have a private address and go unencrypted
	Closed  bool          // nobody else is reached
	Timeout time.Duration // for everything that goes to and fro; 15 seconds if 0
}

// A Sender reaches receivers. It is safe for concurrent use.
type Sender struct {
	rules  Rules
	client *http.Client
}

// New returns a sender that keeps to rules.
func New(rules Rules) *Sender {
	if rules.Timeout == 0 {
		rules.Timeout = defaultTimeout
	}
	s := &Sender{rules: rules}
	s.client = &http.Client{
		Timeout: rules.Timeout,
		Transport: &http.Transport{
			DialContext: s.Dial, MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// errPrivate is the refusal of an address that is not public.
var errPrivate = errors.New("not a public address")

// Dial connects to host:port. The address is looked at once it is known, so that
// a name can't stand for one thing when it is checked and for another when it is
// used.
func (s *Sender) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: s.rules.Timeout}
	if !s.Named(addr) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || s.rules.Closed || !public(at.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, addr)
}

// Named reports whether a receiver, as host:port, is one of the list.
func (s *Sender) Named(addr string) bool {
	return slices.Contains(s.rules.Private, strings.ToLower(addr))
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

// CheckURL parses the URL of a receiver, or says what is wrong with it.
func (s *Sender) CheckURL(raw string) (*url.URL, string) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case raw == "":
		return nil, "Enter the address."
	case err != nil || u.Host == "" || u.Hostname() == "" || len(raw) > maxURL:
		return nil, "Enter an address such as https://hooks.example.com/…"
	case u.User != nil || u.Fragment != "":
		return nil, "Leave out user names and what follows a #."
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !s.Named(hostPort(u))) {
		return nil, "The address must begin with https://."
	}
	return u, s.checkHost(u.Hostname(), hostPort(u))
}

// CheckAddr cleans host:port of a receiver, or says what is wrong with it. A
// connection that isn't encrypted is for those of the list.
func (s *Sender) CheckAddr(raw string, encrypted bool) (addr, complaint string) {
	host, port, err := net.SplitHostPort(strings.TrimSpace(raw))
	n, portErr := strconv.ParseUint(port, 10, 16)
	if raw == "" {
		return "", "Enter the address."
	}
	if err != nil || host == "" || portErr != nil || n == 0 || len(raw) > maxURL || strings.ContainsAny(host, "/@?# \t") {
		return "", "Enter host and port, such as logs.example.com:6514"
	}
	addr = net.JoinHostPort(strings.ToLower(host), port)
	if !encrypted && !s.Named(addr) {
		return "", "What is not encrypted goes only to receivers that an operator named. Use TLS."
	}
	return addr, s.checkHost(host, addr)
}

func (s *Sender) checkHost(host, addr string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case s.Named(addr):
	case s.rules.Closed:
		return "Nothing leaves this machine: only receivers that its operator named can be added."
	case err == nil && !public(ip) || strings.EqualFold(host, "localhost"):
		return "This address is not on the public internet. An operator can allow it."
	}
	return ""
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// Post posts a body; the header says of what type it is. Failures are problems in words for admins, which hold
// nothing of the address but its host.
func (s *Sender) Post(ctx context.Context, raw string, header http.Header, body []byte) error {
	u, complaint := s.CheckURL(raw)
	if complaint != "" {
		return problem.New(problem.Invalid, "%s", complaint)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return problem.New(problem.Invalid, "The address can't be used.")
	}
	req.Header = header
	req.Header.Set("User-Agent", "Gatehouse")
	resp, err := s.client.Do(req) //nolint:gosec // where to is what CheckURL and Dial are about
	if err != nil {
		return Unreached(u.Hostname(), err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close() // the status says it all
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return problem.New(problem.Unavailable, "The receiver answered %d and wants to lead elsewhere, which is not followed.", resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		return problem.New(problem.Unavailable, "The receiver answered %d.", resp.StatusCode)
	case err != nil:
		return Unreached(u.Hostname(), err)
	}
	return nil
}

// Unreached puts a failed connection into words. The address is taken out of the
// error: whoever has it can post.
func Unreached(host string, err error) error {
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
