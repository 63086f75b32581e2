package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A box is a sandbox behind a real server.
type box struct {
	t *testing.T
	*Server
	url string
}

// A tick is a clock that tests move.
type tick struct{ now time.Time }

func (c *tick) time() time.Time { return c.now }

func newTick() *tick { return &tick{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func open(t *testing.T, o Options) *box {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return &box{t, s, h.URL}
}

// quirky opens a sandbox with quirks.
func quirky(t *testing.T, quirks ...string) *box {
	t.Helper()
	return open(t, Options{Quirks: quirks})
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// try sends a request; the error is that of the connection.
func (b *box) try(key, method, path, body string, headers ...string) (answer, error) {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("x-api-key", key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	out := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &out.body) // tests of broken bodies look at raw
	return out, err
}

// do sends a request of the production project to v3.1.
func (b *box) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	return b.as(ProductionKey, method, "/api/v3.1"+path, body, headers...)
}

func (b *box) as(key, method, path, body string, headers ...string) answer {
	b.t.Helper()
	a, err := b.try(key, method, path, body, headers...)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// get wants a 200.
func (b *box) get(path string) answer {
	b.t.Helper()
	return b.do("GET", path, "").want(b.t, 200)
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %.600s", a.status, status, a.raw)
	}
	return a
}

// at walks into the body: names for objects, numbers for lists.
func (a answer) at(path ...any) any {
	return dig(a.body, path...)
}

func dig(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (a answer) items() []any {
	l, _ := a.at("items").([]any)
	return l
}

// each collects one key of all items.
func (a answer) each(path ...any) []any {
	var out []any
	for _, v := range a.items() {
		out = append(out, dig(v, path...))
	}
	return out
}

// refused checks code, slug and status of a standard envelope.
func (a answer) refused(t *testing.T, status, code int, slug string) answer {
	t.Helper()
	a.want(t, status)
	if a.at("error", "code") != float64(code) || a.at("error", "slug") != slug || a.at("error", "status") != float64(status) {
		t.Fatalf("want code %d, slug %s: %s", code, slug, a.raw)
	}
	return a
}

// invalid checks the validation envelope, and that a complaint has the text.
func (a answer) invalid(t *testing.T, text string) {
	t.Helper()
	a.want(t, 400)
	if a.at("error", "error_code") != float64(10400) || a.at("error", "code") != nil || a.at("error", "slug") != nil {
		t.Fatalf("want the validation envelope: %s", a.raw)
	}
	if !strings.Contains(a.raw, text) {
		t.Fatalf("want a complaint about %q: %s", text, a.raw)
	}
}

const githubApp = `{"toolkit":{"slug":"github"},"auth_config":{"type":"use_custom_auth","authScheme":"OAUTH2","name":"made",
	"credentials":{"client_id":"Iv1.public","client_secret":"hush-hush-secret","scopes":"repo,user"}}}`

// make creates an auth config and gives its id.
func (b *box) make(body string) string {
	b.t.Helper()
	id, _ := b.do("POST", "/auth_configs", body).want(b.t, 201).at("auth_config", "id").(string)
	return id
}

// config reads one auth config.
func (b *box) config(id string) answer {
	b.t.Helper()
	return b.get("/auth_configs/" + id)
}

// raws makes the objects of an edit.
func raws(objects ...string) []json.RawMessage {
	var out []json.RawMessage
	for _, o := range objects {
		out = append(out, json.RawMessage(o))
	}
	return out
}

// serve puts a server of the test's own making behind a listener.
func serve(t *testing.T, s *Server) *box {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &box{t, s, h.URL}
}
