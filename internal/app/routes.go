package app

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/evidence"
	"gatehouse/internal/problem"
	"gatehouse/internal/scim"
)

// A route is a request that is answered, and the permission it needs.
type route struct {
	method  string
	path    string
	needs   access.Permission
	handler echo.HandlerFunc
}

const (
	anyone   access.Permission = "anyone"    // nobody has to be signed in
	signedIn access.Permission = "signed in" // whoever it is

	directory access.Permission = "client of a directory" // nobody's permission, see [access.Client]
)

// routes is the one table of what is answered and who may ask. What s.proven stands
// around asks for a proof of who they are that is a few minutes old at most.
func (s *Server) routes() []route {
	const (
		configs = "/projects/:slug/auth-configs"
		config  = configs + "/:id"
		project = "/settings/projects/:slug"
		group   = groupsPath + "/:id"
		role    = rolesPath + "/:id"
		policy  = policiesPath + "/:id"

		oneReview = reviewsPath + "/:id"

		peopleReview = accessReviewsPath + "/:id"
		scimUsers    = scim.Path + "/Users"
		scimGroups   = scim.Path + "/Groups"
	)
	get, post, put, patch, remove := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/healthz", anyone, s.healthz},
		{get, "/readyz", anyone, s.readyz},
		{get, "/static/:file", anyone, s.staticFile},
		{post, "/theme", anyone, s.theme},

		{get, "/signin", anyone, s.signInPage},
		{post, "/signin", anyone, s.signIn},
		{post, "/signin/demo", anyone, s.signInDemo},
		{post, "/signin/passkey", anyone, s.signInPasskey},
		{get, factorPath, anyone, s.factorPage},
		{post, factorPath, anyone, s.factor},
		{post, factorPath + "/leave", anyone, s.factorLeave},
		{get, stepUpPath, signedIn, s.stepUpPage},
		{post, stepUpPath, signedIn, s.stepUp},
		{get, providerPath, anyone, s.signInLeave},
		{get, providerPath + "/callback", anyone, s.signInArrive},
		{get, "/setup", anyone, s.setupPage},
		{post, "/setup", anyone, s.setup},
		{get, "/link", anyone, s.linkPage},
		{post, "/link", anyone, s.useLink},
		{post, "/signout", signedIn, s.signOut},

		{get, eventsPath, signedIn, s.events},
		{post, draftsPath, signedIn, s.draftKeep},
		{post, draftsPath + "/:id/discard", signedIn, s.draftDiscard},

		{get, "/", signedIn, s.overview},

		{get, configs, access.ViewConfigs, s.configs},
		{post, configs, access.ProposeChange, s.configCreate},
		{get, configs + "/new", access.ProposeChange, s.configNew},
		{post, configs + "/review", access.ProposeChange, s.configReview},
		{get, configs + "/bulk", access.ProposeChange, s.bulkPage},
		{post, configs + "/bulk", access.ProposeChange, s.bulk},
		{get, config, access.ViewConfigs, s.config},
		{post, config, access.ProposeChange, s.configUpdate},
		{get, config + "/edit", access.ProposeChange, s.configEdit},
		{post, config + "/review", access.ProposeChange, s.editReview},
		{get, config + "/connections", access.ViewConfigs, s.configConnections},
		{get, config + "/history", access.ViewConfigs, s.recordedUnlessOwn(s.configHistory)},
		{post, config + "/drift/adopt", access.ViewConfigs, s.driftAdopt},
		{post, config + "/drift/ignore", access.ViewConfigs, s.driftIgnore},
		{get, config + "/versions", access.ViewHistory, s.recordedUnlessOwn(s.configVersions)},
		{get, config + "/restore", access.ProposeChange, s.configRestore},
		{get, config + "/requests", access.ViewConfigs, s.configRequests},
		{get, config + "/impact", access.ProposeChange, s.impact},
		{post, config + "/enable", access.ProposeChange, s.configEnable},
		{post, config + "/disable", access.ProposeChange, s.configDisable},
		{post, config + "/delete", access.ProposeChange, s.configDelete},
		{get, "/projects/:slug/drift", access.ViewConfigs, s.drifts},
		{get, "/projects/:slug/as-of", access.ViewHistory, s.recorded(s.projectThen)},
		{post, "/projects/:slug/sync", access.SyncProject, s.syncProject},

		{get, "/changes", access.ViewConfigs, s.changesPage},
		{get, "/changes/:id", access.ViewConfigs, s.change},
		{post, "/changes/:id/apply", access.ViewConfigs, s.proven(s.changeApply)},
		{post, "/changes/:id/rebase", access.ProposeChange, s.changeRebase},
		{post, "/changes/:id/cancel", access.ViewConfigs, s.changeCancel},
		{post, "/changes/:id/settle", access.SettleChange, s.proven(s.changeSettle)},
		{post, "/changes/:id/approve", access.ApproveChange, s.proven(s.changeApprove)},
		{post, "/changes/:id/reject", access.ApproveChange, s.proven(s.changeReject)},
		{post, "/changes/:id/request-changes", access.ApproveChange, s.changeRequestChanges},
		{post, "/changes/:id/withdraw", access.ApproveChange, s.changeWithdraw},
		{post, "/changes/:id/submit", access.ViewConfigs, s.changeSubmit},
		{post, "/changes/:id/schedule", access.ProposeChange, s.proven(s.changeSchedule)},
		{post, "/changes/:id/unschedule", access.ProposeChange, s.changeUnschedule},
		{post, "/changes/:id/revert", access.ProposeChange, s.changeRevert},
		{post, "/changes/:id/comment", access.ViewConfigs, s.changeComment},
		{post, "/changes/:id/watch", access.ViewConfigs, s.changeWatch},
		{post, "/changes/:id/unwatch", access.ViewConfigs, s.changeUnwatch},
		{post, "/changes/:id/match", access.ApproveChange, s.proven(s.changeMatch)},
		{post, "/changes/:id/bypass", access.ProposeChange, s.proven(s.changeBypass)},
		{post, "/changes/:id/review", access.ReviewBypass, s.proven(s.changeReview)},

		{get, "/history", access.ViewHistory, s.recorded(s.history)},
		{get, "/history/:seq", access.ViewHistory, s.recorded(s.historyEntry)},
		{get, searchesPath, access.ViewHistory, s.searches},
		{post, searchesPath, access.ViewHistory, s.searchSave},
		{post, searchesPath + "/:id", access.ViewHistory, s.searchEdit},
		{post, searchesPath + "/:id/delete", access.ViewHistory, s.searchRemove},
		{post, searchesPath + "/:id/digest", access.ViewHistory, s.searchFollow},
		{get, evidencePath(historyPath), access.ExportHistory, s.proven(s.historyEvidence)},
		{get, evidencePath("/changes/:id"), access.ExportHistory, s.proven(s.changeEvidence)},
		{get, evidencePath(config), access.ExportHistory, s.proven(s.configEvidence)},
		{get, evidencePath("/people/:id"), access.ExportHistory, s.proven(s.personEvidence)},
		{get, integrityPath, access.ViewHistory, s.integrity},
		{post, integrityPath + "/verify", access.ViewSettings, s.integrityVerify},
		{get, checkpointPath, access.ViewHistory, s.checkpoint},
		{get, historyFile(evidence.CSV), access.ExportHistory, s.proven(s.historyCSV)},
		{get, historyFile(evidence.JSONL), access.ExportHistory, s.proven(s.historyJSONL)},

		{get, reviewsPath, access.ViewHistory, s.reviews},
		{post, reviewsPath, access.ReviewHistory, s.reviewOpen},
		{get, reviewsPath + "/new", access.ReviewHistory, s.reviewNew},
		{get, evidencePath(oneReview), access.ReviewHistory, s.proven(s.reviewEvidence)},
		{get, oneReview, access.ReviewHistory, s.recorded(s.review)},
		{post, oneReview + "/mark", access.ReviewHistory, s.reviewMark},
		{post, oneReview + "/close", access.ReviewHistory, s.reviewClose},
		{get, oneReview + "/report", access.ReviewHistory, s.recorded(s.reviewReport)},
		{get, oneReview + "/report.json", access.ReviewHistory, s.proven(s.reviewReportFile)},
		{post, oneReview + "/flags/:seq/answer", access.ViewHistory, s.flagAnswer},
		{post, oneReview + "/flags/:seq/ask", access.ReviewHistory, s.flagAgain},
		{post, oneReview + "/flags/:seq/accept", access.ReviewHistory, s.flagAccept},

		{get, "/people", access.ViewPeople, s.people},
		{post, "/people", access.ManagePeople, s.proven(s.personInvite)},
		{get, groupsPath, access.ViewPeople, s.groups},
		{post, groupsPath, access.ManagePeople, s.proven(s.groupSave)},
		{get, groupsPath + "/new", access.ManagePeople, s.group},
		{get, group, access.ManagePeople, s.group},
		{post, group, access.ManagePeople, s.proven(s.groupSave)},
		{get, group + "/remove", access.ManagePeople, s.groupRemove},
		{post, group + "/remove", access.ManagePeople, s.proven(s.groupDelete)},
		{get, rolesPath, access.ViewPeople, s.roles},
		{post, rolesPath, access.ManagePeople, s.proven(s.roleSave)},
		{get, rolesPath + "/new", access.ManagePeople, s.role},
		{get, role, access.ManagePeople, s.role},
		{post, role, access.ManagePeople, s.proven(s.roleSave)},
		{get, role + "/remove", access.ManagePeople, s.roleRemove},
		{post, role + "/remove", access.ManagePeople, s.proven(s.roleDelete)},
		{post, viewPath, access.ManagePeople, s.proven(s.viewBegin)},
		{post, viewEndPath, signedIn, s.viewEnd},
		{get, accessReviewsPath, access.ViewPersonal, s.accessReviews},
		{post, accessReviewsPath, access.ManagePeople, s.proven(s.accessReviewOpen)},
		{get, peopleReview, access.ViewPersonal, s.accessReview},
		{post, peopleReview + "/decide", access.ManagePeople, s.proven(s.accessReviewDecide)},
		{post, peopleReview + "/close", access.ManagePeople, s.proven(s.accessReviewClose)},
		{get, peopleReview + "/report.csv", access.ViewPersonal, s.proven(s.accessReviewCSV)},
		{get, peopleReview + "/report.json", access.ViewPersonal, s.proven(s.accessReviewFile)},
		{get, directoriesPath, access.ManagePeople, s.directories},
		{post, directoriesPath, access.ManagePeople, s.proven(s.directoryClientMake)},
		{post, directoriesPath + "/:id/token", access.ManagePeople, s.proven(s.directoryClientToken)},
		{post, directoriesPath + "/:id/revoke", access.ManagePeople, s.proven(s.directoryClientRevoke)},
		{get, "/people/:id", access.ViewPeople, s.person},
		{get, "/people/:id/history", access.ViewHistory, s.recorded(s.personHistory)},
		{post, "/people/:id/roles", access.ManagePeople, s.proven(s.personRoles)},
		{post, "/people/:id/disable", access.ManagePeople, s.proven(s.personDisable)},
		{post, "/people/:id/enable", access.ManagePeople, s.proven(s.personEnable)},
		{post, "/people/:id/erase", access.ManagePeople, s.proven(s.personErase)},
		{post, "/people/:id/reset", access.ManagePeople, s.proven(s.personReset)},
		{post, "/people/:id/factors/reset", access.ManagePeople, s.proven(s.personFactorsReset)},
		{post, "/people/:id/sessions/end", access.ManagePeople, s.proven(s.personEndSessions)},
		{post, "/people/:id/tokens/:token/revoke", access.ManagePeople, s.proven(s.personTokenRevoke)},

		{get, policiesPath, access.ViewConfigs, s.policies},
		{post, policiesPath, access.ManageRules, s.proven(s.policySave)},
		{get, policiesPath + "/new", access.ManageRules, s.policyNew},
		{post, policiesPath + "/simulate", access.ManageRules, s.policySimulate},
		{get, policiesPath + "/recommended/:slug", access.ManageRules, s.policiesRecommended},
		{post, policiesPath + "/recommended/:slug", access.ManageRules, s.proven(s.policiesRecommend)},
		{post, freezesPath, access.ManageRules, s.proven(s.freezeAdd)},
		{get, freezesPath + "/new", access.ManageRules, s.freezeNew},
		{get, freezesPath + "/:id/remove", access.ManageRules, s.freezeRemove},
		{post, freezesPath + "/:id/remove", access.ManageRules, s.proven(s.freezeDelete)},
		{get, glassPath, access.ManageRules, s.glass},
		{post, glassPath, access.ManageRules, s.proven(s.glassSave)},
		{post, policy, access.ManageRules, s.proven(s.policySave)},
		{get, policy + "/edit", access.ManageRules, s.policyEdit},
		{post, policy + "/simulate", access.ManageRules, s.policySimulate},
		{get, policy + "/remove", access.ManageRules, s.policyRemove},
		{post, policy + "/remove", access.ManageRules, s.proven(s.policyDelete)},

		{get, "/settings", access.ViewSettings, s.settings},
		{get, operationPath, access.ViewSettings, s.operation},
		{get, operationPath + "/diagnostics.json", access.ViewSettings, s.diagnostics},
		{get, "/settings/projects", access.ViewSettings, s.projects},
		{post, "/settings/projects", access.ManageProjects, s.proven(s.projectAdd)},
		{get, project, access.ViewSettings, s.project},
		{post, project, access.ManageProjects, s.proven(s.projectEdit)},
		{post, project + "/key", access.ManageProjects, s.proven(s.projectKey)},
		{post, project + "/readers", access.ManageProjects, s.proven(s.projectReaders)},
		{post, project + "/markers/on", access.ManageProjects, s.proven(s.projectMarkersOn)},
		{post, project + "/markers/off", access.ManageProjects, s.proven(s.projectMarkersOff)},
		{post, project + "/archive", access.ManageProjects, s.proven(s.projectArchive)},
		{post, project + "/restore", access.ManageProjects, s.proven(s.projectRestore)},

		{get, "/settings/notifications", access.ViewSettings, s.channels},
		{post, "/settings/notifications", access.ManageNotifications, s.proven(s.channelAdd)},
		{post, "/settings/notifications/:id/test", access.ManageNotifications, s.proven(s.channelTest)},
		{post, "/settings/notifications/:id/remove", access.ManageNotifications, s.proven(s.channelRemove)},

		{get, sinksPath, access.ViewSettings, s.sinksPage},
		{post, sinksPath, access.ManageSinks, s.proven(s.sinkAdd)},
		{get, sinksPath + "/:id/edit", access.ManageSinks, s.sinkEditPage},
		{post, sinksPath + "/:id/edit", access.ManageSinks, s.proven(s.sinkEdit)},
		{post, sinksPath + "/:id/test", access.ManageSinks, s.proven(s.sinkTest)},
		{post, sinksPath + "/:id/pause", access.ManageSinks, s.proven(s.sinkPause)},
		{post, sinksPath + "/:id/resume", access.ManageSinks, s.proven(s.sinkResume)},
		{post, sinksPath + "/:id/replay", access.ManageSinks, s.proven(s.sinkReplay)},
		{post, sinksPath + "/:id/remove", access.ManageSinks, s.proven(s.sinkRemove)},

		{get, "/notifications", signedIn, s.notifications},
		{post, "/notifications/read", signedIn, s.notificationsRead},
		{get, "/account", signedIn, s.account},
		{get, "/account/notifications", signedIn, s.accountNotifications},
		{post, "/account/notifications", signedIn, s.accountTellMe},
		{post, "/account", signedIn, s.accountRename},
		{post, "/account/keys", signedIn, s.accountKeys},
		{post, "/account/passphrase", signedIn, s.proven(s.accountPassphrase)},
		{get, factorsPath, signedIn, s.factors},
		{post, factorsPath + "/passkeys", signedIn, s.proven(s.passkeyAdd)},
		{post, factorsPath + "/passkeys/:id", signedIn, s.proven(s.passkeyRename)},
		{post, factorsPath + "/passkeys/:id/remove", signedIn, s.proven(s.passkeyRemove)},
		{get, appPath, signedIn, s.proven(s.app)},
		{post, appPath, signedIn, s.proven(s.appAdd)},
		{post, appPath + "/remove", signedIn, s.proven(s.appRemove)},
		{post, factorsPath + "/codes", signedIn, s.proven(s.codesMake)},
		{get, identitiesPath, signedIn, s.accountIdentities},
		{post, identitiesPath, signedIn, s.proven(s.identityLink)},
		{post, identitiesPath + "/unlink", signedIn, s.proven(s.identityUnlink)},
		{get, sessionsPath, signedIn, s.accountSessions},
		{post, sessionsPath + "/end-others", signedIn, s.accountEndOthers},
		{post, sessionsPath + "/end-all", signedIn, s.accountEndAll},
		{post, sessionsPath + "/:id/end", signedIn, s.accountEndSession},
		{get, tokensPath, signedIn, s.accountTokens},
		{post, tokensPath, signedIn, s.proven(s.tokenMake)},
		{post, tokensPath + "/:id/revoke", signedIn, s.tokenRevoke},

		{get, descriptionPath, anyone, s.api.Description},
		{get, apiPath + "/me", signedIn, s.api.Me},
		{get, apiPath + "/projects", access.ViewConfigs, s.api.Projects},
		{get, apiPath + configs, access.ViewConfigs, s.api.AuthConfigs},
		{get, apiPath + config, access.ViewConfigs, s.api.AuthConfig},
		{post, apiPath + "/projects/:slug/changes", access.ProposeChange, s.api.Propose},
		{get, apiPath + changesPath, access.ViewConfigs, s.api.Changes},
		{get, apiPath + changesPath + "/:id", access.ViewConfigs, s.api.Change},
		{get, apiPath + historyPath, access.ViewHistory, s.api.History},
		{get, apiPath + historyPath + "/:seq", access.ViewHistory, s.api.HistoryEntry},

		{get, scim.Path + "/ServiceProviderConfig", directory, s.scim.Config},
		{get, scim.Path + "/ResourceTypes", directory, s.scim.ResourceTypes},
		{get, scim.Path + "/ResourceTypes/:id", directory, s.scim.ResourceType},
		{get, scim.Path + "/Schemas", directory, s.scim.Schemas},
		{get, scim.Path + "/Schemas/:id", directory, s.scim.Schema},
		{get, scimUsers, directory, s.scim.Users},
		{post, scimUsers, directory, s.scim.UserAdd},
		{get, scimUsers + "/:id", directory, s.scim.User},
		{put, scimUsers + "/:id", directory, s.scim.UserPut},
		{patch, scimUsers + "/:id", directory, s.scim.UserPatch},
		{remove, scimUsers + "/:id", directory, s.scim.UserRemove},
		{get, scimGroups, directory, s.scim.Groups},
		{post, scimGroups, directory, s.scim.GroupAdd},
		{get, scimGroups + "/:id", directory, s.scim.Group},
		{put, scimGroups + "/:id", directory, s.scim.GroupPut},
		{patch, scimGroups + "/:id", directory, s.scim.GroupPatch},
		{remove, scimGroups + "/:id", directory, s.scim.GroupRemove},
	}
}

// bearer reports whether the route is for programs: tokens count there and cookies
// don't.
func (r route) bearer() bool { return isAPI(r.path) || isSCIM(r.path) }

func isAPI(path string) bool { return strings.HasPrefix(path, "/api/") }

func isSCIM(path string) bool { return strings.HasPrefix(path, "/scim/") }

func (s *Server) addRoutes() {
	for _, r := range s.routes() {
		h := r.handler
		if r.bearer() {
			s.addBearer(r)
			continue
		}
		if r.method == http.MethodPost {
			h = s.takeForm(r.needs, h)
		}
		h = s.permit(r.needs, h)
		s.echo.Add(r.method, r.path, s.withSession(r.needs != anyone, h))
		if r.method == http.MethodGet {
			s.echo.Add(http.MethodHead, r.path, s.withSession(r.needs != anyone, h))
		}
	}
	for _, all := range []string{"/api/*", "/scim/*"} {
		s.echo.RouteNotFound(all, func(echo.Context) error { return echo.ErrNotFound })
	}
	s.echo.RouteNotFound("/*", s.withSession(false, func(echo.Context) error {
		return problem.New(problem.NotFound, "There is no page at this address.")
	}))
}

// addBearer adds a route for programs.
func (s *Server) addBearer(r route) {
	h := r.handler
	switch r.needs {
	case anyone:
	case directory:
		h = s.scim.Guard(h)
	case signedIn:
		h = s.api.Guard("", h)
	default:
		h = s.api.Guard(r.needs, h)
	}
	s.echo.Add(r.method, r.path, h)
	if r.method == http.MethodGet {
		s.echo.Add(http.MethodHead, r.path, h)
	}
}

// permit lets through who has the permission where the page is. What one may not see
// isn't there; what one sees and may not do is forbidden.
func (s *Server) permit(needs access.Permission, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch needs {
		case "":
			return problem.New(problem.Forbidden, "Nobody may do this.") // a route without an entry
		case anyone, signedIn:
			return next(c)
		}
		if err := s.locate(c); err != nil {
			return err
		}
		u := here(c)
		if u.May(needs) {
			return next(c)
		}
		if c.Request().Method != http.MethodPost || !u.May(access.ViewConfigs) && reader(c).May(access.ViewConfigs) {
			return problem.New(problem.NotFound, "There is no page at this address, or you may not see it.")
		}
		return u.Check(needs)
	}
}
