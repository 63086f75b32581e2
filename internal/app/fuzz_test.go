package app

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// Whatever is said to come next, it is a page of this console.
func FuzzLocalPath(f *testing.F) {
	for _, p := range []string{"/", "/changes?x=1#y", "//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", "/%2f/evil", "/a\r\nb", "/..//evil.example", "javascript:x", "/%2fevil.example/^"} {
		f.Add(p)
	}
	base := &url.URL{Scheme: "https", Host: "gatehouse.example.com", Path: "/"}
	f.Fuzz(func(t *testing.T, p string) {
		for _, next := range []string{localPath(p), withQuery(localPath(p), "draft", p)} {
			// Browsers leave out tabs and line ends, and read a backslash as a slash.
			read := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(next)
			if !strings.HasPrefix(read, "/") || strings.HasPrefix(read, "//") {
				t.Fatalf("%q leads to %q", p, next)
			}
			if u, err := base.Parse(read); err == nil && (u.Host != base.Host || u.Scheme != base.Scheme) {
				t.Fatalf("%q leads to %s", p, u)
			}
		}
	})
}

// A form is read into its fields, or refused; nothing is taken that it hasn't.
func FuzzForm(f *testing.F) {
	for _, text := range []string{"name=a&slug=b", "name=a&name=b", "role=admin", "secret.api_key=x", "field.name=x&field.name=y", "%zz", "a;b", "=", "tools=a&tools=b", "\x00=\xff"} {
		f.Add(text)
	}
	forms := []any{&projectForm{}, &channelForm{}, &personForm{}, &grantForm{}, &roleForm{}, &sinkForm{}, &tokenForm{}, &detailsForm{}, &bulkForm{}, &proofForm{}, &reviewForm{}}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if _, err := decodePolicy(values); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		for _, form := range forms {
			into := reflect.New(reflect.TypeOf(form).Elem())
			if decodeValues(values, into.Interface()) != nil {
				continue
			}
			for name := range values {
				if !taken(into.Elem().Type(), name) {
					t.Errorf("%T takes %q", form, name)
				}
			}
		}
	})
}

// taken reports whether a form has a field of this name.
func taken(form reflect.Type, name string) bool {
	for i := range form.NumField() {
		tag := form.Field(i).Tag.Get("form")
		if prefix, many := strings.CutSuffix(tag, "*"); tag == name && tag != "" || many && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Whatever a cookie holds, it is a token to look for or none at all.
func FuzzCookie(f *testing.F) {
	for _, text := range []string{"sid=x", "sid=" + strings.Repeat("a", tokenLength), `sid="quoted"`, "sid=a; sid=b", "\x00", "__Host-sid=" + strings.Repeat("é", tokenLength)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, secure := range []bool{true, false} {
			s := newSessionStore(secure)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Header["Cookie"] = []string{text}
			session, err := s.New(r, s.name())
			if err != nil || len(session.ID) != tokenLength {
				t.Errorf("%q, %v", session.ID, err)
			}
			if !session.IsNew && !strings.Contains(text, session.ID) {
				t.Errorf("%q comes from nowhere", session.ID)
			}
		}
	})
}
