package review

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"gatehouse/internal/audit"
)

// A SetHash is the hash over what a review is about: for each entry, the newest
// first, its number, a space, its hash in hexadecimal and a line feed.
type SetHash struct{ sum hash.Hash }

// NewSetHash returns the hash of nothing.
func NewSetHash() SetHash { return SetHash{sha256.New()} }

// Add takes in the next entry.
func (h SetHash) Add(seq int64, entry audit.Hash) { _, _ = fmt.Fprintf(h.sum, "%d %s\n", seq, entry) } // never fails (hash)

// String returns the hash in hexadecimal.
func (h SetHash) String() string { return hex.EncodeToString(h.sum.Sum(nil)) }

// Report writes what a review that is closed came to, as JSON that always has the
// same bytes: their SHA-256 stands in the entry of its closing. People are in it
// by their ids, so that a name can be erased and the report still proves itself.
func Report(r Review, s Sheet) ([]byte, error) {
	out := report{
		Review: r.ID, Name: r.Name, Query: r.Query, From: day(r.From), To: day(r.To), UpTo: r.Scope.UpTo, Set: r.Scope.Set,
		Entries: r.Entries, Looked: []reportLooker{}, NotLooked: r.Entries - s.looked(), Flags: []reportFlag{},
		OpenedBy: r.Opened.By.ID, OpenedAt: moment(r.Opened.At), ClosedBy: r.Closed.By.ID, ClosedAt: moment(r.Closed.At), Conclusion: r.Conclusion,
	}
	for _, l := range s.Lookers {
		out.Looked = append(out.Looked, reportLooker{l.ID, l.Entries})
	}
	for _, f := range s.Flags {
		flag := reportFlag{Entry: f.Seq, Hash: f.Hash.String(), Assignee: f.Assignee.ID}
		for _, m := range f.Remarks {
			flag.Remarks = append(flag.Remarks, reportRemark{string(m.State), m.By.ID, moment(m.At), m.To, m.Text})
		}
		out.Flags = append(out.Flags, flag)
	}
	b, err := json.MarshalIndent(out, "", "  ")
	return append(b, '\n'), err
}

func reportHash(r Review, s Sheet) (string, error) {
	b, err := Report(r, s)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

func moment(t time.Time) string { return t.UTC().Format(audit.TimeFormat) }

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return moment(t)
}

type report struct {
	Review     string         `json:"review"`
	Name       string         `json:"name"`
	Query      string         `json:"query"`
	From       string         `json:"from"`
	To         string         `json:"to"`
	UpTo       int64          `json:"up_to"`
	Set        string         `json:"set_sha256"`
	Entries    int            `json:"entries"`
	Looked     []reportLooker `json:"looked_at"`
	NotLooked  int            `json:"not_looked_at"`
	Flags      []reportFlag   `json:"flags"`
	OpenedBy   string         `json:"opened_by"`
	OpenedAt   string         `json:"opened_at"`
	ClosedBy   string         `json:"closed_by"`
	ClosedAt   string         `json:"closed_at"`
	Conclusion string         `json:"conclusion"`
}

type reportLooker struct {
	By      string `json:"by"`
	Entries int    `json:"entries"`
}

type reportFlag struct {
	Entry    int64          `json:"entry"`
	Hash     string         `json:"hash"`
	Assignee string         `json:"assignee"`
	Remarks  []reportRemark `json:"remarks"`
}

type reportRemark struct {
	State string `json:"state"`
	By    string `json:"by"`
	At    string `json:"at"`
	To    string `json:"to,omitempty"`
	Text  string `json:"text"`
}
