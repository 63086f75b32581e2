package app

import (
	"bytes"
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
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, SkipSettingDefaults: true,
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
