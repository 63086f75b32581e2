package app

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/evidence"
)

// Every URL of the console is made here.

const (
	eventsPath = "/events"
	draftsPath = "/drafts"

	factorPath  = "/signin/factor"
	stepUpPath  = "/stepup"
	factorsPath = "/account/factors"
	appPath     = factorsPath + "/app"
)

func configsPath(slug string) string { return "/projects/" + url.PathEscape(slug) + "/auth-configs" }

func configPath(slug, id string) string { return configsPath(slug) + "/" + url.PathEscape(id) }

func impactPath(slug, id, do string) string { return configPath(slug, id) + "/impact?do=" + do }

func syncPath(slug string) string { return "/projects/" + url.PathEscape(slug) + "/sync" }

func changePath(id string) string { return "/changes/" + url.PathEscape(id) }

func discardPath(id string) string { return draftsPath + "/" + url.PathEscape(id) + "/discard" }

func entryPath(seq int64) string { return "/history/" + strconv.FormatInt(seq, 10) }

const reviewsPath = "/reviews"

func reviewPath(id string) string { return reviewsPath + "/" + url.PathEscape(id) }

func flagPath(id string, seq int64) string {
	return reviewPath(id) + "/flags/" + strconv.FormatInt(seq, 10)
}

// historyFile is where the whole result of a search of history is downloaded.
func historyFile(f evidence.Format) string { return "/" + f.File() }

// evidencePath is where evidence about what a page shows is downloaded.
func evidencePath(page string) string { return page + "/" + evidence.PackFile }

func personPath(id string) string { return "/people/" + url.PathEscape(id) }

const (
	policiesPath = "/policies"
	freezesPath  = "/policies/freezes"
	glassPath    = "/policies/break-glass"
	groupsPath   = "/people/groups"

	accessReviewsPath = "/people/reviews"
	directoriesPath   = "/people/directories"
	rolesPath         = "/people/roles"
)

func policyPath(id string) string { return policiesPath + "/" + url.PathEscape(id) }

func recommendedPath(slug string) string {
	return policiesPath + "/recommended/" + url.PathEscape(slug)
}

func freezeRemovePath(id string) string { return freezesPath + "/" + url.PathEscape(id) + "/remove" }

func clientTokenPath(id string) string { return directoriesPath + "/" + url.PathEscape(id) + "/token" }

func rolePath(id access.Role) string { return rolesPath + "/" + url.PathEscape(string(id)) }

func accessReviewPath(id string) string { return accessReviewsPath + "/" + url.PathEscape(id) }

func groupPath(id string) string { return groupsPath + "/" + url.PathEscape(id) }

func projectPath(slug string) string { return "/settings/projects/" + url.PathEscape(slug) }

func channelPath(id string) string { return "/settings/notifications/" + url.PathEscape(id) }

const sinksPath = "/settings/sinks"

func sinkPath(id string) string { return sinksPath + "/" + url.PathEscape(id) }

const (
	sessionsPath    = "/account/sessions"
	tokensPath      = "/account/tokens"
	apiPath         = "/api/v1"
	descriptionPath = apiPath + "/openapi.json"
)

func endSessionPath(id string) string { return sessionsPath + "/" + url.PathEscape(id) + "/end" }

func revokeTokenPath(id string) string { return tokensPath + "/" + url.PathEscape(id) + "/revoke" }

func personTokenPath(person, id string) string {
	return personPath(person) + "/tokens/" + url.PathEscape(id) + "/revoke"
}

func passkeyPath(id string) string { return factorsPath + "/passkeys/" + url.PathEscape(id) }

// query adds parameters to a path; empty values are left out.
func query(path string, pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
		}
	}
	if len(parts) == 0 {
		return path
	}
	return path + "?" + strings.Join(parts, "&")
}

// refererPath is the page of ours that a form was on, or "/".
func (s *Server) refererPath(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != r.Host {
		return "/"
	}
	return localPath(s.formPage(u))
}

// formPage is where a form begins. What answers a form stands at an address that
// may take only forms: the form begins on the page above it, and one of an auth
// config a step before its review.
func (s *Server) formPage(u *url.URL) string {
	if s.isPage(u.Path) {
		return u.RequestURI()
	}
	if before, ok := strings.CutSuffix(u.Path, "/review"); ok && strings.Contains(before, "/auth-configs") {
		return before + map[bool]string{true: "/new", false: "/edit"}[strings.HasSuffix(before, "/auth-configs")]
	}
	at := path.Dir(u.Path)
	for at != "/" && !s.isPage(at) {
		at = path.Dir(at)
	}
	return at
}

// isPage reports whether something is shown at a path.
func (s *Server) isPage(path string) bool {
	at := s.echo.NewContext(nil, nil)
	s.echo.Router().Find(http.MethodGet, path, at)
	return slices.ContainsFunc(s.routes(), func(r route) bool { return r.method == http.MethodGet && r.path == at.Path() })
}

// localPath makes sure that a path leads nowhere else.
func localPath(p string) string {
	odd := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsFunc(p, odd) {
		return "/"
	}
	return p
}

func withQuery(path, key, value string) string {
	u, err := url.Parse(path)
	if err != nil {
		return "/"
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.RequestURI()
}
