package change

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// A ListEdit adds values to a list field of several configs and takes others away.
type ListEdit struct {
	Field  string // one of [BulkFields]
	Add    string // as typed
	Remove string // as typed
}

// BulkFields are the lists that can be edited on many configs at once.
func BulkFields() []string { return []string{mirror.FieldScopes, mirror.FieldTools} }

// ProposeListEdit asks for the same edit of a list on several configs, in one
// request. Configs that it doesn't change are left out.
func (s *Service) ProposeListEdit(ctx context.Context, by access.Reader, p Proposal, ids []string, e ListEdit) (Request, error) {
	if !slices.Contains(BulkFields(), e.Field) {
		return Request{}, problem.New(problem.Invalid, "This field can't be edited on many auth configs at once.")
	}
	wrong := map[string]string{}
	add, complaint := fields[e.Field](strings.TrimSpace(e.Add))
	if complaint != "" {
		wrong["add"] = complaint
	}
	remove, complaint := fields[e.Field](strings.TrimSpace(e.Remove))
	if complaint != "" {
		wrong["remove"] = complaint
	}
	if len(wrong) == 0 && len(add)+len(remove) == 0 {
		wrong["add"] = "Enter what to add, what to remove, or both."
	}
	if err := invalid(wrong); err != nil {
		return Request{}, err
	}
	var items []Item
	for _, id := range ids {
		live, err := s.config(ctx, p.Project, id)
		if err != nil {
			return Request{}, err
		}
		it, changed, err := edited(live, e.Field, add, remove)
		if err != nil {
			return Request{}, err
		}
		if changed {
			items = append(items, it)
		}
	}
	if len(items) == 0 {
		return Request{}, problem.InvalidFields("Nothing would change: all of these are so already.", map[string]string{})
	}
	what := map[string]string{mirror.FieldScopes: "scopes", mirror.FieldTools: "tools"}[e.Field]
	return s.propose(ctx, by, p, fmt.Sprintf("Change the %s of %s", what, manyConfigs(items)), items, nil)
}

func manyConfigs(items []Item) string {
	if len(items) == 1 {
		return items[0].Name
	}
	return itoa(len(items)) + " auth configs"
}

// edited is the item that edits one config's list.
func edited(live mirror.AuthConfig, field string, add, remove []string) (Item, bool, error) {
	now, readable := live.Values()[field]
	if !readable {
		return Item{}, false, problem.New(problem.Conflict, "Composio hides this list of %s, so nothing can be added to it. Nothing was proposed. Leave that auth config out.", live.Name)
	}
	next := slices.DeleteFunc(slices.Clone(now), func(v string) bool { return slices.Contains(remove, v) })
	for _, v := range add {
		if !slices.Contains(next, v) {
			next = append(next, v)
		}
	}
	if mirror.SameValue(field, now, next) {
		return Item{}, false, nil
	}
	it := Item{Kind: KindConfig, Operation: Update, Target: live.ID, Set: mirror.Values{field: next}, ScopeForm: composio.ScopeComma}
	it.ScopeForm = live.ScopeForm(it.Set)
	it.rebase(live)
	return it, true, nil
}

// ProposeDeletes asks to delete several configs, in one request. The typed number
// must be how many they are.
func (s *Service) ProposeDeletes(ctx context.Context, by access.Reader, p Proposal, ids []string, typedNumber string, skipDisable, revoke bool) (Request, error) {
	wrong := map[string]string{}
	if strings.TrimSpace(typedNumber) != strconv.Itoa(len(ids)) {
		wrong["confirm"] = fmt.Sprintf("Type %d, to confirm.", len(ids))
	}
	var items []Item
	for _, id := range ids {
		live, err := s.config(ctx, p.Project, id)
		if err != nil {
			return Request{}, err
		}
		if live.Enabled() && !skipDisable {
			wrong["skip_disable"] = live.Name + " is enabled. Disable it first, or tick this to delete it while it is enabled."
		}
		it := Item{Kind: KindConfig, Operation: Delete, Target: id, Set: mirror.Values{}, Revoke: revoke}
		it.rebase(live)
		items = append(items, it)
	}
	if err := invalid(wrong); err != nil {
		return Request{}, err
	}
	return s.propose(ctx, by, p, "Delete "+manyConfigs(items), items, nil)
}
