package signon

import (
	"context"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Service sends people to providers and takes them back. It is safe for
// concurrent use.
type Service struct {
	providers []*provider
	keys      *secret.Keyring
	now       func() time.Time
	tell      func(ctx context.Context, id string, cause error)
}

// Path is where people come back from a provider, under the public address.
func Path(id string) string { return "/signin/oidc/" + id + "/callback" }

// NewService returns a service for some providers, which may be none. People come
// back to the public address. Tell is called when a provider stops answering, with
// the cause, and when it answers again, without one.
func NewService(settings []Setting, keys *secret.Keyring, public string, now func() time.Time, tell func(ctx context.Context, id string, cause error)) *Service {
	s := &Service{keys: keys, now: now, tell: tell}
	for _, one := range settings {
		s.providers = append(s.providers, newProvider(one, strings.TrimRight(public, "/")+Path(one.ID), now))
	}
	return s
}

// A Choice is one provider to sign in through.
type Choice struct{ ID, Name, Issuer string }

// Choices lists the providers in the operator's order.
func (s *Service) Choices() []Choice {
	out := make([]Choice, len(s.providers))
	for i, p := range s.providers {
		out[i] = Choice{p.ID, p.Name, p.Issuer}
	}
	return out
}

// Name is what people call a provider; its id if it isn't configured any more.
func (s *Service) Name(id string) string {
	if p, err := s.provider(id); err == nil {
		return p.Name
	}
	return id
}

// Issuer is what a provider calls itself, or "" for one that isn't configured.
func (s *Service) Issuer(id string) string {
	if p, err := s.provider(id); err == nil {
		return p.Issuer
	}
	return ""
}

func (s *Service) provider(id string) (*provider, error) {
	for _, p := range s.providers {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, problem.New(problem.NotFound, "There is no such way to sign in, or not any more.")
}

// known is what is known of a provider, or a problem if it doesn't answer.
func (s *Service) known(ctx context.Context, p *provider) (*found, error) {
	f, changed, cause := p.find()
	if changed {
		s.tell(context.WithoutCancel(ctx), p.ID, cause)
	}
	if f == nil {
		return nil, p.silent(cause)
	}
	return f, nil
}

func (p *provider) silent(cause error) error {
	return refuse("unavailable", problem.New(problem.Unavailable,
		"%s doesn't answer as it should, so it can't tell who you are. Nothing was changed. Try again in a little while, or sign in another way.", p.Name), cause)
}

// A Purpose is why somebody goes to a provider.
type Purpose string

// The purposes.
const (
	SignIn Purpose = "sign in" // begins a session
	Link   Purpose = "link"    // adds the identity to the account that is signed in
	Prove  Purpose = "prove"   // shows again who it is that is signed in
)

// A Trip is one way to a provider and back.
type Trip struct {
	Purpose Purpose
	Session string // ses_…, of who is signed in; empty for SignIn
	Next    string // where to go afterwards
}

// TripLife is how long somebody may take at the provider.
const TripLife = 10 * time.Minute

// Depart returns where to send the browser, and what it has to keep in its cookie
// until it is back. Nothing is kept here.
func (s *Service) Depart(ctx context.Context, id string, trip Trip) (address *url.URL, cookie string, err error) {
	p, err := s.provider(id)
	if err != nil {
		return nil, "", err
	}
	f, err := s.known(ctx, p)
	if err != nil {
		return nil, "", err
	}
	t := newTicket(trip, s.now())
	address, err = url.Parse(f.config.AuthCodeURL(t.State, t.options()...))
	return address, t.seal(s.keys, id), err
}
