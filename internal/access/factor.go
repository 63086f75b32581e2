package access

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// Second factors, as history names them.
const (
	FactorPasskey  = "passkey"
	FactorTOTP     = "totp"     // a code of an authenticator app
	FactorRecovery = "recovery" // a recovery code
)

// A Passkey is a credential in an authenticator: it proves that somebody has it,
// and mostly that they unlocked it.
type Passkey struct {
	ID         string // pky_…
	Credential []byte // id by which the authenticator knows it
	PublicKey  []byte
	SignCount  uint32
	AAGUID     []byte // model of the authenticator
	Transports []string
	CanBackUp  bool // it may be copied to other devices of its owner
	BackedUp   bool
	Name       string
	CreatedAt  time.Time
	UsedAt     time.Time // zero if never
	ClonedAt   time.Time // when its counter went back; refused since then
}

// An Authenticator is an app that shows codes by the time.
type Authenticator struct {
	Sealed    []byte // the secret
	LastStep  int64  // of the newest code that was used; none up to it counts again
	CreatedAt time.Time
	UsedAt    time.Time // zero if never
}

// A RecoveryCode stands in for a factor that was lost, once.
type RecoveryCode struct {
	Hash   TokenHash
	UsedAt time.Time // zero if it still counts
}

// Factors are what somebody can prove who they are with, beside a passphrase.
type Factors struct {
	Passkeys []Passkey // the oldest first
	App      *Authenticator
	Codes    []RecoveryCode
}

// Any reports whether there is a second factor. Recovery codes are none: they
// stand in for one.
func (f Factors) Any() bool { return len(f.Passkeys) > 0 || f.App != nil }

// CodesLeft is how many recovery codes still count.
func (f Factors) CodesLeft() int {
	n := 0
	for _, c := range f.Codes {
		if c.UsedAt.IsZero() {
			n++
		}
	}
	return n
}

func (f Factors) passkey(id string) int {
	return slices.IndexFunc(f.Passkeys, func(p Passkey) bool { return p.ID == id })
}

// PendingLife is how long a sign-in waits for the second factor.
const PendingLife = 5 * time.Minute

// A Pending is a sign-in that waits for the second factor. It opens nothing.
type Pending struct {
	Key       TokenHash // what the cookie's token hashes to
	UserID    string
	Method    string
	CreatedAt time.Time
	Origin    Origin
}

// Expired reports whether it has waited too long, or was begun after now by a
// clock that was set back.
func (p Pending) Expired(now time.Time) bool {
	age := now.Sub(p.CreatedAt)
	return age < 0 || age >= PendingLife
}

// An Opening is a session that begins.
type Opening struct {
	Session Session
	Device  DeviceHash
	Event   audit.Event
	Pending TokenHash // sign-in that ends with it, or nothing happens; zero: it comes from none
}

// A FactorStep is what happens together with a change of somebody's factors.
type FactorStep struct {
	Events  []audit.Event
	Begin   *Opening
	Prove   *Session // the session with its ID goes on under its Key, with its ProvedAt and Strong
	End     func(Session) bool
	Guesses string // counter that ends
}

// A FactorStore keeps second factors. A missing row is a problem of kind NotFound.
type FactorStore interface {
	Factors(ctx context.Context, userID string) (Factors, error)
	// PasskeyOwner is whose a passkey is, by the id that its authenticator gives.
	PasskeyOwner(ctx context.Context, credential []byte) (User, error)
	// UpdateFactors lets fn change somebody's factors and does what it returns, all
	// in one transaction.
	UpdateFactors(ctx context.Context, userID string, fn func(Account, *Factors) (FactorStep, error)) error
	// AddPendingSignIn keeps a sign-in that waits, and clears a guess counter. With a
	// verified passphrase, as its PHC string, it refuses if that was replaced meanwhile.
	AddPendingSignIn(ctx context.Context, p Pending, verified, guesses string, e audit.Event) error
	// PendingSignIn returns a sign-in that waits, expired ones too.
	PendingSignIn(ctx context.Context, key TokenHash) (Pending, User, error)
	EndPendingSignIn(ctx context.Context, key TokenHash, e audit.Event) error
	// SpendChallenge refuses, with a Conflict, a challenge that was spent before.
	SpendChallenge(ctx context.Context, hash TokenHash, until time.Time) error
}

// ResetFactors takes all second factors from somebody who lost theirs, and ends
// their sessions. Nobody does that to themselves.
func (s *Service) ResetFactors(ctx context.Context, by Reader, id string) error {
	if err := by.Check(ManagePeople); err != nil {
		return err
	}
	return s.store.UpdateFactors(ctx, id, func(a Account, f *Factors) (FactorStep, error) {
		switch {
		case a.ID == by.ID:
			return FactorStep{}, problem.New(problem.Conflict, "You can't reset your own second factors. Ask another admin.")
		case !f.Any():
			return FactorStep{}, problem.New(problem.Conflict, "%s has no second factor.", a.Name)
		}
		*f = Factors{}
		return FactorStep{
			Events: []audit.Event{{Actor: by.Actor(), Action: FactorsResetAction, Object: a.object()}},
			End:    func(Session) bool { return true }, Guesses: FactorKey(a.ID),
		}, nil
	})
}

// Actions of history about second factors.
const (
	FactorAddedAction   = "user.factor_added"
	FactorRenamedAction = "user.factor_renamed"
	FactorRemovedAction = "user.factor_removed"
	FactorsResetAction  = "user.factors_reset"
	CodesMadeAction     = "user.recovery_codes_made"
	CodeUsedAction      = "user.recovery_code_used"
	ClonedAction        = "user.passkey_cloned"

	factorAskedAction   = "session.factor_asked"
	factorRefusedAction = "session.factor_refused"
	provedAction        = "session.proved"
)

// FactorKey names the counter of wrong second factors.
func FactorKey(userID string) string { return "factor:" + userID }
