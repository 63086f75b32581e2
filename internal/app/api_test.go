package app

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// What is served is what is described, and nothing else.
func TestAPIDescription(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	doc, err := described()
	s.must(err)
	s.must(doc.Validate(t.Context()))
	there := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			there[method+" "+path] = true
		}
	}
	for _, r := range s.server.routes() {
		if !isAPI(r.path) {
			continue
		}
		path := strings.TrimPrefix(r.path, apiPath)
		for _, name := range []string{"slug", "id", "seq"} {
			path = strings.ReplaceAll(path, ":"+name, "{"+name+"}")
		}
		if !there[r.method+" "+path] {
			t.Errorf("%s %s is not described", r.method, r.path)
		}
		delete(there, r.method+" "+path)
		open := doc.Paths.Find(path).GetOperation(r.method).Security
		if (r.needs == anyone) != (open != nil && len(*open) == 0) {
			t.Errorf("%s %s: described as open: %v", r.method, r.path, open != nil)
		}
	}
	for what := range there {
		t.Errorf("%s is described and not there", what)
	}
}

// Each operation, as it should be used.
func TestAPI(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	own := s.Config(rig.OwnOAuth)
	ada := s.calling("Ada", access.Editor)
	slug := s.Project.Slug
	ada.get("/openapi.json").is(200).has(`"openapi": "3.1`)
	ada.get("/me").is(200).has(`"name":"Ada"`, `"name":"CI"`, `"all_projects":true`, `"propose"`)
	ada.get("/projects").is(200).has(`"slug":"` + slug + `"`)
	ada.get("/projects/" + slug + "/auth-configs?toolkit=" + own.Toolkit + "&status=enabled").is(200).has(`"id":"` + own.ID + `"`)
	ada.get("/projects/"+slug+"/auth-configs/"+own.ID).is(200).has(`"name":"`+own.Name+`"`, `"client_secret"`, `"version":`)

	r := ada.post("/projects/"+slug+"/changes", `{"operation":"disable","targets":["`+own.ID+`"],"reason":"not used"}`).is(201)
	if r.header.Get("Location") != apiPath+"/changes/"+r.text("id") || !strings.HasSuffix(r.text("url"), "/changes/"+r.text("id")) {
		t.Errorf("%v %s", r.header, r.body)
	}
	if done := s.Settled(r.text("id")); done.State != change.Applied {
		t.Errorf("%+v", done)
	}
	ada.get("/changes/"+r.text("id")).is(200).has(`"state":"applied"`, `"reason":"not used"`)
	ada.get("/changes").is(200).has(r.text("id"))
	ada.get("/changes?q=is:mine+state:applied").is(200).has(r.text("id"))
	if n := len(ada.get("/changes?q=state:rejected").is(200).items()); n != 0 {
		t.Errorf("%d were found", n)
	}

	found := ada.get("/history?q=action:auth_config.disabled").is(200).has(own.ID, `"token":null`)
	asked := ada.get("/history?q=action:change.submitted").is(200).has(`"name":"Ada"`, `"token":{"id":"tok_`, `"name":"CI"`).items()
	if len(found.items()) != 1 || len(asked) != 1 {
		t.Fatalf("%s %v", found.body, asked)
	}
	ada.get(fmt.Sprintf("/history/%.0f", asked[0]["seq"])).is(200).has(`"hash":"`, `"prev":"`)
	if len(s.History(store.HistoryQuery{Action: "history.read"})) != 3 { // two searches and one entry
		t.Error("reading history was not recorded")
	}
	doc, _ := described()
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !ada.used[op.OperationID] {
				t.Errorf("%s %s was not tried", method, path)
			}
		}
	}
}

// Everything that can be proposed, through the same policies.
func TestAPIPropose(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada := s.calling("Ada", access.Editor)
	changes := "/projects/" + s.Project.Slug + "/changes"
	applied := func(r *response) change.Request {
		t.Helper()
		r.is(201).hasNot("canary")
		got := s.Settled(r.text("id"))
		if got.State != change.Applied {
			t.Errorf("%s: %s %s", r.what, got.State, got.Note)
		}
		return got
	}
	made := applied(ada.post(changes, `{"operation":"create","toolkit":"github","scheme":"OAUTH2","fields":{"name":"by-api","scopes":["repo","user"],"client_id":"Iv1.abc"},"credentials":{"client_secret":"canary-1"}}`))
	id := made.Progress[0].Target
	config := "/projects/" + s.Project.Slug + "/auth-configs/" + id
	got := ada.get(config).is(200).has(`"name":"by-api"`, `"scopes":["repo","user"]`).hasNot("canary")
	version := got.json["version"].(float64)

	applied(ada.post(changes, fmt.Sprintf(`{"operation":"update","targets":[%q],"version":%.0f,"fields":{"scopes":"repo","is_enabled_for_tool_router":true},"credentials":{"client_secret":"canary-2"}}`, id, version)))
	ada.get(config).is(200).has(`"scopes":["repo"]`, `"is_enabled_for_tool_router":["true"]`)
	ada.post(changes, fmt.Sprintf(`{"operation":"update","targets":[%q],"version":%.0f,"fields":{"name":"late"}}`, id, version)).is(409).has("changed after the version")

	applied(ada.post(changes, `{"operation":"disable","targets":["`+id+`"]}`))
	applied(ada.post(changes, `{"operation":"enable","targets":["`+id+`"]}`))
	ada.post(changes, `{"operation":"enable","targets":["`+id+`"]}`).is(409)
	ada.post(changes, `{"operation":"delete","targets":["`+id+`"],"confirm":"other"}`).is(422).has(`"field":"confirm"`, `"field":"delete_enabled"`)
	applied(ada.post(changes, `{"operation":"delete","targets":["`+id+`"],"confirm":"by-api","delete_enabled":true}`))
	ada.get(config).is(404)
	for _, e := range s.History(store.HistoryQuery{}) {
		if strings.HasPrefix(e.Action, "change.submitted") && e.Actor.Token == "" {
			t.Errorf("%d %s doesn't name the token", e.Seq, e.Action)
		}
	}
}

// Where policy asks for approval, what a token proposes waits for it, and its owner
// can't give it.
func TestAPIObeysPolicy(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.Enabled)
	ada := s.Person("Ada", access.Editor, access.Approver)
	bo := s.Person("Bo", access.Approver)
	s.govern(s.Person("Root", access.Admin), 1)
	_, token := s.tokenOf(ada, nil, access.TokenProposes)
	body := `{"operation":"disable","targets":["` + a.ID + `"]`
	changes := "/projects/" + s.Project.Slug + "/changes"
	s.caller(token).post(changes, body+`}`).is(422).has(`"field":"reason"`)
	r := s.caller(token).post(changes, body+`,"reason":"because"}`).is(201).has(`"state":"in_review"`, `"need":1`)
	request := s.Settled(r.text("id"))
	ballot := change.Ballot{Decision: change.Approve, EffectHash: request.Revision.EffectHash}
	if _, err := s.Changes.Vote(t.Context(), ada, request.ID, ballot); err == nil {
		t.Error("the owner approved what their token proposed")
	}
	holder, err := s.Access.UseToken(t.Context(), token, access.Origin{IP: "192.0.2.9"})
	s.must(err)
	if holder.May(access.ApproveChange) {
		t.Error("a token may approve")
	}
	if _, err := s.Changes.Vote(t.Context(), holder, request.ID, ballot); err == nil {
		t.Error("a token voted")
	}
	if len(s.Mutations()) > 0 {
		t.Error("something was sent to Composio")
	}
	if done := s.agree(request.ID, ada, bo); done.State != change.Applied {
		t.Errorf("%s %s", done.State, done.Note)
	}
}

// The same key counts once, whoever is quicker.
func TestAPIIdempotency(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.Enabled)
	ada := s.calling("Ada", access.Editor)
	bo := s.calling("Bo", access.Editor)
	changes := "/projects/" + s.Project.Slug + "/changes"
	body := `{"operation":"disable","targets":["` + a.ID + `"]}`
	var all sync.Map
	var wg sync.WaitGroup
	for range 8 {
		one := s.caller(ada.token)
		wg.Go(func() {
			r := one.postAs("same-key-1", changes, body)
			if r.status == 201 {
				all.Store(r.text("id"), r.header.Get("Idempotent-Replayed"))
			} else if r.status != 409 { // the first was under way
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	n := 0
	all.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d requests came of one", n)
	}
	again := ada.postAs(`"same-key-1"`, changes, body).is(201)
	if _, same := all.Load(again.text("id")); !same || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v %s", again.header, again.body)
	}
	s.Settled(again.text("id"))
	ada.postAs("same-key-1", changes, `{"operation":"enable","targets":["`+a.ID+`"]}`).is(409)
	ada.postAs("another-1", changes, `{"operation":"bogus"}`, wrongly).is(422)
	bo.postAs("same-key-1", changes, body).is(409).has("already") // another token's key is another
	for _, key := range []string{"", "short", "with blank in it", strings.Repeat("k", 65)} {
		ada.postAs(key, changes, body, wrongly).is(400).has("Idempotency-Key")
	}
}
