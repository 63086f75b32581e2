package access

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Client is a directory's program that keeps people and groups here in step,
// through SCIM. It is nobody's: it goes on when who made it leaves.
type Client struct {
	ID         string    // scm_…, fit to show
	Key        TokenHash // what its token hashes to; zero until that was made
	Name       string
	Directory  string // id of the provider whose people it looks after; may be empty
	MadeBy     string // usr_…; who is shown its token
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero while it is good
	LastUsedAt time.Time // to the minute; zero if never
	LastUsedIP string

	Origin Origin // whence it came, while it is used
}

// MostClients is how many good clients there may be.
const MostClients = 20

// clientPrefix begins the tokens of clients, so that a leaked one can be told.
const clientPrefix = "ghs_"

// Good reports whether the client neither expired nor was revoked.
func (c Client) Good(now time.Time) bool { return c.RevokedAt.IsZero() && now.Before(c.ExpiresAt) }

// Waits reports whether the client has no token yet, without which it is good for
// nothing.
func (c Client) Waits() bool { return c.Key == TokenHash{} }

// Source names the directory where memberships say whence they come.
func (c Client) Source() string { return DirectorySource(c.Directory) }

// DirectorySource is the source of memberships by a directory.
func DirectorySource(directory string) string {
	if directory == "" {
		return "scim"
	}
	return "scim:" + directory
}

// Actor is the client as history names it.
func (c Client) Actor() audit.Actor {
	return audit.Actor{Kind: audit.ActorSystem, IP: c.Origin.IP, Agent: c.Origin.Agent, Token: c.ID, TokenName: c.Name}
}

// object is the client in history. Its name isn't personal data.
func (c Client) object() audit.Object {
	return audit.Object{Kind: "directory_client", ID: c.ID, Name: c.Name}
}

// A ClientStore keeps clients. A missing one is a problem of kind NotFound.
type ClientStore interface {
	// Client returns a client, also if it isn't good any more.
	Client(ctx context.Context, key TokenHash) (Client, error)
	// Clients returns all, the newest first.
	Clients(ctx context.Context) ([]Client, error)
	// UpdateClient lets fn give a client its token, or revoke it.
	UpdateClient(ctx context.Context, id string, fn func(*Client) (audit.Event, error)) error
	// TouchClient notes that a client was used.
	TouchClient(ctx context.Context, id string, at time.Time, ip string) error
	// RefuseClient records a refusal unless one was recorded after a time.
	RefuseClient(ctx context.Context, id string, unlessSince time.Time, e audit.Event) error
}

// ClientToken makes the token of a client that has none and returns it, to who asked
// for the client alone. It is told only now. That there is a client was agreed to by
// a change request.
func (s *Service) ClientToken(ctx context.Context, by Reader, id string) (Client, secret.Value, error) {
	if err := by.Check(ManagePeople); err != nil {
		return Client{}, secret.Value{}, err
	}
	text := clientPrefix + NewToken()
	var made Client
	err := s.store.UpdateClient(ctx, id, func(c *Client) (audit.Event, error) {
		switch {
		case c.MadeBy != by.ID:
			return audit.Event{}, problem.New(problem.Forbidden, "Only who asked for the client %s is shown its token.", c.Name)
		case !c.Good(s.now()):
			return audit.Event{}, problem.New(problem.Conflict, "The client %s has ended already.", c.Name)
		case !c.Waits():
			return audit.Event{}, problem.New(problem.Conflict, "The token of %s was shown already, which is done once. If it got lost, revoke the client and make another.", c.Name)
		}
		c.Key = HashToken(text)
		made = *c
		return audit.Event{Actor: by.Actor(), Action: "directory.token_made", Object: c.object()}, nil
	})
	return made, secret.New(text), err
}

// Clients lists the clients of directories.
func (s *Service) Clients(ctx context.Context, by Reader) ([]Client, error) {
	if err := by.Check(ManagePeople); err != nil {
		return nil, err
	}
	return s.store.Clients(ctx)
}

// RevokeClient ends a client at once. The people and groups that it keeps stay as
// they are.
func (s *Service) RevokeClient(ctx context.Context, by Reader, id string) error {
	if err := by.Check(ManagePeople); err != nil {
		return err
	}
	return s.store.UpdateClient(ctx, id, func(c *Client) (audit.Event, error) {
		if !c.Good(s.now()) {
			return audit.Event{}, problem.New(problem.Conflict, "The client %s has ended already.", c.Name)
		}
		c.RevokedAt = s.now()
		return audit.Event{Actor: by.Actor(), Action: "directory.client_revoked", Object: c.object()}, nil
	})
}

// BadClient is the one answer to a token that is no client's, whatever the reason.
func BadClient() *problem.Error {
	return problem.New(problem.SignIn, "This token isn't good. It may be mistyped, expired or revoked. Nothing was changed.")
}

// UseClient returns the client that a token is of. That one was refused which
// there is is recorded, once an hour; guesses at others are counted by address.
func (s *Service) UseClient(ctx context.Context, text string, from Origin) (Client, error) {
	if len(text) != len(clientPrefix)+43 || !strings.HasPrefix(text, clientPrefix) {
		return Client{}, BadClient()
	}
	c, err := s.store.Client(ctx, HashToken(text))
	if problem.Is(err, problem.NotFound) {
		return Client{}, s.guessedClient(ctx, from)
	}
	if err != nil {
		return Client{}, err
	}
	c.Origin = from
	now := s.now()
	if !c.Good(now) {
		e := audit.Event{Actor: c.Actor(), Action: "directory.client_refused", Object: c.object(), Outcome: audit.Denied, Detail: map[string]string{"why": "expired"}}
		if e.Actor.Kind = audit.ActorUnknown; !c.RevokedAt.IsZero() {
			e.Detail["why"] = "revoked"
		}
		if err := s.store.RefuseClient(ctx, c.ID, now.Add(-tokenRefused), e); err != nil {
			return Client{}, err
		}
		return Client{}, BadClient()
	}
	if now.Sub(c.LastUsedAt) >= tokenUsed {
		err = s.store.TouchClient(ctx, c.ID, now, from.IP)
	}
	return c, err
}

// guessedClient counts a token that there isn't, and records it.
func (s *Service) guessedClient(ctx context.Context, from Origin) error {
	if err := s.store.TakeGuess(ctx, "token:"+from.IP, func(g *Guess) error { return g.takeAddress(s.now()) }); err != nil {
		return err
	}
	e := audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUnknown, IP: from.IP, Agent: from.Agent},
		Action: "directory.client_refused", Object: audit.Object{Kind: "directory_client"}, Outcome: audit.Denied, Detail: map[string]string{"why": "unknown"},
	}
	if err := s.store.FailSignIn(ctx, e); err != nil {
		return err
	}
	return BadClient()
}
