package app

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// A role is made, given in a scope, shown with where each right comes from, and taken.
func TestRolePages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Viewer)
	page := b.get("/people/roles").is(200).has("Always there", "approve changes of others")
	if page.doc.Find(`a[href="/people/roles/new"]`).Length() != 1 {
		t.Error("no role can be made")
	}
	form := b.get("/people/roles/new").is(200)
	bad := b.send(form, "/people/roles", url.Values{"name": {"Everything"}, "permissions": {"changes.propose", "changes.approve"}}).is(422).has("One role can't have both")
	if f := bad.form("/people/roles"); f.Get("name") != "Everything" || len(f["permissions"]) != 2 {
		t.Errorf("the form holds %v", f)
	}
	b.send(form, "/people/roles", url.Values{"name": {"Editor"}, "permissions": {"changes.propose"}}).is(422).has("There is a role of this name already")
	b.send(form, "/people/roles", url.Values{"name": {"Proposer"}, "permissions": {"changes.propose"}}).is(200).at("/people/roles").has("Added the role Proposer.", "propose changes")
	role := s.rules().Roles[0]
	person := personPath(emil.ID)
	saved := b.send(b.get(person), person+"/roles", url.Values{"roles": {"viewer"}, "role": {string(role.ID)}, "where": {"project:" + s.Project.ID}, "toolkit": {" GitHub "}}).at(person).
		has("Roles saved.", "Proposer for toolkit github in "+s.Project.Name)
	if saved.doc.Find(`input[name="roles"][checked][value="`+string(role.ID)+" project:"+s.Project.ID+` toolkit:github"]`).Length() != 1 {
		t.Error("the role that holds somewhere can't be taken")
	}
	b.send(saved, person+"/roles", url.Values{"roles": {"viewer"}, "role": {"admin"}, "where": {"environment:mars"}}).is(422).has("Choose one of the environments")
	b.get(rolePath(role.ID) + "/remove").is(200).has("Proposer")
	b.submit(b.get(rolePath(role.ID)+"/remove"), rolePath(role.ID)+"/remove").is(409).has("Emil has this role")
	b.send(b.get(person), person+"/roles", url.Values{"roles": {"viewer"}}).has("Roles saved.")
	b.submit(b.get(rolePath(role.ID)+"/remove"), rolePath(role.ID)+"/remove").at("/people/roles").has("Removed the role Proposer.")
	b.get(rolePath(role.ID)).is(404)
	b.get(rolePath(access.Viewer)).is(404)
}

// What a group gives its members is shown as the group's.
func TestGroupRoles(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Viewer)
	b.send(b.get("/people/groups/new"), "/people/groups", url.Values{"name": {"Staging team"}, "members": {emil.ID}, "roles": {"auditor"}, "role": {"editor"}, "where": {"environment:staging"}}).
		at("/people/groups").has("Added the group Staging team.", "Gives Auditor and Editor in staging.")
	b.get(personPath(emil.ID)).has("Editor in staging, by the group Staging team", "Auditor, by the group Staging team", "Propose changes")
	g := groupPath(s.rules().Groups[0].ID)
	b.submit(b.get(g), g, "name", "Team").at("/people/groups").has("Gives Auditor and Editor in staging.")
	own := s.signedIn("Emil")
	a := s.Config(rig.Enabled)
	own.get(s.page(a.ID) + "/edit").is(200)
	b.submit(b.get(g+"/remove"), g+"/remove").at("/people/groups").has("Removed the group Team.")
	own.get(s.page(a.ID) + "/edit").is(404)
}

// A toolkit that Composio doesn't have is warned of wherever it is granted, and not
// refused: it may come.
func TestUnknownToolkitIsWarnedOf(t *testing.T) {
	const warning = "Composio has no toolkit githubb"
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Viewer)
	person := personPath(emil.ID)
	grant := func(toolkit string) url.Values {
		return url.Values{"roles": {"viewer"}, "role": {"editor"}, "where": {"project:" + s.Project.ID}, "toolkit": {toolkit}, "reason": {"He asked"}}
	}
	b.send(b.get(person), person+"/roles", grant("githubb")).has("Roles saved.")
	if strings.Contains(b.get(person).text(), "Composio has no toolkit") {
		t.Error("warned although no list of toolkits was ever read")
	}
	s.must(s.Mirror.SyncCatalogue(t.Context(), s.Project.ID))
	b.get(person).has(warning + " in " + s.Project.Name)
	b.send(b.get(person), person+"/roles", grant("github")).has("Roles saved.")
	if strings.Contains(b.get(person).text(), "Composio has no toolkit") {
		t.Error("warned of a toolkit that there is")
	}
	b.send(b.get("/people/groups/new"), "/people/groups", url.Values{"name": {"Staging team"}, "role": {"editor"}, "toolkit": {"githubb"}}).at("/people/groups").has(warning)
	b.get(groupPath(s.rules().Groups[0].ID)).has(warning)
	s.Person("Anna", access.Approver)
	s.govern(s.readerOf("Ada"), 1)
	b.send(b.get(person), person+"/roles", grant("githubb")).has("Requested.", warning)
	asked, err := s.Store.Requests(t.Context(), store.RequestQuery{Reader: s.readerOf("Ada").User, Config: emil.ID, Limit: 1})
	s.must(err)
	b.get(changePath(asked[0].ID)).has(warning)
}

// Roles that hold somewhere read as one sentence, in lists too.
func TestGrantWords(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Viewer)
	s.Person("Anna", access.Approver)
	s.govern(s.readerOf("Ada"), 1)
	person := personPath(emil.ID)
	b.send(b.get(person), person+"/roles", url.Values{"roles": {"viewer"}, "role": {"editor"}, "toolkit": {"github"}, "reason": {"He asked"}}).
		has("Other roles were requested: Editor for toolkit github, and Viewer.")
	for _, one := range []struct{ line, want string }{
		{"editor", "Editor"}, {"editor toolkit:github", "Editor for toolkit github"}, {"editor environment:staging", "Editor in staging"},
		{"editor environment:staging toolkit:github", "Editor for toolkit github in staging"},
	} {
		if got := grantWords(one.line, names{}); got != one.want {
			t.Errorf("%s reads %q, want %q", one.line, got, one.want)
		}
	}
}

// The list of people says where a role holds, and keeps its columns on a phone.
func TestPeopleRows(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Viewer)
	person := personPath(emil.ID)
	b.send(b.get(person), person+"/roles", url.Values{"roles": {"viewer"}, "role": {"editor"}, "where": {"project:" + s.Project.ID}, "toolkit": {"github"}}).has("Roles saved.")
	row := b.get("/people").has("Editor for toolkit github in " + s.Project.Name).doc.Find("table.cards tbody tr").First()
	for _, label := range []string{"Roles", "State", "Last sign-in"} {
		if row.Find(`td[data-label="`+label+`"]`).Length() != 1 {
			t.Errorf("no cell is labelled %s", label)
		}
	}
}
