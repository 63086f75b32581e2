package scim

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"gatehouse/internal/problem"
)

// An object is a resource, or a part of one, as JSON has it.
type object map[string]any

// mostBody is how many bytes a request may have: a group with all its members.
const mostBody = 1 << 20

// readObject reads the body of a request.
func readObject(r io.Reader) (object, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostBody+1))
	if err != nil {
		return nil, invalid("invalidSyntax", "The request broke off.")
	}
	if len(text) > mostBody {
		return nil, &refusal{status: 413, words: problem.New(problem.Invalid, "The request is too large: at most %d bytes.", mostBody)}
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil || v == nil {
		return nil, invalid("invalidSyntax", "The request should be a JSON object.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("invalidSyntax", "There is something behind the JSON object.")
	}
	if name := repeated(json.NewDecoder(strings.NewReader(string(text)))); name != "" {
		return nil, invalid("invalidSyntax", "%s is named twice in one object.", short(name))
	}
	o, _ := objects(v).(object)
	return o, nil
}

// repeated returns a name that an object of a JSON text has twice, however it is
// written: nobody could say which of the values is meant.
func repeated(d *json.Decoder) string {
	type open struct {
		names map[string]bool // nil in a list
		value bool            // what comes next is a value, not a name
	}
	var in []open
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		var at *open
		if len(in) > 0 {
			at = &in[len(in)-1]
		}
		if name, is := token.(string); is && at != nil && at.names != nil && !at.value {
			folded := strings.ToLower(name)
			if at.names[folded] {
				return name
			}
			at.names[folded], at.value = true, true
			continue
		}
		if at != nil {
			at.value = false
		}
		switch token {
		case json.Delim('{'):
			in = append(in, open{names: map[string]bool{}})
		case json.Delim('['):
			in = append(in, open{})
		case json.Delim('}'), json.Delim(']'):
			in = in[:len(in)-1]
		}
	}
}

// objects gives the maps in a value the type that has the methods.
func objects(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(object, len(v))
		for k, one := range v {
			o[k] = objects(one)
		}
		return o
	case []any:
		for i, one := range v {
			v[i] = objects(one)
		}
	}
	return v
}

// key is how an object writes an attribute's name, which has no case.
func (o object) key(name string) string {
	if _, ok := o[name]; ok {
		return name
	}
	for k := range o {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	return name
}

func (o object) get(name string) any { return o[o.key(name)] }

func (o object) has(name string) bool {
	_, ok := o[o.key(name)]
	return ok
}

func (o object) set(name string, v any) { o[o.key(name)] = v }

func (o object) remove(name string) { delete(o, o.key(name)) }

// list are the values of an attribute that may have several.
func (o object) list(name string) []any {
	switch v := o.get(bare(name)).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// values are those that a path leads to: of each part of a list. A part alone
// stands for its value.
func (o object) values(path string) []any {
	head, tail, deeper := strings.Cut(bare(path), ".")
	var out []any
	for _, v := range o.list(head) {
		part, is := v.(object)
		switch {
		case is && deeper:
			out = append(out, part.values(tail)...)
		case is:
			out = append(out, part.get("value"))
		case !deeper:
			out = append(out, v)
		}
	}
	return out
}

// looked are the values that a path leads to, none where looking costs too much.
func (o object) looked(path string, m *meter) []any {
	if !m.spend(len(o) + 1) {
		return nil
	}
	values := o.values(path)
	if !m.spend(len(values)) {
		return nil
	}
	return values
}

// schemas are the prefixes that paths may have.
var schemas = []string{userSchema, groupSchema}

// bare is a path without the schema before it.
func bare(path string) string {
	for _, s := range schemas {
		if len(path) > len(s) && strings.EqualFold(path[:len(s)], s) && path[len(s)] == ':' {
			return path[len(s)+1:]
		}
	}
	return path
}

// text reads a string; there may be none.
func (o object) text(name string) (string, error) {
	switch v := o.get(name).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", invalid("invalidValue", "%s should be a string.", name)
}

// flag reads a truth, which some directories write as a string.
func (o object) flag(name string, absent bool) (bool, error) {
	switch v := o.get(name).(type) {
	case nil:
		return absent, nil
	case bool:
		return v, nil
	case string:
		if strings.EqualFold(v, "true") || strings.EqualFold(v, "false") {
			return strings.EqualFold(v, "true"), nil
		}
	}
	return false, invalid("invalidValue", "%s should be true or false.", name)
}

func short(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
