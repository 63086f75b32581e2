package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Why a passkey is not taken, beside what is wrong with codes.
const (
	keyElsewhere = "elsewhere" // the challenge was given to another browser
	keyLate      = "late"
	keyReplayed  = "replayed"
	keyOrigin    = "origin" // it was given to another site
	keyUnknown   = "unknown"
	keyCloned    = "cloned"
	keyBlocked   = "blocked" // it was found to be cloned before
	keyUnread    = "unreadable"
)

// newRelying returns how authenticators know the console: by the host that people
// type. On this machine that is localhost, since an address of numbers has no
// passkeys. It is nil where the host is such an address.
func newRelying(public *url.URL) (*webauthn.WebAuthn, error) {
	host, origins := public.Hostname(), []string{public.Scheme + "://" + public.Host}
	if ip := net.ParseIP(host); ip != nil {
		if !ip.IsLoopback() {
			return nil, nil
		}
		host = "localhost"
	}
	if host == "localhost" {
		origins = []string{public.Scheme + "://" + strings.TrimSuffix("localhost:"+public.Port(), ":")}
	}
	return webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: "Gatehouse", RPOrigins: origins})
}

// A keyHolder is somebody as the library knows them.
type keyHolder struct {
	User
	passkeys []Passkey
}

func (h keyHolder) WebAuthnID() []byte          { return []byte(h.ID) }
func (h keyHolder) WebAuthnName() string        { return h.Email }
func (h keyHolder) WebAuthnDisplayName() string { return h.Name }

func (h keyHolder) WebAuthnCredentials() []webauthn.Credential {
	var all []webauthn.Credential
	for _, p := range h.passkeys {
		one := webauthn.Credential{ID: p.Credential, PublicKey: p.PublicKey}
		one.Flags.BackupEligible, one.Flags.BackupState = p.CanBackUp, p.BackedUp
		one.Authenticator.AAGUID, one.Authenticator.SignCount = p.AAGUID, p.SignCount
		for _, t := range p.Transports {
			one.Transport = append(one.Transport, protocol.AuthenticatorTransport(t))
		}
		all = append(all, one)
	}
	return all
}

// descriptors name the passkeys that may be used.
func (h keyHolder) descriptors() []protocol.CredentialDescriptor {
	var all []protocol.CredentialDescriptor
	for i, c := range h.WebAuthnCredentials() {
		if h.passkeys[i].ClonedAt.IsZero() {
			all = append(all, c.Descriptor())
		}
	}
	return all
}

// Passkeys reports whether passkeys can be used, and at which origin.
func (p *Prover) Passkeys() (origin string, ok bool) {
	if p.web == nil {
		return "", false
	}
	return p.web.Config.RPOrigins[0], true
}

// errNoPasskeys is for who asks nevertheless.
func errNoPasskeys() error {
	return problem.New(problem.Conflict, "Passkeys need a host with a name, and this console's address has none.")
}

// owner is whose passkey answers. An answer that can't be read is a problem of kind
// Invalid.
func (p *Prover) owner(ctx context.Context, a Attempt) (User, error) {
	answer, err := protocol.ParseCredentialRequestResponseBytes([]byte(a.Assertion.Reveal()))
	if err != nil {
		return User{}, refusal(FactorPasskey, keyUnread)
	}
	return p.people.store.PasskeyOwner(ctx, answer.RawID)
}

// A signature is the answer of a passkey, as far as it can be read.
type signature struct {
	session webauthn.SessionData
	answer  *protocol.ParsedCredentialAssertionData
}

// readSignature says what is wrong with an answer before looking whose it is.
func (p *Prover) readSignature(ctx context.Context, a Attempt, browser, purpose string) (one signature, wrong string, err error) {
	if p.web == nil {
		return one, "", errNoPasskeys()
	}
	if one.session, wrong, err = p.unseal(ctx, a.Challenge, browser, purpose); wrong != "" || err != nil {
		return one, wrong, err
	}
	wrong = one.read(a.Assertion, p.web.Config)
	return one, wrong, nil
}

// read takes in an answer, or says why it answers something else.
func (s *signature) read(assertion secret.Value, config *webauthn.Config) (wrong string) {
	var err error
	if s.answer, err = protocol.ParseCredentialRequestResponseBytes([]byte(assertion.Reveal())); err != nil {
		return keyUnread
	}
	client := s.answer.Response.CollectedClientData
	rp := sha256.Sum256([]byte(config.RPID))
	switch {
	case client.Challenge != s.session.Challenge:
		return keyReplayed
	case !protocol.IsOriginInHaystack(client.Origin, config.RPOrigins) || !bytes.Equal(s.answer.Response.AuthenticatorData.RPIDHash, rp[:]):
		return keyOrigin
	}
	return ""
}

// sign lets one of somebody's passkeys prove who they are, or says what is wrong.
// A counter that goes back means that there is a copy: the passkey is refused from
// then on.
func (p *Prover) sign(u User, f *Factors, one signature, now time.Time) (at int, wrong string) {
	at = -1
	for i, k := range f.Passkeys {
		if bytes.Equal(k.Credential, one.answer.RawID) {
			at = i
		}
	}
	if at < 0 {
		return at, keyUnknown
	}
	if !f.Passkeys[at].ClonedAt.IsZero() {
		return at, keyBlocked
	}
	holder := keyHolder{u, f.Passkeys}
	var credential *webauthn.Credential
	var err error
	if len(one.session.UserID) == 0 {
		_, credential, err = p.web.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return holder, nil }, one.session, one.answer)
	} else {
		credential, err = p.web.ValidateLogin(holder, one.session, one.answer)
	}
	if err != nil {
		return at, codeWrong
	}
	f.Passkeys = append([]Passkey{}, f.Passkeys...)
	k := &f.Passkeys[at]
	if credential.Authenticator.CloneWarning {
		k.ClonedAt = now
		return at, keyCloned
	}
	k.SignCount, k.BackedUp, k.UsedAt = credential.Authenticator.SignCount, credential.Flags.BackupState, now
	return at, ""
}

// readPasskey reads what a browser says of a passkey that it made.
func (p *Prover) readPasskey(ctx context.Context, r Reader, a Attempt, browser string) (k Passkey, err error) {
	if p.web == nil {
		return k, errNoPasskeys()
	}
	session, wrong, err := p.unseal(ctx, a.Challenge, browser, forRegistration)
	if err != nil {
		return k, err
	}
	var refused *protocol.Error
	if wrong == "" {
		answer, err := protocol.ParseCredentialCreationResponseBytes([]byte(a.Assertion.Reveal()))
		if err != nil {
			wrong = keyUnread
		} else if c, err := p.web.CreateCredential(keyHolder{User: r.User}, session, answer); errors.As(err, &refused) {
			wrong = codeWrong
			if !protocol.IsOriginInHaystack(answer.Response.CollectedClientData.Origin, p.web.Config.RPOrigins) {
				wrong = keyOrigin
			}
		} else if err != nil {
			return k, err
		} else {
			k = newPasskey(c, p.people.now())
		}
	}
	if wrong != "" {
		return k, p.refuse(ctx, r.Actor(), r.object(), FactorPasskey, wrong)
	}
	return k, nil
}

func newPasskey(c *webauthn.Credential, now time.Time) Passkey {
	k := Passkey{
		ID: "pky_" + secret.Code(16), Credential: c.ID, PublicKey: c.PublicKey, SignCount: c.Authenticator.SignCount, AAGUID: c.Authenticator.AAGUID,
		CanBackUp: c.Flags.BackupEligible, BackedUp: c.Flags.BackupState, CreatedAt: now,
	}
	for _, t := range c.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	return k
}
