package store

import (
	"context"
	"database/sql"

	"gatehouse/internal/access"
)

const directoryColumns = "d.user_id, d.external_id, d.user_name, d.given_name, d.family_name, d.display_name, d.email, d.ended, d.gone, d.created_at, d.updated_at, u.state"

const directoryUsers = "SELECT " + directoryColumns + " FROM scim_user d JOIN users u ON u.id = d.user_id WHERE d.directory = $1"

func scanDirectoryUser(row scanner) (access.DirectoryUser, error) {
	var d access.DirectoryUser
	var added, updated int64
	err := row.Scan(&d.ID, &d.ExternalID, &d.UserName, &d.GivenName, &d.FamilyName, &d.DisplayName, &d.Mail, &d.Ended, &d.Gone, &added, &updated, &d.State)
	d.Added, d.Updated, d.Active = fromMicros(added), fromMicros(updated), d.State != access.Disabled
	return d, err
}

// DirectoryUsers implements [access.DirectoryStore].
func (s *Store) DirectoryUsers(ctx context.Context, directory string) ([]access.DirectoryUser, error) {
	var all []access.DirectoryUser
	at := map[string]int{}
	err := s.each(ctx, func(row scanner) error {
		d, err := scanDirectoryUser(row)
		at[d.ID] = len(all)
		all = append(all, d)
		return err
	}, directoryUsers+" AND NOT d.gone ORDER BY d.created_at, d.user_id", directory)
	if err != nil {
		return nil, err
	}
	groups, err := s.DirectoryGroups(ctx, directory)
	for _, g := range groups {
		for _, m := range g.Members {
			if i, ok := at[m]; ok {
				all[i].Groups = append(all[i].Groups, access.DirectoryGroup{ID: g.ID, Name: g.Name})
			}
		}
	}
	return all, err
}

// DirectoryGroups implements [access.DirectoryStore].
func (s *Store) DirectoryGroups(ctx context.Context, directory string) ([]access.DirectoryGroup, error) {
	return readDirectoryGroups(s.reading(ctx), directory, "")
}

// DirectoryGroup implements [access.DirectoryStore].
func (s *Store) DirectoryGroup(ctx context.Context, directory, id string) (access.DirectoryGroup, error) {
	found, err := readDirectoryGroups(s.reading(ctx), directory, id)
	if err == nil && (len(found) == 0 || id == "") {
		err = missing(sql.ErrNoRows, "group")
	}
	if err != nil {
		return access.DirectoryGroup{}, err
	}
	return found[0], nil
}

// DirectoryUser implements [access.DirectoryStore].
func (s *Store) DirectoryUser(ctx context.Context, directory, id string) (access.DirectoryUser, error) {
	d, err := scanDirectoryUser(s.row(ctx, directoryUsers+" AND NOT d.gone AND d.user_id = $2", directory, id))
	if err == nil {
		d.Groups, err = readGroupsOf(s.reading(ctx), directory, id)
	}
	return d, missing(err, "user")
}

// readGroupsOf reads the groups that somebody is in by a directory.
func readGroupsOf(each reading, directory, id string) ([]access.DirectoryGroup, error) {
	var all []access.DirectoryGroup
	err := each(func(row scanner) error {
		var g access.DirectoryGroup
		err := row.Scan(&g.ID, &g.Name)
		all = append(all, g)
		return err
	}, `SELECT g.group_id, u.name FROM scim_group g JOIN user_group u ON u.id = g.group_id JOIN group_member m ON m.group_id = g.group_id
		WHERE g.directory = $1 AND m.user_id = $2 AND m.source = $3 ORDER BY g.created_at, g.group_id`, directory, id, access.DirectorySource(directory))
	return all, err
}

// readDirectoryGroups reads the groups of a directory; with an id, that one alone.
func readDirectoryGroups(each reading, directory, id string) ([]access.DirectoryGroup, error) {
	var all []access.DirectoryGroup
	at := map[string]int{}
	err := each(func(row scanner) error {
		var g access.DirectoryGroup
		var added, updated int64
		err := row.Scan(&g.ID, &g.ExternalID, &g.Name, &added, &updated)
		g.Added, g.Updated = fromMicros(added), fromMicros(updated)
		at[g.ID] = len(all)
		all = append(all, g)
		return err
	}, `SELECT g.group_id, g.external_id, u.name, g.created_at, g.updated_at FROM scim_group g JOIN user_group u ON u.id = g.group_id
		WHERE g.directory = $1 AND ($2 = '' OR g.group_id = $2) ORDER BY g.created_at, g.group_id`, directory, id)
	if err != nil {
		return nil, err
	}
	return all, each(func(row scanner) error {
		var group, user string
		err := row.Scan(&group, &user)
		if i, ok := at[group]; ok {
			all[i].Members = append(all[i].Members, user)
		}
		return err
	}, "SELECT group_id, user_id FROM group_member WHERE source = $1 AND ($2 = '' OR group_id = $2) ORDER BY group_id, user_id", access.DirectorySource(directory), id)
}
