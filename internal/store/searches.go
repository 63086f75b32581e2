package store

import (
	"context"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/internal/query"
)

const searchColumns = "q.id, q.owner_id, q.name, q.text, q.shared, coalesce(d.every, '')"

func scanSearch(row scanner) (q notify.Search, err error) {
	err = row.Scan(&q.ID, &q.Owner, &q.Name, &q.Text, &q.Shared, &q.Every)
	return q, err
}

// Searches implements [notify.Store].
func (s *Store) Searches(ctx context.Context, userID string) (all []notify.Search, err error) {
	err = s.each(ctx, func(row scanner) error {
		q, err := scanSearch(row)
		all = append(all, q)
		return err
	}, "SELECT "+searchColumns+` FROM saved_query q LEFT JOIN query_digest d ON d.query_id = q.id AND d.user_id = $1
		WHERE q.owner_id = $1 OR q.shared ORDER BY q.name, q.id`, userID)
	return all, err
}

// AddSearch implements [notify.Store].
func (s *Store) AddSearch(ctx context.Context, q notify.Search, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		err := t.exec("INSERT INTO saved_query (id, owner_id, name, text, shared, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
			q.ID, q.Owner, q.Name, q.Text, q.Shared, micros(t.now))
		if err != nil {
			return nameTaken(err)
		}
		return t.record(e)
	})
}

func nameTaken(err error) error {
	if isUnique(err) {
		return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", map[string]string{"name": "You have a search of this name already."})
	}
	return err
}

// UpdateSearch implements [notify.Store].
func (s *Store) UpdateSearch(ctx context.Context, id string, fn func(*notify.Search) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		q, err := scanSearch(t.row("SELECT "+searchColumns+" FROM saved_query q LEFT JOIN query_digest d ON d.query_id = q.id AND d.user_id = q.owner_id WHERE q.id = $1", id))
		if err != nil {
			return missing(err, "saved search")
		}
		e, err := fn(&q)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE saved_query SET name = $2, shared = $3 WHERE id = $1", id, q.Name, q.Shared); err != nil {
			return nameTaken(err)
		}
		if !q.Shared {
			if err := t.exec("DELETE FROM query_digest WHERE query_id = $1 AND user_id <> $2", id, q.Owner); err != nil {
				return err
			}
		}
		return t.record(e)
	})
}

// RemoveSearch implements [notify.Store].
func (s *Store) RemoveSearch(ctx context.Context, id string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM query_digest WHERE query_id = $1", id); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM saved_query WHERE id = $1", id); err != nil {
			return err
		}
		return t.record(e)
	})
}

// FollowSearch implements [notify.Store].
func (s *Store) FollowSearch(ctx context.Context, id, userID string, every notify.Digest, due time.Time, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM query_digest WHERE query_id = $1 AND user_id = $2", id, userID); err != nil {
			return err
		}
		if every != "" {
			err := t.exec("INSERT INTO query_digest (query_id, user_id, every, seq, due_at) VALUES ($1, $2, $3, (SELECT COALESCE(MAX(seq), 0) FROM history), $4)", id, userID, every, micros(due))
			if err != nil {
				return err
			}
		}
		return t.record(e)
	})
}

// DueSearches implements [notify.Store].
func (s *Store) DueSearches(ctx context.Context, now time.Time) (all []notify.DueSearch, err error) {
	err = s.each(ctx, func(row scanner) error {
		var d notify.DueSearch
		err := row.Scan(&d.Search.ID, &d.Search.Owner, &d.Search.Name, &d.Search.Text, &d.Search.Shared, &d.Search.Every, &d.User, &d.Seq)
		all = append(all, d)
		return err
	}, "SELECT "+searchColumns+", d.user_id, d.seq FROM query_digest d JOIN saved_query q ON q.id = d.query_id WHERE d.due_at <= $1 ORDER BY d.due_at LIMIT 100", micros(now))
	return all, err
}

// SentSearch implements [notify.Store].
func (s *Store) SentSearch(ctx context.Context, id, userID string, upTo int64, next time.Time) error {
	return s.quiet(ctx, outgoing, func(t *tx) error {
		return t.exec("UPDATE query_digest SET seq = $3, due_at = $4 WHERE query_id = $1 AND user_id = $2", id, userID, upTo, micros(next))
	})
}

// FoundSince implements [notify.Store]. What can't be read, or isn't the person's
// to ask, finds nothing.
func (s *Store) FoundSince(ctx context.Context, text string, by access.User, after, upTo int64, limit int) ([]audit.Entry, error) {
	where, err := query.Parse(text)
	if err != nil {
		return nil, nil //nolint:nilerr // it finds nothing
	}
	q, err := s.Readable(ctx, by, HistoryQuery{Where: where, Before: upTo + 1, Limit: limit})
	if err != nil {
		return nil, err
	}
	found, err := s.History(ctx, q)
	for i, e := range found {
		if e.Seq <= after {
			return found[:i], err
		}
	}
	return found, err
}
