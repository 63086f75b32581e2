package sandbox

import (
	"encoding/json"
	"slices"
	"time"
)

// keptCalls bounds the journal of calls; mutations are kept whole.
const keptCalls = 100_000

// A Call is one request to the API. Status is 0 as long as nothing was answered,
// and stays so when the connection was cut or kept waiting.
type Call struct {
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Project   string    `json:"project"` // empty without a valid key
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Query     string    `json:"query"`
	Status    int       `json:"status"`
	RequestID string    `json:"request_id"`
}

// A Mutation is one change that was applied, whatever the caller was told. Seq
// counts from 1 without gaps. ID is the object the request was about; Body is
// the request's JSON with every credential replaced by sha256:<hex>, null when
// there was none.
type Mutation struct {
	Seq       uint64          `json:"seq"`
	Time      time.Time       `json:"time"`
	Project   string          `json:"project"`
	Method    string          `json:"method"`
	Path      string          `json:"path"`
	Query     string          `json:"query,omitempty"`
	ID        string          `json:"id"`
	Body      json.RawMessage `json:"body"`
	RequestID string          `json:"request_id"`
	Agent     string          `json:"agent,omitempty"` // who sent it, by its User-Agent
}

// An Incident is something a well-behaved client does not cause. Kinds are
// masked_write (a value that answers show in place of a credential came back as
// a new credential) and state_not_saved. Detail never holds a value.
type Incident struct {
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`
	Project   string    `json:"project,omitempty"`
	Method    string    `json:"method,omitempty"`
	Path      string    `json:"path,omitempty"`
	ID        string    `json:"id,omitempty"`
	Detail    string    `json:"detail"`
	RequestID string    `json:"request_id,omitempty"`
}

// A Journal is what happened: the last 100,000 calls, and all mutations and
// incidents since the state was made.
type Journal struct {
	Calls     []Call     `json:"calls"`
	Mutations []Mutation `json:"mutations"`
	Incidents []Incident `json:"incidents"`
}

// Journal is a copy of the journal so far.
func (s *Server) Journal() Journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Journal{
		Calls:     s.journal.calls.list(),
		Mutations: append([]Mutation{}, s.journal.mutations...),
		Incidents: append([]Incident{}, s.journal.incidents...),
	}
}

type journal struct {
	calls     ring
	mutations []Mutation
	incidents []Incident
}

// A ring keeps the last calls.
type ring struct {
	calls []Call
	seq   uint64
}

// begin enters a call and gives its number.
func (r *ring) begin(c Call) uint64 {
	r.seq++
	c.Seq = r.seq
	if len(r.calls) < keptCalls {
		r.calls = append(r.calls, c)
	} else {
		r.calls[(r.seq-1)%keptCalls] = c
	}
	return r.seq
}

// update changes a call that is still kept.
func (r *ring) update(seq uint64, f func(*Call)) {
	if c := &r.calls[(seq-1)%keptCalls]; c.Seq == seq {
		f(c)
	}
}

func (r *ring) list() []Call {
	at := 0
	if len(r.calls) == keptCalls {
		at = int(r.seq % keptCalls)
	}
	return slices.Concat([]Call{}, r.calls[at:], r.calls[:at])
}
