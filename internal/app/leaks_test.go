package app

import (
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// away are addresses that lead away, written in the ways that browsers fold
// into one.
var away = []string{
	"https://evil.example/", "//evil.example/", `/\evil.example/`, "/\t/evil.example/", "javascript:alert(1)//evil.example", "\x00//evil.example", "/./\\evil.example",
}

// leading are names of parameters that programs take addresses from.
var leading = []string{"next", "back", "return", "return_to", "returnTo", "redirect", "redirect_uri", "url", "to", "goto", "dest", "continue", "page", "path", "r", "draft", "state"}

// staysHere checks that an answer leads nobody away.
func staysHere(t *testing.T, name string, got *reply) {
	t.Helper()
	if to := got.header.Get("Location"); to != "" && !regexp.MustCompile(`^/([^/\\\x00-\x20\x7f][^\\\x00-\x20\x7f]*)?$`).MatchString(to) {
		t.Errorf("%s leads to %q", name, to)
	}
	if got.header.Get("Refresh") != "" || strings.Contains(got.header.Get("Hx-Redirect")+got.header.Get("Hx-Location")+got.header.Get("Link"), "evil") {
		t.Errorf("%s leads away: %v", name, got.header)
	}
	for _, name := range []string{"href", "src", "action", "formaction", "hx-get", "hx-post", "srcset", "poster", "data", "content"} {
		for _, to := range got.doc.Find("[" + name + "]").Map(attr(name)) {
			u, err := url.Parse(strings.NewReplacer("\t", "", "\n", "", `\`, "/").Replace(strings.TrimSpace(to)))
			if err != nil || strings.HasSuffix(u.Host, "evil.example") || u.Scheme == "javascript" || u.Scheme == "data" {
				t.Errorf("%s has %s=%q", name, name, to)
			}
		}
	}
}

// No parameter, header or field of any route leads to another site.
func TestNobodyIsLedAway(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{})
	found := s.crawl(fill, nil, people...)
	for _, to := range away {
		query := url.Values{}
		for _, name := range leading {
			query.Set(name, to)
		}
		for _, route := range s.server.routes() {
			if route.method != http.MethodGet {
				continue
			}
			for _, p := range people[:2] {
				r := p.request(http.MethodGet, fill(route.path)+"?"+query.Encode(), nil)
				for _, name := range []string{"Referer", "Origin", "X-Forwarded-Host", "Forwarded", "X-Original-Url", "X-Forwarded-Prefix"} {
					r.Header.Set(name, strings.ReplaceAll(to, "\x00", ""))
				}
				staysHere(t, route.path, p.read(r))
			}
		}
		for _, f := range found.forms(fill, people) {
			if confines(f.route) {
				continue
			}
			for _, p := range []*probe{f.by, people[0]} { // whom the form was made for, and who isn't signed in
				form := f.filled("draft", to)
				for _, name := range f.names {
					if slices.Contains(leading, name) {
						form.Set(name, to)
					}
				}
				r := p.request(http.MethodPost, f.action, form)
				r.Header.Set("Referer", strings.ReplaceAll(to, "\x00", ""))
				staysHere(t, "POST "+f.route, p.read(r))
			}
		}
	}
}

// stray is a credential that must not turn up anywhere. It is a good passphrase
// too, so that some forms take it.
const stray = "Kanarienvogel8e3f51d07b9c4a26qx"

// disguises are the ways in which a text may lie in a file.
func disguises(text string) []string {
	out := []string{text, strings.ToUpper(text), hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for skip := range 3 { // Base64 depends on where the text begins
		b := base64.StdEncoding.EncodeToString(append(make([]byte, skip), text...))
		out = append(out, b[4:len(b)-4])
	}
	utf16 := make([]byte, 0, 2*len(text))
	for _, c := range []byte(text) {
		utf16 = append(utf16, c, 0)
	}
	return append(out, string(utf16))
}

// A credential that is typed into any form, of a reader who may send it and of one
// who may not, is found in no answer, address, log or file.
func TestCredentialsTurnUpNowhere(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{})
	tell := disguises(stray)
	clean := func(what, text string) {
		t.Helper()
		for _, d := range tell {
			if i := strings.Index(text, d); i >= 0 {
				t.Errorf("%s has a credential: %q", what, text[max(0, i-80):min(len(text), i+len(d)+20)])
				return
			}
		}
	}
	answer := func(what string, got *reply) {
		t.Helper()
		clean(what, got.body)
		for name, values := range got.header {
			clean(what+", header "+name, strings.Join(values, "\n"))
		}
	}
	found := s.crawl(fill, nil, people...)
	var takers []string
	for _, f := range found.forms(fill, people) {
		for _, name := range f.secrets() {
			takers = append(takers, f.route+" "+name)
			for _, p := range []*probe{f.by, people[0], people[2]} {
				typed := stray
				if name == "secret.address" || name == "secret.url" {
					typed = "https://hooks.example.com/services/" + stray
				}
				form := f.filled(name, typed)
				answer("POST "+f.route, p.post(f.action, form))
				for other := range f.fields { // complaints are drawn with all that was typed
					if other != name && !strings.HasPrefix(other, secretPrefix) {
						form.Set(other, "\x00")
					}
				}
				form.Set("op", f.filled(name, "")["op"][0])
				answer("POST "+f.route, p.post(f.action, form))
				form.Set("nonsense", "1")
				answer("POST "+f.route, p.post(f.action, form))
			}
		}
		// Where no credential belongs, a draft keeps none.
		answer("POST "+f.route, people[0].post(f.action, f.filled(secretPrefix+"canary", stray)))
	}
	for _, want := range []string{"/signin ", "/account/passphrase ", "/settings/projects ", "/settings/projects/:slug/key ", "/settings/notifications ", sinksPath + " ", "/projects/:slug/auth-configs "} {
		if !slices.ContainsFunc(takers, func(have string) bool { return strings.HasPrefix(have, want) }) {
			t.Errorf("no form of %s takes a credential; these do: %q", want, takers)
		}
	}
	s.mayKnowCredentials(answer)
	s.crawl(fill, func(_ *probe, path string, got *reply) { answer("GET "+path, got) }, people...)
	clean("the log", s.Log.String())
	s.files(clean)
}

// mayKnowCredentials carries through what takes the stray credential: a change of
// an auth config, and a passphrase.
func (s *site) mayKnowCredentials(answer func(string, *reply)) {
	s.T.Helper()
	b := s.as("Petra", access.Editor)
	a := s.Config(rig.OwnOAuth)
	path := s.page(a.ID)
	review := b.submit(b.get(path+"/edit"), path+"/review", "field.name", "renamed").is(200)
	saved := b.submit(review, path, "secret.cred.client_secret", stray, "reason", "because").is(200)
	answer("a change that waits", saved)
	answer("a new passphrase", b.submit(b.get("/account"), "/account/passphrase", "secret.current", rig.Passphrase, "secret.passphrase", stray).has("Passphrase changed"))
	answer("a sign-in", s.browser().submit(s.browser().get("/signin"), "/signin", "email", "petra@example.com", "secret.passphrase", stray))
}

// files calls for each file of the data directory.
func (s *site) files(each func(name, text string)) {
	s.T.Helper()
	n := 0
	err := filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path) //nolint:gosec // of the test's own directory
		each(path, string(raw))
		n++
		return err
	})
	if err != nil || n < 3 {
		s.T.Errorf("%d files: %v", n, err)
	}
}
