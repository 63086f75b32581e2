package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/review"
	"gatehouse/internal/store"
)

var errNo = errors.New("no")

// someReview is a review of the entries 1 to n.
func someReview(t *testing.T, s *store.Store, n int64) review.Review {
	t.Helper()
	addAccount(t, s, "usr_a")
	addAccount(t, s, "usr_b")
	for i := int64(2); i < n; i++ {
		must(t, s.Record(t.Context(), event("auth_config.enabled")))
	}
	r := review.Review{ID: "rvw_1", Name: "March", Entries: int(n), Scope: review.Scope{UpTo: n, Set: "set"}, Opened: stampOf("usr_a")}
	for seq := n; seq > 0; seq-- {
		r.Scope.Seqs = append(r.Scope.Seqs, seq)
	}
	must(t, s.AddReview(t.Context(), r, event("review.opened")))
	return r
}

func stampOf(user string) review.Stamp {
	return review.Stamp{By: review.Person{ID: user, Name: "Name of " + user}, At: Start.Add(time.Minute)}
}

// looks returns a function that marks what it is given, and notes how much that was.
func looks(by string, got *[]int64) func(review.Review, []int64) (review.Stamp, string, audit.Event, error) {
	return func(_ review.Review, seqs []int64) (review.Stamp, string, audit.Event, error) {
		*got = seqs
		if by == "" { // the marks are taken off
			return review.Stamp{}, "", event("review.unmarked"), nil
		}
		return stampOf(by), "seen", event("review.marked"), nil
	}
}

func reviews(t *testing.T, s *store.Store) {
	ctx := t.Context()
	r := someReview(t, s, 6)
	var got []int64
	must(t, s.MarkReview(ctx, r.ID, review.Selection{Seqs: []int64{2, 3, 99}}, false, looks("usr_a", &got)))
	same(t, []int64{2, 3}, got)
	must(t, s.MarkReview(ctx, r.ID, review.Selection{From: 1, To: 4}, false, looks("usr_b", &got)))
	same(t, []int64{1, 4}, got)
	must(t, s.FlagReview(ctx, r.ID, []int64{4, 5, 99}, func(_ review.Review, seqs []int64) (review.Flag, []audit.Event, error) {
		got = seqs
		f := review.Flag{State: review.Asked, Assignee: review.Person{ID: "usr_b", Name: "B"}, Remarks: []review.Remark{{State: review.Asked, Stamp: stampOf("usr_a"), Text: "why?"}}}
		return f, []audit.Event{event("review.flagged"), event("review.flagged")}, nil
	}))
	same(t, []int64{4, 5}, got)
	must(t, s.MarkReview(ctx, r.ID, review.Selection{From: 1, To: 6}, true, looks("", &got)))
	same(t, []int64{1, 2, 3}, got) // flagged ones stay looked at

	before, err := s.HistoryHead(ctx)
	must(t, err)
	err = s.UpdateFlag(ctx, r.ID, 4, func(review.Review, *review.Flag) (review.Remark, audit.Event, error) {
		return review.Remark{}, audit.Event{}, errNo
	})
	if !errors.Is(err, errNo) {
		t.Error(err)
	}
	must(t, s.UpdateFlag(ctx, r.ID, 4, func(_ review.Review, f *review.Flag) (review.Remark, audit.Event, error) {
		f.State = review.Answered
		return review.Remark{State: review.Answered, Stamp: stampOf("usr_b"), Text: "because"}, event("review.answered"), nil
	}))
	after, err := s.HistoryHead(ctx)
	must(t, err)
	same(t, before.Seq+1, after.Seq)
	kind(t, s.UpdateFlag(ctx, r.ID, 1, nil), problem.NotFound)

	asked, err := s.FlagsAskedOf(ctx, "usr_b")
	must(t, err)
	if len(asked) != 1 || asked[0].Seq != 5 || asked[0].Name != "March" || asked[0].Hash == (audit.Hash{}) {
		t.Errorf("asked: %+v", asked)
	}
	p, err := s.ReviewProgress(ctx, r.ID)
	must(t, err)
	same(t, review.Progress{Entries: 6, Looked: 2, Flagged: 2, Answered: 1}, p)
	marks, err := s.ReviewMarks(ctx, r.ID, store.ReviewFlagged, 0, 10)
	must(t, err)
	if len(marks) != 2 || marks[0].Seq != 5 || len(marks[1].Flag.Remarks) != 2 {
		t.Errorf("marks: %+v", marks)
	}
	closing(t, s, r)
}

func closing(t *testing.T, s *store.Store, r review.Review) {
	t.Helper()
	ctx := t.Context()
	must(t, s.CloseReview(ctx, r.ID, func(r *review.Review, sheet review.Sheet) (audit.Event, error) {
		same(t, 2, len(sheet.Flags))
		same(t, []review.Looker{{Person: review.Person{ID: "usr_a", Name: "Name of usr_a"}, Entries: 1}, {Person: review.Person{ID: "usr_b", Name: "Name of usr_b"}, Entries: 1}}, sheet.Lookers)
		r.Closed, r.Conclusion, r.Report = stampOf("usr_b"), "fine", "hash"
		return event("review.closed"), nil
	}))
	got, err := s.Review(ctx, r.ID)
	must(t, err)
	r.Scope.Seqs, r.Closed, r.Conclusion, r.Report = nil, stampOf("usr_b"), "fine", "hash"
	same(t, r, got)
	_, err = s.Review(ctx, "rvw_nosuch")
	kind(t, err, problem.NotFound)
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
