package app

import (
	"net/url"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
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
		has("Roles saved.", "Proposer in "+s.Project.Name+", toolkit github")
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
