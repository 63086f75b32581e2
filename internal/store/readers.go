package store

import (
	"context"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/query"
)

// Readable narrows a query to what somebody may read: nothing that is about
// people, and of projects whose history isn't theirs to read only what they did
// themselves.
func (s *Store) Readable(ctx context.Context, u access.User, q HistoryQuery) (HistoryQuery, error) {
	if u.May(access.ViewPersonal) {
		return q, nil
	}
	projects, err := s.Projects(ctx)
	if err != nil {
		return q, err
	}
	q.Public, q.Hidden, q.But = true, nil, u.ID
	for _, p := range projects {
		if !p.ReadBy(u) {
			q.Hidden = append(q.Hidden, p.ID)
		}
	}
	return q, nil
}

// AddressAsked refuses a search by what not everybody may see: the addresses of
// people. It is for who may not.
func AddressAsked(q query.Query) *query.Error {
	for _, t := range q.Terms {
		if t.Key == "ip" || t.Key == "actor" && strings.Contains(t.Value, "@") {
			return t.Wrong("You may not see people's addresses, so you can't search for them. Auditors and admins can.")
		}
	}
	return nil
}
