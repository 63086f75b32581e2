package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/health"
	"gatehouse/internal/notify"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
)

// A site is a console that answers on a loopback address.
type site struct {
	*rig.Rig
	server *Server
	url    string

	directory string // token of a directory's client, once the site is lived in
}

func newSite(t testing.TB, o sandbox.Options) *site {
	t.Helper()
	return openSite(t, rig.New(t, o), nil)
}

func openSite(t testing.TB, r *rig.Rig, demo []DemoUser, change ...func(*Options)) *site {
	t.Helper()
	s := &site{Rig: r}
	ts := httptest.NewUnstartedServer(nil)
	public, err := url.Parse("http://" + ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := options(r, public, demo)
	for _, c := range change {
		c(&o)
	}
	h, server, err := build(o)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	ts.Config.Handler = h
	ts.Start()
	t.Cleanup(ts.Close)
	s.url = ts.URL
	return s
}

// options are those of a server over the parts of a rig.
func options(r *rig.Rig, public *url.URL, demo []DemoUser) Options {
	told, sinks := notifier(r, notify.Settings{PublicURL: public.String()}), streamer(r, sink.Settings{})
	return Options{
		Store: r.Store, Mirror: r.Mirror, Changes: r.Changes, Access: r.Access, Witness: r.Witness, Archive: r.Archive, Notify: told, Sinks: sinks, Keys: r.Keys,
		Health:    health.NewService(health.Parts{Store: r.Store, Notify: told, Sinks: sinks, Witness: r.Witness, Archive: r.Archive, Errors: &health.Errors{}, Build: "test", Sync: time.Hour, Now: rig.Now}),
		PublicURL: public, Build: "test", Demo: demo,
		Now: rig.Now, Log: slog.New(slog.NewTextHandler(r.Log, nil)),
	}
}

// notifier tells nobody until it is run.
func notifier(r *rig.Rig, settings notify.Settings) *notify.Service {
	return notify.NewService(r.Store, r.Keys, settings, rig.Now, slog.New(slog.NewTextHandler(r.Log, nil)))
}

// streamer streams nothing until it is run.
func streamer(r *rig.Rig, settings sink.Settings) *sink.Service {
	return sink.NewService(r.Store, r.Keys, settings, rig.Now, slog.New(slog.NewTextHandler(r.Log, nil)))
}

// A browser keeps cookies and follows redirects, as far as it is told to.
type browser struct {
	site   *site
	client *http.Client
	jar    *cookiejar.Jar
	header http.Header
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.T.Fatal(err)
	}
	return &browser{site: s, jar: jar, client: &http.Client{Jar: jar}, header: http.Header{}}
}

// as returns a browser in which a new person of these roles is signed in.
func (s *site) as(name string, roles ...access.Role) *browser {
	s.T.Helper()
	s.Person(name, roles...)
	return s.signedIn(name)
}

func (s *site) signedIn(name string) *browser {
	s.T.Helper()
	token, _, err := s.Access.SignIn(s.T.Context(), strings.ToLower(name)+"@example.com", secret.New(rig.Passphrase), access.Origin{IP: "192.0.2.1"})
	if err != nil {
		s.T.Fatal(err)
	}
	b := s.browser()
	b.setCookie("sid", token)
	return b
}

func (b *browser) setCookie(name, value string) {
	u, err := url.Parse(b.site.url)
	if err != nil {
		b.site.T.Fatal(err)
	}
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

func (b *browser) cookie(name string) string {
	u, err := url.Parse(b.site.url)
	if err != nil {
		b.site.T.Fatal(err)
	}
	for _, c := range b.jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// A reply is an answer, read to the end.
type reply struct {
	t      testing.TB
	status int
	url    *url.URL
	header http.Header
	body   string
	doc    *goquery.Document
}

func (b *browser) do(r *http.Request) *reply {
	b.site.T.Helper()
	for k, v := range b.header {
		r.Header[k] = v
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.site.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.site.T.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(string(body)))
	if err != nil {
		b.site.T.Fatal(err)
	}
	got := &reply{b.site.T, resp.StatusCode, resp.Request.URL, resp.Header, string(body), doc}
	got.leads()
	return got
}

// leads checks that each complaint about a form leads to its field.
func (r *reply) leads() {
	r.t.Helper()
	r.doc.Find("#complaints a").Each(func(_ int, a *goquery.Selection) {
		href, _ := a.Attr("href")
		field := r.doc.Find("main[id], main [id]").FilterFunction(func(_ int, e *goquery.Selection) bool { return "#"+e.AttrOr("id", "") == href })
		if field.Length() == 0 {
			r.t.Errorf("%s: the complaint %q leads to %s, which isn't there", r.url, a.Text(), href)
		}
	})
}

func (b *browser) request(method, path string, form url.Values) *http.Request {
	b.site.T.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.site.T.Context(), method, b.site.url+path, body)
	if err != nil {
		b.site.T.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.site.url)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

func (b *browser) get(path string) *reply {
	b.site.T.Helper()
	return b.do(b.request("GET", path, nil))
}

// form returns what a browser would send for the form with this action.
func (r *reply) form(action string) url.Values {
	r.t.Helper()
	f := r.doc.Find(`form[method="post"][action="` + action + `"]`).First()
	if f.Length() == 0 {
		r.t.Fatalf("%s has no form for %s:\n%.2000s", r.url, action, r.text())
	}
	values := url.Values{}
	f.Find("input, textarea, select").Each(func(_ int, e *goquery.Selection) {
		name, ok := e.Attr("name")
		if !ok {
			return
		}
		switch kind, _ := e.Attr("type"); {
		case goquery.NodeName(e) == "textarea":
			values.Add(name, e.Text())
		case goquery.NodeName(e) == "select":
			o := e.Find("option[selected]")
			if o.Length() == 0 {
				o = e.Find("option").First()
			}
			v, _ := o.Attr("value")
			values.Add(name, v)
		case kind == "checkbox" || kind == "radio":
			if _, on := e.Attr("checked"); on {
				v, _ := e.Attr("value")
				values.Add(name, v)
			}
		default:
			v, _ := e.Attr("value")
			values.Add(name, v)
		}
	})
	return values
}

// submit fills in a form of a page and sends it; pairs are names and values.
func (b *browser) submit(on *reply, action string, pairs ...string) *reply {
	b.site.T.Helper()
	form := on.form(action)
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := b.request("POST", action, form)
	r.Header.Set("Referer", on.url.String())
	return b.do(r)
}

// text is what a reader sees, white space folded.
func (r *reply) text() string { return strings.Join(strings.Fields(r.doc.Find("body").Text()), " ") }

// has checks that a page shows texts.
func (r *reply) has(texts ...string) *reply {
	r.t.Helper()
	for _, want := range texts {
		if !strings.Contains(r.text(), want) {
			r.t.Errorf("%s (%d) doesn't say %q:\n%.3000s", r.url, r.status, want, r.text())
		}
	}
	return r
}

// is checks the status.
func (r *reply) is(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("%s answered %d, want %d:\n%.1500s", r.url, r.status, status, r.text())
	}
	return r
}

// at checks where a redirect led.
func (r *reply) at(path string) *reply {
	r.t.Helper()
	if r.url.Path != path {
		r.t.Errorf("arrived at %s, want %s:\n%.1500s", r.url.Path, path, r.text())
	}
	return r
}

func (s *site) historyOf(action string) int {
	s.T.Helper()
	return len(s.History(store.HistoryQuery{Action: action}))
}
