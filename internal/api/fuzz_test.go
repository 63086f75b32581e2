package api

import (
	"encoding/json"
	"testing"
)

// What is taken for an object is one, and holds what any other reader finds in it.
func FuzzObject(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1,"A":2}`, `{"a":1,"a":2}`, `{"a":{"b":[1,2]}} `, `{"a":1}x`, `[]`, `{"a"`, "\xff", `{"\u0061":1,"a":1}`, `null`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readObject(body)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil || len(want) != len(got) {
			t.Fatalf("%q: %d members, want %d, %v", body, len(got), len(want), err)
		}
		for name, value := range want {
			if string(got[name]) != string(value) {
				t.Errorf("%q: %s is %s, want %s", body, name, got[name], value)
			}
		}
	})
}
