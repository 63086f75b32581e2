package composio

import (
	"reflect"
	"strings"
	"unicode"
)

// maxText is the most bytes of one string of the remote's that are kept.
const maxText = 16 << 10

// clean makes every string inside *v fit to show: valid UTF-8, at most maxText
// bytes, without control, bidirectional and other invisible characters. Everything the remote says is
// untrusted. The value must be a pointer to strings, slices and structs of them.
func clean(v any) { cleanValue(reflect.ValueOf(v)) }

func cleanValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			cleanValue(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "ID" && f.Type.Kind() == reflect.String && !plain(v.Field(i).String()) {
				v.Field(i).SetString("!" + v.Field(i).String()) // no id: cleaned it might be another's
			}
			if f.IsExported() {
				cleanValue(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			cleanValue(v.Index(i))
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(cleanText(v.String()))
		}
	}
}

func cleanText(s string) string {
	if plain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case invisible(r):
			return -1
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText-3], "") + "…"
	}
	return s
}

// plain is the fast path: short printable ASCII.
func plain(s string) bool {
	if len(s) > maxText {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// invisible reports control and format characters (among them the
// bidirectional ones, U+202A to U+202E and U+2066 to U+2069), private-use
// characters and line separators.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}
