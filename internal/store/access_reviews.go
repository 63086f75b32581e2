package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
)

const accessReviewColumns = "id, name, set_hash, opened_by, opened_at, closed_by, closed_at, conclusion, left_reason, report"

func scanAccessReview(row scanner) (access.Review, error) {
	var r access.Review
	var opened, closed int64
	err := row.Scan(&r.ID, &r.Name, &r.Set, &r.OpenedBy, &opened, &r.ClosedBy, &closed, &r.Conclusion, &r.LeftReason, &r.Report)
	r.OpenedAt, r.ClosedAt = fromMicros(opened), fromMicros(closed)
	return r, err
}

func readReviewRows(each reading, id string) ([]access.ReviewRow, error) {
	var all []access.ReviewRow
	err := each(func(row scanner) error {
		var one access.ReviewRow
		var grants, stays string
		var last, at int64
		err := row.Scan(&one.User, &one.State, &last, &grants, &stays, &one.Verdict, &one.By, &at, &one.Comment, &one.Request)
		if err != nil {
			return err
		}
		one.LastSignIn, one.At = fromMicros(last), fromMicros(at)
		all = append(all, one)
		return errors.Join(json.Unmarshal([]byte(grants), &all[len(all)-1].Rights), json.Unmarshal([]byte(stays), &all[len(all)-1].Stays))
	}, "SELECT user_id, state, last_sign_in, grants, groups, verdict, by_id, at, comment, request_id FROM access_review_row WHERE review_id = $1 ORDER BY number", id)
	return all, err
}

// AccessReview returns an access review with its rows.
func (s *Store) AccessReview(ctx context.Context, id string) (access.Review, error) {
	r, err := scanAccessReview(s.row(ctx, "SELECT "+accessReviewColumns+" FROM access_review WHERE id = $1", id))
	if err != nil {
		return r, missing(err, "access review")
	}
	r.Rows, err = readReviewRows(func(fn func(scanner) error, query string, args ...any) error { return s.each(ctx, fn, query, args...) }, id)
	return r, err
}

// AccessReviews lists access reviews with their rows, the open ones and then the
// newest first.
func (s *Store) AccessReviews(ctx context.Context) ([]access.Review, error) {
	ids, err := s.strings(ctx, fmt.Sprintf("SELECT id FROM access_review ORDER BY closed_at > 0, opened_at DESC LIMIT %d", mostReviews))
	all := make([]access.Review, len(ids))
	for i, id := range ids {
		if all[i], err = s.AccessReview(ctx, id); err != nil {
			return nil, err
		}
	}
	return all, err
}

// AddAccessReview implements [access.ReviewStore]. Names are looked up by their ids.
func (s *Store) AddAccessReview(ctx context.Context, r access.Review, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		err := t.exec(`INSERT INTO access_review (id, name, people, set_hash, opened_by, opened_name, opened_at, closed_by, closed_name, closed_at, conclusion, left_reason, report)
			VALUES ($1, $2, $3, $4, $5, '', $6, '', '', 0, '', '', '')`, r.ID, r.Name, len(r.Rows), r.Set, r.OpenedBy, micros(r.OpenedAt))
		if err != nil {
			return err
		}
		for i, row := range r.Rows {
			grants, err := json.Marshal(row.Rights)
			if err != nil {
				return err
			}
			err = t.exec(`INSERT INTO access_review_row (review_id, user_id, number, name, state, last_sign_in, grants, groups, verdict, by_id, by_name, at, comment, request_id)
				VALUES ($1, $2, $3, '', $4, $5, $6, '[]', '', '', '', 0, '', '')`, r.ID, row.User, i+1, row.State, micros(row.LastSignIn), string(grants))
			if err != nil {
				return err
			}
		}
		return t.record(e)
	})
}

// UpdateAccessReview implements [access.ReviewStore].
func (s *Store) UpdateAccessReview(ctx context.Context, id string, fn func(*access.Review) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error { return t.updateAccessReview(id, fn) })
}

func (t *tx) updateAccessReview(id string, fn func(*access.Review) (audit.Event, error)) error {
	r, err := scanAccessReview(t.row("SELECT "+accessReviewColumns+" FROM access_review WHERE id = $1", id))
	if err != nil {
		return missing(err, "access review")
	}
	if r.Rows, err = readReviewRows(t.each, id); err != nil {
		return err
	}
	e, err := fn(&r)
	if err != nil {
		return err
	}
	errs := []error{t.exec("UPDATE access_review SET closed_by = $2, closed_at = $3, conclusion = $4, left_reason = $5, report = $6 WHERE id = $1",
		id, r.ClosedBy, micros(r.ClosedAt), r.Conclusion, r.LeftReason, r.Report)}
	for _, row := range r.Rows {
		stays, err := json.Marshal(slices.Concat([]access.ReviewRight{}, row.Stays))
		errs = append(errs, err, t.exec("UPDATE access_review_row SET verdict = $3, by_id = $4, at = $5, comment = $6, request_id = $7, groups = $8 WHERE review_id = $1 AND user_id = $2 AND (at <> $5 OR verdict <> $3)",
			id, row.User, row.Verdict, row.By, micros(row.At), row.Comment, row.Request, string(stays)))
	}
	return errors.Join(append(errs, t.record(e))...)
}

// AddRevocation implements [change.Store].
func (s *Store) AddRevocation(ctx context.Context, r *change.Request, review string, decide func(*access.Review) (audit.Event, error), fn func(change.Facts) ([]audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.propose(r, nil, fn); err != nil {
			return err
		}
		return t.updateAccessReview(review, decide)
	})
}
