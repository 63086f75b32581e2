package audit

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gowebpki/jcs"
)

// What counts as a body is canonical JSON as another implementation writes it, and
// reading it never ends but in an entry or an error.
func FuzzBody(f *testing.F) {
	r, err := Seal(Head{}, Event{Actor: Actor{Kind: ActorUser, ID: "usr_1", Name: "Ada"}, Action: "change.voted", Detail: map[string]string{"é\u2028": "\x01"}, Changes: []Change{{Field: "name", Before: []string{"a"}}}}, time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Body)
	for _, text := range []string{`{}`, `{"a":["b",null,true,{"c":"\ud800"}]}`, `{"b":"","a":""}`, `{"a":1}`, `{"a":"\u000a"}`, "{\"\u00e9\":\"\",\"z\":\"\"}", `{"\"":"\/"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, ok := scanBody(body)
		if again, err := jcs.Transform(body); ok && (err != nil || string(again) != string(body)) {
			t.Errorf("%q is taken for canonical; %q, %v", body, again, err)
		}
		if ok && !json.Valid(body) {
			t.Errorf("%q is taken for JSON", body)
		}
		Look(Row{Seq: 1, Body: body})
	})
}

// Notes that come from outside are read as they were written, or refused.
func FuzzNote(f *testing.F) {
	f.Add("gatehouse\n12\n" + "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" + timeLine + "2026-01-01T00:00:00Z\n" + restoredLine + "3\n")
	f.Add("month 2026-01\nfirst 1\nlast 2\n")
	f.Add("gatehouse+0a1b2c3d+AQ==\n# more\n")
	f.Add("PRIVATE+KEY+gatehouse+0a1b2c3d+AQ==\ngatehouse+0a1b2c3d+AQ==\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCheckpoint(text); err == nil {
			again, err := ParseCheckpoint(c.Text())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c, again, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		}
		if s, err := ParseStatement(text); err == nil && s.Text() != text {
			t.Errorf("%q is read as %q", text, s.Text())
		}
		if keys, err := ParsePublicKeys(text); err == nil {
			if _, err := keys.Open([]byte(text)); err == nil {
				t.Errorf("%q signs itself", text)
			}
		}
		if k, err := ParseSigningKey(text); err == nil {
			if _, err := k.Sign("x\n"); err != nil {
				t.Error(err)
			}
		}
	})
}
