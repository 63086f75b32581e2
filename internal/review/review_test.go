package review

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
)

var at = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func auditor(id string) access.Reader {
	return access.Reader{User: access.User{ID: id, Name: "Name of " + id, Grants: access.Unscoped(access.Auditor), State: access.Active}}
}

func TestRanges(t *testing.T) {
	for want, seqs := range map[string][]int64{"": nil, "7": {7}, "3-5, 9": {9, 5, 4, 3}, "1, 3, 5": {1, 3, 5}} {
		if got := ranges(seqs); got != want {
			t.Errorf("%v: %q, want %q", seqs, got, want)
		}
	}
	var odd []int64
	for i := range int64(MaxEntries) {
		odd = append(odd, 2*i+1)
	}
	if got := ranges(odd); len(got) > maxRanges+20 || !strings.HasSuffix(got, "… 39999") {
		t.Errorf("%d characters: %.40s", len(got), got)
	}
}

// Who closes a review is none of those who answer for it.
func TestMayClose(t *testing.T) {
	r := Review{Entries: 3, Opened: Stamp{Person{"a", "A"}, at}}
	lookers := []Looker{{Person{"a", "A"}, 2}}
	answered := Flag{State: Accepted, Remarks: []Remark{{State: Asked, Stamp: Stamp{Person{"a", "A"}, at}, To: "d"}, {State: Answered, Stamp: Stamp{Person{"c", "C"}, at}}}}
	for name, c := range map[string]struct {
		by    string
		sheet Sheet
		want  problem.Kind
	}{
		"the opener":           {"a", Sheet{Lookers: lookers}, problem.Forbidden},
		"a second auditor":     {"b", Sheet{Lookers: lookers}, 0},
		"nothing looked at":    {"b", Sheet{}, problem.Conflict},
		"the only one":         {"b", Sheet{Lookers: []Looker{{Person{"b", "B"}, 3}}}, problem.Forbidden},
		"one of two":           {"b", Sheet{Lookers: append(lookers, Looker{Person{"b", "B"}, 1})}, 0},
		"an open flag":         {"b", Sheet{Lookers: lookers, Flags: []Flag{{State: Asked}}}, problem.Conflict},
		"an unsettled answer":  {"b", Sheet{Lookers: lookers, Flags: []Flag{{State: Answered}}}, problem.Conflict},
		"who answered":         {"c", Sheet{Lookers: lookers, Flags: []Flag{answered}}, problem.Forbidden},
		"who was asked once":   {"d", Sheet{Lookers: lookers, Flags: []Flag{answered}}, problem.Forbidden},
		"who didn't answer it": {"b", Sheet{Lookers: lookers, Flags: []Flag{answered}}, 0},
	} {
		err := r.MayClose(auditor(c.by), c.sheet)
		if c.want == 0 && err != nil || c.want != 0 && !problem.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.MayClose(access.Reader{User: access.User{ID: "e", Grants: access.Unscoped(access.Admin), State: access.Active}}, Sheet{Lookers: lookers}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an admin: %v", err)
	}
}

func TestFlag(t *testing.T) {
	f := Flag{Assignee: Person{"e", "E"}}
	f.step(Asked, auditor("a"), "why?", at)
	if _, err := f.answer(auditor("b"), "x", at); !problem.Is(err, problem.NotFound) {
		t.Errorf("somebody else answered: %v", err)
	}
	if _, err := f.accept(auditor("e"), "x", at); !problem.Is(err, problem.Forbidden) {
		t.Errorf("who is asked settled it: %v", err)
	}
	if _, err := f.accept(auditor("a"), "", at); !problem.Is(err, problem.Invalid) {
		t.Errorf("settled without an answer or a word: %v", err)
	}
	if _, err := f.answer(auditor("e"), strings.Repeat("x", maxText+1), at); !problem.Is(err, problem.Invalid) {
		t.Errorf("a long answer: %v", err)
	}
	f = Flag{Assignee: f.Assignee, State: Asked, Remarks: f.Remarks[:1]}
	if _, err := f.answer(auditor("e"), "because", at); err != nil || f.State != Answered {
		t.Error(f, err)
	}
	if _, err := f.answer(auditor("e"), "again", at); !problem.Is(err, problem.Conflict) {
		t.Errorf("answered twice: %v", err)
	}
	if _, err := f.askAgain(auditor("a"), auditor("g").User, "and?", at); err != nil || f.State != Asked || f.Assignee.ID != "g" {
		t.Error(f, err)
	}
	if _, err := f.accept(auditor("e"), "fine", at); !problem.Is(err, problem.Forbidden) {
		t.Errorf("who answered settled it: %v", err)
	}
	if _, err := f.accept(auditor("a"), "fine", at); err != nil || f.State != Accepted {
		t.Error(f, err)
	}
}

// Who was asked can't get rid of that by handing the question on.
func TestFlagHandedOn(t *testing.T) {
	f := Flag{Assignee: Person{"x", "X"}}
	f.step(Asked, auditor("a"), "why?", at)
	if _, err := f.askAgain(auditor("x"), auditor("y").User, "see above", at); !problem.Is(err, problem.Forbidden) || f.Assignee.ID != "x" {
		t.Errorf("x handed the question on to %s: %v", f.Assignee.ID, err)
	}
	if _, err := f.askAgain(auditor("a"), auditor("y").User, "x is away", at); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"x", "y"} {
		if _, err := f.accept(auditor(who), "all fine", at); !problem.Is(err, problem.Forbidden) {
			t.Errorf("%s, who was asked, settled the flag: %v", who, err)
		}
		if _, err := f.askAgain(auditor(who), auditor("z").User, "and?", at); !problem.Is(err, problem.Forbidden) {
			t.Errorf("%s, who was asked, asked again: %v", who, err)
		}
	}
	if _, err := f.accept(auditor("a"), "all fine", at); err != nil {
		t.Fatal(err)
	}
	r := Review{Entries: 3, Opened: Stamp{Person{"o", "O"}, at}}
	sheet := Sheet{Lookers: []Looker{{Person{"o", "O"}, 2}}, Flags: []Flag{f}}
	if err := r.MayClose(auditor("x"), sheet); !problem.Is(err, problem.Forbidden) {
		t.Errorf("x, who was asked, closes the review: %v", err)
	}
}

// The bytes of a report may not change: history has their hash.
func TestReportBytes(t *testing.T) {
	r := Review{ID: "rvw_1", Name: "March", Query: "github", From: at, Scope: Scope{UpTo: 9, Set: "abc"}, Entries: 3, Opened: Stamp{Person{"a", "A"}, at}, Closed: Stamp{Person{"b", "B"}, at}, Conclusion: "fine <&>"}
	f := Flag{Seq: 4, Assignee: Person{"e", "E"}, Remarks: []Remark{{State: Asked, Stamp: Stamp{Person{"a", "A"}, at}, Text: "why?"}}}
	got, err := reportHash(r, Sheet{Lookers: []Looker{{Person{"a", "A"}, 2}}, Flags: []Flag{f}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "2fd06f0549704b1088d870d23eb7d591eae5e190d173299160bccddb97111dc6"
	if got != want {
		b, _ := Report(r, Sheet{Lookers: []Looker{{Person{"a", "A"}, 2}}, Flags: []Flag{f}})
		t.Errorf("hash %s of\n%s", got, b)
	}
}

func TestSetHash(t *testing.T) {
	h := NewSetHash()
	h.Add(2, [32]byte{1})
	h.Add(1, [32]byte{2})
	other := NewSetHash()
	other.Add(1, [32]byte{2})
	other.Add(2, [32]byte{1})
	if h.String() == other.String() || len(h.String()) != 64 {
		t.Error(h.String(), other.String())
	}
}
