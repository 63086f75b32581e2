package app

import (
	"encoding/json"
	"fmt"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
)

func (s *site) drift(id, name string) {
	s.T.Helper()
	s.meddle(sandbox.ProjectEdit{AuthConfigs: []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"id":%q,"name":%q}`, id, name))}})
}

func TestDriftPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	s.drift(a.ID, "drifted")
	b := s.as("Emil", access.Editor)
	path := configPath(s.Project.Slug, a.ID)
	b.get("/").is(200).has("Low drift in Project staging:", "drifted")
	if text := b.get(s.list()).is(200).doc.Find(`tr[data-id="` + a.ID + `"] .badge`).Text(); text != "DriftEnabled" {
		t.Errorf("the row's badges are %q", text)
	}
	if n := b.get(s.list() + "?q=is:drift").is(200).doc.Find("tr[data-id]").Length(); n != 1 {
		t.Errorf("is:drift finds %d", n)
	}
	b.get(driftsPath(s.Project.Slug)).is(200).has("drifted", "1 field changed", "Low", "Open")
	page := b.get(path).is(200).has("Changed at Composio directly", a.Name, "Revert", "Adopt", "Ignore until")
	b.submit(page, path+"/drift/adopt", "reason", " ").is(422).has("Say why")
	b.submit(page, path+"/drift/ignore", "reason", "later", "until", "2001-01-01").is(422).has("still to come", "later")
	b.submit(page, path+"/drift/ignore", "reason", "later", "until", rig.Now().AddDate(0, 0, 3).Format("2006-01-02")).is(200).has("Ignored.", "It is ignored until")
	if text := b.get(s.list()).doc.Find(`tr[data-id="` + a.ID + `"] .badge`).Text(); text != "Enabled" {
		t.Errorf("the row's badges are %q", text)
	}
	s.drift(a.ID, "drifted on")
	page = b.get(path).is(200).has("drifted on")
	revert := b.get(path+"/restore?drift=1").is(200).has("Revert what was changed outside", "drifted on", a.Name)
	review := b.submit(revert, path+"/review").is(200).has("Revert what was changed at Composio directly.")
	b.submit(review, path).is(200).has("Saved " + a.Name)
	b.get(path + "/restore?drift=1").is(409)
	b.submit(page, path+"/drift/adopt", "reason", "it is right").is(409).has("Somebody has dealt with it")
	b.get(driftsPath(s.Project.Slug)).is(200).has("No drift")

	s.drift(a.ID, "adopted")
	b.submit(b.get(path), path+"/drift/adopt", "reason", "it is right").is(200).has("Adopted.")
	b.get("/history?action=drift.adopted").has("Emil adopted what was changed outside on adopted", "it is right")
	v := s.as("Vera", access.Viewer)
	s.drift(a.ID, "once more")
	if n := v.get(path).is(200).has("Editors, approvers and admins may adopt").doc.Find("#drift form").Length(); n != 0 {
		t.Errorf("a viewer has %d forms", n)
	}
}

// Of a config that was deleted outside, the versions tell and let it be adopted.
func TestDriftGonePage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	s.meddle(sandbox.ProjectEdit{Delete: []string{a.ID}})
	b := s.as("Emil", access.Editor)
	path := configPath(s.Project.Slug, a.ID)
	b.get("/").is(200).has("High drift in Project staging:", a.Name)
	page := b.get(path+"/versions").is(200).has("It was deleted at Composio directly", "Make it anew")
	b.submit(page, path+"/drift/adopt", "reason", "").is(422).has("Say why")
	b.submit(page, path+"/drift/adopt", "reason", "nobody used it").is(200).has("Adopted.")
	if _, known, err := s.Store.Drift(t.Context(), s.Project.ID, a.ID); known || err != nil {
		t.Error("it is there still", err)
	}
}

// In production an editor sees drift and may propose to revert it, but not adopt it.
func TestDriftInProductionPage(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	p := s.AddProject("production", sandbox.ProductionKey, mirror.Production)
	snapshot, err := s.Store.Snapshot(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	a := *snapshot.Find(mirror.Query{Limit: 1}).Configs[0]
	if _, err := s.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"production": {AuthConfigs: []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"id":%q,"credentials":{"scopes":"everything"}}`, a.ID))}}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Mirror.Sync(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	path := configPath(p.Slug, a.ID)
	editor, approver := s.as("Emil", access.Editor), s.as("Ann", access.Approver)
	editor.get("/").is(200).has("High drift in")
	page := approver.get(path).is(200).has("High")
	if n := editor.get(path).is(200).has("Approvers and admins may adopt", "Revert").doc.Find("#drift form").Length(); n != 0 {
		t.Errorf("an editor has %d forms", n)
	}
	own := editor.get("/account").form("/account")
	form := page.form(path + "/drift/adopt")
	form.Set("csrf", own.Get("csrf"))
	form.Set("reason", "I say so")
	form.Del("op")
	if got := editor.do(editor.request("POST", path+"/drift/adopt", form)); got.status < 400 {
		t.Errorf("an editor adopted it: %d", got.status)
	}
	approver.submit(page, path+"/drift/adopt", "reason", "asked for by the team").is(200).has("Adopted.")
}
