package mirror

import (
	"slices"
	"time"

	"gatehouse/internal/audit"
)

// A DriftKind is what somebody did to a config at Composio directly.
type DriftKind string

// The kinds of drift.
const (
	DriftChanged DriftKind = "changed"
	DriftMade    DriftKind = "made"
	DriftGone    DriftKind = "gone"
)

// A Drift is what somebody changed of a config at Composio directly, as long as
// nobody has adopted, reverted or ignored it.
type Drift struct {
	Project string
	Config  string
	Name    string
	Kind    DriftKind
	Changes []audit.Change // from before the first change outside to after the last
	Touched bool           // a credential may have changed
	First   int64          // the entry that opened it
	Last    int64          // and the last that changed it
	FoundAt time.Time
	Until   time.Time // it is ignored until then; zero while it is open
}

// Open reports whether a drift waits for somebody.
func (d Drift) Open() bool { return d.Until.IsZero() }

// Drifting are the configs of a project whose drift is open.
type Drifting struct{ all map[string]Drift }

// NewDrifting returns those of all drift of a project that are open.
func NewDrifting(all map[string]Drift) *Drifting { return &Drifting{all} }

func (d *Drifting) has(id string) bool {
	if d == nil {
		return false
	}
	one, known := d.all[id]
	return known && one.Open()
}

// Earlier are the values from before the first change outside.
func (d Drift) Earlier() Values {
	v := Values{}
	for _, c := range d.Changes {
		v[c.Field] = list(c.Before)
	}
	return v
}

// A Severity says how loud a drift is.
type Severity int

// The severities.
const (
	Low Severity = iota
	Medium
	High
)

// String returns the name of a severity.
func (s Severity) String() string { return [...]string{"low", "medium", "high"}[s] }

// Severity returns how loud a drift is in an environment. What gives somebody more
// rights, or sends traffic and credentials elsewhere, is high in production.
func (d Drift) Severity(environment string) Severity {
	inProduction := Medium
	if environment == Production {
		inProduction = High
	}
	switch d.Kind {
	case DriftGone:
		return High
	case DriftMade:
		return inProduction - 1
	}
	s := Low
	if d.Touched {
		s = High
	}
	for _, c := range d.Changes {
		s = max(s, severityOf(c, inProduction))
	}
	return s
}

func severityOf(c audit.Change, inProduction Severity) Severity {
	switch c.Field {
	case FieldCredentials:
		return High
	case FieldScopes, FieldUserScopes:
		if widened(c) {
			return inProduction
		}
		return Medium
	case FieldClientID, FieldConsumerKey, FieldRedirectURI, FieldProxyURL:
		return inProduction
	case FieldStatus, FieldTools, FieldToolsForExecution, FieldToolRouter:
		return Medium
	}
	return Low
}

// widened reports whether a list has something that it didn't have before.
func widened(c audit.Change) bool {
	return slices.ContainsFunc(c.After, func(v string) bool { return !slices.Contains(c.Before, v) })
}

// How a drift ends without anybody's decision.
const (
	settledReverted = "reverted"     // a change request set the earlier values
	settledChanged  = "changed"      // a change request set others, or deleted it
	settledOutside  = "undone there" // whoever did it took it back
)

// driftActions are the actions that open, change or end a drift.
var driftActions = map[string]bool{
	"auth_config.created_outside": true, "auth_config.changed_outside": true, "auth_config.touched_outside": true, "auth_config.deleted_outside": true,
	"auth_config.updated": true, "auth_config.enabled": true, "auth_config.disabled": true, "auth_config.deleted": true, "apply.declared_done": true,
}

// ConcernsDrift reports whether an event may open, change or end a drift.
func ConcernsDrift(e audit.Event) bool {
	return driftActions[e.Action] && e.Project != "" && e.Object.ID != ""
}

// Follow returns the drift of a config after an entry of history, from what it was
// before; both are nil for none. Where the entry ended it, the event says so.
func Follow(d *Drift, e audit.Entry) (*Drift, []audit.Event) {
	if e.Actor.Kind == audit.ActorOutside {
		return followOutside(d, e)
	}
	return followOurs(d, e)
}

func followOutside(d *Drift, e audit.Entry) (*Drift, []audit.Event) {
	next := Drift{Project: e.Project, Config: e.Object.ID, Kind: DriftChanged, First: e.Seq}
	if d != nil {
		next = *d
	}
	next.Name, next.Last, next.FoundAt, next.Until = e.Object.Name, e.Seq, e.Time, time.Time{}
	switch e.Action {
	case "auth_config.created_outside":
		next.Kind, next.Changes, next.Touched = DriftMade, nil, false
		return &next, nil
	case "auth_config.deleted_outside":
		if next.Kind == DriftMade {
			return nil, settled(d, e, settledOutside)
		}
		next.Kind, next.Changes, next.Touched = DriftGone, nil, false
		return &next, nil
	case "auth_config.touched_outside":
		next.Touched = true
		return &next, nil
	}
	if next.Kind == DriftMade {
		return &next, nil // all of it was made outside
	}
	next.Changes = joined(next.Changes, e.Changes)
	if len(next.Changes) == 0 && !next.Touched {
		return nil, settled(d, e, settledOutside)
	}
	return &next, nil
}

// joined joins the changes of two entries into one for each field. What is as it
// was before falls out.
func joined(first, then []audit.Change) []audit.Change {
	out := slices.Clone(first)
	for _, c := range then {
		i := slices.IndexFunc(out, func(o audit.Change) bool { return o.Field == c.Field })
		if i < 0 {
			out = append(out, c)
			continue
		}
		out[i].After = c.After
	}
	return slices.DeleteFunc(out, func(c audit.Change) bool { return SameValue(c.Field, c.Before, c.After) })
}

// followOurs takes out of a drift what a change through Gatehouse set.
func followOurs(d *Drift, e audit.Entry) (*Drift, []audit.Event) {
	if d == nil || d.Kind == DriftGone {
		return d, nil
	}
	if step, _ := StepOf(e.Event); step.Kind == StepGone {
		return nil, settled(d, e, settledChanged)
	}
	if d.Kind == DriftMade {
		return d, nil
	}
	next, how, met := *d, settledReverted, false
	next.Changes = slices.Clone(d.Changes)
	for _, c := range e.Changes {
		if !slices.Contains(AllFields(), c.Field) { // a credential was set
			met = met || next.Touched
			next.Touched = false
			c.Field = FieldCredentials
		}
		i := slices.IndexFunc(next.Changes, func(o audit.Change) bool { return o.Field == c.Field })
		if i < 0 {
			continue
		}
		met = true
		if !SameValue(c.Field, c.After, next.Changes[i].Before) {
			how = settledChanged
		}
		next.Changes = slices.Delete(next.Changes, i, i+1)
	}
	if !met {
		return d, nil
	}
	if len(next.Changes) == 0 && !next.Touched {
		return nil, settled(d, e, how)
	}
	return &next, nil
}

// settled tells that a drift is over, and how.
func settled(d *Drift, e audit.Entry, how string) []audit.Event {
	if d == nil {
		return nil
	}
	event := d.event(audit.System(), "drift.settled")
	event.Request, event.Detail["how"] = e.Request, how
	return []audit.Event{event}
}

func (d Drift) event(by audit.Actor, action string) audit.Event {
	return audit.Event{
		Actor: by, Action: action, Project: d.Project, Object: audit.Object{Kind: "auth_config", ID: d.Config, Name: d.Name},
		Detail: map[string]string{},
	}
}
