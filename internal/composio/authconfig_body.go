package composio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gatehouse/internal/secret"
)

// A CreateAuthConfig says what config to make. For a [Managed] one the API
// picks the scheme, and Credentials must be empty.
type CreateAuthConfig struct {
	Toolkit              string
	Type                 AuthConfigType
	Name                 string
	AuthScheme           string
	Credentials          map[string]secret.Value // by the toolkit's field names, without the scopes
	Scopes               *Scopes
	UserScopes           *Scopes
	RestrictToTools      []string
	ToolsForConnection   []string // OAuth only: derives scopes from tools
	Proxy                *Proxy
	SharedCredentials    map[string]secret.Value
	EnabledForToolRouter *bool
}

// A Proxy is where the API sends a config's traffic through.
type Proxy struct {
	URL     string
	AuthKey secret.Value
}

// An UpdateAuthConfig says what to change; nil leaves a field alone. Type must
// be that of the config. SharedCredentials replace all earlier ones; the other
// credentials are merged key by key (changelog of 2026-01-14).
type UpdateAuthConfig struct {
	Type                 AuthConfigType
	Name                 *string
	Credentials          map[string]secret.Value // custom only
	Scopes               *Scopes                 // an empty list clears
	UserScopes           *Scopes
	RestrictToTools      *[]string
	ToolsForConnection   *[]string
	ToolsForExecution    *[]string
	Proxy                *Proxy // custom only; a zero value clears
	SharedCredentials    map[string]secret.Value
	EnabledForToolRouter *bool
}

type object = map[string]any

// body translates to the wire, where the types are called otherwise, the scheme
// is camelCase and the scopes of a create lie among the credentials.
func (o CreateAuthConfig) body() (object, error) {
	ac := object{"type": "use_composio_managed_auth", "name": o.Name}
	if o.Type == Custom {
		ac["type"] = "use_custom_auth"
		ac["authScheme"] = o.AuthScheme
		ac["proxy_config"] = o.Proxy.wire()
	}
	credentials := object{}
	if o.Type != Custom && len(o.Credentials) > 0 {
		return nil, fmt.Errorf("a managed auth config takes no credentials")
	}
	if err := addCredentials(credentials, o.Credentials); err != nil {
		return nil, err
	}
	if err := addShared(ac, o.SharedCredentials); err != nil {
		return nil, err
	}
	addScopes(credentials, o.Scopes, o.UserScopes)
	ac["credentials"] = credentials
	if len(o.RestrictToTools) > 0 {
		ac["restrict_to_following_tools"] = o.RestrictToTools
	}
	if len(o.ToolsForConnection) > 0 {
		ac["tool_access_config"] = object{"tools_for_connected_account_creation": o.ToolsForConnection}
	}
	if o.EnabledForToolRouter != nil {
		ac["is_enabled_for_tool_router"] = *o.EnabledForToolRouter
	}
	for k, v := range ac {
		if v == nil || v == "" {
			delete(ac, k)
		}
	}
	return object{"toolkit": object{"slug": o.Toolkit}, "auth_config": ac}, nil
}

// Body returns the request body without sending it, credentials replaced by
// "[secret]": what a reader may see and what digests are made of.
func (o CreateAuthConfig) Body() ([]byte, error) { return visible(o.body()) }

// Body is like [CreateAuthConfig.Body].
func (o UpdateAuthConfig) Body() ([]byte, error) { return visible(o.body()) }

func visible(body object, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(body) // a secret.Value writes itself as [secret]
}

func (o UpdateAuthConfig) body() (object, error) {
	b := object{"type": string(o.Type)}
	if o.Name != nil {
		b["name"] = *o.Name
	}
	credentials := object{}
	if o.Type == Custom {
		if err := addCredentials(credentials, o.Credentials); err != nil {
			return nil, err
		}
		addScopes(credentials, o.Scopes, o.UserScopes)
		if o.Proxy != nil {
			b["proxy_config"] = o.Proxy.wire()
		}
	} else {
		if len(o.Credentials) > 0 || o.Proxy != nil {
			return nil, fmt.Errorf("a managed auth config takes no credentials and no proxy")
		}
		addScopes(b, o.Scopes, o.UserScopes)
	}
	if len(credentials) > 0 {
		b["credentials"] = credentials
	}
	if err := addShared(b, o.SharedCredentials); err != nil {
		return nil, err
	}
	tools := object{}
	addList(tools, "tools_for_connected_account_creation", o.ToolsForConnection)
	addList(tools, "tools_available_for_execution", o.ToolsForExecution)
	if len(tools) > 0 {
		b["tool_access_config"] = tools
	}
	addList(b, "restrict_to_following_tools", o.RestrictToTools)
	if o.EnabledForToolRouter != nil {
		b["is_enabled_for_tool_router"] = *o.EnabledForToolRouter
	}
	return b, nil
}

func addList(to object, name string, list *[]string) {
	if list != nil {
		to[name] = append([]string{}, *list...)
	}
}

func addScopes(to object, scopes, userScopes *Scopes) {
	if scopes != nil {
		to["scopes"] = scopes.wire()
	}
	if userScopes != nil {
		to["user_scopes"] = userScopes.wire()
	}
}

func addShared(to object, from map[string]secret.Value) error {
	if len(from) == 0 {
		return nil
	}
	shared := object{}
	to["shared_credentials"] = shared
	for name, v := range from {
		if err := checkCredential(name, v); err != nil {
			return err
		}
		shared[name] = v
	}
	return nil
}

func addCredentials(to object, from map[string]secret.Value) error {
	for name, v := range from {
		if err := checkCredential(name, v); err != nil {
			return err
		}
		if ReadableField(name) {
			to[name] = v.Reveal()
		} else {
			to[name] = v
		}
	}
	return nil
}

func checkCredential(name string, v secret.Value) error {
	if strings.TrimSpace(v.Reveal()) == "" || secret.Masked(v.Reveal()) {
		return &MaskedValueError{Field: name}
	}
	return nil
}

// wire returns nil for a proxy that is absent or to be cleared.
func (p *Proxy) wire() any {
	if p == nil || p.URL == "" {
		return nil
	}
	w := object{"proxy_url": p.URL}
	if !p.AuthKey.Empty() {
		w["proxy_auth_key"] = p.AuthKey
	}
	return w
}

// marshalBody encodes a request body with its credentials in the clear. It is
// the one place where they leave the process.
func marshalBody(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(reveal(v))
	return b.Bytes(), err
}

func reveal(v any) any {
	switch v := v.(type) {
	case object:
		m := make(object, len(v))
		for k, e := range v {
			m[k] = reveal(e)
		}
		return m
	case secret.Value:
		return v.Reveal()
	}
	return v
}
