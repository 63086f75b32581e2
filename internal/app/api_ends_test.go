package app

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// ends are the ways in which a token ends, or its owner loses what it may do.
func (s *site) ends() map[string]func(owner access.Reader, t access.Token) {
	return map[string]func(access.Reader, access.Token){
		"revoked": func(owner access.Reader, t access.Token) { s.must(s.Access.RevokeToken(s.T.Context(), owner, t.ID)) },
		"expired": func(_ access.Reader, t access.Token) {
			s.behindItsBack("UPDATE api_token SET expires_at = 1 WHERE id = ?", t.ID)
		},
		"disabled": func(owner access.Reader, _ access.Token) {
			s.must(s.Access.SetDisabled(s.T.Context(), access.Operator(), owner.ID, true))
		},
		"stripped": func(owner access.Reader, _ access.Token) { s.take(owner) },
	}
}

// A token that has ended is refused, always in the same words, and history says so
// once. An owner who may less makes it worth less.
func TestAPITokenEnds(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.Enabled)
	changes := "/projects/" + s.Project.Slug + "/changes"
	body := `{"operation":"disable","targets":["` + a.ID + `"]}`
	nobody := s.caller("")
	nobody.get("/me", wrongly).is(401).has("Authorization: Bearer")
	nobody.token = "gh_" + strings.Repeat("A", 46)
	unlike := nobody.get("/me").is(401).text("detail")
	for how, end := range s.ends() {
		owner := s.Person(how, access.Editor)
		token, text := s.tokenOf(owner, nil, allRights...)
		one := s.caller(text)
		one.get("/projects").is(200)
		refused := s.historyOf("token.refused")
		end(owner, token)
		if how == "stripped" {
			one.get("/projects").is(403)
			one.post(changes, body).is(403)
			continue
		}
		for range 3 {
			for _, got := range []*response{one.get("/me").is(401), one.get("/projects").is(401), one.post(changes, body).is(401)} {
				if got.text("detail") != unlike || got.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: %s", how, got.body)
				}
			}
		}
		if n := s.historyOf("token.refused"); n != refused+1 {
			t.Errorf("%s: %d entries of refusals", how, n-refused)
		}
	}
	if len(s.Mutations()) > 0 || s.historyOf("change.submitted") > 0 {
		t.Error("something was proposed")
	}
}

// A token that ends while a request is under way gets nothing more: no answer, and
// nothing is proposed.
func TestAPITokenEndsMeanwhile(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.Enabled)
	var meanwhile func()
	held := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			meanwhile()
			return next(c)
		}
	}
	for _, route := range s.server.routes() {
		if isAPI(route.path) && route.needs != anyone {
			route.path = strings.Replace(route.path, apiPath, apiPath+"/held", 1)
			route.handler = held(route.handler)
			s.server.addBearer(route)
		}
	}
	author := s.Person("Author", access.Editor)
	r, err := s.Changes.ProposeSwitch(t.Context(), author, proposal(s), []string{a.ID}, false)
	s.must(err)
	s.Settled(r.ID)
	before := s.historyOf("change.submitted")
	for how, end := range s.ends() {
		for i, route := range s.server.routes() {
			if !isAPI(route.path) || route.needs == anyone {
				continue
			}
			owner := s.Person(fmt.Sprint(how, i), access.Editor)
			token, text := s.tokenOf(owner, nil, allRights...)
			meanwhile = func() { end(owner, token) }
			one := s.caller(text)
			path := strings.TrimPrefix(s.fill(route.path, a.ID, r.ID, owner, s.Project.Slug), apiPath)
			path = strings.Replace(path, "/history/1", "/history/"+strconv.FormatInt(s.History(store.HistoryQuery{Action: "change.submitted"})[0].Seq, 10), 1)
			var body []byte
			if route.method == http.MethodPost {
				one.header.Set("Idempotency-Key", "held-"+token.ID)
				one.header.Set("Content-Type", "application/json")
				body = []byte(`{"operation":"enable","targets":["` + a.ID + `"]}`)
			}
			if got := one.send(route.method, "/held"+path, body, wrongly); got.status != 401 && got.status != 403 {
				t.Errorf("%s: %s %s: %d %.200s", how, route.method, route.path, got.status, got.body)
			}
		}
	}
	if n := s.historyOf("change.submitted"); n != before {
		t.Errorf("%d changes were proposed", n-before)
	}
}

// Who is signed out while a page is made doesn't get it.
func TestSessionEndsMeanwhile(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Viewer)
	ada, err := s.Store.AccountByEmail(t.Context(), "ada@example.com")
	s.must(err)
	s.server.echo.GET("/held", s.server.withSession(true, func(c echo.Context) error {
		v, err := s.server.frame(c, place{title: "Held"})
		s.must(err)
		s.must(s.Access.SetDisabled(t.Context(), access.Operator(), ada.ID, true))
		return page(c, templates.Error(templates.ErrorView{Page: v, Title: "This is private"}))
	}))
	got := b.get("/held").is(401).has("session ended")
	if strings.Contains(got.body, "This is private") {
		t.Error("a page was shown to somebody who was signed out")
	}
}
