package store

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/query"
)

// A condition is what an entry must meet, or must not: one of its choices, and
// none of those that except it.
type condition struct {
	not bool
	any []choice
	but []choice
}

// A choice holds where all of its atoms do. A phrase must stand in one text too.
type choice struct {
	atoms  []atom
	phrase []string
}

// An atom is a token, or what words begin with. It may be looked for in
// addresses as well.
type atom struct {
	token     string
	prefix    bool
	addresses bool
}

// conditions are what the query asks for, dates aside.
func (q HistoryQuery) conditions() []condition {
	var all []condition
	for _, f := range []filter{{byProject, q.Project}, {byActor, q.Actor}, {byAction, q.Action}, {byObject, q.Object}, {byRequest, q.Request}} {
		if f.value != "" {
			all = append(all, condition{any: exactly(f)})
		}
	}
	for _, w := range q.words() {
		all = append(all, condition{any: []choice{{atoms: []atom{q.word(w, false)}}}})
	}
	if q.Public {
		all = append(all, condition{any: []choice{{atoms: []atom{{token: open}}}}})
	}
	if len(q.Hidden) > 0 {
		all = append(all, q.hidden())
	}
	if len(q.Barred) > 0 {
		all = append(all, condition{not: true, any: projectChoices(q.Barred)})
	}
	same := map[string]int{} // key → the condition that its choices go to
	for _, t := range q.Where.Terms {
		if t.Key == query.After || t.Key == query.Before {
			continue
		}
		at, repeated := same[t.Key]
		if repeated && !t.Not && t.Key != "" && t.Key != query.Is {
			all[at].any = append(all[at].any, q.choices(t)...)
			continue
		}
		if !t.Not {
			same[t.Key] = len(all)
		}
		all = append(all, condition{not: t.Not, any: q.choices(t)})
	}
	return all
}

// hidden leaves out projects, but for what a person did and some toolkits.
func (q HistoryQuery) hidden() condition {
	c := condition{not: true, any: projectChoices(q.Hidden)}
	if q.But != "" {
		c.but = exactly(filter{byActor, q.But})
	}
	for _, p := range q.Parts {
		c.but = append(c.but, choice{atoms: []atom{{token: filterToken(byProject, p.Project)}, {token: filterToken(byOneToolkit, p.Toolkit)}}})
	}
	return c
}

// projectChoices are what is of some projects; that of an empty id is of none.
func projectChoices(ids []string) []choice {
	var all []choice
	for _, id := range ids {
		if id == "" {
			all = append(all, choice{atoms: []atom{{token: nowhere}}})
			continue
		}
		all = append(all, exactly(filter{byProject, id})...)
	}
	return all
}

// aboutPeople are the actions that not everybody may read of: what happened to
// accounts, groups and the directories that keep them, and what somebody searched for.
var aboutPeople = []string{"session", "token", "user", "group", "directory", "setup", "review", "access_review", audit.Read, "history.export_begun", "history.exported", "evidence", "sink.added", "sink.edited", "search"}

func isAboutPeople(action string) bool {
	return slices.ContainsFunc(aboutPeople, func(kind string) bool { return action == kind || strings.HasPrefix(action, kind+".") })
}

// exactly are choices of one filter each.
func exactly(filters ...filter) []choice {
	all := make([]choice, len(filters))
	for i, f := range filters {
		all[i] = choice{atoms: []atom{{token: filterToken(f.kind, f.value)}}}
	}
	return all
}

// choices are what a term allows.
func (q HistoryQuery) choices(t query.Term) []choice {
	v, folded := t.Value, strings.ToLower(t.Value)
	switch t.Key {
	case "":
		return q.wordChoices(t)
	case "actor":
		return q.actorChoices(v, folded)
	case "action":
		return exactly(filter{byAction, folded})
	case "toolkit":
		return exactly(filter{byToolkit, folded})
	case "config":
		return exactly(filter{byConfig, v}, filter{byConfigName, folded})
	case "project", "environment":
		return exactly(filter{byProject, v})
	case "outcome":
		return exactly(filter{byOutcome, folded})
	case "request":
		return exactly(filter{byRequest, v})
	case query.Is:
		return exactly(filter{byProperty, folded})
	case "ip":
		if !q.Public {
			return exactly(filter{byIP, v})
		}
	}
	return nil // nothing meets it
}

func (q HistoryQuery) actorChoices(v, folded string) []choice {
	if folded == "gatehouse" {
		v = audit.ActorSystem
	}
	all := exactly(filter{byActor, v}, filter{byActorName, folded})
	if !q.Public {
		all = append(all, exactly(filter{byActorEmail, folded})...)
	}
	return all
}

// wordChoices are those of words. Quoted ones stand side by side in one text.
func (q HistoryQuery) wordChoices(t query.Term) []choice {
	words := tokens(t.Value)
	if !t.Quoted {
		atoms := make([]atom, len(words))
		for i, w := range words {
			atoms[i] = q.word(w, false)
		}
		return []choice{{atoms: atoms}}
	}
	all := []choice{q.phrase(words, "")}
	if !q.Public {
		all = append(all, q.phrase(words, inAddress))
	}
	return all
}

func (q HistoryQuery) word(w string, whole bool) atom {
	return atom{token: w, prefix: !whole && isPrefix(w), addresses: !q.Public}
}

func (q HistoryQuery) phrase(words []string, where string) choice {
	if len(words) == 1 {
		return choice{atoms: []atom{{token: where + words[0]}}}
	}
	c := choice{}
	for i := 1; i < len(words); i++ {
		c.atoms = append(c.atoms, atom{token: pairToken(where, words[i-1], words[i])})
	}
	if len(words) > 2 {
		c.phrase = words
	}
	return c
}

// span is the time that the query leaves.
func (q HistoryQuery) span(now time.Time) (from, to time.Time) {
	from, to = q.Where.Span(now)
	if q.From.After(from) {
		from = q.From
	}
	if to.IsZero() || !q.To.IsZero() && q.To.Before(to) {
		to = q.To
	}
	return from, to
}

// Matches reports whether an entry is one that the query asks for, whatever its
// Before and Limit. Projects and environments must be ids, see [Store.Resolve].
func (q HistoryQuery) Matches(e audit.Entry) bool { return q.matcher(time.Now()).matches(e) }

// A matcher is a query made ready to be compared with many entries.
type matcher struct {
	from, to   time.Time
	conditions []condition
	little     func(audit.Entry) bool // says the same where only what isn't for everybody is left out
}

func (q HistoryQuery) matcher(now time.Time) matcher {
	m := matcher{conditions: q.conditions()}
	m.from, m.to = q.span(now)
	guards := HistoryQuery{Public: q.Public, Hidden: q.Hidden, But: q.But, Parts: q.Parts, Barred: q.Barred}
	if n := len(guards.conditions()); n > 0 && n == len(m.conditions) && m.from.IsZero() && m.to.IsZero() {
		m.little = guards.open
	}
	return m
}

// Reads reports whether an entry is not of what Hidden and Barred keep away.
func (q HistoryQuery) Reads(e audit.Entry) bool {
	q.Public = false
	return q.open(e)
}

// open reports whether Public, Hidden and Barred leave an entry, without taking it to
// pieces.
func (q HistoryQuery) open(e audit.Entry) bool {
	if q.Public && isAboutPeople(e.Action) || slices.Contains(q.Barred, e.Project) {
		return false
	}
	return !slices.Contains(q.Hidden, e.Project) || q.But != "" && e.Actor.ID == q.But ||
		slices.Contains(q.Parts, Part{e.Project, strings.ToLower(e.Detail["toolkit"])}) // several are none of them
}

func (m matcher) narrows() bool { return len(m.conditions) > 0 || !m.from.IsZero() || !m.to.IsZero() }

func (m matcher) matches(e audit.Entry) bool {
	if !m.from.IsZero() && e.Time.Before(m.from) || !m.to.IsZero() && !e.Time.Before(m.to) {
		return false
	}
	if m.little != nil {
		return m.little(e)
	}
	if len(m.conditions) == 0 {
		return true
	}
	d := newDocument(e)
	for _, c := range m.conditions {
		met := slices.ContainsFunc(c.any, d.holds) && !slices.ContainsFunc(c.but, d.holds)
		if met == c.not {
			return false
		}
	}
	return true
}

func (d document) holds(c choice) bool {
	for _, a := range c.atoms {
		if !d.has(a) {
			return false
		}
	}
	return len(c.phrase) == 0 || d.says(c)
}

func (d document) has(a atom) bool {
	if d.tokens[a.token] || a.addresses && d.tokens[inAddress+a.token] {
		return true
	}
	if !a.prefix {
		return false
	}
	for t := range d.tokens {
		where, word := splitToken(t)
		if strings.HasPrefix(word, a.token) && begins(word) && (where == "" || where == inAddress && a.addresses) {
			return true
		}
	}
	return false
}

// splitToken tells a word from where it stands. What is no word has another place.
func splitToken(t string) (where, word string) {
	i := strings.LastIndexAny(t, ".@") + 1
	return t[:i], t[i:]
}

// says reports whether the words of a phrase stand side by side in one text.
func (d document) says(c choice) bool {
	texts := d.texts
	if strings.HasPrefix(c.atoms[0].token, inAddress) {
		texts = d.addresses
	}
	return slices.ContainsFunc(texts, func(words []string) bool {
		for i := range len(words) - len(c.phrase) + 1 {
			if slices.Equal(words[i:i+len(c.phrase)], c.phrase) {
				return true
			}
		}
		return false
	})
}
