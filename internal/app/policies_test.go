package app

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

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
		t.Run(name, func(*testing.T) {
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
	b.get(path).is(409).has("in force in Project live already")
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
