package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/query"
	"gatehouse/internal/secret"
)

// A Search is a search of history that somebody keeps.
type Search struct {
	ID     string // qry_…
	Owner  string // user id
	Name   string
	Text   string // in the language of history
	Shared bool   // everybody may use it
	Every  Digest // how often the reader gets mail of what is new; empty: never
}

// Weekly is a choice for what a search finds, beside [Daily].
const Weekly Digest = "weekly"

// SearchDigests are the choices for what a search finds.
func SearchDigests() []Digest { return []Digest{Daily, Weekly} }

// A DueSearch is a digest of what a search found that is to go out.
type DueSearch struct {
	Search Search
	User   string
	Seq    int64 // up to which entry the person knows it
}

const (
	maxSearchName = 60 // characters
	mostSearches  = 100
)

func (q Search) event(by access.Reader, action string) audit.Event {
	return audit.Event{Actor: by.Actor(), Action: action, Object: audit.Object{Kind: "search", ID: q.ID, Name: q.Name}}
}

// check returns complaints by field, and cleans the name.
func (q *Search) check() error {
	q.Name = clean(q.Name)
	wrong := map[string]string{}
	if q.Name == "" || len([]rune(q.Name)) > maxSearchName {
		wrong["name"] = "Enter a name of at most 60 characters."
	}
	switch _, err := query.Parse(q.Text); {
	case err != nil:
		wrong["q"] = err.Error()
	case strings.TrimSpace(q.Text) == "":
		wrong["q"] = "Say what to search for."
	}
	if len(wrong) > 0 {
		return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	return nil
}

// Searches returns the reader's searches and those that are shared, by name.
func (s *Service) Searches(ctx context.Context, r access.Reader) ([]Search, error) {
	return s.store.Searches(ctx, r.ID)
}

// SaveSearch keeps a search.
func (s *Service) SaveSearch(ctx context.Context, r access.Reader, q Search) (Search, error) {
	if err := errors.Join(r.Check(access.ViewHistory), q.check()); err != nil {
		return q, err
	}
	all, err := s.store.Searches(ctx, r.ID)
	if err != nil {
		return q, err
	}
	if len(slices.DeleteFunc(all, func(o Search) bool { return o.Owner != r.ID })) >= mostSearches {
		return q, problem.New(problem.Conflict, "You have %d saved searches, which is all there may be. Nothing was saved. Delete one first.", mostSearches)
	}
	q.ID, q.Owner = "qry_"+secret.Code(16), r.ID
	return q, s.store.AddSearch(ctx, q, q.event(r, "search.saved"))
}

// EditSearch renames a search of the reader's, and shares it or not.
func (s *Service) EditSearch(ctx context.Context, r access.Reader, id, name string, shared bool) error {
	return s.store.UpdateSearch(ctx, id, func(q *Search) (audit.Event, error) {
		switch {
		case q.Owner == r.ID:
		case q.Shared:
			return audit.Event{}, problem.New(problem.Forbidden, "Only who saved a search can change it. Nothing was changed.")
		default:
			return audit.Event{}, noSearch()
		}
		before := *q
		q.Name, q.Shared = name, shared
		if err := q.check(); err != nil {
			return audit.Event{}, err
		}
		e := q.event(r, "search.edited")
		if before.Name != q.Name {
			e.Changes = append(e.Changes, audit.Change{Field: "name", Before: []string{before.Name}, After: []string{q.Name}})
		}
		if before.Shared != q.Shared {
			e.Changes = append(e.Changes, audit.Change{Field: "shared", Before: []string{strconv.FormatBool(before.Shared)}, After: []string{strconv.FormatBool(q.Shared)}})
		}
		return e, nil
	})
}

// RemoveSearch removes a search of the reader's, with all digests of it.
func (s *Service) RemoveSearch(ctx context.Context, r access.Reader, id string) error {
	q, err := s.visible(ctx, r, id)
	if err != nil {
		return err
	}
	if q.Owner != r.ID {
		return problem.New(problem.Forbidden, "Only who saved a search can delete it. Nothing was changed.")
	}
	return s.store.RemoveSearch(ctx, id, q.event(r, "search.removed"))
}

// FollowSearch says how often the reader gets mail of what a search newly found.
func (s *Service) FollowSearch(ctx context.Context, r access.Reader, id string, every Digest) error {
	q, err := s.visible(ctx, r, id)
	if err != nil {
		return err
	}
	if every != "" && !slices.Contains(SearchDigests(), every) {
		return problem.New(problem.Invalid, "Nothing was saved. Choose daily, weekly or never.")
	}
	e := q.event(r, "search.followed")
	e.Changes = []audit.Change{{Field: "digest", Before: []string{string(q.Every)}, After: []string{string(every)}}}
	return s.store.FollowSearch(ctx, id, r.ID, every, every.next(s.now()), e)
}

// visible returns a search that the reader may use.
func (s *Service) visible(ctx context.Context, r access.Reader, id string) (Search, error) {
	all, err := s.store.Searches(ctx, r.ID)
	for _, q := range all {
		if q.ID == id {
			return q, err
		}
	}
	return Search{}, errors.Join(err, noSearch())
}

func noSearch() error {
	return problem.New(problem.NotFound, "There is no such saved search, or you may not see it.")
}

// next is when a digest of a search goes out next.
func (d Digest) next(now time.Time) time.Time {
	at := Daily.due(now)
	for d == Weekly && at.Weekday() != time.Monday {
		at = at.AddDate(0, 0, 1)
	}
	return at
}

const (
	searchLane    = "searches"
	searchEntries = 50        // entries that a digest lists
	searchRetry   = time.Hour // after a failure
)

// searches starts to send the digests of searches that are due.
func (s *Service) searches(ctx context.Context) error {
	due, err := s.store.DueSearches(ctx, s.now())
	if err != nil || len(due) == 0 {
		return err
	}
	s.mu.Lock()
	busy := s.busy[searchLane]
	s.busy[searchLane] = true
	s.mu.Unlock()
	if busy {
		return nil
	}
	s.group.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.busy, searchLane)
			s.mu.Unlock()
			s.Wake() // what became due meanwhile
		}()
		for _, d := range due {
			if err := s.sendSearch(ctx, d); err != nil && ctx.Err() == nil {
				s.log.Error("send the digest of a search", "search", d.Search.ID, "err", err)
				pause(ctx, s.settings.Retry) // it is still due, and may fail again
			}
		}
	})
	return nil
}

// sendSearch sends what a search found since the last time, if it found anything.
func (s *Service) sendSearch(ctx context.Context, d DueSearch) error {
	u, err := s.user(ctx, d.User)
	if err != nil {
		return err
	}
	head, err := s.store.HistoryHead(ctx)
	if err != nil {
		return err
	}
	next := d.Search.Every.next(s.now())
	if u.State == access.Active && u.May(access.ViewHistory) && s.settings.Mail.Enabled() {
		found, err := s.store.FoundSince(ctx, d.Search.Text, u, d.Seq, head.Seq, searchEntries+1)
		if err == nil && len(found) > 0 {
			err = s.mailSearch(ctx, u, d.Search, found)
		}
		if p := problem.Of(err); p != nil {
			s.log.Warn("the digest of a search was not sent", "search", d.Search.ID, "problem", p.Message, "err", p.Unwrap())
			head.Seq, next = d.Seq, s.now().Add(searchRetry)
		} else if err != nil {
			return err
		}
	}
	return s.store.SentSearch(context.WithoutCancel(ctx), d.Search.ID, d.User, head.Seq, next)
}

// mailSearch tells one person what a search found, the newest first.
func (s *Service) mailSearch(ctx context.Context, u access.User, q Search, found []audit.Entry) error {
	last := found[0].Seq
	count := fmt.Sprintf("%d new entries", len(found))
	switch {
	case len(found) == 1:
		count = "1 new entry"
	case len(found) > searchEntries:
		count = fmt.Sprintf("more than %d new entries", searchEntries)
		found = found[:searchEntries]
	}
	name := shorten(clean(q.Name))
	body := []string{"“" + name + "” found " + count + " of history.", "All it finds: " + s.settings.PublicURL + "/history?q=" + url.QueryEscape(q.Text), ""}
	for _, e := range found {
		words := who(e.Actor) + ": " + strings.NewReplacer("_", " ", ".", " ").Replace(clean(e.Action))
		if e.Object.Name != "" {
			words += ", " + shorten(clean(e.Object.Name))
		}
		body = append(body, "- "+words, fmt.Sprintf("  %s  %s/history/%d", stamp(e.Time), s.settings.PublicURL, e.Seq))
	}
	body = append(body, "", "-- ", "Choose how often you get this: "+s.settings.PublicURL+"/history/searches", "")
	return s.sendLetter(ctx, letter{
		to: u.Email, subject: "Gatehouse: " + count + " for " + name, body: strings.Join(body, "\n"), id: fmt.Sprintf("search.%d.%s.%s", last, q.ID, u.ID),
	})
}
