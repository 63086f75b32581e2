package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// marks are the parts of a body that tie it to its chain, as they stand there.
type marks struct {
	seq, prev, actor, object, sealed, action, detail []byte
}

// mostNested is how deep a body may nest; ours reach three.
const mostNested = 16

// scanBody reports whether b is an object in canonical JSON (RFC 8785) without
// numbers, and finds its marks. Every row that is verified goes through here.
func scanBody(b []byte) (m marks, ok bool) {
	s := scan{b: b}
	if len(b) == 0 || b[0] != '{' || !utf8.Valid(b) {
		return m, false
	}
	ok = s.object(mostNested, func(key, value []byte) {
		switch string(key) {
		case `"seq"`:
			m.seq = value
		case `"prev"`:
			m.prev = value
		case `"actor"`:
			m.actor = value
		case `"object"`:
			m.object = value
		case `"sealed"`:
			m.sealed = value
		case `"action"`:
			m.action = value
		case `"detail"`:
			m.detail = value
		}
	})
	return m, ok && s.i == len(b)
}

// member finds the text of a member in an object that was scanned, among those of
// its own and not of what is nested.
func member(object []byte, name string) (text string, found bool) {
	if len(object) == 0 || object[0] != '{' {
		return "", false
	}
	if isWord(name) && bytes.IndexByte(object[1:], '{') < 0 && bytes.IndexByte(object, '[') < 0 && bytes.IndexByte(object, '\\') < 0 {
		// No text holds a quote, so what follows one tells what it is.
		_, after, ok := bytes.Cut(object, []byte(`"`+name+`":"`))
		value, _, _ := bytes.Cut(after, []byte(`"`))
		return string(value), ok
	}
	s := scan{b: object}
	s.object(mostNested, func(key, value []byte) {
		var is string
		if _ = json.Unmarshal(key, &is); is == name && value[0] == '"' { // they were scanned
			found = json.Unmarshal(value, &text) == nil
		}
	})
	return text, found
}

// isWord reports whether a name has only lower-case letters and lines.
func isWord(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// A scan walks through JSON and stops where it isn't canonical.
type scan struct {
	b []byte
	i int
}

func (s *scan) next(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scan) value(depth int) bool {
	if s.i >= len(s.b) || depth == 0 {
		return false
	}
	switch s.b[s.i] {
	case '"':
		return s.text()
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.array(depth)
	}
	for _, word := range []string{"null", "true", "false"} {
		if bytes.HasPrefix(s.b[s.i:], []byte(word)) {
			s.i += len(word)
			return true
		}
	}
	return false
}

func (s *scan) array(depth int) bool {
	s.i++
	if s.next(']') {
		return true
	}
	for s.value(depth - 1) {
		if s.next(']') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
	return false
}

func (s *scan) object(depth int, visit func(key, value []byte)) bool {
	s.i++
	if s.next('}') {
		return true
	}
	var last []byte
	for {
		begin := s.i
		if s.i >= len(s.b) || s.b[s.i] != '"' || !s.text() {
			return false
		}
		key := s.b[begin:s.i]
		if last != nil && !keysInOrder(last, key) || !s.next(':') {
			return false
		}
		last = key
		begin = s.i
		if !s.value(depth - 1) {
			return false
		}
		if visit != nil {
			visit(key, s.b[begin:s.i])
		}
		if s.next('}') {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
}

// plain are the bytes that stand for themselves in a text.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// text passes a string; the encoding was looked at before.
func (s *scan) text() bool {
	b, i := s.b, s.i+1
	for i < len(b) {
		c := b[i]
		switch {
		case plain[c]:
			i++
		case c == '"':
			s.i = i + 1
			return true
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return false
			}
			i += n
		default:
			return false
		}
	}
	return false
}

// escape returns the length of the escape that b begins with, 0 if it is none
// of the canonical ones.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 || b[2] != '0' || b[3] != '0' || b[4] != '0' && b[4] != '1' {
			return 0
		}
		digits := "0123456789abcdef"
		if b[4] == '0' {
			digits = "01234567bef" // the others have escapes of their own
		}
		if strings.IndexByte(digits, b[5]) < 0 {
			return 0
		}
		return 6
	}
	return 0
}

// keysInOrder compares two keys as they stand there, by UTF-16 units.
func keysInOrder(a, b []byte) bool {
	if isPlainASCII(a) && isPlainASCII(b) {
		return bytes.Compare(a[:len(a)-1], b[:len(b)-1]) < 0
	}
	return slices.CompareFunc(units(a), units(b), cmp.Compare[uint16]) < 0
}

func isPlainASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 || c == '\\' {
			return false
		}
	}
	return true
}

func units(key []byte) []uint16 {
	var text string
	_ = json.Unmarshal(key, &text) // it was scanned
	return utf16.Encode([]rune(text))
}
