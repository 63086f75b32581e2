package composio

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ConnectionStatuses are the statuses known in autumn 2026. The set is open.
func ConnectionStatuses() []string {
	return []string{"ACTIVE", "INITIALIZING", "INITIATED", "EXPIRED", "FAILED", "INACTIVE", "REVOKED"}
}

// A ConnectedAccountsService reads connections.
type ConnectedAccountsService struct{ c *Client }

// A ConnectedAccount is one user's connection through an auth config.
// Status is an open set; ACTIVE means stored, not proven to work.
type ConnectedAccount struct {
	ID           string     `json:"id"`
	Toolkit      ToolkitRef `json:"toolkit"`
	UserID       string     `json:"user_id"`
	Status       string     `json:"status"`
	StatusReason string     `json:"status_reason"`
	IsDisabled   bool       `json:"is_disabled"`
	CreatedAt    Time       `json:"created_at"`
	UpdatedAt    Time       `json:"updated_at"`
	AuthConfig   struct {
		ID string `json:"id"`
	} `json:"auth_config"`
}

const connectionPage = 200 // the API's maximum is not documented

// List iterates over the connections of an auth config, private and shared
// (the API's own default leaves out shared ones), of the given statuses or all.
func (s *ConnectedAccountsService) List(ctx context.Context, authConfigID string, statuses ...string) iter.Seq2[ConnectedAccount, error] {
	return listing(ctx, s.c, func(a ConnectedAccount) string { return a.ID }, connectionPage, connectionQuery(authConfigID, statuses), "connected_accounts")
}

// Count returns how many connections of an auth config have one of the statuses.
func (s *ConnectedAccountsService) Count(ctx context.Context, authConfigID string, statuses ...string) (int, error) {
	p, err := fetchPage[struct{}](ctx, s.c, 1, "", connectionQuery(authConfigID, statuses), []string{"connected_accounts"})
	return int(p.TotalItems), err
}

func connectionQuery(authConfigID string, statuses []string) url.Values {
	v := url.Values{"auth_config_ids": {authConfigID}, "account_type": {"ALL"}}
	if len(statuses) > 0 {
		v.Set("statuses", strings.Join(statuses, ","))
	}
	return v
}

// A Link is a hosted page where a user connects. It is a credential of its own
// for ten minutes.
type Link struct {
	ConnectedAccountID string
	RedirectURL        string
	ExpiresAt          time.Time
}

// Link starts a connection for userID through an auth config. It is sent once.
func (s *ConnectedAccountsService) Link(ctx context.Context, authConfigID, userID, callbackURL string) (Link, error) {
	body := object{"auth_config_id": authConfigID, "user_id": userID}
	if callbackURL != "" {
		body["callback_url"] = callbackURL
	}
	var out struct {
		ID          string `json:"connected_account_id"`
		RedirectURL string `json:"redirect_url"`
		ExpiresAt   Time   `json:"expires_at"`
	}
	err := s.c.write(ctx, call{method: http.MethodPost, path: []string{"connected_accounts", "link"}, body: body}, &out)
	return Link{ConnectedAccountID: out.ID, RedirectURL: out.RedirectURL, ExpiresAt: out.ExpiresAt.Time}, err
}
