package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

const identityColumns = "issuer, subject, user_id, provider, email, created_at, last_used"

func scanIdentity(row scanner) (access.Identity, error) {
	var i access.Identity
	var created, used int64
	err := row.Scan(&i.Issuer, &i.Subject, &i.UserID, &i.Provider, &i.Email, &created, &used)
	i.CreatedAt, i.LastUsed = fromMicros(created), fromMicros(used)
	return i, err
}

const identitiesQuery = "SELECT " + identityColumns + " FROM identity WHERE user_id = $1 ORDER BY created_at, issuer, subject"

// Identities implements [access.Store].
func (s *Store) Identities(ctx context.Context, userID string) ([]access.Identity, error) {
	var all []access.Identity
	err := s.each(ctx, func(row scanner) error {
		i, err := scanIdentity(row)
		all = append(all, i)
		return err
	}, identitiesQuery, userID)
	return all, err
}

// spend uses up a way to a provider and back.
func (t *tx) spend(ticket access.TokenHash, until time.Time) error {
	err := t.exec("INSERT INTO spent_ticket (hash, expires_at) VALUES ($1, $2)", ticket[:], micros(until))
	if isUnique(err) {
		return access.ErrReplayed
	}
	return err
}

// accountOf returns the account of an identity. It is false for an unknown one.
func (t *tx) accountOf(i access.Identity) (access.Account, bool, error) {
	var id string
	err := t.row("SELECT user_id FROM identity WHERE issuer = $1 AND subject = $2", i.Issuer, i.Subject).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return access.Account{}, false, nil
	}
	if err != nil {
		return access.Account{}, false, err
	}
	a, err := t.account(id)
	return a, true, err
}

// errUnchanged ends a transaction in which nothing had to be written.
var errUnchanged = errors.New("nothing changes")

// TakeArrival implements [access.Store].
func (s *Store) TakeArrival(ctx context.Context, in access.Arrival, fn func(*access.Account, bool, access.Groups) ([]audit.Event, error)) (access.Account, error) {
	var a access.Account
	if err := s.quiet(ctx, arrivals, func(t *tx) error { return t.spend(in.Ticket, in.TicketUntil) }); err != nil {
		return a, err
	}
	err := s.write(ctx, func(t *tx) (err error) {
		if a, err = t.takeArrival(in, fn); err == nil {
			err = t.arrived(in)
		}
		return err
	})
	if errors.Is(err, errUnchanged) {
		err = s.quiet(ctx, arrivals, func(t *tx) error { return t.arrived(in) })
	}
	return a, err
}

// arrived notes that somebody signed in by an identity, which tells of their groups.
func (t *tx) arrived(in access.Arrival) error {
	if in.Proves {
		return nil
	}
	return t.exec("UPDATE identity SET provider = $3, email = $4, last_used = $5 WHERE issuer = $1 AND subject = $2", in.Issuer, in.Subject, in.Provider, in.Email, micros(t.now))
}

func (t *tx) takeArrival(in access.Arrival, fn func(*access.Account, bool, access.Groups) ([]audit.Event, error)) (access.Account, error) {
	a, known, err := t.accountOf(in.Identity)
	if err != nil {
		return a, err
	}
	g, err := t.groupsBy(a.ID, in)
	if err != nil {
		return a, err
	}
	events, err := fn(&a, known, g)
	if err == nil && len(events) == 0 {
		err = errUnchanged
	}
	if err != nil {
		return a, err
	}
	if known {
		err = t.saveAccount(a)
	} else {
		err = errors.Join(t.addArrived(&a), t.addIdentity(in.Identity, a.ID))
	}
	if err := errors.Join(err, t.setGroups(a.ID, in.Source(), g)); err != nil {
		return a, err
	}
	a, err = t.account(a.ID)
	return a, errors.Join(err, t.endLinks(a, a), t.record(events...))
}

// addArrived adds the account of somebody who came for the first time.
func (t *tx) addArrived(a *access.Account) error {
	var taken int
	if err := t.row("SELECT count(*) FROM users WHERE email = $1", a.Email).Scan(&taken); err != nil {
		return err
	}
	if taken > 0 {
		a.Email = ""
	}
	return t.addAccount(*a)
}

func (t *tx) addIdentity(i access.Identity, userID string) error {
	return t.exec("INSERT INTO identity ("+identityColumns+") VALUES ($1, $2, $3, $4, $5, $6, 0)",
		i.Issuer, i.Subject, userID, i.Provider, i.Email, micros(t.now))
}

// ungroup takes somebody out of the groups that a provider told of, unless another
// identity of theirs there told of them since.
func (t *tx) ungroup(userID string, gone access.Identity) error {
	t.people = true
	return t.exec(`DELETE FROM group_member WHERE user_id = $1 AND source = $2
		AND NOT EXISTS (SELECT 1 FROM identity WHERE user_id = $1 AND provider = $3 AND last_used > $4)`, userID, gone.Source(), gone.Provider, micros(gone.LastUsed))
}

// groupsBy are the groups that somebody is in by a provider, and those that it tells
// of now. One that isn't asked for groups changes nothing.
func (t *tx) groupsBy(userID string, in access.Arrival) (access.Groups, error) {
	g := access.Groups{Before: []string{}, After: []string{}}
	err := t.each(func(row scanner) error {
		var id string
		err := row.Scan(&id)
		g.Before = append(g.Before, id)
		return err
	}, "SELECT group_id FROM group_member WHERE user_id = $1 AND source = $2 ORDER BY group_id", userID, in.Source())
	if err != nil || in.Groups == nil {
		g.After = g.Before
		return g, err
	}
	for _, external := range in.Groups.IDs {
		var id string
		err := t.row("SELECT group_id FROM group_external WHERE source = $1 AND external_id = $2", in.Source(), external).Scan(&id)
		switch {
		case err == nil:
			g.After = append(g.After, id)
		case !errors.Is(err, sql.ErrNoRows):
			return g, err
		}
	}
	slices.Sort(g.After)
	g.After = slices.Compact(g.After)
	return g, nil
}

// setGroups makes the groups that somebody is in by a source those that they are to
// be in.
func (t *tx) setGroups(userID, source string, g access.Groups) error {
	if !g.Changed() {
		return nil
	}
	t.people = true
	if err := t.exec("DELETE FROM group_member WHERE user_id = $1 AND source = $2", userID, source); err != nil {
		return err
	}
	for _, id := range g.After {
		if err := t.exec("INSERT INTO group_member (group_id, user_id, source) VALUES ($1, $2, $3)", id, userID, source); err != nil {
			return err
		}
	}
	return nil
}

// LinkIdentity implements [access.Store].
func (s *Store) LinkIdentity(ctx context.Context, in access.Arrival, userID string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.spend(in.Ticket, in.TicketUntil); err != nil {
			return err
		}
		a, known, err := t.accountOf(in.Identity)
		switch {
		case err != nil:
			return err
		case known && a.ID == userID:
			return problem.New(problem.Conflict, "You can sign in this way already.")
		case known:
			return problem.New(problem.Conflict, "This identity belongs to another account here, %s. Nothing was changed. Ask an admin which of the two should go.", a.Name)
		}
		return errors.Join(t.addIdentity(in.Identity, userID), t.record(e))
	})
}

// UnlinkIdentity implements [access.Store].
func (s *Store) UnlinkIdentity(ctx context.Context, userID, issuer, subject string, fn func(access.Account, []access.Identity) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		a, err := t.account(userID)
		if err != nil {
			return err
		}
		var all []access.Identity
		if err := t.each(func(row scanner) error {
			i, err := scanIdentity(row)
			all = append(all, i)
			return err
		}, identitiesQuery, userID); err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(i access.Identity) bool { return i.Issuer == issuer && i.Subject == subject })
		if at < 0 {
			return problem.New(problem.NotFound, "You can't sign in this way any more.")
		}
		e, err := fn(a, all)
		if err != nil {
			return err
		}
		_, err = t.endSessions(userID, func(one access.Session) bool { return one.Method == all[at].Source() })
		return errors.Join(err, t.exec("DELETE FROM identity WHERE issuer = $1 AND subject = $2", issuer, subject), t.ungroup(userID, all[at]), t.record(e))
	})
}
