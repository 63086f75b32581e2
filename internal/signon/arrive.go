package signon

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"
	"regexp"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
)

// An Arrival is somebody who is back from a provider, which vouches for them.
type Arrival struct {
	Trip
	access.Arrival
}

// A refusal is an answer of a provider's that isn't believed. It says which check
// it didn't pass, for history.
type refusal struct {
	check string
	words *problem.Error
}

func (r *refusal) Error() string { return "refused (" + r.check + "): " + r.words.Message }
func (r *refusal) Unwrap() error { return r.words }

func refuse(check string, words *problem.Error, cause error) error {
	if cause != nil {
		words = words.Because(cause)
	}
	return &refusal{check, words}
}

// Check names the check that an error is about, or "" if it is about none.
func Check(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.check
	}
	return ""
}

// exchangeWithin is how long the provider may take to say who came.
const exchangeWithin = 8 * time.Second

// Arrive checks what a browser brings back from a provider: that it left from
// here, and what the provider says about who it is. Whoever uses the answer must
// take its Ticket once.
func (s *Service) Arrive(ctx context.Context, id, cookie string, query url.Values) (Arrival, error) {
	p, err := s.provider(id)
	if err != nil {
		return Arrival{}, err
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(query[name]) > 1 {
			return Arrival{}, p.unbelieved("repeated", nil)
		}
	}
	t, ok := openTicket(s.keys, id, cookie, s.now())
	if !ok || subtle.ConstantTimeCompare([]byte(t.State), []byte(query.Get("state"))) != 1 {
		return Arrival{}, refuse("state", problem.New(problem.Invalid,
			"This browser didn't begin this sign-in, or it began it more than 10 minutes ago. Nothing was changed. Begin again from the sign-in page."), nil)
	}
	f, err := s.known(ctx, p)
	if err != nil {
		return Arrival{}, err
	}
	if iss := query.Get("iss"); iss != p.Issuer && (f.tellsIss || query.Has("iss")) {
		return Arrival{}, p.unbelieved("issuer_parameter", nil)
	}
	if query.Has("error") {
		return Arrival{}, p.declined(query.Get("error"))
	}
	token, err := p.exchange(ctx, f, query.Get("code"), t.Verifier)
	if err != nil {
		return Arrival{}, err
	}
	now := s.now()
	c, err := p.verify(ctx, f, token, t, now)
	if err != nil {
		return Arrival{}, err
	}
	return Arrival{t.Trip, c.arrival(p, t, now)}, nil
}

// unbelieved is what readers learn of an answer that did not pass a check.
func (p *provider) unbelieved(check string, cause error) error {
	return refuse(check, problem.New(problem.Invalid,
		"What %s says about you did not pass our checks, so you are not signed in. Nothing was changed. Begin again; if it stays so, tell your operator the request id below.", p.Name), cause)
}

var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// declined is what readers learn when the provider sends them back without a code.
func (p *provider) declined(code string) error {
	if !errorCode.MatchString(code) {
		code = "unreadable"
	}
	words := problem.New(problem.Invalid, "%s did not sign you in (%s). Nothing was changed. Begin again, or ask who looks after it at your company.", p.Name, code)
	switch code {
	case "access_denied":
		words = problem.New(problem.Invalid, "%s says that you, or it, declined. Nothing was changed. Begin again, or ask who looks after it at your company.", p.Name)
	case "temporarily_unavailable", "server_error":
		words = problem.New(problem.Unavailable, "%s is in trouble and did not sign you in. Nothing was changed. Try again in a little while.", p.Name)
	}
	return refuse("declined", words, nil)
}

// exchange trades the code for the provider's tokens.
func (p *provider) exchange(ctx context.Context, f *found, code, verifier string) (*oauth2.Token, error) {
	if code == "" {
		return nil, p.unbelieved("code", nil)
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), exchangeWithin)
	defer cancel()
	token, err := f.config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var said *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &said) && said.Response.StatusCode < 500 && said.ErrorCode != "":
		if !errorCode.MatchString(said.ErrorCode) {
			said.ErrorCode = "unreadable"
		}
		return nil, p.unbelieved("code", errors.New("the token endpoint says "+said.ErrorCode))
	case said != nil:
		return nil, p.silent(errors.New("the token endpoint answers " + said.Response.Status)) // its words may be anything
	}
	return nil, p.silent(err)
}
