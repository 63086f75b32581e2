package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// Whoever holds a client's token can put an account of theirs into a group that
// approves. So where changes take approval, a client takes one too.
func TestDirectoryClientIsAgreedTo(t *testing.T) {
	d := newDir(t, "")
	anna, boris := d.Person("Anna", access.Approver), d.Person("Boris", access.Approver)
	group := d.ask("POST", "/Groups", anything{"displayName": "Deciders"}, 201)["id"].(string)
	d.ask("POST", "/Groups", anything{"displayName": "Nobodies"}, 201)
	r, err := d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{ID: group, Name: "Deciders", Grants: access.Unscoped(access.Approver)})
	d.must(err)
	d.Settled(r.ID)
	d.govern(d.admin, 1)
	clients := func() []access.Client {
		t.Helper()
		all, err := d.Access.Clients(t.Context(), d.admin)
		d.must(err)
		return all
	}

	ada := d.signedIn("Ada")
	form := ada.get("/people/directories").has("Send for approval")
	ada.submit(form, "/people/directories", "name", "Backdoor", "days", "30").is(422).has("Say why")
	page := ada.submit(form, "/people/directories", "name", "Backdoor", "days", "30", "reason", "New directory").is(200)
	page.has("Whoever holds its token decides who exists in the directory", "Deciders (Approver)").hasNot("Nobodies")
	if n := len(clients()); n != 1 {
		t.Fatalf("an admin alone made a client: there are %d", n)
	}
	open, err := d.Store.OpenRequests(t.Context())
	d.must(err)
	r = open[0]
	if _, err := d.Changes.Vote(t.Context(), d.admin, r.ID, change.Ballot{Decision: change.Approve, EffectHash: r.Revision.EffectHash}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("its author approves it: %v", err)
	}
	r = d.agree(r.ID, d.admin, anna, boris)
	if r = d.Settled(r.ID); r.State != change.Applied {
		t.Fatalf("%s: %s", r.State, r.Note)
	}

	// It is there, and good for nothing until its author has its token shown.
	one := clients()[0]
	if one.Name != "Backdoor" || one.MadeBy != d.admin.ID || !one.Waits() {
		t.Fatalf("%+v", one)
	}
	other := d.Person("Otto", access.Admin)
	otto := d.signedIn("Otto")
	path := "/people/directories/" + one.ID + "/token"
	otto.get("/people/directories").is(200).has("No token yet", "until Ada has its token shown here").hasNot(path)
	form = ada.get("/people/directories").has("Show its token")
	if _, _, err := d.Access.ClientToken(t.Context(), other, one.ID); !problem.Is(err, problem.Forbidden) {
		t.Errorf("somebody else is shown the token: %v", err)
	}
	page = ada.submit(form, path).is(200).has("Copy its token now")
	text, _ := page.doc.Find("[data-copy^='ghs_']").Attr("data-copy")
	if text == "" {
		t.Fatal("no token is shown")
	}
	d.token = text
	d.ask("GET", "/Groups", nil, 200)
	ada.get("/people/directories").hasNot("Show its token")
	ada.get("/people/directories").hasNot(text)
	if _, _, err := d.Access.ClientToken(t.Context(), d.admin, one.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("another token is made: %v", err)
	}
	for action, n := range map[string]int{"directory.client_made": 2, "directory.token_made": 2} {
		if got := d.historyOf(action); got != n {
			t.Errorf("%d rows of %s", got, action)
		}
	}
	for _, e := range d.History(store.HistoryQuery{}) {
		if e.Action == "directory.client_made" && (e.Object.Kind != "directory_client" || e.Actor.Kind != audit.ActorUser) {
			t.Errorf("%+v", e)
		}
	}
	ada.submit(ada.get("/people/directories"), "/people/directories/"+one.ID+"/revoke").is(200).has("Revoked")
	d.ask("GET", "/Groups", nil, 401)
}

// What is agreed to is what the groups gave when it was written.
func TestDirectoryClientOfOtherGroups(t *testing.T) {
	d := newDir(t, "")
	anna, boris := d.Person("Anna", access.Approver), d.Person("Boris", access.Approver)
	group := d.ask("POST", "/Groups", anything{"displayName": "Deciders"}, 201)["id"].(string)
	d.govern(d.admin, 1)
	client, err := d.Changes.ProposeClient(t.Context(), d.admin, "r", "Okta", "", 30)
	d.must(err)
	r, err := d.Changes.ProposeGroup(t.Context(), d.admin, "r", access.Group{ID: group, Name: "Deciders", Grants: access.Unscoped(access.Approver)})
	d.must(err)
	d.Settled(d.agree(r.ID, d.admin, anna, boris).ID)
	if r = d.Settled(d.agree(client.ID, d.admin, anna, boris).ID); r.State != change.Failed {
		t.Errorf("%s: a client was made for groups that give more than was agreed to", r.State)
	}
}

// Somebody is left who manages people, whatever a directory says.
func TestDirectoryLeavesAManager(t *testing.T) {
	d := newDir(t, "corp")
	olga := d.provision("Olga", anything{"externalId": "subject-1"})
	_, got := d.through("corp")
	got.is(200)
	group := d.ask("POST", "/Groups", anything{"displayName": "Admins", "members": []anything{{"value": olga}}}, 201)["id"].(string)
	r, err := d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{ID: group, Name: "Admins", Grants: access.Unscoped(access.Admin)})
	d.must(err)
	d.Settled(r.ID)
	d.must(d.Access.SetDisabled(t.Context(), access.Operator(), d.admin.ID, true))
	none := patchOf(anything{"op": "remove", "path": "members"})
	for name, refused := range map[string]func() anything{
		"disabled": func() anything {
			return d.ask("PATCH", "/Users/"+olga, patchOf(anything{"op": "replace", "path": "active", "value": false}), 409)
		},
		"deleted":        func() anything { return d.ask("DELETE", "/Users/"+olga, nil, 409) },
		"out of it":      func() anything { return d.ask("PATCH", "/Groups/"+group, none, 409) },
		"without it":     func() anything { return d.ask("DELETE", "/Groups/"+group, nil, 409) },
		"another's list": func() anything { return d.ask("PUT", "/Groups/"+group, anything{"displayName": "Admins"}, 409) },
	} {
		if got := refused(); got["scimType"] != nil || !strings.Contains(got["detail"].(string), "Nobody would manage people") {
			t.Errorf("%s: %v", name, got)
		}
		if u := d.account(olga); u.State != access.Active || !u.May(access.ManagePeople) {
			t.Fatalf("%s: nobody manages people", name)
		}
	}
	if n := d.historyOf("directory.refused"); n != 1 {
		t.Errorf("%d rows of refusals within the hour", n)
	}
	d.must(d.Access.SetDisabled(t.Context(), access.Operator(), d.admin.ID, false))
	d.ask("PATCH", "/Groups/"+group, none, 200)
	d.ask("DELETE", "/Users/"+olga, nil, 204)
}

// A directory takes over who came through its provider, and nobody with another way
// in.
func TestDirectoryAdopts(t *testing.T) {
	d := newDir(t, "corp")
	_, got := d.through("corp")
	got.is(200)
	came := d.person("Olga Oidc")
	if id := d.provision("Olga", anything{"externalId": "subject-1"}); id != came.ID {
		t.Error("who came through the provider is somebody else")
	}
	d.corp.Person(map[string]any{"sub": "subject-2"})
	ada := d.signedIn("Ada")
	ada.submit(ada.follow(ada.get(identitiesPath), "/signin/oidc/corp"), identitiesPath).has("From now on")
	if got := d.ask("POST", "/Users", anything{"userName": "ada", "externalId": "subject-2", "active": false}, 409); !strings.Contains(got["detail"].(string), "other ways to sign in") {
		t.Error(got)
	}
	_, got = d.through("partner")
	got.is(200)
	two := d.person("Olga Oidc")
	d.corp.Person(map[string]any{"sub": "subject-3"})
	b, _ := d.through("partner")
	b.submit(b.follow(b.get(identitiesPath), "/signin/oidc/corp"), identitiesPath).has("From now on")
	d.ask("POST", "/Users", anything{"userName": "two", "externalId": "subject-3"}, 409)
	if u := d.account(d.admin.ID); u.Name != "Ada" || u.State != access.Active || d.account(two.ID).Name != "Olga Oidc" {
		t.Errorf("%+v", u)
	}
}

// Who isn't somebody any more at a provider is in no group that it told of them; who
// is so by another identity there stays in theirs.
func TestGroupsGoWithTheIdentity(t *testing.T) {
	d := newDir(t, "corp")
	group := func(name, external string) string {
		r, err := d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{Name: name, External: []access.ExternalID{{Source: "oidc:corp", ID: external}}})
		d.must(err)
		return d.Settled(r.ID).Progress[0].Target
	}
	ops, sec := group("Operations", "id-ops"), group("Security", "id-sec")
	as := func(subject, group string) { d.corp.Person(map[string]any{"sub": subject, "groups": []string{group}}) }
	in := func(u access.User, want ...string) {
		t.Helper()
		if !slices.Equal(u.Groups, want) {
			t.Errorf("in %v, want %v", u.Groups, want)
		}
	}

	olga := d.provision("Olga", anything{"externalId": "old"})
	as("old", "id-ops")
	d.through("corp")
	in(d.account(olga), ops)
	d.ask("PATCH", "/Users/"+olga, patchOf(anything{"op": "replace", "path": "externalId", "value": "new"}), 200)
	in(d.account(olga))

	link := func(subject string) {
		t.Helper()
		i := access.Identity{Provider: "corp", Issuer: d.corp.URL, Subject: subject}
		d.must(d.Access.Link(t.Context(), d.admin, access.Arrival{Identity: i, Ticket: access.HashToken(subject), TicketUntil: rig.Now().Add(time.Hour)}))
	}
	unlink := func(subject string) {
		t.Helper()
		d.must(d.Access.Unlink(t.Context(), d.admin, d.corp.URL, subject))
	}
	link("one")
	link("two")
	as("one", "id-ops")
	d.through("corp")
	as("two", "id-sec")
	d.through("corp")
	in(d.account(d.admin.ID), sec)
	unlink("one")
	in(d.account(d.admin.ID), sec)
	link("three") // who never came tells of nothing
	unlink("two")
	in(d.account(d.admin.ID))
}
