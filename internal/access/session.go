package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// How long a session lasts (ASVS 7.3).
const (
	SessionIdle = 30 * time.Minute // without a request; polling doesn't count
	SessionLife = 12 * time.Hour   // in all
)

// A Session is a signed-in browser.
type Session struct {
	ID        string    // ses_…, fit to show
	Key       TokenHash // what the cookie's token hashes to
	UserID    string
	CreatedAt time.Time
	LastSeen  time.Time
	Origin    Origin
	Method    string    // how it began
	ProvedAt  time.Time // when the person last proved who they are; signing in counts
	Strong    bool      // by a second factor, or a passkey that knew its owner
	View      View      // of one that is asked for by its token
}

// Ways to sign in, beside identity providers: those are named by [ProviderMethod].
const (
	MethodPassphrase = "passphrase"
	MethodPasskey    = "passkey"
	MethodLink       = "link" // a one-time link
	MethodDemo       = "demo"
)

// EmergencyAction is the action of history when somebody signs in with an emergency
// account. All admins hear of it.
const EmergencyAction = "session.emergency"

// Local reports whether the session began by what Gatehouse itself keeps of its
// person, and not through a provider.
func (s Session) Local() bool { return !strings.HasPrefix(s.Method, ProviderMethod("")) }

// ProviderMethod is how sessions begin that an identity provider vouches for.
func ProviderMethod(id string) string { return "oidc:" + id }

// ProofLife is how long a proof of who somebody is opens what wants a fresh one.
const ProofLife = 5 * time.Minute

// A Proof is how somebody showed who they are.
type Proof struct {
	Method string
	Strong bool      // by a second factor, or a passkey that knew its owner
	At     time.Time // zero: now

	verified string // PHC string of the passphrase that was right, if there was one
	guesses  string // counter that this ends
}

// MostSessions is how many sessions a person has at a time.
const MostSessions = 10

// Crowded returns which of a person's sessions end so that one more can begin:
// the oldest ones.
func Crowded(all []Session, now time.Time) []Session {
	live := slices.DeleteFunc(slices.Clone(all), func(one Session) bool { return one.Expired(now) })
	slices.SortStableFunc(live, func(a, b Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return live[:max(0, len(live)+1-MostSessions)]
}

// CrowdedOut is what is recorded when a session ends for the sake of a new one.
func CrowdedOut(old Session, signIn audit.Event) audit.Event {
	signIn.Action, signIn.Object.ID = "session.crowded_out", old.ID
	return signIn
}

// Expired reports whether the session is over at the given time.
func (s Session) Expired(now time.Time) bool {
	return now.Sub(s.LastSeen) >= SessionIdle || now.Sub(s.CreatedAt) >= SessionLife
}

// A TokenHash is the SHA-256 of a random token. Tokens themselves are never stored.
type TokenHash [sha256.Size]byte

// HashToken returns the hash under which a token is stored.
func HashToken(token string) TokenHash { return sha256.Sum256([]byte(token)) }

// NewToken returns 256 random bits in URL-safe base 64.
func NewToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

// SignOut ends the reader's session.
func (s *Service) SignOut(ctx context.Context, r Reader) error {
	return s.EndSession(ctx, r, r.Session)
}

// Sessions lists the reader's sessions, the newest first.
func (s *Service) Sessions(ctx context.Context, r Reader) ([]Session, error) {
	return s.live(ctx, r.ID)
}

func (s *Service) live(ctx context.Context, userID string) ([]Session, error) {
	all, err := s.store.Sessions(ctx, userID)
	if err != nil {
		return nil, err
	}
	live := all[:0]
	for _, one := range all {
		if !one.Expired(s.now()) {
			live = append(live, one)
		}
	}
	return live, nil
}

// EndSession ends one of the reader's sessions.
func (s *Service) EndSession(ctx context.Context, r Reader, id string) error {
	action := "session.ended"
	if id == r.Session {
		action = "session.signed_out"
	}
	n, err := s.store.EndSessions(ctx, r.ID, func(one Session) bool { return one.ID == id }, audit.Event{
		Actor: r.Actor(), Action: action, Object: audit.Object{Kind: "session", ID: id, Name: r.Name},
	})
	if err == nil && n == 0 {
		return problem.New(problem.NotFound, "That session has already ended.")
	}
	return err
}

// EndOtherSessions ends all of the reader's sessions but the one in use, and
// returns how many there were.
func (s *Service) EndOtherSessions(ctx context.Context, r Reader) (int, error) {
	return s.store.EndSessions(ctx, r.ID, func(one Session) bool { return one.ID != r.Session }, audit.Event{
		Actor: r.Actor(), Action: "session.others_ended", Object: r.object(),
	})
}

// EndAllSessions ends all of the reader's sessions, the one in use too.
func (s *Service) EndAllSessions(ctx context.Context, r Reader) error {
	_, err := s.store.EndSessions(ctx, r.ID, func(Session) bool { return true }, audit.Event{
		Actor: r.Actor(), Action: "session.all_ended", Object: r.object(),
	})
	return err
}

// SessionsOf lists the sessions of somebody, the newest first.
func (s *Service) SessionsOf(ctx context.Context, by Reader, id string) ([]Session, error) {
	if err := by.Check(ManagePeople); err != nil {
		return nil, err
	}
	return s.live(ctx, id)
}

// EndSessionsOf ends all sessions of somebody, and returns how many there were.
func (s *Service) EndSessionsOf(ctx context.Context, by Reader, id string) (int, error) {
	if err := by.Check(ManagePeople); err != nil {
		return 0, err
	}
	a, err := s.store.Account(ctx, id)
	if err != nil {
		return 0, err
	}
	n, err := s.store.EndSessions(ctx, id, func(Session) bool { return true }, audit.Event{
		Actor: by.Actor(), Action: "user.sessions_ended", Object: a.object(),
	})
	if err == nil && n == 0 {
		return 0, problem.New(problem.Conflict, "%s isn't signed in anywhere.", a.Name)
	}
	return n, err
}
