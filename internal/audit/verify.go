package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ErrTampered is what [Verifier.Next] wraps when a row isn't what was written.
var ErrTampered = errors.New("history was tampered with")

// ErrRolledBack means that history doesn't hold what a checkpoint says it held.
var ErrRolledBack = errors.New("history was taken back or replaced")

// ErasedAction is the action of the entry that records an erasure.
const ErasedAction = "user.erased"

// RestoredAction is the action of the entry that records that history was taken
// back with consent. Its detail back_to is how many entries there were left: those
// before it.
const RestoredAction = "history.restored"

// A Verifier checks consecutive rows of a chain and builds the tree over them.
type Verifier struct {
	after  Head // where it began
	head   Head
	tree   Tree
	gone   map[string]int64 // whose personal data isn't there → in which row last
	erased map[string]int64 // whose personal data was erased → by which row last
	back   []int64          // sizes that history was taken back to, on record

	removals []Removal // on record
	lacking  int       // pieces of personal data that aren't there
}

// NewVerifier returns a verifier for the rows after a head, with the tree over
// the rows up to it.
func NewVerifier(after Head, tree Tree) *Verifier {
	tree.Edge = slices.Clone(tree.Edge)
	return &Verifier{after: after, head: after, tree: tree}
}

// Head is the last row that was found right.
func (v *Verifier) Head() Head { return v.head }

// Restored are the sizes that rows found right say history was taken back to.
func (v *Verifier) Restored() []int64 { return v.back }

// Tree is the tree over the rows that were found right. The next row changes it.
func (v *Verifier) Tree() Tree { return v.tree }

// Place is the last row that was found right with the tree up to it.
func (v *Verifier) Place() Place { return Place{v.head, v.tree.Clone()} }

// Removals are those that rows found right tell of.
func (v *Verifier) Removals() []Removal { return v.removals }

// Missing counts the pieces of personal data that rows found right lack.
func (v *Verifier) Missing() int { return v.lacking }

// Clone returns a copy that further rows don't change.
func (v *Verifier) Clone() *Verifier {
	c := *v
	c.tree, c.gone, c.erased = v.tree.Clone(), maps.Clone(v.gone), maps.Clone(v.erased)
	c.back, c.removals = slices.Clone(v.back), slices.Clone(v.removals)
	return &c
}

func tampered(seq int64, what string) error {
	return fmt.Errorf("%w at row %d: %s", ErrTampered, seq, what)
}

// Next checks one row: number, link to the row before, hash, the copies beside
// the body, its canonical form, and the commitments of personal data.
func (v *Verifier) Next(r Row) error {
	seq := v.head.Seq + 1
	if r.Seq != seq {
		return tampered(seq, fmt.Sprintf("found row %d instead", r.Seq))
	}
	hash := HashBody(r.Body)
	if hash != r.Hash {
		return tampered(seq, "the body doesn't match its hash")
	}
	if r.Prev != v.head.Hash {
		return tampered(seq, "it doesn't follow the row before")
	}
	m, ok := scanBody(r.Body)
	if !ok {
		return tampered(seq, "the body is not canonical")
	}
	if !isText(m.seq, strconv.AppendInt(nil, seq, 10)) || !isText(m.prev, hex.AppendEncode(nil, r.Prev[:])) {
		return tampered(seq, "number or link differ from the body's")
	}
	if err := v.personal(r, m); err != nil {
		return err
	}
	if string(m.action) == `"`+RestoredAction+`"` {
		if size, _ := member(m.detail, "back_to"); size == strconv.FormatInt(seq-1, 10) {
			v.back = append(v.back, seq-1)
		}
	}
	if string(m.action) == `"`+PrunedAction+`"` {
		first, _ := member(m.detail, "first")
		last, _ := member(m.detail, "last")
		rows, _ := member(m.detail, "sha256")
		v.removals = append(v.removals, Removal{first, last, rows})
	}
	v.head = Head{Seq: seq, Hash: hash}
	v.tree.Add(hash)
	return nil
}

func isText(value, want []byte) bool {
	return len(value) == len(want)+2 && value[0] == '"' && string(value[1:len(value)-1]) == string(want)
}

// personal compares the personal data of a row with the commitments in its body.
// Reasons never go; the rest may be missing where somebody was erased.
func (v *Verifier) personal(r Row, m marks) error {
	if len(m.sealed) == 0 || m.sealed[0] != '{' {
		return tampered(r.Seq, "the body has no commitments")
	}
	there := 0
	var commitment [2 * sha256.Size]byte
	for i, p := range r.Personal {
		if slices.ContainsFunc(r.Personal[:i], func(other Personal) bool { return other.Field == p.Field }) {
			return tampered(r.Seq, "personal data "+p.Field+" is there twice")
		}
		want, ok := member(m.sealed, p.Field)
		h := sha256.New()
		h.Write(p.Salt)
		h.Write([]byte(p.Value))
		var sum [sha256.Size]byte
		hex.Encode(commitment[:], h.Sum(sum[:0]))
		if !ok || want != string(commitment[:]) {
			return tampered(r.Seq, "personal data "+p.Field+" doesn't match its commitment")
		}
		there++
	}
	if string(m.action) == `"`+ErasedAction+`"` {
		if id, ok := member(m.object, "id"); ok {
			setIn(&v.erased, id, r.Seq)
		}
	}
	if there == members(m.sealed) {
		return nil
	}
	return v.missing(r, m)
}

// members counts the members of an object that was scanned. If it isn't one of
// texts alone there may be fewer.
func members(object []byte) int {
	n := 0
	for i := 1; i < len(object); i++ {
		if object[i] == ':' && object[i-1] == '"' {
			n++
		}
	}
	return n
}

// missing notes whose personal data isn't there any more.
func (v *Verifier) missing(r Row, m marks) error {
	has := map[string]bool{}
	for _, p := range r.Personal {
		has[p.Field] = true
	}
	who, _ := member(m.actor, "id")
	var sealed map[string]any
	if err := json.Unmarshal(m.sealed, &sealed); err != nil {
		return tampered(r.Seq, "the body has no commitments")
	}
	for field := range sealed {
		if !has[field] {
			v.lacking++
		}
		switch {
		case has[field]:
		case field == personalReason:
			return tampered(r.Seq, "its reason is missing")
		case field == personalObject:
			setIn(&v.gone, subject(m, who), r.Seq)
		default:
			setIn(&v.gone, who, r.Seq)
		}
	}
	return nil
}

// subject is whom the name of an object belongs to.
func subject(m marks, actor string) string {
	if kind, _ := member(m.object, "kind"); kind != "user" {
		return actor
	}
	id, _ := member(m.object, "id")
	return id
}

func setIn(m *map[string]int64, who string, seq int64) {
	if *m == nil {
		*m = map[string]int64{}
	}
	(*m)[who] = max((*m)[who], seq)
}

// Join adds what a verifier found that began at the head of v with an empty tree.
func (v *Verifier) Join(later *Verifier) error {
	if later.after != v.head {
		return tampered(v.head.Seq, "the body doesn't match its hash") // that the later one took for its beginning
	}
	v.head = later.head
	v.tree.Append(later.tree)
	v.take(later)
	return nil
}

// Overlap adds what a verifier found of rows that are there although they were
// removed. They must lead to where v stands, so that they are what they were.
func (v *Verifier) Overlap(left *Verifier) error {
	if left.head != v.head {
		return tampered(v.head.Seq, "what is left of removed rows isn't what was removed")
	}
	v.take(left)
	return nil
}

func (v *Verifier) take(other *Verifier) {
	v.back = append(v.back, other.back...)
	v.removals = append(v.removals, other.removals...)
	v.lacking += other.lacking
	for who, seq := range other.gone {
		setIn(&v.gone, who, seq)
	}
	for who, seq := range other.erased {
		setIn(&v.erased, who, seq)
	}
}

// Close tells whether all personal data that is missing was erased on record,
// once every row was checked.
func (v *Verifier) Close() error {
	last := int64(0)
	for _, seq := range v.erased {
		last = max(last, seq)
	}
	setIn(&v.erased, "", last) // of those who were not signed in
	for _, who := range slices.Sorted(maps.Keys(v.gone)) {
		if seq := v.gone[who]; v.erased[who] < seq {
			return tampered(seq, "personal data is missing that nobody erased")
		}
	}
	return nil
}
