package scim

import (
	"maps"
	"slices"
	"strings"
)

// mostOperations is how many a PATCH may have.
const mostOperations = 200

// An operation changes one attribute of an object.
type operation struct {
	op    string
	path  string
	value any
}

// operations reads the body of a PATCH (RFC 7644, 3.5.2).
func operations(body object) ([]operation, error) {
	all := body.list("Operations")
	if len(all) == 0 || len(all) > mostOperations {
		return nil, invalid("invalidSyntax", "Operations should be a list of 1 to %d.", mostOperations)
	}
	var out []operation
	for _, v := range all {
		o, ok := v.(object)
		if !ok {
			return nil, invalid("invalidSyntax", "An operation should be an object.")
		}
		op, err1 := o.text("op")
		path, err2 := o.text("path")
		if err1 != nil || err2 != nil || len(path) > longestFilter {
			return nil, invalid("invalidPath", "op and path should be strings.")
		}
		one := operation{strings.ToLower(op), strings.TrimSpace(path), o.get("value")}
		if !slices.Contains([]string{"add", "replace", "remove"}, one.op) {
			return nil, invalid("invalidSyntax", "op should be add, replace or remove, not %q.", short(op))
		}
		if one.op == "remove" && one.path == "" {
			return nil, invalid("noTarget", "remove needs a path.")
		}
		out = append(out, one)
	}
	return out, nil
}

// patch carries operations out on an object.
func patch(o object, all []operation) error {
	m := &meter{mostSteps}
	for _, one := range all {
		if one.path != "" {
			if err := one.do(o, m); err != nil {
				return err
			}
			continue
		}
		fields, ok := one.value.(object)
		if !ok {
			return invalid("invalidValue", "Without a path, value should be an object.")
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if err := (operation{one.op, name, fields[name]}).do(o, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// A target is what a path names: attr, attr.sub, attr[filter] or attr[filter].sub.
type target struct {
	attr   string
	filter filter
	equals object // what the filter says that a part is, as far as that is plain
	sub    string
}

// target reads the path. Extensions that nothing is kept of are paths too.
func (op operation) target() (target, error) {
	path := bare(op.path)
	if strings.HasPrefix(strings.ToLower(path), "urn:") {
		return target{attr: path}, nil
	}
	head, rest, has := strings.Cut(path, "[")
	if !has {
		attr, sub, _ := strings.Cut(path, ".")
		if !attribute(attr) || sub != "" && !attribute(sub) {
			return target{}, invalid("invalidPath", "The path %q can't be read.", short(op.path))
		}
		return target{attr: attr, sub: sub}, nil
	}
	inside, tail, has := cutLast(rest, "]")
	sub, dotted := strings.CutPrefix(tail, ".")
	if !has || !attribute(head) || tail != "" && (!dotted || !attribute(sub)) {
		return target{}, invalid("invalidPath", "The path %q can't be read.", short(op.path))
	}
	f, err := parseFilter(inside)
	if err != nil {
		return target{}, invalid("invalidPath", "The path %q can't be read.", short(op.path))
	}
	return target{attr: head, filter: f, sub: sub, equals: plain(inside)}, nil
}

func cutLast(s, sep string) (string, string, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// plain is what a filter such as type eq "work" says; nil for others.
func plain(text string) object {
	words, err := filterWords(text)
	if err != nil || len(words) != 3 || !strings.EqualFold(words[1].text, "eq") {
		return nil
	}
	return object{words[0].text: words[2].value}
}

// do carries out an operation, as far as the meter allows.
func (op operation) do(o object, m *meter) error {
	t, err := op.target()
	if err == nil {
		m.spend(len(o) + len(op.path) + op.costs(o.get(t.attr)))
		err = m.tooMuch()
	}
	switch {
	case err != nil:
		return err
	case t.filter != nil:
		return op.parts(o, t, m)
	case t.sub != "":
		return op.inside(o, t)
	case op.op == "remove":
		op.drop(o, t.attr)
	case op.op == "add":
		if list, ok := o.get(t.attr).([]any); ok {
			o.set(t.attr, with(list, op.value))
			return nil
		}
		o.set(t.attr, merged(o.get(t.attr), op.value))
	default:
		o.set(t.attr, merged(o.get(t.attr), op.value))
	}
	return nil
}

// costs is what it takes to put the value of an operation over another.
func (op operation) costs(have any) int {
	a, isA := have.(object)
	b, isB := op.value.(object)
	if isA && isB {
		return (len(a) + len(b)) * len(b)
	}
	list, _ := have.([]any)
	more, _ := op.value.([]any)
	return len(list) + len(more)
}

// merged is a value over another: of objects, what isn't named stays.
func merged(have, v any) any {
	a, isA := have.(object)
	b, isB := v.(object)
	if !isA || !isB {
		return v
	}
	for name, one := range b {
		a.set(name, one)
	}
	return a
}

// with is a list with more in it, each once.
func with(list []any, v any) []any {
	more, ok := v.([]any)
	if !ok {
		more = []any{v}
	}
	have := map[string]bool{}
	for _, one := range list {
		have[valueOf(one)] = true
	}
	for _, one := range more {
		if id := valueOf(one); id == "" || !have[id] {
			list, have[id] = append(list, one), true
		}
	}
	return list
}

// valueOf is what tells one part of a list from another.
func valueOf(v any) string {
	if o, ok := v.(object); ok {
		v = o.get("value")
	}
	s, _ := v.(string) // anything else tells nothing
	return s
}

// drop removes an attribute. With a value, which some directories send, only the
// parts of it that are named.
func (op operation) drop(o object, attr string) {
	list, ok := o.get(attr).([]any)
	if !ok || op.value == nil {
		o.remove(attr)
		return
	}
	gone := map[string]bool{}
	for _, one := range with(nil, op.value) {
		gone[valueOf(one)] = true
	}
	o.set(attr, slices.DeleteFunc(slices.Clone(list), func(v any) bool { return gone[valueOf(v)] }))
}

// inside changes a part of an object.
func (op operation) inside(o object, t target) error {
	part, ok := o.get(t.attr).(object)
	if !ok {
		if o.get(t.attr) != nil {
			return invalid("invalidPath", "%s has no parts.", t.attr)
		}
		part = object{}
	}
	if op.op == "remove" {
		part.remove(t.sub)
	} else {
		part.set(t.sub, op.value)
	}
	o.set(t.attr, part)
	return nil
}

// parts changes those of a list that a filter finds. One that says plainly what it
// looks for makes such a part if there is none.
func (op operation) parts(o object, t target, m *meter) error {
	found := false
	kept := []any{}
	for _, v := range o.list(t.attr) {
		part, is := v.(object)
		if !is || !t.filter(part, m) {
			kept = append(kept, v)
			continue
		}
		found = true
		switch {
		case op.op == "remove" && t.sub == "":
			continue
		case op.op == "remove":
			part.remove(t.sub)
		case t.sub != "":
			part.set(t.sub, op.value)
		default:
			m.spend(op.costs(part))
			v = merged(part, op.value)
		}
		if kept = append(kept, v); m.left < 0 {
			break
		}
	}
	if err := m.tooMuch(); err != nil {
		return err
	}
	switch {
	case found || op.op == "remove":
	case t.equals == nil:
		return invalid("noTarget", "Nothing is at %q.", short(op.path))
	case t.sub != "":
		t.equals.set(t.sub, op.value)
		kept = append(kept, t.equals)
	default:
		kept = append(kept, merged(t.equals, op.value))
	}
	o.set(t.attr, kept)
	return nil
}
