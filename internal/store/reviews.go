package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/review"
)

const reviewColumns = `id, name, query, from_at, to_at, up_to, set_hash, entries, opened_by, opened_name, opened_at,
	closed_by, closed_name, closed_at, conclusion, report`

func scanReview(row scanner) (review.Review, error) {
	var r review.Review
	var from, to, opened, closed int64
	err := row.Scan(&r.ID, &r.Name, &r.Query, &from, &to, &r.Scope.UpTo, &r.Scope.Set, &r.Entries, &r.Opened.By.ID, &r.Opened.By.Name, &opened,
		&r.Closed.By.ID, &r.Closed.By.Name, &closed, &r.Conclusion, &r.Report)
	r.From, r.To, r.Opened.At, r.Closed.At = fromMicros(from), fromMicros(to), fromMicros(opened), fromMicros(closed)
	return r, err
}

// Review returns a review.
func (s *Store) Review(ctx context.Context, id string) (review.Review, error) {
	r, err := scanReview(s.row(ctx, "SELECT "+reviewColumns+" FROM review WHERE id = $1", id))
	return r, missing(err, "review")
}

func (t *tx) review(id string) (review.Review, error) {
	r, err := scanReview(t.row("SELECT "+reviewColumns+" FROM review WHERE id = $1", id))
	return r, missing(err, "review")
}

// mostReviews is how many reviews are listed.
const mostReviews = 200

// Reviews lists reviews, the open ones and then the newest first.
func (s *Store) Reviews(ctx context.Context) ([]review.Review, error) {
	var all []review.Review
	err := s.each(ctx, func(row scanner) error {
		r, err := scanReview(row)
		all = append(all, r)
		return err
	}, fmt.Sprintf("SELECT %s FROM review ORDER BY closed_at > 0, opened_at DESC LIMIT %d", reviewColumns, mostReviews))
	return all, err
}

// AddReview implements [review.Store].
func (s *Store) AddReview(ctx context.Context, r review.Review, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		err := t.exec("INSERT INTO review ("+reviewColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', '', 0, '', '')",
			r.ID, r.Name, r.Query, micros(r.From), micros(r.To), r.Scope.UpTo, r.Scope.Set, r.Entries, r.Opened.By.ID, r.Opened.By.Name, micros(r.Opened.At))
		if err != nil {
			return err
		}
		for _, seq := range r.Scope.Seqs {
			if err := t.exec("INSERT INTO review_entry (review_id, seq, looked_by, looked_name, looked_at, comment) VALUES ($1, $2, '', '', 0, '')", r.ID, seq); err != nil {
				return err
			}
		}
		return t.record(e)
	})
}

// selected is a condition on entries of review $1, with its arguments from $n on.
func selected(which review.Selection, n int) (string, []any) {
	if which.Seqs == nil {
		return fmt.Sprintf("seq BETWEEN $%d AND $%d", n, n+1), []any{which.From, which.To}
	}
	args := make([]any, len(which.Seqs))
	marks := make([]string, len(which.Seqs))
	for i, seq := range which.Seqs {
		args[i], marks[i] = seq, fmt.Sprintf("$%d", n+i)
	}
	return "seq IN (" + strings.Join(marks, ", ") + ")", args
}

// MarkReview implements [review.Store].
func (s *Store) MarkReview(ctx context.Context, id string, which review.Selection, undo bool, fn func(review.Review, []int64) (review.Stamp, string, audit.Event, error)) error {
	condition := " AND looked_at = 0"
	if undo {
		condition = " AND looked_at > 0 AND NOT EXISTS (SELECT 1 FROM review_flag f WHERE f.review_id = review_entry.review_id AND f.seq = review_entry.seq)"
	}
	return s.write(ctx, func(t *tx) error {
		r, err := t.review(id)
		if err != nil {
			return err
		}
		chosen, args := selected(which, 2)
		seqs, err := t.numbers("SELECT seq FROM review_entry WHERE review_id = $1 AND "+chosen+condition+" ORDER BY seq", append([]any{id}, args...)...)
		if err != nil {
			return err
		}
		stamp, comment, e, err := fn(r, seqs)
		if err != nil {
			return err
		}
		chosen, args = selected(which, 6)
		err = t.exec("UPDATE review_entry SET looked_by = $2, looked_name = $3, looked_at = $4, comment = $5 WHERE review_id = $1 AND "+chosen+condition,
			append([]any{id, stamp.By.ID, stamp.By.Name, micros(stamp.At), comment}, args...)...)
		if err != nil {
			return err
		}
		return t.record(e)
	})
}

func (t *tx) numbers(query string, args ...any) ([]int64, error) {
	var all []int64
	err := t.each(func(row scanner) error {
		var n int64
		err := row.Scan(&n)
		all = append(all, n)
		return err
	}, query, args...)
	return all, err
}

// FlagReview implements [review.Store].
func (s *Store) FlagReview(ctx context.Context, id string, seqs []int64, fn func(review.Review, []int64) (review.Flag, []audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.review(id)
		if err != nil {
			return err
		}
		chosen, args := selected(review.Selection{Seqs: append([]int64{}, seqs...)}, 2)
		left, err := t.numbers("SELECT seq FROM review_entry WHERE review_id = $1 AND "+chosen+
			" AND seq NOT IN (SELECT seq FROM review_flag WHERE review_id = $1) ORDER BY seq", append([]any{id}, args...)...)
		if err != nil {
			return err
		}
		f, events, err := fn(r, left)
		if err != nil {
			return err
		}
		for _, seq := range left {
			if err := t.addFlag(id, seq, f); err != nil {
				return err
			}
		}
		return t.record(events...)
	})
}

// addFlag adds a flag to an entry, which is looked at by that.
func (t *tx) addFlag(id string, seq int64, f review.Flag) error {
	asked := f.Remarks[0]
	return errors.Join(
		t.exec("INSERT INTO review_flag (review_id, seq, hash, state, assignee_id, assignee_name) VALUES ($1, $2, (SELECT hash FROM history WHERE seq = $2), $3, $4, $5)", id, seq, f.State, f.Assignee.ID, f.Assignee.Name),
		t.addRemark(id, seq, 1, asked),
		t.exec("UPDATE review_entry SET looked_by = $3, looked_name = $4, looked_at = $5 WHERE review_id = $1 AND seq = $2 AND looked_at = 0",
			id, seq, asked.By.ID, asked.By.Name, micros(asked.At)),
	)
}

func (t *tx) addRemark(id string, seq int64, number int, m review.Remark) error {
	return t.exec("INSERT INTO review_remark (review_id, seq, number, state, by_id, by_name, at, to_id, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		id, seq, number, m.State, m.By.ID, m.By.Name, micros(m.At), m.To, m.Text)
}

// UpdateFlag implements [review.Store].
func (s *Store) UpdateFlag(ctx context.Context, id string, seq int64, fn func(review.Review, *review.Flag) (review.Remark, audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.review(id)
		if err != nil {
			return err
		}
		flags, err := readFlags(t.each, "f.review_id = $1 AND f.seq = $2", id, seq)
		if err != nil {
			return err
		}
		if len(flags) == 0 {
			return problem.New(problem.NotFound, "There is no such flag, or you may not see it.")
		}
		f := flags[0]
		number := len(f.Remarks) + 1
		m, e, err := fn(r, &f)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE review_flag SET state = $3, assignee_id = $4, assignee_name = $5 WHERE review_id = $1 AND seq = $2",
			id, seq, f.State, f.Assignee.ID, f.Assignee.Name); err != nil {
			return err
		}
		if err := t.addRemark(id, seq, number, m); err != nil {
			return err
		}
		return t.record(e)
	})
}

// CloseReview implements [review.Store].
func (s *Store) CloseReview(ctx context.Context, id string, fn func(*review.Review, review.Sheet) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		r, err := t.review(id)
		if err != nil {
			return err
		}
		sheet, err := readSheet(t.each, id)
		if err != nil {
			return err
		}
		e, err := fn(&r, sheet)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE review SET closed_by = $2, closed_name = $3, closed_at = $4, conclusion = $5, report = $6 WHERE id = $1",
			id, r.Closed.By.ID, r.Closed.By.Name, micros(r.Closed.At), r.Conclusion, r.Report); err != nil {
			return err
		}
		return t.record(e)
	})
}
