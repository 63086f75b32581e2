package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// linkConnection starts a hosted sign-in: the way to connect that is left for
// Composio's own apps. The account exists at once, INITIALIZING.
func linkConnection(s *Server, q *request) (any, *failure) {
	body, f := readPayload(q.body)
	if f != nil {
		return nil, f
	}
	config, user := body.needText("auth_config_id"), body.needText("user_id")
	body.text("callback_url")
	data, _ := body.object("connection_data")
	about := readAccount(body)
	if f := body.failure(); f != nil {
		return nil, f
	}
	c, f := s.newConnection(q, config, user, about)
	if f != nil {
		return nil, f
	}
	token := s.newID("ln_")
	expires := q.now.Add(initiationTime)
	c.Status, c.RedirectURL, c.ExpiresAt = "INITIALIZING", "https://connect.composio.dev/link/"+token, &expires
	c.hold(data.fields)
	if f := s.commit(q, change{id: c.ID, connections: []*Connection{c}}); f != nil {
		return nil, f
	}
	return map[string]any{
		"link_token": token, "redirect_url": c.RedirectURL, "expires_at": stamp(expires),
		"connected_account_id": c.ID, "experimental": map[string]string{"account_type": c.AccountType},
	}, nil
}

// An account is what a request says of the connection it makes.
type account struct {
	alias *string
	kind  string
}

func readAccount(body payload) account {
	out := account{kind: "PRIVATE"}
	if alias, ok := body.text("alias"); ok && alias != "" {
		out.alias = &alias
	}
	experimental, _ := body.object("experimental")
	if kind, ok := experimental.text("account_type"); ok {
		if kind != "PRIVATE" && kind != "SHARED" {
			experimental.complain("account_type", "Invalid enum value. Expected 'PRIVATE' | 'SHARED', received '%s'", kind)
		}
		out.kind = kind
	}
	return out
}

// newConnection makes a connection for an auth config that a body names: one
// that is not there is a 400 here, not a 404.
func (s *Server) newConnection(q *request, config, user string, about account) (*Connection, *failure) {
	a := q.project.config(config)
	if a == nil {
		return nil, noAuthConfig(http.StatusBadRequest)
	}
	if a.Status == "DISABLED" {
		return nil, disabledConfig()
	}
	word := strings.ToLower(a.Toolkit) + "_" + wordFor(digest(q.id + a.ID + user)[:2])
	c := &Connection{
		ID: s.newID("ca_"), UUID: s.newUUID(), AuthConfig: a.ID, Toolkit: a.Toolkit, Scheme: a.Scheme, UserID: user,
		AccountType: about.kind, Alias: about.alias, WordID: &word, CreatedAt: q.now, UpdatedAt: q.now,
	}
	if scopes, ok := a.Credentials["scopes"]; ok && strings.Contains(a.Scheme, "OAUTH") {
		c.RequestedScopes = scopeList(scopes)
	}
	return c, nil
}

// scopeList reads scopes kept in either form.
func scopeList(v Value) []string {
	var list []string
	if json.Unmarshal(v.Clear, &list) == nil {
		return list
	}
	return splitScopes(plainText(v.Clear))
}

// hold keeps what a request gave for a connection, as digests.
func (c *Connection) hold(given map[string]json.RawMessage) {
	for name, raw := range given {
		if c.Values == nil {
			c.Values = map[string]Value{}
		}
		if name != "status" {
			c.Values[name] = secretValue(raw)
		}
	}
}

// initiateConnection is the legacy way to connect. For Composio's own OAuth apps
// it is refused since 2026-07-03. Whatever key is given for a scheme without
// consent is believed: the connection is ACTIVE at once.
func initiateConnection(s *Server, q *request) (any, *failure) {
	body, f := readPayload(q.body)
	if f != nil {
		return nil, f
	}
	config, connection := readInitiation(body)
	if f := body.failure(); f != nil {
		return nil, f
	}
	if a := q.project.config(config); a != nil && a.Managed && slices.Contains([]string{"OAUTH1", "OAUTH2", "DCR_OAUTH"}, a.Scheme) {
		return nil, legacyConnect(a.Scheme)
	}
	user, _ := connection.text("user_id")
	c, f := s.newConnection(q, config, or(user, "default"), readAccount(connection))
	if f != nil {
		return nil, f
	}
	state, _ := connection.object("state")
	val, _ := state.object("val")
	c.Status = "ACTIVE"
	if strings.Contains(c.Scheme, "OAUTH") && c.Scheme != "S2S_OAUTH2" {
		expires := q.now.Add(initiationTime)
		c.Status, c.ExpiresAt = "INITIATED", &expires
		c.RedirectURL = "https://backend.composio.dev/api/v3/s/" + s.newID("")
	}
	c.hold(val.fields)
	if f := s.commit(q, change{id: c.ID, connections: []*Connection{c}}); f != nil {
		return nil, f
	}
	a := q.project.config(config)
	return map[string]any{
		"id": c.ID, "connectionData": connectionState{Scheme: c.Scheme, Val: c.val(c.Status)}, "status": c.Status,
		"redirect_url": optional(c.RedirectURL), "redirect_uri": optional(c.RedirectURL),
		"deprecated": map[string]string{"uuid": c.UUID, "authConfigUuid": a.UUID},
	}, nil
}

// readInitiation reads a legacy request and complains of every wrong type.
func readInitiation(body payload) (config string, connection payload) {
	for _, key := range []string{"auth_config", "connection"} {
		if !body.has(key) {
			body.complain(key, "Required")
		}
	}
	if a, ok := body.object("auth_config"); ok {
		config = a.needText("id")
	}
	connection, _ = body.object("connection")
	connection.text("user_id")
	connection.text("callback_url")
	state, _ := connection.object("state")
	state.object("val")
	readAccount(connection)
	body.flag("validate_credentials")
	return config, connection
}
