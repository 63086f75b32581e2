package app

import (
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
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
