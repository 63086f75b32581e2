package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A FormDraft is what was typed into a form that was not sent, without credentials.
type FormDraft struct {
	ID      string
	UserID  string
	Path    string // of the page with the form
	Fields  map[string][]string
	SavedAt time.Time // set by the store
}

const (
	draftLife  = 24 * time.Hour
	maxDraft   = 64 << 10 // bytes
	mostDrafts = 30       // of one person
)

// KeepFormDraft keeps a draft for a day and returns its id. Of each page a person
// has one, whose id stays; of very many pages the oldest go.
func (s *Store) KeepFormDraft(ctx context.Context, d FormDraft) (string, error) {
	fields, err := json.Marshal(d.Fields)
	if err != nil {
		return "", err
	}
	if len(fields)+len(d.Path) > maxDraft {
		return "", problem.New(problem.Invalid, "What you typed is too long to be kept. Go back and copy it before you do anything else.")
	}
	id := "drf_" + secret.Code(24)
	err = s.quiet(ctx, formDrafts, func(t *tx) error {
		var old string
		switch err := t.row("SELECT id FROM form_draft WHERE user_id = $1 AND path = $2", d.UserID, d.Path).Scan(&old); {
		case err == nil:
			id = old
			return t.exec("UPDATE form_draft SET fields = $2, created_at = $3 WHERE id = $1", id, string(fields), micros(t.now))
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		return errors.Join(
			t.exec("INSERT INTO form_draft (id, user_id, path, fields, created_at) VALUES ($1, $2, $3, $4, $5)",
				id, d.UserID, d.Path, string(fields), micros(t.now)),
			t.exec(`DELETE FROM form_draft WHERE user_id = $1 AND id NOT IN (
				SELECT id FROM form_draft WHERE user_id = $1 ORDER BY created_at DESC, id LIMIT $2)`, d.UserID, mostDrafts),
		)
	})
	return id, err
}

// FormDraft returns a person's draft.
func (s *Store) FormDraft(ctx context.Context, id, userID string) (FormDraft, error) {
	return scanDraft(s.row(ctx, draftQuery+"id = $1 AND user_id = $2", id, userID))
}

// FormDraftOf returns a person's draft of a page.
func (s *Store) FormDraftOf(ctx context.Context, path, userID string) (FormDraft, error) {
	return scanDraft(s.row(ctx, draftQuery+"path = $1 AND user_id = $2", path, userID))
}

const draftQuery = "SELECT id, user_id, path, fields, created_at FROM form_draft WHERE "

func scanDraft(row scanner) (FormDraft, error) {
	var d FormDraft
	var fields string
	var saved int64
	if err := row.Scan(&d.ID, &d.UserID, &d.Path, &fields, &saved); err != nil {
		return d, missing(err, "draft")
	}
	d.SavedAt = fromMicros(saved)
	return d, json.Unmarshal([]byte(fields), &d.Fields)
}

// DropFormDraft throws a person's draft away.
func (s *Store) DropFormDraft(ctx context.Context, id, userID string) error {
	return s.quiet(ctx, formDrafts, func(t *tx) error {
		return t.exec("DELETE FROM form_draft WHERE id = $1 AND user_id = $2", id, userID)
	})
}
