package sandbox

// A connectionView is a connection on the wire. Tokens are REDACTED, as since
// 2026-06-04.
type connectionView struct {
	ID           string           `json:"id"`
	Toolkit      map[string]any   `json:"toolkit"`
	AuthConfig   connectionConfig `json:"auth_config"`
	UserID       string           `json:"user_id"`
	Status       string           `json:"status"`
	StatusReason *string          `json:"status_reason"`
	Disabled     bool             `json:"is_disabled"`
	CreatedAt    string           `json:"created_at"`
	UpdatedAt    string           `json:"updated_at"`
	Scheme       string           `json:"authScheme"`
	State        connectionState  `json:"state"`
	Data         map[string]any   `json:"data"`
	Alias        *string          `json:"alias"`
	WordID       *string          `json:"word_id"`
	Experimental map[string]any   `json:"experimental"`
	Deprecated   map[string]any   `json:"deprecated"`
}

// A fullConnectionView is a connection on its own, which says more than a list.
type fullConnectionView struct {
	connectionView
	Params              map[string]any `json:"params"`
	RequestedScopes     []string       `json:"requested_scopes,omitempty"`
	RequestedUserScopes []string       `json:"requested_user_scopes,omitempty"`
}

type connectionConfig struct {
	ID         string         `json:"id"`
	Scheme     string         `json:"auth_scheme"`
	Managed    bool           `json:"is_composio_managed"`
	Disabled   bool           `json:"is_disabled"`
	Deprecated map[string]any `json:"deprecated,omitempty"`
}

type connectionState struct {
	Scheme string         `json:"authScheme"`
	Val    map[string]any `json:"val"`
}

func (s *Server) connectionView(q *request, c *Connection, alone bool) any {
	status, reason := c.at(q.now)
	v := connectionView{
		ID: c.ID, Toolkit: map[string]any{"slug": c.Toolkit},
		AuthConfig: connectionConfig{ID: c.AuthConfig, Scheme: c.Scheme, Disabled: true},
		UserID:     c.UserID, Status: status, StatusReason: reason, Disabled: c.Disabled,
		CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt),
		Scheme: c.Scheme, State: connectionState{Scheme: c.Scheme, Val: c.val(status)}, Data: map[string]any{},
		Alias: c.Alias, WordID: c.WordID,
		Experimental: map[string]any{"account_type": c.AccountType},
		Deprecated:   map[string]any{"labels": []string{}, "uuid": c.UUID},
	}
	if config := q.project.configs.byID[c.AuthConfig]; config != nil {
		v.AuthConfig.Managed = config.Managed
		v.AuthConfig.Disabled = config.Status == "DISABLED" || config.DeletedAt != nil
		v.AuthConfig.Deprecated = map[string]any{"uuid": config.UUID}
	}
	if c.AccountType == "SHARED" {
		v.Experimental["acl_config_for_shared"] = map[string]any{
			"allow_all_users": true, "allowed_user_ids": []string{}, "not_allowed_user_ids": []string{},
		}
	}
	if !alone {
		return overlay(v, c.Wire)
	}
	return overlay(fullConnectionView{connectionView: v, Params: map[string]any{}, RequestedScopes: c.RequestedScopes}, c.Wire)
}

// val is the state a connection holds, by scheme and status, with what the
// published description requires.
func (c *Connection) val(status string) map[string]any {
	v := map[string]any{"status": status}
	for name := range c.Values {
		v[name] = redacted
	}
	for _, name := range stateFields(c.Scheme, status) {
		if name == "redirectUrl" || name == "authUri" {
			v[name] = c.RedirectURL
		} else {
			v[name] = redacted
		}
	}
	return v
}

func stateFields(scheme, status string) []string {
	if status == "INITIATED" {
		switch scheme {
		case "OAUTH1":
			return []string{"oauth_token", "authUri", "oauth_token_secret", "redirectUrl"}
		case "OAUTH2", "GOOGLE_SERVICE_ACCOUNT", "BILLCOM_AUTH":
			return []string{"redirectUrl"}
		case "DCR_OAUTH":
			return []string{"client_id", "redirectUrl"}
		}
		return nil
	}
	held := map[string][]string{
		"OAUTH1":                 {"oauth_token", "oauth_token_secret"},
		"OAUTH2":                 {"access_token"},
		"BASIC":                  {"username"},
		"BEARER_TOKEN":           {"token"},
		"GOOGLE_SERVICE_ACCOUNT": {"credentials_json"},
		"BILLCOM_AUTH":           {"sessionId", "devKey"},
		"BASIC_WITH_JWT":         {"username", "password"},
		"SERVICE_ACCOUNT":        {"application_id", "installation_id", "private_key"},
		"DCR_OAUTH":              {"client_id", "access_token"},
	}
	if status == "ACTIVE" || status == "INACTIVE" || scheme == "BASIC_WITH_JWT" && status != "INITIALIZING" {
		return held[scheme]
	}
	return nil
}
