// Package signontest is an OpenID Connect provider for tests. It signs in whoever
// comes as the person it is told, and lies as it is told.
package signontest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Client and secret that the provider knows.
const (
	Client = "gatehouse"
	Secret = "a-secret-of-the-tests-4c1b"
)

// A Provider is a provider on a loopback address.
type Provider struct {
	URL string

	mu     sync.Mutex
	key    *rsa.PrivateKey
	kid    string
	lies   Lies
	codes  map[string]grant
	faults map[string]string
	asked  url.Values
	visits map[string]int
	free   chan struct{} // closed at the end, lets go what hangs
}

// A grant is what a code stands for.
type grant struct{ challenge, nonce, redirect string }

// Lies are what the provider says other than it should.
type Lies struct {
	Claims    map[string]any // of the ID token, in place of the true ones; nil leaves one out
	Algorithm string         // of its signature: none, HS256 (with the public key as secret)
	NoToken   bool           // no ID token at all
	Answer    url.Values     // of the authorization endpoint, in place of the true ones; empty leaves one out
	Metadata  map[string]any // of the description
	Reuse     bool           // codes work again
}

// New starts a provider that ends with the test.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{codes: map[string]grant{}, faults: map[string]string{}, visits: map[string]int{}, free: make(chan struct{})}
	p.Rotate()
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": p.describe, "/keys": p.keys, "/authorize": p.authorize, "/token": p.token,
	} {
		mux.HandleFunc(path, p.faulty(path, h))
	}
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		close(p.free)
		ts.Close()
	})
	p.URL = ts.URL
	return p
}

// Lie makes the provider lie from now on.
func (p *Provider) Lie(l Lies) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lies = l
}

// Person makes the provider sign in somebody from now on.
func (p *Provider) Person(claims map[string]any) { p.Lie(Lies{Claims: claims}) }

// Rotate gives the provider another key; the one before is known no more.
func (p *Provider) Rotate() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key, p.kid = key, fmt.Sprintf("key-%d", time.Now().UnixNano())
}

// Fail lets a path of the provider fail: "down" answers 503, "slow" not at all,
// "huge" without end, "elsewhere" with a redirect to another host; "" lets it work.
func (p *Provider) Fail(path, how string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[path] = how
}

// Visits is how often a path was asked for.
func (p *Provider) Visits(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.visits[path]
}

// Asked is what the last browser was sent with.
func (p *Provider) Asked() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.asked)
}

func (p *Provider) faulty(path string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.visits[path]++
		fault := p.faults[path]
		p.mu.Unlock()
		switch fault {
		case "down":
			http.Error(w, "secret detail of the provider", http.StatusServiceUnavailable)
		case "slow":
			select {
			case <-r.Context().Done():
			case <-p.free:
			}
		case "huge":
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"issuer":"`)) // whoever reads may have enough
			for range 4 << 10 {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<10))); err != nil {
					return
				}
			}
		case "elsewhere":
			http.Redirect(w, r, strings.Replace(p.URL, "127.0.0.1", "localhost", 1)+path+"?seen", http.StatusFound)
		default:
			h(w, r)
		}
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked may be gone
}

func (p *Provider) describe(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}, "response_types_supported": []string{"code"},
		"authorization_response_iss_parameter_supported": true,
	}
	maps.Copy(d, p.lies.Metadata)
	answer(w, http.StatusOK, d)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: p.kid, Algorithm: "RS256", Use: "sig"}}})
}

// authorize signs the browser in without a question and sends it back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	p.mu.Lock()
	p.asked = q
	p.codes[code] = grant{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	for name, values := range p.lies.Answer {
		if back.Del(name); len(values) > 0 {
			back[name] = values
		}
	}
	p.mu.Unlock()
	if q.Get("client_id") != Client || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther) //nolint:gosec // that is what a provider does
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, password, basic := r.BasicAuth()
	if !basic {
		id, password = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g, known := p.codes[r.PostFormValue("code")]
	if !p.lies.Reuse {
		delete(p.codes, r.PostFormValue("code"))
	}
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	proved := subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(g.challenge)) == 1
	switch {
	case id != Client || password != Secret:
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case !known || !proved || g.redirect != r.PostFormValue("redirect_uri"):
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "secret detail of the provider"})
	default:
		out := map[string]any{"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 60}
		if !p.lies.NoToken {
			out["id_token"] = p.sign(p.claims(g.nonce))
		}
		answer(w, http.StatusOK, out)
	}
}

func (p *Provider) claims(nonce string) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": p.URL, "sub": "subject-1", "aud": Client, "exp": now + 60, "iat": now, "auth_time": now, "nonce": nonce, "name": "Olga Oidc", "email": "olga@example.com", "email_verified": true}
	for name, value := range p.lies.Claims {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func (p *Provider) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	alg, key := jose.RS256, any(p.key)
	switch p.lies.Algorithm {
	case "none":
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + p.kid + `"}`))
		return header + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	case "HS256":
		der, err := x509.MarshalPKIXPublicKey(p.key.Public())
		if err != nil {
			panic(err)
		}
		alg, key = jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", p.kid))
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}
