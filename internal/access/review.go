package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Review is a review of who may do what: a list of people with their rights, as
// they were when it was opened, of whom each is confirmed or revoked. It names people
// by their ids, so that a name can be erased and the report still proves itself.
type Review struct {
	ID         string // acr_…
	Name       string
	Set        string // SHA-256 of the rows as they were at the beginning
	OpenedBy   string // user id
	OpenedAt   time.Time
	ClosedBy   string // empty while it is open
	ClosedAt   time.Time
	Conclusion string
	LeftReason string // why rows were left undecided
	Report     string // SHA-256 of [Review.File]
	Rows       []ReviewRow
}

// A ReviewRow is one person in a review.
type ReviewRow struct {
	User       string
	State      string
	LastSignIn time.Time
	Rights     []ReviewRight
	Verdict    Verdict // empty while nobody has decided
	By         string  // user id
	At         time.Time
	Comment    string
	Request    string // the change request that takes the roles

	// Stays is what that request can't take: rights through groups that others than
	// Gatehouse say somebody is in.
	Stays []ReviewRight `json:",omitempty"`
}

// A ReviewRight is a grant, as [Grant.String] writes it, the group that it comes
// through, and who else says that somebody is in that.
type ReviewRight struct {
	Grant   string
	Through string `json:",omitempty"`
	Source  string `json:",omitempty"`
}

// A Decision is what is decided about somebody in a review.
type Decision struct {
	User    string
	Verdict Verdict
	Comment string
	Request string // takes their roles, if they are revoked
	Stays   []ReviewRight
}

// A Verdict is what was decided about somebody's rights.
type Verdict string

// The verdicts.
const (
	Confirmed Verdict = "confirmed"
	Revoked   Verdict = "revoked"
)

// ReviewStore keeps access reviews.
type ReviewStore interface {
	AddAccessReview(ctx context.Context, r Review, e audit.Event) error
	// UpdateAccessReview lets fn change a review inside the transaction.
	UpdateAccessReview(ctx context.Context, id string, fn func(*Review) (audit.Event, error)) error
}

// Open reports whether the review goes on.
func (r Review) Open() bool { return r.ClosedBy == "" }

// Undecided is how many people nobody has decided about.
func (r Review) Undecided() int {
	n := 0
	for _, row := range r.Rows {
		if row.Verdict == "" {
			n++
		}
	}
	return n
}

// File is the report: everything of the review but the report's own hash.
func (r Review) File() ([]byte, error) {
	r.Report = ""
	return json.MarshalIndent(r, "", "  ")
}

// ReviewRights are what a review says of somebody's grants.
func ReviewRights(u User) []ReviewRight {
	all := []ReviewRight{}
	for _, g := range u.Grants {
		all = append(all, ReviewRight{Grant: g.String(), Through: g.Through})
	}
	return all
}

const (
	mostReviewName = 80
	mostReviewText = 2000
)

// OpenReview opens a review of everybody, but for those who are erased.
func (s *Service) OpenReview(ctx context.Context, by Reader, name string) (Review, error) {
	if err := by.Check(ManagePeople); err != nil {
		return Review{}, err
	}
	r := Review{ID: "acr_" + secret.Code(16), OpenedBy: by.ID, OpenedAt: s.now()}
	fields := map[string]string{}
	if r.Name, fields["name"] = reviewText(name, mostReviewName); r.Name == "" {
		fields["name"] = "Enter a name, such as “Spring 2026”."
	}
	if err := complaints(fields); err != nil {
		return r, err
	}
	people, err := s.store.Users(ctx)
	if err != nil {
		return r, err
	}
	for _, u := range people {
		if !u.Erased() {
			r.Rows = append(r.Rows, ReviewRow{User: u.ID, State: u.State, LastSignIn: u.LastSignIn, Rights: ReviewRights(u)})
		}
	}
	set, err := json.Marshal(r.Rows)
	if err != nil {
		return r, err
	}
	r.Set = sumOf(set)
	e := r.event(by, "access_review.opened", "")
	e.Detail = map[string]string{"people": strconv.Itoa(len(r.Rows)), "set_sha256": r.Set}
	return r, s.store.AddAccessReview(ctx, r, e)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (r Review) event(by Reader, action, reason string) audit.Event {
	return audit.Event{Actor: by.Actor(), Action: action, Object: audit.Object{Kind: "access_review", ID: r.ID, Name: r.Name}, Reason: reason}
}

// reviewText tidies what was typed, with a complaint if it can't be kept.
func reviewText(text string, most int) (string, string) {
	text = strings.TrimSpace(text)
	switch {
	case utf8.RuneCountInString(text) > most:
		return text, "It is too long."
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.In(r, unicode.C) && !unicode.IsSpace(r) }):
		return text, "Leave out control characters, and characters that can't be seen."
	}
	return text, ""
}

// Decides returns the row of somebody about whom a person may decide now.
func (r *Review) Decides(by Reader, user string) (*ReviewRow, error) {
	at := slices.IndexFunc(r.Rows, func(row ReviewRow) bool { return row.User == user })
	switch {
	case !by.May(ManagePeople):
		return nil, by.Check(ManagePeople)
	case !r.Open():
		return nil, problem.New(problem.Conflict, "This review is closed. Nothing was changed.")
	case at < 0:
		return nil, problem.New(problem.NotFound, "This person is not in the review.")
	case user == by.ID:
		return nil, problem.New(problem.Forbidden, "Somebody else has to decide about your own rights. Nothing was changed.")
	case r.Rows[at].Verdict == Revoked:
		return nil, problem.New(problem.Conflict, "The roles of this person are revoked already. Nothing was changed.")
	}
	return &r.Rows[at], nil
}

// Decide decides about somebody, and returns the entry of it.
func (r *Review) Decide(by Reader, d Decision, now time.Time) (audit.Event, error) {
	comment, wrong := reviewText(d.Comment, mostReviewText)
	if wrong != "" {
		return audit.Event{}, complaints(map[string]string{"comment": wrong})
	}
	row, err := r.Decides(by, d.User)
	if err != nil {
		return audit.Event{}, err
	}
	row.Verdict, row.By, row.At, row.Comment, row.Request, row.Stays = d.Verdict, by.ID, now, comment, d.Request, d.Stays
	e := r.event(by, "access_review."+string(d.Verdict), comment)
	e.Detail, e.Request = map[string]string{"user": d.User}, d.Request
	var stays []string
	for _, g := range d.Stays {
		stays = append(stays, g.Grant+" by "+g.Through)
	}
	if len(stays) > 0 {
		e.Detail["stays"] = strings.Join(stays, ", ")
	}
	return e, nil
}

// Confirm keeps somebody's rights as they are. Revoking is a change request's doing.
func (s *Service) Confirm(ctx context.Context, by Reader, id, user, comment string) error {
	return s.store.UpdateAccessReview(ctx, id, func(r *Review) (audit.Event, error) {
		return r.Decide(by, Decision{User: user, Verdict: Confirmed, Comment: comment}, s.now())
	})
}

// CloseReview closes a review with what it came to. Where people are left undecided,
// it is said why.
func (s *Service) CloseReview(ctx context.Context, by Reader, id, conclusion, left string) error {
	return s.store.UpdateAccessReview(ctx, id, func(r *Review) (audit.Event, error) {
		fields := map[string]string{}
		if r.Conclusion, fields["conclusion"] = reviewText(conclusion, mostReviewText); r.Conclusion == "" {
			fields["conclusion"] = "Say what the review came to."
		}
		if r.LeftReason, fields["left"] = reviewText(left, mostReviewText); r.LeftReason == "" && r.Undecided() > 0 {
			fields["left"] = "Say why people are left undecided, or decide about them first."
		}
		switch {
		case !by.May(ManagePeople):
			return audit.Event{}, by.Check(ManagePeople)
		case !r.Open():
			return audit.Event{}, problem.New(problem.Conflict, "This review is closed already.")
		}
		if err := complaints(fields); err != nil {
			return audit.Event{}, err
		}
		r.ClosedBy, r.ClosedAt = by.ID, s.now()
		file, err := r.File()
		if err != nil {
			return audit.Event{}, err
		}
		r.Report = sumOf(file)
		e := r.event(by, "access_review.closed", r.Conclusion)
		e.Detail = map[string]string{"undecided": strconv.Itoa(r.Undecided()), "report_sha256": r.Report}
		return e, nil
	})
}
