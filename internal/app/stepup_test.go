package app

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/signon/signontest"
)

// stale lets the proofs of all readers grow old.
func (s *site) stale(d time.Duration) {
	s.server.now = func() time.Time { return rig.Now().Add(d) }
	s.T.Cleanup(func() { s.server.now = rig.Now })
}

// asksLittle are the permissions that forms are sent with by who proved themselves
// long ago: what they do waits for somebody else's approval, or changes nothing that
// others rely on. A form that needs any other permission asks for a fresh proof.
var asksLittle = []access.Permission{
	anyone, signedIn, directory, access.ViewConfigs, access.ViewHistory, access.ViewSettings, access.ProposeChange, access.SyncProject, access.ReviewHistory,
}

// stepUpToo are routes that ask for a fresh proof though their permission doesn't
// say so.
var stepUpToo = []string{
	"POST /changes/:id/apply", "POST /changes/:id/schedule", "POST /changes/:id/bypass", "POST /account/passphrase", "POST " + tokensPath,
	"GET " + evidencePath(reviewsPath+"/:id"), "GET " + reviewsPath + "/:id/report.json",
	"GET " + accessReviewsPath + "/:id/report.csv", "GET " + accessReviewsPath + "/:id/report.json",
}

// stepUpNot are those that don't though it does.
var stepUpNot = []string{
	"POST /changes/:id/request-changes", "POST /changes/:id/withdraw", // they hold a change up, no more
	"POST " + policiesPath + "/simulate", "POST " + policiesPath + "/:id/simulate", // they change nothing
}

// asksProof reports whether a route has to ask for a fresh proof.
func asksProof(r route) bool {
	name := r.method + " " + r.path
	weighty := r.method != http.MethodGet && !slices.Contains(asksLittle, r.needs) || r.needs == access.ExportHistory || r.method == http.MethodPost && strings.HasPrefix(r.path, factorsPath)
	return (weighty || slices.Contains(stepUpToo, name)) && !slices.Contains(stepUpNot, name)
}

// What a stolen session must not open: each route whose permission is weighty, and
// some by themselves. Asked for by who proved themselves long ago, each leads to
// the step-up, and nothing happens.
func TestStepUpSweep(t *testing.T) {
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
	s.fill(accessReviewsPath+"/:id", "", "", person, "")
	before, err := s.Store.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.stale(access.ProofLife + time.Minute)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, r := range s.server.routes() {
		if !asksProof(r) {
			continue
		}
		name := r.method + " " + r.path
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

// A vote is typed into one of several forms of a page, and comes back into that one.
func TestStepUpReturnsToVote(t *testing.T) {
	s, b, r := reviewedSite(t, 1)
	path := changePath(r.ID)
	page := b.get(path)
	s.stale(access.ProofLife + time.Minute)
	page = b.submit(page, path+"/reject", "reason", "Not before Monday").is(200).at(stepUpPath)
	s.server.now = rig.Now
	back := b.submit(page, stepUpPath, "secret.passphrase", rig.Passphrase).is(200).at(path)
	if got := back.form(path + "/reject").Get("reason"); got != "Not before Monday" {
		t.Errorf("the reason is %q", got)
	}
	if got := back.form(path + "/approve").Get("reason"); got != "" {
		t.Errorf("the reason of the approval is %q", got)
	}
	// The page with complaints stands at an address that only takes forms.
	page = b.submit(back, path+"/reject", "reason", " ").is(422)
	s.stale(access.ProofLife + time.Minute)
	page = b.submit(page, path+"/reject", "reason", "Not before Tuesday").is(200).at(stepUpPath)
	s.server.now = rig.Now
	back = b.submit(page, stepUpPath, "secret.passphrase", rig.Passphrase).is(200).at(path)
	if got := back.form(path + "/reject").Get("reason"); got != "Not before Tuesday" {
		t.Errorf("the reason is %q", got)
	}
	if len(s.votes(r.ID)) != 0 {
		t.Error("a vote counts before the proof")
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

// Who came through a provider goes there again, as the same person, and goes on in
// the same session.
func TestStepUpThroughProvider(t *testing.T) {
	f := newFederated(t)
	ada := f.as("Ada", access.Admin)
	ada.submit(ada.follow(ada.get(identitiesPath), "/signin/oidc/corp"), identitiesPath).has("From now on")
	b, page := f.through("corp")
	page.at("/")
	asked := func() *reply {
		f.server.now = func() time.Time { return rig.Now().Add(access.ProofLife + time.Minute) }
		defer func() { f.server.now = rig.Now }()
		return b.get("/history.csv").at(stepUpPath).has("Sign in again with Corp")
	}
	if asked().doc.Find(`input[name="secret.passphrase"]`).Length() != 0 {
		t.Error("who came through a provider is asked for a passphrase")
	}
	old := b.cookie("sid")
	page = b.follow(asked(), "/signin/oidc/corp").is(200).has("Thank you")
	if f.corp.Asked().Get("prompt") != "login" || f.historyOf("session.proved") != 1 || f.historyOf("session.signed_in") != 2 {
		t.Error("it was no new proof, or no step-up")
	}
	thief := f.browser()
	thief.setCookie("sid", old)
	thief.get("/account").at("/signin")
	b.submit(page, "/signout")
	b.follow(b.get("/signin"), "/signin/oidc/corp").at("/")

	// Somebody else there, an old proof, and a browser that was signed in otherwise.
	for check, claims := range map[string]map[string]any{"somebody else": {"sub": "other"}, "not_proved": {"auth_time": 1}} {
		f.corp.Lie(signontest.Lies{Claims: claims})
		before := f.historyOf("session.refused")
		if got := b.follow(asked(), "/signin/oidc/corp"); got.status == 200 || f.historyOf("session.refused") != before+1 {
			t.Errorf("%s: %d", check, got.status)
		}
	}
	f.corp.Lie(signontest.Lies{})
	if f.historyOf("session.proved") != 1 {
		t.Error("it was taken for a proof")
	}
}

// Where a role needs a second factor, a session that had one is not proved anew by
// a sign-in without.
func TestStepUpIsAsStrong(t *testing.T) {
	f := newFederated(t)
	f.needing("admin")
	f.corp.Person(map[string]any{"amr": []string{"mfa"}})
	b, page := f.through("corp")
	page.is(200)
	olga := f.person("Olga Oidc")
	_, err := f.Store.UpdateAccount(t.Context(), olga.ID, func(a *access.Account) ([]audit.Event, error) {
		a.Grants = access.Unscoped(access.Admin)
		return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID, Name: a.Name}}}, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stepUp := func() *reply {
		f.server.now = func() time.Time { return rig.Now().Add(access.ProofLife + time.Minute) }
		page := b.get("/people/groups/new").is(200)
		page = b.submit(page, "/people/groups", "name", "G").at(stepUpPath).has("Sign in again with Corp")
		f.server.now = rig.Now
		return b.follow(page, "/signin/oidc/corp")
	}
	f.corp.Person(map[string]any{"amr": []string{"pwd"}})
	before := f.historyOf("session.refused")
	stepUp().is(403).has("Your role asks for a second factor")
	if f.historyOf("session.proved") != 0 || f.historyOf("session.refused") != before+1 {
		t.Error("a weak sign-in is taken for a proof, or its refusal isn't recorded")
	}
	f.corp.Person(map[string]any{"amr": []string{"mfa"}})
	stepUp().is(200).has("Thank you")
	session, _, err := f.Store.Session(t.Context(), access.HashToken(b.cookie("sid")))
	if err != nil || !session.Strong || f.historyOf("session.proved") != 1 {
		t.Errorf("%+v %v", session, err)
	}
}
