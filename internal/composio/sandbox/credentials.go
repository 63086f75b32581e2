package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"unicode/utf8"
)

// redacted stands for every credential of Composio's own apps in answers.
const redacted = "REDACTED"

// maskForm is how the API masks a credential of a customer: at most four
// characters and three dots.
var maskForm = regexp.MustCompile(`^.{0,4}\.\.\.$`)

// A Value is one field of credentials as the sandbox keeps it: what anybody may
// read in clear, a secret only as its digest and what the mask shows of it. In
// JSON the first is the value itself, the second {"sha256":…,"prefix":…}.
type Value struct {
	Clear  json.RawMessage
	SHA256 string
	Prefix string
}

type digestJSON struct {
	SHA256 string `json:"sha256"`
	Prefix string `json:"prefix,omitempty"`
}

// MarshalJSON writes the form described at [Value].
func (v Value) MarshalJSON() ([]byte, error) {
	if v.SHA256 == "" && v.Clear != nil {
		return v.Clear, nil
	}
	return json.Marshal(digestJSON{v.SHA256, v.Prefix})
}

// UnmarshalJSON reads the form described at [Value].
func (v *Value) UnmarshalJSON(b []byte) error {
	var d digestJSON
	if kindOf(b) == "object" && json.Unmarshal(b, &d) == nil && d.SHA256 != "" {
		*v = Value{SHA256: d.SHA256, Prefix: d.Prefix}
		return nil
	}
	*v = clearValue(b)
	return nil
}

func clearValue(raw []byte) Value {
	return Value{Clear: bytes.Clone(raw)}
}

func clearText(s string) Value {
	return Value{Clear: mustJSON(s)}
}

// secretValue forgets a secret but for its digest and beginning. Of a short one
// less than four characters are kept, so that it is never kept whole.
func secretValue(raw []byte) Value {
	text := plainText(raw)
	return Value{SHA256: digest(text), Prefix: beginning(text)}
}

// sealedValue forgets a value that arrived encrypted: nothing of it is shown.
func sealedValue(s string) Value {
	return Value{SHA256: digest(s)}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func beginning(s string) string {
	n := min(4, utf8.RuneCountInString(s)/2)
	return string([]rune(s)[:n])
}

// plainText is a JSON string's text, or any other value as it was written.
func plainText(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// mask is the value as an answer shows it when it may not be read.
func (v Value) mask() any {
	var list []json.RawMessage
	if kindOf(v.Clear) == "array" && json.Unmarshal(v.Clear, &list) == nil {
		out := make([]string, len(list))
		for i, raw := range list {
			out[i] = beginning(plainText(raw)) + "..."
		}
		return out
	}
	if v.Clear != nil {
		return beginning(plainText(v.Clear)) + "..."
	}
	return v.Prefix + "..."
}

// empty tells whether a given value counts as none: null, "" and [].
func empty(raw json.RawMessage) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", `""`, "[]":
		return true
	}
	return false
}

// shownCredentials is the credentials object of an answer. Since 2026-04-22 the
// API shows REDACTED for every field of a managed config; of a customer's config
// client_id and consumer_key in clear and all else masked. Whether scopes and
// the redirect address are masked too is not documented: they are only with the
// strict-mask quirk.
func (s *Server) shownCredentials(c *AuthConfig) map[string]any {
	out := map[string]any{}
	if c.Managed {
		for _, name := range managedFields(c.Scheme) {
			out[name] = redacted
		}
	}
	for name, v := range c.Credentials {
		switch {
		case !s.quirks.strictMask && openField(name):
			out[name] = v.Clear
		case c.Managed:
			out[name] = redacted
		case name == "client_id" || name == "consumer_key":
			out[name] = v.Clear
		default:
			out[name] = v.mask()
		}
	}
	return out
}

func openField(name string) bool {
	return name == "scopes" || name == "user_scopes" || name == "oauth_redirect_uri"
}

func managedFields(mode string) []string {
	switch mode {
	case "OAUTH2":
		return []string{"client_id", "client_secret"}
	case "OAUTH1":
		return []string{"consumer_key", "consumer_secret"}
	}
	return nil
}
