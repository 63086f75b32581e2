package store

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

const userColumns = `id, email, name, passphrase, state, created_at, last_sign_in,
	EXISTS (SELECT 1 FROM passkey WHERE user_id = users.id) OR EXISTS (SELECT 1 FROM totp WHERE user_id = users.id)`

func scanAccount(row scanner) (access.Account, error) {
	var a access.Account
	var created, last int64
	err := row.Scan(&a.ID, &a.Email, &a.Name, &a.Passphrase, &a.State, &created, &last, &a.SecondFactor)
	a.CreatedAt, a.LastSignIn = fromMicros(created), fromMicros(last)
	return a, err
}

const rolesQuery = "SELECT role FROM user_role WHERE user_id = $1 ORDER BY role"

func scanRoles(a *access.Account) func(scanner) error {
	return func(row scanner) error {
		var r access.Role
		err := row.Scan(&r)
		a.Roles = append(a.Roles, r)
		return err
	}
}

const groupsQuery = "SELECT group_id FROM group_member WHERE user_id = $1 ORDER BY group_id"

func scanGroups(a *access.Account) func(scanner) error {
	return func(row scanner) error {
		var g string
		err := row.Scan(&g)
		a.Groups = append(a.Groups, g)
		return err
	}
}

func (s *Store) account(ctx context.Context, condition, arg string) (access.Account, error) {
	a, err := scanAccount(s.row(ctx, "SELECT "+userColumns+" FROM users WHERE "+condition, arg))
	if err != nil {
		return a, missing(err, "person")
	}
	return a, errors.Join(s.each(ctx, scanRoles(&a), rolesQuery, a.ID), s.each(ctx, scanGroups(&a), groupsQuery, a.ID))
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
		return readUsers(func(scan func(scanner) error, query string, args ...any) error {
			return s.each(ctx, scan, query, args...)
		})
	})
}

func (t *tx) peopleNow() ([]access.User, error) { return readUsers(t.each) }

// reading runs a query, in a transaction or outside one.
type reading func(scan func(scanner) error, query string, args ...any) error

func readUsers(each reading) ([]access.User, error) {
	var all []access.User
	at := map[string]int{}
	err := each(func(row scanner) error {
		a, err := scanAccount(row)
		at[a.ID] = len(all)
		all = append(all, a.User)
		return err
	}, "SELECT "+userColumns+" FROM users ORDER BY name, email")
	if err != nil {
		return nil, err
	}
	err = each(func(row scanner) error {
		var id string
		var r access.Role
		err := row.Scan(&id, &r)
		if i, ok := at[id]; ok {
			all[i].Roles = append(all[i].Roles, r)
		}
		return err
	}, "SELECT user_id, role FROM user_role ORDER BY user_id, role")
	if err != nil {
		return nil, err
	}
	return all, each(func(row scanner) error {
		var id, group string
		err := row.Scan(&id, &group)
		if i, ok := at[id]; ok {
			all[i].Groups = append(all[i].Groups, group)
		}
		return err
	}, "SELECT user_id, group_id FROM group_member ORDER BY user_id, group_id")
}

func (t *tx) account(id string) (access.Account, error) {
	a, err := scanAccount(t.row("SELECT "+userColumns+" FROM users WHERE id = $1", id))
	if err != nil {
		return a, missing(err, "person")
	}
	return a, errors.Join(t.each(scanRoles(&a), rolesQuery, id), t.each(scanGroups(&a), groupsQuery, id))
}

func (t *tx) addAccount(a access.Account) error {
	t.people = true
	err := t.exec("INSERT INTO users (id, email, name, passphrase, state, created_at, last_sign_in) VALUES ($1, $2, $3, $4, $5, $6, 0)",
		a.ID, a.Email, a.Name, a.Passphrase, a.State, micros(a.CreatedAt))
	if isUnique(err) {
		return problem.InvalidFields("Nothing was saved.", map[string]string{"email": "Somebody has this address already."})
	}
	if err != nil {
		return err
	}
	return t.saveRoles(a)
}

func (t *tx) saveRoles(a access.Account) error {
	if err := t.exec("DELETE FROM user_role WHERE user_id = $1", a.ID); err != nil {
		return err
	}
	for _, r := range a.Roles {
		if err := t.exec("INSERT INTO user_role (user_id, role) VALUES ($1, $2)", a.ID, r); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) saveAccount(a access.Account) error {
	t.people = true
	return errors.Join(
		t.exec("UPDATE users SET name = $2, passphrase = $3, state = $4 WHERE id = $1", a.ID, a.Name, a.Passphrase, a.State),
		t.saveRoles(a),
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
		if err := errors.Join(t.saveAccount(a), t.endLinks(before, a)); err != nil {
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
