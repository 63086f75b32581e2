package app

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// send posts a form whose values may come more than once.
func (b *browser) send(on *reply, action string, more url.Values) *reply {
	b.site.T.Helper()
	form := on.form(action)
	for name, values := range more {
		form[name] = values
	}
	return b.do(b.request("POST", action, form))
}

func (s *site) rules() change.Rules {
	s.T.Helper()
	rules, err := s.Store.Rules(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	return rules
}

// govern makes a policy that asks for an approval in the site's project.
func (s *site) govern(admin access.Reader, n int) {
	s.T.Helper()
	r, err := s.Changes.ProposePolicy(s.T.Context(), admin, "to begin with", change.Policy{Subject: change.AboutConfigs, Project: s.Project.ID, Steps: []change.PolicyStep{{{Count: n}}}})
	if err != nil {
		s.T.Fatal(err)
	}
	if r = s.Settled(r.ID); r.State != change.Applied {
		s.T.Fatalf("the policy is %s: %s", r.State, r.Note)
	}
}

// agree lets people approve a request and its author apply it.
func (s *site) agree(id string, author access.Reader, by ...access.Reader) change.Request {
	s.T.Helper()
	r, err := s.Store.Request(s.T.Context(), id)
	for _, who := range by {
		if err == nil {
			r, err = s.Changes.Vote(s.T.Context(), who, id, change.Ballot{Decision: change.Approve, EffectHash: r.Revision.EffectHash})
		}
	}
	if err == nil {
		_, err = s.Changes.Release(s.T.Context(), author, id)
	}
	if err != nil {
		s.T.Fatal(err)
	}
	return s.Settled(id)
}

func (s *site) open() []change.Request {
	s.T.Helper()
	yes := true
	found, err := s.Store.Requests(s.T.Context(), store.RequestQuery{Open: &yes, Limit: 50})
	if err != nil {
		s.T.Fatal(err)
	}
	all := make([]change.Request, len(found))
	for i, l := range found {
		if all[i], err = s.Store.Request(s.T.Context(), l.ID); err != nil {
			s.T.Fatal(err)
		}
	}
	return all
}

// someRules are rules of every kind, made if there are none.
func (s *site) someRules() change.Rules {
	s.T.Helper()
	rules, err := s.Store.Rules(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	if len(rules.Groups) > 0 {
		return rules
	}
	admin := s.Person("Ruler", access.Admin)
	g, err := s.Changes.ProposeGroup(s.T.Context(), admin, "", access.Group{Name: "Security", Members: []string{admin.ID}})
	if err != nil {
		s.T.Fatal(err)
	}
	s.Settled(g.ID)
	f, err := s.Changes.ProposeFreeze(s.T.Context(), admin, "", change.Freeze{Name: "Holidays", From: rig.Now().Add(time.Hour), Until: rig.Now().Add(2 * time.Hour)})
	if err != nil {
		s.T.Fatal(err)
	}
	s.Settled(f.ID)
	r, err := s.Changes.ProposeCustomRole(s.T.Context(), admin, "", access.CustomRole{Name: "Watcher", Allows: []access.Permission{access.ViewHistory}})
	if err != nil {
		s.T.Fatal(err)
	}
	s.Settled(r.ID)
	return s.someRules()
}

func TestFreezeAndBreakGlassPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Editor)
	form := b.get("/policies/freezes/new").is(200)
	bad := b.submit(form, "/policies/freezes", "name", "Year's end", "from", "soon", "until", "2030-01-02T08:00", "zone", "Mars/Olympus", "scope", "production").is(422).has("Enter a date and a time", "Enter a time zone")
	if f := bad.form("/policies/freezes"); f.Get("name") != "Year's end" || f.Get("until") != "2030-01-02T08:00" || f.Get("zone") != "Mars/Olympus" || f.Get("scope") != "production" {
		t.Errorf("the form holds %v", f)
	}
	b.submit(bad, "/policies/freezes", "from", "2030-01-03T08:00", "zone", "Europe/Berlin").is(422).has("Choose an end that is after the beginning")
	b.submit(bad, "/policies/freezes", "from", "2029-12-20T08:00", "zone", "Europe/Berlin").is(200).at("/policies").
		has("Added the freeze window Year's end.", "In every production project, from 20 Dec 2029, 07:00:00 UTC until 2 Jan 2030, 07:00:00 UTC", "To come")
	remove := "/policies/freezes/" + s.rules().Freezes[0].ID + "/remove"
	b.submit(b.get(remove).has("Year's end"), remove).at("/policies").has("Removed the freeze window Year's end.")
	b.get(remove).is(404)

	list := b.get("/policies/break-glass").is(200).has("Emil")
	b.send(list, "/policies/break-glass", url.Values{"people": {"usr_none"}}).is(422).has("Choose from the people who are listed")
	b.send(list, "/policies/break-glass", nil).is(422).has("it is so already")
	b.send(b.get("/policies/break-glass"), "/policies/break-glass", url.Values{"people": {emil.ID}}).at("/policies").has("Saved the break-glass list.", "In an emergency they may")
	b.get("/history").has("Ada changed the break-glass list", "Ada removed the freeze window Year's end")
}

func TestGroupPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	anna := s.Person("Anna", access.Approver)
	form := b.get("/people/groups/new").is(200)
	bad := b.send(form, "/people/groups", url.Values{"name": {" "}, "members": {anna.ID}}).is(422).has("Enter a name")
	if bad.form("/people/groups").Get("members") != anna.ID {
		t.Error("the members are gone")
	}
	b.send(bad, "/people/groups", url.Values{"name": {"Security"}}).is(200).at("/people/groups").has("Added the group Security.", "Anna")
	b.send(b.get("/people/groups/new"), "/people/groups", url.Values{"name": {"security"}}).is(422).has("Another group has this name")
	b.get("/people/" + anna.ID).has("Security")
	id := s.rules().Groups[0].ID
	page := b.get("/people/groups/" + id).is(200)
	b.send(page, "/people/groups/"+id, url.Values{"name": {"Guards"}}).at("/people/groups").has("Saved the group Guards.")
	review := b.send(b.get("/policies/new"), "/policies/simulate", url.Values{"need.1.1.groups": {id}}).is(200).has("needs 1 approval from Guards")
	b.submit(review, "/policies").at("/policies")
	remove := b.get("/people/groups/" + id + "/remove").has("A policy names this group")
	b.submit(remove, "/people/groups/"+id+"/remove", "reason", "no use").is(409).has("names the group Guards")
	viewer := s.as("Vera", access.Viewer)
	if strings.Contains(viewer.get("/people/groups").has("Guards").body, "/remove") {
		t.Error("a viewer is offered to remove groups")
	}
	viewer.get("/people/groups/new").is(404)
}

// Once policies ask for approvals, an admin alone makes no approver.
func TestRolesByApproval(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.Person("Ada", access.Admin)
	anna, emil := s.Person("Anna", access.Approver), s.Person("Emil", access.Editor)
	s.govern(ada, 1)
	b := s.signedIn("Ada")
	path := "/people/" + emil.ID
	missing := b.send(b.get(path).has("Send for approval"), path+"/roles", url.Values{"roles": {"approver"}}).is(422).has("Say why")
	if got := missing.form(path + "/roles")["roles"]; len(got) != 1 || got[0] != "approver" {
		t.Errorf("the form holds the roles %v", got)
	}
	b.send(missing, path+"/roles", url.Values{"reason": {"a second pair of eyes"}}).is(200).at(path).
		has("Requested. The roles change once", "Other roles were requested: Approver.", "in review")
	if a, err := s.Store.Account(t.Context(), emil.ID); err != nil || !a.Has(access.Editor) || a.Has(access.Approver) {
		t.Errorf("roles before approval: %v %v", a.Roles(), err)
	}
	r := s.agree(s.open()[0].ID, ada, anna)
	if a, err := s.Store.Account(t.Context(), emil.ID); r.State != change.Applied || err != nil || !a.Has(access.Approver) {
		t.Errorf("roles after approval: %v %v, the request is %s", a.Roles(), err, r.State)
	}
	b.get("/history").has("Ada changed the roles of Emil")
	if strings.Contains(b.get(path).text(), "Other roles were requested") {
		t.Error("the page still tells of the request")
	}
}

func TestInviteWhenGoverned(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.Person("Ada", access.Admin)
	s.Person("Anna", access.Approver)
	s.govern(ada, 1)
	b := s.signedIn("Ada")
	page := b.get("/people").has("Everybody begins as a viewer")
	person := []string{"name", "Edda", "email", "edda@example.com", "roles", "approver"}
	bad := b.submit(page, "/people", person...).is(422).has("Say why")
	if f := bad.form("/people"); f.Get("name") != "Edda" || f.Get("roles") != "approver" {
		t.Errorf("the form holds %v", f)
	}
	wrong := b.submit(page, "/people", "name", "", "email", "edda at home", "roles", "approver").is(422).has("Say why", "Enter a name", "Enter an e-mail address")
	if f := wrong.form("/people"); f.Get("email") != "edda at home" || f.Get("roles") != "approver" {
		t.Errorf("the form holds %v", f)
	}
	b.submit(bad, "/people", "reason", "joins the reviewers").is(200).has("Hand this link to Edda", "Edda is a viewer. The roles Approver were requested.", "See the request")
	a, err := s.Store.AccountByEmail(t.Context(), "edda@example.com")
	if err != nil || len(a.Grants) != 1 || !a.Has(access.Viewer) {
		t.Errorf("roles %v, %v", a.Roles(), err)
	}
	if open := s.open(); len(open) != 1 || open[0].Revision.Items[0].Target != a.ID {
		t.Errorf("open: %+v", open)
	}
	b.submit(b.get("/people"), "/people", "name", "Vera", "email", "vera@example.com", "roles", "viewer").is(200).has("Hand this link to Vera")
	if n := len(s.open()); n != 1 {
		t.Errorf("%d open requests after a viewer was invited", n)
	}
}

// What is scheduled is suspended as soon as its ground is gone.
func TestRecheckAfterDisabling(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.Person("Ada", access.Admin)
	anna, emil := s.Person("Anna", access.Approver), s.Person("Emil", access.Editor)
	s.govern(ada, 1)
	a := s.Config(rig.Enabled)
	rules := s.rules()
	start, err := s.Changes.ProposePolicyDelete(t.Context(), ada, "asks for nothing", rules.Policies[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	s.agree(start.ID, ada, anna)
	p := proposal(s)
	p.Reason = "because"
	r, err := s.Changes.ProposeSwitch(t.Context(), emil, p, []string{a.ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Changes.Vote(t.Context(), anna, r.ID, change.Ballot{Decision: change.Approve, EffectHash: r.Revision.EffectHash}); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Changes.Schedule(t.Context(), emil, r.ID, time.Now().UTC().Add(3*time.Hour).Format(typedTime), "UTC"); err != nil {
		t.Fatal(err)
	}
	b := s.signedIn("Ada")
	b.submit(b.get("/people/"+anna.ID), "/people/"+anna.ID+"/disable").is(200)
	for deadline := time.Now().Add(patience); ; {
		now, err := s.Store.Request(t.Context(), r.ID)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the request is %s, %v", now.State, err)
		}
		if now.State == change.Suspended {
			return
		}
	}
}

func TestRuleDiff(t *testing.T) {
	n := names{"usr_1": "Anna", "prj_1": "Main", "grp_1": "Security"}
	p := change.Policy{Subject: change.AboutConfigs, Project: "prj_1", Steps: []change.PolicyStep{{{Count: 1, Groups: []string{"grp_1"}}, {Count: 2, Roles: []access.Role{access.Admin}}}, {{Count: 1, People: []string{"usr_1"}}}}}
	const said = "In Main, every change needs 1 approval from Security and 2 approvals from Admins, then 1 approval from Anna."
	d := ruleDiff(change.Item{Kind: change.KindPolicy, Operation: change.Update, Set: p.Values(), Base: change.Policy{Subject: change.AboutRules}.Values()}, n)
	if d.Rows[0].After != said || !strings.Contains(d.Rows[0].Before, "needs no approval") {
		t.Errorf("policy: %+v", d)
	}
	if d := ruleDiff(change.Item{Kind: change.KindPolicy, Operation: change.Delete, Base: p.Values()}, n); d.Rows[0].Before != said || d.Rows[0].After != "It is removed." {
		t.Errorf("removal: %+v", d)
	}
	group := change.Item{Kind: change.KindGroup, Operation: change.Update, Name: "Security", Set: mirror.Values{"name": {"Security"}, "members": {"usr_1"}}, Base: mirror.Values{"name": {"Security"}, "members": {"usr_gone"}}}
	if d := ruleDiff(group, n); len(d.Rows) != 1 || d.Rows[0].Added[0] != "Anna" || d.Rows[0].Removed[0] != "usr_gone" {
		t.Errorf("group: %+v", d)
	}
	if got := ruleTitle(group, n); got != "Edit the group Security" {
		t.Errorf("title %q", got)
	}
	roles := change.Item{Kind: change.KindRoles, Operation: change.Update, Target: "usr_1", Name: "Annabel", Set: mirror.Values{"roles": {"approver"}}, Base: mirror.Values{"roles": {"viewer"}}}
	if d := ruleDiff(roles, n); d.Rows[0].Added[0] != "Approver" || d.Rows[0].Removed[0] != "Viewer" || ruleTitle(roles, n) != "Change the roles of Anna" {
		t.Errorf("roles: %+v", d)
	}
	freeze := change.Item{Kind: change.KindFreeze, Operation: change.Create, Name: "Holidays", Set: mirror.Values{"name": {"Holidays"}, "project": {"prj_1"}, "environment": {}, "from": {"2030-01-01T00:00:00Z"}, "until": {"2030-01-02T00:00:00Z"}}}
	if d := ruleDiff(freeze, n); len(d.Rows) != 4 || d.Before != "" || d.Rows[1].After != "Main" || d.Rows[2].After != "1 Jan 2030, 00:00:00 UTC" {
		t.Errorf("freeze: %+v", d)
	}
}

// Where a role holds, without the role, isn't forgotten silently.
func TestScopeWithoutRole(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.Person("Ada", access.Admin)
	emil := s.Person("Emil", access.Editor)
	b := s.signedIn("Ada")
	for path, action := range map[string]string{"/people/" + emil.ID: "/people/" + emil.ID + "/roles", "/people/groups/new": "/people/groups"} {
		rest := []string{"reason", "helps out"}
		if action == "/people/groups" {
			rest = append(rest, "name", "Guards")
		}
		for field, value := range map[string]string{"toolkit": "github", "where": "project:" + s.Project.ID} {
			bad := b.submit(b.get(path), action, append(rest, field, value)...).is(422).has("Choose the role to add there")
			if f := bad.form(action); f.Get(field) != value || f.Get("reason") != "helps out" {
				t.Errorf("%s holds %v", action, f)
			}
		}
	}
	b.submit(b.get("/people/"+emil.ID), "/people/"+emil.ID+"/roles", "role", "viewer", "toolkit", "git hub!", "reason", "helps out").is(422).has("Toolkit: Enter a toolkit as Composio names it")
}
