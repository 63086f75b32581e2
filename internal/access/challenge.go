package access

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// challengeLife is how long a browser may take to answer a challenge.
const challengeLife = 5 * time.Minute

// What a challenge is for. One can't be answered in place of another.
const (
	forRegistration = "register"
	forSignIn       = "sign in"
	forFactor       = "factor"
)

// A Challenge is put to an authenticator by a page.
type Challenge struct {
	Options string // for the browser: JSON
	Sealed  string // comes back with the answer
}

// A given challenge is what is remembered of one, within its page.
type given struct {
	Session webauthn.SessionData
	Until   time.Time
}

// seal binds a challenge to a browser and a purpose.
func (p *Prover) seal(options any, session webauthn.SessionData, browser, purpose string) (Challenge, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return Challenge{}, err
	}
	kept, err := json.Marshal(given{session, p.people.now().Add(challengeLife)})
	if err != nil {
		return Challenge{}, err
	}
	sealed := p.people.keys.Seal(secret.New(string(kept)), "challenge", browserName(browser), purpose)
	return Challenge{string(text), base64.RawURLEncoding.EncodeToString(sealed)}, nil
}

func browserName(browser string) string {
	sum := sha256.Sum256([]byte(browser))
	return hex.EncodeToString(sum[:])
}

// open reads a challenge that came back, or says what is wrong with it.
func (p *Prover) open(sealed secret.Value, browser, purpose string) (g given, wrong string) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed.Reveal())
	if err != nil {
		return g, keyUnread
	}
	text, err := p.people.keys.Open(raw, "challenge", browserName(browser), purpose)
	if err != nil {
		return g, keyElsewhere
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &g); err != nil {
		return g, keyUnread
	}
	now := p.people.now()
	if !now.Before(g.Until) || g.Until.Sub(now) > challengeLife {
		return g, keyLate
	}
	return g, ""
}

// unseal takes a challenge back, once. It says what is wrong with it, if
// anything is.
func (p *Prover) unseal(ctx context.Context, sealed secret.Value, browser, purpose string) (session webauthn.SessionData, wrong string, err error) {
	g, wrong := p.open(sealed, browser, purpose)
	if wrong != "" {
		return session, wrong, nil
	}
	err = p.people.store.SpendChallenge(ctx, HashToken(g.Session.Challenge), g.Until)
	if problem.Is(err, problem.Conflict) {
		return g.Session, keyReplayed, nil
	}
	return g.Session, "", err
}

// SignInChallenge lets somebody sign in by a passkey that knows its owner.
func (p *Prover) SignInChallenge(browser string) (Challenge, error) {
	if p.web == nil {
		return Challenge{}, errNoPasskeys()
	}
	options, session, err := p.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Challenge{}, err
	}
	return p.seal(options.Response, *session, browser, forSignIn)
}

// FactorChallenge lets somebody prove who they are by one of their passkeys. It is
// empty if they have none.
func (p *Prover) FactorChallenge(ctx context.Context, u User, browser string) (Challenge, error) {
	f, err := p.people.store.Factors(ctx, u.ID)
	if err != nil || p.web == nil {
		return Challenge{}, err
	}
	holder := keyHolder{u, f.Passkeys}
	may := holder.descriptors()
	if len(may) == 0 {
		return Challenge{}, nil
	}
	options, session, err := p.web.BeginLogin(holder, webauthn.WithAllowedCredentials(may), webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return Challenge{}, err
	}
	return p.seal(options.Response, *session, browser, forFactor)
}

// RegisterChallenge lets the reader's browser make a passkey.
func (p *Prover) RegisterChallenge(ctx context.Context, r Reader, browser string) (Challenge, error) {
	if p.web == nil {
		return Challenge{}, errNoPasskeys()
	}
	f, err := p.people.store.Factors(ctx, r.ID)
	if err != nil {
		return Challenge{}, err
	}
	holder := keyHolder{r.User, f.Passkeys}
	options, session, err := p.web.BeginRegistration(holder,
		webauthn.WithExclusions(webauthn.Credentials(holder.WebAuthnCredentials()).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred}),
		webauthn.WithConveyancePreference(protocol.PreferNoAttestation))
	if err != nil {
		return Challenge{}, err
	}
	return p.seal(options.Response, *session, browser, forRegistration)
}
