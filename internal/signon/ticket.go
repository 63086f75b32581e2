package signon

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/internal/access"
	"gatehouse/internal/secret"
)

// A ticket is what a browser keeps while its person is at the provider. It is
// sealed, so that neither can be read nor made elsewhere.
type ticket struct {
	Trip
	State    string
	Nonce    string
	Verifier string // of PKCE
	Left     time.Time
}

func newTicket(trip Trip, now time.Time) ticket {
	return ticket{Trip: trip, State: access.NewToken(), Nonce: access.NewToken(), Verifier: oauth2.GenerateVerifier(), Left: now}
}

// options are what the provider is asked for beside the usual.
func (t ticket) options() []oauth2.AuthCodeOption {
	o := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(t.Verifier), oidc.Nonce(t.Nonce)}
	if t.Purpose == Prove {
		o = append(o, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return o
}

const sealedFor = "signon"

func (t ticket) seal(keys *secret.Keyring, provider string) string {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and a time
	}
	return base64.RawURLEncoding.EncodeToString(keys.Seal(secret.New(string(text)), sealedFor, provider, "ticket"))
}

// openTicket reads a ticket that was made for the provider and isn't too old.
func openTicket(keys *secret.Keyring, provider, cookie string, now time.Time) (ticket, bool) {
	var t ticket
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return t, false
	}
	text, err := keys.Open(sealed, sealedFor, provider, "ticket")
	if err != nil || json.Unmarshal([]byte(text.Reveal()), &t) != nil {
		return t, false
	}
	return t, !now.Before(t.Left) && now.Before(t.Left.Add(TripLife))
}

// Keep seals an arrival for a browser, until its person has said yes to it.
func (s *Service) Keep(a Arrival) string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and times
	}
	return base64.RawURLEncoding.EncodeToString(s.keys.Seal(secret.New(string(text)), sealedFor, a.Session, "arrival"))
}

// Kept opens what Keep sealed for the same session, until the arrival is too old.
func (s *Service) Kept(cookie, session string) (Arrival, bool) {
	var a Arrival
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return a, false
	}
	text, err := s.keys.Open(sealed, sealedFor, session, "arrival")
	if err != nil || json.Unmarshal([]byte(text.Reveal()), &a) != nil {
		return Arrival{}, false
	}
	return a, a.Session == session && s.now().Before(a.TicketUntil)
}
