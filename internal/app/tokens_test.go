package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/notify"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
)

var tokenText = regexp.MustCompile(`gh_[0-9A-Za-z]{46}`)

// A token is made on a page, shown there once, and revoked.
func TestTokenPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	other := s.AddProject("production", sandbox.ProductionKey, "production")
	b := s.as("Ada", access.Editor)
	empty := b.get(tokensPath).is(200).has("No tokens")
	b.submit(empty, tokensPath, "name", "Nightly run").is(422).has("Choose what the token may do.")
	b.submit(empty, tokensPath, "name", "", "may", "configs").is(422)
	b.submit(b.get(tokensPath), tokensPath, "name", "Nightly run", "may", "approve").is(422).has("Choose from what is listed.")
	b.submit(b.get(tokensPath), tokensPath, "name", "Nightly run", "may", "configs", "days", "3650").is(422).has("Choose from what is listed.")
	b.submit(b.get(tokensPath), tokensPath, "name", "Nightly run", "may", "configs", "projects", "prj_none").is(422).has("a project that you don't see")

	made := b.submit(b.get(tokensPath), tokensPath, "name", "Nightly run", "may", "configs", "projects", other.ID).is(200).has("The token Nightly run is made", "It is shown only here, once")
	text := tokenText.FindString(made.body)
	if !access.LooksLikeToken(text) || made.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the token is %q, %v", text, made.header)
	}
	list := b.get(tokensPath).is(200).has("Nightly run", "Project production", "Reads auth configs and requests")
	if strings.Contains(list.body, text) {
		t.Error("a token is shown again")
	}
	s.nowhere(text)
	s.caller(text).get("/projects").is(200).has(`"slug":"production"`).hasNot("staging")
	b.get(tokensPath).has("now")

	stranger := s.as("Bo", access.Editor)
	revoke := list.doc.Find(`form[action$="/revoke"]`).AttrOr("action", "")
	form := stranger.get(tokensPath).form(tokensPath)
	if got := stranger.do(stranger.request("POST", revoke, form)); got.status != 403 { // its operation is another's
		t.Errorf("another's token: %d", got.status)
	}
	b.submit(list, revoke).at(tokensPath).has("Revoked", "It works no more")
	s.caller(text).get("/projects").is(401)
	for _, action := range []string{"token.made", "token.revoked", "token.refused"} {
		if n := s.historyOf(action); n != 1 {
			t.Errorf("%d of %s", n, action)
		}
	}
}

// nowhere makes sure that nothing in the data directory holds a text.
func (s *site) nowhere(text string) {
	s.T.Helper()
	s.must(filepath.WalkDir(s.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path) //nolint:gosec // below the test's own directory
		if strings.Contains(string(raw), text) {
			s.T.Errorf("%s holds %q", path, text)
		}
		return err
	}))
}

// An admin sees the tokens of others and ends them; who is disabled has none left,
// also when they are enabled again.
func TestTokensOfOthers(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	admin := s.as("Root", access.Admin)
	ada := s.Person("Ada", access.Editor)
	_, first := s.tokenOf(ada, nil, access.TokenReads)
	_, second := s.tokenOf(ada, nil, access.TokenReads)
	page := admin.get(personPath(ada.ID)).is(200).has("CI")
	all := page.doc.Find(`form[action*="/tokens/"]`)
	if all.Length() != 2 {
		t.Fatalf("%d tokens", all.Length())
	}
	admin.submit(page, all.Last().AttrOr("action", "")).at(personPath(ada.ID)).has("Revoked")
	s.caller(second).get("/me").is(200)
	s.caller(first).get("/me").is(401)
	s.must(s.Access.SetDisabled(t.Context(), access.Operator(), ada.ID, true))
	s.must(s.Access.SetDisabled(t.Context(), access.Operator(), ada.ID, false))
	s.caller(second).get("/me").is(401)
	if n := s.historyOf("token.revoked"); n != 2 {
		t.Errorf("%d tokens were revoked", n)
	}
}

// Nobody has more tokens than they can look after.
func TestMostTokens(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.Person("Ada", access.Editor)
	var last access.Token
	for range access.MostTokens {
		last, _ = s.tokenOf(ada, nil, access.TokenReads)
	}
	b := s.signedIn("Ada")
	b.submit(b.get(tokensPath), tokensPath, "name", "One more", "may", "configs").is(409).has("which is the most")
	s.must(s.Access.RevokeToken(t.Context(), ada, last.ID))
	b.submit(b.get(tokensPath), tokensPath, "name", "One more", "may", "configs").is(200)
}

// Tokens are nothing on pages, and cookies nothing in the API.
func TestTokensAndCookies(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Editor)
	ada, err := s.Store.AccountByEmail(t.Context(), "ada@example.com")
	s.must(err)
	_, token := s.tokenOf(access.Reader{User: ada.User}, nil, allRights...)
	program := s.browser()
	program.header.Set("Authorization", "Bearer "+token)
	for _, route := range s.server.routes() {
		if route.method != "GET" || route.needs == anyone || strings.Contains(route.path, ":") {
			continue
		}
		if route.bearer() {
			b.get(route.path).is(401)
			continue
		}
		if got := program.get(route.path); got.status/100 == 2 && got.url.Path != "/signin" {
			t.Errorf("%s shows %s to a token", route.path, got.url.Path)
		}
	}
	program.header.Set("Authorization", "Basic "+token)
	program.get(apiPath + "/me").is(401)
	program.header.Del("Authorization")
	program.get(apiPath + "/me?access_token=" + token).is(401)
}

// A checksum tells tokens from other text, without asking anybody.
func TestLooksLikeToken(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	_, text := s.tokenOf(s.Person("Ada", access.Editor), nil, access.TokenReads)
	if !access.LooksLikeToken(text) {
		t.Errorf("%q doesn't look like a token", text)
	}
	for i := range len(text) {
		other := text[:i] + string('a'+(text[i]-'a'+1)%26) + text[i+1:]
		if access.LooksLikeToken(other) {
			t.Errorf("%q looks like one, too", other)
		}
	}
	before := s.historyOf("token.refused")
	for _, odd := range []string{"", "gh_", text[1:], text + "0", strings.ToUpper(text), text[:len(text)-6]} {
		s.caller(odd+" ").get("/me", wrongly).is(401)
	}
	if n := s.historyOf("token.refused"); n != before {
		t.Error("what can't be a token is looked up")
	}
}

// Sessions are listed with device and place, and end one by one or all at once.
func TestSessionPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.tell(notify.Settings{})
	ada := s.Person("Ada", access.Editor)
	b := s.signedIn("Ada")
	elsewhere := func(ip, agent string) *browser {
		t.Helper()
		token, _, err := s.Access.SignIn(t.Context(), "ada@example.com", secret.New(rig.Passphrase), access.Origin{IP: ip, Agent: agent})
		s.must(err)
		other := s.browser()
		other.setCookie("sid", token)
		return other
	}
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	phone, desk := elsewhere("203.0.113.5", firefox), elsewhere("203.0.113.9", firefox)
	if n := s.historyOf(access.NewDeviceAction); n != 1 { // the same network, the second time
		t.Errorf("%d new devices", n)
	}
	s.told()
	b.get("/notifications").is(200).has("signed in to from a new device")
	page := b.get(sessionsPath).is(200).has("This one", "Firefox on Linux", "203.0.113.5, another network than now", "with a passphrase")
	rows := page.doc.Find(`form[action$="/end"]`)
	if rows.Length() != 3 {
		t.Fatalf("%d sessions", rows.Length())
	}
	phone.get("/account").at("/account")
	desk.submit(desk.get(sessionsPath), sessionsPath+"/end-others").has("2 other sessions have ended")
	phone.get("/account").at("/signin")
	b.get("/account").at("/signin")
	desk.submit(desk.get(sessionsPath), sessionsPath+"/end-all").at("/signin")
	desk.get("/account").at("/signin")
	for range access.MostSessions {
		desk = elsewhere("203.0.113.9", firefox)
	}
	oldest := elsewhere("203.0.113.9", firefox)
	if all, err := s.Access.Sessions(t.Context(), ada); err != nil || len(all) != access.MostSessions || s.historyOf("session.crowded_out") != 1 {
		t.Errorf("%d sessions, %d crowded out, %v", len(all), s.historyOf("session.crowded_out"), err)
	}
	desk.get("/account").at("/account")
	oldest.get("/account").at("/account")
}
