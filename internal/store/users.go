package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

const userColumns = `id, email, name, passphrase, state, created_at, last_sign_in, emergency, EXISTS (SELECT 1 FROM identity WHERE user_id = users.id),
	EXISTS (SELECT 1 FROM passkey WHERE user_id = users.id) OR EXISTS (SELECT 1 FROM totp WHERE user_id = users.id)`

func scanAccount(row scanner) (access.Account, error) {
	var a access.Account
	var created, last int64
	err := row.Scan(&a.ID, &a.Email, &a.Name, &a.Passphrase, &a.State, &created, &last, &a.Emergency, &a.Linked, &a.SecondFactor)
	if a.Email == a.ID {
		a.Email = "" // the column is unique: see addAccount
	}
	a.CreatedAt, a.LastSignIn = fromMicros(created), fromMicros(last)
	return a, err
}

func (s *Store) account(ctx context.Context, condition, arg string) (access.Account, error) {
	return readAccount(s.reading(ctx), condition, arg)
}

// reading is how the store reads outside a transaction.
func (s *Store) reading(ctx context.Context) reading {
	return func(scan func(scanner) error, query string, args ...any) error {
		return s.each(ctx, scan, query, args...)
	}
}

func readAccount(each reading, condition, arg string) (access.Account, error) {
	var a access.Account
	err := each(func(row scanner) (err error) {
		a, err = scanAccount(row)
		return err
	}, "SELECT "+userColumns+" FROM users WHERE "+condition, arg)
	if err == nil && a.ID == "" {
		err = missing(sql.ErrNoRows, "person")
	}
	if err != nil {
		return a, err
	}
	people := []access.User{a.User}
	err = readRights(each, people, a.ID)
	a.User = people[0]
	return a, err
}

// Account implements [access.Store].
func (s *Store) Account(ctx context.Context, id string) (access.Account, error) {
	return s.account(ctx, "id = $1", id)
}

// AccountByEmail implements [access.Store].
func (s *Store) AccountByEmail(ctx context.Context, email string) (access.Account, error) {
	return s.account(ctx, "email = $1", email)
}

// Users implements [access.Store].
func (s *Store) Users(ctx context.Context) ([]access.User, error) {
	return keepIn(s, &s.keptPeople, s.people.Load(), "users", func() ([]access.User, error) {
		return readUsers(s.reading(ctx))
	})
}

func (t *tx) peopleNow() ([]access.User, error) { return readUsers(t.each) }

// reading runs a query, in a transaction or outside one.
type reading func(scan func(scanner) error, query string, args ...any) error

func readUsers(each reading) ([]access.User, error) {
	var all []access.User
	err := each(func(row scanner) error {
		a, err := scanAccount(row)
		all = append(all, a.User)
		return err
	}, "SELECT "+userColumns+" FROM users ORDER BY name, email")
	if err != nil {
		return nil, err
	}
	return all, readRights(each, all, "")
}

func (t *tx) account(id string) (access.Account, error) { return readAccount(t.each, "id = $1", id) }

func (t *tx) addAccount(a access.Account) error {
	t.people = true
	// Who has no address has their id in its place, which is none.
	err := t.exec("INSERT INTO users (id, email, name, passphrase, state, created_at, last_sign_in, emergency) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
		a.ID, cmp.Or(a.Email, a.ID), a.Name, a.Passphrase, a.State, micros(a.CreatedAt), a.Emergency)
	if isUnique(err) {
		return problem.InvalidFields("Nothing was saved.", map[string]string{"email": "Somebody has this address already."})
	}
	if err != nil {
		return err
	}
	return t.saveGrants(a)
}

func (t *tx) saveAccount(a access.Account) error {
	t.people = true
	return errors.Join(
		t.exec("UPDATE users SET name = $2, passphrase = $3, state = $4 WHERE id = $1", a.ID, a.Name, a.Passphrase, a.State),
		t.saveGrants(a),
	)
}

// AddAccount implements [access.Store].
func (s *Store) AddAccount(ctx context.Context, a access.Account, link *access.Link, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.addAccount(a); err != nil {
			return err
		}
		if link != nil {
			if err := t.addLink(*link); err != nil {
				return err
			}
		}
		return t.record(e)
	})
}

// AddFirstAccount implements [access.Store].
func (s *Store) AddFirstAccount(ctx context.Context, a access.Account, key access.TokenHash, now time.Time, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		var users int
		if err := t.row("SELECT count(*) FROM users").Scan(&users); err != nil {
			return err
		}
		l, err := t.link(key)
		if users > 0 || err != nil || l.Good(access.SetupLink, now) != nil {
			return access.BadLink()
		}
		if err := errors.Join(t.exec("DELETE FROM one_time_link WHERE kind = $1", access.SetupLink), t.addAccount(a)); err != nil {
			return err
		}
		return t.record(e)
	})
}

// UpdateAccount implements [access.Store].
func (s *Store) UpdateAccount(ctx context.Context, id string, fn func(*access.Account) ([]audit.Event, error), keep func(access.Session) bool) (access.Account, error) {
	var a access.Account
	err := s.write(ctx, func(t *tx) (err error) {
		if a, err = t.account(id); err != nil {
			return err
		}
		before := a
		events, err := fn(&a)
		if err != nil {
			return err
		}
		if err := errors.Join(t.saveAccount(a), t.endLinks(before, a), t.overruleDirectory(before, a)); err != nil {
			return err
		}
		if keep != nil {
			if _, err := t.endSessions(id, func(one access.Session) bool { return !keep(one) }); err != nil {
				return err
			}
		}
		if err := t.record(events...); err != nil {
			return err
		}
		if a.State == access.Disabled {
			return t.endTokens(id, events[0].Actor)
		}
		return nil
	})
	return a, err
}

// overruleDirectory notes that it isn't its directory any more that disabled an
// account, which it could then enable.
func (t *tx) overruleDirectory(before, after access.Account) error {
	if before.State == after.State {
		return nil
	}
	return t.exec("UPDATE scim_user SET ended = FALSE WHERE user_id = $1", after.ID)
}

// endLinks takes back links that an account's change has overtaken: those to it,
// and those that it may no longer make.
func (t *tx) endLinks(before, after access.Account) error {
	if before.State != after.State || before.Passphrase != after.Passphrase {
		if err := errors.Join(t.exec("DELETE FROM one_time_link WHERE user_id = $1", after.ID), t.endPending(after.ID)); err != nil {
			return err
		}
	}
	if after.May(access.ManagePeople) {
		return nil
	}
	return t.exec("DELETE FROM one_time_link WHERE made_by = $1", after.ID)
}

const linkColumns = "key, kind, user_id, made_by, created_at, expires_at"

func scanLink(row scanner) (access.Link, error) {
	var l access.Link
	var key []byte
	var created, expires int64
	err := row.Scan(&key, &l.Kind, &l.UserID, &l.MadeBy, &created, &expires)
	copy(l.Key[:], key)
	l.CreatedAt, l.ExpiresAt = fromMicros(created), fromMicros(expires)
	return l, missing(err, "link")
}

// Link implements [access.Store].
func (s *Store) Link(ctx context.Context, key access.TokenHash) (access.Link, error) {
	return scanLink(s.row(ctx, "SELECT "+linkColumns+" FROM one_time_link WHERE key = $1", key[:]))
}

func (t *tx) link(key access.TokenHash) (access.Link, error) {
	return scanLink(t.row("SELECT "+linkColumns+" FROM one_time_link WHERE key = $1", key[:]))
}

// addLink keeps a link; earlier ones for the same person stop working.
func (t *tx) addLink(l access.Link) error {
	return errors.Join(
		t.exec("DELETE FROM one_time_link WHERE user_id = $1", l.UserID),
		t.exec("INSERT INTO one_time_link (key, kind, user_id, made_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
			l.Key[:], l.Kind, l.UserID, l.MadeBy, micros(l.CreatedAt), micros(l.ExpiresAt)),
	)
}

// AddLink implements [access.Store].
func (s *Store) AddLink(ctx context.Context, l access.Link, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.addLink(l); err != nil {
			return err
		}
		return t.record(e)
	})
}

// UseLink implements [access.Store].
func (s *Store) UseLink(ctx context.Context, key access.TokenHash, now time.Time, fn func(*access.Account) ([]audit.Event, error)) (access.Account, error) {
	var a access.Account
	err := s.write(ctx, func(t *tx) error {
		l, err := t.link(key)
		if err != nil || l.Good(l.Kind, now) != nil {
			return access.BadLink()
		}
		if a, err = t.account(l.UserID); err != nil {
			return err
		}
		events, err := fn(&a)
		if err != nil {
			return err
		}
		if _, err := t.endSessions(a.ID, func(access.Session) bool { return true }); err != nil {
			return err
		}
		err = errors.Join(t.saveAccount(a), t.exec("DELETE FROM one_time_link WHERE user_id = $1", a.ID), t.endPending(a.ID),
			t.exec("DELETE FROM guess WHERE key = $1", access.FactorKey(a.ID)))
		if err != nil {
			return err
		}
		if err := t.record(events...); err != nil {
			return err
		}
		return t.endTokens(a.ID, events[0].Actor)
	})
	return a, err
}
