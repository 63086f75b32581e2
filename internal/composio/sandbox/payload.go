package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A payload reads a JSON object the way the real server's validation does:
// keys match exactly, unknown ones are ignored, null is not absence, and every
// complaint is collected.
type payload struct {
	fields     map[string]json.RawMessage
	path       string
	complaints *[]string
}

// readPayload reads a request body; a nil failure means it is an object.
func readPayload(body []byte) (payload, *failure) {
	p := payload{path: "payload", complaints: new([]string)}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if !json.Valid(body) {
		return p, invalid("Error in payload: Invalid JSON")
	}
	if kind := kindOf(body); kind != "object" {
		return p, invalid("Error in payload: Expected object, received " + kind)
	}
	if err := json.Unmarshal(body, &p.fields); err != nil {
		return p, invalid("Error in payload: Invalid JSON")
	}
	return p, nil
}

// failure is the refusal made of all complaints, nil when there are none.
func (p payload) failure() *failure {
	if len(*p.complaints) == 0 {
		return nil
	}
	return invalid(*p.complaints...)
}

func (p payload) complain(key, format string, args ...any) {
	at := p.path
	if key != "" {
		at += "." + key
	}
	*p.complaints = append(*p.complaints, "Error in "+at+": "+fmt.Sprintf(format, args...))
}

func (p payload) has(key string) bool {
	_, ok := p.fields[key]
	return ok
}

// null tells whether the key is there and null.
func (p payload) null(key string) bool {
	return kindOf(p.fields[key]) == "null"
}

// read decodes a key of the wanted kind into dst and tells whether it is there.
func (p payload) read(key, kind string, dst any) bool {
	raw, ok := p.fields[key]
	if !ok {
		return false
	}
	if got := kindOf(raw); got != kind {
		p.complain(key, "Expected %s, received %s", kind, got)
		return false
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		p.complain(key, "Invalid value")
		return false
	}
	return true
}

// text reads an optional string.
func (p payload) text(key string) (string, bool) {
	var s string
	ok := p.read(key, "string", &s)
	return s, ok
}

// needText reads a string that must be there and not be empty.
func (p payload) needText(key string) string {
	s, ok := p.text(key)
	switch {
	case !p.has(key):
		p.complain(key, "Required")
	case ok && s == "":
		p.complain(key, "String must contain at least 1 character(s)")
	}
	return s
}

// flag reads an optional boolean.
func (p payload) flag(key string) (bool, bool) {
	var b bool
	ok := p.read(key, "boolean", &b)
	return b, ok
}

// texts reads an optional list of strings.
func (p payload) texts(key string) ([]string, bool) {
	var raw []json.RawMessage
	if !p.read(key, "array", &raw) {
		return nil, false
	}
	out := make([]string, 0, len(raw))
	for i, r := range raw {
		var s string
		if got := kindOf(r); got != "string" || json.Unmarshal(r, &s) != nil {
			p.complain(fmt.Sprintf("%s.%d", key, i), "Expected string, received %s", got)
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// object reads an optional object.
func (p payload) object(key string) (payload, bool) {
	in := payload{path: p.path + "." + key, complaints: p.complaints}
	ok := p.read(key, "object", &in.fields)
	return in, ok
}

// scopes checks that a key, where it is there, holds a string or strings.
func (p payload) scopes(key string) {
	switch kindOf(p.fields[key]) {
	case "", "string", "null":
	case "array":
		p.texts(key)
	default:
		p.complain(key, "Expected string or array of strings")
	}
}

// keys are the keys of the object in order.
func (p payload) keys() []string {
	keys := make([]string, 0, len(p.fields))
	for k := range p.fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// kindOf names the kind of a JSON value, empty for no value.
func kindOf(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch c := raw[0]; {
	case c == '{':
		return "object"
	case c == '[':
		return "array"
	case c == '"':
		return "string"
	case c == 'n':
		return "null"
	case strings.ContainsRune("tf", rune(c)):
		return "boolean"
	}
	return "number"
}
