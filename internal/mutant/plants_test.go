package mutant

// An edit replaces a text that occurs once in a file.
type edit struct{ file, old, new string }

// A mutant is a planted bug and the test that has to catch it.
type mutant struct {
	name  string
	pkg   string // of the test, below internal
	test  string
	edits []edit
}

func one(name, pkg, test, file, old, new string) mutant {
	return mutant{name, pkg, test, []edit{{file, old, new}}}
}

const (
	request = "change/request.go"
	vote    = "change/vote.go"
	claim   = "change/claim.go"
	apply   = "change/apply.go"
	store   = "store/changes.go"
	tokens  = "access/token.go"
)

var mutants = []mutant{
	// The races of the workflow.
	one("two last votes at once both count", "change", "TestTwoLastVotesAtOnce", store,
		"if r, err = t.request(id); err != nil {", "if r, err = s.Request(ctx, id); err != nil {"),
	one("an edit of what was approved meanwhile", "change", "TestApproveAgainstEdit", "change/revise.go",
		"case version != r.Version:", "case version < 0:"),
	one("a vote on what was edited meanwhile", "change", "TestApproveAgainstEdit", vote,
		"case b.EffectHash != r.Revision.EffectHash:", "case b.EffectHash == \"\":"),
	one("who edits may approve", "change", "TestContributorCannotVote", vote,
		"return slices.Contains(r.Revision.Contributors, userID)", "return userID == \"\""),
	one("cancelled while it is applied", "change", "TestCancelAgainstApply", request,
		"case !r.State.Waiting() && r.State != Failed && r.State != Partial:", "case r.State.Terminal():"),
	one("a form counts twice", "app", "TestDecisionSentTwice", "store/forms.go",
		"if !ok || op.used {", "if !ok || op.used || op.ID != \"\" {"),
	one("two requests work on one config", "change", "TestTargetTaken", claim,
		"effect.Claim = append(effect.Claim, i)", "_ = i"),
	one("a lock that everybody passes", "change", "TestTargetTaken", store,
		"if holder != r.ID {", "if holder == \"\" {"),
	{"a revoked approver counts", "change", "TestLostGround", []edit{
		{request, "case !r.Tally(t.people).Met:", "case len(r.Votes) == 0:"},
		{request, "case !tally(today, r.voters(Approve, today, t.people)).Met:", "case len(today) == 0:"},
	}},
	one("roles as the session knew them", "change", "TestRoleRevokedMeanwhile", vote,
		"by.User = r.At(by.Renew(t.people[i]))", "_ = i"),
	one("a policy that was loosened in flight", "change", "TestPolicyInFlight/loosened", vote,
		"met := r.Tally(t.people).Met", "now, _ := t.rules.For(t.project, r.Revision.Items, t.people, nil)\n\tmet := tally(now, r.voters(Approve, now, t.people)).Met"),
	one("a policy that was tightened in flight", "change", "TestPolicyInFlight/tightened", request,
		"case !tally(today, r.voters(Approve, today, t.people)).Met:", "case len(today) == 0:"),
	{"policies that were deleted in flight", "change", "TestPolicyInFlight/deleted", []edit{
		{"change/policy.go", "return all, len(items) > 0 && !slices.Contains(covered, false)", "return all, true"},
		{"change/tally.go", "t.Met = len(policies) > 0 && len(t.Open) == 0", "t.Met = len(t.Open) == 0"},
	}},
	one("an ended session decides", "app", "TestSessionEndsBeforeDecision", "access/session.go",
		"return now.Sub(s.LastSeen) >= SessionIdle || now.Sub(s.CreatedAt) >= SessionLife", "return now.Sub(s.CreatedAt) >= SessionLife"),
	one("applied after its time", "change", "TestClockJumps", claim,
		"if events := r.expire(t.now); len(events) > 0 {", "if events := r.expire(t.now.Add(-1e18)); len(events) > 0 {"),
	one("decided after its time", "change", "TestClockJumps", "change/service.go",
		"if r.State.Waiting() && r.over(t.now) {", "if r.State.Terminal() && r.over(t.now) {"),
	one("votes in the order of a clock that goes back", "change", "TestClockGoesBack", vote,
		"SignedInAt: by.ProvedAt, At: r.following(t.now),", "SignedInAt: by.ProvedAt, At: t.now,"),
	one("an edit made meanwhile is forgotten", "change", "TestEditBetweenReadAndWrite", apply,
		"return effect, s.noteOutside(r, a.Item, rep.verdict == verdictApplied, f, &effect)", "return effect, nil"),

	// What may never go wrong.
	one("votes of an earlier revision count", "change", "TestRequestChangesAndRevise", vote,
		"v.EffectHash == r.Revision.EffectHash && v.Revision == r.Revision.Number && v.At.After(r.VotesFrom)", "v.ID != \"\""),
	one("stale at the quorum", "change", "TestConflictResolved", vote,
		"case t.stale():", "case t.stale() && t.now.IsZero():"),
	one("stale at the read before the write", "change", "TestStale", apply,
		"case !it.unchanged(live) && (first || !it.achieved(live)):", "case !it.unchanged(live) && live.ID == \"\":"),
	one("no policy is permission", "change", "TestNoPolicy", "change/policy.go",
		"return all, len(items) > 0 && !slices.Contains(covered, false)", "return append(all, Policy{}), true"),
	one("an empty break-glass list is everybody", "change", "TestBreakGlass", "change/bypass.go",
		"slices.Contains(rules.BreakGlass, u.ID) && r.At", "(len(rules.BreakGlass) == 0 || slices.Contains(rules.BreakGlass, u.ID)) && r.At"),
	one("a bypass for another revision", "change", "TestBypassThenRevision", "change/bypass.go",
		"return r.Bypass != nil && r.Bypass.Effect == r.Revision.EffectHash && r.Bypass.At.After(r.VotesFrom)", "return r.Bypass != nil"),
	one("sent before the intent", "change", "TestIntentFirst", apply,
		"a, err := s.begin(ctx, r.ID, i)", "s.perform(ctx, r, i, Attempt{Step: r.Progress[i].Step}, deadline)\n\ta, err := s.begin(ctx, r.ID, i)"),
	{"history in a transaction of its own", "change", "TestHistoryOrNothing", []edit{
		{store, "\tvar r change.Request\n\terr := s.write(ctx, func(t *tx) (err error) {\n\t\tif r, err = t.request(id); err != nil {", "\tvar r change.Request\n\tvar later []audit.Event\n\terr := s.write(ctx, func(t *tx) (err error) {\n\t\tif r, err = t.request(id); err != nil {"},
		{store, "\t\treturn t.record(effect.Events...)\n\t})\n", "\t\tlater, t.entries = effect.Events, 1\n\t\treturn nil\n\t})\n\tif err == nil {\n\t\terr = s.write(ctx, func(t *tx) error { return t.record(later...) })\n\t}\n"},
	}},
	one("blind retry", "change", "TestFaults/create", apply,
		"return report{verdict: verdictUnknown, note: why.Message, answer: err.Error()}", "return report{verdict: verdictNotSent, note: why.Message, answer: err.Error()}"),
	one("no grace", "change", "TestListingBehind", "change/resolve.go",
		"case graceOver && missedBefore:", "case !missedBefore || graceOver:"),
	one("another credential than was approved", "change", "TestSealedCredentialReplaced", apply,
		"if err != nil || a.Step == StepMain && !s.approvedOnes(r, it, credentials) {", "if err != nil {"),
	one("a rule overwrites another", "change", "TestRulesRace", "change/rules_apply.go",
		"if err == nil && !it.Base.Equal(t.rules.values(it, t.people)) {", "if err == nil && it.Base == nil {"),
	one("what is cancelled keeps its credentials", "change", "TestModel", "change/service.go",
		"events, err := r.cancel(by, reason, t.now)\n\t\treturn Effect{Events: events, Destroy: r.all()}, err", "events, err := r.cancel(by, reason, t.now)\n\t\treturn Effect{Events: events}, err"),
	one("a retry prolongs the approval", "change", "TestModel", claim,
		"r.enter(Applying, \"\", t.now)\n\t\teffect", "r.enter(Applying, \"\", t.now)\n\t\tr.ExpiresAt = t.now.Add(t.lives.approval)\n\t\teffect"),
	one("applied without looking again", "change", "TestModel", claim,
		"if why := r.unfit(t, t.now); why != \"\" {", "if why := r.unfit(t, t.now); why == \"never\" {"),
	one("missing from a list is deleted", "mirror", "TestStaleList", "mirror/sync.go",
		"ask = append(ask, known.ID)", "_ = known"),
	one("redirects are followed", "composio", "TestNoRedirectCarriesTheKey", "composio/client.go",
		"CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },", "CheckRedirect: nil,"),
	one("a closed project's entries by the index", "store", "TestHiddenProjects", "store/index_find.go",
		"text = \"(\" + text + \" NOT \" + but + \")\"", "text = \"\""),
	one("a closed project's entries by their numbers", "app", "TestHiddenHistory", "app/history.go",
		"if !mayRead(reader(c), e) || b.hides(e) {", "if !mayRead(reader(c), e) {"),
	one("a closed project's configs that are gone", "app", "TestHiddenHistory", "app/past.go",
		"if err := s.mayKnow(c, p); err != nil {", "if err := error(nil); err != nil {"),
	one("a closed project's versions as a form", "app", "TestHiddenHistory", "app/restore.go",
		"if err := mayLookBack(c, p.project); err != nil {\n\t\treturn nil, err", "if err := error(nil); err != nil {\n\t\treturn nil, err"),
	{"commits that a power cut takes back", "store", "TestGateSettings", []edit{
		{"store/sqlite.go", "_synchronous=FULL", "_synchronous=NORMAL"}, {"store/sqlite.go", `"synchronous": "2"`, `"synchronous": "1"`},
	}},

	// The JSON API.
	one("an operation without its permission", "app", "TestAPIPermissions", "api/api.go",
		"if needs != \"\" && !who.May(needs) {", "if needs == \"never\" {"),
	one("a token may what its owner may", "app", "TestAPIPermissions", tokens,
		"\tu.Grants = cut\n", "\t_ = cut\n"),
	one("a token of one project is one of all", "app", "TestAPIScope", tokens,
		"case len(t.Projects) == 0:\n\t\treturn []Scope{s}", "case t.ID != \"\":\n\t\treturn []Scope{s}"),
	one("a token that was revoked", "app", "TestAPITokenEnds", tokens,
		"if !t.Good(now) || u.State != Active {", "if u.State != Active {"),
	one("a token that ends meanwhile is answered", "app", "TestAPITokenEndsMeanwhile", "api/api.go",
		"if err := s.o.Access.StillGood(c.Request().Context(), reader(c)); err != nil {", "if err := error(nil); err != nil {"),
	one("a token that ends meanwhile proposes", "app", "TestAPITokenEndsMeanwhile", "store/forms.go",
		"return t.stillGood(op, a.User)", "return nil"),
	one("a session that ends meanwhile is shown a page", "app", "TestSessionEndsMeanwhile", "app/reads.go",
		"if still, ok := c.Get(stillKey).(func() bool); ok && !still() {", "if c.Get(stillKey) == \"never\" {"),

	// Second factors, and rights.
	one("factor: a code counts twice", "access", "TestCodeCountsOnce", "access/totp.go",
		"if at > last {", "if at > last || last > 0 {"),
	one("factor: a recovery code counts twice", "access", "TestRecoveryCodes", "access/recovery.go",
		"case !f.Codes[i].UsedAt.IsZero():", "case f.Codes[i].UsedAt.After(now):"),
	one("factor: a proof never grows old", "access", "TestStepUp", "access/user.go",
		"return age >= 0 && age <= ProofLife", "return age >= 0 && age <= 100*ProofLife"),
	one("factor: a route that asks for no fresh proof", "app", "TestStepUpSweep", "app/routes.go",
		"s.proven(s.changeReview)},", "s.changeReview},"),
	one("factor: a copied passkey goes on", "access", "TestClonedPasskey", "access/passkey.go",
		"if credential.Authenticator.CloneWarning {", "if credential.Authenticator.CloneWarning && u.ID == \"\" {"),
	one("factor: one that a role needs isn't asked for", "app", "TestFactorRequiredPages", "app/session.go",
		"if required && s.prover.Lacks(itself(c)) && ", "if required && s.prover.Lacks(itself(c)) && c.Path() == \"\" && "),
	one("factor: guesses in a session lock its owner out", "access", "TestFactorGuessesApart", "access/prover.go",
		"if v.session != \"\" {", "if v.session == \"never\" {"),
	one("rights: whom a change gives them approves it", "change", "TestWhoGainsCannotVote", "change/gains.go",
		"case r.gains(userID, people):", "case userID == \"\":"),
	one("rights: who writes a change chooses how many agree", "change", "TestQuorumOfGains", "change/policy.go",
		"r.Root(people, contributors)", "r.Root(people, (&Request{Revision: Revision{Items: items, Contributors: contributors}}).apart(people))"),
	one("rights: revoked, but for those of groups", "app", "TestAccessReviewGroups", "change/revoke.go",
		"if slices.Contains(g.Members, person.ID) {", "if slices.Contains(g.Members, \"\") {"),

	// Holes in the walls.
	one("a route without permission", "app", "TestEveryRouteIsGuarded", "app/routes.go",
		"{post, \"/people/:id/erase\", access.ManagePeople, s.proven(s.personErase)},", "{post, \"/people/:id/erase\", signedIn, s.proven(s.personErase)},"),
	one("a route beside the table", "app", "TestEveryRouteIsGuarded", "app/routes.go",
		"func (s *Server) addRoutes() {", "func (s *Server) addRoutes() {\n\ts.echo.GET(\"/debug\", s.people)"),
	one("a client for other groups than were agreed to", "app", "TestDirectoryClientOfOtherGroups", "change/client_propose.go",
		"Base: mirror.Values{fieldGiving: giving},", "Base: mirror.Values{},"),
	one("a client's token for another admin", "app", "TestDirectoryClientIsAgreedTo", "access/client.go",
		"case c.MadeBy != by.ID:", "case c.MadeBy == \"\":"),
	one("a client that nobody agrees to", "app", "TestDirectoryClientIsAgreedTo", "change/policy.go",
		"if !r.Governed() {", "if !r.Governed() || len(r.Clients) > 0 {"),
	one("a cookie without its flag", "app", "TestHeadersEverywhere", "app/session.go",
		"HttpOnly: true, Secure: secure,", "HttpOnly: secure, Secure: secure,"),
	one("a form that binds role", "app", "TestSlippedIn", "app/account.go",
		"Name string `form:\"name\"`", "Name string `form:\"name\"`\n\t\tRole string `form:\"role\"`"),
	one("next leads away", "app", "TestNobodyIsLedAway", "app/paths.go",
		"|| strings.HasPrefix(p, \"//\") ||", "||"),
	one("a kept form with its credentials", "app", "TestCredentialsTurnUpNowhere", "app/drafts.go",
		"if !strings.HasPrefix(name, secretPrefix) && ", "if "),
	one("no wall against other sites", "app", "TestForgedForms", "app/app.go",
		"return zip(cross.Handler(h)), nil", "return zip(h), nil"),
}
