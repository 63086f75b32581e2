// Package secret holds values that must not be seen.
package secret

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

const shown = "[secret]"

// A Value is a credential. However it is printed, encoded or logged, it says
// "[secret]"; only [Value.Reveal] gives it away, and only for a value
// to be checked, sealed or hashed, and for the request that it belongs into.
type Value struct{ v string }

// New wraps a credential.
func New(v string) Value { return Value{v} }

// Reveal returns the credential itself.
func (s Value) Reveal() string { return s.v }

// Empty reports whether there is nothing to hide.
func (s Value) Empty() bool { return s.v == "" }

// String implements [fmt.Stringer].
func (Value) String() string { return shown }

// GoString implements [fmt.GoStringer].
func (Value) GoString() string { return shown }

// Format implements [fmt.Formatter], so that no verb reveals the value.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(shown)) }

// MarshalText implements [encoding.TextMarshaler], which encoding/json uses too.
func (Value) MarshalText() ([]byte, error) { return []byte(shown), nil }

// LogValue implements [slog.LogValuer].
func (Value) LogValue() slog.Value { return slog.StringValue(shown) }

// Last4 returns the last four characters of a value of at least twelve, else
// nothing. It is how API keys are told apart on pages.
func (s Value) Last4() string {
	if len(s.v) < 12 {
		return ""
	}
	return s.v[len(s.v)-4:]
}

// LengthClass describes the length of a credential without giving it away.
func (s Value) LengthClass() string {
	switch n := len(s.v); {
	case n < 8:
		return "under 8 characters"
	case n < 16:
		return "8 to 15 characters"
	case n < 32:
		return "16 to 31 characters"
	case n < 64:
		return "32 to 63 characters"
	case n < 256:
		return "64 to 255 characters"
	default:
		return "256 characters or more"
	}
}

var obfuscated = regexp.MustCompile(`^.{0,4}\.\.\.$`)

// Masked reports whether v looks like what Composio shows in place of a
// credential: "REDACTED", or up to four characters and "..." (changelogs of
// 2025-12-10 and 2026-04-22). Such a value must never be sent.
func Masked(v string) bool {
	v = strings.TrimSpace(v)
	return v == "REDACTED" || v == shown || obfuscated.MatchString(v)
}
