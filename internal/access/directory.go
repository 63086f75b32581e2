package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Profile is what a directory says of somebody.
type Profile struct {
	ExternalID  string // what it calls them itself; may be empty
	UserName    string // no two people of a directory have one
	GivenName   string
	FamilyName  string
	DisplayName string
	Mail        string
	Active      bool // they may sign in
}

// A DirectoryUser is somebody whom a directory looks after.
type DirectoryUser struct {
	Profile
	ID      string // usr_…
	State   string // of the account
	Groups  []DirectoryGroup
	Ended   bool // the directory disabled the account, so it may enable it again
	Gone    bool // the directory deleted them
	Added   time.Time
	Updated time.Time
}

// A DirectoryGroup is a group that a directory looks after: its name, and who is in
// it by that directory. What its members may do isn't the directory's to say.
type DirectoryGroup struct {
	ID         string // grp_…
	ExternalID string
	Name       string
	Members    []string // usr_…, sorted
	Gone       bool     // the directory deletes it
	Added      time.Time
	Updated    time.Time
}

// Same reports whether the group is as it was: its names and members.
func (g DirectoryGroup) Same(as DirectoryGroup) bool {
	return g.ID == as.ID && g.ExternalID == as.ExternalID && g.Name == as.Name && slices.Equal(g.Members, as.Members)
}

// A DirectoryStore keeps what directories look after. Methods that write make sure
// in the same transaction that the client is still good. What a directory doesn't
// look after is a problem of kind NotFound to it.
type DirectoryStore interface {
	DirectoryUsers(ctx context.Context, directory string) ([]DirectoryUser, error)
	DirectoryGroups(ctx context.Context, directory string) ([]DirectoryGroup, error)
	DirectoryUser(ctx context.Context, directory, id string) (DirectoryUser, error)
	DirectoryGroup(ctx context.Context, directory, id string) (DirectoryGroup, error)
	// AddDirectoryUser finds the account that is somebody's already, by their
	// external id, or fills in a new one: known says which. With an issuer, the
	// external id is their subject there. A user name or external id that somebody
	// has is a problem of kind Conflict.
	AddDirectoryUser(ctx context.Context, c Client, p Profile, issuer string, fn func(a *Account, d *DirectoryUser, known bool) ([]audit.Event, error)) (DirectoryUser, error)
	// UpdateDirectoryUser lets fn change an account and what is said of it. Who is
	// disabled by it has their sessions, links and tokens ended.
	UpdateDirectoryUser(ctx context.Context, c Client, id, issuer string, fn func(a *Account, d *DirectoryUser) ([]audit.Event, error)) (DirectoryUser, error)
	// UpdateDirectoryGroup lets fn change a group, a new one if the id is empty, and
	// records for each person who is in it or not any more what moved says.
	UpdateDirectoryGroup(ctx context.Context, c Client, id string, fn func(*DirectoryGroup) ([]audit.Event, error), moved func(User, DirectoryGroup, bool) audit.Event) (DirectoryGroup, error)
}

// Limits on what directories say.
const (
	MostMembers   = 5000 // of one group, by a directory
	mostDirectory = 255  // characters of one value
)

// name is what Gatehouse calls the person.
func (p Profile) name() string {
	local, _, _ := strings.Cut(p.UserName, "@")
	for _, n := range []string{p.DisplayName, p.GivenName + " " + p.FamilyName, local} {
		if n, complaint := cleanName(n); complaint == "" {
			return n
		}
	}
	return "Somebody new"
}

// clean tidies a profile, or complains.
func (p Profile) clean() (Profile, error) {
	for _, one := range []struct {
		name  string
		value *string
	}{
		{"externalId", &p.ExternalID}, {"userName", &p.UserName}, {"name.givenName", &p.GivenName},
		{"name.familyName", &p.FamilyName}, {"displayName", &p.DisplayName}, {"emails", &p.Mail},
	} {
		if err := cleanText(one.name, one.value); err != nil {
			return p, err
		}
	}
	if p.UserName == "" {
		return p, problem.New(problem.Invalid, "userName is missing.")
	}
	return p, nil
}

// cleanText tidies one value of a directory's, or complains.
func cleanText(name string, value *string) error {
	*value = strings.TrimSpace(*value)
	if len([]rune(*value)) > mostDirectory {
		return problem.New(problem.Invalid, "%s is too long: at most %d characters.", name, mostDirectory)
	}
	if strings.ContainsFunc(*value, func(r rune) bool { return unicode.In(r, unicode.C) }) {
		return problem.New(problem.Invalid, "%s has control characters in it.", name)
	}
	return nil
}

// Refusals of what a directory says.
var (
	// ErrLastManager is the answer where nobody would manage people any more.
	ErrLastManager = problem.New(problem.Conflict, "Nobody would manage people in Gatehouse any more, so nothing was changed. An admin gives somebody else that right first.")
	// ErrOtherWays is the answer where an account isn't its provider's alone.
	ErrOtherWays = problem.New(problem.Conflict, "The account that signs in by this externalId has other ways to sign in, so no directory takes it over. Nothing was changed. Its person unlinks the identity, under Account, Identities, or an admin disables the account.")
)

// refusedLast records that a directory was refused something that would have left
// nobody who manages people, once an hour, and hands the refusal on.
func (s *Service) refusedLast(ctx context.Context, c Client, o audit.Object, err error) error {
	if !errors.Is(err, ErrLastManager) {
		return err
	}
	e := audit.Event{Actor: c.Actor(), Action: "directory.refused", Object: o, Outcome: audit.Denied, Detail: map[string]string{"why": "last manager"}}
	return errors.Join(err, s.store.RefuseClient(ctx, c.ID, s.now().Add(-tokenRefused), e))
}

// AddDirectoryUser makes the account of somebody whom a directory tells of for the
// first time. It may do nothing. Who has one already by their external id keeps it,
// if they have no other way to sign in; nobody is found by an address, and no
// emergency account is found at all.
func (s *Service) AddDirectoryUser(ctx context.Context, c Client, p Profile, issuer string) (DirectoryUser, error) {
	p, err := p.clean()
	if err != nil {
		return DirectoryUser{}, err
	}
	var who audit.Object
	d, err := s.store.AddDirectoryUser(ctx, c, p, issuer, func(a *Account, d *DirectoryUser, known bool) ([]audit.Event, error) {
		adopted := known && d.Added.IsZero()
		switch {
		case a.Emergency:
			return nil, outOfReach()
		case adopted && a.Passphrase != "" && s.MayComeLocally(a.User):
			return nil, ErrOtherWays
		case !known:
			*a = Account{User: User{ID: "usr_" + secret.Code(16), State: Invited, CreatedAt: s.now(), Email: p.address()}}
		}
		a.Name, d.ID, d.Gone = p.name(), a.ID, false
		who = a.object()
		events := []audit.Event{{Actor: c.Actor(), Action: "user.provisioned", Object: who}}
		return append(events, p.follow(c, a, d)...), nil
	})
	return d, s.refusedLast(ctx, c, who, err)
}

// address is where mail goes to the person, or "" if that is no address.
func (p Profile) address() string {
	if mail := CleanEmail(p.Mail); mail != "" {
		return mail
	}
	return CleanEmail(p.UserName)
}

// outOfReach is the answer where a directory would change an emergency account.
func outOfReach() error {
	return problem.New(problem.Forbidden, "This is an emergency account, which no directory changes.")
}

// follow makes the account's state what the directory says. It enables only what
// it disabled itself.
func (p Profile) follow(c Client, a *Account, d *DirectoryUser) []audit.Event {
	var action string
	switch {
	case !p.Active && a.State != Disabled:
		a.State, d.Ended, action = Disabled, true, "user.disabled"
	case p.Active && a.State == Disabled && d.Ended:
		a.State, d.Ended, action = a.enabled(), false, "user.enabled"
	default:
		return nil
	}
	return []audit.Event{{Actor: c.Actor(), Action: action, Object: a.object()}}
}

// enabled is the state of an account that isn't disabled.
func (a Account) enabled() string {
	if a.Passphrase == "" && !a.Linked {
		return Invited
	}
	return Active
}

// UpdateDirectoryUser lets fn change what a directory says of somebody. By whom an
// account with rights is signed in to isn't the directory's to change.
func (s *Service) UpdateDirectoryUser(ctx context.Context, c Client, id, issuer string, fn func(DirectoryUser) (Profile, error)) (DirectoryUser, error) {
	var who audit.Object
	d, err := s.store.UpdateDirectoryUser(ctx, c, id, issuer, func(a *Account, d *DirectoryUser) ([]audit.Event, error) {
		who = a.object()
		if a.Emergency {
			return nil, outOfReach()
		}
		p, err := fn(*d)
		if err == nil {
			p, err = p.clean()
		}
		if err != nil {
			return nil, err
		}
		if issuer != "" && p.ExternalID != d.ExternalID && len(a.Grants) > 0 {
			return nil, problem.New(problem.Forbidden, "Somebody who has roles here signs in by this externalId, so it doesn't change. Nothing was changed. An admin can take the roles first; or the person links the other identity under Account, Identities.")
		}
		var events []audit.Event
		if fields := d.differs(p); len(fields) > 0 {
			a.Name = p.name()
			if a.Passphrase == "" { // else it is what they sign in with
				a.Email = p.address()
			}
			events = append(events, audit.Event{Actor: c.Actor(), Action: "user.profile_set", Object: a.object(), Detail: map[string]string{"fields": strings.Join(fields, ", ")}})
		}
		d.Profile = p
		return append(events, p.follow(c, a, d)...), nil
	})
	return d, s.refusedLast(ctx, c, who, err)
}

// differs names what is said otherwise now. Values are personal and stay out of
// history.
func (p Profile) differs(now Profile) []string {
	var out []string
	for _, one := range []struct{ name, before, after string }{
		{"externalId", p.ExternalID, now.ExternalID}, {"userName", p.UserName, now.UserName}, {"givenName", p.GivenName, now.GivenName},
		{"familyName", p.FamilyName, now.FamilyName}, {"displayName", p.DisplayName, now.DisplayName}, {"emails", p.Mail, now.Mail},
	} {
		if one.before != one.after {
			out = append(out, one.name)
		}
	}
	return out
}

// RemoveDirectoryUser takes somebody out of a directory: the account is disabled and
// out of all groups of the directory.
func (s *Service) RemoveDirectoryUser(ctx context.Context, c Client, id string) error {
	var who audit.Object
	_, err := s.store.UpdateDirectoryUser(ctx, c, id, "", func(a *Account, d *DirectoryUser) ([]audit.Event, error) {
		who = a.object()
		if a.Emergency {
			return nil, outOfReach()
		}
		d.Gone = true
		events := []audit.Event{{Actor: c.Actor(), Action: "user.unprovisioned", Object: who}}
		return append(events, Profile{}.follow(c, a, d)...), nil
	})
	return s.refusedLast(ctx, c, who, err)
}

// DirectoryUsers lists whom a directory looks after, the oldest first.
func (s *Service) DirectoryUsers(ctx context.Context, c Client) ([]DirectoryUser, error) {
	return s.store.DirectoryUsers(ctx, c.Directory)
}

// DirectoryUser returns somebody whom a directory looks after.
func (s *Service) DirectoryUser(ctx context.Context, c Client, id string) (DirectoryUser, error) {
	return s.store.DirectoryUser(ctx, c.Directory, id)
}

// DirectoryGroup returns a group that a directory looks after.
func (s *Service) DirectoryGroup(ctx context.Context, c Client, id string) (DirectoryGroup, error) {
	return s.store.DirectoryGroup(ctx, c.Directory, id)
}

// DirectoryGroups lists the groups that a directory looks after, the oldest first.
func (s *Service) DirectoryGroups(ctx context.Context, c Client) ([]DirectoryGroup, error) {
	return s.store.DirectoryGroups(ctx, c.Directory)
}
