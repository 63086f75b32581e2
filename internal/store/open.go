package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
)

// openRequests holds the change requests that are not ended, since every page
// counts some of them. After a commit only those are read anew that it was about.
type openRequests struct {
	reading sync.Mutex     // held while all is brought up to date
	all     []*openRequest // the oldest first; replaced as a whole
	loaded  bool

	mu    sync.Mutex
	dirty map[string]bool // ids that commits were about since
}

// An openRequest never changes; another takes its place.
type openRequest struct {
	change.Request
	watchers []string // ids of those who took part or watch, and of the author

	mu     sync.Mutex
	people int64           // for which version of them needs is right
	needs  map[string]bool // by person: whether it waits for them
}

// note remembers what a commit was about.
func (o *openRequests) note(ids map[string]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dirty == nil {
		o.dirty = map[string]bool{}
	}
	for id := range ids {
		if strings.HasPrefix(id, "chg_") {
			o.dirty[id] = true
		}
	}
}

func (o *openRequests) takeDirty() map[string]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	dirty := o.dirty
	o.dirty = nil
	return dirty
}

// openNow returns the open requests as of the last commit, the oldest first.
func (s *Store) openNow(ctx context.Context) ([]*openRequest, error) {
	if s.writer == nil {
		return s.readOpen(ctx)
	}
	o := &s.open
	o.reading.Lock()
	defer o.reading.Unlock()
	dirty := o.takeDirty() // before reading: what is committed meanwhile is read again
	if o.loaded && len(dirty) == 0 {
		return o.all, nil
	}
	var all []*openRequest
	var err error
	if o.loaded && len(dirty) <= max(100, len(o.all)/5) {
		all, err = s.reread(ctx, o.all, dirty)
	} else {
		all, err = s.readOpen(ctx)
	}
	o.loaded = err == nil
	o.all = all
	return all, err
}

// reread reads some of the open requests anew.
func (s *Store) reread(ctx context.Context, old []*openRequest, ids map[string]bool) ([]*openRequest, error) {
	all := slices.DeleteFunc(slices.Clone(old), func(r *openRequest) bool { return ids[r.ID] })
	for id := range ids {
		r, err := s.Request(ctx, id)
		if problem.Is(err, problem.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !r.EndedAt.IsZero() {
			continue
		}
		one := &openRequest{Request: r}
		if one.watchers, err = s.Watchers(ctx, id); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b *openRequest) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// readOpen reads all open requests.
func (s *Store) readOpen(ctx context.Context) ([]*openRequest, error) {
	var all []*openRequest
	at := map[string]*openRequest{}
	err := s.each(ctx, func(row scanner) error {
		r, err := scanRequest(row)
		one := &openRequest{Request: r}
		at[r.ID] = one
		all = append(all, one)
		return err
	}, "SELECT "+requestColumns+requestFrom+"WHERE r.ended_at = 0 ORDER BY r.created_at, r.id")
	if err != nil {
		return nil, err
	}
	of := func(id string) *openRequest {
		if one := at[id]; one != nil {
			return one
		}
		return &openRequest{} // made since
	}
	open := " WHERE request_id IN (SELECT id FROM change_request WHERE ended_at = 0) ORDER BY "
	return all, errors.Join(
		s.each(ctx, func(row scanner) error {
			var id string
			var p change.Progress
			err := row.Scan(&id, &p.Target, &p.State, &p.Step, &p.Attempts, &p.Decide, &p.Maybe, &p.Note)
			of(id).Progress = append(of(id).Progress, p)
			return err
		}, "SELECT request_id, "+progressColumns+" FROM change_item"+open+"request_id, item"),
		s.each(ctx, func(row scanner) error {
			id, v, err := scanVoteOf(row)
			of(id).Votes = append(of(id).Votes, v)
			return err
		}, "SELECT "+voteColumns+" FROM vote"+open+"created_at, id"),
		s.each(ctx, func(row scanner) error {
			id, b, err := scanBypassOf(row)
			of(id).Bypass = &b
			return err
		}, "SELECT "+bypassColumns+" FROM bypass"+open+"request_id"),
		s.each(ctx, func(row scanner) error {
			var id, user string
			err := row.Scan(&id, &user)
			of(id).watchers = append(of(id).watchers, user)
			return err
		}, allWatchers),
	)
}

// needsMe reports whether the request waits for somebody. It is worked out once
// for each person, until the request or people change.
func (r *openRequest) needsMe(u access.User, people []access.User, version int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.needs == nil || r.people != version {
		r.people, r.needs = version, map[string]bool{}
	}
	needs, known := r.needs[u.ID]
	if !known {
		needs = r.NeedsMe(u, people)
		r.needs[u.ID] = needs
	}
	return needs
}
