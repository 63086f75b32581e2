package signon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// How a provider is reached.
const (
	answerWithin = 4 * time.Second // one answer of a provider
	mostAnswer   = 1 << 20         // bytes of it
	knownFor     = time.Hour       // before its description is read again
	retryAfter   = 5 * time.Second // before one that didn't answer is asked again
)

// A provider is one of the operator's, and what is known of it.
type provider struct {
	Setting
	redirect string
	client   *http.Client
	now      func() time.Time

	mu    sync.Mutex
	found *found
	asked time.Time // last
	err   error     // of the last time
}

// found is what a provider's description says.
type found struct {
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
	tellsIss bool // answers name the issuer (RFC 9207)
	at       time.Time
}

func newProvider(s Setting, redirect string, now func() time.Time) *provider {
	p := &provider{Setting: s, redirect: redirect, now: now}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: answerWithin, ResponseHeaderTimeout: answerWithin,
		MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}
	p.client = &http.Client{
		Transport: guard{p, transport}, Timeout: answerWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// A guard lets requests through only to the provider's own hosts, and answers only
// up to a size.
type guard struct {
	p    *provider
	next http.RoundTripper
}

var errTooLarge = errors.New("the answer is too large")

// RoundTrip implements [http.RoundTripper].
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.p.reaches(r.URL) {
		return nil, fmt.Errorf("%s isn't one of the provider's hosts", r.URL.Host)
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limited{resp.Body, mostAnswer}
	return resp, nil
}

type limited struct {
	io.ReadCloser
	left int
}

// Read implements [io.Reader]. More than the limit is an error, not an end.
func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	if l.left -= n; l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// find returns what is known of the provider, nil if nothing is, and asks it where
// that is nothing or old. One that doesn't answer isn't asked again at once. With
// changed, it stopped answering because of cause, or answers again.
func (p *provider) find() (f *found, changed bool, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	fresh := p.found != nil && now.Sub(p.found.at) < knownFor
	if !fresh && (p.err == nil || now.Sub(p.asked) >= retryAfter) {
		f, err := p.discover()
		changed = (p.err == nil) != (err == nil)
		if p.asked, p.err = p.now(), err; err == nil {
			p.found = f
		}
	}
	return p.found, changed, p.err // an old description is better than none
}

// algorithms are those that ID tokens may be signed with: all are of key pairs.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// discover reads the provider's description.
func (p *provider) discover() (*found, error) {
	// Keys are fetched later with this context too, so it has no end of its own: the
	// client has.
	ctx := oidc.ClientContext(context.Background(), p.client)
	described, err := oidc.NewProvider(ctx, p.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Keys     string   `json:"jwks_uri"`
		Methods  []string `json:"token_endpoint_auth_methods_supported"`
		TellsIss bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := described.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := described.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, more.Keys} {
		u, err := url.Parse(address)
		if err != nil || !p.reaches(u) {
			return nil, fmt.Errorf("its description names %.200q, which isn't on the issuer's host nor on one of \"hosts\"", address)
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.Secret.Empty() || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &found{
		config: oauth2.Config{ClientID: p.ClientID, ClientSecret: p.Secret.Reveal(), Endpoint: endpoint, RedirectURL: p.redirect, Scopes: p.Scopes},
		// Signatures are checked there, claims in check, which says what is wrong.
		verifier: described.VerifierContext(ctx, &oidc.Config{SupportedSigningAlgs: algorithms, SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true}),
		tellsIss: more.TellsIss, at: p.now(),
	}, nil
}
