package audit

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// A member is one of the object itself, decoded, whatever is nested in it or looks
// like it in a text.
func TestMember(t *testing.T) {
	for object, want := range map[string]string{
		`{"id":"a"}`:                "a",
		`{"id":"a","kind":"user"}`:  "a",
		`{"a":{"id":"b"},"id":"a"}`: "a",
		`{"a":{"id":"b"}}`:          "-",
		`{"a":[{"id":"b"}]}`:        "-",
		`[{"id":"b"}]`:              "-",
		`{"id":["b"]}`:              "-",
		`{"id":null}`:               "-",
		`{"id":"a\"b"}`:             `a"b`,
		`{"id":"a\u0001","x":"y"}`:  "a\x01",
		`{"a":"{\"id\":\"b\"}"}`:    "-",
		`{"a":"\\","id":"a"}`:       "a",
		`{"xid":"b"}`:               "-",
		`{"a":",","id":"ä,"}`:       "ä,",
		`{}`:                        "-",
		`"id"`:                      "-",
	} {
		got, ok := member([]byte(object), "id")
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", object, got, want)
		}
	}
	if _, ok := member(nil, "id"); ok {
		t.Error("nothing has a member")
	}
}

// It finds what a JSON decoder finds, for all texts and names.
func TestMemberOfAny(t *testing.T) {
	texts := rapid.OneOf(rapid.SampledFrom([]string{"", "id", `"`, `id":"`, ",", ":", "{", "[", `\`, "\x01"}), rapid.StringOf(rapid.RuneFrom([]rune(`ab,:{}[]"\ä`))))
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOf(texts, texts).Draw(t, "object")
		body, err := canonical(object)
		if err != nil {
			t.Fatal(err)
		}
		name := texts.Draw(t, "name")
		got, ok := member(body, name)
		var decoded map[string]string
		if err := json.Unmarshal(body, &decoded); err != nil {
			t.Fatal(err)
		}
		if want, is := decoded[name]; got != want || ok != is {
			t.Fatalf("%s of %s: %q %v, want %q %v", name, body, got, ok, want, is)
		}
	})
}
