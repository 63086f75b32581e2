package app

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
)

// A direct asks the handler without a socket between.
type direct struct {
	handler http.Handler
	cookie  string
	host    string
}

func openDirect(t testing.TB, configs int) (*site, direct) {
	t.Helper()
	s := newSite(t, sandbox.Options{Configs: configs, Seed: 1})
	b := s.as("Emil", access.Editor)
	var cookies []string
	for _, c := range b.jar.Cookies(s.server.public) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	h, err := s.server.wrap(s.server.echo)
	if err != nil {
		t.Fatal(err)
	}
	return s, direct{h, strings.Join(cookies, "; "), s.server.public.Host}
}

func (d direct) get(t testing.TB, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = d.host
	r.Header.Set("Cookie", d.cookie)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w
}

// What the list of auth configs may cost, with 50 rows of 10,000, whatever the
// machine: allocations and bytes.
func TestGateListPage(t *testing.T) {
	s, d := openDirect(t, 10_000)
	const mostAllocations, mostBytes = 1900, 45_000
	first := d.get(t, s.list())
	if n := first.Body.Len(); n > mostBytes {
		t.Errorf("the page has %d bytes, at most %d are allowed", n, mostBytes)
	}
	next := firstMatch(t, first.Body.String(), `rel="next" href="([^"]+)"`)
	if n := testing.AllocsPerRun(20, func() { d.get(t, next) }); n > mostAllocations {
		t.Errorf("the page takes %.0f allocations, at most %d are allowed", n, mostAllocations)
	}
}

func BenchmarkListPage(b *testing.B) {
	s, d := openDirect(b, 10_000)
	next := firstMatch(b, d.get(b, s.list()).Body.String(), `rel="next" href="([^"]+)"`)
	b.ReportAllocs()
	for b.Loop() {
		d.get(b, next)
	}
}

func firstMatch(t testing.TB, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	return html.UnescapeString(m[1])
}
