package app

import (
	"net/url"
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
