package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kinds of signed statements about an archive, which their first lines end in.
// What an archive holds is no leave to remove it from the database: that is only
// signed once the archive was read back.
const (
	ArchiveStatement = "archive"
	RemovedStatement = "removed"
)

// PrunedAction is the action of the entry that says that entries left for an
// archive. Its detail has their first and last number and the SHA-256 of the
// archive's rows.
const PrunedAction = "history.pruned"

// MonthFormat writes the month of a statement.
const MonthFormat = "2006-01"

// A Statement says what an archive holds: the rows after one place of history, up
// to another.
type Statement struct {
	Month  string
	Before Place
	After  Place
	Rows   [sha256.Size]byte // hash of the rows' file
}

// A Place is the end of a chain with the tree over it.
type Place struct {
	Head Head
	Tree Tree
}

// First is the number of the first row that an archive holds.
func (s Statement) First() int64 { return s.Before.Head.Seq + 1 }

// Last is the number of the last row that an archive holds.
func (s Statement) Last() int64 { return s.After.Head.Seq }

// A Removal is what an entry of history says about rows that left.
type Removal struct{ First, Last, Rows string }

// Removal is what the entry about this statement must say.
func (s Statement) Removal() Removal {
	return Removal{strconv.FormatInt(s.First(), 10), strconv.FormatInt(s.Last(), 10), hex.EncodeToString(s.Rows[:])}
}

// Text is what is signed, without the first line.
func (s Statement) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "month %s\nfirst %d\nlast %d\nbefore %s\nbefore-edge", s.Month, s.First(), s.Last(), s.Before.Head.Hash)
	for _, h := range s.Before.Tree.Edge {
		b.WriteString(" " + h.String())
	}
	fmt.Fprintf(&b, "\nafter %s\nafter-edge", s.After.Head.Hash)
	for _, h := range s.After.Tree.Edge {
		b.WriteString(" " + h.String())
	}
	fmt.Fprintf(&b, "\nrows %x\n", s.Rows)
	return b.String()
}

// errStatement means that a text is no statement.
var errStatement = errors.New("this is no statement about an archive")

// ParseStatement reads the text of a statement, which is written in one way only.
func ParseStatement(text string) (Statement, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 9 {
		return Statement{}, errStatement
	}
	value := map[string]string{}
	for _, line := range lines {
		key, rest, _ := strings.Cut(line, " ")
		value[key] = rest
	}
	s := Statement{Month: value["month"]}
	first, err := parseSize(value["first"])
	last, err2 := parseSize(value["last"])
	_, err3 := time.Parse(MonthFormat, s.Month)
	if errors.Join(err, err2, err3) != nil || first < 1 || last < first {
		return Statement{}, errStatement
	}
	s.Before, err = parsePlace(first-1, value["before"], value["before-edge"])
	s.After, err2 = parsePlace(last, value["after"], value["after-edge"])
	rows, err3 := parseHashes(value["rows"])
	if errors.Join(err, err2, err3) != nil || len(rows) != 1 {
		return Statement{}, errStatement
	}
	s.Rows = rows[0]
	if s.Text() != text {
		return Statement{}, errStatement
	}
	return s, nil
}

func parsePlace(seq int64, hash, edge string) (Place, error) {
	one, err := parseHashes(hash)
	if err != nil || len(one) != 1 {
		return Place{}, errStatement
	}
	p := Place{Head: Head{Seq: seq, Hash: one[0]}, Tree: Tree{Size: seq}}
	p.Tree.Edge, err = parseHashes(edge)
	return p, errors.Join(err, p.Tree.Check())
}

func parseHashes(text string) ([]Hash, error) {
	var all []Hash
	for word := range strings.FieldsSeq(text) {
		raw, err := hex.DecodeString(word)
		if err != nil || len(raw) != len(Hash{}) {
			return nil, errStatement
		}
		all = append(all, Hash(raw))
	}
	return all, nil
}

// OpenStatement returns the statement of a kind that a note is. The key that its
// first line names must have signed it.
func (k PublicKeys) OpenStatement(signed []byte, kind string) (Statement, error) {
	n, err := k.open(signed)
	if err != nil {
		return Statement{}, err
	}
	title, text, _ := strings.Cut(n.Text, "\n")
	if title != n.Sigs[0].Name+"/"+kind {
		return Statement{}, fmt.Errorf("this is no statement of the kind %q", kind)
	}
	return ParseStatement(text)
}

// ReadStatement is [PublicKeys.OpenStatement] without a look at the signature, for
// what is only derived from it.
func ReadStatement(signed []byte) (Statement, error) {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	_, text, _ = bytes.Cut(text, []byte("\n"))
	return ParseStatement(string(text) + "\n")
}

// CheckRun refuses statements that don't follow one another from the beginning of
// history on.
func CheckRun(all []Statement) error {
	at := Place{}
	for _, s := range all {
		if !at.Equal(s.Before) {
			return fmt.Errorf("%w: the statement about rows %d to %d doesn't follow the one before", ErrTampered, s.First(), s.Last())
		}
		at = s.After
	}
	return nil
}

// Equal reports whether two places are the same.
func (p Place) Equal(other Place) bool {
	return p.Head == other.Head && p.Tree.Size == other.Tree.Size && p.Tree.Root() == other.Tree.Root()
}
