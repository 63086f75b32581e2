package app

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

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
