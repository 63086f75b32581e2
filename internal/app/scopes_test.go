package app

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// grant gives somebody grants at once, in place of those they have.
func (s *site) grant(id string, grants ...access.Grant) {
	s.T.Helper()
	_, err := s.Store.UpdateAccount(s.T.Context(), id, func(a *access.Account) ([]audit.Event, error) {
		a.Grants = grants
		return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID, Name: a.Name}}}, nil
	}, nil)
	if err != nil {
		s.T.Fatal(err)
	}
}

// scoped returns a browser in which somebody new is signed in who has grants.
func (s *site) scoped(name string, grants ...access.Grant) *browser {
	s.T.Helper()
	s.grant(s.Person(name, access.Viewer).ID, grants...)
	b := s.signedIn(name)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// A spot is a place with something of each kind in it.
type spot struct {
	project         mirror.Project
	person          string
	config, request string
	entry           int64
	toolkit         string
	tells           []string // by which a page is known to tell of it
}

// path is a route's path with what is in the spot.
func (o spot) path(path string) string {
	switch tail := strings.TrimPrefix(path, apiPath); {
	case strings.HasPrefix(tail, "/changes/"):
		path = strings.ReplaceAll(path, ":id", o.request)
	case strings.HasPrefix(path, "/people/"):
		path = strings.ReplaceAll(path, ":id", o.person)
	default:
		path = strings.ReplaceAll(path, ":id", o.config)
	}
	path = strings.ReplaceAll(path, ":seq", strconv.FormatInt(o.entry, 10))
	return strings.ReplaceAll(path, ":slug", o.project.Slug)
}

// spotOf makes a spot at an auth config: it is switched, so that there is a request
// and an entry about it, and another switch waits for approval.
func (s *site) spotOf(author access.Reader, p mirror.Project, fits func(mirror.AuthConfig) bool) spot {
	s.T.Helper()
	was := s.Project
	s.Project = p
	defer func() { s.Project = was }()
	a := s.Config(fits)
	r, err := s.Changes.ProposeSwitch(s.T.Context(), author, proposal(s), []string{a.ID}, false)
	if err != nil {
		s.T.Fatal(err)
	}
	if now := s.Settled(r.ID); now.State != change.Applied {
		s.T.Fatalf("the request is %s", now.State)
	}
	entry := s.History(store.HistoryQuery{Project: p.ID, Request: r.ID})[0].Seq
	return spot{project: p, person: author.ID, config: a.ID, request: r.ID, entry: entry, toolkit: a.Toolkit, tells: []string{a.ID, r.ID, "/history/" + strconv.FormatInt(entry, 10) + `"`}}
}

// A visitor is somebody with a role in one place, who sees what is in their own spot
// and nothing of the other.
type visitor struct {
	name       string
	b          *browser
	role       access.Role
	token      string // of the API
	own, other spot
}

func (v visitor) may(p access.Permission) bool {
	return p.InProjects() && access.NewGrant(v.role, access.Everywhere).Allowing(p)
}

// ask sends a request of a route with what is in a spot.
func (v visitor) ask(r route, at spot) *reply {
	var form url.Values
	if r.method == http.MethodPost {
		form = url.Values{"nonsense": {"1"}}
	}
	req := v.b.request(r.method, at.path(r.path), form)
	if r.bearer() {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	return v.b.do(req)
}

// hole says what a route does that a visitor's scope forbids, or "".
func (v visitor) hole(r route) string {
	got := v.ask(r, v.other)
	if r.method == http.MethodGet && got.status == http.StatusOK {
		for _, tell := range v.other.tells {
			if strings.Contains(got.body, tell) {
				return "tells of " + tell
			}
		}
	}
	if r.needs == signedIn || r.needs == anyone {
		return ""
	}
	named := strings.Contains(r.path, "/:") && (strings.Contains(r.path, "/:id") || v.own.project.ID != v.other.project.ID)
	if elsewhere(r.path) {
		return ""
	}
	if r.bearer() && got.status == http.StatusForbidden && !v.may(r.needs) {
		return ""
	}
	if named && got.status != http.StatusNotFound && (r.method == http.MethodGet || r.needs.InProjects()) {
		return fmt.Sprintf("answers %d where it isn't theirs, want 404", got.status)
	}
	if !named {
		got = v.ask(r, v.own)
	} else if r.needs.InProjects() && v.own.named(r.path) {
		got = v.ask(r, v.own)
		if got.status == http.StatusNotFound && v.may(r.needs) && r.method == http.MethodPost {
			return "answers 404 where it is theirs"
		}
	}
	if !v.may(r.needs) && got.status != http.StatusNotFound && got.status != http.StatusForbidden {
		return fmt.Sprintf("answers %d, though the role doesn't allow it", got.status)
	}
	if named && !v.own.named(r.path) {
		return ""
	}
	if v.may(r.needs) && r.method == http.MethodGet && got.status != http.StatusOK && !strings.Contains(r.path, "bulk") && !strings.Contains(r.path, "impact") && !strings.Contains(r.path, "as-of") {
		return fmt.Sprintf("answers %d where it is theirs, want 200", got.status)
	}
	return ""
}

// named reports whether a route is about what is in a spot.
func (o spot) named(path string) bool {
	path = strings.TrimPrefix(path, apiPath)
	return !strings.Contains(o.path(path), "/:") && (strings.HasPrefix(path, "/projects/:slug") || strings.HasPrefix(path, "/changes/:id") || strings.HasPrefix(path, "/history/:seq"))
}

// elsewhere reports whether a route is about what is a person's own.
func elsewhere(path string) bool {
	return strings.HasPrefix(path, searchesPath+"/:id") || strings.HasPrefix(path, reviewsPath+"/:id/flags/")
}

// visitors are one of every role in every kind of scope.
func (s *site) visitors() []visitor {
	author := s.Person("Author", access.Editor)
	production := s.AddProject("production", sandbox.ProductionKey, mirror.Production)
	other := s.spotOf(author, production, func(a mirror.AuthConfig) bool { return a.Enabled() })
	own := s.spotOf(author, s.Project, func(a mirror.AuthConfig) bool { return a.Enabled() && a.Toolkit != other.toolkit })
	beside := s.spotOf(author, s.Project, func(a mirror.AuthConfig) bool { return a.Enabled() && a.Toolkit != own.toolkit })
	other.tells = append(other.tells, production.Name, configsPath(production.Slug))
	var all []visitor
	for _, role := range access.Roles() {
		for _, one := range []struct {
			kind  string
			scope access.Scope
			other spot
		}{
			{"project", access.Scope{Project: own.project.ID}, other},
			{"environment", access.Scope{Environment: own.project.Environment}, other},
			{"toolkit", access.Scope{Project: own.project.ID, Toolkit: own.toolkit}, beside},
		} {
			name := string(role) + "-" + one.kind
			b := s.scoped(name, access.NewGrant(role, one.scope))
			_, token := s.tokenOf(s.readerOf(name), nil, allRights...)
			all = append(all, visitor{name, b, role, token, own, one.other})
		}
	}
	return all
}

// Every route × every role × every kind of scope: what is elsewhere isn't there, and
// what is here is as the role allows. The routes are found in the table.
func TestScopes(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
		t.Fatal(err)
	}
	for _, v := range s.visitors() {
		for _, r := range s.server.routes() {
			if r.path == "/signout" || strings.HasPrefix(r.path, sessionsPath+"/end") || r.path == eventsPath {
				continue // they would end the browser's session, or don't end
			}
			if r.needs == directory {
				continue // nobody's, whatever their scope: TestDirectoryReach
			}
			if hole := v.hole(r); hole != "" {
				t.Errorf("%s %s as %s %s", r.method, r.path, v.name, hole)
			}
		}
	}
}

// A route that forgets the scope is found.
func TestScopesFindHoles(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	v := s.visitors()[0]
	for _, planted := range []route{
		{http.MethodGet, "/planted/:slug/:id", access.ViewConfigs, func(c echo.Context) error { return c.String(http.StatusOK, c.Param("id")) }},
		{http.MethodPost, "/planted/:slug", access.ViewConfigs, func(c echo.Context) error { return c.String(http.StatusOK, "done") }},
		{http.MethodGet, "/planted", access.ViewConfigs, func(c echo.Context) error {
			r, err := s.Store.Request(c.Request().Context(), v.other.request)
			if err != nil {
				return err
			}
			return c.String(http.StatusOK, r.ID)
		}},
	} {
		s.server.echo.Add(planted.method, planted.path, s.server.withSession(true, s.server.permit(planted.needs, planted.handler)))
		if v.hole(planted) == "" {
			t.Errorf("%s %s forgets the scope, and nobody notices", planted.method, planted.path)
		}
	}
}
