package store

import (
	"context"
	"fmt"

	"gatehouse/internal/review"
)

func (s *Store) reader(ctx context.Context) reading {
	return func(scan func(scanner) error, query string, args ...any) error {
		return s.each(ctx, scan, query, args...)
	}
}

// readFlags reads flags with their remarks, in the order of entries.
func readFlags(each reading, where string, args ...any) ([]review.Flag, error) {
	var all []review.Flag
	err := each(func(row scanner) error {
		var f review.Flag
		var m review.Remark
		var hash []byte
		var at int64
		if err := row.Scan(&f.Review, &f.Name, &f.Seq, &hash, &f.State, &f.Assignee.ID, &f.Assignee.Name, &m.State, &m.By.ID, &m.By.Name, &at, &m.To, &m.Text); err != nil {
			return err
		}
		m.At = fromMicros(at)
		if n := len(all); n == 0 || all[n-1].Review != f.Review || all[n-1].Seq != f.Seq {
			copy(f.Hash[:], hash)
			all = append(all, f)
		}
		last := &all[len(all)-1]
		last.Remarks = append(last.Remarks, m)
		return nil
	}, `SELECT f.review_id, v.name, f.seq, f.hash, f.state, f.assignee_id, f.assignee_name, m.state, m.by_id, m.by_name, m.at, m.to_id, m.body
		FROM review_flag f JOIN review v ON v.id = f.review_id
		JOIN review_remark m ON m.review_id = f.review_id AND m.seq = f.seq
		WHERE `+where+` ORDER BY f.review_id, f.seq, m.number`, args...)
	return all, err
}

func readSheet(each reading, id string) (s review.Sheet, err error) {
	if s.Flags, err = readFlags(each, "f.review_id = $1", id); err != nil {
		return s, err
	}
	err = each(func(row scanner) error {
		var l review.Looker
		err := row.Scan(&l.ID, &l.Name, &l.Entries)
		s.Lookers = append(s.Lookers, l)
		return err
	}, "SELECT looked_by, max(looked_name), count(*) FROM review_entry WHERE review_id = $1 AND looked_at > 0 GROUP BY looked_by ORDER BY looked_by", id)
	return s, err
}

// ReviewSheet returns what has been done in a review.
func (s *Store) ReviewSheet(ctx context.Context, id string) (review.Sheet, error) {
	return readSheet(s.reader(ctx), id)
}

// ReviewProgress counts the entries of a review.
func (s *Store) ReviewProgress(ctx context.Context, id string) (review.Progress, error) {
	var p review.Progress
	err := s.row(ctx, `SELECT (SELECT entries FROM review WHERE id = $1), (SELECT count(*) FROM review_entry WHERE review_id = $1 AND looked_at > 0),
		(SELECT count(*) FROM review_flag WHERE review_id = $1), (SELECT count(*) FROM review_flag WHERE review_id = $1 AND state = 'answered'),
		(SELECT count(*) FROM review_flag WHERE review_id = $1 AND state = 'accepted')`, id).Scan(&p.Entries, &p.Looked, &p.Flagged, &p.Answered, &p.Accepted)
	return p, err
}

// A ReviewPart is which entries of a review are asked for.
type ReviewPart string

// The parts of a review.
const (
	ReviewAll     ReviewPart = "all"
	ReviewLeft    ReviewPart = "left"    // nobody has looked at them
	ReviewLooked  ReviewPart = "looked"  // looked at and not flagged
	ReviewFlagged ReviewPart = "flagged" // whatever came of it
)

var partConditions = map[ReviewPart]string{
	ReviewAll: "", ReviewLeft: " AND looked_at = 0",
	ReviewLooked:  " AND looked_at > 0 AND seq NOT IN (SELECT seq FROM review_flag WHERE review_id = $1)",
	ReviewFlagged: " AND seq IN (SELECT seq FROM review_flag WHERE review_id = $1)",
}

// ReviewMarks returns a page of a part of a review, the newest entry first:
// those before one, or the first ones if that is 0.
func (s *Store) ReviewMarks(ctx context.Context, id string, part ReviewPart, before int64, limit int) ([]review.Mark, error) {
	if before <= 0 {
		before = 1 << 62
	}
	var all []review.Mark
	err := s.each(ctx, func(row scanner) error {
		var m review.Mark
		var at int64
		err := row.Scan(&m.Seq, &m.Looked.By.ID, &m.Looked.By.Name, &at, &m.Comment)
		m.Looked.At = fromMicros(at)
		all = append(all, m)
		return err
	}, fmt.Sprintf("SELECT seq, looked_by, looked_name, looked_at, comment FROM review_entry WHERE review_id = $1 AND seq < $2%s ORDER BY seq DESC LIMIT %d", partConditions[part], limit), id, before)
	if err != nil || len(all) == 0 {
		return all, err
	}
	flags, err := readFlags(s.reader(ctx), "f.review_id = $1 AND f.seq BETWEEN $2 AND $3", id, all[len(all)-1].Seq, all[0].Seq)
	for i := range all {
		for j := range flags {
			if flags[j].Seq == all[i].Seq {
				all[i].Flag = &flags[j]
			}
		}
	}
	return all, err
}

// ReviewSeqs lists the entries that a review is about.
func (s *Store) ReviewSeqs(ctx context.Context, id string) ([]int64, error) {
	var all []int64
	err := s.each(ctx, func(row scanner) error {
		var n int64
		err := row.Scan(&n)
		all = append(all, n)
		return err
	}, "SELECT seq FROM review_entry WHERE review_id = $1 ORDER BY seq", id)
	return all, err
}

// FlagsAskedOf lists the flags that wait for a person's answer.
func (s *Store) FlagsAskedOf(ctx context.Context, userID string) ([]review.Flag, error) {
	return keep(s, "flags asked of "+userID, func() ([]review.Flag, error) {
		return readFlags(s.reader(ctx), "f.state = 'asked' AND f.assignee_id = $1", userID)
	})
}
