package app

import (
	"net/url"
	"strings"
	"testing"

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
	bad = ada.submit(bad, appPath, "secret.code", "12").is(422).has("That code isn't right")
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

// A wrong code says what is wrong with it, where it was typed.
func TestWrongCodeWords(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.as("Ada", access.Admin)
	page := ada.submit(ada.get(appPath), appPath, "secret.code", "000000").is(422).has("That code isn't right. The app was not added.", "wait for the next one", "clock of your phone")
	if strings.Contains(page.text(), "prove who you are") {
		t.Error("setting up an app is taken for a proof")
	}
	ada.submit(page, appPath, "secret.code", "7K2M-9QXT-04GH-6RWZ").is(422).has("This looks like a recovery code. Enter the six digits")
	_, codes := ada.enrol()
	b, page := s.enter("Ada", "/people")
	page = b.submit(page, factorPath, "secret.code", strings.ToLower(codes[0])).is(422).has("You typed a recovery code where the app's code belongs")
	if page.doc.Find(`details[open] [name="secret.recovery"][aria-invalid="true"]`).Length() != 1 {
		t.Error("the field for a recovery code isn't open")
	}
	b.submit(page, factorPath, "secret.recovery", codes[0]).at("/people") // it wasn't used up
}
