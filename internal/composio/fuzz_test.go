package composio

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever Composio answers, it becomes an error or values in which every text can
// be shown.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		`{"items":[{"id":"ac_1","name":"x","status":"ENABLED","credentials":{"scopes":["a"],"client_id":"REDACTED","client_secret":"s"},"created_at":"2026-01-01T00:00:00Z"}],"next_cursor":"Mg","total_items":1}`,
		`{"items":[{"id":"../..","credentials":{"scopes":"a,b c"},"proxy_config":{"proxy_url":1}}]}`, `{"error":{"message":"no","code":10,"slug":"x","errors":["y"]}}`,
		`{"error":"text"}`, `{"message":"\u202e\u0000"}`, `[]`, `null`, `{"items":null}`, "\xff", `{"total_items":1e400}`, `{"items":[{"expected_input_fields":{"a":1},"no_of_connections":-1}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, out := range []any{&page[AuthConfig]{}, &page[Toolkit]{}, &ToolkitDetail{}, &page[Tool]{}, &AuthConfig{}} {
			if decode(data, out) == nil {
				shown(t, reflect.ValueOf(out))
			}
		}
		e := decodeError(&http.Response{StatusCode: http.StatusBadGateway, Header: http.Header{}}, data)
		shown(t, reflect.ValueOf(e))
		if e.Error() == "" {
			t.Error("an error without words")
		}
	})
}

// shown checks all texts of a value.
func shown(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			shown(t, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				shown(t, v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			shown(t, v.Index(i))
		}
	case reflect.String:
		if s := v.String(); !utf8.ValidString(s) || strings.ContainsFunc(s, invisible) {
			t.Errorf("%q", s)
		}
	}
}
