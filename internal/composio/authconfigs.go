package composio

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// An AuthConfigType says whose OAuth app or credentials a config uses, in the
// words of the SDK. The wire has three spellings of it.
type AuthConfigType string

// The types of auth config.
const (
	Managed AuthConfigType = "default" // Composio's own app
	Custom  AuthConfigType = "custom"  // the customer's app or credentials
)

// Statuses of an auth config. Others may appear.
const (
	Enabled  = "ENABLED"
	Disabled = "DISABLED"
)

// An AuthConfigsService makes the calls of the SDK's auth_configs.
type AuthConfigsService struct{ c *Client }

// An AuthConfigQuery narrows a listing. The zero value lists everything,
// disabled configs included (the API's own default hides them).
type AuthConfigQuery struct {
	Toolkits     []string // slugs
	AuthScheme   string   // compared here: the API has no such filter
	Managed      *bool
	Search       string // part of a name or id
	HideDisabled bool
	Limit        int // items a page; 0 means 200, the most that the API gives
}

const maxAuthConfigPage = 200 // since 2026-09-21

// List iterates over the configs of the project, newest first.
func (s *AuthConfigsService) List(ctx context.Context, q AuthConfigQuery) iter.Seq2[AuthConfig, error] {
	v := url.Values{"show_disabled": {strconv.FormatBool(!q.HideDisabled)}}
	if len(q.Toolkits) > 0 {
		v.Set("toolkit_slug", strings.Join(q.Toolkits, ","))
	}
	if q.Managed != nil {
		v.Set("is_composio_managed", strconv.FormatBool(*q.Managed))
	}
	if q.Search != "" {
		v.Set("search", q.Search)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = maxAuthConfigPage
	}
	all := listing(ctx, s.c, func(a AuthConfig) string { return a.ID }, limit, v, "auth_configs")
	if q.AuthScheme == "" {
		return all
	}
	return func(yield func(AuthConfig, error) bool) {
		for a, err := range all {
			if err == nil && a.AuthScheme != q.AuthScheme {
				continue
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

// Get returns one config. Unknown, deleted and other projects' ids are a 404.
func (s *AuthConfigsService) Get(ctx context.Context, id string) (AuthConfig, error) {
	var a AuthConfig
	if err := CheckID(id); err != nil {
		return a, err
	}
	err := s.c.read(ctx, &a, nil, "auth_configs", id)
	if err == nil && a.ID == "" {
		err = &TransportError{Sent: true, Err: fmt.Errorf("auth config %s came without an id", id)}
	}
	return a, err
}

// A CreatedAuthConfig is all that the API says about a config it just made;
// name, status and dates take a [AuthConfigsService.Get].
type CreatedAuthConfig struct {
	ID         string `json:"id"`
	AuthScheme string `json:"auth_scheme"`
	Managed    bool   `json:"is_composio_managed"`
}

// Create makes a config. It is sent once; see [Definite] for errors.
func (s *AuthConfigsService) Create(ctx context.Context, o CreateAuthConfig) (CreatedAuthConfig, error) {
	var out struct {
		AuthConfig CreatedAuthConfig `json:"auth_config"`
	}
	body, err := o.body()
	if err != nil {
		return out.AuthConfig, err
	}
	err = s.c.write(ctx, call{method: http.MethodPost, path: []string{"auth_configs"}, body: body}, &out)
	if err == nil && CheckID(out.AuthConfig.ID) != nil {
		err = &TransportError{Sent: true, Err: fmt.Errorf("the new auth config came without a usable id")}
	}
	return out.AuthConfig, err
}

// Update changes the fields that are set in o and keeps the others. The answer
// never holds the config: Get it afterwards.
func (s *AuthConfigsService) Update(ctx context.Context, id string, o UpdateAuthConfig) error {
	if err := CheckID(id); err != nil {
		return &TransportError{Err: err}
	}
	body, err := o.body()
	if err != nil {
		return err
	}
	return s.c.write(ctx, call{method: http.MethodPatch, path: []string{"auth_configs", id}, body: body}, nil)
}

// Delete removes a config for good. With revoke, the API also starts a job that
// revokes the credentials of all its connections at the provider.
func (s *AuthConfigsService) Delete(ctx context.Context, id string, revoke bool) error {
	if err := CheckID(id); err != nil {
		return &TransportError{Err: err}
	}
	var q url.Values
	if revoke {
		q = url.Values{"revoke_on_delete": {"true"}}
	}
	return s.c.write(ctx, call{method: http.MethodDelete, path: []string{"auth_configs", id}, query: q}, nil)
}

// Enable lets a config be used for new connections.
func (s *AuthConfigsService) Enable(ctx context.Context, id string) error {
	return s.setStatus(ctx, id, Enabled)
}

// Disable stops new connections through a config.
func (s *AuthConfigsService) Disable(ctx context.Context, id string) error {
	return s.setStatus(ctx, id, Disabled)
}

func (s *AuthConfigsService) setStatus(ctx context.Context, id, status string) error {
	if err := CheckID(id); err != nil {
		return &TransportError{Err: err}
	}
	return s.c.write(ctx, call{method: http.MethodPatch, path: []string{"auth_configs", id, status}}, nil)
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckID refuses what can't be an id of Composio's.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%.80q is not an id", id)
	}
	return nil
}
