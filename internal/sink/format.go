package sink

import (
	"encoding/json"

	"gatehouse/internal/audit"
)

// A nativeLine is an entry as it is stored. Body are the hashed bytes: Hash is
// SHA-256 of a zero byte and them.
type nativeLine struct {
	Seq      int64             `json:"seq"`
	Hash     string            `json:"hash"`
	Body     json.RawMessage   `json:"body"`
	Personal map[string]string `json:"personal,omitempty"`
}

// line writes a row in a sink's format.
func (s *Service) line(k Sink, r audit.Row) (line, error) {
	if !k.Personal {
		r.Personal = nil
	}
	e, err := audit.Open(r)
	if err != nil {
		return line{}, err
	}
	l := line{seq: r.Seq, entry: e}
	if k.Format == OCSF {
		l.text, err = encode(s.ocsf(e, r))
		return l, err
	}
	n := nativeLine{Seq: r.Seq, Hash: r.Hash.String(), Body: r.Body}
	for _, p := range r.Personal {
		if n.Personal == nil {
			n.Personal = map[string]string{}
		}
		n.Personal[p.Field] = p.Value
	}
	l.text, err = encode(n)
	return l, err
}

// A testLine is what a test sends in the native format.
type testLine struct {
	Test bool   `json:"test"`
	Sink string `json:"sink"`
	Time string `json:"time"`
}

// testLine is what a test sends; its number is 0, which no entry has.
func (s *Service) testLine(k Sink) line {
	l := line{entry: audit.Entry{Time: s.now(), Event: audit.Event{Action: "sink.test", Outcome: audit.OK}}}
	var err error
	if k.Format == OCSF {
		l.text, err = encode(s.ocsfTest(k))
	} else {
		l.text, err = encode(testLine{true, k.Name, s.now().Format(audit.TimeFormat)})
	}
	if err != nil {
		panic(err) // strings and numbers can be written
	}
	return l
}
