package app

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// needing makes roles ask for a second factor.
func (s *site) needing(roles ...string) {
	s.T.Helper()
	var err error
	s.server.prover, err = access.NewProver(s.Access, access.ProverSettings{Public: s.server.public, Required: roles})
	if err != nil {
		s.T.Fatal(err)
	}
}

// enrol sets up an authenticator app through the pages, and returns its key and
// the recovery codes.
func (b *browser) enrol() (key string, codes []string) {
	b.site.T.Helper()
	page := b.get(appPath).is(200)
	key = page.doc.Find("code.key").Text()
	if page.doc.Find("svg.qr path").AttrOr("d", "") == "" {
		b.site.T.Error("no QR code")
	}
	got := b.submit(page, appPath, "secret.code", rig.Code(b.site.T, key, rig.Now())).is(200).has("Recovery codes", "shown only now")
	for _, c := range got.doc.Find(".codes code").EachIter() {
		codes = append(codes, c.Text())
	}
	if got.header.Get("Cache-Control") != "no-store" || len(codes) != 10 {
		b.site.T.Errorf("%d codes, kept by %q", len(codes), got.header.Get("Cache-Control"))
	}
	if file := got.doc.Find(`a[download^="gatehouse"]`).AttrOr("href", ""); !strings.HasPrefix(file, "data:text/plain") {
		b.site.T.Errorf("the codes can't be saved: %q", file)
	}
	return key, codes
}

// enter signs in by passphrase, as far as that leads.
func (s *site) enter(name, next string) (*browser, *reply) {
	s.T.Helper()
	b := s.browser()
	page := b.get("/signin?next=" + url.QueryEscape(next))
	return b, b.submit(page, "/signin", "email", strings.ToLower(name)+"@example.com", "secret.passphrase", rig.Passphrase)
}

func TestSecondFactorPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.as("Ada", access.Admin)
	bad := ada.get(appPath)
	key := bad.doc.Find("code.key").Text()
	bad = ada.submit(bad, appPath, "secret.code", "12").is(422).has("This code is not right")
	if bad.doc.Find("code.key").Text() != key {
		t.Error("after a wrong code the key is another one")
	}
	_, codes := ada.enrol()
	list := ada.get(factorsPath).has("Codes of an app", "10 codes left")
	if ada.get(appPath).is(200); strings.Contains(ada.submit(ada.get(appPath), appPath, "secret.code", "1").body, "Recovery codes are") {
		t.Error("a second app")
	}

	b, page := s.enter("Ada", "/people")
	page.is(200).at(factorPath).has("Your second factor", "The passphrase was right")
	for _, path := range []string{"/", "/people", "/account", "/history", "/signin"} {
		b.get(path).at(factorPath)
	}
	page = b.submit(page, factorPath, "secret.code", "000000").is(422).has("This code is not right")
	page = b.submit(page, factorPath).is(422).has("Enter a code")
	b.submit(page, factorPath, "secret.recovery", codes[0]).is(200).at("/people")
	ada.get(factorsPath).has("9 codes left")

	b, page = s.enter("Ada", "/")
	b.submit(page, factorPath, "secret.recovery", codes[0]).is(422).has("was used already")
	b.submit(b.get(factorPath), factorPath+"/leave").at("/signin")
	b.get("/").at("/signin")
	b.get(factorPath).at("/signin").has("within 5 minutes")
	if n := s.historyOf("session.factor_refused"); n != 2 {
		t.Errorf("%d refusals recorded", n)
	}

	// New codes, and the end of the app.
	fresh := ada.submit(list, factorsPath+"/codes").is(200).has("The ones before have stopped working")
	if strings.Contains(fresh.body, codes[1]) {
		t.Error("the old codes are shown again")
	}
	ada.submit(ada.get(factorsPath), appPath+"/remove").at(factorsPath).has("Removed.")
	_, page = s.enter("Ada", "/people")
	page.at("/people")
}

// Few recovery codes are warned of.
func TestFewRecoveryCodes(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.as("Ada", access.Admin)
	_, codes := ada.enrol()
	for _, c := range codes[:7] {
		b, page := s.enter("Ada", "/account")
		b.submit(page, factorPath, "secret.recovery", c).at("/account")
	}
	ada.get(factorsPath).has("3 codes left", "Few recovery codes are left")
}

func TestFactorRequiredPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.needing("admin")
	vera := s.as("Vera", access.Viewer)
	vera.get("/people").at("/people")
	ada := s.Person("Ada", access.Admin)
	b, page := s.enter("Ada", "/people")
	page.at(factorsPath).has("Your role asks for more than a passphrase")
	person := s.Person("Other", access.Viewer)
	for _, r := range s.server.routes() {
		if r.needs == anyone || withoutFactor(r.path) || r.path == eventsPath || r.bearer() {
			continue
		}
		path := s.fill(r.path, "ac_1", "chg_1", person, s.Project.Slug)
		if r.method == "GET" {
			b.get(path).at(factorsPath)
		} else if got := b.do(b.request(r.method, path, url.Values{"csrf": page.form("/signout")["csrf"], "op": {s.server.newOpID(ada.ID, path)}})); got.status != 403 {
			t.Errorf("%s %s: %d", r.method, path, got.status)
		}
	}
	b.enrol()
	b.get("/people").is(200).at("/people")
	list := b.get(factorsPath).has("The last one; your role asks for it")
	if list.doc.Find(`form[action="`+appPath+`/remove"]`).Length() != 0 {
		t.Error("the last factor may be removed")
	}
}

// An admin takes away the factors of somebody who lost theirs.
func TestFactorsReset(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	emil, ada := s.as("Emil", access.Editor), s.as("Ada", access.Admin)
	emil.enrol()
	u, err := s.Store.AccountByEmail(t.Context(), "emil@example.com")
	if err != nil {
		t.Fatal(err)
	}
	page := ada.get(personPath(u.ID)).has("Second factorYes")
	ada.submit(page, personPath(u.ID)+"/factors/reset").has("Second factors of Emil are gone")
	emil.get("/").at("/signin")
	_, in := s.enter("Emil", "/account")
	in.at("/account")
	if s.historyOf(access.FactorsResetAction) != 1 {
		t.Error("the reset is not recorded")
	}
}

// stale lets the proofs of all readers grow old.
func (s *site) stale(d time.Duration) {
	s.server.now = func() time.Time { return rig.Now().Add(d) }
	s.T.Cleanup(func() { s.server.now = rig.Now })
}

// What a stolen session must not open: each route whose permission is weighty, and
// some by themselves. Asked for by who proved themselves long ago, each leads to
// the step-up, and nothing happens.
func TestStepUpSweep(t *testing.T) {
	weighty := map[access.Permission]bool{
		access.ManagePeople: true, access.ManageRules: true, access.ManageProjects: true, access.ManageSinks: true, access.ApproveChange: true, access.ExportHistory: true,
	}
	weightyRoutes := []string{
		"POST /changes/:id/apply", "POST /changes/:id/bypass", "POST /account/passphrase", "POST " + tokensPath,
		"GET " + evidencePath(reviewsPath+"/:id"), "GET " + reviewsPath + "/:id/report.json",
	}
	light := []string{
		"POST /changes/:id/request-changes", "POST /changes/:id/withdraw", // they hold a change up, no more
		"POST /changes/:id/match",                                                      // compares, and counts the tries
		"POST " + policiesPath + "/simulate", "POST " + policiesPath + "/:id/simulate", // they change nothing
	}
	s := newSite(t, sandbox.Options{})
	person := s.Person("Other", access.Viewer)
	b := s.as("Ada", access.Roles()...)
	account := b.get("/account")
	ada, err := s.Store.AccountByEmail(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	s.fill(groupsPath+"/:id", "", "", person, "") // makes what it names
	s.fill(reviewsPath+"/:id", "", "", person, "")
	s.fill(sinksPath+"/:id", "", "", person, "")
	before, err := s.Store.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.stale(access.ProofLife + time.Minute)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, r := range s.server.routes() {
		name := r.method + " " + r.path
		is := weighty[r.needs] && (r.method == "POST" || r.needs == access.ExportHistory) || slices.Contains(weightyRoutes, name) || r.method == "POST" && strings.HasPrefix(r.path, factorsPath)
		if !is || slices.Contains(light, name) {
			continue
		}
		path := s.fill(r.path, "ac_1", "chg_1", person, s.Project.Slug)
		var form url.Values
		if r.method == "POST" {
			form = url.Values{"csrf": account.form("/account")["csrf"], "op": {s.server.newOpID(ada.ID, path)}, "reason": {"typed"}}
			s.server.limits = newLimits(rig.Now)
		}
		got := b.do(b.request(r.method, path, form))
		if got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), stepUpPath+"?") {
			t.Errorf("%s doesn't ask for a fresh proof: %d", name, got.status)
		}
	}
	after, err := s.Store.HistoryHead(t.Context())
	if err != nil || after.Seq != before.Seq {
		t.Errorf("history went from #%d to #%d: %v", before.Seq, after.Seq, err)
	}
}

// The step-up returns to the form with what was typed, and to a page with the link
// of what was to be downloaded.
func TestStepUpReturns(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	people := b.get("/people")
	old := b.cookie("sid")
	s.stale(access.ProofLife + time.Minute)
	page := b.submit(people, "/people", "name", "Grace", "email", "grace@example.com", "roles", "viewer").is(200).at(stepUpPath).has("Confirm that it is you", "Nothing was sent yet")
	if s.historyOf("user.invited") != 0 {
		t.Fatal("somebody was invited")
	}
	page = b.submit(page, stepUpPath, "secret.passphrase", "wrong").is(422).has("This is not your passphrase")
	s.server.now = rig.Now
	back := b.submit(page, stepUpPath, "secret.passphrase", rig.Passphrase).is(200).at("/people").has("Thank you")
	if got := back.form("/people"); got.Get("name") != "Grace" || got.Get("roles") != "viewer" {
		t.Errorf("the form holds %v", got)
	}
	if b.cookie("sid") == old {
		t.Error("the session goes on under the same token")
	}
	thief := s.browser()
	thief.setCookie("sid", old)
	thief.get("/people").at("/signin")
	b.submit(back, "/people").is(200).has("Hand this link to Grace")

	// A page that was open meanwhile can still send its form.
	tab := b.get("/account")
	s.stale(access.ProofLife + time.Minute)
	page = b.get("/history.csv").at(stepUpPath)
	s.server.now = rig.Now
	page = b.submit(page, stepUpPath, "secret.passphrase", rig.Passphrase).is(200).has("Download history.csv")
	if link := page.doc.Find(`.notice a[href="/history.csv"]`); link.Length() != 1 {
		t.Error("the notice has no link")
	}
	b.get("/history.csv").is(200)
	b.submit(tab, "/account", "name", "Ada B").is(200).has("Name saved")
	if s.historyOf("session.proved") != 2 {
		t.Error("not every step-up is recorded")
	}
}

// Where a step-up leads is on this server.
func TestStepUpLeadsNowhereElse(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	for _, next := range []string{"https://evil.example/", "//evil.example/", "/\\evil.example"} {
		page := b.get(stepUpPath + "?next=" + url.QueryEscape(next) + "&download=" + url.QueryEscape(next))
		page = b.submit(page, stepUpPath, "secret.passphrase", rig.Passphrase).at("/")
		if strings.Contains(page.body, "evil.example") {
			t.Errorf("%s is on the page", next)
		}
	}
}

// passkeyPages opens the pages where passkeys work.
func passkeyPages(t *testing.T) (*site, *rig.Authenticator) {
	t.Helper()
	s := newSite(t, sandbox.Options{})
	s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	return s, &rig.Authenticator{T: t, Origin: s.url, Verifies: true, Counts: true}
}

// fingerprint lets an authenticator fill in a form of a page, and sends it.
func (b *browser) fingerprint(on *reply, action string, a *rig.Authenticator, pairs ...string) *reply {
	b.site.T.Helper()
	form := on.doc.Find(`form[action="` + action + `"][data-passkey]`)
	options := form.AttrOr("data-options", "")
	if options == "" {
		b.site.T.Fatalf("%s offers no passkey", on.url)
	}
	answer := a.Get
	if form.AttrOr("data-passkey", "") == "create" {
		answer = a.Create
	}
	return b.submit(on, action, append(pairs, "secret.assertion", answer(options))...)
}

func TestPasskeyPages(t *testing.T) {
	s, key := passkeyPages(t)
	ada := s.as("Ada", access.Admin)
	page := ada.get(factorsPath)
	ada.fingerprint(page, factorsPath+"/passkeys", key.Copy(), "name", " ").is(422).has("Enter a name")
	ada.fingerprint(ada.get(factorsPath), factorsPath+"/passkeys", &rig.Authenticator{T: t, Origin: "https://evil.example"}).is(422).has("answered another site")
	ada.fingerprint(ada.get(factorsPath), factorsPath+"/passkeys", key, "name", "My phone").is(200).has("Recovery codes")
	list := ada.get(factorsPath).has("My phone", "last used never")
	rename := list.doc.Find(`form[action*="/passkeys/pky_"]`).First().AttrOr("action", "")
	ada.submit(list, rename, "name", "Ada's phone").has("Name saved", "Ada's phone")

	// Without a passphrase.
	b := s.browser()
	in := b.get("/signin?next=/people")
	b.fingerprint(in, "/signin/passkey", key).is(200).at("/people")

	// As the second factor, and to prove anew who one is.
	b, page = s.enter("Ada", "/people")
	b.fingerprint(page.at(factorPath), factorPath, key).is(200).at("/people")
	s.stale(access.ProofLife + time.Minute)
	page = b.get(appPath).at(stepUpPath)
	s.server.now = rig.Now
	b.fingerprint(page, stepUpPath, key).is(200).at(appPath)

	// A copy of it.
	thief := key.Copy()
	b.fingerprint(b.get(stepUpPath), stepUpPath, key).is(200)
	b = s.browser()
	b.fingerprint(b.get("/signin"), "/signin/passkey", thief).is(422).has("There seems to be a copy of this passkey")
	b.fingerprint(b.get("/signin"), "/signin/passkey", key).is(422).has("there seems to be a copy of it")
	list = ada.get(factorsPath).has("Refused", "its counter went back")
	ada.submit(list, rename+"/remove").has("Passkey removed")
	if s.historyOf(access.ClonedAction) != 1 {
		t.Error("the copy is not recorded")
	}
}

// Somebody else's challenge, and one that was answered.
func TestPasskeyChallenges(t *testing.T) {
	s, key := passkeyPages(t)
	ada := s.as("Ada", access.Admin)
	ada.fingerprint(ada.get(factorsPath), factorsPath+"/passkeys", key)
	one, other := s.browser(), s.browser()
	page := one.get("/signin")
	form := page.form("/signin/passkey")
	form.Set("secret.assertion", key.Get(page.doc.Find("form[data-passkey]").AttrOr("data-options", "")))
	theirs := other.get("/signin").form("/signin/passkey")
	theirs["secret.assertion"], theirs["secret.challenge"] = form["secret.assertion"], form["secret.challenge"]
	other.do(other.request("POST", "/signin/passkey", theirs)).is(422).has("belongs to a page of another browser")
	one.do(one.request("POST", "/signin/passkey", form)).is(200).at("/")
	one.submit(one.get("/"), "/signout")
	again := one.get("/signin").form("/signin/passkey")
	again["secret.assertion"], again["secret.challenge"] = form["secret.assertion"], form["secret.challenge"]
	one.do(one.request("POST", "/signin/passkey", again)).is(422)
	if s.historyOf("session.factor_refused") != 2 {
		t.Error("not every refusal is recorded")
	}
}
