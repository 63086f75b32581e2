package composio

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/secret"
)

// An AuthConfig is what can be read of an auth config. Values of credentials
// are not part of it, only their names.
type AuthConfig struct {
	ID                   string                 `json:"id"`
	Name                 string                 `json:"name"`
	Type                 AuthConfigType         `json:"type"`
	Toolkit              ToolkitRef             `json:"toolkit"`
	AuthScheme           string                 `json:"auth_scheme"` // an open set; may be empty
	Status               string                 `json:"status"`      // an open set
	Connections          float64                `json:"no_of_connections"`
	Credentials          ReadableCredentials    `json:"credentials"`
	ToolAccess           ToolAccess             `json:"tool_access_config"`
	RestrictToTools      []string               `json:"restrict_to_following_tools"`
	Proxy                *ReadableProxy         `json:"proxy_config"`
	SharedCredentials    ReadableCredentials    `json:"shared_credentials"`
	EnabledForToolRouter *bool                  `json:"is_enabled_for_tool_router"`
	ExpectedInputFields  lenientList[FieldSpec] `json:"expected_input_fields"`
	CreatedBy            string                 `json:"created_by"`
	CreatedAt            Time                   `json:"created_at"`
	LastUpdatedAt        Time                   `json:"last_updated_at"`
	IsComposioManaged    *bool                  `json:"is_composio_managed"`
}

// Managed reports whether the config uses Composio's own app. The API may omit
// the flag; then the type tells.
func (a AuthConfig) Managed() bool {
	if a.IsComposioManaged != nil {
		return *a.IsComposioManaged
	}
	return a.Type == Managed
}

// A ToolkitRef names the toolkit of a config.
type ToolkitRef struct {
	Slug         string `json:"slug"`
	AuthGuideURL string `json:"auth_guide_url"`
	AuthHintURL  string `json:"auth_hint_url"`
}

// ToolAccess are the tool lists of a config.
type ToolAccess struct {
	ForConnectionCreation []string `json:"tools_for_connected_account_creation"`
	ForExecution          []string `json:"tools_available_for_execution"`
}

// A ReadableProxy is a proxy without its key.
type ReadableProxy struct {
	URL    string
	HasKey bool
}

// UnmarshalJSON implements [json.Unmarshaler]; the key is dropped.
func (p *ReadableProxy) UnmarshalJSON(b []byte) error {
	var w struct {
		URL string `json:"proxy_url"`
		Key any    `json:"proxy_auth_key"`
	}
	err := json.Unmarshal(b, &w)
	*p = ReadableProxy{URL: w.URL, HasKey: w.Key != nil && w.Key != ""}
	return err
}

// ReadableCredentials are the parts of a credentials object that are no
// credentials, and the names of the others.
type ReadableCredentials struct {
	Scopes      Scopes
	UserScopes  Scopes
	ClientID    string
	ConsumerKey string
	RedirectURI string
	Set         []string // names of fields that have a value nobody may see, sorted
}

// ReadableField reports whether a field of a credentials object is returned
// unmasked by the API (changelog of 2026-04-22).
func ReadableField(name string) bool {
	switch name {
	case "scopes", "user_scopes", "client_id", "consumer_key", "oauth_redirect_uri":
		return true
	}
	return false
}

// UnmarshalJSON implements [json.Unmarshaler]. Only fields that
// [ReadableField] lists keep their value; a masked one counts as set and unseen.
func (r *ReadableCredentials) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*r = ReadableCredentials{}
	for name, raw := range m {
		switch name {
		case "scopes":
			r.Scopes = parseScopes(raw)
		case "user_scopes":
			r.UserScopes = parseScopes(raw)
		case "client_id":
			r.ClientID = r.readable(name, raw)
		case "consumer_key":
			r.ConsumerKey = r.readable(name, raw)
		case "oauth_redirect_uri":
			r.RedirectURI = r.readable(name, raw)
		default:
			if s := string(raw); s != "null" && s != `""` {
				r.Set = append(r.Set, name)
			}
		}
	}
	slices.Sort(r.Set)
	return nil
}

func (r *ReadableCredentials) readable(name string, raw json.RawMessage) string {
	var v string
	if json.Unmarshal(raw, &v) != nil || v == "" {
		return ""
	}
	if secret.Masked(v) {
		r.Set = append(r.Set, name)
		return ""
	}
	return v
}

// A ScopeForm is the way a list of scopes is written on the wire. Toolkits
// differ, so the form that was read or that the toolkit's default has is kept.
type ScopeForm string

// The forms of a scope list.
const (
	ScopeList  ScopeForm = "list"
	ScopeComma ScopeForm = "comma"
	ScopeSpace ScopeForm = "space"
)

// Scopes are OAuth scopes.
type Scopes struct {
	Values []string
	Form   ScopeForm
	Masked bool // the API hid them
}

// ParseScopes splits scopes that stand in one text, separated by commas, white
// space or both. Empty and repeated ones are left out.
func ParseScopes(text string) Scopes {
	form := ScopeComma
	if !strings.Contains(text, ",") && len(strings.Fields(text)) > 1 {
		form = ScopeSpace
	}
	s := Scopes{Form: form}
	for _, v := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' }) {
		if !slices.Contains(s.Values, v) {
			s.Values = append(s.Values, v)
		}
	}
	return s
}

func parseScopes(raw json.RawMessage) Scopes {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		s := Scopes{Form: ScopeList, Masked: len(list) > 0 && secret.Masked(list[0])}
		if !s.Masked {
			s.Values = list
		}
		return s
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return Scopes{}
	}
	if secret.Masked(text) {
		return Scopes{Masked: true}
	}
	return ParseScopes(text)
}

// wire writes scopes in their form. An empty list of unknown form is "".
func (s Scopes) wire() any {
	switch s.Form {
	case ScopeList:
		return append([]string{}, s.Values...)
	case ScopeSpace:
		return strings.Join(s.Values, " ")
	default:
		return strings.Join(s.Values, ",")
	}
}

// A Time is a moment as the API writes it: mostly RFC 3339, sometimes
// "Fri May 03 2024"; the zero time when it can't be read.
type Time struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler] and never fails.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	_ = json.Unmarshal(b, &s) // another type is an unknown time
	for _, layout := range []string{time.RFC3339Nano, "Mon Jan 02 2006", time.DateOnly} {
		if v, err := time.Parse(layout, s); err == nil {
			t.Time = v.UTC()
			return nil
		}
	}
	t.Time = time.Time{}
	return nil
}

// A lenientList holds what could be read of a list whose shape is not assured.
type lenientList[T any] []T

// UnmarshalJSON implements [json.Unmarshaler]; items of another shape are left out.
func (l *lenientList[T]) UnmarshalJSON(b []byte) error {
	var raw []json.RawMessage
	_ = json.Unmarshal(b, &raw) // another shape is an empty list
	*l = nil
	for _, r := range raw {
		var v T
		if json.Unmarshal(r, &v) == nil {
			*l = append(*l, v)
		}
	}
	return nil
}
