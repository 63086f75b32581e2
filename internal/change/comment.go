package change

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Comment is a remark on a request, or on one field of what it changes.
type Comment struct {
	ID       string // com_…
	Request  string
	Item     int    // with Field
	Field    string // empty: on the request as a whole
	Author   Author
	Text     string
	At       time.Time
	EditedAt time.Time // zero if it never was
}

const maxComment = 10_000 // characters

func cleanComment(text string) (string, string) {
	text = cleanText(text)
	if utf8.RuneCountInString(text) > maxComment {
		return text, "Use at most 10,000 characters."
	}
	return text, ""
}

// Comment adds a remark. Field names one of the fields that an item changes, or
// is empty.
func (s *Service) Comment(ctx context.Context, by access.Reader, id string, item int, field, text string) error {
	text, complaint := cleanComment(text)
	if text == "" {
		complaint = "Write something."
	}
	if complaint != "" {
		return problem.InvalidFields("Nothing was recorded.", map[string]string{"text": complaint})
	}
	return s.store.AddComment(ctx, id, func(r *Request) (Comment, audit.Event, error) {
		if !r.ReadBy(by.User) {
			return Comment{}, audit.Event{}, notFound()
		}
		if field != "" && (item < 0 || item >= len(r.Revision.Items) || !r.Revision.Items[item].touches(field)) {
			return Comment{}, audit.Event{}, problem.New(problem.Invalid, "This change request doesn't touch that field.")
		}
		c := Comment{ID: "com_" + secret.Code(16), Request: id, Item: item, Field: field, Author: Author{by.ID, by.Name}, Text: text, At: s.now()}
		e := r.event(by.Actor(), "change.commented")
		e.Detail["comment"] = c.ID
		return c, e, nil
	})
}

// EditComment replaces the text of one's own remark. The one before is kept.
func (s *Service) EditComment(ctx context.Context, by access.Reader, id, comment, text string) error {
	text, complaint := cleanComment(text)
	if text == "" {
		complaint = "Write something."
	}
	if complaint != "" {
		return problem.InvalidFields("Nothing was recorded.", map[string]string{"text": complaint})
	}
	return s.store.EditComment(ctx, id, comment, func(r *Request, c *Comment) (audit.Event, error) {
		if !r.ReadBy(by.User) {
			return audit.Event{}, notFound()
		}
		if c.Author.ID != by.ID {
			return audit.Event{}, problem.New(problem.Forbidden, "Only %s can edit this remark.", c.Author.Name)
		}
		c.Text, c.EditedAt = text, s.now()
		e := r.event(by.Actor(), "change.comment_edited")
		e.Detail["comment"] = c.ID
		return e, nil
	})
}

// Watch makes somebody hear of a request, or not any more.
func (s *Service) Watch(ctx context.Context, by access.Reader, id string, on bool) error {
	return s.store.Watch(ctx, id, by.ID, on, func(r *Request) (audit.Event, error) {
		if !r.ReadBy(by.User) {
			return audit.Event{}, notFound()
		}
		action := "change.unwatched"
		if on {
			action = "change.watched"
		}
		return r.event(by.Actor(), action), nil
	})
}

// cleanText leaves out what hides or turns text: control and bidi characters, but
// for line breaks and tabs.
func cleanText(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if hidden(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "")))
}

func hidden(c rune) bool { return c != '\n' && c != '\t' && c != '\r' && invisible(c) }

func (it Item) touches(field string) bool {
	_, set := it.Set[field]
	return set || slices.ContainsFunc(it.Credentials, func(c Credential) bool { return c.Field == field })
}
