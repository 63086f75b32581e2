package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// An Account is a user with what proves who they are. It stays within access
// and store.
type Account struct {
	User
	Passphrase string // PHC string, empty until set
	Linked     bool   // they may sign in through a provider
}

// A Store keeps accounts, sessions, one-time links and guess counters. Methods
// that take events write them in the transaction of the change. A missing
// account or link is a problem of kind NotFound.
type Store interface {
	FactorStore
	Users(ctx context.Context) ([]User, error)
	Account(ctx context.Context, id string) (Account, error)
	AccountByEmail(ctx context.Context, email string) (Account, error)
	// AddAccount refuses an address that is taken. With a link, the link is kept too.
	AddAccount(ctx context.Context, a Account, link *Link, e audit.Event) error
	// AddFirstAccount refuses when there is any user, and when the link isn't
	// good for set-up; it uses the link up.
	AddFirstAccount(ctx context.Context, a Account, link TokenHash, now time.Time, e audit.Event) error
	// UpdateAccount lets fn change an account. Roles or state that change, and a
	// new passphrase, take effect with the commit; keep says which of the
	// account's sessions go on. Who is disabled has their tokens revoked.
	UpdateAccount(ctx context.Context, id string, fn func(*Account) ([]audit.Event, error), keep func(Session) bool) (Account, error)
	// EraseAccount lets fn change an account whose personal data is to go, which
	// then happens by and by; number counts the erased. Their sessions end.
	EraseAccount(ctx context.Context, id string, fn func(a *Account, number int) ([]audit.Event, error)) error
	AddLink(ctx context.Context, l Link, e audit.Event) error
	Link(ctx context.Context, key TokenHash) (Link, error)
	// UseLink uses up a link and lets fn change its account, whose sessions, tokens
	// and guess counter end.
	UseLink(ctx context.Context, key TokenHash, now time.Time, fn func(*Account) ([]audit.Event, error)) (Account, error)
	// TakeGuess lets fn count a guess; an error of fn's is returned and nothing kept.
	TakeGuess(ctx context.Context, key string, fn func(*Guess) error) error
	// AddSession keeps a new session and clears a guess counter. With a verified
	// passphrase, as its PHC string, it refuses if that was replaced meanwhile. The
	// sessions that are [Crowded] out end, and a device that wasn't known is
	// recorded, but at the first sign-in.
	AddSession(ctx context.Context, s Session, from DeviceHash, verified, guesses string, e audit.Event) error
	// FailSignIn records a failed sign-in.
	FailSignIn(ctx context.Context, e audit.Event) error
	Sessions(ctx context.Context, userID string) ([]Session, error)
	// EndSessions ends those of a user's sessions for which end is true. The
	// event is written if there was any.
	EndSessions(ctx context.Context, userID string, end func(Session) bool, e audit.Event) (int, error)
	IdentityStore
	ViewStore
	ReviewStore
	TokenStore
	ClientStore
	DirectoryStore
}

// A Service signs people in and looks after their accounts.
type Service struct {
	store  Store
	keys   *secret.Keyring
	hasher *hasher
	now    func() time.Time
	closed bool // see CloseLocal
}

// NewService returns a service over a store. Signing people in takes keys.
func NewService(store Store, keys *secret.Keyring, now func() time.Time) *Service {
	return &Service{store: store, keys: keys, hasher: newHasher(), now: now}
}

// Wrong is the one answer to a sign-in that fails, whatever the reason.
func Wrong() error {
	return problem.InvalidFields("That e-mail address and passphrase don't match an account that may sign in.", map[string]string{})
}

// SignIn checks a passphrase and starts a session. The token belongs into the
// cookie. Unknown addresses, wrong passphrases and disabled accounts get the
// same answer after the same work.
func (s *Service) SignIn(ctx context.Context, email string, passphrase secret.Value, from Origin) (token string, u User, err error) {
	if len(email) > maxEmail {
		return "", u, Wrong() // nobody has such an address
	}
	email, _ = cleanEmail(email)
	byAddress, byAccount := "ip:"+from.IP, accountKey(email)
	if err := s.store.TakeGuess(ctx, byAddress, func(g *Guess) error { return g.takeAddress(s.now()) }); err != nil {
		return "", u, err
	}
	if err := s.store.TakeGuess(ctx, byAccount, func(g *Guess) error { return g.takeAccount(s.now()) }); err != nil {
		return "", u, err
	}
	a, err := s.store.AccountByEmail(ctx, email)
	if err != nil && !problem.Is(err, problem.NotFound) {
		return "", u, err
	}
	match, outdated, err := s.hasher.matches(ctx, passphrase, a.Passphrase)
	if err != nil {
		return "", u, err
	}
	if !match || a.State != Active || !s.MayComeLocally(a.User) {
		return "", u, s.failed(ctx, email, a.User, from)
	}
	if err := s.store.TakeGuess(ctx, byAddress, func(g *Guess) error { g.giveBack(); return nil }); err != nil {
		return "", u, err
	}
	token, err = s.StartSession(ctx, a.User, Proof{Method: MethodPassphrase, verified: a.Passphrase, guesses: byAccount}, from)
	if err == nil && outdated {
		err = s.rehash(ctx, a, passphrase, from)
	}
	return token, a.User, err
}

// SignInAs starts a session without a passphrase. Only the demo offers it.
func (s *Service) SignInAs(ctx context.Context, email string, from Origin) (token string, err error) {
	a, err := s.store.AccountByEmail(ctx, email)
	if err != nil || a.State != Active {
		return "", problem.New(problem.NotFound, "There is no such account that may sign in.")
	}
	return s.StartSession(ctx, a.User, Proof{Method: MethodDemo}, from)
}

// StartSession signs somebody in who proved who they are. Who has a second factor
// and didn't give it yet is asked for that first. The token belongs into the cookie.
func (s *Service) StartSession(ctx context.Context, u User, p Proof, from Origin) (token string, err error) {
	if u.SecondFactor && !p.Strong && p.Method != MethodDemo {
		return s.await(ctx, u, p, from)
	}
	token, one := s.newSession(u, p, from)
	return token, s.store.AddSession(ctx, one, s.deviceHash(u.ID, from), p.verified, p.guesses, signedInEvent(u, one))
}

func (s *Service) newSession(u User, p Proof, from Origin) (token string, one Session) {
	token, now := NewToken(), s.now()
	return token, Session{
		ID: "ses_" + secret.Code(16), Key: HashToken(token), UserID: u.ID, CreatedAt: now, LastSeen: now, Origin: from,
		Method: p.Method, ProvedAt: cmp.Or(p.At, now), Strong: p.Strong,
	}
}

func signedInEvent(u User, one Session) audit.Event {
	e := audit.Event{
		Actor: u.Actor(one.Origin), Action: "session.signed_in", Object: audit.Object{Kind: "session", ID: one.ID, Name: u.Name},
		Detail: map[string]string{"method": one.Method},
	}
	if u.Emergency && one.Local() {
		e.Action = EmergencyAction
	}
	return e
}

// failed records a failed sign-in and returns the answer to it.
func (s *Service) failed(ctx context.Context, email string, u User, from Origin) error {
	e := audit.Event{
		Actor:   unknown(email, from),
		Action:  "session.refused",
		Object:  audit.Object{Kind: "user", ID: u.ID, Name: u.Name},
		Outcome: audit.Denied,
	}
	if err := s.store.FailSignIn(ctx, e); err != nil {
		return err
	}
	return Wrong()
}

func (s *Service) rehash(ctx context.Context, a Account, passphrase secret.Value, from Origin) error {
	phc, err := s.hasher.hash(ctx, passphrase)
	if err != nil {
		return err
	}
	verified := a.Passphrase
	_, err = s.store.UpdateAccount(ctx, a.ID, func(a *Account) ([]audit.Event, error) {
		if a.Passphrase != verified {
			return nil, Wrong() // replaced meanwhile
		}
		a.Passphrase = phc
		return []audit.Event{{Actor: a.Actor(from), Action: "user.passphrase_rehashed", Object: a.object()}}, nil
	}, nil)
	return err
}

// accountKey names the guess counter of an address, whether or not an account
// has it; the address itself isn't kept.
func accountKey(email string) string {
	sum := sha256.Sum256([]byte(email))
	return "account:" + hex.EncodeToString(sum[:])
}
