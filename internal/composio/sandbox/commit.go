package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// keptMoments is how far a stale list can look back.
const keptMoments = 1000

// A moment remembers what one change replaced; nil stands for absence.
type moment struct {
	at          time.Time
	configs     map[string]*AuthConfig
	connections map[string]*Connection
}

// A change is what one accepted request does to a project.
type change struct {
	id          string // of the object the request was about
	configs     []*AuthConfig
	connections []*Connection
}

// apply makes a change part of the state, as of now.
func (p *project) apply(c change, now time.Time) {
	m := moment{at: now, configs: map[string]*AuthConfig{}, connections: map[string]*Connection{}}
	for _, v := range c.configs {
		m.configs[v.ID] = p.configs.byID[v.ID]
	}
	for _, v := range c.connections {
		m.connections[v.ID] = p.connections.byID[v.ID]
	}
	p.put(c.configs, c.connections)
	p.past = append(p.past, m)
	if len(p.past) > 2*keptMoments {
		p.past = append([]moment(nil), p.past[keptMoments:]...)
	}
}

// commit applies a change, enters it in the journal and saves it. The answer to
// the request may not say that it worked unless the failure is nil.
func (s *Server) commit(q *request, c change) *failure {
	q.project.apply(c, q.now)
	m := Mutation{
		Seq: uint64(len(s.journal.mutations)) + 1, Time: q.now, Project: q.project.slug,
		Method: q.method, Path: q.path, Query: q.rawQuery, ID: c.id, Body: q.journalBody(s.catalog, c), RequestID: q.id, Agent: q.header.Get("User-Agent"),
	}
	s.journal.mutations = append(s.journal.mutations, m)
	incidents := s.maskedWrites(q, c.id)
	s.journal.incidents = append(s.journal.incidents, incidents...)
	return s.save(savedChange{Project: q.project.slug, Configs: c.configs, Connections: c.connections, Mutation: &m, Incidents: incidents})
}

// save writes a change to the state file. When that fails the change stands all
// the same, and the request ends as one whose outcome is unknown.
func (s *Server) save(c savedChange) *failure {
	c.Minted = s.minted
	err := s.file.save(c, s.snapshot)
	if err == nil {
		return nil
	}
	s.journal.incidents = append(s.journal.incidents, Incident{Time: s.clock(), Kind: "state_not_saved", Detail: err.Error()})
	return unexpected(500)
}

// newID makes an id of a kind, like ac_ and 12 characters. Ids depend on the
// seed and on how many were made before.
func (s *Server) newID(prefix string) string {
	sum := s.mint()
	return prefix + base64.RawURLEncoding.EncodeToString(sum[:9])
}

// newUUID makes a version 4 UUID in the same way.
func (s *Server) newUUID() string {
	b := s.mint()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:16])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

func (s *Server) mint() [32]byte {
	s.minted++
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], s.seed)
	binary.BigEndian.PutUint64(b[8:], s.minted)
	return sha256.Sum256(b[:])
}

// staleConfigs is the list of auth configs, the newest first, as it was a
// number of changes or a while ago.
func (p *project) staleConfigs(lag lag, now time.Time) []*AuthConfig {
	old := map[string]*AuthConfig{}
	for _, m := range p.since(lag, now) {
		for id, v := range m.configs {
			old[id] = v
		}
	}
	return rewind(p.configs.newest(), old)
}

// staleConnections is the same for connections.
func (p *project) staleConnections(lag lag, now time.Time) []*Connection {
	old := map[string]*Connection{}
	for _, m := range p.since(lag, now) {
		for id, v := range m.connections {
			old[id] = v
		}
	}
	return rewind(p.connections.newest(), old)
}

// A lag is how far lists are behind.
type lag struct {
	changes int
	while   time.Duration
}

// since are the moments a list that lags has not seen, the newest first.
func (p *project) since(l lag, now time.Time) []moment {
	var out []moment
	for i := len(p.past) - 1; i >= 0; i-- {
		if len(p.past)-i > l.changes && now.Sub(p.past[i].at) >= l.while {
			break
		}
		out = append(out, p.past[i])
	}
	return out
}

// rewind puts back what objects were, and leaves out those that were not.
func rewind[T interface {
	comparable
	key() (time.Time, string)
}](list []T, old map[string]T) []T {
	if len(old) == 0 {
		return list
	}
	var none T
	out := list[:0]
	for _, v := range list {
		_, id := v.key()
		if was, ok := old[id]; ok {
			v = was
		}
		if v != none {
			out = append(out, v)
		}
	}
	return out
}

// overlay replaces fields of an answer by those of wire.
func overlay(answer any, wire map[string]json.RawMessage) any {
	if len(wire) == 0 {
		return answer
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(mustJSON(answer), &out); err != nil {
		return answer
	}
	for k, v := range wire {
		out[k] = v
	}
	return out
}
