package store

import (
	"context"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/query"
)

// Readable narrows a query to what somebody may read: nothing that is about
// people, nothing of projects that they don't see, and of those whose history isn't
// theirs to read only what they did themselves, and what is about toolkits that are
// theirs.
func (s *Store) Readable(ctx context.Context, u access.User, q HistoryQuery) (HistoryQuery, error) {
	return s.ReadableFor(ctx, u, access.ViewHistory, q)
}

// ReadableFor is [Store.Readable] for what somebody may read and do something else
// with, too.
func (s *Store) ReadableFor(ctx context.Context, u access.User, p access.Permission, q HistoryQuery) (HistoryQuery, error) {
	q.Public, q.Hidden, q.But, q.Parts, q.Barred = !u.May(access.ViewPersonal), nil, "", nil, nil
	if !q.Public && u.MayIn(p, access.Place{}) {
		return q, nil
	}
	projects, err := s.Projects(ctx)
	if err != nil {
		return q, err
	}
	if u.May(p) {
		q.But = u.ID
	}
	if !u.MayIn(access.ViewHistory, access.Place{}) || !u.MayIn(p, access.Place{}) {
		q.Hidden = append(q.Hidden, "")
	}
	for _, project := range projects {
		q.hide(project, u, p)
	}
	return q, nil
}

// hide hides a project as far as it isn't somebody's to read.
func (q *HistoryQuery) hide(project mirror.Project, u access.User, p access.Permission) {
	may := func(toolkit string) bool { return project.PartReadBy(u, toolkit) && u.MayIn(p, project.At(toolkit)) }
	if may("") {
		return
	}
	if !u.MayWithin(access.ViewConfigs, project.Place()) {
		q.Barred = append(q.Barred, project.ID)
		return
	}
	q.Hidden = append(q.Hidden, project.ID)
	for _, toolkit := range u.Toolkits() {
		if may(toolkit) {
			q.Parts = append(q.Parts, Part{project.ID, toolkit})
		}
	}
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
