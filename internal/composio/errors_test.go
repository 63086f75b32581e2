package composio_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/composio"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/composio/sandbox/sandboxtest"
	"gatehouse/internal/secret"
)

func TestErrors(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"managed-app-withdrawn=clockify"}})
	for name, tt := range map[string]struct {
		create       composio.CreateAuthConfig
		status, code int
	}{
		"required field":    {composio.CreateAuthConfig{Toolkit: "github", Type: composio.Custom, AuthScheme: "OAUTH2"}, 400, composio.CodeMissingField},
		"withdrawn app":     {composio.CreateAuthConfig{Toolkit: "clockify", Type: composio.Managed}, 400, composio.CodeMissingField},
		"no authentication": {composio.CreateAuthConfig{Toolkit: "hackernews", Type: composio.Managed}, 400, composio.CodeNoAuthToolkit},
		"no managed app":    {composio.CreateAuthConfig{Toolkit: "openai", Type: composio.Managed}, 400, composio.CodeNoManagedApp},
		"unknown toolkit":   {composio.CreateAuthConfig{Toolkit: "nosuchtoolkit", Type: composio.Managed}, 404, 2301},
	} {
		_, err := c.AuthConfigs.Create(t.Context(), tt.create)
		var e *composio.Error
		if !errors.As(err, &e) || e.Status != tt.status || e.Code != tt.code || e.Message == "" || e.RequestID == "" || !composio.Definite(err) {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestErrorShapes(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   composio.Error
	}{
		"envelope":      {400, `{"error":{"message":"m","code":301,"slug":"S","status":400,"request_id":"r","suggested_fix":"f","errors":["e"]}}`, composio.Error{Status: 400, Code: 301, Slug: "S", Message: "m", RequestID: "r", SuggestedFix: "f", FieldErrors: []string{"e"}}},
		"error_code":    {400, `{"error":{"message":"m","error_code":10400,"suggested_fix":"f","errors":["a: b"]}}`, composio.Error{Status: 400, Code: 10400, Message: "m", SuggestedFix: "f", FieldErrors: []string{"a: b"}}},
		"bare":          {404, `{"message":"m"}`, composio.Error{Status: 404, Message: "m"}},
		"camel case":    {400, `{"error":{"code":"BadRequest","message":"m","suggestedFix":"f"}}`, composio.Error{Status: 400, Slug: "BadRequest", Message: "m", SuggestedFix: "f"}},
		"text":          {400, `{"error":"m"}`, composio.Error{Status: 400, Message: "m"}},
		"html":          {403, `<html>`, composio.Error{Status: 403, Message: "Forbidden"}},
		"empty":         {404, ``, composio.Error{Status: 404, Message: "Not Found"}},
		"odd types":     {400, `{"error":{"message":"m","code":{"a":1},"errors":"no list"}}`, composio.Error{Status: 400, Message: "m"}},
		"hostile":       {400, `{"error":{"message":"a\u202eb\u0000c\nd"}}`, composio.Error{Status: 400, Message: "abc d"}},
		"array":         {400, `[]`, composio.Error{Status: 400, Message: "Bad Request"}},
		"null":          {400, `{"error":null}`, composio.Error{Status: 400, Message: "Bad Request"}},
		"redirect text": {307, ``, composio.Error{Status: 307, Message: "Temporary Redirect"}},
	} {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		err := client(t, ts.URL, "ak_x").AuthConfigs.Enable(t.Context(), "ac_1")
		ts.Close()
		var got *composio.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Whatever the remote answers, credentials that were sent don't come back, be it
// the client's key.
func TestAnswersThatQuoteCredentials(t *testing.T) {
	const canary, key = `canary-"quo<ted>"-9f3a41c7`, "ak_9f3a41c7_project"
	answers := map[string]string{
		"message":      `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"bad value canary-\"quo<ted>\"-9f3a41c7","suggested_fix":"not canary-\\\"quo\\u003cted\\u003e\\\"-9f3a41c7","errors":["canary-\"quo<ted>\"-9f3a41c7"]}}`,
		"slug":         `HTTP/1.1 409 Conflict\r\n\r\n{"error":{"message":"no","slug":"canary-\"quo<ted>\"-9f3a41c7","request_id":"x-9f3a41c7_project"}}`,
		"request id":   "HTTP/1.1 500 Oops\r\nX-Request-Id: ak_9f3a41c7_project\r\n\r\n{}",
		"key":          `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"unknown key ak_9f3a41c7_project"}}`,
		"upper case":   `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"CANARY-%22QUO%3CTED%3E%22-9F3A41C7"}}`,
		"base 64":      `HTTP/1.1 400 Bad Request\r\n\r\n{"error":{"message":"Basic ` + base64.StdEncoding.EncodeToString([]byte(canary)) + `"}}`,
		"status line":  `HTTP/1.1 2{canary-"quo<ted>"-9f3a41c7` + "\r\n\r\n",
		"header line":  "HTTP/1.1 200 OK\r\nak_9f3a41c7_project\r\n\r\n",
		"garbled body": "HTTP/1.1 200 OK\r\n\r\n" + `{"auth_config":{"id":canary-9f3a41c7}}`,
		"wrong type":   "HTTP/1.1 200 OK\r\n\r\n" + `{"auth_config":{"id":"ac_1","created_at":"canary-9f3a41c7"},"toolkit":9}`,
	}
	for name, answer := range answers {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(conn).ReadString('}') // the body of the request ends
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}()
		_, err = client(t, "http://"+l.Addr().String(), key).AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{Toolkit: "x", Type: composio.Custom, AuthScheme: "API_KEY", Credentials: values("api_key", canary)})
		_ = l.Close()
		if err == nil && name != "wrong type" {
			t.Errorf("%s: no error", name)
		}
		if text := strings.ToLower(fmt.Sprintf("%+v %#v %v", err, err, err)); strings.Contains(text, "9f3a41") || strings.Contains(text, "y2fuyxj5") {
			t.Errorf("%s: the credential came back: %s", name, text)
		}
	}
}

func TestMaskedValuesAreNotSent(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	id := s.State().Projects["staging"].AuthConfigs[0].ID
	before := len(s.Journal().Calls)
	for _, v := range []string{"", "  ", "REDACTED", " REDACTED ", "abcd...", "...", "[secret]"} {
		var masked *composio.MaskedValueError
		if err := c.AuthConfigs.Update(t.Context(), id, composio.UpdateAuthConfig{Type: composio.Custom, Credentials: values("client_secret", v)}); !errors.As(err, &masked) || masked.Field != "client_secret" || !composio.Definite(err) {
			t.Errorf("%q: %v", v, err)
		}
		if _, err := c.AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{Toolkit: "github", Type: composio.Custom, AuthScheme: "OAUTH2", SharedCredentials: values("k", v)}); !errors.As(err, &masked) {
			t.Errorf("shared %q: %v", v, err)
		}
	}
	if after := len(s.Journal().Calls); after != before {
		t.Errorf("%d calls were made", after-before)
	}
}

func TestBadIDsAreNotSent(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	before := len(s.Journal().Calls)
	for _, id := range []string{"", "..", "a/b", "ac_1?x=1", "ac_1#", strings.Repeat("x", 65), "ac_ü"} {
		if _, err := c.AuthConfigs.Get(t.Context(), id); err == nil {
			t.Errorf("Get(%q) went through", id)
		}
		for _, err := range []error{c.AuthConfigs.Delete(t.Context(), id, false), c.AuthConfigs.Enable(t.Context(), id), c.AuthConfigs.Update(t.Context(), id, composio.UpdateAuthConfig{Type: composio.Custom})} {
			if !composio.Definite(err) {
				t.Errorf("write to %q: %v", id, err)
			}
		}
	}
	if after := len(s.Journal().Calls); after != before {
		t.Errorf("%d calls were made", after-before)
	}
}

func TestStrictMask(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"strict-mask"}})
	for _, a := range collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{})) {
		for _, v := range append(append(a.Credentials.Scopes.Values, a.Credentials.UserScopes.Values...), a.Credentials.ClientID, a.Credentials.RedirectURI) {
			if secret.Masked(v) {
				t.Errorf("%s: a mask was taken for a value: %q", a.Name, v)
			}
		}
	}
}

func TestHostileStrings(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"hostile-strings"}})
	bad := func(where, s string) {
		t.Helper()
		if len(s) > 16<<10 || strings.ContainsAny(s, "\x00\x1b\u202e\u2066\u200b\r\n") {
			t.Errorf("%s: %.80q", where, s)
		}
	}
	for _, a := range collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{})) {
		bad("name", a.Name)
		bad("created by", a.CreatedBy)
	}
	for _, k := range collect(t, c.Toolkits.List(t.Context(), composio.ToolkitQuery{})) {
		bad("toolkit", k.Name)
		bad("description", k.Meta.Description)
	}
}

func TestUnknownScheme(t *testing.T) {
	_, c := start(t, sandbox.Options{Quirks: []string{"unknown-scheme"}})
	all := collect(t, c.AuthConfigs.List(t.Context(), composio.AuthConfigQuery{}))
	known := map[string]bool{}
	for _, a := range all {
		known[a.AuthScheme] = true
	}
	if len(known) < 3 {
		t.Errorf("schemes: %v", known)
	}
}

func TestOldEmptyAnswers(t *testing.T) {
	s, c := start(t, sandbox.Options{Quirks: []string{"old-empty-responses"}})
	id := s.State().Projects["staging"].AuthConfigs[0].ID
	if err := errors.Join(c.AuthConfigs.Disable(t.Context(), id), c.AuthConfigs.Enable(t.Context(), id), c.AuthConfigs.Delete(t.Context(), id, false)); err != nil {
		t.Error(err)
	}
}

// Writes are sent once, and the error tells whether they may have had an effect.
func TestWritesUnderFaults(t *testing.T) {
	for kind, tt := range map[string]struct{ definite, applied bool }{
		"timeout-before":              {false, false},
		"timeout-after":               {false, true},
		"reset-before":                {false, false},
		"reset-after":                 {false, true},
		"5xx-before":                  {false, false},
		"5xx-after":                   {false, true},
		"garbage-2xx":                 {false, true},
		"status=429":                  {true, false},
		"status=400":                  {true, false},
		"status=422":                  {true, false},
		"status=409":                  {true, false},
		"redirect=http://127.0.0.2/x": {false, false},
	} {
		t.Run(kind, func(t *testing.T) {
			s := sandboxtest.New(t, sandbox.Options{})
			patience := time.Minute
			if strings.HasPrefix(kind, "timeout") {
				patience = time.Second
			}
			c := client(t, s.URL, sandbox.StagingKey, composio.WithTimeout(patience))
			if err := s.Fail(sandbox.Fault{Kind: kind, Method: http.MethodPost}); err != nil {
				t.Fatal(err)
			}
			_, err := c.AuthConfigs.Create(t.Context(), composio.CreateAuthConfig{Toolkit: "slack", Type: composio.Managed, Name: "n"})
			if err == nil || composio.Definite(err) != tt.definite {
				t.Errorf("definite = %v, want %v: %v", !tt.definite, tt.definite, err)
			}
			j := s.Journal()
			if len(j.Calls) != 1 {
				t.Errorf("%d calls, want 1", len(j.Calls))
			}
			if applied := len(j.Mutations) == 1; applied != tt.applied {
				t.Errorf("applied = %v, want %v", applied, tt.applied)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	ts := httptest.NewServer(http.NotFoundHandler())
	ts.Close()
	err := client(t, ts.URL, "ak_x").AuthConfigs.Enable(t.Context(), "ac_1")
	if !composio.NotSent(err) {
		t.Errorf("a refused connection is definite: %v", err)
	}
}

func TestReadsAreRepeated(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	if err := s.Fail(sandbox.Fault{Kind: "5xx-before", Method: http.MethodGet, Times: 2}); err != nil {
		t.Fatal(err)
	}
	id := s.State().Projects["staging"].AuthConfigs[0].ID
	if _, err := c.AuthConfigs.Get(t.Context(), id); err != nil {
		t.Error(err)
	}
	if n := len(s.Journal().Calls); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestReadsGiveUpWithTheContext(t *testing.T) {
	s, c := start(t, sandbox.Options{})
	if err := s.Fail(sandbox.Fault{Kind: "timeout-before", Times: -1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.AuthConfigs.Get(ctx, "ac_123456789012"); err == nil {
		t.Error("no error")
	}
}

func TestNoRedirectCarriesTheKey(t *testing.T) {
	var leaked bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer other.Close()
	s, c := start(t, sandbox.Options{})
	if err := s.Fail(sandbox.Fault{Kind: "redirect=" + other.URL + "/steal", Times: -1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AuthConfigs.Get(t.Context(), "ac_123456789012"); err == nil {
		t.Error("a redirect passed for an answer")
	}
	if err := c.AuthConfigs.Enable(t.Context(), "ac_123456789012"); err == nil {
		t.Error("a redirect passed for an answer")
	}
	if leaked {
		t.Error("the redirect was followed")
	}
}

func TestBaseURL(t *testing.T) {
	for _, good := range []string{"https://backend.composio.dev", "https://backend.composio.dev/", "http://127.0.0.1:8099", "http://localhost:1", "http://[::1]:1"} {
		if _, err := composio.CheckBaseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "backend.composio.dev", "http://backend.composio.dev", "https://u:p@x.example", "https://x.example/api", "https://x.example?a=b", "ftp://x.example", "http://169.254.169.254"} {
		if _, err := composio.CheckBaseURL(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}
