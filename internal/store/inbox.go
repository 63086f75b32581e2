package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

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
	return keep(s, inboxKey(u), func() (Inbox, error) {
		var in Inbox
		version := s.people.Load()
		people, err := s.Users(ctx)
		if err != nil {
			return in, err
		}
		open, err := s.openNow(ctx)
		if err != nil {
			return in, err
		}
		for _, r := range open {
			mine := r.Author.ID == u.ID
			switch {
			case r.State == change.Draft && !mine, !r.At(u).May(access.ViewConfigs):
				continue
			case mine:
				in.Mine++
			case slices.Contains(r.watchers, u.ID):
				in.Watching++
			}
			in.Open++
			if r.needsMe(u, people, version) {
				in.Needs = append(in.Needs, r.Request)
				continue
			}
			switch r.State {
			case change.Failed, change.Partial, change.Unknown, change.Suspended:
				in.Stuck = append(in.Stuck, r.Request)
			}
		}
		return in, s.addBypasses(ctx, u, &in)
	})
}

// inboxKey tells people apart, and what they may do: in a view it is less.
func inboxKey(u access.User) string {
	parts := []string{"inbox of", u.ID}
	for _, g := range u.Grants {
		parts = append(parts, g.String())
	}
	return strings.Join(parts, " ")
}

// addBypasses adds what was applied without approval and waits for a look back.
func (s *Store) addBypasses(ctx context.Context, u access.User, in *Inbox) error {
	due, err := s.BypassesDue(ctx)
	for _, r := range due {
		listed := slices.ContainsFunc(in.Needs, func(n change.Request) bool { return n.ID == r.ID })
		if !listed && r.MayReviewBypass(u) {
			in.Needs = append(in.Needs, r)
		}
	}
	return err
}

// watched are the requests that somebody took part in, was named in or watches.
const watched = `SELECT request_id FROM watch WHERE user_id = $1
	UNION SELECT request_id FROM vote WHERE reviewer_id = $1
	UNION SELECT request_id FROM comment WHERE author_id = $1
	UNION SELECT request_id FROM revision WHERE author_id = $1
	UNION SELECT request_id FROM change_item WHERE target = $1`

// Revisions returns all revisions of a request, the first one first.
func (s *Store) Revisions(ctx context.Context, id string) ([]change.Revision, error) {
	return keepAbout(s, id, "revisions", func() (all []change.Revision, err error) {
		err = s.each(ctx, func(row scanner) error {
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
	})
}
