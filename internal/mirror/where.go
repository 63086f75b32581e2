package mirror

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/query"
)

// A where is a text in the language of auth configs, made ready.
type where struct {
	query    query.Query
	from, to time.Time
	drifting *Drifting
	wrong    bool // nothing matches what can't be read
}

func newWhere(text string) where {
	q, err := query.Configs.Parse(text)
	w := where{query: q, wrong: err != nil}
	w.from, w.to = q.Span(time.Now())
	for i, t := range w.query.Terms {
		w.query.Terms[i].Value = strings.ToLower(t.Value)
	}
	return w
}

func (w where) matches(e *entry) bool {
	if w.wrong {
		return false
	}
	return w.query.Match(func(t query.Term) bool { return w.holds(t, e) })
}

func (w where) holds(t query.Term, e *entry) bool {
	switch t.Key {
	case "toolkit":
		return strings.EqualFold(e.Toolkit, t.Value)
	case "scheme":
		return strings.EqualFold(e.Scheme, t.Value)
	case "status":
		return strings.EqualFold(e.Status, t.Value)
	case "managed":
		return e.Managed == (t.Value == "yes")
	case "scope":
		has := func(s string) bool { return strings.EqualFold(s, t.Value) }
		return slices.ContainsFunc(e.Scopes.Values, has) || slices.ContainsFunc(e.UserScopes.Values, has)
	case "config":
		return strings.EqualFold(e.ID, t.Value) || strings.EqualFold(e.Name, t.Value)
	case "owner":
		return e.Seen.ChangedBy != "" && strings.Contains(strings.ToLower(e.Seen.ChangedBy), t.Value)
	case query.After:
		return !e.Seen.ChangedAt.Before(w.from)
	case query.Before:
		return e.Seen.ChangedAt.Before(w.to)
	case query.Is:
		return t.Value == "drift" && w.drifting.has(e.ID) || e.is(t.Value)
	}
	return strings.Contains(e.text, t.Value)
}

func (e *entry) is(property string) bool {
	switch property {
	case "enabled":
		return e.Enabled()
	case "disabled":
		return e.Status == Disabled
	case "managed":
		return e.Managed
	case "own":
		return !e.Managed
	case "unused":
		return e.Connections == 0
	}
	return false
}
