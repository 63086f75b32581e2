// Package review is the formal look back at a period: an auditor opens a review
// of what a search of history finds, entries are looked at or flagged, flags are
// answered, and a second auditor closes it.
package review

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// Limits.
const (
	MaxEntries = 20_000 // of one review
	maxName    = 100    // characters
	maxText    = 2000   // characters
)

// A Person is who did something, named as at the time.
type Person struct{ ID, Name string }

// A Stamp is who did something and when; the zero value if nobody has.
type Stamp struct {
	By Person
	At time.Time
}

// Done reports whether somebody has.
func (s Stamp) Done() bool { return !s.At.IsZero() }

// A Scope is what a review is about: exactly these entries, whatever happens
// later.
type Scope struct {
	Seqs []int64 // the newest first
	Set  string  // SHA-256 of their numbers and hashes, see [SetHash]
	UpTo int64   // the last entry that there was
}

// A Review is one look back.
type Review struct {
	ID         string // rvw_…
	Name       string
	Query      string    // the words that were searched for
	From       time.Time // zero: from the first entry
	To         time.Time // exclusive; zero: up to when it was opened
	Scope      Scope     // without the numbers once it is stored
	Entries    int
	Opened     Stamp
	Closed     Stamp
	Conclusion string
	Report     string // SHA-256 of the report, see [Report]
}

// Open reports whether the review goes on.
func (r Review) Open() bool { return !r.Closed.Done() }

// A State is how far a flag has come.
type State string

// The states of a flag.
const (
	Asked    State = "asked"    // waits for an answer
	Answered State = "answered" // waits for an auditor
	Accepted State = "accepted" // settled
)

// A Remark is one step of a flag's story: what it is about, an answer, why it is
// asked again, why it is settled. It never changes.
type Remark struct {
	State State // that it led to
	Stamp
	To   string // user id of who is asked, of one that asks
	Text string
}

// A Flag is a question about one entry, put to a person.
type Flag struct {
	Review   string
	Name     string // of the review
	Seq      int64
	Hash     audit.Hash // of the entry
	State    State
	Assignee Person
	Remarks  []Remark // the first is the question
}

// A Mark is what a review says of one entry.
type Mark struct {
	Seq     int64
	Looked  Stamp
	Comment string
	Flag    *Flag
}

// A Progress counts entries.
type Progress struct {
	Entries  int
	Looked   int // flagged ones are looked at
	Flagged  int
	Answered int // flags that wait for an auditor
	Accepted int
}

func (r Review) object() audit.Object { return audit.Object{Kind: "review", ID: r.ID, Name: r.Name} }

func (r Review) event(by access.Reader, action, reason string, detail map[string]string) audit.Event {
	return audit.Event{Actor: by.Actor(), Action: action, Object: r.object(), Reason: reason, Detail: detail}
}

// checkOpen refuses whoever may not review, and a review that is closed.
func (r Review) checkOpen(by access.Reader) error {
	if err := by.Check(access.ReviewHistory); err != nil {
		return err
	}
	return r.stillOpen()
}

func (r Review) stillOpen() error {
	if r.Open() {
		return nil
	}
	return problem.New(problem.Conflict, "%s has closed this review. Nothing in it changes any more.", r.Closed.By.Name)
}

// checkText returns a text that somebody typed into a field, or a complaint.
func checkText(field, text string, most int, missing string) (string, error) {
	text = strings.TrimSpace(text)
	complaint := ""
	switch {
	case text == "":
		complaint = missing
	case utf8.RuneCountInString(text) > most:
		complaint = "It is too long."
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unseen):
		complaint = "Leave out control characters, and characters that can't be seen."
	}
	if complaint == "" {
		return text, nil
	}
	return text, problem.InvalidFields("Nothing was changed. Correct what is marked and send again.", map[string]string{field: complaint})
}

// unseen reports whether a character shows nothing, or turns the text around.
func unseen(r rune) bool { return unicode.In(r, unicode.C) && !unicode.IsSpace(r) }

// answer lets the person who was asked answer a flag.
func (f *Flag) answer(by access.Reader, text string, now time.Time) (Remark, error) {
	switch {
	case f.Assignee.ID != by.ID:
		return Remark{}, problem.New(problem.NotFound, "There is no such question, or it isn't put to you.")
	case f.State != Asked:
		return Remark{}, problem.New(problem.Conflict, "This question has been answered.")
	}
	text, err := checkText("answer", text, maxText, "Write an answer.")
	return f.step(Answered, by, text, now), err
}

// askAgain puts the question anew, to the same person or another. Who has to
// answer for the flag can't, and so can't hand it on either.
func (f *Flag) askAgain(by access.Reader, to access.User, text string, now time.Time) (Remark, error) {
	if f.AnsweredFor(by.ID) {
		return Remark{}, problem.New(problem.Forbidden, "You answer for this flag, so another auditor has to ask again.")
	}
	text, err := checkText("comment", text, maxText, "Say what is still open.")
	if err != nil {
		return Remark{}, err
	}
	f.Assignee = Person{to.ID, to.Name}
	return f.step(Asked, by, text, now), nil
}

// accept settles a flag. Who has to answer for it can't.
func (f *Flag) accept(by access.Reader, text string, now time.Time) (Remark, error) {
	text = strings.TrimSpace(text)
	switch {
	case f.State == Accepted:
		return Remark{}, problem.New(problem.Conflict, "This flag is settled.")
	case f.AnsweredFor(by.ID):
		return Remark{}, problem.New(problem.Forbidden, "You answer for this flag, so another auditor has to settle it.")
	case f.State == Asked && text == "":
		return Remark{}, problem.InvalidFields("Nothing was changed.", map[string]string{"comment": "Nobody has answered. Say why the flag is settled all the same."})
	}
	if text != "" {
		var err error
		if text, err = checkText("comment", text, maxText, ""); err != nil {
			return Remark{}, err
		}
	}
	return f.step(Accepted, by, text, now), nil
}

func (f *Flag) step(to State, by access.Reader, text string, now time.Time) Remark {
	r := Remark{State: to, Stamp: Stamp{Person{by.ID, by.Name}, now}, Text: text}
	if to == Asked {
		r.To = f.Assignee.ID
	}
	f.State, f.Remarks = to, append(f.Remarks, r)
	return r
}

// AnsweredFor reports whether somebody has to answer for the flag, or ever had to:
// who did is no judge of it.
func (f *Flag) AnsweredFor(userID string) bool {
	return f.Assignee.ID == userID || slices.ContainsFunc(f.Remarks, func(r Remark) bool {
		return r.To == userID || r.State == Answered && r.By.ID == userID
	})
}

// MayClose returns why somebody may not close the review as it stands, or nil.
func (r Review) MayClose(by access.Reader, s Sheet) error {
	if err := r.checkOpen(by); err != nil {
		return err
	}
	unsettled := 0
	asked := false
	for _, f := range s.Flags {
		if f.State != Accepted {
			unsettled++
		}
		asked = asked || f.AnsweredFor(by.ID)
	}
	switch {
	case r.Opened.By.ID == by.ID:
		return problem.New(problem.Forbidden, "You opened this review, so another auditor has to close it.")
	case asked:
		return problem.New(problem.Forbidden, "You were asked about an entry of this review, so another auditor has to close it.")
	case s.looked() == 0:
		return problem.New(problem.Conflict, "Nothing has been looked at yet.")
	case s.onlyOne(by.ID):
		return problem.New(problem.Forbidden, "Nobody but you has looked at the entries. A review takes two people: somebody else has to look, or to close it.")
	case unsettled == 1:
		return problem.New(problem.Conflict, "One flag is not settled yet.")
	case unsettled > 1:
		return problem.New(problem.Conflict, "%d flags are not settled yet.", unsettled)
	}
	return nil
}

// A Sheet is what has been done in a review.
type Sheet struct {
	Lookers []Looker
	Flags   []Flag // in the order of entries
}

// A Looker is how many entries somebody looked at.
type Looker struct {
	Person
	Entries int
}

func (s Sheet) looked() (n int) {
	for _, l := range s.Lookers {
		n += l.Entries
	}
	return n
}

// onlyOne reports whether a person is the only one who looked.
func (s Sheet) onlyOne(userID string) bool {
	return len(s.Lookers) == 1 && s.Lookers[0].ID == userID
}
