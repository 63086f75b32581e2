package mirror

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

// AllFields lists the names of all fields of a config that can be read, in the
// order of pages.
func AllFields() []string {
	return []string{
		FieldName, FieldStatus, FieldScopes, FieldUserScopes, FieldClientID, FieldConsumerKey, FieldRedirectURI, FieldTools,
		FieldToolsForExecution, FieldToolsForConnection, FieldProxyURL, FieldToolRouter, FieldCredentials,
	}
}

// A StepKind is what an entry of history did to a config.
type StepKind string

// The kinds of step.
const (
	StepMade    StepKind = "made"
	StepChanged StepKind = "changed"
	StepGone    StepKind = "gone"
	StepRead    StepKind = "read" // the project was read for the first time; of no config
)

// A Step is an entry of history that changed a config, as far as it takes to
// find it again.
type Step struct {
	Seq    int64
	Time   time.Time
	Config string
	Kind   StepKind
	Name   string   // of the config, as the entry has it
	Fields []string // whose values the entry tells
}

// stepKinds are the actions that change a config.
var stepKinds = map[string]StepKind{
	"auth_config.created": StepMade, "auth_config.created_outside": StepMade, "auth_config.duplicate_found": StepMade,
	"auth_config.updated": StepChanged, "auth_config.enabled": StepChanged, "auth_config.disabled": StepChanged,
	"auth_config.changed_outside": StepChanged, "auth_config.touched_outside": StepChanged,
	"auth_config.deleted": StepGone, "auth_config.deleted_outside": StepGone,
	"project.baseline": StepRead,
}

// declared are the kinds of what a person said had happened, by operation.
var declared = map[string]StepKind{"create": StepMade, "delete": StepGone}

// Details of the events that [StepOf] reads.
const (
	DetailToolkit   = "toolkit"
	DetailScheme    = "scheme"
	DetailManaged   = "managed"
	DetailHidden    = "hidden"    // names of fields that Composio hid
	DetailOperation = "operation" // of what was declared done

	DetailHiddenBefore = "hidden_before" // names of fields that Composio hid before they were changed
)

// StepOf returns the step that an event is, without its place, if it is one.
func StepOf(e audit.Event) (Step, bool) {
	kind := stepKinds[e.Action]
	if e.Action == "apply.declared_done" {
		if kind = declared[e.Detail[DetailOperation]]; kind == "" {
			kind = StepChanged
		}
	}
	s := Step{Config: e.Object.ID, Kind: kind, Name: e.Object.Name}
	switch {
	case kind == "" || e.Project == "":
		return s, false
	case kind == StepRead:
		s.Config, s.Name = "", ""
		return s, true
	case s.Config == "":
		return s, false
	}
	whole := kind != StepChanged && len(e.Changes) > 0
	hidden := strings.Fields(e.Detail[DetailHidden])
	for _, f := range AllFields() {
		if whole && !slices.Contains(hidden, f) || slices.ContainsFunc(e.Changes, func(c audit.Change) bool { return c.Field == f }) {
			s.Fields = append(s.Fields, f)
		}
	}
	return s, true
}

// Describe adds to an event's details what a config is and what of it is hidden,
// so that history alone tells it.
func (a AuthConfig) Describe(detail map[string]string) map[string]string {
	if detail == nil {
		detail = map[string]string{}
	}
	detail[DetailToolkit], detail[DetailScheme], detail[DetailManaged] = a.Toolkit, a.Scheme, strconv.FormatBool(a.Managed)
	return a.Values().Hidden(detail)
}

// Hidden adds to an event's details which fields are missing, because Composio
// hid them.
func (v Values) Hidden(detail map[string]string) map[string]string {
	var hidden []string
	for _, f := range AllFields() {
		if _, readable := v[f]; !readable {
			hidden = append(hidden, f)
		}
	}
	if len(hidden) > 0 {
		detail[DetailHidden] = strings.Join(hidden, " ")
	}
	return detail
}

// HiddenBefore adds to an event's details which fields of a change weren't known
// before it, because Composio hid them: their Before says nothing.
func HiddenBefore(detail map[string]string, before, after Values) {
	var hidden []string
	for _, f := range slices.Sorted(maps.Keys(after)) {
		if _, known := before[f]; !known {
			hidden = append(hidden, f)
		}
	}
	if len(hidden) > 0 {
		detail[DetailHiddenBefore] = strings.Join(hidden, " ")
	}
}

// WasHidden reports whether an event says that a field was hidden before it.
func WasHidden(e audit.Event, field string) bool {
	return slices.Contains(strings.Fields(e.Detail[DetailHiddenBefore]), field)
}

// A State is a config as it was at some point of history.
type State struct {
	ID      string
	Name    string // as it was, or as it was last known
	Exists  bool
	Toolkit string // empty if not known, as the others
	Scheme  string
	Type    string // ManagedType or OwnType
	Values  Values // fields that are not known are missing
}

// Types of a config, as a [State] has them.
const (
	ManagedType = "managed"
	OwnType     = "own"
)

// Unknown lists the fields whose value is not known.
func (s State) Unknown() []string {
	return slices.DeleteFunc(AllFields(), func(f string) bool { _, known := s.Values[f]; return known })
}

// A Rebuild finds out how a config was at a point of history. Feed it the steps
// before that point, the newest first, with Back, then those after it, the
// oldest first, with Ahead, each until it returns true, and what the mirror has
// now with End.
type Rebuild struct {
	state   State
	open    map[string]bool // fields to be found still
	settled bool            // it is known whether the config existed
	ended   bool            // the mirror has another life of the config, or none
	load    func(seq int64) (audit.Entry, error)
}

// NewRebuild returns a rebuild that reads entries with load, which returns a zero
// entry for one that isn't kept any more.
func NewRebuild(id string, load func(seq int64) (audit.Entry, error)) *Rebuild {
	r := &Rebuild{state: State{ID: id, Values: Values{}}, open: map[string]bool{}, load: load}
	for _, f := range AllFields() {
		r.open[f] = true
	}
	return r
}

// Back takes a step before the point and reports whether it needs no earlier one.
func (r *Rebuild) Back(s Step) (bool, error) {
	if r.state.Name == "" {
		r.state.Name = s.Name
	}
	if !r.settled {
		r.settled, r.state.Exists = true, s.Kind != StepGone
	}
	if s.Kind == StepGone {
		r.ended = r.ended || !r.state.Exists
		return true, nil
	}
	err := r.take(s, func(_ audit.Entry, c audit.Change) (value []string, known bool) { return c.After, true })
	return s.Kind == StepMade, err
}

// Ahead takes a step after the point and reports whether it needs no later one.
func (r *Rebuild) Ahead(s Step) (bool, error) {
	if r.ended {
		return true, nil
	}
	if !r.settled {
		r.settled, r.state.Exists = true, s.Kind != StepMade
	}
	if s.Kind == StepMade {
		r.ended = true
		return true, nil
	}
	err := r.take(s, func(e audit.Entry, c audit.Change) (value []string, known bool) {
		return c.Before, !WasHidden(e.Event, c.Field)
	})
	r.ended = s.Kind == StepGone
	return r.ended, err
}

// take reads an entry if it tells a field that is open, or what the config is.
func (r *Rebuild) take(s Step, side func(audit.Entry, audit.Change) (value []string, known bool)) error {
	if s.Kind == StepChanged && !slices.ContainsFunc(s.Fields, func(f string) bool { return r.open[f] }) {
		return nil
	}
	e, err := r.load(s.Seq)
	if err != nil {
		return err
	}
	r.identify(e)
	for _, f := range s.Fields {
		if !r.open[f] {
			continue
		}
		delete(r.open, f)
		if e.Seq == 0 {
			continue // the entry is kept elsewhere: what it told is not known here
		}
		r.state.Values[f] = []string{}
		for _, c := range e.Changes {
			if c.Field != f {
				continue
			}
			if value, known := side(e, c); known {
				r.state.Values[f] = list(value)
			} else {
				delete(r.state.Values, f)
			}
		}
	}
	return nil
}

func (r *Rebuild) identify(e audit.Entry) {
	if r.state.Toolkit == "" {
		r.state.Toolkit = e.Detail[DetailToolkit]
	}
	if r.state.Scheme == "" {
		r.state.Scheme = e.Detail[DetailScheme]
	}
	if managed, err := strconv.ParseBool(e.Detail[DetailManaged]); err == nil {
		r.state.Type = typeOf(managed)
	}
}

func typeOf(managed bool) string {
	if managed {
		return ManagedType
	}
	return OwnType
}

// End takes what the mirror has now, if it has the config, and returns the state.
func (r *Rebuild) End(now AuthConfig, known bool) State {
	if !r.settled {
		r.state.Exists = known
	}
	if known {
		r.state.Toolkit, r.state.Scheme, r.state.Type = now.Toolkit, now.Scheme, typeOf(now.Managed)
		if r.state.Name == "" {
			r.state.Name = now.Name
		}
	}
	if known && !r.ended {
		maps.Copy(r.state.Values, now.Values().Pick(slices.Collect(maps.Keys(r.open))...))
	}
	if !r.state.Exists {
		r.state.Values = Values{}
	}
	if name := r.state.Values[FieldName]; len(name) > 0 {
		r.state.Name = name[0]
	}
	return r.state
}

// Compare lists the fields that differ between two states. A field that one of
// them doesn't know is in unknown instead.
func Compare(a, b State) (changes []audit.Change, unknown []string) {
	for _, f := range AllFields() {
		before, knownBefore := a.Values[f]
		after, knownAfter := b.Values[f]
		switch {
		case !a.Exists && !b.Exists:
		case a.Exists && !knownBefore || b.Exists && !knownAfter:
			unknown = append(unknown, f)
		case !SameValue(f, before, after):
			changes = append(changes, audit.Change{Field: f, Before: list(before), After: list(after)})
		}
	}
	return changes, unknown
}

// ChangesGone lists what a config held that is gone.
func ChangesGone(before Values) []audit.Change {
	changes := []audit.Change{}
	for _, f := range slices.Sorted(maps.Keys(before)) {
		if len(before[f]) > 0 {
			changes = append(changes, audit.Change{Field: f, Before: list(before[f]), After: []string{}})
		}
	}
	return changes
}
