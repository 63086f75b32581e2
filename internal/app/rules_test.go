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
	return found
}

func TestPolicyEditor(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	anna := s.Person("Anna", access.Approver)
	s.Person("Anton", access.Approver)
	form := b.get("/policies/new").is(200).has("What it says", "Whose approval")
	bad := b.send(form, "/policies/simulate", url.Values{
		"scope": {s.Project.ID}, "toolkit": {"Git Hub"}, "operations": {"delete", "update"}, "condition": {"connections_over"}, "connections_over": {"many"}, "need.1.1.count": {"2"}, "need.2.1.people": {anna.ID},
	}).is(422).has("Enter a number of connections", "Say how many approvals step 2 takes")
	kept := bad.form("/policies/simulate")
	for name, want := range map[string]string{"scope": s.Project.ID, "toolkit": "Git Hub", "condition": "connections_over", "connections_over": "many", "need.1.1.count": "2", "need.2.1.people": anna.ID} {
		if kept.Get(name) != want {
			t.Errorf("%s is %q after the complaint, want %q", name, kept.Get(name), want)
		}
	}
	if strings.Join(kept["operations"], " ") != "update delete" {
		t.Errorf("operations: %v", kept["operations"])
	}
	b.send(bad, "/policies/simulate", url.Values{"connections_over": {"10"}, "need.2.1.count": {"1"}}).is(422).has("Enter a toolkit as Composio names it")
	review := b.send(bad, "/policies/simulate", url.Values{"connections_over": {"10"}, "toolkit": {"github"}, "need.2.1.people": {}}).is(200).
		has("In Project staging, editing or deleting auth configs of github that touches more than 10 connections needs 2 approvals.", "Simulation", "needs no approval")
	back := b.send(review, "/policies/simulate", url.Values{"back": {"1"}}).is(200)
	if f := back.form("/policies/simulate"); f.Get("toolkit") != "github" || f.Get("need.1.1.count") != "2" {
		t.Errorf("going back loses what was typed: %v", f)
	}
	b.submit(review, "/policies", "reason", strings.Repeat("r", 3000)).is(422).has("at most 2000 characters")
	b.submit(review, "/policies", "reason", "github matters").is(200).at("/policies").has("Added the policy.", "auth configs of github that touches more than 10 connections needs 2 approvals")
	b.get("/history").has("Ada added a policy")
	entry := s.History(store.HistoryQuery{Action: "policy.added"})[0]
	b.get(entryPath(entry.Seq)).has("In Project staging, editing or deleting auth configs of github")
}

// The live sentence comes without a page of its own, and keeps nothing.
func TestPolicySentence(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	form := b.get("/policies/new").form("/policies/simulate")
	form.Set("need.1.1.count", "3")
	r := b.request("POST", "/policies/simulate", form)
	r.Header.Set("HX-Request", "true")
	b.do(r).is(200).has("Everywhere, every change needs 3 approvals.", "There aren't enough people now")
	if n := len(s.rules().Policies); n != 1 {
		t.Errorf("%d policies", n)
	}
}

func TestPolicyRefused(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	s.Person("Anna", access.Approver)
	for name, c := range map[string]struct {
		typed url.Values
		want  string
	}{
		"too few":            {url.Values{"need.1.1.count": {"2"}}, "There aren't enough people"},
		"unknown role":       {url.Values{"need.1.1.roles": {"boss"}}, "There is no role"},
		"unknown group":      {url.Values{"need.1.1.groups": {"grp_no"}}, "There is no such group"},
		"unknown person":     {url.Values{"need.1.1.people": {"usr_no"}}, "There is no such person"},
		"the rules and more": {url.Values{"subject": {"rules"}, "toolkit": {"github"}}, "Leave the rest empty"},
		"no such scope":      {url.Values{"scope": {"prj_no"}}, "Choose a project"},
		"no such operation":  {url.Values{"operations": {"explode"}}, "operations that are listed"},
	} {
		t.Run(name, func(t *testing.T) {
			form := b.get("/policies/new")
			b.send(form, "/policies/simulate", c.typed).is(422).has(c.want)
			straight := form.form("/policies/simulate")
			for k, v := range c.typed {
				straight[k] = v
			}
			straight["op"] = b.send(form, "/policies/simulate", nil).form("/policies")["op"]
			b.do(b.request("POST", "/policies", straight)).is(422).has(c.want)
		})
	}
	b.send(b.get("/policies/new"), "/policies/simulate", url.Values{"need.4.1.count": {"1"}}).is(422).has("not a field of this form")
	if n := len(s.rules().Policies); n != 1 {
		t.Errorf("%d policies were kept", n)
	}
}

func TestPolicyEditAndRemove(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	s.Person("Anna", access.Approver)
	emil := s.Person("Emil", access.Editor)
	r, err := s.Changes.ProposeSwitch(t.Context(), emil, proposal(s), []string{s.Config(rig.Enabled).ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(r.ID)
	id := s.rules().Policies[0].ID
	edit, stale := b.get("/policies/"+id+"/edit").is(200), b.get("/policies/"+id+"/edit")
	review := b.submit(edit, "/policies/"+id+"/simulate", "need.1.1.count", "1").is(200).
		has("needs no approval", "needs 1 approval", "1 request would need more approvals", "0 approvals → 1", r.Title)
	b.submit(review, "/policies/"+id).at("/policies").has("Saved the policy.", "every change needs 1 approval")
	again := b.submit(stale, "/policies/"+id+"/simulate", "toolkit", "github").is(200).has("This policy changed since you opened the form")
	asked := b.submit(again, "/policies/"+id).is(422).has("Send for approval", "Say why") // the rules are governed now
	b.submit(asked, "/policies/"+id, "reason", "only github")
	if open := s.open(); len(open) != 1 || open[0].State != change.InReview || open[0].Reason != "only github" {
		t.Errorf("open: %+v", open)
	}
	remove := b.get("/policies/"+id+"/remove").is(200).has("It is removed.", "1 request would be refused, since no policy covers it", "No policy covers it")
	b.submit(remove, "/policies/"+id+"/remove").is(422).has("Say why")
	b.submit(remove, "/policies/"+id+"/remove", "reason", "no use")
	if n := len(s.open()); n != 2 {
		t.Errorf("%d open requests", n)
	}
	b.get("/policies/pol_none/edit").is(404)
	for _, path := range []string{"/policies/new", "/policies/" + id + "/edit", "/policies/break-glass"} {
		s.signedIn("Emil").get(path).is(404)
	}
	if text := s.signedIn("Emil").get("/policies").has("every change needs 1 approval").body; strings.Contains(text, "/remove") || strings.Contains(text, "New policy") {
		t.Error("an editor is offered to change policies")
	}
}

func TestRecommendedPolicies(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.AddProject("live", sandbox.ProductionKey, mirror.Production)
	b := s.as("Ada", access.Admin)
	const path = "/policies/recommended/live"
	b.get("/policies").has("Project live is production, and nothing in it takes an approval", "Use the recommended policies", "Until the first policy asks for an approval")
	nobody := b.get(path).is(200).has("Nobody may approve yet")
	b.submit(nobody, path).is(422).has("aren't enough people")
	s.Person("Anna", access.Approver)
	b.get(path).has("Only one person may approve", "deleting auth configs needs 1 approval")
	s.Person("Anton", access.Approver)
	page := b.get(path).has("deleting auth configs needs 2 approvals", "every change that widens scopes needs 2 approvals", "It is removed.")
	b.submit(page, path, "reason", "as advised").is(200).at("/policies").has("The policies are in force", "In Project live, every change needs 1 approval", "needs 2 approvals. This holds as long as nobody")
	var live []string
	for _, p := range s.rules().Policies {
		if p.Project != s.Project.ID {
			live = append(live, p.ID)
		}
	}
	if len(live) != 3 {
		t.Errorf("%d policies in the project, want 3", len(live))
	}
	if text := b.get("/policies").text(); strings.Contains(text, "nothing in it takes an approval") {
		t.Error("the banner stays")
	}
	if n := s.historyOf("policy.removed"); n != 1 {
		t.Errorf("%d policies removed", n)
	}
	b.get("/history").has("Ada added a policy", "Ada removed a policy")
}

func TestUnsatisfiableWarning(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.Person("Ada", access.Admin)
	anna := s.Person("Anna", access.Approver)
	s.govern(ada, 1)
	b := s.signedIn("Ada")
	if strings.Contains(b.get("/policies").text(), "can't be satisfied now") {
		t.Error("warns too early")
	}
	b.submit(b.get("/people/"+anna.ID), "/people/"+anna.ID+"/disable")
	b.get("/policies").has("It can't be satisfied now")
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
		t.Errorf("roles before approval: %v %v", a.Roles, err)
	}
	r := s.agree(s.open()[0].ID, ada, anna)
	if a, err := s.Store.Account(t.Context(), emil.ID); r.State != change.Applied || err != nil || !a.Has(access.Approver) {
		t.Errorf("roles after approval: %v %v, the request is %s", a.Roles, err, r.State)
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
	b.submit(bad, "/people", "reason", "joins the reviewers").is(200).has("Hand this link to Edda", "Edda is a viewer. The roles Approver were requested.", "See the request")
	a, err := s.Store.AccountByEmail(t.Context(), "edda@example.com")
	if err != nil || len(a.Roles) != 1 || !a.Has(access.Viewer) {
		t.Errorf("roles %v, %v", a.Roles, err)
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
	for deadline := time.Now().Add(10 * time.Second); ; {
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
