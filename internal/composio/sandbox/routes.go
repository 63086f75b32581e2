package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A handler answers a request with what goes into JSON, or refuses it. It runs
// under the lock; what it returns must not change afterwards.
type handler func(*Server, *request) (any, *failure)

type route struct {
	method, pattern string
	status          int
	write           bool // needs a key that may write
	bodyless        bool
	handle          handler
}

// routes lists what is imitated, literal paths before those they would match.
var routes = []route{
	{method: "POST", pattern: "/auth_configs", status: 201, write: true, handle: createAuthConfig},
	{method: "GET", pattern: "/auth_configs", status: 200, handle: listAuthConfigs},
	{method: "GET", pattern: "/auth_configs/{}", status: 200, handle: getAuthConfig},
	{method: "PATCH", pattern: "/auth_configs/{}", status: 200, write: true, handle: updateAuthConfig},
	{method: "DELETE", pattern: "/auth_configs/{}", status: 200, write: true, bodyless: true, handle: deleteAuthConfig},
	{method: "PATCH", pattern: "/auth_configs/{}/{}", status: 200, write: true, bodyless: true, handle: switchAuthConfig},
	{method: "GET", pattern: "/toolkits", status: 200, handle: listToolkits},
	{method: "GET", pattern: "/toolkits/categories", status: 200, handle: listCategories},
	{method: "GET", pattern: "/toolkits/{}", status: 200, handle: getToolkit},
	{method: "GET", pattern: "/tools", status: 200, handle: listTools},
	{method: "POST", pattern: "/tools/scopes/required", status: 200, handle: requiredScopes},
	{method: "GET", pattern: "/tools/{}", status: 200, handle: getTool},
	{method: "GET", pattern: "/connected_accounts", status: 200, handle: listConnections},
	{method: "POST", pattern: "/connected_accounts", status: 201, write: true, handle: initiateConnection},
	{method: "POST", pattern: "/connected_accounts/link", status: 201, write: true, handle: linkConnection},
	{method: "GET", pattern: "/connected_accounts/{}", status: 200, handle: getConnection},
	{method: "DELETE", pattern: "/connected_accounts/{}", status: 200, write: true, bodyless: true, handle: deleteConnection},
	{method: "PATCH", pattern: "/connected_accounts/{}/status", status: 200, write: true, handle: switchConnection},
	{method: "GET", pattern: "/auth/session/info", status: 200, handle: sessionInfo},
}

// find finds the route of a request. Where only the method is wrong, it gives
// the methods that would do.
func find(method, resource string) (found *route, params []string, allowed []string) {
	parts := strings.Split(resource, "/")
	for i := range routes {
		params, ok := match(strings.Split(routes[i].pattern, "/"), parts)
		switch {
		case !ok:
		case routes[i].method == method:
			return &routes[i], params, nil
		case !slices.Contains(allowed, routes[i].method):
			allowed = append(allowed, routes[i].method)
		}
	}
	return nil, nil, allowed
}

func match(pattern, parts []string) ([]string, bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	var params []string
	for i, p := range pattern {
		if p != "{}" {
			if p != parts[i] {
				return nil, false
			}
			continue
		}
		param, err := url.PathUnescape(parts[i])
		if err != nil || param == "" {
			return nil, false
		}
		params = append(params, param)
	}
	return params, true
}

// version splits the path of a call into the version of the API and the rest.
func version(path string) (version, resource string) {
	rest, ok := strings.CutPrefix(path, "/api/")
	if !ok {
		return "", path
	}
	version, resource, _ = strings.Cut(rest, "/")
	return version, "/" + resource
}

// handle answers a request, under the lock.
func (s *Server) handle(q *request) (any, *failure) {
	switch q.version {
	case "v3", "v3.1":
	case "v1", "v2":
		f := unexpected(http.StatusGone) // since 2026
		f.message, f.fix = "API "+q.version+" is no longer available.", "Use /api/v3.1."
		return nil, f
	default:
		return nil, unexpected(http.StatusNotFound)
	}
	if q.route == nil && len(q.allowed) > 0 {
		return nil, unexpected(http.StatusMethodNotAllowed)
	}
	if q.route == nil {
		return nil, unexpected(http.StatusNotFound)
	}
	if f := q.authenticate(); f != nil {
		return nil, f
	}
	if f := s.count(q); f != nil {
		return nil, f
	}
	if q.route.write && (q.key.readOnly || s.quirks.scopedKey) {
		return nil, notPermitted(q)
	}
	if q.refused != nil {
		return nil, q.refused
	}
	q.project = s.projects[q.key.project]
	return q.route.handle(s, q)
}
