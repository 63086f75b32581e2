package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// What isn't described is refused, and says what is wrong.
func TestAPIBadInput(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	owner, tried := s.Person("Ada", access.Editor), 0
	_, token := s.tokenOf(owner, nil, allRights...)
	ada := s.caller(token)
	changes := "/projects/" + s.Project.Slug + "/changes"
	list := "/projects/" + s.Project.Slug + "/auth-configs"
	target := `"targets":["` + a.ID + `"]`
	for body, want := range map[string]struct {
		status int
		says   string
	}{
		``: {400, "JSON object"}, `[]`: {400, "JSON object"}, `{"operation":"enable",`: {400, "JSON object"}, `{} {}`: {400, "JSON object"}, `null`: {400, "JSON object"},
		`{"operation":"disable","operation":"enable",` + target + `}`:    {400, "twice"},
		"{\"operation\":\"disable\",\"reason\":\"\xff\"," + target + "}": {400, "UTF-8"},
		`{}`:                                     {422, `"field":"operation"`},
		`{"operation":"apply"}`:                  {422, `"field":"operation"`},
		`{"operation":5}`:                        {422, `"field":"operation"`},
		`{"Operation":"disable",` + target + `}`: {422, `"field":"operation"`},
		`{"operation":"disable",` + target + `,"Reason":"x"}`:                                    {422, `"field":"Reason"`},
		`{"operation":"disable",` + target + `,"author":"usr_1"}`:                                {422, `"field":"author"`},
		`{"operation":"disable",` + target + `,"confirm":"x"}`:                                   {422, `"field":"confirm"`},
		`{"operation":"disable"}`:                                                                {422, `"field":"targets"`},
		`{"operation":"disable","targets":"` + a.ID + `"}`:                                       {422, `"field":"targets"`},
		`{"operation":"delete","targets":["a","b"],"confirm":"x"}`:                               {422, `"field":"targets"`},
		`{"operation":"disable","targets":["ac_none"]}`:                                          {404, "no such auth config"},
		`{"operation":"disable","targets":["../../x"]}`:                                          {404, "no such auth config"},
		`{"operation":"disable",` + target + `,"reason":null}`:                                   {422, `"field":"reason"`},
		`{"operation":"disable",` + target + `,"reason":"` + strings.Repeat("x", 2001) + `"}`:    {422, `"field":"reason"`},
		`{"operation":"update",` + target + `,"fields":{"name":{"a":1}}}`:                        {422, `"field":"fields.name"`},
		`{"operation":"update",` + target + `,"fields":{"scopes":["a b"]}}`:                      {422, `"field":"fields.scopes"`},
		`{"operation":"update",` + target + `,"fields":{"roles":"admin"}}`:                       {422, `"field":"fields.roles"`},
		`{"operation":"update",` + target + `,"fields":[]}`:                                      {422, `"field":"fields"`},
		`{"operation":"update",` + target + `,"credentials":{"client_secret":1}}`:                {422, `"field":"credentials.client_secret"`},
		`{"operation":"update",` + target + `,"credentials":{"client_secret":" "}}`:              {422, `"field":"credentials.client_secret"`},
		`{"operation":"update",` + target + `,"version":"1","fields":{"name":"x"}}`:              {422, `"field":"version"`},
		`{"operation":"update",` + target + `}`:                                                  {422, "Nothing would change"},
		`{"operation":"create","toolkit":"nosuch","scheme":"OAUTH2","fields":{"name":"x"}}`:      {422, `"field":"toolkit"`},
		`{"operation":"create","toolkit":"github","scheme":"NOSUCH","fields":{"name":"x"}}`:      {422, `"field":"scheme"`},
		`{"operation":"disable",` + target + `,"reason":"` + strings.Repeat("x", 300<<10) + `"}`: {413, "256 kB"},
	} {
		if tried++; tried%20 == 0 { // of one token, no more is taken at once
			_, ada.token = s.tokenOf(owner, nil, allRights...)
		}
		if got := ada.post(changes, body, wrongly).is(want.status); !strings.Contains(string(got.body), want.says) {
			t.Errorf("%.100s: %s", body, got.body)
		}
	}
	ada.header.Set("Content-Type", "application/x-www-form-urlencoded")
	ada.post(changes, "operation=disable", wrongly).is(415)
	ada.header = http.Header{}
	for path, status := range map[string]int{
		"/nosuch": 404, "/": 404, "/projects/nosuch/auth-configs": 404, "/projects/%00/auth-configs": 404, list + "/nosuch": 404, "/changes/chg_none": 404, "/history/0": 404, "/history/01": 404, "/history/x": 404, "/history/999999": 404,
		list + "?limit=0": 422, list + "?limit=201": 422, list + "?limit=x": 422, list + "?sort=x": 422, list + "?managed=x": 422, list + "?q=nokey:x": 422, list + "?cursor=gone": 409,
		list + "?status=a&status=b": 400, list + "?access_token=" + ada.token: 400, list + "?page=2": 400, list + "?q=%zz": 400,
		"/changes?q=nokey:x": 422, "/changes?cursor=x": 422, "/history?q=nokey:x": 422, "/history?q=ip:192.0.2.1": 422, "/history?q=actor:ada@example.com": 422, "/history?after=-1": 422, "/history?cursor=x": 422, "/me?x=1": 400, "/openapi.json?x=1": 400,
	} {
		ada.get(path, wrongly).is(status)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS"} {
		if got := ada.send(method, "/changes", nil, wrongly); got.status != 405 && got.status != 404 {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	if len(s.Mutations()) > 0 || s.historyOf("change.submitted") > 0 {
		t.Error("something was proposed")
	}
}

// Lists are walked to their end, in pages.
func TestAPIPages(t *testing.T) {
	s := newSite(t, sandbox.Options{Configs: 30, Seed: 1})
	ada := s.calling("Ada", access.Editor)
	snapshot, err := s.Store.Snapshot(t.Context(), s.Project.ID)
	s.must(err)
	walk := func(path, key string) []string {
		t.Helper()
		var all []string
		for cursor := ""; ; {
			page := ada.get(path + cursor).is(200)
			for _, one := range page.items() {
				all = append(all, fmt.Sprint(one[key]))
			}
			next, more := page.json["next"].(string)
			if !more {
				return all
			}
			cursor = "&cursor=" + next
		}
	}
	for _, sort := range []string{"name", "changed"} {
		all := walk("/projects/"+s.Project.Slug+"/auth-configs?limit=7&sort="+sort, "id")
		if slices.Sort(all); len(slices.Compact(all)) != snapshot.Len() {
			t.Errorf("%d of %d by %s", len(all), snapshot.Len(), sort)
		}
	}
	for range 5 {
		ada.post("/projects/"+s.Project.Slug+"/changes", `{"operation":"create","toolkit":"nope","scheme":"x","fields":{}}`).is(422)
		_, err := s.Changes.ProposeSwitch(t.Context(), s.Person(fmt.Sprint("P", keys), access.Editor), change.Proposal{Project: s.Project.ID, Draft: true}, []string{s.Config(rig.Enabled).ID}, false)
		s.must(err)
		keys++
	}
	if n := len(walk("/changes?limit=2", "id")); n != 0 {
		t.Errorf("%d drafts of others", n)
	}
	whole := walk("/history?limit=200", "seq")
	if parts := walk("/history?limit=2", "seq"); !slices.Equal(parts[len(parts)-len(whole):], whole) { // reading adds entries that aren't public
		t.Errorf("%v in parts, %v whole", parts, whole)
	}
	if later := walk("/history?limit=2&after="+whole[2], "seq"); !slices.Equal(later, whole[:2]) {
		t.Errorf("after %s: %v of %v", whole[2], later, whole)
	}
}

// What one token may ask at once has an end, and then a time to wait.
func TestAPIPace(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada, bo := s.calling("Ada", access.Editor), s.calling("Bo", access.Editor)
	var last *response
	for range 60 {
		if last = ada.post("/projects/"+s.Project.Slug+"/changes", `{}`, wrongly); last.status == 429 {
			break
		}
	}
	if last.is(429).header.Get("Retry-After") != "1" {
		t.Errorf("%v", last.header)
	}
	ada.get("/me").is(200)
	bo.post("/projects/"+s.Project.Slug+"/changes", `{}`, wrongly).is(422)
}
