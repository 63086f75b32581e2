package sandbox

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// configID is the form of an auth config id. The exact rule of the real API is
// unknown; this one is wide (EMU).
var configID = regexp.MustCompile(`^ac_[A-Za-z0-9_-]{1,61}$`)

// configLimit is the most auth configs or connections on a page. For auth
// configs it was 1000, then 50, and 200 since 2026-09-21; for connections it is
// not documented.
func (s *Server) configLimit() int {
	if s.quirks.maxLimit > 0 {
		return s.quirks.maxLimit
	}
	return 200
}

// listAuthConfigs answers the newest first (EMU: the order is not documented).
func listAuthConfigs(s *Server, q *request) (any, *failure) {
	p := &query{q: q}
	keep := configFilter{
		toolkits: p.list("toolkit_slug"),
		managed:  p.flag("is_composio_managed"),
		disabled: p.flag("show_disabled"),
		search:   strings.ToLower(p.text("search")),
	}
	w := p.window(s.configLimit())
	if f := p.failure(); f != nil {
		return nil, f
	}
	var found []*AuthConfig
	for _, c := range q.project.staleConfigs(s.lag(q), q.now) {
		if keep.matches(c) {
			found = append(found, c)
		}
	}
	return paged(s, w, found, func(c *AuthConfig) any { return s.configView(q.project, c) }), nil
}

// lag is how far behind the lists of this answer are.
func (s *Server) lag(q *request) lag {
	if q.lag != (lag{}) {
		return q.lag
	}
	return s.quirks.stale
}

type configFilter struct {
	toolkits []string
	managed  *bool
	disabled *bool
	search   string
}

func (f configFilter) matches(c *AuthConfig) bool {
	switch {
	case c.DeletedAt != nil:
		return false
	case c.Status == "DISABLED" && (f.disabled == nil || !*f.disabled):
		return false
	case f.managed != nil && *f.managed != c.Managed:
		return false
	case f.toolkits != nil && !slices.ContainsFunc(f.toolkits, func(t string) bool { return strings.EqualFold(t, c.Toolkit) }):
		return false
	}
	return f.search == "" || strings.Contains(strings.ToLower(c.Name), f.search) || strings.Contains(strings.ToLower(c.ID), f.search)
}

// pathConfig finds the auth config a path names.
func (q *request) pathConfig() (*AuthConfig, *failure) {
	if !configID.MatchString(q.params[0]) {
		return nil, invalid("Invalid auth config ID format")
	}
	c := q.project.config(q.params[0])
	if c == nil {
		return nil, noAuthConfig(http.StatusNotFound)
	}
	return c, nil
}

func getAuthConfig(s *Server, q *request) (any, *failure) {
	c, f := q.pathConfig()
	if f != nil {
		return nil, f
	}
	return s.configView(q.project, c), nil
}

// written is the answer to a change: {success, message}, or {} as in the older
// description.
func (s *Server) written(message string) any {
	if s.quirks.emptyResponses {
		return struct{}{}
	}
	return map[string]any{"success": true, "message": message}
}

// switchAuthConfig enables or disables. The same status again is fine (EMU).
func switchAuthConfig(s *Server, q *request) (any, *failure) {
	to := q.params[1]
	if to != "ENABLED" && to != "DISABLED" {
		return nil, invalid("Error in params.status: Invalid enum value. Expected 'ENABLED' | 'DISABLED', received '" + to + "'")
	}
	old, f := q.pathConfig()
	if f != nil {
		return nil, f
	}
	c := old.clone()
	if c.Status != to {
		c.Status, c.UpdatedAt = to, q.now
	}
	if f := s.commit(q, change{id: c.ID, configs: []*AuthConfig{c}}); f != nil {
		return nil, f
	}
	return s.written("Auth config " + strings.ToLower(to)), nil
}

// deleteAuthConfig deletes for good, as far as the API shows. What becomes of
// the connections is told differently by different sources: here active ones
// become INACTIVE and keep their ids (EMU), REVOKED when the provider's tokens
// are to be revoked too.
func deleteAuthConfig(s *Server, q *request) (any, *failure) {
	p := &query{q: q}
	revoke := p.flag("revoke_on_delete")
	if f := p.failure(); f != nil {
		return nil, f
	}
	old, f := q.pathConfig()
	if f != nil {
		return nil, f
	}
	c := old.clone()
	c.DeletedAt, c.UpdatedAt = &q.now, q.now
	done := change{id: c.ID, configs: []*AuthConfig{c}}
	status, reason, job := "INACTIVE", "Auth config is deleted", ""
	if revoke != nil && *revoke {
		status, reason, job = "REVOKED", "Revoked as part of connection delete", s.newID("pj_")
	}
	for _, conn := range q.project.connectionsOf(c.ID) {
		if conn.Status == "ACTIVE" {
			conn = conn.clone()
			conn.Status, conn.StatusReason, conn.UpdatedAt = status, &reason, q.now
			done.connections = append(done.connections, conn)
		}
	}
	if f := s.commit(q, done); f != nil {
		return nil, f
	}
	out := s.written("Auth config deleted")
	if body, ok := out.(map[string]any); ok && job != "" {
		body["revoke_job_id"] = job
	}
	return out, nil
}
