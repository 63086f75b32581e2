package app

import (
	"io"
	"net/http"
	"net/url"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
)

// A form from elsewhere is refused, whatever headers it comes with.
func TestForgedForms(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.Enabled)
	b := s.as("Emil", access.Admin, access.Editor)
	reader := s.Person("Other", access.Viewer)
	good := b.get("/account").form("/account")
	emil, err := s.Store.AccountByEmail(t.Context(), "emil@example.com")
	if err != nil {
		t.Fatal(err)
	}
	combinations := []map[string]string{
		{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
		{"Sec-Fetch-Site": "same-site", "Origin": "https://sub.gatehouse.example"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
		{"Sec-Fetch-Site": "none"},
		{"Sec-Fetch-Site": "same-origin", "Origin": s.url},
		{},
	}
	for _, route := range s.server.routes() {
		if route.method != "POST" {
			continue
		}
		path := s.fill(route.path, a.ID, "chg_1", reader, s.Project.Slug)
		for _, headers := range combinations {
			tokens := []string{"", "AAAA", b.cookie("sid")}
			if site := headers["Sec-Fetch-Site"]; site == "cross-site" || site == "same-site" || site == "" && headers["Origin"] != "" {
				tokens = append(tokens, good.Get("csrf")) // the headers alone are reason enough
			}
			for _, token := range tokens {
				r := b.request("POST", path, url.Values{"csrf": {token}, "op": {s.server.newOpID(emil.ID, path)}})
				r.Header.Del("Origin")
				r.Header.Del("Sec-Fetch-Site")
				for k, v := range headers {
					r.Header.Set(k, v)
				}
				got := b.do(r)
				if route.bearer() && got.status == 401 { // cookies are nothing there
					continue
				}
				if got.status != 403 {
					t.Errorf("POST %s with %v and token %q: %d, want 403", path, headers, token, got.status)
				}
			}
		}
	}
	if n := len(s.Mutations()); n != 0 {
		t.Errorf("%d mutations", n)
	}
}

// A token of one session is no good in another, nor an operation of one person or action for another.
// Who signs out, or is disabled, while a request is still on its way, is out.
func TestSlowBody(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	form := b.get("/people").form("/people")
	form.Set("name", "Mallory")
	form.Set("email", "mallory@example.com")
	form.Set("roles", "admin")
	body := form.Encode()
	pr, pw := io.Pipe()
	req := b.request(http.MethodPost, "/people", nil)
	req.Body, req.ContentLength = pr, int64(len(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := make(chan int, 1)
	go func() {
		resp, err := (&http.Client{Jar: b.jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			answer <- 0
			return
		}
		_ = resp.Body.Close() // only its status counts
		answer <- resp.StatusCode
	}()
	if _, err := io.WriteString(pw, body[:10]); err != nil {
		t.Fatal(err)
	}
	ada, err := s.Store.AccountByEmail(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Access.SetDisabled(t.Context(), access.Operator(), ada.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(pw, body[10:]); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-answer; code != http.StatusSeeOther {
		t.Errorf("the answer is %d, not the sign-in page", code)
	}
	if _, err := s.Store.AccountByEmail(t.Context(), "mallory@example.com"); !problem.Is(err, problem.NotFound) {
		t.Errorf("a disabled admin invited somebody: %v", err)
	}
}

func TestFormsAreBound(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	emil, edda := s.as("Emil", access.Editor), s.as("Edda", access.Editor)
	mine := emil.get("/account").form("/account")
	for name, form := range map[string]url.Values{
		"another session's token": mine,
		"another person's op":     {"csrf": edda.get("/account").form("/account")["csrf"], "op": mine["op"], "name": {"X"}},
		"another action's op":     {"csrf": edda.get("/account").form("/account")["csrf"], "op": edda.get("/account").form("/account/keys")["op"], "name": {"X"}},
	} {
		if got := edda.do(edda.request("POST", "/account", form)); got.status != 403 {
			t.Errorf("%s: %d, want 403", name, got.status)
		}
	}
}
