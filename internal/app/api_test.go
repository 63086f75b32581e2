package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// A caller is a program with a token. What it sends, where it is meant to be right,
// and everything that it is answered, is held to the description of the API.
type caller struct {
	*site
	token  string
	header http.Header
	router routers.Router
	used   map[string]bool // operations that were answered well
}

var described = sync.OnceValues(func() (*openapi3.T, error) {
	return openapi3.NewLoader().LoadFromData(api.Document)
})

func (s *site) caller(token string) *caller {
	s.T.Helper()
	doc, err := described()
	s.must(err)
	own := *doc
	own.Servers = openapi3.Servers{{URL: s.url + apiPath}}
	router, err := legacy.NewRouter(&own)
	s.must(err)
	return &caller{site: s, token: token, header: http.Header{}, router: router, used: map[string]bool{}}
}

func (s *site) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// allRights are those of a token that may do whatever tokens can.
var allRights = access.TokenRights()

// tokenOf makes a token of somebody.
func (s *site) tokenOf(owner access.Reader, projects []string, rights ...access.TokenRight) (access.Token, string) {
	s.T.Helper()
	t, text, err := s.Access.MakeToken(s.T.Context(), owner, access.TokenWish{Name: "CI", Rights: rights, Projects: projects, Days: 30})
	s.must(err)
	return t, text.Reveal()
}

// calling is a program that acts for a new person, with all rights.
func (s *site) calling(name string, roles ...access.Role) *caller {
	s.T.Helper()
	_, token := s.tokenOf(s.Person(name, roles...), nil, allRights...)
	return s.caller(token)
}

// A response is what a program is answered.
type response struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// wrongly is for requests that the description doesn't allow.
const wrongly = "wrongly"

func (a *caller) get(path string, how ...string) *response {
	a.T.Helper()
	return a.send("GET", path, nil, how...)
}

var keys = 0

// post proposes something, with a key of its own.
func (a *caller) post(path, body string, how ...string) *response {
	a.T.Helper()
	keys++
	return a.postAs(fmt.Sprintf("key-%08d", keys), path, body, how...)
}

func (a *caller) postAs(key, path, body string, how ...string) *response {
	a.T.Helper()
	h := a.header.Clone()
	defer func() { a.header = h }()
	a.header = a.header.Clone()
	a.header.Set("Idempotency-Key", key)
	if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", "application/json")
	}
	return a.send("POST", path, []byte(body), how...)
}

func (a *caller) send(method, path string, body []byte, how ...string) *response {
	a.T.Helper()
	r, err := http.NewRequestWithContext(a.T.Context(), method, a.url+apiPath+path, bytes.NewReader(body))
	a.must(err)
	maps.Copy(r.Header, a.header)
	if a.token != "" && r.Header.Get("Authorization") == "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	in := a.request(r, body, slices.Contains(how, wrongly))
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := http.DefaultTransport.RoundTrip(r)
	a.must(err)
	defer func() { _ = resp.Body.Close() }()
	got := &response{t: a.T, what: method + " " + path, status: resp.StatusCode, header: resp.Header}
	got.body, err = io.ReadAll(resp.Body)
	a.must(err)
	if err := json.Unmarshal(got.body, &got.json); err != nil {
		a.T.Errorf("%s: %v in %.200s", got.what, err, got.body)
	}
	if len(resp.Cookies()) > 0 {
		a.T.Errorf("%s sets cookies: %v", got.what, resp.Cookies())
	}
	a.response(in, got)
	return got
}

func (a *caller) request(r *http.Request, body []byte, wrongly bool) *openapi3filter.RequestValidationInput {
	a.T.Helper()
	route, params, err := a.router.FindRoute(r)
	if err != nil {
		if !wrongly {
			a.T.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
	}}
	if err := openapi3filter.ValidateRequest(a.T.Context(), in); err != nil && !wrongly {
		a.T.Errorf("request %s %s %.200s: %v", r.Method, r.URL, body, err)
	}
	return in
}

func (a *caller) response(in *openapi3filter.RequestValidationInput, got *response) {
	a.T.Helper()
	if in == nil {
		return
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header, Options: in.Options}
	out.SetBodyBytes(got.body)
	if err := openapi3filter.ValidateResponse(a.T.Context(), out); err != nil {
		a.T.Errorf("%s was answered %d %.300s: %v", got.what, got.status, got.body, err)
	}
	if got.status < 300 {
		a.used[in.Route.Operation.OperationID] = true
	}
}

// is checks the status, and what every problem has.
func (r *response) is(status int) *response {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("%s was answered %d, want %d: %.500s", r.what, r.status, status, r.body)
	}
	if r.status >= 400 && (r.header.Get("Content-Type") != "application/problem+json" || r.json["request_id"] != r.header.Get("X-Request-Id") || r.json["detail"] == "") {
		r.t.Errorf("%s: %s %s", r.what, r.header.Get("Content-Type"), r.body)
	}
	return r
}

// has checks that the answer holds texts.
func (r *response) has(texts ...string) *response {
	r.t.Helper()
	for _, want := range texts {
		if !strings.Contains(string(r.body), want) {
			r.t.Errorf("%s doesn't say %q: %.800s", r.what, want, r.body)
		}
	}
	return r
}

func (r *response) hasNot(texts ...string) *response {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(string(r.body), text) {
			r.t.Errorf("%s says %q: %.800s", r.what, text, r.body)
		}
	}
	return r
}

func (r *response) text(name string) string { text, _ := r.json[name].(string); return text }

func (r *response) items() []map[string]any {
	var out []map[string]any
	all, _ := r.json["items"].([]any)
	for _, one := range all {
		m, _ := one.(map[string]any)
		out = append(out, m)
	}
	return out
}

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
		if !r.bearer() {
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
	ada.get("/openapi.json").is(200).has(`"openapi": "3.0`)
	ada.get("/me").is(200).has(`"name":"Ada"`, `"name":"CI"`, `"all_projects":true`, `"propose"`)
	ada.get("/projects").is(200).has(`"slug":"` + slug + `"`)
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
		if e.Actor.Kind == "user" && e.Actor.Token == "" && e.Action != "token.made" {
			t.Errorf("%d %s doesn't name the token", e.Seq, e.Action)
		}
	}
}

// Where policy asks for approval, what a token proposes waits for it, and its owner
// can't give it.
func TestAPIObeysPolicy(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.govern(s.Person("Root", access.Admin), 1)
	a := s.Config(rig.Enabled)
	ada := s.Person("Ada", access.Editor, access.Approver)
	bo := s.Person("Bo", access.Approver)
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
	if _, err := s.Changes.Vote(t.Context(), bo, request.ID, ballot); err != nil {
		t.Error(err)
	}
	if done := s.Settled(request.ID); done.State != change.Applied {
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
	s.Restart()
	ada.postAs("same-key-1", changes, `{"operation":"enable","targets":["`+a.ID+`"]}`).is(409)
	ada.postAs("another-1", changes, `{"operation":"bogus"}`, wrongly).is(422)
	bo.postAs("same-key-1", changes, body).is(409).has("already") // another token's key is another
	for _, key := range []string{"", "short", "with blank in it", strings.Repeat("k", 65)} {
		ada.postAs(key, changes, body, wrongly).is(400).has("Idempotency-Key")
	}
}

// What isn't described is refused, and says what is wrong.
func TestAPIBadInput(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	ada := s.calling("Ada", access.Editor)
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

// A token is for its projects and its rights alone, and never for more than its
// owner may.
func TestAPIScope(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	other := s.AddProject("production", sandbox.ProductionKey, mirror.Production)
	a := s.Config(rig.Enabled)
	ada := s.Person("Ada", access.Editor, access.Auditor)
	for _, p := range []mirror.Project{s.Project, other} {
		snapshot, err := s.Store.Snapshot(t.Context(), p.ID)
		s.must(err)
		for c := range snapshot.All {
			if c.Enabled() {
				r, err := s.Changes.ProposeSwitch(t.Context(), ada, change.Proposal{Project: p.ID}, []string{c.ID}, false)
				s.must(err)
				s.Settled(r.ID)
				break
			}
		}
	}
	s.someRules()
	_, token := s.tokenOf(ada, []string{other.ID}, allRights...)
	narrow := s.caller(token)
	narrow.get("/me").is(200).has(`"all_projects":false`, `"projects":["production"]`)
	if all := narrow.get("/projects").is(200).items(); len(all) != 1 || all[0]["slug"] != "production" {
		t.Errorf("%v", all)
	}
	narrow.get("/projects/staging/auth-configs").is(404)
	narrow.get("/projects/staging/auth-configs/" + a.ID).is(404)
	narrow.get("/projects/production/auth-configs/" + a.ID).is(404)
	narrow.post("/projects/staging/changes", `{"operation":"disable","targets":["`+a.ID+`"]}`).is(404)
	for _, path := range []string{"/changes", "/history?limit=200"} {
		all := narrow.get(path).is(200).items()
		if len(all) == 0 {
			t.Errorf("%s has nothing", path)
		}
		for _, one := range all {
			if one["project"] != "production" {
				t.Errorf("%s: %v", path, one)
			}
		}
	}
	if all := narrow.get("/history?q=project:staging").is(200).items(); len(all) > 0 {
		t.Errorf("%v", all)
	}
	_, wide := s.tokenOf(ada, nil, allRights...)
	for _, path := range []string{"/changes", "/history"} {
		for _, one := range s.caller(wide).get(path + "?limit=200").is(200).items() {
			if one["project"] == "production" {
				continue
			}
			seq, isEntry := one["seq"]
			if isEntry {
				narrow.get(fmt.Sprintf("/history/%.0f", seq)).is(404)
			} else {
				narrow.get("/changes/" + one["id"].(string)).is(404)
			}
		}
	}
	s.caller(wide).get("/history?limit=200").is(200).hasNot("ada@example.com", "192.0.2.1", "session.", "user.")
}

// take takes all rights from somebody.
func (s *site) take(who access.Reader) {
	s.T.Helper()
	_, err := s.Store.UpdateAccount(s.T.Context(), who.ID, func(a *access.Account) ([]audit.Event, error) {
		a.Grants = nil
		return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID}}}, nil
	}, nil)
	s.must(err)
}

// Every role × every operation × every right: what both allow, and nothing else.
func TestAPIPermissions(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	author := s.Person("Author", access.Editor)
	r, err := s.Changes.ProposeSwitch(t.Context(), author, proposal(s), []string{a.ID}, false)
	s.must(err)
	s.Settled(r.ID)
	allows := map[access.TokenRight][]access.Permission{
		access.TokenReads: {access.ViewConfigs}, access.TokenHistory: {access.ViewHistory}, access.TokenProposes: {access.ViewConfigs, access.ProposeChange},
	}
	for _, role := range append(access.Roles(), "") {
		owner := access.User{State: access.Active, Grants: access.Unscoped(role)}
		who := s.Person("P"+string(role), cmp.Or(role, access.Editor))
		for right, permissions := range allows {
			_, token := s.tokenOf(who, nil, right)
			one := s.caller(token)
			if role == "" {
				s.take(who)
			}
			for _, route := range s.server.routes() {
				if !route.bearer() || route.needs == anyone {
					continue
				}
				path := strings.TrimPrefix(s.fill(route.path, a.ID, r.ID, author, s.Project.Slug), apiPath)
				body := []byte(nil)
				if route.method == "POST" {
					one.header.Set("Idempotency-Key", "sweep-1-"+string(role))
					one.header.Set("Content-Type", "application/json")
					body = []byte(`{}`)
				}
				got := one.send(route.method, path, body, wrongly)
				name := fmt.Sprintf("%s %s as %s with %s", route.method, route.path, role, right)
				switch {
				case route.needs != signedIn && (!owner.May(route.needs) || !slices.Contains(permissions, route.needs)):
					if got.status != 403 {
						t.Errorf("%s: %d, want 403", name, got.status)
					}
				case route.method == "POST":
					if got.status != 422 {
						t.Errorf("%s: %d, want 422", name, got.status)
					}
				case got.status != 200 && !strings.HasSuffix(route.path, "/:seq"): // the first entry is about an account
					t.Errorf("%s: %d, want 200", name, got.status)
				}
			}
		}
	}
}
