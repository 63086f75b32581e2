package query

import "strings"

// Keys that every language with dates has.
const (
	After  = "after"
	Before = "before"
	Is     = "is"
)

// A Language says which keys a text may use. Completion and help are made of it.
type Language struct {
	Keys []Key
}

// A Key is what a term may ask about.
type Key struct {
	Name    string
	Help    string
	Example string   // a whole term
	Values  []string // all that it takes; empty if anything goes
	Helps   []string // what each of the values means
	date    bool
	address bool
}

// History is the language of history.
var History = Language{Keys: []Key{
	{Name: "actor", Help: "who did it: an id, an e-mail address, the name at the time or a word of it; system is Gatehouse itself, outside is somebody at Composio directly", Example: "actor:ada@example.com"},
	{Name: "action", Help: "what was done, or a family of actions", Example: "action:auth_config.updated"},
	{Name: "toolkit", Help: "the toolkit of the auth config that it is about", Example: "toolkit:github"},
	{Name: "config", Help: "the auth config that it is about: an id or the name at the time", Example: "config:github-prod"},
	{Name: "project", Help: "a project: its short name, name or id", Example: "project:production"},
	{Name: "environment", Help: "all projects of an environment, as they are now", Values: []string{"development", "staging", "production"}, Example: "environment:production"},
	{Name: "outcome", Help: "what came of it", Values: []string{"ok", "denied", "failed", "unknown"}, Example: "outcome:failed"},
	{Name: "ip", Help: "the address it came from, for those who may see addresses", Example: "ip:192.0.2.7", address: true},
	{Name: "request", Help: "everything about a change request", Example: "request:chg_7K2M9QXT4D6F8HJN"},
	{Name: After, Help: "since a day or month began, or in the last days; the day itself is part of it", Example: "after:2026-03-01", date: true},
	{Name: Before, Help: "until a day or month began; the day itself is not part of it", Example: "before:2026-04", date: true},
	{Name: Is, Help: "a property", Example: "is:drift",
		Values: []string{"drift", "denied", "failed", "widened", "narrowed", "system"},
		Helps:  []string{"was made at Composio directly", "was refused", "was tried and did not happen", "gave an auth config scopes that it lacked", "took scopes away from an auth config", "was done by Gatehouse itself"}},
}}

// Configs is the language of the list of auth configs.
var Configs = Language{Keys: []Key{
	{Name: "toolkit", Help: "a toolkit", Example: "toolkit:github"},
	{Name: "scheme", Help: "how users sign in", Example: "scheme:oauth2"},
	{Name: "status", Help: "whether new connections may use it", Values: []string{"enabled", "disabled"}, Example: "status:disabled"},
	{Name: "managed", Help: "whose app it uses: Composio's, or your own", Values: []string{"yes", "no"}, Example: "managed:no"},
	{Name: "scope", Help: "a scope that it asks for", Example: "scope:repo"},
	{Name: "config", Help: "an id or a name", Example: "config:github-prod"},
	{Name: "owner", Help: "who changed it last", Example: "owner:ada"},
	{Name: After, Help: "changed since a day or month began, or in the last days", Example: "after:7d", date: true},
	{Name: Before, Help: "last changed before a day or month began", Example: "before:2026-01", date: true},
	{Name: Is, Help: "a property", Example: "is:disabled",
		Values: []string{"enabled", "disabled", "managed", "own", "drift", "unused"},
		Helps:  []string{"may be used for new connections", "may not be used for new connections", "uses Composio's app", "uses your own app", "was changed at Composio directly, and nobody has dealt with it", "has no connections"}},
}}

// Requests is the language of the list of change requests.
var Requests = Language{Keys: []Key{
	{Name: "state", Help: "where it stands", Example: "state:in_review",
		Values: []string{"draft", "in_review", "changes_requested", "approved", "scheduled", "applying", "unknown", "suspended", "partial", "applied", "failed", "rejected", "cancelled", "expired", "superseded"}},
	{Name: "author", Help: "who proposed it: an id or a name", Example: "author:ada"},
	{Name: "project", Help: "a project: its short name, name or id", Example: "project:production"},
	{Name: "request", Help: "an id", Example: "request:chg_7K2M9QXT4D6F8HJN"},
	{Name: After, Help: "proposed since a day or month began, or in the last days", Example: "after:7d", date: true},
	{Name: Before, Help: "proposed before a day or month began", Example: "before:2026-01", date: true},
	{Name: Is, Help: "a property", Example: "is:open", Values: []string{"open", "done", "mine", "rules"},
		Helps: []string{"may still be carried out", "has ended", "is yours", "changes rules of Gatehouse, not auth configs"}},
}}

// Key returns a key by name.
func (l Language) Key(name string) (Key, bool) {
	for _, k := range l.Keys {
		if k.Name == name {
			return k, true
		}
	}
	return Key{}, false
}

func (l Language) names() string {
	all := make([]string, len(l.Keys))
	for i, k := range l.Keys {
		all[i] = k.Name + ":"
	}
	return strings.Join(all, ", ")
}
