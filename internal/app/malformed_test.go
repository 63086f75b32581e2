package app

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// How many malformed requests there are, and from what they are made.
const (
	malformedRequests = 50_000
	malformedSeed     = 20_261_123
)

// Whatever is sent to any route, signed in or not: never an answer that says
// something went wrong here, and nothing that stays behind.
func TestMalformedRequests(t *testing.T) {
	s, fill, people := sweep(t, sandbox.Options{})
	found := s.crawl(fill, nil, people...)
	source := newGarbler(s, fill, found.forms(fill, people), people)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var mu sync.Mutex
	answers := map[int]int{}
	var work sync.WaitGroup
	next := make(chan uint64, 64)
	for range 2 {
		work.Go(func() {
			for n := range next {
				r := source.request(rand.New(rand.NewPCG(malformedSeed, n))) //nolint:gosec // to be repeated
				w := recorder{httptest.NewRecorder()}
				people[0].handler.ServeHTTP(w, r)
				mu.Lock()
				if answers[w.Code]++; w.Code >= 500 || w.Code == 0 {
					t.Errorf("request %d, %s %s (%s): %d", n, r.Method, r.URL, r.Header.Get("Content-Type"), w.Code)
				}
				mu.Unlock()
			}
		})
	}
	for n := range uint64(malformedRequests) {
		next <- n
	}
	close(next)
	work.Wait()
	t.Logf("answers: %v", answers)
	if answers[http.StatusOK] < malformedRequests/25 || answers[http.StatusUnprocessableEntity] < malformedRequests/15 {
		t.Error("few get as far as a page or the checks of a form: what they come from has ended")
	}
	if t.Failed() {
		t.Logf("%.20000s", s.Log.String())
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines+5; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc) - int64(len(s.Log.String())); grown > 48<<20 {
		t.Errorf("%d MB stay behind", grown>>20)
	}
	people[0].get("/signin").is(200)
}

// A garbler makes requests that no page of ours would send.
type garbler struct {
	site   *site
	fill   func(string) string
	routes []route
	forms  map[string]post
	people []*probe
	names  []string
	token  string // of the API

	directory string // of SCIM

	documents map[bool][]string // bodies that the API takes, or SCIM, nearly
}

func newGarbler(s *site, fill func(string) string, forms []post, people []*probe) *garbler {
	g := &garbler{site: s, fill: fill, routes: s.server.routes(), forms: map[string]post{}, people: people, directory: s.directory}
	g.names = strings.Fields("q sort after before from to tab do id at entry version v toolkit scheme status managed next token draft every code state error part of limit cursor page op csrf")
	for _, f := range forms {
		g.forms[f.route] = f
		g.names = append(g.names, f.names...)
	}
	_, g.token = s.tokenOf(s.Person("Robot", access.Editor, access.Auditor), nil, allRights...)
	id := s.Config(rig.OwnOAuth).ID
	g.documents = map[bool][]string{
		false: {
			`{"operation":"disable","targets":["` + id + `"],"reason":"x"}`, `{"operation":"update","targets":["` + id + `"],"fields":{"name":"x","scopes":["a"]},"reason":"x"}`,
			`{"operation":"create","toolkit":"github","scheme":"OAUTH2","fields":{"name":"x"},"credentials":{"client_secret":"x"}}`, `[[[[[[{"a":1e999}]]]]]]`,
		},
		true: {
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x@example.com","name":{"givenName":"X","familyName":"Y"},"emails":[{"value":"x@example.com","primary":true}],"active":true,"externalId":"x"}`,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"g","externalId":"g","members":[{"value":"usr_1"}]}`,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false},{"op":"add","path":"members[value eq \"x\"]","value":[{"value":"x"}]}]}`,
		},
	}
	slices.Sort(g.names)
	g.names = slices.Compact(g.names)
	return g
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// garbage is a value that nobody means.
func garbage(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return pick(r, hostile)
	case 1:
		raw := make([]byte, r.IntN(40))
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		return string(raw)
	case 2:
		return strings.Repeat(pick(r, []string{"A", "../", "%00", "(", "\"", "NOT ", "*", "9", "é", "{\"a\":"}), r.IntN(400))
	case 3:
		return strconv.FormatInt(r.Int64()-1<<62, 10)
	}
	return pick(r, []string{
		"", "-1", "0", "1", "9223372036854775808", "1e309", "NaN", "null", "true", "on", "2026-13-45", "0000-00-00", "9999-12-31T23:59", "-0001-01-01", "..", "%2e%2e%2f",
		"ac_x", "chg_1", "usr_", "staging", "nosuch", "admin", "*", "actor:", "\"open", "a OR", "(((", "-action:x from:y", "=1+1", "\x00", "\r\nSet-Cookie: a=b", "OAUTH2", "github",
		"disable", "delete", "done", "csv", "[]", "{}", "--", "' OR 1=1 --", "𝕏", "\u202e", "/history", "//", "AAAA", "YWJj", "application/json", "?", "#", ";", "&", "%", "%zz",
	})
}

// query is some parameters, of ours and others.
func (g *garbler) query(r *rand.Rand) string {
	var parts []string
	for range r.IntN(4) {
		value := garbage(r)
		if r.IntN(8) > 0 {
			value = url.QueryEscape(value)
		}
		parts = append(parts, pick(r, g.names)+"="+value)
	}
	return strings.Join(parts, "&")
}

// path is a route's, with garbage in the places of ids.
func (g *garbler) path(r *rand.Rand, route string) string {
	if r.IntN(20) == 0 {
		return "/" + garbage(r)
	}
	good := strings.Split(g.fill(route), "/")
	parts := strings.Split(route, "/")
	for i, p := range parts {
		switch {
		case strings.HasPrefix(p, ":") && r.IntN(3) == 0:
			parts[i] = garbage(r)
		case strings.HasPrefix(p, ":") && i < len(good):
			parts[i] = good[i]
		}
	}
	return strings.Join(parts, "/")
}

var (
	methods = []string{"GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "get", "X"}
	kinds   = []string{"", "application/json", "multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded; charset=utf-16", "garbage;;;", "application/scim+json"}
	garbled = []string{"Cookie", "If-None-Match", "Range", "X-Request-Id", "Accept-Encoding", "Accept-Language", "Authorization", "Last-Event-ID", "HX-Request", "X-Poll", "Referer", "Origin", "X-Forwarded-For", "Idempotency-Key", "If-Match"}
	hashing = []string{"/signin", "/setup", "/link", "/account/passphrase"} // each takes a while, as it must
)

// request is the next one.
func (g *garbler) request(r *rand.Rand) *http.Request {
	route := pick(r, g.routes)
	who := pick(r, g.people)
	method := pick(r, methods)
	var body string
	f := g.forms[route.path]
	if route.method != http.MethodGet && r.IntN(6) > 0 {
		method = route.method
	}
	path := g.path(r, route.path)
	kind := "application/x-www-form-urlencoded"
	if method != http.MethodGet {
		switch r.IntN(10) {
		case 0:
			kind = pick(r, kinds)
			body = garbage(r)
		case 1:
			body = garbage(r) + "&" + garbage(r)
		default:
			body = g.typed(r, f, path, &who)
		}
	}
	if route.bearer() && body != "" {
		kind, body = "application/json", pick(r, g.documents[isSCIM(route.path)])
		if at := r.IntN(len(body)); r.IntN(3) > 0 {
			body = body[:at] + garbage(r) + body[min(len(body), at+r.IntN(8)):]
		}
	}
	u := &url.URL{Path: path, RawQuery: g.query(r)}
	if r.IntN(30) == 0 {
		u.RawPath = strings.ReplaceAll(path, "/", "%2F")
	}
	out := &http.Request{
		Method: method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Host: g.site.server.public.Host, RemoteAddr: "192.0.2.7:1",
		Body: http.NoBody, RequestURI: u.RequestURI(),
	}
	if body != "" {
		out.Body, out.ContentLength = http.MaxBytesReader(nil, readCloser{strings.NewReader(body)}, 1<<30), int64(len(body))
		out.Header.Set("Content-Type", kind)
	}
	if route.bearer() && r.IntN(4) > 0 {
		out.Header.Set("Authorization", "Bearer "+map[bool]string{false: g.token, true: g.directory}[isSCIM(route.path)])
	}
	out.AddCookie(&http.Cookie{Name: "sid", Value: who.token})
	for range r.IntN(3) {
		if name := pick(r, garbled); name != "Cookie" || r.IntN(4) == 0 {
			out.Header.Set(name, garbage(r))
		}
	}
	return out.WithContext(g.site.T.Context())
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// typed is what a page's form would carry, with garbage in its fields. It comes
// from whom the form was made for.
func (g *garbler) typed(r *rand.Rand, f post, path string, who **probe) string {
	form := url.Values{}
	bound := func(prefix string) bool { return strings.HasPrefix(path, prefix) }
	good := !confines(path) && (!slices.ContainsFunc(hashing, bound) || r.IntN(50) == 0)
	if f.by != nil && good {
		*who = f.by
		form = f.filled("csrf", f.by.csrf())
		form.Set("op", g.site.server.newOpID(f.by.user, path))
	}
	for _, name := range f.names {
		if name != "csrf" && name != "op" && r.IntN(2) == 0 {
			form[name] = []string{garbage(r)}
		}
	}
	if r.IntN(4) == 0 {
		form.Add(pick(r, g.names), garbage(r))
	}
	return form.Encode()
}
