package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// plainKeys are the keys of requests that may enter the journal as they are.
// Whatever else a request holds is taken for a credential.
var plainKeys = []string{
	"toolkit", "slug", "auth_config", "type", "name", "authScheme", "auth_scheme", "status", "id",
	"tool_access_config", "tools_for_connected_account_creation", "tools_available_for_execution",
	"restrict_to_following_tools", "is_enabled_for_tool_router", "scopes", "user_scopes",
	"proxy_config", "proxy_url", "auth_config_id", "user_id", "callback_url", "redirect_uri", "alias",
	"connection", "state", "validate_credentials", "enabled", "experimental", "account_type",
	"acl_config_for_shared", "allow_all_users", "allowed_user_ids", "not_allowed_user_ids", "tools", "version",
}

// journalBody is the request's body without its credentials.
func (q *request) journalBody(c *catalog, done change) json.RawMessage {
	if len(q.body) == 0 || q.route.bodyless {
		return json.RawMessage("null")
	}
	var mode string
	var t *toolkit
	switch {
	case len(done.configs) > 0:
		t, mode = c.toolkit(done.configs[0].Toolkit), done.configs[0].Scheme
	case len(done.connections) > 0:
		t, mode = c.toolkit(done.connections[0].Toolkit), done.connections[0].Scheme
	}
	body, err := decode(q.body)
	if err != nil {
		return json.RawMessage("null")
	}
	return mustJSON(redact(body, func(key string) bool { return t.readable(mode, key) }))
}

// decode reads JSON without rounding its numbers.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// redact replaces credentials by their digests. Inside credentials, readable
// says which fields are not.
func redact(v any, readable func(string) bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, in := range v {
			switch {
			case k == "credentials":
				out[k] = redactCredentials(in, readable)
			case slices.Contains(plainKeys, k):
				out[k] = redact(in, readable)
			default:
				out[k] = digests(in)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, in := range v {
			out[i] = redact(in, readable)
		}
		return out
	}
	return v
}

func redactCredentials(v any, readable func(string) bool) any {
	fields, ok := v.(map[string]any)
	if !ok {
		return digests(v)
	}
	out := make(map[string]any, len(fields))
	for k, in := range fields {
		if readable(k) {
			out[k] = in
		} else {
			out[k] = digests(in)
		}
	}
	return out
}

// digests replaces every leaf but null.
func digests(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, in := range v {
			out[k] = digests(in)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, in := range v {
			out[i] = digests(in)
		}
		return out
	case nil:
		return nil
	case string:
		return "sha256:" + digest(v)
	}
	return "sha256:" + digest(fmt.Sprint(v))
}

// maskedWrites finds what a request sends back masked. Names are left out:
// people may end them with three dots.
func (s *Server) maskedWrites(q *request, id string) []Incident {
	if len(q.body) == 0 || q.route.bodyless {
		return nil
	}
	body, err := decode(q.body)
	if err != nil {
		return nil
	}
	var out []Incident
	for _, path := range masked(body, nil) {
		out = append(out, Incident{
			Time: q.now, Kind: "masked_write", Project: q.project.slug, Method: q.method,
			Path: q.path, ID: id, Detail: path, RequestID: q.id,
		})
	}
	return out
}

func masked(v any, at []string) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for k, in := range v {
			if k != "name" && k != "alias" && k != "user_id" {
				out = append(out, masked(in, append(at[:len(at):len(at)], k))...)
			}
		}
	case []any:
		for i, in := range v {
			out = append(out, masked(in, append(at[:len(at):len(at)], strconv.Itoa(i)))...)
		}
	case string:
		if v == redacted || maskForm.MatchString(v) {
			out = append(out, strings.Join(at, "."))
		}
	}
	slices.Sort(out)
	return out
}
