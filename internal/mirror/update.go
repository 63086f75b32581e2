package mirror

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/audit"
)

// sameConfig compares all that Composio says about a config.
func sameConfig(a, b AuthConfig) bool {
	a.Seen, b.Seen = Seen{}, Seen{}
	return reflect.DeepEqual(normal(a), normal(b))
}

// normal makes absent and empty lists the same.
func normal(a AuthConfig) AuthConfig {
	for _, l := range []*[]string{&a.Scopes.Values, &a.UserScopes.Values, &a.Tools, &a.ToolsForExecution, &a.ToolsForConnection, &a.CredentialsSet, &a.SharedSet} {
		if len(*l) == 0 {
			*l = nil
		}
	}
	return a
}

// An update gathers what a part of a sync changes.
type update struct {
	Update
	project  string
	at       time.Time
	baseline bool
	before   *Snapshot             // the mirror when the listing began
	found    map[string]AuthConfig // the listing
}

// differing lists the ids of configs that are new, other or gone: in this order,
// by id.
func (u *update) differing() []string {
	var ids, gone []string
	for id, a := range u.found {
		if known, ok := u.before.Get(id); !ok || !sameConfig(known, a) {
			ids = append(ids, id)
		}
	}
	for known := range u.before.All {
		if _, ok := u.found[known.ID]; !ok {
			gone = append(gone, known.ID)
		}
	}
	slices.Sort(ids)
	return append(ids, gone...)
}

// build compares what was found of some configs with the mirror as it is now.
// Those that changed in the mirror after the listing began, and those that a
// change request is working on, are left for the next sync: the listing may be
// older.
func (u *update) build(now Current, ids []string) error {
	for _, id := range ids {
		a, ok := u.found[id]
		if ok {
			if err := u.compare(now, a); err != nil {
				return err
			}
			continue
		}
		known, _ := u.before.Get(id)
		current, left, err := u.untouched(now, id, known.Name)
		if err != nil {
			return err
		}
		if left {
			u.Gone = append(u.Gone, id)
			u.outside("auth_config.deleted_outside", current, ChangesGone(current.Values()))
		}
	}
	return nil
}

// baselineEvents tell of a first sync.
func (u *update) baselineEvents() []audit.Event {
	if !u.baseline {
		return nil
	}
	return []audit.Event{{
		Actor: audit.System(), Action: "project.baseline", Project: u.project,
		Object: audit.Object{Kind: "project", ID: u.project},
		Detail: map[string]string{"auth_configs": strconv.Itoa(len(u.found))},
	}}
}

// untouched reports whether a config is in the mirror just as it was before.
func (u *update) untouched(now Current, id, name string) (AuthConfig, bool, error) {
	current, exists, err := now.Config(id)
	if err != nil {
		return current, false, err
	}
	busy, err := now.Busy(id, name)
	if err != nil || busy {
		return current, false, err
	}
	was, known := u.before.Get(id)
	return current, exists == known && current.Seen.Version == was.Seen.Version, nil
}

func (u *update) compare(now Current, a AuthConfig) error {
	current, left, err := u.untouched(now, a.ID, a.Name)
	if err != nil || !left {
		return err
	}
	a.Seen = Seen{ChangedAt: u.at, ChangedVia: ViaOutside}
	switch {
	case u.baseline && current.ID == "":
		a.Seen = Seen{ChangedAt: a.UpdatedAt, ChangedVia: ViaBaseline}
	case current.ID == "" && MarkerIn(a.Name) != "":
		u.outside("auth_config.duplicate_found", a, ChangesBetween(nil, a.Values()))
	case current.ID == "":
		u.outside("auth_config.created_outside", a, ChangesBetween(nil, a.Values()))
	default:
		changes := ChangesBetween(current.Values(), a.Values())
		switch {
		case len(changes) > 0:
			u.outside("auth_config.changed_outside", a, changes)
		case !current.UpdatedAt.Equal(a.UpdatedAt) && current.Connections == a.Connections:
			u.outside("auth_config.touched_outside", a, nil)
		default:
			a.Seen = current.Seen
		}
	}
	u.Changed = append(u.Changed, a)
	return nil
}

func (u *update) outside(action string, a AuthConfig, changes []audit.Change) {
	u.Events = append(u.Events, OutsideEvent(u.project, action, a, changes))
}

// OutsideEvent says what somebody did to a config at Composio directly.
func OutsideEvent(project, action string, a AuthConfig, changes []audit.Change) audit.Event {
	return audit.Event{Actor: audit.Actor{Kind: audit.ActorOutside}, Action: action, Project: project, Object: a.Object(), Changes: changes, Detail: a.Describe(nil)}
}

// Object is the config as history names it.
func (a AuthConfig) Object() audit.Object {
	return audit.Object{Kind: "auth_config", ID: a.ID, Name: a.Name}
}

// ChangesBetween lists the fields whose value differs, by name. Empty fields of
// a new object are left out.
func ChangesBetween(before, after Values) []audit.Change {
	changes := []audit.Change{}
	for _, f := range slices.Sorted(maps.Keys(after)) {
		old, known := before[f]
		if before != nil && !known || SameValue(f, old, after[f]) {
			continue
		}
		changes = append(changes, audit.Change{Field: f, Before: list(old), After: list(after[f])})
	}
	return changes
}
