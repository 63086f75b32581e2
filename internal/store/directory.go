package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// serve makes sure that a client may still do what it might when the request began.
func (t *tx) serve(c access.Client) error {
	now, err := t.client(c.ID)
	if problem.Is(err, problem.NotFound) || err == nil && !now.Good(t.now) {
		return access.BadClient()
	}
	return err
}

// directoryUser finds somebody of a directory; false if there is nobody.
func (t *tx) directoryUser(directory, condition string, args ...any) (access.DirectoryUser, bool, error) {
	d, err := scanDirectoryUser(t.row(directoryUsers+" AND "+condition, append([]any{directory}, args...)...))
	if errors.Is(err, sql.ErrNoRows) {
		return d, false, nil
	}
	return d, err == nil, err
}

// taken refuses a profile of which another has the user name or the external id.
func (t *tx) taken(directory, id string, p access.Profile) error {
	_, name, err1 := t.directoryUser(directory, "NOT d.gone AND d.user_id <> $2 AND lower(d.user_name) = lower($3)", id, p.UserName)
	_, external, err2 := t.directoryUser(directory, "NOT d.gone AND d.user_id <> $2 AND d.external_id = $3 AND d.external_id <> ''", id, p.ExternalID)
	switch {
	case err1 != nil || err2 != nil:
		return errors.Join(err1, err2)
	case name:
		return problem.New(problem.Conflict, "Somebody has this userName already.")
	case external:
		return problem.New(problem.Conflict, "Somebody has this externalId already.")
	}
	return nil
}

// AddDirectoryUser implements [access.DirectoryStore].
func (s *Store) AddDirectoryUser(ctx context.Context, c access.Client, p access.Profile, issuer string, fn func(*access.Account, *access.DirectoryUser, bool) ([]audit.Event, error)) (access.DirectoryUser, error) {
	var d access.DirectoryUser
	err := s.write(ctx, func(t *tx) error {
		if err := errors.Join(t.serve(c), t.taken(c.Directory, "", p)); err != nil {
			return err
		}
		a, was, known, err := t.directoryAccount(c.Directory, issuer, p)
		if err != nil {
			return err
		}
		d = access.DirectoryUser{Profile: p, Ended: was.Ended, Added: was.Added}
		before := a
		events, err := fn(&a, &d, known)
		if err != nil {
			return err
		}
		if known {
			err = t.saveAccount(a)
		} else {
			err = t.addArrived(&a)
		}
		if err := errors.Join(err, t.relink(c, issuer, a.ID, was.ExternalID, p.ExternalID), t.saveDirectoryUser(c, &d, a)); err != nil {
			return err
		}
		return errors.Join(t.followed(before, a, events), t.leavesManager(before.User))
	})
	return d, err
}

// leavesManager refuses a change by a directory after which nobody manages people,
// where some of those who changed did.
func (t *tx) leavesManager(changed ...access.User) error {
	manages := func(u access.User) bool { return u.May(access.ManagePeople) }
	if !slices.ContainsFunc(changed, manages) {
		return nil
	}
	people, err := t.peopleNow()
	if err == nil && !slices.ContainsFunc(people, manages) {
		err = access.ErrLastManager
	}
	return err
}

// directoryAccount finds the account of somebody who comes into a directory: who was
// in it before, or signs in through its provider.
func (t *tx) directoryAccount(directory, issuer string, p access.Profile) (a access.Account, was access.DirectoryUser, known bool, err error) {
	if p.ExternalID == "" {
		return a, was, false, nil
	}
	was, known, err = t.directoryUser(directory, "d.gone AND d.external_id = $2 ORDER BY d.updated_at DESC LIMIT 1", p.ExternalID)
	if known {
		a, err = t.account(was.ID)
	}
	if known || err != nil || issuer == "" {
		return a, was, known, err
	}
	a, known, err = t.accountOf(access.Identity{Issuer: issuer, Subject: p.ExternalID})
	if err != nil || !known {
		return a, was, known, err
	}
	var elsewhere int
	err = t.row("SELECT count(*) FROM scim_user WHERE user_id = $1 AND NOT gone", a.ID).Scan(&elsewhere)
	if err != nil || elsewhere > 0 {
		return a, was, known, cmp.Or(err, error(problem.New(problem.Conflict, "Somebody has this externalId already.")))
	}
	err = t.row("SELECT count(*) FROM identity WHERE user_id = $1 AND issuer <> $2", a.ID, issuer).Scan(&elsewhere)
	if err == nil && elsewhere > 0 {
		err = access.ErrOtherWays
	}
	return a, was, known, err
}

// relink makes the external id of somebody their identity at an issuer.
func (t *tx) relink(c access.Client, issuer, userID, before, after string) error {
	if issuer == "" || after == "" {
		return nil
	}
	i := access.Identity{Provider: c.Directory, Issuer: issuer, Subject: after}
	a, known, err := t.accountOf(i)
	if known && a.ID != userID {
		err = problem.New(problem.Conflict, "Somebody signs in with this externalId already.")
	}
	if err != nil {
		return err
	}
	if before != "" && before != after {
		_, err = t.endSessions(userID, func(one access.Session) bool { return one.Method == i.Source() })
		t.people = true
		err = errors.Join(err, t.exec("DELETE FROM identity WHERE issuer = $1 AND subject = $2 AND user_id = $3", issuer, before, userID),
			t.exec("DELETE FROM group_member WHERE user_id = $1 AND source = $2", userID, i.Source()))
	}
	if !known {
		err = errors.Join(err, t.addIdentity(i, userID))
	}
	return err
}

func (t *tx) saveDirectoryUser(c access.Client, d *access.DirectoryUser, a access.Account) error {
	d.Updated, d.State, d.Active = t.now, a.State, a.State != access.Disabled
	d.Added = cmp.Or(d.Added, t.now)
	return t.exec(`INSERT INTO scim_user (user_id, directory, external_id, user_name, given_name, family_name, display_name, email, ended, gone, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
		ON CONFLICT (user_id) DO UPDATE SET directory = excluded.directory, external_id = excluded.external_id, user_name = excluded.user_name, given_name = excluded.given_name,
		family_name = excluded.family_name, display_name = excluded.display_name, email = excluded.email, ended = excluded.ended, gone = excluded.gone, updated_at = excluded.updated_at`,
		d.ID, c.Directory, d.ExternalID, d.UserName, d.GivenName, d.FamilyName, d.DisplayName, d.Mail, d.Ended, d.Gone, micros(t.now))
}

// followed ends what an account had that a directory disabled, and records it.
func (t *tx) followed(before, after access.Account, events []audit.Event) error {
	if err := errors.Join(t.endLinks(before, after), t.record(events...)); err != nil || after.State != access.Disabled {
		return err
	}
	_, err := t.endSessions(after.ID, func(access.Session) bool { return true })
	return errors.Join(err, t.endTokens(after.ID, events[0].Actor))
}

// UpdateDirectoryUser implements [access.DirectoryStore].
func (s *Store) UpdateDirectoryUser(ctx context.Context, c access.Client, id, issuer string, fn func(*access.Account, *access.DirectoryUser) ([]audit.Event, error)) (access.DirectoryUser, error) {
	var d access.DirectoryUser
	err := s.write(ctx, func(t *tx) error {
		err := t.serve(c)
		if err != nil {
			return err
		}
		var known bool
		if d, known, err = t.directoryUser(c.Directory, "NOT d.gone AND d.user_id = $2", id); err == nil && !known {
			err = missing(sql.ErrNoRows, "user")
		}
		if err != nil {
			return err
		}
		a, err := t.account(id)
		if err != nil {
			return err
		}
		if d.Groups, err = readGroupsOf(t.each, c.Directory, id); err != nil {
			return err
		}
		was, before := d, a
		events, err := fn(&a, &d)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			d = was
			return errUnchanged
		}
		if err := errors.Join(t.taken(c.Directory, id, d.Profile), t.saveAccount(a), t.saveAddress(before, a), t.relink(c, issuer, id, was.ExternalID, d.ExternalID), t.saveDirectoryUser(c, &d, a)); err != nil {
			return err
		}
		if d.Gone {
			if err := t.exec("DELETE FROM group_member WHERE user_id = $1 AND source = $2", id, c.Source()); err != nil {
				return err
			}
		}
		return errors.Join(t.followed(before, a, events), t.leavesManager(before.User))
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return d, err
}

// saveAddress keeps a new address, unless it is somebody else's: then there is none.
func (t *tx) saveAddress(before, after access.Account) error {
	if before.Email == after.Email {
		return nil
	}
	var taken int
	if err := t.row("SELECT count(*) FROM users WHERE email = $1 AND id <> $2", after.Email, after.ID).Scan(&taken); err != nil {
		return err
	}
	if taken > 0 {
		after.Email = ""
	}
	return t.exec("UPDATE users SET email = $2 WHERE id = $1", after.ID, cmp.Or(after.Email, after.ID))
}

// UpdateDirectoryGroup implements [access.DirectoryStore].
func (s *Store) UpdateDirectoryGroup(ctx context.Context, c access.Client, id string, fn func(*access.DirectoryGroup) ([]audit.Event, error), moved func(access.User, access.DirectoryGroup, bool) audit.Event) (access.DirectoryGroup, error) {
	var g access.DirectoryGroup
	err := s.write(ctx, func(t *tx) error {
		if err := t.serve(c); err != nil {
			return err
		}
		g = access.DirectoryGroup{Added: t.now}
		if id != "" {
			found, err := readDirectoryGroups(t.each, c.Directory, id)
			if err == nil && len(found) == 0 {
				err = missing(sql.ErrNoRows, "group")
			}
			if err != nil {
				return err
			}
			g = found[0]
		}
		was := g
		events, err := fn(&g)
		if err != nil {
			return err
		}
		left, more, err := t.regroup(c, was, g, moved)
		if err != nil {
			return err
		}
		if events = append(events, more...); len(events) == 0 {
			return errUnchanged
		}
		g.Updated = t.now
		return errors.Join(t.saveDirectoryGroup(c, g), t.endIdleLinks(), t.leavesManager(left...), t.record(events...))
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return g, err
}

// saveDirectoryGroup keeps a group, or takes one from its directory that is gone. It
// stays as a group where somebody here relies on it: it has grants or other members,
// or a policy names it.
func (t *tx) saveDirectoryGroup(c access.Client, g access.DirectoryGroup) error {
	t.people = true
	if !g.Gone {
		if err := t.groupNamed(g); err != nil {
			return err
		}
		return errors.Join(
			t.exec("INSERT INTO user_group (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = excluded.name", g.ID, g.Name, micros(t.now)),
			t.exec(`INSERT INTO scim_group (group_id, directory, external_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
				ON CONFLICT (group_id) DO UPDATE SET external_id = excluded.external_id, updated_at = excluded.updated_at`, g.ID, c.Directory, g.ExternalID, micros(t.now)),
			t.putMembers(g.ID, c.Source(), g.Members))
	}
	if err := errors.Join(t.exec("DELETE FROM scim_group WHERE group_id = $1", g.ID), t.putMembers(g.ID, c.Source(), nil)); err != nil {
		return err
	}
	var used int
	err := t.row(`SELECT (SELECT count(*) FROM group_grant WHERE group_id = $1) + (SELECT count(*) FROM group_member WHERE group_id = $1)
		+ (SELECT count(*) FROM group_external WHERE group_id = $1) + (SELECT count(*) FROM policy WHERE content LIKE '%"' || $1 || '"%')`, g.ID).Scan(&used)
	if err != nil || used > 0 {
		return err
	}
	return t.deleteGroup(g.ID)
}

// groupNamed refuses a name that another group has: names tell them apart on pages.
func (t *tx) groupNamed(g access.DirectoryGroup) error {
	var taken int
	err := t.row("SELECT count(*) FROM user_group WHERE lower(name) = lower($1) AND id <> $2", g.Name, g.ID).Scan(&taken)
	if taken > 0 {
		return problem.New(problem.Conflict, "There is another group of this name. Rename one of them.")
	}
	return err
}

// regroup says who comes into a group and who leaves it, and refuses whom the
// directory doesn't look after. It returns those who leave, as they are now.
func (t *tx) regroup(c access.Client, was, now access.DirectoryGroup, moved func(access.User, access.DirectoryGroup, bool) audit.Event) (left []access.User, events []audit.Event, err error) {
	if now.Gone {
		now.Members = nil
	}
	if slices.Equal(was.Members, now.Members) {
		return nil, nil, nil
	}
	people, err := t.peopleNow()
	if err != nil {
		return nil, nil, err
	}
	names := make(map[string]access.User, len(people))
	for _, u := range people {
		names[u.ID] = u
	}
	theirs := map[string]bool{}
	if err := t.each(func(row scanner) error {
		var id string
		err := row.Scan(&id)
		theirs[id] = true
		return err
	}, "SELECT user_id FROM scim_user WHERE directory = $1 AND NOT gone", c.Directory); err != nil {
		return nil, nil, err
	}
	for _, id := range now.Members {
		if !theirs[id] {
			return nil, nil, problem.New(problem.Invalid, "members: there is no such user.")
		}
		if _, in := slices.BinarySearch(was.Members, id); !in {
			events = append(events, moved(names[id], now, true))
		}
	}
	for _, id := range was.Members {
		if _, in := slices.BinarySearch(now.Members, id); !in {
			left, events = append(left, names[id]), append(events, moved(names[id], now, false))
		}
	}
	return left, events, nil
}

// putMembers makes the members of a group by a source those that are given.
func (t *tx) putMembers(group, source string, members []string) error {
	err := t.exec("DELETE FROM group_member WHERE group_id = $1 AND source = $2", group, source)
	for _, id := range members {
		err = errors.Join(err, t.exec("INSERT INTO group_member (group_id, user_id, source) VALUES ($1, $2, $3)", group, id, source))
	}
	return err
}
