package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gowebpki/jcs"
)

// ErrTampered is what [Verifier.Next] wraps when a row isn't what was written.
var ErrTampered = errors.New("history was tampered with")

// A Verifier checks the rows of a chain in order.
type Verifier struct{ head Head }

// Head is the last row that was found right.
func (v *Verifier) Head() Head { return v.head }

// Next checks one row: number, link to the row before, hash, the copies beside
// the body, and the commitments of the personal data that is there.
func (v *Verifier) Next(r Row) error {
	tampered := func(what string) error { return fmt.Errorf("%w at row %d: %s", ErrTampered, v.head.Seq+1, what) }
	if r.Seq != v.head.Seq+1 {
		return tampered(fmt.Sprintf("found row %d instead", r.Seq))
	}
	if HashBody(r.Body) != r.Hash {
		return tampered("the body doesn't match its hash")
	}
	if r.Prev != v.head.Hash {
		return tampered("it doesn't follow the row before")
	}
	var b body
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return tampered("the body can't be read")
	}
	if b.Seq != strconv.FormatInt(r.Seq, 10) || b.Prev != r.Prev.String() {
		return tampered("number or link differ from the body's")
	}
	if again, err := jcs.Transform(r.Body); err != nil || !bytes.Equal(again, r.Body) {
		return tampered("the body is not canonical")
	}
	for _, p := range r.Personal {
		if b.Sealed[p.Field] != p.commitment() {
			return tampered("personal data " + p.Field + " doesn't match its commitment")
		}
	}
	v.head = Head{Seq: r.Seq, Hash: r.Hash}
	return nil
}
