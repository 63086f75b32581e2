package signon

import (
	"encoding/json"
	"testing"
)

// Whatever a provider claims, it is read or refused.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{`{"sub":"1","aud":["a"],"exp":1e300,"email_verified":"true"}`, `{"aud":{}}`, `{"exp":-1e300,"_claim_names":{"groups":"x"}}`, `[]`, `{"sub":1}`, `null`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c claims
		_ = json.Unmarshal(data, &c) // it is asked for panics
		var at seconds
		if json.Unmarshal(data, &at) == nil && at.time().IsZero() {
			t.Errorf("%s is no time", data)
		}
		var many texts
		if json.Unmarshal(data, &many) == nil && len(many) > len(data) {
			t.Errorf("%d texts in %q", len(many), data)
		}
	})
}
