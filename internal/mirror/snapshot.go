package mirror

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// A Snapshot is all auth configs of a project, held in memory in the orders that
// pages ask for. It never changes; [Snapshot.With] makes the next one.
type Snapshot struct {
	byID     map[string]*entry
	orders   [len(sortKeys)][]*entry
	facets   Facets
	disabled int
}

// entry is a config with what sorting and searching need at hand.
type entry struct {
	AuthConfig
	text string // lower case, to search in
}

// Sort keys of a list, as they stand in URLs. The first is the default.
var sortKeys = [...]string{"name", "toolkit", "scheme", "status", "connections", "changed"}

// SortKeys lists the orders a list can have.
func SortKeys() []string { return sortKeys[:] }

func newEntry(a AuthConfig) *entry {
	return &entry{a, strings.ToLower(a.Name + "\n" + a.ID + "\n" + a.Toolkit)}
}

// compare orders by key; ties are broken by name and id.
func compare(key int, a, b *entry) int {
	if c := compareKey(key, a, b); c != 0 {
		return c
	}
	if c := cmp.Compare(a.text, b.text); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// compareKey orders by key alone.
func compareKey(key int, a, b *entry) int {
	switch sortKeys[key] {
	case "toolkit":
		return cmp.Compare(a.Toolkit, b.Toolkit)
	case "scheme":
		return cmp.Compare(a.Scheme, b.Scheme)
	case "status":
		return cmp.Compare(b.Status, a.Status) // enabled first
	case "connections":
		return cmp.Compare(b.Connections, a.Connections) // most first
	case "changed":
		return b.Seen.ChangedAt.Compare(a.Seen.ChangedAt) // newest first
	}
	return 0
}

// NewSnapshot returns the snapshot of these configs. An id that comes twice counts
// the last time.
func NewSnapshot(configs iter.Seq[AuthConfig]) *Snapshot {
	s := &Snapshot{byID: map[string]*entry{}}
	for a := range configs {
		s.byID[a.ID] = newEntry(a)
	}
	byName := slices.SortedFunc(maps.Values(s.byID), func(a, b *entry) int { return compare(0, a, b) })
	s.orders[0] = byName
	for key := 1; key < len(sortKeys); key++ {
		s.orders[key] = sortedFrom(byName, key)
	}
	s.summarize()
	return s
}

// sortedFrom returns entries that are sorted by name in the order of a key. Names
// are not compared again: that takes longest.
func sortedFrom(byName []*entry, key int) []*entry {
	type ranked struct {
		*entry
		rank int
	}
	all := make([]ranked, len(byName))
	for i, e := range byName {
		all[i] = ranked{e, i}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if c := compareKey(key, a.entry, b.entry); c != 0 {
			return c
		}
		return cmp.Compare(a.rank, b.rank)
	})
	out := make([]*entry, len(all))
	for i, r := range all {
		out[i] = r.entry
	}
	return out
}

// With returns a snapshot in which the changed configs are replaced or added and
// the gone ones are left out.
func (s *Snapshot) With(changed []AuthConfig, gone []string) *Snapshot {
	next := &Snapshot{byID: make(map[string]*entry, len(s.byID)+len(changed))}
	dropped := map[*entry]bool{}
	for id, e := range s.byID {
		next.byID[id] = e
	}
	for _, id := range gone {
		dropped[next.byID[id]] = true
		delete(next.byID, id)
	}
	for _, a := range changed {
		if old := next.byID[a.ID]; old != nil {
			dropped[old] = true
		}
		next.byID[a.ID] = newEntry(a)
	}
	var added []*entry
	once := map[*entry]bool{}
	for _, a := range changed {
		if e := next.byID[a.ID]; e != nil && !once[e] {
			added, once[e] = append(added, e), true
		}
	}
	for key := range sortKeys {
		slices.SortFunc(added, func(a, b *entry) int { return compare(key, a, b) })
		next.orders[key] = merge(s.orders[key], dropped, added, func(a, b *entry) int { return compare(key, a, b) })
	}
	next.summarize()
	return next
}

func merge(old []*entry, dropped map[*entry]bool, added []*entry, order func(a, b *entry) int) []*entry {
	out := make([]*entry, 0, len(old)+len(added))
	for _, e := range old {
		if dropped[e] {
			continue
		}
		for len(added) > 0 && order(added[0], e) < 0 {
			out, added = append(out, added[0]), added[1:]
		}
		out = append(out, e)
	}
	return append(out, added...)
}

// Len is the number of configs.
func (s *Snapshot) Len() int { return len(s.byID) }

// Get returns one config.
func (s *Snapshot) Get(id string) (AuthConfig, bool) {
	e := s.byID[id]
	if e == nil {
		return AuthConfig{}, false
	}
	return e.AuthConfig, true
}

// All iterates over all configs by name.
func (s *Snapshot) All(yield func(AuthConfig) bool) {
	for _, e := range s.orders[0] {
		if !yield(e.AuthConfig) {
			return
		}
	}
}

// A Query asks for a page of a list. Empty fields don't narrow it.
type Query struct {
	Text    string // in the language of auth configs; words must occur in name, id or toolkit
	Toolkit string
	Scheme  string
	Status  string
	Managed string // "managed" or "own"
	Sort    string // one of [SortKeys]
	After   string // id of the last config on the page before
	Limit   int

	Drifting *Drifting // what is:drift finds
}

// A Page is a part of a list.
type Page struct {
	Configs  []*AuthConfig // not to be changed
	Matches  int           // how many configs the query finds in all
	Position int           // how many of them come before this page
	Next     string        // After of the next page; empty on the last
	Previous string        // After of the page before, if HasPrevious
	Disabled int           // how many configs of the project are disabled
	Total    int           // how many there are in the project

	HasPrevious bool
}

// Find returns the page that a query asks for. An unknown After gives the first.
func (s *Snapshot) Find(q Query) Page {
	p := Page{Total: len(s.byID)}
	key := max(0, slices.Index(sortKeys[:], q.Sort))
	matches := s.orders[key]
	if q.narrows() {
		matches = q.filter(matches)
	}
	p.Matches = len(matches)
	if after := s.byID[q.After]; after != nil {
		at, found := slices.BinarySearchFunc(matches, after, func(a, b *entry) int { return compare(key, a, b) })
		p.Position = at
		if found {
			p.Position++
		}
	}
	end := min(p.Position+q.Limit, len(matches))
	p.Configs = make([]*AuthConfig, 0, q.Limit)
	for _, e := range matches[p.Position:end] {
		p.Configs = append(p.Configs, &e.AuthConfig)
	}
	if end < len(matches) && end > 0 {
		p.Next = matches[end-1].ID
	}
	if p.Position > 0 {
		p.HasPrevious = true
		if before := p.Position - q.Limit; before > 0 {
			p.Previous = matches[before-1].ID
		}
	}
	p.Disabled = s.disabled
	return p
}

func (q Query) narrows() bool {
	return q.Text != "" || q.Toolkit != "" || q.Scheme != "" || q.Status != "" || q.Managed != ""
}

func (q Query) filter(order []*entry) []*entry {
	w := newWhere(q.Text)
	w.drifting = q.Drifting
	var out []*entry
	for _, e := range order {
		if q.matches(e) && w.matches(e) {
			out = append(out, e)
		}
	}
	return out
}

func (q Query) matches(e *entry) bool {
	return (q.Toolkit == "" || e.Toolkit == q.Toolkit) && (q.Scheme == "" || e.Scheme == q.Scheme) &&
		(q.Status == "" || strings.EqualFold(e.Status, q.Status)) && (q.Managed != "managed" || e.Managed) && (q.Managed != "own" || !e.Managed)
}

// Facets are the values that configs of a project have, sorted.
type Facets struct {
	Toolkits []string
	Schemes  []string
}

// Facets returns what a list can be narrowed by.
func (s *Snapshot) Facets() Facets { return s.facets }

// summarize counts what every page shows.
func (s *Snapshot) summarize() {
	for _, e := range s.orders[slices.Index(sortKeys[:], "toolkit")] {
		if n := len(s.facets.Toolkits); n == 0 || s.facets.Toolkits[n-1] != e.Toolkit {
			s.facets.Toolkits = append(s.facets.Toolkits, e.Toolkit)
		}
		if e.Status == Disabled {
			s.disabled++
		}
	}
	for _, e := range s.orders[slices.Index(sortKeys[:], "scheme")] {
		if n := len(s.facets.Schemes); e.Scheme != "" && (n == 0 || s.facets.Schemes[n-1] != e.Scheme) {
			s.facets.Schemes = append(s.facets.Schemes, e.Scheme)
		}
	}
}

// SeenBy is the snapshot with those auth configs alone that somebody may see.
func (s *Snapshot) SeenBy(u access.User, p Project) *Snapshot {
	if u.MayIn(access.ViewConfigs, p.Place()) {
		return s
	}
	return NewSnapshot(func(yield func(AuthConfig) bool) {
		for a := range s.All {
			if u.MayIn(access.ViewConfigs, p.At(a.Toolkit)) && !yield(a) {
				return
			}
		}
	})
}
