package store

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
)

const commentColumns = "id, request_id, item, field, author_id, author_name, body, created_at, edited_at"

func scanComment(row scanner) (change.Comment, error) {
	var c change.Comment
	var at, edited int64
	err := row.Scan(&c.ID, &c.Request, &c.Item, &c.Field, &c.Author.ID, &c.Author.Name, &c.Text, &at, &edited)
	c.At, c.EditedAt = fromMicros(at), fromMicros(edited)
	return c, err
}

// Comments returns the remarks on a request, the oldest first.
func (s *Store) Comments(ctx context.Context, request string) ([]change.Comment, error) {
	return keepAbout(s, request, "comments", func() (all []change.Comment, err error) {
		err = s.each(ctx, func(row scanner) error {
			c, err := scanComment(row)
			all = append(all, c)
			return err
		}, "SELECT "+commentColumns+" FROM comment WHERE request_id = $1 ORDER BY created_at, id", request)
		return all, err
	})
}

// AddComment implements [change.Store].
func (s *Store) AddComment(ctx context.Context, id string, fn func(*change.Request) (change.Comment, audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.request(id)
		if err != nil {
			return err
		}
		c, e, err := fn(&r)
		if err != nil {
			return err
		}
		t.isAbout(c.Author.ID)
		if err := t.exec("INSERT INTO comment ("+commentColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
			c.ID, c.Request, c.Item, c.Field, c.Author.ID, c.Author.Name, c.Text, micros(c.At)); err != nil {
			return err
		}
		return t.record(e)
	})
}

// EditComment implements [change.Store].
func (s *Store) EditComment(ctx context.Context, id, comment string, fn func(*change.Request, *change.Comment) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.request(id)
		if err != nil {
			return err
		}
		c, err := scanComment(t.row("SELECT "+commentColumns+" FROM comment WHERE id = $1 AND request_id = $2", comment, id))
		if err != nil {
			return missing(err, "remark")
		}
		before := c.Text
		e, err := fn(&r, &c)
		if err != nil {
			return err
		}
		if err := t.exec("INSERT INTO comment_version (comment_id, replaced_at, body) VALUES ($1, $2, $3)", c.ID, micros(c.EditedAt), before); err != nil {
			return err
		}
		if err := t.exec("UPDATE comment SET body = $2, edited_at = $3 WHERE id = $1", c.ID, c.Text, micros(c.EditedAt)); err != nil {
			return err
		}
		return t.record(e)
	})
}

// Watch implements [change.Store].
func (s *Store) Watch(ctx context.Context, id, userID string, on bool, fn func(*change.Request) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.request(id)
		if err != nil {
			return err
		}
		e, err := fn(&r)
		if err != nil {
			return err
		}
		t.isAbout(userID)
		query := "DELETE FROM watch WHERE request_id = $1 AND user_id = $2"
		if on {
			query = "INSERT INTO watch (request_id, user_id) VALUES ($1, $2) ON CONFLICT (request_id, user_id) DO NOTHING"
		}
		if err := t.exec(query, id, userID); err != nil {
			return err
		}
		return t.record(e)
	})
}

// Watching reports whether somebody pressed Watch on a request.
func (s *Store) Watching(ctx context.Context, id, userID string) (bool, error) {
	return keepAbout(s, id, "watched by "+userID, func() (bool, error) {
		var n int
		err := s.row(ctx, "SELECT count(*) FROM watch WHERE request_id = $1 AND user_id = $2", id, userID).Scan(&n)
		return n > 0, err
	})
}

// watchers are those who took part in a request, were named in it or watch it.
const watchers = `SELECT author_id AS user_id FROM change_request WHERE id = $1
	UNION SELECT author_id FROM revision WHERE request_id = $1
	UNION SELECT reviewer_id FROM vote WHERE request_id = $1
	UNION SELECT author_id FROM comment WHERE request_id = $1
	UNION SELECT target FROM change_item WHERE request_id = $1 AND target IN (SELECT id FROM users)
	UNION SELECT user_id FROM watch WHERE request_id = $1`

// allWatchers is [watchers] of all open requests.
const allWatchers = `WITH open AS (SELECT id, author_id FROM change_request WHERE ended_at = 0)
	SELECT id, author_id FROM open
	UNION SELECT v.request_id, v.author_id FROM open JOIN revision v ON v.request_id = open.id
	UNION SELECT v.request_id, v.reviewer_id FROM open JOIN vote v ON v.request_id = open.id
	UNION SELECT c.request_id, c.author_id FROM open JOIN comment c ON c.request_id = open.id
	UNION SELECT i.request_id, i.target FROM open JOIN change_item i ON i.request_id = open.id JOIN users u ON u.id = i.target
	UNION SELECT w.request_id, w.user_id FROM open JOIN watch w ON w.request_id = open.id`

// Watchers lists the ids of those who took part in a request, were named in it or
// watch it.
func (s *Store) Watchers(ctx context.Context, request string) ([]string, error) {
	return s.strings(ctx, watchers, request)
}

// RecordGuess implements [change.Store].
func (s *Store) RecordGuess(ctx context.Context, id, userID string, fn func(*change.Request, int) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.request(id)
		if err != nil {
			return err
		}
		var before int
		if err := t.row("SELECT coalesce(max(guesses), 0) FROM credential_guess WHERE request_id = $1 AND user_id = $2", id, userID).Scan(&before); err != nil {
			return err
		}
		e, err := fn(&r, before)
		if err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO credential_guess (request_id, user_id, guesses) VALUES ($1, $2, 1)
			ON CONFLICT (request_id, user_id) DO UPDATE SET guesses = credential_guess.guesses + 1`, id, userID); err != nil {
			return err
		}
		return t.record(e)
	})
}
