package sandbox

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// An AuthConfig is one auth config as the sandbox keeps it. A deleted one stays,
// as on the real server, but every call answers 404 for it.
type AuthConfig struct {
	ID                string           `json:"id"`
	UUID              string           `json:"uuid"`
	Name              string           `json:"name"`
	Toolkit           string           `json:"toolkit"`
	Scheme            string           `json:"auth_scheme"`
	Managed           bool             `json:"is_composio_managed"`
	Status            string           `json:"status"`
	Credentials       map[string]Value `json:"credentials"`
	SharedCredentials map[string]Value `json:"shared_credentials,omitempty"`
	Proxy             *Proxy           `json:"proxy_config,omitempty"`
	ToolsForCreation  []string         `json:"tools_for_connected_account_creation"`
	ToolsForExecution []string         `json:"tools_available_for_execution"`
	RestrictTo        []string         `json:"restrict_to_following_tools"`
	ToolRouter        bool             `json:"is_enabled_for_tool_router"`
	CreatedBy         string           `json:"created_by"`
	CreatedAt         time.Time        `json:"created_at"`
	UpdatedAt         time.Time        `json:"last_updated_at"`
	DeletedAt         *time.Time       `json:"deleted_at,omitempty"`

	// Wire replaces fields of the answer by whatever it says, to imitate values
	// nobody has heard of.
	Wire map[string]json.RawMessage `json:"wire,omitempty"`
}

// A Proxy is the proxy_config of an auth config.
type Proxy struct {
	URL     string `json:"proxy_url"`
	AuthKey *Value `json:"proxy_auth_key,omitempty"`
}

// A Connection is one connected account as the sandbox keeps it.
type Connection struct {
	ID              string           `json:"id"`
	UUID            string           `json:"uuid"`
	AuthConfig      string           `json:"auth_config"`
	Toolkit         string           `json:"toolkit"`
	Scheme          string           `json:"auth_scheme"`
	UserID          string           `json:"user_id"`
	Status          string           `json:"status"`
	StatusReason    *string          `json:"status_reason"`
	Disabled        bool             `json:"is_disabled"`
	AccountType     string           `json:"account_type"`
	Alias           *string          `json:"alias"`
	WordID          *string          `json:"word_id"`
	RequestedScopes []string         `json:"requested_scopes,omitempty"`
	RedirectURL     string           `json:"redirect_url,omitempty"`
	Values          map[string]Value `json:"values,omitempty"`
	CreatedAt       time.Time        `json:"created_at"`
	UpdatedAt       time.Time        `json:"updated_at"`
	ExpiresAt       *time.Time       `json:"expires_at,omitempty"` // when an unfinished sign-in ends
	DeletedAt       *time.Time       `json:"deleted_at,omitempty"`

	Wire map[string]json.RawMessage `json:"wire,omitempty"` // see AuthConfig.Wire
}

// A ProjectState is everything a project holds, deleted objects included, the
// newest first.
type ProjectState struct {
	AuthConfigs []*AuthConfig `json:"auth_configs"`
	Connections []*Connection `json:"connections"`
}

// A State is everything there is, by project. It holds no secret.
type State struct {
	Projects map[string]ProjectState `json:"projects"`
}

// State is a copy of everything there is.
func (s *Server) State() State {
	s.mu.Lock()
	out := s.state()
	s.mu.Unlock()
	for _, p := range out.Projects {
		for i, c := range p.AuthConfigs {
			p.AuthConfigs[i] = c.clone()
		}
		for i, c := range p.Connections {
			p.Connections[i] = c.clone()
		}
	}
	return out
}

func (s *Server) state() State {
	out := State{Projects: map[string]ProjectState{}}
	for slug, p := range s.projects {
		out.Projects[slug] = ProjectState{AuthConfigs: p.configs.newest(), Connections: p.connections.newest()}
	}
	return out
}

func (c *AuthConfig) key() (time.Time, string) { return c.CreatedAt, c.ID }
func (c *Connection) key() (time.Time, string) { return c.CreatedAt, c.ID }

// clone is a copy to change: what the state holds is never changed in place, so
// that answers can be written without the lock.
func (c *AuthConfig) clone() *AuthConfig {
	out := *c
	out.Credentials = maps.Clone(c.Credentials)
	if out.Credentials == nil {
		out.Credentials = map[string]Value{}
	}
	out.SharedCredentials = maps.Clone(c.SharedCredentials)
	out.Wire = maps.Clone(c.Wire)
	if c.Proxy != nil {
		proxy := *c.Proxy
		out.Proxy = &proxy
	}
	out.ToolsForCreation = slices.Clone(c.ToolsForCreation)
	out.ToolsForExecution = slices.Clone(c.ToolsForExecution)
	out.RestrictTo = slices.Clone(c.RestrictTo)
	return &out
}

func (c *Connection) clone() *Connection {
	out := *c
	out.RequestedScopes = slices.Clone(c.RequestedScopes)
	out.Values = maps.Clone(c.Values)
	out.Wire = maps.Clone(c.Wire)
	return &out
}

// kind is the word of the API for who owns the app: default or custom.
func (c *AuthConfig) kind() string {
	if c.Managed {
		return "default"
	}
	return "custom"
}

// A project is one of the two sets of objects that know nothing of each other.
type project struct {
	slug        string
	id          string
	nano        string
	configs     table[*AuthConfig]
	connections table[*Connection]
	byConfig    map[string][]string // connection ids by auth config
	past        []moment
}

func newProject(slug, id, nano string) *project {
	return &project{
		slug: slug, id: id, nano: nano,
		configs:     table[*AuthConfig]{byID: map[string]*AuthConfig{}},
		connections: table[*Connection]{byID: map[string]*Connection{}},
		byConfig:    map[string][]string{},
	}
}

// config finds an auth config that is not deleted.
func (p *project) config(id string) *AuthConfig {
	if c := p.configs.byID[id]; c != nil && c.DeletedAt == nil {
		return c
	}
	return nil
}

// connection finds a connection that is not deleted.
func (p *project) connection(id string) *Connection {
	if c := p.connections.byID[id]; c != nil && c.DeletedAt == nil {
		return c
	}
	return nil
}

// connectionsOf are the connections of an auth config that are not deleted.
func (p *project) connectionsOf(config string) []*Connection {
	var out []*Connection
	for _, id := range p.byConfig[config] {
		if c := p.connection(id); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// put takes objects in, new or changed.
func (p *project) put(configs []*AuthConfig, connections []*Connection) {
	for _, c := range configs {
		p.configs.put(c)
	}
	for _, c := range connections {
		if p.connections.byID[c.ID] == nil {
			p.byConfig[c.AuthConfig] = append(p.byConfig[c.AuthConfig], c.ID)
		}
		p.connections.put(c)
	}
}

// A table keeps objects by id and in order of creation.
type table[T interface{ key() (time.Time, string) }] struct {
	byID  map[string]T
	order []T // the oldest first; of one instant, ids descending
}

// newest are all objects, the newest first, and by id within one instant.
func (t *table[T]) newest() []T {
	out := slices.Clone(t.order)
	slices.Reverse(out)
	return out
}

func (t *table[T]) put(v T) {
	created, id := v.key()
	if old, ok := t.byID[id]; ok {
		at, was := t.find(old.key())
		if was {
			t.order = slices.Delete(t.order, at, at+1)
		}
	}
	t.byID[id] = v
	at, _ := t.find(created, id)
	t.order = slices.Insert(t.order, at, v)
}

func (t *table[T]) find(created time.Time, id string) (int, bool) {
	return slices.BinarySearchFunc(t.order, id, func(v T, id string) int {
		at, other := v.key()
		if order := at.Compare(created); order != 0 {
			return order
		}
		return strings.Compare(id, other)
	})
}
