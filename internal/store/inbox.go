package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
)

// An Inbox is what change requests have for one person.
type Inbox struct {
	Needs    []change.Request // that wait for them, the oldest first
	Stuck    []change.Request // that failed or hang, and wait for others
	Mine     int              // open ones of theirs
	Watching int              // open ones that they took part in or watch
	Open     int              // all open ones that they may see
}

// Inbox returns what change requests have for somebody.
func (s *Store) Inbox(ctx context.Context, u access.User) (Inbox, error) {
	return keep(s, "inbox of "+u.ID, func() (Inbox, error) {
		var in Inbox
		open, err := s.OpenRequests(ctx)
		if err != nil {
			return in, err
		}
		due, err := s.BypassesDue(ctx)
		if err != nil {
			return in, err
		}
		people, err := s.Users(ctx)
		if err != nil {
			return in, err
		}
		for _, r := range open {
			if r.State == change.Draft && r.Author.ID != u.ID {
				continue
			}
			in.Open++
			if r.Author.ID == u.ID {
				in.Mine++
			}
			if r.NeedsMe(u, people) {
				in.Needs = append(in.Needs, r)
				continue
			}
			switch r.State {
			case change.Failed, change.Partial, change.Unknown, change.Suspended:
				in.Stuck = append(in.Stuck, r)
			}
		}
		for _, r := range due {
			listed := slices.ContainsFunc(in.Needs, func(n change.Request) bool { return n.ID == r.ID })
			if !listed && r.MayReviewBypass(u) {
				in.Needs = append(in.Needs, r)
			}
		}
		err = s.row(ctx, "SELECT count(*) FROM change_request r WHERE r.ended_at = 0 AND r.author_id <> $1 AND r.state <> 'draft' AND r.id IN ("+watched+")", u.ID).Scan(&in.Watching)
		return in, err
	})
}

// watched are the requests that somebody took part in, was named in or watches.
const watched = `SELECT request_id FROM watch WHERE user_id = $1
	UNION SELECT request_id FROM vote WHERE reviewer_id = $1
	UNION SELECT request_id FROM comment WHERE author_id = $1
	UNION SELECT request_id FROM revision WHERE author_id = $1
	UNION SELECT request_id FROM change_item WHERE target = $1`

// Revisions returns all revisions of a request, the first one first.
func (s *Store) Revisions(ctx context.Context, id string) ([]change.Revision, error) {
	var all []change.Revision
	err := s.each(ctx, func(row scanner) error {
		var v change.Revision
		var items, contributors string
		var at int64
		if err := row.Scan(&v.Number, &items, &v.EffectHash, &contributors, &v.By.ID, &v.By.Name, &at); err != nil {
			return err
		}
		v.CreatedAt = fromMicros(at)
		all = append(all, v)
		last := &all[len(all)-1]
		return errors.Join(json.Unmarshal([]byte(items), &last.Items), json.Unmarshal([]byte(contributors), &last.Contributors))
	}, "SELECT number, items, effect_hash, contributors, author_id, author_name, created_at FROM revision WHERE request_id = $1 ORDER BY number", id)
	return all, err
}
