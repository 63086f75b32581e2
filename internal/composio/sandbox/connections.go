package sandbox

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// connectionID is the form of a connection's id, wide like configID (EMU).
var connectionID = regexp.MustCompile(`^(ca|con)_[A-Za-z0-9_-]{1,61}$`)

var connectionStatuses = []string{"INITIALIZING", "INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE", "REVOKED"}

// initiationTime is how long a sign-in may take.
const initiationTime = 10 * time.Minute

// listConnections answers the newest first unless told otherwise. Without
// account_type only PRIVATE connections are listed.
func listConnections(s *Server, q *request) (any, *failure) {
	p := &query{q: q}
	keep := connectionFilter{
		now:      q.now,
		configs:  p.list("auth_config_ids"),
		toolkits: p.list("toolkit_slugs"),
		users:    p.list("user_ids"),
		ids:      p.list("connected_account_ids"),
		statuses: p.list("statuses"),
		account:  p.choice("account_type", "PRIVATE", "SHARED", "ALL"),
	}
	for _, status := range keep.statuses {
		if !slices.Contains(connectionStatuses, status) {
			p.complain("statuses", "Invalid enum value. Expected '"+strings.Join(connectionStatuses, "' | '")+"', received '"+status+"'")
		}
	}
	order := p.choice("order_by", "created_at", "updated_at")
	direction := p.choice("order_direction", "desc", "asc")
	w := p.window(s.configLimit())
	if f := p.failure(); f != nil {
		return nil, f
	}
	var found []*Connection
	for _, c := range q.project.staleConnections(s.lag(q), q.now) {
		if keep.matches(c) {
			found = append(found, c)
		}
	}
	if order == "updated_at" {
		slices.SortStableFunc(found, func(a, b *Connection) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	}
	if direction == "asc" {
		slices.Reverse(found)
	}
	return paged(s, w, found, func(c *Connection) any { return s.connectionView(q, c, false) }), nil
}

type connectionFilter struct {
	now                                     time.Time
	configs, toolkits, users, ids, statuses []string
	account                                 string
}

func (f connectionFilter) matches(c *Connection) bool {
	status, _ := c.at(f.now)
	has := func(list []string, s string) bool { return list == nil || slices.Contains(list, s) }
	return c.DeletedAt == nil &&
		has(f.configs, c.AuthConfig) && has(f.users, c.UserID) && has(f.ids, c.ID) && has(f.statuses, status) &&
		(f.toolkits == nil || slices.ContainsFunc(f.toolkits, func(t string) bool { return strings.EqualFold(t, c.Toolkit) })) &&
		(f.account == "ALL" || f.account == c.AccountType)
}

// at is the status of a connection at a time: an unfinished sign-in expires.
func (c *Connection) at(now time.Time) (status string, reason *string) {
	waiting := c.Status == "INITIALIZING" || c.Status == "INITIATED"
	if waiting && c.ExpiresAt != nil && !now.Before(*c.ExpiresAt) {
		late := "Connection initiation did not complete within 10 minutes"
		return "EXPIRED", &late
	}
	return c.Status, c.StatusReason
}

// pathConnection finds the connection a path names.
func (q *request) pathConnection() (*Connection, *failure) {
	if !connectionID.MatchString(q.params[0]) {
		return nil, invalid("Invalid connected account ID format")
	}
	c := q.project.connection(q.params[0])
	if c == nil {
		return nil, noConnection(q.params[0])
	}
	return c, nil
}

func getConnection(s *Server, q *request) (any, *failure) {
	c, f := q.pathConnection()
	if f != nil {
		return nil, f
	}
	return s.connectionView(q, c, true), nil
}

func deleteConnection(s *Server, q *request) (any, *failure) {
	p := &query{q: q}
	revoke := p.flag("revoke_on_delete")
	if f := p.failure(); f != nil {
		return nil, f
	}
	old, f := q.pathConnection()
	if f != nil {
		return nil, f
	}
	out := map[string]any{"success": true}
	if revoke != nil && *revoke {
		out["revoke_job_id"] = s.newID("pj_")
	}
	c := old.clone()
	c.DeletedAt, c.UpdatedAt = &q.now, q.now
	return out, s.commit(q, change{id: c.ID, connections: []*Connection{c}})
}

// switchConnection enables or disables. Disabling makes a connection INACTIVE;
// enabling makes an INACTIVE one ACTIVE again (EMU).
func switchConnection(s *Server, q *request) (any, *failure) {
	body, f := readPayload(q.body)
	if f != nil {
		return nil, f
	}
	enabled, _ := body.flag("enabled")
	if !body.has("enabled") {
		body.complain("enabled", "Required")
	}
	if f := body.failure(); f != nil {
		return nil, f
	}
	old, f := q.pathConnection()
	if f != nil {
		return nil, f
	}
	c := old.clone()
	c.Disabled, c.UpdatedAt = !enabled, q.now
	reason := "Connection status updated by user"
	switch {
	case !enabled:
		c.Status, c.StatusReason = "INACTIVE", &reason
	case c.Status == "INACTIVE":
		c.Status, c.StatusReason = "ACTIVE", &reason
	}
	return map[string]any{"success": true}, s.commit(q, change{id: c.ID, connections: []*Connection{c}})
}
