package app

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// meddle changes something at Composio directly, and syncs.
func (s *site) meddle(e sandbox.ProjectEdit) {
	s.T.Helper()
	if _, err := s.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": e}}); err != nil {
		s.T.Fatal(err)
	}
	if err := s.Mirror.Sync(s.T.Context(), s.Project.ID); err != nil {
		s.T.Fatal(err)
	}
}

func (s *site) rename(by access.Reader, id, name, scopes string) {
	s.T.Helper()
	r, err := s.Changes.ProposeUpdate(s.T.Context(), by, proposal(s), id, change.Spec{Fields: map[string]string{"name": name, "scopes": scopes}}, nil)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Settled(r.ID)
}

func TestVersions(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	author := s.Person("Emil", access.Editor)
	s.rename(author, a.ID, "second", "repo")
	s.meddle(sandbox.ProjectEdit{AuthConfigs: []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"id":%q,"name":"third"}`, a.ID))}})
	b := s.signedIn("Emil")
	path := configPath(s.Project.Slug, a.ID)
	b.get(path + "/history").is(200).has("Versions")
	list := b.get(path+"/versions").is(200).has("Version 3", "Version 2", "Version 1", "Now", "read it for the first time", "second → third")
	if n := list.doc.Find("tr[data-version]").Length(); n != 3 {
		t.Errorf("%d versions", n)
	}
	b.get(path+"/versions?v=1").is(200).has("Restore this version", a.Name, a.Toolkit)
	b.get(path+"/versions?a=1&b=3").is(200).has("Version 1 and version 3", a.Name, "third", "repo")
	b.get(path + "/versions?a=2&b=2").is(200).has("No field that can be read differs")
	if first := b.get(path + "/versions?before=1").is(200).has("Version 1"); strings.Contains(first.text(), "Version 0") || strings.Contains(first.text(), "0 of") {
		t.Error("there is a version 0")
	}
	for _, none := range []string{"?v=4", "?v=0", "?v=x", "?a=1&b=9", "?a=1&b=zzz", "?a=zzz&b=1"} {
		b.get(path + "/versions" + none).is(404)
	}
	if restore, _ := s.as("Vera", access.Viewer).get(path + "/versions?v=1").is(200).doc.Find(`a[href*="restore"]`).Attr("href"); restore != "" {
		t.Error("a viewer is offered to restore")
	}
}

// What Composio hides is not known of the time before it was set here either.
func TestVersionsHidden(t *testing.T) {
	s := newSite(t, sandbox.Options{Quirks: []string{"strict-mask"}})
	a := s.Config(rig.OwnOAuth)
	if _, known := a.Values()[mirror.FieldScopes]; known {
		t.Fatal("scopes aren't hidden")
	}
	author := s.Person("Emil", access.Editor)
	r, err := s.Changes.ProposeUpdate(t.Context(), author, proposal(s), a.ID, change.Spec{Fields: map[string]string{"scopes": "repo"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(r.ID)
	e := s.History(store.HistoryQuery{Object: a.ID, Action: "auth_config.updated"})[0]
	was, err := s.Store.ConfigAt(t.Context(), s.Project.ID, a.ID, e.Seq-1)
	if err != nil {
		t.Fatal(err)
	}
	if scopes, known := was.Values[mirror.FieldScopes]; known {
		t.Errorf("they were %q before", scopes)
	}
	b := s.signedIn("Emil")
	b.get(entryPath(e.Seq)).is(200).has("Composio hid what it was before")
	path := configPath(s.Project.Slug, a.ID)
	b.get(path + "/versions?a=1&b=2").is(200).has("Not known in one of them")
	if value, filled := b.get(path + "/restore?version=1").is(200).doc.Find(`[name="field.scopes"]`).Attr("value"); filled && value != "" {
		t.Errorf("restoring fills in %q", value)
	}
	if got := b.get("/history?q=is:widened").is(200).doc.Find(fmt.Sprintf(`[data-seq="%d"]`, e.Seq)).Length(); got > 0 {
		t.Error("it is said to be widened")
	}
}

func TestRestore(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	author := s.Person("Emil", access.Editor)
	s.rename(author, a.ID, "second", "repo")
	b := s.signedIn("Emil")
	path := configPath(s.Project.Slug, a.ID)
	page := b.get(path+"/restore?version=1").is(200).has("second", a.Name, "Credentials", "History never holds their values")
	review := b.submit(page, path+"/review").is(200).has("second", a.Name, "Restore version 1.")
	b.submit(review, path).is(200).has("Saved " + a.Name)
	now := s.Config(func(x mirror.AuthConfig) bool { return x.ID == a.ID })
	if !now.Values().Equal(a.Values()) {
		t.Errorf("%v", now.Values())
	}
	if found := s.History(store.HistoryQuery{Object: a.ID, Action: "auth_config.updated"}); len(found) != 2 {
		t.Errorf("%d edits", len(found))
	}
	b.get(path + "/edit?restore=2").is(200).has("second")
	b.get(path + "/restore?version=3").is(200).has("Every field that can be set is as it was")
	b.get(path + "/restore?version=9").is(404)
}

// What is left of a config that is gone are its versions, from which it can be
// made anew.
func TestRestoreGone(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	b := s.as("Emil", access.Editor)
	s.meddle(sandbox.ProjectEdit{Delete: []string{a.ID}})
	path := configPath(s.Project.Slug, a.ID)
	b.get(path).is(404)
	b.get(path+"/history").is(200).has("Deleted", "at Composio directly")
	b.get(path+"/versions").is(200).has("Version 2", "Version 1")
	b.get(path+"/versions?v=1").is(200).has(a.Toolkit, strings.Join(a.Scopes.Values, ""))
	b.get(path + "/restore?version=2").is(409)
	page := b.get(path+"/restore?version=1").is(200).has("an id of its own", "Everybody has to connect again", a.Name)
	base := configsPath(s.Project.Slug)
	review := b.submit(page, base+"/review").is(200).has(a.Name, "Make "+a.ID+" anew")
	b.submit(review, base, "secret.cred.client_secret", "a-new-secret").is(200).has("Created " + a.Name)
	made := s.Config(func(x mirror.AuthConfig) bool { return x.Name == a.Name })
	want, got := a.Values(), made.Values()
	for _, f := range []string{mirror.FieldScopes, mirror.FieldClientID, mirror.FieldTools} {
		if !mirror.SameValue(f, got[f], want[f]) {
			t.Errorf("%s is %v, want %v", f, got[f], want[f])
		}
	}
}

func TestAsOf(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	before := rig.Now()
	s.rename(s.Person("Emil", access.Editor), a.ID, "renamed since", "repo")
	b := s.signedIn("Emil")
	path := asOfPath(s.Project.Slug)
	b.get(s.list()).is(200).has("As of")
	b.get(path + "?at=" + before.Format("2006-01-02T15:04:05.000000Z")).is(200).has(a.Name)
	seq := s.History(store.HistoryQuery{Object: a.ID, Action: "auth_config.updated"})[0].Seq
	then := b.get(path+"?q=renamed&entry="+strconv.FormatInt(seq, 10)).is(200).has("renamed since", "of 1")
	if link, _ := then.doc.Find("tr[data-id] a").Attr("href"); !strings.HasSuffix(link, "/versions?v=2") {
		t.Errorf("the row leads to %s", link)
	}
	b.get(path + "?at=2020-01-01T00:00").is(200).has("read this project for the first time")
	b.get(path + "?at=2026-13-45").is(422).has("This is not a moment")
	other := s.AddProject("production", sandbox.ProductionKey, "production")
	b.get(asOfPath(other.Slug) + "?entry=" + strconv.FormatInt(seq, 10)).is(404)
	b.get(path + "?entry=99999").is(404)
	row := b.get("/history?action=auth_config.updated").doc.Find("[data-seq]").First()
	if link, _ := row.Find(`a[href*="as-of"]`).Attr("href"); link != string(asOfEntry(s.Project.Slug, seq)) {
		t.Errorf("the row leads to %q", link)
	}
}
