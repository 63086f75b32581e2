// Package mirror holds what the remote has, in our words, and keeps it true:
// pages read the mirror, and only the sync talks to Composio. What somebody
// changed at Composio directly is found here and becomes history.
package mirror

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unique"

	"gatehouse/internal/composio"
)

// Statuses of an auth config, in Composio's words. Others may appear.
const (
	Enabled  = composio.Enabled
	Disabled = composio.Disabled
)

// Names of the fields of an auth config that can be read and compared, as the
// API calls them. Every value is a list of strings; a single value is a list of
// one, an absent one an empty list.
const (
	FieldName               = "name"
	FieldStatus             = "status"
	FieldScopes             = "scopes"
	FieldUserScopes         = "user_scopes"
	FieldClientID           = "client_id"
	FieldConsumerKey        = "consumer_key"
	FieldRedirectURI        = "oauth_redirect_uri"
	FieldTools              = "restrict_to_following_tools"
	FieldToolsForExecution  = "tools_available_for_execution"
	FieldToolsForConnection = "tools_for_connected_account_creation"
	FieldProxyURL           = "proxy_url"
	FieldToolRouter         = "is_enabled_for_tool_router"
	FieldCredentials        = "credentials" // names of those that are set
)

// An AuthConfig is an auth config as it was when last read. It holds no
// credential, only the names of those that are set.
type AuthConfig struct {
	ID          string // ac_…
	Name        string
	Toolkit     string // slug
	Scheme      string // an open set; may be empty
	Managed     bool   // uses Composio's own app
	Status      string // an open set
	Connections int

	Scopes             composio.Scopes
	UserScopes         composio.Scopes
	ClientID           string
	ConsumerKey        string
	RedirectURI        string
	Tools              []string
	ToolsForExecution  []string
	ToolsForConnection []string
	ProxyURL           string
	ProxyKeySet        bool
	ToolRouter         *bool
	CredentialsSet     []string // names of credentials that have a value
	SharedSet          []string // names of shared credentials that have a value
	GuideURL           string
	HintURL            string
	CreatedBy          string
	CreatedAt          time.Time
	UpdatedAt          time.Time // Composio's last_updated_at

	Seen Seen `json:"-"`
}

// Seen is what we know about a config beyond what Composio says.
type Seen struct {
	Version    int64     // grows with every change of the row, over the whole project
	ChangedAt  time.Time // when the last change was made or found
	ChangedBy  string    // name of who made it, as it was; empty if unknown
	ChangedVia string    // ViaRequest, ViaOutside or ViaBaseline
}

// How the last change of a config came about.
const (
	ViaRequest  = "request"  // a change request
	ViaOutside  = "outside"  // made at Composio directly, found by a sync
	ViaBaseline = "baseline" // there at the first sync
)

// Enabled reports whether new connections may use the config.
func (a AuthConfig) Enabled() bool { return a.Status == Enabled }

// Type is the config's type in the SDK's words.
func (a AuthConfig) Type() composio.AuthConfigType {
	if a.Managed {
		return composio.Managed
	}
	return composio.Custom
}

// Intern has strings that many configs have in common kept once in memory.
func (a *AuthConfig) Intern() {
	for _, s := range []*string{&a.Toolkit, &a.Scheme, &a.Status, &a.RedirectURI, &a.GuideURL, &a.HintURL, &a.CreatedBy, &a.Seen.ChangedBy, &a.Seen.ChangedVia} {
		*s = unique.Make(*s).Value()
	}
	for _, list := range [][]string{a.Scopes.Values, a.UserScopes.Values, a.Tools, a.ToolsForExecution, a.ToolsForConnection, a.CredentialsSet, a.SharedSet} {
		for i, s := range list {
			list[i] = unique.Make(s).Value()
		}
	}
}

// FromAPI translates what the API returned.
func FromAPI(a composio.AuthConfig) AuthConfig {
	m := AuthConfig{
		ID: a.ID, Name: a.Name, Toolkit: a.Toolkit.Slug, Scheme: a.AuthScheme,
		Managed: a.Managed(), Status: a.Status, Connections: int(a.Connections),
		Scopes: a.Credentials.Scopes, UserScopes: a.Credentials.UserScopes,
		ClientID: a.Credentials.ClientID, ConsumerKey: a.Credentials.ConsumerKey,
		RedirectURI: a.Credentials.RedirectURI,
		Tools:       a.RestrictToTools, ToolsForExecution: a.ToolAccess.ForExecution,
		ToolsForConnection: a.ToolAccess.ForConnectionCreation,
		ToolRouter:         a.EnabledForToolRouter,
		CredentialsSet:     a.Credentials.Set, SharedSet: a.SharedCredentials.Set,
		GuideURL: a.Toolkit.AuthGuideURL, HintURL: a.Toolkit.AuthHintURL,
		CreatedBy: a.CreatedBy, CreatedAt: a.CreatedAt.Time, UpdatedAt: a.LastUpdatedAt.Time,
	}
	if a.Proxy != nil {
		m.ProxyURL, m.ProxyKeySet = a.Proxy.URL, a.Proxy.HasKey
	}
	return m
}

// Values are fields and what they hold.
type Values map[string][]string

// Values returns the fields that can be read. A field whose value Composio
// hides (it may mask scopes) is left out.
func (a AuthConfig) Values() Values {
	v := Values{
		FieldName: one(a.Name), FieldStatus: one(a.Status),
		FieldClientID: one(a.ClientID), FieldConsumerKey: one(a.ConsumerKey), FieldRedirectURI: one(a.RedirectURI),
		FieldTools: list(a.Tools), FieldToolsForExecution: list(a.ToolsForExecution),
		FieldToolsForConnection: list(a.ToolsForConnection), FieldProxyURL: one(a.ProxyURL),
		FieldToolRouter: {}, FieldCredentials: a.credentialNames(),
	}
	if a.ToolRouter != nil {
		v[FieldToolRouter] = one(strconv.FormatBool(*a.ToolRouter))
	}
	if !a.Scopes.Masked {
		v[FieldScopes] = list(a.Scopes.Values)
	}
	if !a.UserScopes.Masked {
		v[FieldUserScopes] = list(a.UserScopes.Values)
	}
	for _, hidden := range a.CredentialsSet {
		if composio.ReadableField(hidden) {
			delete(v, hidden)
		}
	}
	return v
}

// credentialNames lists what has a value that nobody may see.
func (a AuthConfig) credentialNames() []string {
	names := list(a.CredentialsSet)
	for _, n := range a.SharedSet {
		names = append(names, "shared_credentials."+n)
	}
	if a.ProxyKeySet {
		names = append(names, "proxy_auth_key")
	}
	return names
}

func one(s string) []string {
	if s == "" {
		return []string{}
	}
	return []string{s}
}

func list(s []string) []string { return append([]string{}, s...) }

// ListField reports whether a field is a set of values whose order is of no meaning.
func ListField(name string) bool {
	switch name {
	case FieldScopes, FieldUserScopes, FieldTools, FieldToolsForExecution, FieldToolsForConnection, FieldCredentials:
		return true
	}
	return false
}

// SameValue reports whether two values of a field mean the same: lists are sets.
func SameValue(field string, a, b []string) bool {
	if ListField(field) {
		a, b = sorted(a), sorted(b)
	}
	return slices.Equal(a, b)
}

func sorted(s []string) []string {
	s = slices.Sorted(slices.Values(s))
	return slices.Compact(s)
}

// Pick returns the values of the named fields that v has.
func (v Values) Pick(fields ...string) Values {
	out := Values{}
	for _, f := range fields {
		if value, ok := v[f]; ok {
			out[f] = value
		}
	}
	return out
}

// Equal reports whether every field of v has the same value in w.
func (v Values) Equal(w Values) bool { return len(v.Differences(w)) == 0 }

// Differences returns the names of the fields of v whose value in w differs, sorted.
func (v Values) Differences(w Values) []string {
	var names []string
	for _, f := range slices.Sorted(maps.Keys(v)) {
		if other, ok := w[f]; !ok || !SameValue(f, v[f], other) {
			names = append(names, f)
		}
	}
	return names
}

// ScopeForm is how scopes are to be written for a config: as they are now.
func (a AuthConfig) ScopeForm(set Values) composio.ScopeForm {
	form := a.Scopes.Form
	if _, touched := set[FieldScopes]; !touched {
		form = a.UserScopes.Form
	}
	if form == "" {
		form = composio.ScopeComma
	}
	return form
}

// MarkerPrefix stands before the marker that ends the name of a config while its
// create isn't settled, so that one whose answer got lost can be found again:
// " ·7K2M9QXT".
const MarkerPrefix = " ·"

var markerSuffix = regexp.MustCompile(` ·[0-9A-HJKMNP-TV-Z]{8}$`)

// MarkerIn returns the marker that a name ends in, or "".
func MarkerIn(name string) string {
	m := markerSuffix.FindString(name)
	if m == "" {
		return ""
	}
	return m[len(MarkerPrefix):]
}
