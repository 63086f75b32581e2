package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// An Edit changes the state behind the API's back, as a colleague in Composio's
// own dashboard would. It is no mutation of the journal.
type Edit struct {
	Projects map[string]ProjectEdit `json:"projects"`
}

// A ProjectEdit names the objects to add, change and delete, by the JSON of
// [AuthConfig] and [Connection]. Where the id is known, the keys given replace
// those of the object (credentials and wire are merged, null removes an entry
// of credentials); otherwise an object is made, for which an auth config needs a
// toolkit and a connection an auth_config. Credentials may be given as they are:
// only digests are kept. Times that are not given become now.
type ProjectEdit struct {
	AuthConfigs []json.RawMessage `json:"auth_configs"`
	Connections []json.RawMessage `json:"connections"`
	Delete      []string          `json:"delete"`
}

// Edited tells the ids of an edit's objects, in the edit's order.
type Edited struct {
	AuthConfigs []string `json:"auth_configs"`
	Connections []string `json:"connections"`
}

// Edit carries out an edit, or nothing of it when a part can't be understood.
func (s *Server) Edit(e Edit) (Edited, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Edited{AuthConfigs: []string{}, Connections: []string{}}
	changes := map[string]change{}
	for _, slug := range slices.Sorted(maps.Keys(e.Projects)) {
		p := s.projects[slug]
		if p == nil {
			return out, fmt.Errorf("there is no project %q", slug)
		}
		c, err := s.plan(p, e.Projects[slug])
		if err != nil {
			return out, fmt.Errorf("project %s: %w", slug, err)
		}
		changes[slug] = c
		for _, v := range c.configs[:len(e.Projects[slug].AuthConfigs)] {
			out.AuthConfigs = append(out.AuthConfigs, v.ID)
		}
		for _, v := range c.connections[:len(e.Projects[slug].Connections)] {
			out.Connections = append(out.Connections, v.ID)
		}
	}
	for slug, c := range changes {
		s.projects[slug].apply(c, s.clock())
		if f := s.save(savedChange{Project: slug, Configs: c.configs, Connections: c.connections}); f != nil {
			return out, errors.New("the edit was made but could not be saved")
		}
	}
	return out, nil
}

// plan works out what an edit does to a project.
func (s *Server) plan(p *project, e ProjectEdit) (change, error) {
	var out change
	known := map[string]*AuthConfig{}
	for i, raw := range e.AuthConfigs {
		c, err := s.editedConfig(p, raw)
		if err != nil {
			return out, fmt.Errorf("auth_configs[%d]: %w", i, err)
		}
		out.configs, known[c.ID] = append(out.configs, c), c
	}
	for i, raw := range e.Connections {
		c, err := s.editedConnection(p, raw, known)
		if err != nil {
			return out, fmt.Errorf("connections[%d]: %w", i, err)
		}
		out.connections = append(out.connections, c)
	}
	now := s.clock()
	for _, id := range e.Delete {
		if c := p.config(id); c != nil {
			c = c.clone()
			c.DeletedAt, c.UpdatedAt = &now, now
			out.configs = append(out.configs, c)
		} else if c := p.connection(id); c != nil {
			c = c.clone()
			c.DeletedAt, c.UpdatedAt = &now, now
			out.connections = append(out.connections, c)
		} else {
			return out, fmt.Errorf("there is no %q to delete", id)
		}
	}
	return out, nil
}

// idOf reads the id and which keys are given.
func idOf(raw json.RawMessage) (string, map[string]json.RawMessage, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return "", nil, err
	}
	var id string
	if v, ok := keys["id"]; ok {
		if err := json.Unmarshal(v, &id); err != nil || id == "" {
			return "", nil, errors.New("id must be text")
		}
	}
	return id, keys, nil
}

func (s *Server) editedConfig(p *project, raw json.RawMessage) (*AuthConfig, error) {
	id, keys, err := idOf(raw)
	if err != nil {
		return nil, err
	}
	now := s.clock()
	c := &AuthConfig{ID: id, Status: "ENABLED", CreatedBy: orgMember, CreatedAt: now}
	if old := p.configs.byID[id]; old != nil {
		c = old
	}
	c = c.clone()
	c.UpdatedAt = now
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	t := s.catalog.toolkit(c.Toolkit)
	if t == nil {
		return nil, fmt.Errorf("there is no toolkit %q", c.Toolkit)
	}
	if c.ID == "" {
		s.name(c)
	}
	if c.UUID == "" {
		c.UUID = s.newUUID()
	}
	c.Toolkit, c.Name = t.Slug, or(c.Name, t.Slug+c.ID[min(2, len(c.ID)):])
	if c.Scheme == "" && len(t.Schemes) > 0 {
		c.Scheme = t.Schemes[0].Mode
	}
	if c.Credentials == nil {
		c.Credentials = map[string]Value{}
	}
	forget(c.Credentials, func(name string) bool { return t.readable(c.Scheme, name) })
	forget(c.SharedCredentials, func(string) bool { return false })
	if c.Proxy != nil && c.Proxy.AuthKey != nil && c.Proxy.AuthKey.Clear != nil {
		v := secretValue(c.Proxy.AuthKey.Clear)
		c.Proxy.AuthKey = &v
	}
	if _, given := keys["last_updated_at"]; !given {
		c.UpdatedAt = now
	}
	return c, nil
}

// forget turns secrets that an edit gave in clear into digests.
func forget(values map[string]Value, readable func(string) bool) {
	for name, v := range values {
		switch {
		case v.Clear == nil:
		case kindOf(v.Clear) == "null":
			delete(values, name)
		case !readable(name):
			values[name] = secretValue(v.Clear)
		}
	}
}

func (s *Server) editedConnection(p *project, raw json.RawMessage, known map[string]*AuthConfig) (*Connection, error) {
	id, _, err := idOf(raw)
	if err != nil {
		return nil, err
	}
	now := s.clock()
	c := &Connection{ID: id, UserID: "default", Status: "ACTIVE", AccountType: "PRIVATE", CreatedAt: now}
	if old := p.connections.byID[id]; old != nil {
		c = old
	}
	c = c.clone()
	owner := c.AuthConfig
	c.UpdatedAt = now
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	if owner != "" && owner != c.AuthConfig {
		return nil, errors.New("a connection can't move to another auth config")
	}
	a := known[c.AuthConfig]
	if a == nil {
		a = p.configs.byID[c.AuthConfig]
	}
	if a == nil {
		return nil, fmt.Errorf("there is no auth config %q", c.AuthConfig)
	}
	if c.ID == "" {
		c.ID = s.newID("ca_")
	}
	if c.UUID == "" {
		c.UUID = s.newUUID()
	}
	c.Toolkit, c.Scheme = or(c.Toolkit, a.Toolkit), or(c.Scheme, a.Scheme)
	forget(c.Values, func(string) bool { return false })
	return c, nil
}
