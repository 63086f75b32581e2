package app

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/signon"
	"gatehouse/internal/signon/signontest"
	"gatehouse/internal/store"
)

// A federated site is one with two providers, Corp and Partner.
type federated struct {
	*site
	corp, partner *signontest.Provider
}

func newFederated(t *testing.T) *federated {
	t.Helper()
	f := &federated{corp: signontest.New(t), partner: signontest.New(t)}
	r := rig.New(t, sandbox.Options{})
	setting := func(id, name string, p *signontest.Provider) signon.Setting {
		return signon.Setting{
			ID: id, Name: name, Issuer: p.URL, ClientID: signontest.Client, Secret: secret.New(signontest.Secret), AllowHTTP: true, Scopes: []string{"openid"},
			Hosts: []string{strings.TrimPrefix(p.URL, "http://")}, GroupsClaim: "groups", SecondFactor: signon.SecondFactor{AMR: []string{"mfa"}},
		}
	}
	f.site = openSite(t, r, nil, func(o *Options) {
		o.SignOn = signon.NewService([]signon.Setting{setting("corp", "Corp", f.corp), setting("partner", "Partner", f.partner)}, r.Keys, o.PublicURL.String(), rig.Now,
			func(ctx context.Context, id string, cause error) {
				if err := r.Access.NoteProvider(ctx, id, cause == nil); err != nil {
					t.Error(err)
				}
			})
	})
	return f
}

// through signs in a new browser by the button of a provider.
func (f *federated) through(id string) (*browser, *reply) {
	f.T.Helper()
	b := f.browser()
	return b, b.follow(b.get("/signin"), "/signin/oidc/"+id)
}

// follow opens the link of a page that leads to a path.
func (b *browser) follow(on *reply, path string) *reply {
	b.site.T.Helper()
	for _, a := range on.doc.Find("a[href]").Nodes {
		for _, attr := range a.Attr {
			if to, _, _ := strings.Cut(attr.Val, "?"); attr.Key == "href" && to == path {
				return b.get(attr.Val)
			}
		}
	}
	b.site.T.Fatalf("%s has no link to %s:\n%.2000s", on.url, path, on.text())
	return nil
}

// person is the account that signed in last under a name.
func (f *federated) person(name string) access.User {
	f.T.Helper()
	people, err := f.Store.Users(f.T.Context())
	if err != nil {
		f.T.Fatal(err)
	}
	var found access.User
	for _, u := range people {
		if u.Name == name && !u.CreatedAt.Before(found.CreatedAt) {
			found = u
		}
	}
	return found
}

func TestSignInThroughProvider(t *testing.T) {
	f := newFederated(t)
	f.corp.Person(map[string]any{"amr": []string{"mfa"}})
	b, got := f.through("corp")
	got.is(200).at("/").has("Welcome to Gatehouse", "Olga Oidc (olga@example.com)", "you may do nothing here yet")
	u := f.person("Olga Oidc")
	if len(u.Grants) != 0 || u.State != access.Active || u.LastSignIn.IsZero() {
		t.Errorf("%+v", u)
	}
	session, _, err := f.Store.Session(t.Context(), access.HashToken(b.cookie("sid")))
	if err != nil || session.Method != "oidc:corp" || !session.Strong || rig.Now().Sub(session.ProvedAt) > access.ProofLife {
		t.Errorf("%+v %v", session, err)
	}
	if b.cookie("trip") != "" || f.historyOf("user.arrived") != 1 || f.historyOf("session.signed_in") != 1 {
		t.Error("the cookie stays, or history lacks something")
	}
	for _, path := range []string{"/changes", "/history", "/people", "/settings", "/policies"} {
		b.get(path).is(404)
	}
	// The same person again is the same account.
	f.through("corp")
	if v := f.person("Olga Oidc"); v.ID != u.ID || f.historyOf("user.arrived") != 1 {
		t.Error("a second account")
	}
	// Who doesn't say when they proved themselves hasn't, lately.
	f.corp.Person(map[string]any{"auth_time": nil})
	b, _ = f.through("corp")
	if session, _, err = f.Store.Session(t.Context(), access.HashToken(b.cookie("sid"))); err != nil || session.Strong || !session.ProvedAt.Before(rig.Now().Add(-24*3600*1e9)) {
		t.Errorf("%+v %v", session, err)
	}
}

// Two providers that tell of one address make two accounts, and neither is the
// local one that has it.
func TestAddressIsNoIdentity(t *testing.T) {
	f := newFederated(t)
	f.Person("Olga", access.Admin) // olga@example.com
	for _, id := range []string{"corp", "partner"} {
		b, got := f.through(id)
		got.is(200).has("you may do nothing here yet", "Accounts are never matched by address")
		b.get("/people").is(404)
	}
	people, err := f.Store.Users(t.Context())
	if err != nil || len(people) != 3 {
		t.Fatal(people, err)
	}
	with := slices.DeleteFunc(slices.Clone(people), func(u access.User) bool { return u.Email == "" })
	if len(with) != 1 || !with[0].Has(access.Admin) {
		t.Errorf("the address is of %+v", with)
	}
	// An address that nobody vouches for isn't taken.
	f.corp.Person(map[string]any{"sub": "2", "email": "boss@example.com", "email_verified": false, "name": "Boris"})
	f.through("corp")
	if u := f.person("Boris"); u.ID == "" || u.Email != "" {
		t.Errorf("%+v", u)
	}
	ada := f.as("Ada", access.Admin)
	ada.get("/people").is(200).has("Boris", "Olga Oidc")
	ada.get("/people/" + f.person("Boris").ID).is(200)
}

// Each bad answer is a clear page, a row of history, and nobody signed in.
func TestArrivalRefused(t *testing.T) {
	for check, lies := range map[string]signontest.Lies{
		"issuer":    {Claims: map[string]any{"iss": "https://evil.example"}},
		"audience":  {Claims: map[string]any{"aud": "other"}},
		"nonce":     {Claims: map[string]any{"nonce": "other"}},
		"expired":   {Claims: map[string]any{"exp": 1}},
		"future":    {Claims: map[string]any{"iat": 1 << 40}},
		"subject":   {Claims: map[string]any{"sub": nil}},
		"signature": {Algorithm: "none"},
		"state":     {Answer: url.Values{"state": {"x"}}},
		"declined":  {Answer: url.Values{"error": {"access_denied"}}},
	} {
		t.Run(check, func(t *testing.T) {
			f := newFederated(t)
			f.corp.Lie(lies)
			b, got := f.through("corp")
			got.is(422).has("Not signed in", "Nothing was changed", "Back to sign-in", "Request")
			if b.get("/").at("/signin"); f.historyOf("session.signed_in")+f.historyOf("user.arrived") != 0 {
				t.Error("somebody was signed in")
			}
			f.refusedFor(check)
		})
	}
}

func (f *federated) refusedFor(check string) {
	f.T.Helper()
	rows := f.History(store.HistoryQuery{Action: "session.refused"})
	if len(rows) != 1 || rows[0].Detail["check"] != check || rows[0].Detail["provider"] != "corp" || rows[0].Outcome != audit.Denied {
		f.T.Errorf("history has %+v, want one refusal for %s", rows, check)
	}
}

// What another browser began, and what was used already, signs nobody in.
func TestStolenCallback(t *testing.T) {
	f := newFederated(t)
	f.corp.Lie(signontest.Lies{Reuse: true})
	victim, thief := f.browser(), f.browser()
	var back string
	stop := func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			back = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	victim.client.CheckRedirect = stop
	victim.get("/signin/oidc/corp")
	ticket := victim.cookie("trip")
	victim.client.CheckRedirect = nil
	thief.get(back).is(422).has("This browser didn't begin this sign-in")
	f.refusedFor("state")
	victim.get(back).is(200).has("Welcome")
	// The provider takes the code again, and the cookie is back: it counts once all the same.
	again := f.browser()
	again.setCookie("trip", ticket)
	again.get(back).is(409).has("This sign-in was used already")
	// Nor can it be used at the other provider.
	victim = f.browser()
	victim.client.CheckRedirect = stop
	victim.get("/signin/oidc/corp")
	victim.client.CheckRedirect = nil
	victim.get(strings.Replace(back, "/corp/", "/partner/", 1)).is(422)
	if n := f.historyOf("session.signed_in"); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

// Answers that aren't believed are guesses: after many of them an address waits,
// and history doesn't grow.
func TestManyRefusals(t *testing.T) {
	f := newFederated(t)
	for range 60 {
		f.browser().get("/signin/oidc/corp/callback?code=a&state=b")
	}
	f.browser().get("/signin/oidc/corp/callback?code=a&state=b").is(429)
	if n := f.historyOf("session.refused"); n > 50 {
		t.Errorf("%d rows", n)
	}
}

// One provider that is down leaves the other, and the local sign-in.
func TestProviderDown(t *testing.T) {
	f := newFederated(t)
	f.Person("Ada", access.Admin)
	f.corp.Fail("/.well-known/openid-configuration", "down")
	for range 3 {
		_, got := f.through("corp")
		got.is(503).has("Corp doesn't answer as it should", "Nothing was changed", "Back to sign-in")
		if strings.Contains(got.body, "secret detail") {
			t.Error("its words are shown")
		}
	}
	if n := f.historyOf("provider.silent"); n != 1 {
		t.Errorf("%d rows of its silence", n)
	}
	_, got := f.through("partner")
	got.is(200).has("Welcome")
	b := f.browser()
	b.submit(b.get("/signin"), "/signin", "email", "ada@example.com", "secret.passphrase", rig.Passphrase).is(200).has("Overview")
	f.corp.Fail("/.well-known/openid-configuration", "")
	f.partner.Fail("/token", "down")
	_, got = f.through("partner")
	got.is(503).has("Partner doesn't answer")
}

func TestDisabledThroughProvider(t *testing.T) {
	f := newFederated(t)
	b, _ := f.through("corp")
	u := f.person("Olga Oidc")
	if err := f.Access.SetDisabled(t.Context(), access.Operator(), u.ID, true); err != nil {
		t.Fatal(err)
	}
	b.get("/").at("/signin")
	_, got := f.through("corp")
	got.is(403).has("Your account is disabled")
	rows := f.History(store.HistoryQuery{Action: "session.refused"})
	if len(rows) != 1 || rows[0].Object.ID != u.ID || rows[0].Detail["check"] != "disabled" {
		t.Errorf("%+v", rows)
	}
	if err := f.Access.SetDisabled(t.Context(), access.Operator(), u.ID, false); err != nil {
		t.Fatal(err)
	}
	_, got = f.through("corp")
	got.is(200).has("Welcome")
}

// A local account is linked by its person, on a page of ours, and not by coming back.
func TestLinkIdentity(t *testing.T) {
	f := newFederated(t)
	ada := f.as("Ada", access.Admin)
	page := ada.follow(ada.get("/account/identities").has("No identities"), "/signin/oidc/corp").at("/account/identities").has("Is this you?", "Olga Oidc", "subject-1")
	if f.historyOf("user.identity_linked")+f.historyOf("user.arrived") != 0 {
		t.Fatal("coming back linked it")
	}
	// Another's page can't say yes.
	eve := f.as("Eve", access.Viewer)
	eve.setCookie("arrival", ada.cookie("arrival"))
	if eve.get("/account/identities").doc.Find("#confirm-title").Length() != 0 {
		t.Error("another session may say yes")
	}
	ada.submit(page, "/account/identities").has("From now on you can sign in through Corp too", "olga@example.com")
	b, got := f.through("corp")
	got.is(200).has("Overview", "Ada")
	if f.historyOf("user.arrived") != 0 {
		t.Error("a new account was made")
	}
	// Nobody else can have it.
	bob := f.as("Bob", access.Viewer)
	bob.submit(bob.follow(bob.get("/account/identities"), "/signin/oidc/corp"), "/account/identities").is(409).has("belongs to another account")
	// Unlinked, it ends the sessions that it began, and is somebody new's.
	ada.submit(ada.get("/account/identities"), "/account/identities/unlink").is(200).has("Unlinked", "No identities")
	b.get("/account").at("/signin")
	_, got = f.through("corp")
	got.has("you may do nothing here yet")
	// A way to sign in that is the only one stays.
	olga, _ := f.through("corp")
	olga.submit(olga.get("/account/identities"), "/account/identities/unlink").is(409).has("your only way to sign in")
	if olga.get("/account").doc.Find(`form[action="/account/passphrase"]`).Length() != 0 {
		t.Error("who has no passphrase is asked for it")
	}
}

// Groups follow what the provider says at each sign-in, by the ids that are mapped.
func TestGroupsOfProvider(t *testing.T) {
	f := newFederated(t)
	ada := f.Person("Ada", access.Admin)
	group := func(name, external string) string {
		r, err := f.Changes.ProposeGroup(t.Context(), ada, "", access.Group{
			Name: name, Grants: access.Unscoped(access.Viewer), External: []access.ExternalID{{Source: "oidc:corp", ID: external}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return f.Settled(r.ID).Progress[0].Target
	}
	ops, sec := group("Operations", "id-ops"), group("Security", "id-sec")
	in := func(claims map[string]any, want ...string) {
		t.Helper()
		f.corp.Person(claims)
		f.through("corp")
		got := slices.Clone(f.person("Olga Oidc").Groups)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%v: in %v, want %v", claims, got, want)
		}
	}
	in(map[string]any{"groups": []string{"id-ops", "Operations", "unknown"}}, ops)
	if u := f.person("Olga Oidc"); !u.May(access.ViewConfigs) || u.May(access.ProposeChange) {
		t.Errorf("%+v", u.Grants)
	}
	in(map[string]any{"groups": []any{"id-sec", "id-ops", 5}}, ops, sec)
	in(map[string]any{"groups": []string{"id-sec"}}, sec)
	n := f.historyOf("user.groups_set")
	in(map[string]any{"groups": []string{"id-sec"}}, sec)
	if n != 3 || f.historyOf("user.groups_set") != n {
		t.Errorf("%d changes of groups in history, then %d", n, f.historyOf("user.groups_set"))
	}
	in(map[string]any{"groups": []string{"id-ops", "id-sec"}, "_claim_names": map[string]any{"groups": "x"}, "_claim_sources": map[string]any{"x": map[string]any{}}}, ops, sec)
	in(map[string]any{"_claim_names": map[string]any{"groups": "x"}, "_claim_sources": map[string]any{"x": map[string]any{}}})
	if rows := f.History(store.HistoryQuery{Action: "user.groups_set"}); rows[0].Detail["trouble"] == "" {
		t.Errorf("%+v", rows[0])
	}
	// What the other provider calls so is nothing here.
	f.partner.Person(map[string]any{"groups": []string{"id-ops"}, "name": "Paul Partner"})
	f.through("partner")
	if u := f.person("Paul Partner"); len(u.Groups) != 0 {
		t.Errorf("%+v", u)
	}
}

// Where local sign-in is for emergencies, only marked accounts come by it, loudly.
func TestEmergencySignIn(t *testing.T) {
	f := newFederated(t)
	f.Person("Ada", access.Admin)
	if _, err := f.Access.AddUser(t.Context(), access.Person{Email: "glass@example.com", Name: "Glass", Roles: []access.Role{access.Admin}, Emergency: true}, secret.New(rig.Passphrase)); err != nil {
		t.Fatal(err)
	}
	before := f.browser()
	link, err := f.Access.ResetPassphrase(t.Context(), access.Operator(), f.person("Ada").ID)
	if err != nil {
		t.Fatal(err)
	}
	f.Access.CloseLocal()
	before.submit(before.get("/signin").has("Emergency sign-in"), "/signin", "email", "ada@example.com", "secret.passphrase", rig.Passphrase).is(422)
	before.get("/link?token=" + link).is(404)
	b := f.browser()
	b.submit(b.get("/signin"), "/signin", "email", "glass@example.com", "secret.passphrase", rig.Passphrase).is(200).
		has("Overview", "You are signed in with an emergency account")
	if f.historyOf("session.emergency") != 1 || f.historyOf("session.signed_in") != 0 {
		t.Error("it isn't loud")
	}
	if b.get("/people").doc.Find(`form[action="/people"]`).Length() != 0 {
		t.Error("invitations are offered that are of no use")
	}
	_, got := f.through("corp")
	got.is(200).has("Welcome").hasNot("emergency account")
}

func (r *reply) hasNot(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.text(), text) {
			r.t.Errorf("%s says %q", r.url, text)
		}
	}
}
