package app

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/witness"
)

// A probe asks a site's handler without a socket between, as one person.
type probe struct {
	site    *site
	handler http.Handler
	user    string
	may     func(access.Permission) bool
	token   string // of the session
	browser string // what its forms are bound to
}

// probe signs in a new person of these roles; without roles it is nobody.
func (s *site) probe(name string, roles ...access.Role) *probe {
	s.T.Helper()

	h, err := s.server.wrap(s.server.echo)
	if err != nil {
		s.T.Fatal(err)
	}
	p := &probe{site: s, handler: h, token: access.NewToken(), may: func(access.Permission) bool { return false }}
	p.browser = p.token
	if len(roles) > 0 {
		who := s.Person(name, roles...)
		p.user, p.may = who.ID, func(n access.Permission) bool { return n == signedIn || who.May(n) }
		p.token, _, err = s.Access.SignIn(s.T.Context(), strings.ToLower(name)+"@example.com", secret.New(rig.Passphrase), access.Origin{IP: "192.0.2.1"})
		if err != nil {
			s.T.Fatal(err)
		}
		session, _, err := s.Store.Session(s.T.Context(), access.HashToken(p.token))
		if err != nil {
			s.T.Fatal(err)
		}
		p.browser = session.ID
	}
	return p
}

// csrf is a token that the forms of the probe's session may carry.
func (p *probe) csrf() string {
	to := p.token
	if one, _, err := p.site.Store.Session(p.site.T.Context(), access.HashToken(p.token)); err == nil {
		to = one.ID
	}
	bound := p.site.Keys.Digest([]byte("csrf\x00" + to))[:16]
	return base64.RawURLEncoding.EncodeToString(append(make([]byte, len(bound)), bound...))
}

// form is what a form for this address carries at least.
func (p *probe) form(path string) url.Values {
	return url.Values{"csrf": {p.csrf()}, "op": {p.site.server.newOpID(p.user, path)}}
}

// request is one that a page of ours could send.
func (p *probe) request(method, path string, form url.Values) *http.Request {
	var body *strings.Reader
	if body = strings.NewReader(""); form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	r.Host = p.site.server.public.Host
	r.RemoteAddr = "192.0.2.1:1234"
	r.AddCookie(&http.Cookie{Name: newSessionStore(p.site.server.secureCookies()).name(), Value: p.token})
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

// A recorder is told of deadlines, as a connection is.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }

func (p *probe) send(r *http.Request) *httptest.ResponseRecorder {
	w := recorder{httptest.NewRecorder()}
	p.handler.ServeHTTP(w, r)
	return w.ResponseRecorder
}

func (p *probe) get(path string) *reply { return p.read(p.request(http.MethodGet, path, nil)) }

func (p *probe) post(path string, form url.Values) *reply {
	return p.read(p.request(http.MethodPost, path, form))
}

func (p *probe) read(r *http.Request) *reply {
	w := p.send(r)
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(w.Body.String()))
	if err != nil {
		p.site.T.Fatal(err)
	}
	return &reply{p.site.T, w.Code, r.URL, w.Header(), w.Body.String(), doc}
}

// patient lifts the limits on how much one person sends.
func (s *site) patient() {
	at := rig.Now()
	s.server.limits = newLimits(func() time.Time { at = at.Add(time.Minute); return at })
}

// lived makes a site in which there is something of everything, and returns what
// puts real values into a route's path.
func (s *site) lived() func(path string) string {
	s.T.Helper()

	s.patient()
	s.someRules()
	s.someReview()
	s.someSink()
	author, admin := s.Person("Author", access.Editor), s.Person("Ruth", access.Admin)
	_, directory := s.Client(admin, "Okta", "")
	s.directory = directory.Reveal()
	s.Person("Anna", access.Approver) // without one no policy could ask for approval
	a := s.Config(rig.OwnOAuth)
	done, err := s.Changes.ProposeSwitch(s.T.Context(), author, proposal(s), []string{a.ID}, false)
	if err == nil {
		s.Settled(done.ID)
		s.govern(admin, 1)
		_, err = s.Changes.ProposeSwitch(s.T.Context(), author, proposal(s), []string{s.Config(rig.Enabled).ID}, false)
	}
	if err == nil {
		err = s.Witness.Checkpoint(s.T.Context(), witness.ForNews)
	}
	if err != nil {
		s.T.Fatal(err)
	}
	if done, err = s.Store.Request(s.T.Context(), done.ID); err != nil || done.State != change.Applied {
		s.T.Fatalf("%v, %s", err, done.State)
	}
	filled := map[string]string{} // now, while all of it is there
	for _, route := range s.server.routes() {
		filled[route.path] = s.fill(route.path, a.ID, done.ID, author, s.Project.Slug)
	}
	return func(path string) string { return filled[path] }
}

// confines reports whether a form would end its session, or keep it from changing
// anything more.
func confines(path string) bool {
	return path == "/signout" || strings.HasPrefix(path, sessionsPath) || path == viewPath
}

// A post is a form that was found on a page.
type post struct {
	by     *probe
	route  string
	action string
	fields url.Values
	names  []string // of all fields, those too that would not be sent
}

// secrets are the names of the fields that take a credential.
func (f post) secrets() []string {
	var out []string
	for name := range f.fields {
		if strings.HasPrefix(name, secretPrefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// filled is the form with a fresh operation id, and one field more or changed.
func (f post) filled(name, value string) url.Values {
	form := maps.Clone(f.fields)
	if form == nil {
		form = url.Values{}
	}
	path, _, _ := strings.Cut(f.action, "?")
	maps.Copy(form, f.by.form(path))
	form[name] = []string{value}
	return form
}

// A crawl is what people find on a site: all that routes and links lead to.
type crawl struct {
	site  *site
	seen  map[string]int
	posts map[string]post // by route
	each  func(p *probe, path string, got *reply)
}

const sameRoute = 2 // pages of one route that a crawl looks at

// crawl looks at all pages that these people can reach, and calls each for every one.
func (s *site) crawl(fill func(string) string, each func(p *probe, path string, got *reply), people ...*probe) *crawl {
	s.T.Helper()
	c := &crawl{site: s, posts: map[string]post{}, each: each}
	for _, p := range people {
		c.seen = map[string]int{}
		for _, route := range s.server.routes() {
			if route.method == http.MethodGet {
				c.visit(p, fill(route.path))
			}
		}
		for _, more := range []string{"/new?toolkit=github&scheme=OAUTH2", "/new?toolkit=openai&scheme=API_KEY", "/:id/impact?do=enable", "/:id/impact?do=delete"} {
			c.visit(p, strings.ReplaceAll(s.list()+more, ":id", s.Config(rig.OwnOAuth).ID))
		}
	}
	for _, route := range slices.Sorted(maps.Keys(c.posts)) {
		if f := c.posts[route]; strings.HasSuffix(route, "/review") || strings.HasSuffix(route, "/simulate") {
			form := f.filled("field.name", "crawled")
			if form.Has("field.client_id") {
				form.Set("field.client_id", "crawled")
			}
			c.collect(f.by, f.by.post(f.action, form)) // the answer has the form that counts
		}
	}
	return c
}

// route is the one that answers at a path.
func (s *site) route(method, path string) string {
	c := s.server.echo.NewContext(nil, nil)
	s.server.echo.Router().Find(method, path, c)
	return c.Path()
}

func (c *crawl) visit(p *probe, path string) {
	u, err := url.Parse(path)
	if err != nil {
		c.site.T.Errorf("a link leads to %q", path)
		return
	}
	key := c.site.route(http.MethodGet, u.Path) + fmt.Sprint(slices.Sorted(maps.Keys(u.Query())))
	if c.seen[key]++; c.seen[key] > sameRoute {
		return
	}
	got := p.get(path)
	if c.each != nil {
		c.each(p, path, got)
	}
	c.collect(p, got)
	for _, href := range got.doc.Find("a[href]").Map(attr("href")) {
		if strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "//") {
			path, _, _ := strings.Cut(href, "#")
			c.visit(p, path)
		}
	}
}

// collect keeps the forms of a page, of each route the one with the most credentials.
func (c *crawl) collect(p *probe, page *reply) {
	for _, action := range page.doc.Find(`form[method="post"]`).Map(attr("action")) {
		path, _, _ := strings.Cut(action, "?")
		f := post{by: p, route: c.site.route(http.MethodPost, path), action: action, fields: page.form(action)}
		f.names = page.doc.Find(`form[method="post"][action="` + action + `"]`).First().Find("[name]").Map(attr("name"))
		if known, ok := c.posts[f.route]; !ok || len(f.secrets()) > len(known.secrets()) {
			c.posts[f.route] = f
		}
	}
}
