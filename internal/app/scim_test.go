package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/scim"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// A dir is a directory that speaks to a site.
type dir struct {
	*federated
	admin access.Reader
	token string
}

func newDir(t *testing.T, provider string) *dir {
	t.Helper()
	d := &dir{federated: newFederated(t)}
	d.admin = d.Person("Ada", access.Admin)
	_, text := d.Client(d.admin, "Okta", provider)
	d.token = text.Reveal()
	return d
}

type anything = map[string]any

// ask sends a request as the directory, and returns what came back.
func (d *dir) ask(method, path string, body any, want int) anything {
	d.T.Helper()
	text, is := body.(string)
	if !is && body != nil {
		b, err := json.Marshal(body)
		d.must(err)
		text = string(b)
	}
	r, err := http.NewRequestWithContext(d.T.Context(), method, d.url+scim.Path+path, bytes.NewReader([]byte(text)))
	d.must(err)
	r.Header.Set("Authorization", "Bearer "+d.token)
	r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	resp, err := http.DefaultClient.Do(r)
	d.must(err)
	defer func() { _ = resp.Body.Close() }() // only read
	b, err := io.ReadAll(resp.Body)
	d.must(err)
	if resp.StatusCode != want {
		d.T.Fatalf("%s %s %s: %d, want %d: %s", method, path, text, resp.StatusCode, want, b)
	}
	var out anything
	if len(b) > 0 {
		if got := resp.Header.Get("Content-Type"); got != "application/scim+json" {
			d.T.Errorf("%s %s: %s", method, path, got)
		}
		d.must(json.Unmarshal(b, &out))
	}
	if want >= 400 && (out["status"] != strconv.Itoa(want) || out["detail"] == "") {
		d.T.Errorf("%s %s: %s", method, path, b)
	}
	return out
}

func (d *dir) must(err error) {
	d.T.Helper()
	if err != nil {
		d.T.Fatal(err)
	}
}

// person makes somebody, as Okta does.
func (d *dir) provision(name string, more anything) string {
	d.T.Helper()
	o := anything{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": strings.ToLower(name) + "@example.com", "externalId": "ext-" + strings.ToLower(name),
		"name": anything{"givenName": name, "familyName": "Person"}, "emails": []anything{{"primary": true, "value": strings.ToLower(name) + "@example.com", "type": "work"}},
		"displayName": name, "active": true, "groups": []any{}, "roles": []string{"admin"}, "password": "hunter2",
	}
	for k, v := range more {
		o[k] = v
	}
	return d.ask("POST", "/Users", o, 201)["id"].(string)
}

func (d *dir) account(id string) access.User {
	d.T.Helper()
	a, err := d.Store.Account(d.T.Context(), id)
	d.must(err)
	return a.User
}

func patchOf(ops ...anything) anything {
	return anything{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

// Somebody comes, is looked for, changes and goes.
func TestDirectoryUser(t *testing.T) {
	d := newDir(t, "")
	id := d.provision("Olga", nil)
	u := d.account(id)
	if u.Name != "Olga" || u.Email != "olga@example.com" || u.State != access.Invited || len(u.Grants) != 0 {
		t.Errorf("%+v", u)
	}
	if got := d.ask("POST", "/Users", anything{"userName": "OLGA@example.com"}, 409); got["scimType"] != "uniqueness" {
		t.Error(got)
	}
	for filter, n := range map[string]int{
		`userName eq "olga@example.com"`: 1, `userName eq "OLGA@EXAMPLE.COM"`: 1, `externalId eq "ext-olga"`: 1, `externalId eq "EXT-OLGA"`: 0, `userName eq "nobody"`: 0,
		`emails[type eq "work" and value co "@example"]`: 1, `urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ol"`: 1, `not (active eq false) and name.familyName pr`: 1,
		`active eq false or id eq "` + id + `"`: 1, `emails.value ew ".org"`: 0, `userName ne "olga@example.com"`: 0, `meta.created gt "2000-01-01T00:00:00Z"`: 1,
	} {
		got := d.ask("GET", "/Users?filter="+url.QueryEscape(filter), nil, 200)
		if got["totalResults"] != float64(n) || len(got["Resources"].([]any)) != n {
			t.Errorf("%s: %v", filter, got)
		}
	}
	// Entra's dialect: truth as a word, parts that aren't there yet, other schemas.
	got := d.ask("PATCH", "/Users/"+id, patchOf(
		anything{"op": "Replace", "path": "displayName", "value": "Olga Ivanova"},
		anything{"op": "Add", "path": `emails[type eq "work"].value`, "value": "olga2@example.com"},
		anything{"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Ops"},
		anything{"op": "Replace", "value": anything{"name.familyName": "Ivanova", "userName": "olga2@example.com", "id": "usr_other"}},
	), 200)
	if u = d.account(id); u.Name != "Olga Ivanova" || u.Email != "olga2@example.com" || got["id"] != id || got["name"].(anything)["familyName"] != "Ivanova" {
		t.Errorf("%+v %v", u, got)
	}
	d.ask("PATCH", "/Users/"+id, patchOf(anything{"op": "Replace", "path": "active", "value": "False"}), 200)
	if u = d.account(id); u.State != access.Disabled {
		t.Errorf("%+v", u)
	}
	// Okta's: without a path.
	d.ask("PATCH", "/Users/"+id, patchOf(anything{"op": "replace", "value": anything{"active": true}}), 200)
	if u = d.account(id); u.State != access.Invited {
		t.Errorf("%+v", u)
	}
	n := len(d.History(store.HistoryQuery{}))
	d.ask("PUT", "/Users/"+id, d.ask("GET", "/Users/"+id, nil, 200), 200)
	if m := len(d.History(store.HistoryQuery{})); m != n {
		t.Errorf("saying the same again leaves %d rows", m-n)
	}
	d.ask("DELETE", "/Users/"+id, nil, 204)
	d.ask("GET", "/Users/"+id, nil, 404)
	d.ask("DELETE", "/Users/"+id, nil, 404)
	if u = d.account(id); u.State != access.Disabled {
		t.Errorf("%+v", u)
	}
	if again := d.provision("Olga", nil); again != id || d.account(id).State != access.Invited {
		t.Error("who comes back is somebody else")
	}
	want := []string{"user.enabled", "user.provisioned", "user.disabled", "user.unprovisioned", "user.enabled", "user.disabled", "user.profile_set", "user.provisioned"}
	var rows []string
	for _, e := range d.History(store.HistoryQuery{}) {
		if e.Object.ID == id {
			rows = append(rows, e.Action)
			if e.Actor.Kind != audit.ActorSystem || e.Actor.TokenName != "Okta" {
				t.Errorf("%+v", e.Actor)
			}
		}
	}
	if slices.Reverse(rows); !slices.Equal(rows, want) {
		if slices.Reverse(rows); !slices.Equal(rows, want) {
			t.Errorf("history has %v, want %v", rows, want)
		}
	}
}

// What an admin says of an account after its directory did holds.
func TestDirectoryAndAdmin(t *testing.T) {
	d := newDir(t, "")
	id := d.provision("Olga", nil)
	active := func(yes bool) {
		d.ask("PATCH", "/Users/"+id, patchOf(anything{"op": "replace", "path": "active", "value": yes}), 200)
	}
	active(false)
	for _, disabled := range []bool{false, true} {
		d.must(d.Access.SetDisabled(t.Context(), access.Operator(), id, disabled))
	}
	active(true)
	if u := d.account(id); u.State != access.Disabled {
		t.Errorf("a directory enabled whom an admin disabled: %s", u.State)
	}
	d.must(d.Access.SetDisabled(t.Context(), access.Operator(), id, false))
	active(false)
	active(true)
	if u := d.account(id); u.State != access.Invited {
		t.Errorf("a directory doesn't enable whom it disabled: %s", u.State)
	}
}

func TestDirectoryPages(t *testing.T) {
	d := newDir(t, "")
	for i := range 5 {
		d.provision(fmt.Sprint("P", i), nil)
	}
	got := d.ask("GET", "/Users?startIndex=4&count=10&attributes=userName", nil, 200)
	all := got["Resources"].([]any)
	if got["totalResults"] != 5.0 || got["startIndex"] != 4.0 || got["itemsPerPage"] != 2.0 || len(all) != 2 {
		t.Error(got)
	}
	if one := all[0].(anything); one["userName"] != "p3@example.com" || one["emails"] != nil || one["id"] == nil {
		t.Error(one)
	}
	if got = d.ask("GET", "/Users?count=0", nil, 200); got["totalResults"] != 5.0 || len(got["Resources"].([]any)) != 0 {
		t.Error(got)
	}
	for path, n := range map[string]float64{"/ResourceTypes": 2, "/Schemas": 2} {
		if got = d.ask("GET", path, nil, 200); got["totalResults"] != n {
			t.Error(got)
		}
	}
	if got = d.ask("GET", "/ServiceProviderConfig", nil, 200); got["patch"].(anything)["supported"] != true {
		t.Error(got)
	}
	d.ask("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", nil, 200)
	d.ask("GET", "/ResourceTypes/Group", nil, 200)
	d.ask("GET", "/Me", nil, 404)
	d.ask("POST", "/ServiceProviderConfig", anything{}, 404)
}

// A group of a directory gives what is granted here, to whom the directory says.
func TestDirectoryGroup(t *testing.T) {
	d := newDir(t, "")
	olga, otto := d.provision("Olga", nil), d.provision("Otto", nil)
	member := func(ids ...string) []anything {
		var out []anything
		for _, id := range ids {
			out = append(out, anything{"value": id})
		}
		return out
	}
	g := d.ask("POST", "/Groups", anything{"displayName": "Operations", "externalId": "x-ops", "members": member(olga), "roles": []string{"admin"}}, 201)
	id := g["id"].(string)
	if u := d.account(olga); !u.InGroup(id) || len(u.Grants) != 0 {
		t.Errorf("%+v", u)
	}
	if got := d.ask("POST", "/Groups", anything{"displayName": "operations"}, 409); got["scimType"] != "uniqueness" {
		t.Error(got)
	}
	r, err := d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{ID: id, Name: "Operations", Grants: access.Unscoped(access.Viewer)})
	d.must(err)
	d.Settled(r.ID)
	if u := d.account(olga); !u.Has(access.Viewer) {
		t.Errorf("%+v", u)
	}
	in := func(want ...string) {
		t.Helper()
		slices.Sort(want)
		var got []string
		for _, m := range d.ask("GET", "/Groups/"+id, nil, 200)["members"].([]any) {
			got = append(got, m.(anything)["value"].(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("in it are %v, want %v", got, want)
		}
		for _, one := range []string{olga, otto} {
			if d.account(one).InGroup(id) != slices.Contains(want, one) {
				t.Errorf("%s: %+v", one, d.account(one))
			}
		}
	}
	in(olga)
	for _, step := range []struct {
		op   anything
		want []string
	}{
		{anything{"op": "Add", "path": "members", "value": member(otto)}, []string{olga, otto}},
		{anything{"op": "add", "path": "members", "value": member(otto)}, []string{olga, otto}},
		{anything{"op": "remove", "path": `members[value eq "` + olga + `"]`}, []string{otto}},
		{anything{"op": "Remove", "path": "members", "value": member(otto)}, nil},
		{anything{"op": "replace", "path": "members", "value": member(otto, olga)}, []string{olga, otto}},
		{anything{"op": "replace", "value": anything{"id": id, "displayName": "Ops"}}, []string{olga, otto}},
		{anything{"op": "remove", "path": "members"}, nil},
		{anything{"op": "add", "value": anything{"members": member(olga)}}, []string{olga}},
	} {
		d.ask("PATCH", "/Groups/"+id, patchOf(step.op), 200)
		in(step.want...)
	}
	if got := d.ask("GET", "/Groups?excludedAttributes=members&filter="+url.QueryEscape(`displayName eq "ops"`), nil, 200)["Resources"].([]any); len(got) != 1 || got[0].(anything)["members"] != nil {
		t.Error(got)
	}
	if got := d.ask("GET", "/Users/"+olga, nil, 200)["groups"].([]any); len(got) != 1 || got[0].(anything)["value"] != id {
		t.Error(got)
	}
	// Only whom the directory looks after can be in it.
	d.ask("PATCH", "/Groups/"+id, patchOf(anything{"op": "add", "path": "members", "value": member(d.admin.ID)}), 400)
	in(olga)
	d.ask("PUT", "/Groups/"+id, anything{"displayName": "Ops"}, 200)
	in()
	d.ask("PUT", "/Groups/"+id, anything{"displayName": "Ops", "members": member(olga, otto)}, 200)
	in(olga, otto)
	d.ask("DELETE", "/Groups/"+id, nil, 204)
	if d.account(olga).Has(access.Viewer) {
		t.Error("what the group gave stays")
	}
	rules, err := d.Store.Rules(t.Context())
	d.must(err)
	if len(rules.Groups) != 1 {
		t.Error("a group with a role went with the directory")
	}
	other := d.ask("POST", "/Groups", anything{"displayName": "Short", "members": member(olga)}, 201)["id"].(string)
	d.ask("DELETE", "/Groups/"+other, nil, 204)
	if rules, err = d.Store.Rules(t.Context()); err != nil || len(rules.Groups) != 1 {
		t.Errorf("%+v %v", rules.Groups, err)
	}
	if n := d.historyOf("group.provisioned") + d.historyOf("group.unprovisioned") + d.historyOf("group.renamed"); n != 5 {
		t.Errorf("%d rows of groups", n)
	}
	if n := d.historyOf("user.groups_provisioned"); n == 0 {
		t.Error("history doesn't say who was moved")
	}
	ada := d.signedIn("Ada")
	for _, e := range d.History(store.HistoryQuery{Action: "user.groups_provisioned"})[:1] {
		ada.get(fmt.Sprint("/history/", e.Seq)).is(200).has("The directory client Okta", "changed, as the directory says, the groups of")
	}
	ada.get("/people/groups").is(200).has("Ops")
}

// Whom the directory ends has nothing more, from that commit on: no session, no
// token, and no vote that counts.
func TestDeprovision(t *testing.T) {
	for how, end := range map[string]func(d *dir, person, group string){
		"disabled": func(d *dir, person, _ string) {
			d.ask("PATCH", "/Users/"+person, patchOf(anything{"op": "replace", "value": anything{"active": false}}), 200)
		},
		"deleted": func(d *dir, person, _ string) { d.ask("DELETE", "/Users/"+person, nil, 204) },
		"out of the group": func(d *dir, person, group string) {
			d.ask("PATCH", "/Groups/"+group, patchOf(anything{"op": "remove", "path": `members[value eq "` + person + `"]`}), 200)
		},
	} {
		t.Run(how, func(t *testing.T) {
			d := newDir(t, "corp")
			editor, anna, anton := d.Person("Emil", access.Editor), d.Person("Anna", access.Approver), d.Person("Anton", access.Approver)
			person := d.provision("Olga", anything{"externalId": "subject-1"}) // whom the provider calls so
			group := d.ask("POST", "/Groups", anything{"displayName": "Approvers", "members": []anything{{"value": person}}}, 201)["id"].(string)
			r, err := d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{ID: group, Name: "Approvers", Grants: access.Unscoped(access.Approver)})
			d.must(err)
			d.Settled(r.ID)
			b, got := d.through("corp")
			got.is(200)
			olga := access.Reader{User: d.account(person)}
			if olga.State != access.Active || !olga.May(access.ApproveChange) {
				t.Fatalf("%+v", olga)
			}
			d.govern(d.admin, 2)
			open, err := d.Changes.ProposeSwitch(t.Context(), editor, proposal(d.site), []string{d.Config(rig.OwnOAuth).ID}, false)
			d.must(err)
			vote := func(who access.Reader, r change.Request) {
				t.Helper()
				_, err := d.Changes.Vote(t.Context(), who, r.ID, change.Ballot{Decision: change.Approve, EffectHash: r.Revision.EffectHash})
				d.must(err)
			}
			vote(olga, open)
			done, err := d.Changes.ProposeSwitch(t.Context(), editor, proposal(d.site), []string{d.Config(rig.Enabled).ID}, false)
			d.must(err)
			vote(olga, done)
			vote(anna, done)
			d.await(done.ID, change.Approved)
			later, err := d.Changes.ProposeSwitch(t.Context(), editor, proposal(d.site), []string{d.Config(d.other).ID}, false)
			d.must(err)
			vote(olga, later)
			vote(anna, later)
			_, err = d.Changes.Schedule(t.Context(), editor, later.ID, rig.Now().Add(time.Hour).Format("2006-01-02T15:04"), "UTC")
			d.must(err)
			emil := d.signedIn("Emil")
			emil.get("/changes?tab=mine").hasNot("Approvals missing")
			b.get("/changes/" + open.ID).is(200)

			end(d, person, group)
			if how == "out of the group" {
				b.get("/changes/" + open.ID).is(404)
			} else {
				b.get("/").at("/signin")
			}
			if _, err := d.Changes.Release(t.Context(), editor, done.ID); err == nil || !strings.Contains(err.Error(), "may not approve it any more") {
				t.Errorf("it is applied: %v", err)
			}
			page := emil.get("/changes/"+done.ID).is(200).has("Approvals are missing again", "Still needed: 1 approval", "may not approve it any more")
			if page.doc.Find(`form[action$="/apply"]`).Length() != 0 {
				t.Error("it can be applied, says the page")
			}
			d.await(later.ID, change.Suspended)
			emil.get("/changes/"+later.ID).is(200).has("Suspended", "may not approve it any more", "Still needed: 1 approval")
			emil.get("/changes?tab=mine").is(200).has("Approvals missing", "1 of 2", "Suspended")
			vote(anna, open)
			d.await(open.ID, change.InReview)
			vote(anton, open)
			d.await(open.ID, change.Approved)
		})
	}
}

// other fits an auth config that neither [rig.Enabled] nor [rig.OwnOAuth] finds first.
func (d *dir) other(a mirror.AuthConfig) bool {
	return a.Enabled() && a.ID != d.Config(rig.Enabled).ID && a.ID != d.Config(rig.OwnOAuth).ID
}

// await waits until a request is in a state.
func (d *dir) await(id string, want change.State) {
	d.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		r, err := d.Store.Request(d.T.Context(), id)
		if d.must(err); r.State == want {
			return
		}
		if time.Now().After(deadline) {
			d.T.Fatalf("it is %s (%s), not %s", r.State, r.Note, want)
		}
	}
}

// Where the client is for a provider, who signs in there is who was made here; a
// directory reaches nobody else's account, and no emergency account.
func TestDirectoryReach(t *testing.T) {
	d := newDir(t, "corp")
	glass, err := d.Access.AddUser(t.Context(), access.Person{Email: "glass@example.com", Name: "Glass", Roles: []access.Role{access.Admin}, Emergency: true}, secret.New(rig.Passphrase))
	d.must(err)
	for _, local := range []string{d.admin.ID, glass.ID} {
		d.ask("GET", "/Users/"+local, nil, 404)
		d.ask("DELETE", "/Users/"+local, nil, 404)
		d.ask("PATCH", "/Users/"+local, patchOf(anything{"op": "replace", "value": anything{"active": false}}), 404)
	}
	// An address is nobody.
	ada := d.provision("Ada", nil)
	if ada == d.admin.ID || d.account(ada).Email != "" || d.account(d.admin.ID).State != access.Active {
		t.Errorf("%+v", d.account(ada))
	}
	// An emergency account with an identity at the provider stays out of reach.
	b := d.browser()
	b.submit(b.get("/signin"), "/signin", "email", "glass@example.com", "secret.passphrase", rig.Passphrase).is(200)
	b.submit(b.follow(b.get("/account/identities"), "/signin/oidc/corp"), "/account/identities").is(200)
	d.ask("POST", "/Users", anything{"userName": "glass", "externalId": "subject-1", "active": false}, 403)
	if d.account(glass.ID).State != access.Active {
		t.Error("the emergency account is disabled")
	}
	// Whom an admin disabled, the directory doesn't enable.
	olga := d.provision("Olga", anything{"externalId": "subject-2"})
	d.corp.Person(map[string]any{"sub": "subject-2"})
	_, got := d.through("corp")
	got.is(200)
	if d.account(olga).State != access.Active {
		t.Error("who signs in is somebody else")
	}
	d.must(d.Access.SetDisabled(t.Context(), d.admin, olga, true))
	if got := d.ask("PATCH", "/Users/"+olga, patchOf(anything{"op": "replace", "path": "active", "value": true}), 200); got["active"] != false || d.account(olga).State != access.Disabled {
		t.Error(got)
	}
	// Another directory's clients see none of them.
	_, text := d.Client(d.admin, "Other", "partner")
	d.token = text.Reveal()
	d.ask("GET", "/Users/"+olga, nil, 404)
	if got := d.ask("GET", "/Users", nil, 200); got["totalResults"] != 0.0 {
		t.Error(got)
	}
}

// Who has rights here is signed in to by the subject that they had when they got
// them: a directory doesn't hand them to somebody else.
func TestDirectorySubject(t *testing.T) {
	d := newDir(t, "corp")
	subject := func(s string) anything { return patchOf(anything{"op": "replace", "path": "externalId", "value": s}) }
	olga, emil := d.provision("Olga", anything{"externalId": "olga"}), d.provision("Emil", anything{"externalId": ""})
	d.ask("PATCH", "/Users/"+olga, subject("olga-2"), 200) // nobody gave her anything yet
	for _, id := range []string{olga, emil} {
		_, err := d.Store.UpdateAccount(t.Context(), id, func(a *access.Account) ([]audit.Event, error) {
			a.Grants = access.Unscoped(access.Editor)
			return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID, Name: a.Name}}}, nil
		}, nil)
		d.must(err)
		d.ask("PATCH", "/Users/"+id, subject("mallory"), 403)
		d.ask("PUT", "/Users/"+id, anything{"userName": "olga", "externalId": "mallory"}, 403)
	}
	d.ask("PATCH", "/Users/"+olga, patchOf(anything{"op": "replace", "path": "displayName", "value": "Olga Ivanova"}), 200)
	d.ask("DELETE", "/Users/"+olga, nil, 204)
	d.corp.Person(map[string]any{"sub": "mallory", "name": "Mallory"})
	_, got := d.through("corp")
	got.is(200)
	if u := d.person("Mallory"); u.ID == olga || u.ID == emil || len(u.Grants) > 0 {
		t.Errorf("%+v", u)
	}
	if again := d.provision("Olga", anything{"externalId": "olga-2"}); again != olga {
		t.Error("who comes back is somebody else")
	}
}

// Tokens of clients: made and revoked by admins, shown once, good for nothing else.
func TestDirectoryClient(t *testing.T) {
	d := newDir(t, "")
	ada := d.signedIn("Ada")
	page := ada.submit(ada.get("/people/directories").has("Directories", "Okta"), "/people/directories", "name", "Entra", "directory", "corp", "days", "90").is(200).has("The client Entra is made", "sign in through Corp")
	text, _ := page.doc.Find("[data-copy^='ghs_']").Attr("data-copy")
	if text == "" {
		t.Fatal("no token is shown")
	}
	ada.get("/people/directories").hasNot(text)
	ada.submit(ada.get("/people/directories"), "/people/directories", "name", "", "directory", "corp", "days", "90").is(422)
	ada.submit(ada.get("/people/directories"), "/people/directories", "name", "X", "directory", "nosuch", "days", "90").is(422)
	old := d.token
	d.token = text
	d.ask("GET", "/Users", nil, 200)
	clients, err := d.Access.Clients(t.Context(), d.admin)
	d.must(err)
	ada.submit(ada.get("/people/directories"), "/people/directories/"+clients[0].ID+"/revoke").is(200).has("Revoked")
	d.ask("GET", "/Users", nil, 401)
	d.ask("GET", "/Users", nil, 401)
	if n := d.historyOf("directory.client_refused"); n != 1 {
		t.Errorf("%d rows of a token that is refused again and again", n)
	}
	for _, bad := range []string{"", "ghs_", "ghs_" + strings.Repeat("A", 43), ada.cookie("sid"), strings.Repeat("x", 5000)} {
		d.token = bad
		d.ask("GET", "/Users", nil, 401)
	}
	// What isn't committed when a client is revoked doesn't happen.
	client := clients[1]
	d.must(d.Access.RevokeClient(t.Context(), d.admin, client.ID))
	if _, err := d.Access.AddDirectoryUser(t.Context(), client, access.Profile{UserName: "late"}, ""); err == nil {
		t.Error("a revoked client makes accounts")
	}
	d.token = old
	d.ask("POST", "/Users", anything{"userName": "late"}, 401)
	d.as("Emil", access.Editor).get("/people/directories").is(404)
}

// Garbage is answered as garbage, in the form of SCIM.
func TestDirectoryGarbage(t *testing.T) {
	d := newDir(t, "")
	id := d.provision("Olga", nil)
	deep := strings.Repeat("(", 50) + `a eq "b"` + strings.Repeat(")", 50)
	for _, filter := range []string{
		"x", "userName", `userName eq`, `userName eq "`, `userName foo "a"`, `(userName eq "a"`, `userName eq "a")`, `emails[type eq "a"`, `not`, `"a" eq "b"`, `userName eq "a" and`, deep,
		strings.Repeat("a", 3000), "userName eq 'a'", "\x00", "[]", `a[b[c eq "d"]`, "userName eq \"\\ud800",
	} {
		if got := d.ask("GET", "/Users?filter="+url.QueryEscape(filter), nil, 400); got["scimType"] != "invalidFilter" {
			t.Errorf("%q: %v", filter, got)
		}
	}
	d.ask("GET", "/Users?startIndex=x", nil, 400)
	d.ask("GET", "/Users?count=99999999999999999999", nil, 400)
	d.ask("GET", "/Users?startIndex=-5&count=-5", nil, 200)
	for _, o := range []any{
		"", "{", "[]", "null", `"x"`, `{}`, `{"userName":""}`, `{"userName":5}`, `{"userName":"a\u0000b"}`, `{"userName":"a\u202eb"}`, `{"userName":{"a":1}}`, `{"userName":"x","active":"perhaps"}`,
		`{"userName":"x","emails":"y","name":"z"}`, `{"userName":"x","emails":[5]}`, `{"userName":"x","emails":[{"value":5}]}`, `{"userName":"x"}{"userName":"y"}`, `{"userName":"x","externalId":[]}`,
		`{"userName":"x","userName":"y"}`, `{"userName":"x","Active":true,"ACTIVE":false}`, `{"userName":"x","emails":[1,{"value":"a"},{"value":"b","Value":"c"}]}`, `{"userName":"x","name":{"a":{"b":[{}]},"A":1}}`,
		anything{"userName": strings.Repeat("x", 300)}, strings.Repeat("[", 100_000), `{"userName":"x","name":{"givenName":[1]}}`,
	} {
		d.ask("POST", "/Users", o, 400)
	}
	d.ask("POST", "/Users", `{"userName":"`+strings.Repeat("x", 2<<20)+`"}`, 413)
	for _, ops := range []any{
		anything{}, anything{"Operations": "x"}, anything{"Operations": []any{}}, anything{"Operations": []any{5}}, patchOf(anything{"op": "move", "path": "a"}), patchOf(anything{"op": "remove"}),
		patchOf(anything{"op": "add", "value": 5}), patchOf(anything{"op": "replace", "path": "emails[", "value": 5}), patchOf(anything{"op": "replace", "path": "a b", "value": 5}),
		patchOf(anything{"op": "replace", "path": "userName", "value": 5}), patchOf(anything{"op": "remove", "path": "userName"}), patchOf(anything{"op": 5}),
		patchOf(anything{"op": "replace", "path": "active.x", "value": 5}), patchOf(anything{"op": "replace", "path": `emails[value co "nobody"].value`, "value": "x"}),
		patchOf(slices.Repeat([]anything{{"op": "add", "path": "title", "value": "x"}}, 300)...),
	} {
		d.ask("PATCH", "/Users/"+id, ops, 400)
	}
	for _, ops := range []any{patchOf(anything{"op": "add", "path": "members", "value": "x"}), patchOf(anything{"op": "add", "path": "members", "value": []any{5}}), patchOf(anything{"op": "replace", "path": "displayName", "value": ""})} {
		g := d.ask("POST", "/Groups", anything{"displayName": "G" + time.Now().String()}, 201)["id"].(string)
		d.ask("PATCH", "/Groups/"+g, ops, 400)
	}
	for _, path := range []string{"/Users/%00", "/Users/..%2f..", "/Groups/x", "/Nonsense", "/Users/" + strings.Repeat("x", 3000)} {
		d.ask("GET", path, nil, 404)
	}
	if u := d.account(id); u.Name != "Olga" || u.State != access.Invited {
		t.Errorf("%+v", u)
	}
}
