package review

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Selection is some entries of a review: those that are named, or all from one
// to another.
type Selection struct {
	Seqs     []int64
	From, To int64 // if no entry is named
}

// A Store keeps reviews. Each method that writes does so with the events that its
// function returns, or not at all.
type Store interface {
	Account(ctx context.Context, id string) (access.Account, error)
	AddReview(ctx context.Context, r Review, e audit.Event) error
	// MarkReview gives the function those of the selected entries that are not
	// looked at, or with undo those that are looked at and not flagged.
	MarkReview(ctx context.Context, id string, which Selection, undo bool, fn func(Review, []int64) (Stamp, string, audit.Event, error)) error
	// FlagReview gives the function those of the selected entries that are in the
	// review and have no flag.
	FlagReview(ctx context.Context, id string, seqs []int64, fn func(Review, []int64) (Flag, []audit.Event, error)) error
	UpdateFlag(ctx context.Context, id string, seq int64, fn func(Review, *Flag) (Remark, audit.Event, error)) error
	CloseReview(ctx context.Context, id string, fn func(*Review, Sheet) (audit.Event, error)) error
}

// A Service carries out what people do in reviews.
type Service struct {
	store Store
	now   func() time.Time
}

// NewService returns a service over a store.
func NewService(s Store, now func() time.Time) *Service { return &Service{s, now} }

// An Opening is what somebody wants to review.
type Opening struct {
	Name     string
	Query    string
	From, To time.Time
}

// Open opens a review of what a search found.
func (s *Service) Open(ctx context.Context, by access.Reader, o Opening, scope Scope) (Review, error) {
	if err := by.Check(access.ReviewHistory); err != nil {
		return Review{}, err
	}
	name, err := checkText("name", o.Name, maxName, "Enter a name, such as “March 2026, production”.")
	if err != nil {
		return Review{}, err
	}
	switch n := len(scope.Seqs); {
	case !o.From.IsZero() && !o.To.IsZero() && !o.From.Before(o.To):
		return Review{}, problem.InvalidFields("No review was opened.", map[string]string{"to": "The last day is before the first."})
	case n == 0:
		return Review{}, problem.InvalidFields("No review was opened.", map[string]string{"q": "No entry of history fits."})
	case n > MaxEntries:
		return Review{}, problem.InvalidFields("No review was opened.", map[string]string{"q": "More than 20,000 entries fit. Choose a shorter period or a narrower search."})
	}
	r := Review{
		ID: "rvw_" + secret.Code(16), Name: name, Query: strings.TrimSpace(o.Query), From: o.From, To: o.To, Scope: scope, Entries: len(scope.Seqs),
		Opened: Stamp{Person{by.ID, by.Name}, s.now()},
	}
	// The search lies beside the chain: it may name people.
	e := r.event(by, "review.opened", r.Query, map[string]string{
		"entries": strconv.Itoa(r.Entries), "up_to": strconv.FormatInt(scope.UpTo, 10), "set_sha256": scope.Set, "from": day(o.From), "to": day(o.To),
	})
	return r, s.store.AddReview(ctx, r, e)
}

// Look marks the selected entries as looked at and returns how many weren't yet.
func (s *Service) Look(ctx context.Context, by access.Reader, id string, which Selection, comment string) (n int, err error) {
	comment = strings.TrimSpace(comment)
	if comment != "" {
		if comment, err = checkText("comment", comment, maxText, ""); err != nil {
			return 0, err
		}
	}
	err = s.store.MarkReview(ctx, id, which, false, func(r Review, seqs []int64) (Stamp, string, audit.Event, error) {
		n = len(seqs)
		e := r.event(by, "review.marked", comment, markDetail(seqs))
		return Stamp{Person{by.ID, by.Name}, s.now()}, comment, e, r.checkMark(by, seqs, "All of them were looked at already.")
	})
	return n, err
}

// Unlook takes the marks off the selected entries that aren't flagged.
func (s *Service) Unlook(ctx context.Context, by access.Reader, id string, which Selection) (n int, err error) {
	err = s.store.MarkReview(ctx, id, which, true, func(r Review, seqs []int64) (Stamp, string, audit.Event, error) {
		n = len(seqs)
		return Stamp{}, "", r.event(by, "review.unmarked", "", markDetail(seqs)), r.checkMark(by, seqs, "None of them is marked, or they are flagged.")
	})
	return n, err
}

func (r Review) checkMark(by access.Reader, seqs []int64, none string) error {
	if err := r.checkOpen(by); err != nil {
		return err
	}
	if len(seqs) == 0 {
		return problem.New(problem.Conflict, "%s Nothing was changed.", none)
	}
	return nil
}

func markDetail(seqs []int64) map[string]string {
	return map[string]string{"count": strconv.Itoa(len(seqs)), "entries": ranges(seqs)}
}

// maxRanges is how much an entry says of which others it is about.
const maxRanges = 1000 // characters

// ranges writes numbers such as 3-7, 9.
func ranges(seqs []int64) string {
	seqs = slices.Sorted(slices.Values(seqs))
	var parts []string
	length := 0
	for i := 0; i < len(seqs); {
		j := i
		for j+1 < len(seqs) && seqs[j+1] == seqs[j]+1 {
			j++
		}
		part := strconv.FormatInt(seqs[i], 10)
		if j > i {
			part += "-" + strconv.FormatInt(seqs[j], 10)
		}
		if length += len(part) + 2; length > maxRanges {
			return strings.Join(parts, ", ") + fmt.Sprintf(" … %d", seqs[len(seqs)-1])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// A Question is what somebody is asked about entries.
type Question struct {
	Seqs    []int64
	Comment string
	To      string // user id
}

// Flag flags entries and asks a person about them. It returns how many had no
// flag yet.
func (s *Service) Flag(ctx context.Context, by access.Reader, id string, q Question) (n int, err error) {
	text, err := checkText("comment", q.Comment, maxText, "Say what is to be explained.")
	if err != nil {
		return 0, err
	}
	to, err := s.assignee(ctx, q.To)
	if err != nil {
		return 0, err
	}
	err = s.store.FlagReview(ctx, id, q.Seqs, func(r Review, seqs []int64) (Flag, []audit.Event, error) {
		if err := r.checkMark(by, seqs, "All of them are flagged already, or none is in this review."); err != nil {
			return Flag{}, nil, err
		}
		n = len(seqs)
		f := Flag{Assignee: Person{to.ID, to.Name}}
		f.step(Asked, by, text, s.now())
		var events []audit.Event
		for _, seq := range seqs {
			events = append(events, r.event(by, "review.flagged", text, flagDetail(seq, to.ID)))
		}
		return f, events, nil
	})
	return n, err
}

func flagDetail(seq int64, assignee string) map[string]string {
	return map[string]string{"entry": strconv.FormatInt(seq, 10), "assignee": assignee}
}

func (s *Service) assignee(ctx context.Context, id string) (access.User, error) {
	a, err := s.store.Account(ctx, id)
	if problem.Is(err, problem.NotFound) || err == nil && a.State != access.Active {
		return a.User, problem.InvalidFields("Nothing was changed. Correct what is marked and send again.", map[string]string{"to": "Choose who is to answer."})
	}
	return a.User, err
}

// Answer answers a flag.
func (s *Service) Answer(ctx context.Context, by access.Reader, id string, seq int64, text string) error {
	return s.store.UpdateFlag(ctx, id, seq, func(r Review, f *Flag) (Remark, audit.Event, error) {
		m, err := f.answer(by, text, s.now())
		if err == nil {
			err = r.stillOpen()
		}
		return m, r.event(by, "review.answered", m.Text, flagDetail(seq, f.Assignee.ID)), err
	})
}

// AskAgain puts a flag's question anew, to the same person or another.
func (s *Service) AskAgain(ctx context.Context, by access.Reader, id string, seq int64, to, text string) error {
	who, err := s.assignee(ctx, to)
	if err != nil {
		return err
	}
	return s.store.UpdateFlag(ctx, id, seq, func(r Review, f *Flag) (Remark, audit.Event, error) {
		if err := r.checkOpen(by); err != nil {
			return Remark{}, audit.Event{}, err
		}
		m, err := f.askAgain(by, who, text, s.now())
		return m, r.event(by, "review.reopened", m.Text, flagDetail(seq, f.Assignee.ID)), err
	})
}

// Accept settles a flag.
func (s *Service) Accept(ctx context.Context, by access.Reader, id string, seq int64, text string) error {
	return s.store.UpdateFlag(ctx, id, seq, func(r Review, f *Flag) (Remark, audit.Event, error) {
		if err := r.checkOpen(by); err != nil {
			return Remark{}, audit.Event{}, err
		}
		m, err := f.accept(by, text, s.now())
		return m, r.event(by, "review.accepted", m.Text, flagDetail(seq, f.Assignee.ID)), err
	})
}

// Close closes a review; its entry holds the hash of the report.
func (s *Service) Close(ctx context.Context, by access.Reader, id, conclusion string) error {
	conclusion, err := checkText("conclusion", conclusion, maxText, "Say what the review came to.")
	if err != nil {
		return err
	}
	return s.store.CloseReview(ctx, id, func(r *Review, sheet Sheet) (audit.Event, error) {
		if err := r.MayClose(by, sheet); err != nil {
			return audit.Event{}, err
		}
		r.Closed, r.Conclusion = Stamp{Person{by.ID, by.Name}, s.now()}, conclusion
		if r.Report, err = reportHash(*r, sheet); err != nil {
			return audit.Event{}, err
		}
		return r.event(by, "review.closed", conclusion, map[string]string{
			"entries": strconv.Itoa(r.Entries), "looked_at": strconv.Itoa(sheet.looked()), "flags": strconv.Itoa(len(sheet.Flags)), "report_sha256": r.Report,
		}), nil
	})
}
