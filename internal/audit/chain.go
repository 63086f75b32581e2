package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"
)

// TimeFormat writes the time of an entry: RFC 3339 in UTC with microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// A Hash is the RFC 6962 leaf hash of a body: SHA-256(0x00 ‖ body).
type Hash [sha256.Size]byte

// HashBody returns the hash of the stored bytes of an entry.
func HashBody(body []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(body)
	return Hash(h.Sum(nil))
}

// String returns h in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// A Head is the end of a chain: the last entry's number and hash, or the zero
// value before the first.
type Head struct {
	Seq  int64
	Hash Hash
}

// A Row is an entry as it is stored. Body are the hashed bytes; they hold Seq
// and Prev too.
type Row struct {
	Seq      int64
	Body     []byte
	Prev     Hash
	Hash     Hash
	Personal []Personal
}

// Personal is a piece of personal data that belongs to an entry. The body holds
// SHA-256(Salt ‖ Value) under the same field name, so it can be checked, and
// erased without breaking the chain.
type Personal struct {
	Field string
	Salt  []byte
	Value string
}

// The fields of personal data.
const (
	personalName   = "actor_name"
	personalEmail  = "actor_email"
	personalIP     = "actor_ip"
	personalAgent  = "actor_agent"
	personalObject = "object_name"
	personalReason = "reason"
)

// Address reports whether it says how to reach somebody or whence they came.
// Names and reasons are for all readers of history, addresses are not.
func (p Personal) Address() bool {
	return p.Field == personalEmail || p.Field == personalIP || p.Field == personalAgent
}

// body is the hashed form of an entry. Numbers are strings, since canonical
// JSON rounds those above 2^53. It may gain optional members; none may change
// its meaning.
type body struct { // members in the order of canonical JSON
	Action  string            `json:"action"`
	Actor   bodyActor         `json:"actor"`
	Changes []bodyChange      `json:"changes"`
	Detail  map[string]string `json:"detail"`
	Object  bodyObject        `json:"object"`
	Outcome string            `json:"outcome"`
	Prev    string            `json:"prev"`
	Project string            `json:"project"`
	Request string            `json:"request"`
	Sealed  map[string]string `json:"sealed"` // field → commitment
	Seq     string            `json:"seq"`
	Time    string            `json:"time"`
	Version string            `json:"v"`
}

type bodyActor struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Token     string `json:"token,omitempty"`
	TokenName string `json:"token_name,omitempty"`
}

type bodyObject struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Name string `json:"name"`
}

type bodyChange struct {
	After  []string `json:"after"`
	Before []string `json:"before"`
	Field  string   `json:"field"`
}

// Seal puts an event at the end of the chain.
func Seal(head Head, e Event, at time.Time) (Row, error) {
	b := body{
		Version: "1",
		Seq:     strconv.FormatInt(head.Seq+1, 10),
		Prev:    head.Hash.String(),
		Time:    at.UTC().Format(TimeFormat),
		Actor:   bodyActor{ID: e.Actor.ID, Kind: e.Actor.Kind, Token: e.Actor.Token, TokenName: e.Actor.TokenName},
		Action:  e.Action,
		Object:  bodyObject{Kind: e.Object.Kind, ID: e.Object.ID, Name: e.Object.Name},
		Project: e.Project,
		Request: e.Request,
		Outcome: e.Outcome,
		Changes: make([]bodyChange, len(e.Changes)),
		Detail:  e.Detail,
		Sealed:  map[string]string{},
	}
	if b.Outcome == "" {
		b.Outcome = OK
	}
	for i, c := range e.Changes {
		b.Changes[i] = bodyChange{After: c.After, Before: c.Before, Field: c.Field}
	}
	if b.Detail == nil {
		b.Detail = map[string]string{}
	}
	if personalObjectName(e.Object.Kind) {
		b.Object.Name = ""
	}
	row := Row{Seq: head.Seq + 1, Prev: head.Hash}
	for _, p := range personalFields(e) {
		p.Salt = make([]byte, 16)
		_, _ = rand.Read(p.Salt) // never fails (crypto/rand)
		b.Sealed[p.Field] = p.commitment()
		row.Personal = append(row.Personal, p)
	}
	var err error
	row.Body, err = b.canonical()
	row.Hash = HashBody(row.Body)
	return row, err
}

func personalObjectName(kind string) bool { return kind == "user" || kind == "session" }

func personalFields(e Event) []Personal {
	var fields []Personal
	add := func(field, value string) {
		if value != "" {
			fields = append(fields, Personal{Field: field, Value: value})
		}
	}
	add(personalName, e.Actor.Name)
	add(personalEmail, e.Actor.Email)
	add(personalIP, e.Actor.IP)
	add(personalAgent, e.Actor.Agent)
	add(personalReason, e.Reason)
	if personalObjectName(e.Object.Kind) {
		add(personalObject, e.Object.Name)
	}
	return fields
}

func (p Personal) commitment() string {
	h := sha256.New()
	h.Write(p.Salt)
	h.Write([]byte(p.Value))
	return hex.EncodeToString(h.Sum(nil))
}

// canonical writes b as RFC 8785 JSON. Members are in order and there are no
// numbers, so that only what the encoder escapes and the RFC doesn't needs the
// slower way. Every write to our database waits for this.
func (b body) canonical() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(b); err != nil {
		return nil, err
	}
	raw := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if bytes.Contains(raw, []byte(`\u`)) {
		return jcs.Transform(raw)
	}
	return raw, nil
}

// canonical writes v as RFC 8785 JSON.
func canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(raw)
}

// Digest is the SHA-256 of v as canonical JSON, in hexadecimal. It is how a
// change request's effect and a request body are named in history.
func Digest(v any) (string, error) {
	b, err := canonical(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Open reads a stored row back into an entry.
func Open(r Row) (Entry, error) {
	var b body
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return Entry{}, fmt.Errorf("history row %d: %w", r.Seq, err)
	}
	at, err := time.Parse(TimeFormat, b.Time)
	if err != nil {
		return Entry{}, fmt.Errorf("history row %d: %w", r.Seq, err)
	}
	e := Entry{Seq: r.Seq, Time: at, Event: Event{
		Actor:   Actor{Kind: b.Actor.Kind, ID: b.Actor.ID, Token: b.Actor.Token, TokenName: b.Actor.TokenName},
		Action:  b.Action,
		Object:  Object{Kind: b.Object.Kind, ID: b.Object.ID, Name: b.Object.Name},
		Project: b.Project,
		Request: b.Request,
		Outcome: b.Outcome,
		Detail:  b.Detail,
	}}
	for _, c := range b.Changes {
		e.Changes = append(e.Changes, Change{Field: c.Field, Before: c.Before, After: c.After})
	}
	for _, p := range r.Personal {
		switch p.Field {
		case personalName:
			e.Actor.Name = p.Value
		case personalEmail:
			e.Actor.Email = p.Value
		case personalIP:
			e.Actor.IP = p.Value
		case personalAgent:
			e.Actor.Agent = p.Value
		case personalReason:
			e.Reason = p.Value
		case personalObject:
			e.Object.Name = p.Value
		}
	}
	return e, nil
}

// Unreadable is the action of what [Look] returns for a row that can't be read. No
// stored entry has it.
const Unreadable = "history.unreadable"

// Look is [Open] for who must show something: a row that can't be read becomes an
// entry that has only its number, and no time.
func Look(r Row) Entry {
	e, err := Open(r)
	if err != nil {
		return Entry{Seq: r.Seq, Event: Event{Action: Unreadable}}
	}
	return e
}

// Read is the action of an entry that says that history was read. Its reason is
// what was searched for.
const Read = "history.read"

// Words are the texts of an entry that a search looks into, with or without the
// addresses of people. Who searches doesn't find that somebody searched for it.
func (e Entry) Words(addresses bool) []string {
	words := []string{e.Actor.Name, e.Actor.TokenName, e.Action, e.Object.Name, e.Object.ID, e.Outcome, e.Request}
	if e.Action != Read {
		words = append(words, e.Reason)
	}
	if addresses {
		words = append(words, e.Actor.Email, e.Actor.IP)
	}
	for _, c := range e.Changes {
		words = append(append(append(words, c.Field), c.Before...), c.After...)
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		words = append(words, e.Detail[k])
	}
	return words
}
