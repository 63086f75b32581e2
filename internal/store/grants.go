package store

import (
	"errors"
	"strings"

	"gatehouse/internal/access"
)

const scopeColumns = "role, project_id, environment, toolkit"

func scanGrant(row scanner) (string, access.Grant, error) {
	var whose string
	var g access.Grant
	err := row.Scan(&whose, &g.Role, &g.Scope.Project, &g.Scope.Environment, &g.Scope.Toolkit)
	return whose, g, err
}

// readGrants reads the grants of people or of groups, by whose they are, with what
// they allow.
func readGrants(each reading, roles []access.CustomRole, query string, args ...any) (map[string][]access.Grant, error) {
	all := map[string][]access.Grant{}
	err := each(func(row scanner) error {
		whose, g, err := scanGrant(row)
		all[whose] = append(all[whose], g)
		return err
	}, query, args...)
	for whose := range all {
		all[whose], _ = access.Known(all[whose], roles) // one that is gone gives nothing
	}
	return all, err
}

func readCustomRoles(each reading) ([]access.CustomRole, error) {
	var all []access.CustomRole
	err := each(func(row scanner) error {
		var r access.CustomRole
		var permissions string
		err := row.Scan(&r.ID, &r.Name, &permissions)
		for _, p := range strings.Fields(permissions) {
			r.Allows = append(r.Allows, access.Permission(p))
		}
		all = append(all, r)
		return err
	}, "SELECT id, name, permissions FROM custom_role ORDER BY name, id")
	return all, err
}

const groupGrants = "SELECT group_id, " + scopeColumns + " FROM group_grant ORDER BY group_id, " + scopeColumns

// readRights adds to people what they may do, and in which groups they are: the one
// place where that is worked out. With an id they are that one person.
func readRights(each reading, people []access.User, id string) error {
	only := ""
	var args []any
	if id != "" {
		only, args = " WHERE user_id = $1", []any{id}
	}
	roles, err := readCustomRoles(each)
	if err != nil {
		return err
	}
	own, err1 := readGrants(each, roles, "SELECT user_id, "+scopeColumns+" FROM user_grant"+only+" ORDER BY user_id, "+scopeColumns, args...)
	groups, err2 := readGrants(each, roles, groupGrants)
	in := map[string][]string{}
	err3 := each(func(row scanner) error {
		var user, group string
		err := row.Scan(&user, &group)
		in[user] = append(in[user], group)
		return err
	}, "SELECT DISTINCT user_id, group_id FROM group_member"+only+" ORDER BY user_id, group_id", args...)
	for i := range people {
		u := &people[i]
		u.Grants, u.Groups = own[u.ID], in[u.ID]
		for _, group := range u.Groups {
			for _, g := range groups[group] {
				g.Through = group
				u.Grants = append(u.Grants, g)
			}
		}
	}
	return errors.Join(err1, err2, err3)
}

// saveGrants makes a person's own grants those of the account. Those of their groups
// are the groups'.
func (t *tx) saveGrants(a access.Account) error {
	return t.putGrants("user_grant", "user_id", a.ID, a.Own())
}

func (t *tx) putGrants(table, column, id string, grants []access.Grant) error {
	if err := t.exec("DELETE FROM "+table+" WHERE "+column+" = $1", id); err != nil {
		return err
	}
	for _, g := range grants {
		if err := t.exec("INSERT INTO "+table+" ("+column+", "+scopeColumns+") VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
			id, g.Role, g.Scope.Project, g.Scope.Environment, g.Scope.Toolkit); err != nil {
			return err
		}
	}
	return nil
}

// readGroups reads all groups, with their members and grants.
func readGroups(each reading, roles []access.CustomRole) ([]access.Group, error) {
	var all []access.Group
	at := map[string]int{}
	grants, err := readGrants(each, roles, groupGrants)
	if err != nil {
		return nil, err
	}
	err = each(func(row scanner) error {
		var g access.Group
		var kept bool
		var directory string
		err := row.Scan(&g.ID, &g.Name, &kept, &directory)
		if g.Grants = grants[g.ID]; kept {
			g.Keeper = access.DirectorySource(directory)
		}
		at[g.ID] = len(all)
		all = append(all, g)
		return err
	}, "SELECT g.id, g.name, s.group_id IS NOT NULL, coalesce(s.directory, '') FROM user_group g LEFT JOIN scim_group s ON s.group_id = g.id ORDER BY g.name, g.id")
	if err != nil {
		return nil, err
	}
	err = each(func(row scanner) error {
		var group string
		var e access.ExternalID
		err := row.Scan(&group, &e.Source, &e.ID)
		if i, ok := at[group]; ok {
			all[i].External = append(all[i].External, e)
		}
		return err
	}, "SELECT group_id, source, external_id FROM group_external ORDER BY group_id, source, external_id")
	if err != nil {
		return nil, err
	}
	return all, each(func(row scanner) error {
		var group string
		var m access.Member
		err := row.Scan(&group, &m.User, &m.Source)
		if i, ok := at[group]; ok && m.Source == access.LocalMember {
			all[i].Members = append(all[i].Members, m.User)
		} else if ok {
			all[i].Others = append(all[i].Others, m)
		}
		return err
	}, "SELECT group_id, user_id, source FROM group_member ORDER BY group_id, user_id, source")
}

// saveGroup makes a group as it is given; members by other sources stay, but those
// of sources that don't call it anything any more.
func (t *tx) saveGroup(g access.Group) error {
	t.people = true // sessions know their people's groups
	err := errors.Join(
		t.exec("INSERT INTO user_group (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = excluded.name", g.ID, g.Name, micros(t.now)),
		t.exec("DELETE FROM group_member WHERE group_id = $1 AND source = $2", g.ID, access.LocalMember),
		t.putGrants("group_grant", "group_id", g.ID, g.Grants),
		t.exec("DELETE FROM group_external WHERE group_id = $1", g.ID),
	)
	for _, e := range g.External {
		err = errors.Join(err, t.exec("INSERT INTO group_external (source, external_id, group_id) VALUES ($1, $2, $3)", e.Source, e.ID, g.ID))
	}
	for _, m := range g.Members {
		err = errors.Join(err, t.exec("INSERT INTO group_member (group_id, user_id, source) VALUES ($1, $2, $3)", g.ID, m, access.LocalMember))
	}
	return err
}

func (t *tx) deleteGroup(id string) error {
	t.people = true
	var errs []error
	for _, table := range []string{"group_member", "group_grant", "group_external", "scim_group"} {
		errs = append(errs, t.exec("DELETE FROM "+table+" WHERE group_id = $1", id))
	}
	return errors.Join(append(errs, t.exec("DELETE FROM user_group WHERE id = $1", id))...)
}

func (t *tx) saveCustomRole(r access.CustomRole) error {
	t.people = true
	names := make([]string, len(r.Allows))
	for i, p := range r.Allows {
		names[i] = string(p)
	}
	return t.exec(`INSERT INTO custom_role (id, name, permissions, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, permissions = excluded.permissions`, r.ID, r.Name, strings.Join(names, " "), micros(t.now))
}

func (t *tx) deleteCustomRole(id string) error {
	t.people = true
	return t.exec("DELETE FROM custom_role WHERE id = $1", id)
}

// endIdleLinks takes back links of those who may no longer make any.
func (t *tx) endIdleLinks() error {
	var makers []string
	err := t.each(func(row scanner) error {
		var id string
		err := row.Scan(&id)
		makers = append(makers, id)
		return err
	}, "SELECT DISTINCT made_by FROM one_time_link WHERE made_by <> ''")
	for _, id := range makers {
		a, one := t.account(id)
		err = errors.Join(err, one, t.endLinks(a, a))
	}
	return err
}
