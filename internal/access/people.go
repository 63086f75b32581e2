package access

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Kinds of one-time link, and how long each lasts.
const (
	SetupLink  = "setup"  // makes the first account
	InviteLink = "invite" // sets the first passphrase of an account
	ResetLink  = "reset"  // sets a new passphrase and lifts a lock

	setupLife  = 30 * time.Minute
	inviteLife = 72 * time.Hour
	resetLife  = 24 * time.Hour
)

// A Link is a one-time link. Who has its token may use it, once.
type Link struct {
	Key       TokenHash
	Kind      string
	UserID    string // empty for SetupLink
	MadeBy    string // an admin's id, or empty for the program itself; it ends with their right to make it
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Good reports a problem with a link at the given time: unknown, used and
// outdated ones are not told apart.
func (l Link) Good(kind string, now time.Time) error {
	if l.Kind != kind || !now.Before(l.ExpiresAt) {
		return BadLink()
	}
	return nil
}

// BadLink is the answer to a link that can't be used.
func BadLink() *problem.Error {
	return problem.New(problem.NotFound, "This link has been used or is too old. Ask for a new one.")
}

// NewSetupLink returns the token of a link for making the first account, or ""
// when there are users already.
func (s *Service) NewSetupLink(ctx context.Context) (string, error) {
	users, err := s.store.Users(ctx)
	if err != nil || len(users) > 0 {
		return "", err
	}
	token, l := s.newLink(SetupLink, "", "", setupLife)
	return token, s.store.AddLink(ctx, l, audit.Event{
		Actor: audit.System(), Action: "setup.link_made", Object: audit.Object{Kind: "user"},
	})
}

func (s *Service) newLink(kind, userID, madeBy string, life time.Duration) (string, Link) {
	token, now := NewToken(), s.now()
	return token, Link{Key: HashToken(token), Kind: kind, UserID: userID, MadeBy: madeBy, CreatedAt: now, ExpiresAt: now.Add(life)}
}

// Person is what is typed about somebody.
type Person struct {
	Email string
	Name  string
	Roles []Role
	Scope Scope // where they have the roles

	Emergency bool // see [User]
}

// SetUp makes the first account, which is admin and editor, and signs it in.
func (s *Service) SetUp(ctx context.Context, token string, p Person, passphrase secret.Value, from Origin) (session string, err error) {
	p.Roles, p.Scope, p.Emergency = []Role{Admin, Editor}, Everywhere, s.closed
	a, err := s.newAccount(p, &passphrase)
	if err != nil {
		return "", err
	}
	key := HashToken(token)
	if l, err := s.store.Link(ctx, key); err != nil || l.Good(SetupLink, s.now()) != nil {
		return "", BadLink()
	}
	if a.Passphrase, err = s.hasher.hash(ctx, passphrase); err != nil {
		return "", err
	}
	err = s.store.AddFirstAccount(ctx, a, key, s.now(), audit.Event{
		Actor: a.Actor(from), Action: "user.set_up", Object: a.object(), Changes: grantChange(a.Grants),
	})
	if err != nil {
		return "", err
	}
	return s.StartSession(ctx, a.User, Proof{Method: MethodLink}, from)
}

// newAccount checks what was typed. With a passphrase the account is active.
func (s *Service) newAccount(p Person, passphrase *secret.Value) (Account, error) {
	fields := map[string]string{}
	a := Account{User: User{ID: "usr_" + secret.Code(16), State: Invited, CreatedAt: s.now(), Emergency: p.Emergency}}
	a.Email, fields["email"] = cleanEmail(p.Email)
	a.Name, fields["name"] = cleanName(p.Name)
	roles, complaint := cleanRoles(p.Roles)
	fields["roles"] = complaint
	for _, r := range roles {
		a.Grants = append(a.Grants, NewGrant(r, p.Scope))
	}
	if passphrase != nil {
		a.State = Active
		fields["passphrase"] = checkPassphrase(*passphrase, p.Name, p.Email)
	}
	return a, complaints(fields)
}

// CheckPerson complains about what [Service.Invite] would complain about in p.
func (s *Service) CheckPerson(p Person) error {
	_, err := s.newAccount(p, nil)
	return err
}

// AddUser makes an active account with a passphrase, from the command line.
func (s *Service) AddUser(ctx context.Context, p Person, passphrase secret.Value) (User, error) {
	a, err := s.newAccount(p, &passphrase)
	if err != nil {
		return a.User, err
	}
	if a.Passphrase, err = s.hasher.hash(ctx, passphrase); err != nil {
		return a.User, err
	}
	return a.User, s.store.AddAccount(ctx, a, nil, audit.Event{
		Actor: audit.System(), Action: "user.added", Object: a.object(), Changes: grantChange(a.Grants),
	})
}

// Invite makes an account without a passphrase and returns the token of the
// link by which the person sets one within three days.
func (s *Service) Invite(ctx context.Context, by Reader, p Person) (User, string, error) {
	if err := by.Check(ManagePeople); err != nil {
		return User{}, "", err
	}
	if s.closed {
		return User{}, "", problem.New(problem.Conflict, "People sign in through the identity provider here. Ask them to do so once; then give them what they need.")
	}
	a, err := s.newAccount(p, nil)
	if err != nil {
		return a.User, "", err
	}
	token, l := s.newLink(InviteLink, a.ID, by.ID, inviteLife)
	return a.User, token, s.store.AddAccount(ctx, a, &l, audit.Event{
		Actor: by.Actor(), Action: "user.invited", Object: a.object(), Changes: grantChange(a.Grants),
	})
}

// ResetPassphrase returns the token of a link by which a person sets a new
// passphrase within a day; a lock after too many guesses is lifted with it. For
// somebody who has not signed in yet it is a new invitation.
func (s *Service) ResetPassphrase(ctx context.Context, by Reader, id string) (string, error) {
	if err := by.Check(ManagePeople); err != nil {
		return "", err
	}
	a, err := s.store.Account(ctx, id)
	if err != nil {
		return "", err
	}
	if a.State == Disabled {
		return "", problem.New(problem.Conflict, "%s is disabled. Enable the account first.", a.Name)
	}
	if !s.MayComeLocally(a.User) {
		return "", problem.New(problem.Conflict, "People sign in through the identity provider here, so a link would be of no use to %s.", a.Name)
	}
	kind, life := ResetLink, resetLife
	if a.State == Invited {
		kind, life = InviteLink, inviteLife
	}
	token, l := s.newLink(kind, a.ID, by.ID, life)
	return token, s.store.AddLink(ctx, l, audit.Event{
		Actor: by.Actor(), Action: "user." + kind + "_link_made", Object: a.object(),
	})
}

// LinkUser returns whom an invitation or reset link is for.
func (s *Service) LinkUser(ctx context.Context, token string) (User, error) {
	l, err := s.store.Link(ctx, HashToken(token))
	if err != nil || l.Good(l.Kind, s.now()) != nil || l.Kind == SetupLink {
		return User{}, BadLink()
	}
	a, err := s.store.Account(ctx, l.UserID)
	if err != nil || a.State == Disabled || !s.MayComeLocally(a.User) {
		return User{}, BadLink()
	}
	return a.User, nil
}

// UseLink sets a passphrase by an invitation or reset link, ends all sessions
// the account may have, and signs in.
func (s *Service) UseLink(ctx context.Context, token string, passphrase secret.Value, from Origin) (session string, err error) {
	u, err := s.LinkUser(ctx, token)
	if err != nil {
		return "", err
	}
	if err := complaints(map[string]string{"passphrase": checkPassphrase(passphrase, u.Name, u.Email)}); err != nil {
		return "", err
	}
	phc, err := s.hasher.hash(ctx, passphrase)
	if err != nil {
		return "", err
	}
	a, err := s.store.UseLink(ctx, HashToken(token), s.now(), func(a *Account) ([]audit.Event, error) {
		if a.State == Disabled {
			return nil, BadLink()
		}
		action := "user.passphrase_reset"
		if a.State == Invited {
			action = "user.joined"
		}
		a.State, a.Passphrase = Active, phc
		return []audit.Event{{Actor: a.Actor(from), Action: action, Object: a.object()}}, nil
	})
	if err != nil {
		return "", err
	}
	return s.StartSession(ctx, a.User, Proof{Method: MethodLink, verified: phc, guesses: accountKey(a.Email)}, from)
}

// ChangePassphrase replaces the reader's passphrase and ends their other sessions.
func (s *Service) ChangePassphrase(ctx context.Context, r Reader, current, next secret.Value) error {
	a, err := s.store.Account(ctx, r.ID)
	if err != nil {
		return err
	}
	match, err := s.compare(ctx, r, a, current)
	if err != nil {
		return err
	}
	fields := map[string]string{"passphrase": checkPassphrase(next, a.Name, a.Email)}
	if !match {
		fields["current"] = "This is not your passphrase."
	}
	if err := complaints(fields); err != nil {
		return err
	}
	phc, err := s.hasher.hash(ctx, next)
	if err != nil {
		return err
	}
	_, err = s.store.UpdateAccount(ctx, r.ID, func(a *Account) ([]audit.Event, error) {
		a.Passphrase = phc
		return []audit.Event{{Actor: r.Actor(), Action: "user.passphrase_changed", Object: a.object()}}, nil
	}, func(one Session) bool { return one.ID == r.Session })
	return err
}

// Rename changes the reader's own name.
func (s *Service) Rename(ctx context.Context, r Reader, name string) error {
	name, complaint := cleanName(name)
	if err := complaints(map[string]string{"name": complaint}); err != nil {
		return err
	}
	_, err := s.store.UpdateAccount(ctx, r.ID, func(a *Account) ([]audit.Event, error) {
		a.Name = name
		return []audit.Event{{Actor: r.Actor(), Action: "user.renamed", Object: a.object()}}, nil
	}, nil)
	return err
}

// SetDisabled disables somebody, which ends their sessions at once, or enables
// them again. Nobody disables themselves.
func (s *Service) SetDisabled(ctx context.Context, by Reader, id string, disabled bool) error {
	if err := by.Check(ManagePeople); err != nil {
		return err
	}
	_, err := s.store.UpdateAccount(ctx, id, func(a *Account) ([]audit.Event, error) {
		switch {
		case a.ID == by.ID:
			return nil, problem.New(problem.Conflict, "You can't disable yourself. Ask another admin.")
		case a.Erased():
			return nil, problem.New(problem.Conflict, "This person was erased. Invite somebody new instead.")
		case disabled == (a.State == Disabled):
			return nil, problem.New(problem.Conflict, "%s is already %s.", a.Name, a.State)
		}
		action := "user.enabled"
		switch {
		case disabled:
			a.State, action = Disabled, "user.disabled"
		default:
			a.State = a.enabled()
		}
		return []audit.Event{{Actor: by.Actor(), Action: action, Object: a.object()}}, nil
	}, func(Session) bool { return !disabled })
	return err
}

func grantChange(after []Grant) []audit.Change {
	text := []string{}
	for _, g := range after {
		text = append(text, g.String())
	}
	return []audit.Change{{Field: "roles", Before: []string{}, After: text}}
}
