package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// An Identity is who somebody is to a provider. Issuer and subject together tell
// one from another; the address is only what the provider says and proves nothing.
type Identity struct {
	Provider  string // id of the provider by which it last came
	Issuer    string
	Subject   string
	Email     string // as the provider has it, may be empty
	UserID    string
	CreatedAt time.Time
	LastUsed  time.Time // zero if never
}

// An Arrival is somebody whom a provider vouches for.
type Arrival struct {
	Identity
	Name     string
	Verified bool            // the address is theirs
	Strong   bool            // they gave a second factor there
	ProvedAt time.Time       // when they proved there who they are; zero if it doesn't say
	Groups   *ExternalGroups // nil if the provider isn't asked for groups
	Proves   bool            // it proves anew who somebody is, and begins nothing

	Ticket      TokenHash // of the way there and back, which counts once
	TicketUntil time.Time // nobody can come back by it after
}

// ExternalGroups are the groups that somebody is in elsewhere, by ids of there.
type ExternalGroups struct {
	IDs     []string
	Trouble string // why none could be read; then they are in none
}

// Source names the provider where memberships say whence they come.
func (i Identity) Source() string { return ProviderMethod(i.Provider) }

// Groups are the groups of ours that somebody was and is in by one source, sorted.
type Groups struct{ Before, After []string }

// Changed reports whether they are in others than before.
func (g Groups) Changed() bool { return !slices.Equal(g.Before, g.After) }

// An IdentityStore keeps identities.
type IdentityStore interface {
	// TakeArrival uses up an arrival, which counts once. It finds the account of its
	// identity and lets fn change it, told whether it is known and which groups the
	// arrival puts it in. For an unknown identity the account is one that fn fills
	// in; an address that somebody else has is left out of it.
	TakeArrival(ctx context.Context, in Arrival, fn func(a *Account, known bool, g Groups) ([]audit.Event, error)) (Account, error)
	// LinkIdentity uses up an arrival and gives its identity to an account. One that
	// has an account already is a problem of kind Conflict.
	LinkIdentity(ctx context.Context, in Arrival, userID string, e audit.Event) error
	// UnlinkIdentity takes one of an account's identities away, with the memberships
	// that came by it, and ends the sessions that it began.
	UnlinkIdentity(ctx context.Context, userID, issuer, subject string, fn func(Account, []Identity) (audit.Event, error)) error
	Identities(ctx context.Context, userID string) ([]Identity, error)
}

// A Welcome is what came of somebody's sign-in through a provider.
type Welcome struct {
	Token    string // belongs into the cookie
	User     User
	Regroups bool // they are in other groups than before
}

// SignInThrough signs somebody in for whom a provider vouches. Who comes for the
// first time gets an account that may do nothing; a local account isn't found by
// its address. Group memberships by this provider become those that it tells of.
func (s *Service) SignInThrough(ctx context.Context, in Arrival, from Origin) (Welcome, error) {
	var w Welcome
	var who User
	a, err := s.store.TakeArrival(ctx, in, func(a *Account, known bool, g Groups) ([]audit.Event, error) {
		who, w.Regroups = a.User, g.Changed()
		return s.arrived(a, known, g, in, from)
	})
	if problem.Is(err, problem.Forbidden) {
		return w, errors.Join(err, s.refused(ctx, in.Provider, "disabled", who, from))
	}
	if err != nil {
		return w, err
	}
	w.User = a.User
	proved := in.ProvedAt
	if proved.IsZero() {
		proved = time.Unix(0, 0) // it may have been long ago
	}
	w.Token, err = s.StartSession(ctx, a.User, Proof{Method: ProviderMethod(in.Provider), Strong: in.Strong, At: proved}, from)
	return w, err
}

// arrived changes the account of somebody who arrived.
func (s *Service) arrived(a *Account, known bool, g Groups, in Arrival, from Origin) ([]audit.Event, error) {
	var events []audit.Event
	detail := map[string]string{"provider": in.Provider}
	switch {
	case !known:
		*a = Account{User: User{ID: "usr_" + secret.Code(16), Name: in.Name, State: Active, CreatedAt: s.now()}}
		if in.Verified {
			a.Email = CleanEmail(in.Email)
		}
		events = append(events, audit.Event{Actor: a.Actor(from), Action: "user.arrived", Object: a.object(), Detail: detail})
	case a.State == Disabled:
		return nil, problem.New(problem.Forbidden, "Your account is disabled, so you are not signed in. Nothing was changed. If you should have one, ask an admin.")
	case a.State == Invited:
		a.State = Active
		events = append(events, audit.Event{Actor: a.Actor(from), Action: "user.joined", Object: a.object(), Detail: detail})
	}
	if g.Changed() || in.Groups != nil && in.Groups.Trouble != "" {
		e := audit.Event{
			Actor: a.Actor(from), Action: "user.groups_set", Object: a.object(), Detail: map[string]string{"provider": in.Provider},
			Changes: []audit.Change{{Field: "groups", Before: g.Before, After: g.After}},
		}
		if in.Groups != nil && in.Groups.Trouble != "" {
			e.Detail["trouble"] = in.Groups.Trouble
		}
		events = append(events, e)
	}
	return events, nil
}

// CleanEmail is an address as it is stored, or "" if it is none.
func CleanEmail(s string) string {
	s, complaint := cleanEmail(s)
	if complaint != "" {
		return ""
	}
	return s
}

// RefuseArrival records that somebody came back from a provider and wasn't
// believed. From one address too many are a problem; they are counted apart from
// guesses, since any page can send a browser here.
func (s *Service) RefuseArrival(ctx context.Context, provider, check string, from Origin) error {
	if err := s.store.TakeGuess(ctx, "arrival:"+from.IP, func(g *Guess) error { return g.takeAddress(s.now()) }); err != nil {
		return err
	}
	return s.refused(ctx, provider, check, User{}, from)
}

// refused records that somebody came through a provider in vain.
func (s *Service) refused(ctx context.Context, provider, check string, who User, from Origin) error {
	return s.store.FailSignIn(ctx, audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUnknown, IP: from.IP, Agent: from.Agent},
		Action: "session.refused", Object: who.object(), Outcome: audit.Denied,
		Detail: map[string]string{"provider": provider, "check": check},
	})
}

// NoteProvider records that a provider stopped answering, or answers again.
func (s *Service) NoteProvider(ctx context.Context, id string, answers bool) error {
	e := audit.Event{Actor: audit.System(), Action: "provider.silent", Object: audit.Object{Kind: "provider", ID: id, Name: id}, Outcome: audit.Failed}
	if answers {
		e.Action, e.Outcome = "provider.answers", ""
	}
	return s.store.FailSignIn(ctx, e)
}

// Identities lists who somebody is to providers.
func (s *Service) Identities(ctx context.Context, userID string) ([]Identity, error) {
	return s.store.Identities(ctx, userID)
}

// Link lets the reader sign in as an identity too.
func (s *Service) Link(ctx context.Context, r Reader, in Arrival) error {
	return s.store.LinkIdentity(ctx, in, r.ID, audit.Event{
		Actor: r.Actor(), Action: "user.identity_linked", Object: r.object(), Detail: map[string]string{"provider": in.Provider},
	})
}

// Unlink takes an identity from the reader. The last way to sign in stays.
func (s *Service) Unlink(ctx context.Context, r Reader, issuer, subject string) error {
	return s.store.UnlinkIdentity(ctx, r.ID, issuer, subject, func(a Account, all []Identity) (audit.Event, error) {
		if len(all) == 1 && (a.Passphrase == "" || !s.MayComeLocally(a.User)) {
			return audit.Event{}, problem.New(problem.Conflict, "This is your only way to sign in. Link another one first.")
		}
		i := slices.IndexFunc(all, func(i Identity) bool { return i.Issuer == issuer && i.Subject == subject })
		return audit.Event{
			Actor: r.Actor(), Action: "user.identity_unlinked", Object: r.object(), Detail: map[string]string{"provider": all[i].Provider},
		}, nil
	})
}

// CloseLocal lets only emergency accounts sign in but through a provider. It is
// called before anybody signs in.
func (s *Service) CloseLocal() { s.closed = true }

// LocalClosed reports whether only emergency accounts may sign in but through a
// provider.
func (s *Service) LocalClosed() bool { return s.closed }

// MayComeLocally reports whether somebody may sign in by what Gatehouse itself keeps
// of them: a passphrase, a passkey or a link.
func (s *Service) MayComeLocally(u User) bool { return !s.closed || u.Emergency }

// HasPassphrase reports whether the reader has a passphrase and may sign in with it.
func (s *Service) HasPassphrase(ctx context.Context, r Reader) (bool, error) {
	a, err := s.store.Account(ctx, r.ID)
	return a.Passphrase != "" && s.MayComeLocally(a.User), err
}

// ErrReplayed is the answer to an arrival that was used before.
var ErrReplayed = problem.New(problem.Conflict, "This sign-in was used already. Nothing was changed. Begin again from the sign-in page.")
