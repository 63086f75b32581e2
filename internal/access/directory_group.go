package access

import (
	"context"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// UpdateDirectoryGroup lets fn change a group of a directory, or make one where the
// id is empty. A group that is new gives its members nothing.
func (s *Service) UpdateDirectoryGroup(ctx context.Context, c Client, id string, fn func(DirectoryGroup) (DirectoryGroup, error)) (DirectoryGroup, error) {
	var which audit.Object
	g, err := s.store.UpdateDirectoryGroup(ctx, c, id, func(g *DirectoryGroup) ([]audit.Event, error) {
		was := *g
		which = audit.Object{Kind: "group", ID: was.ID, Name: was.Name}
		now, err := fn(was)
		if err != nil {
			return nil, err
		}
		name, complaint := cleanName(now.Name)
		if complaint != "" && !now.Gone {
			return nil, problem.New(problem.Invalid, "displayName: %s", complaint)
		}
		if err := cleanText("externalId", &now.ExternalID); err != nil {
			return nil, err
		}
		slices.Sort(now.Members)
		now.Members = slices.Compact(now.Members)
		if len(now.Members) > MostMembers {
			return nil, problem.New(problem.Invalid, "members: at most %d.", MostMembers)
		}
		g.Name, g.ExternalID, g.Members, g.Gone = name, now.ExternalID, now.Members, now.Gone
		e := audit.Event{Actor: c.Actor(), Object: audit.Object{Kind: "group", ID: g.ID, Name: g.Name}}
		switch {
		case was.ID == "":
			g.ID = "grp_" + secret.Code(16)
			e.Action, e.Object.ID = "group.provisioned", g.ID
		case g.Gone:
			e.Action, e.Object.Name = "group.unprovisioned", was.Name
		case was.Name != g.Name, was.ExternalID != g.ExternalID:
			e.Action = "group.renamed"
			e.Changes = []audit.Change{{Field: "name", Before: []string{was.Name}, After: []string{g.Name}}}
		default:
			return nil, nil
		}
		return []audit.Event{e}, nil
	}, func(u User, g DirectoryGroup, in bool) audit.Event {
		ch := audit.Change{Field: "groups", Before: []string{g.ID}, After: []string{}}
		if in {
			ch.Before, ch.After = ch.After, ch.Before
		}
		return audit.Event{Actor: c.Actor(), Action: "user.groups_provisioned", Object: u.object(), Changes: []audit.Change{ch}}
	})
	return g, s.refusedLast(ctx, c, which, err)
}
