package audit

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var at = time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC)

func sample() Event {
	return Event{
		Actor:   Actor{Kind: ActorUser, ID: "usr_1", Name: "Ada <&> Øre\u2028", Email: "ada@example.com", IP: "192.0.2.7", Agent: "Browser"},
		Action:  "auth_config.updated",
		Object:  Object{Kind: "auth_config", ID: "ac_1", Name: "github-prod"},
		Project: "prj_1",
		Request: "chg_1",
		Outcome: OK,
		Changes: []Change{{Field: "scopes", Before: []string{"repo"}, After: []string{"repo", "user"}}},
		Reason:  "asked for by support",
		Detail:  map[string]string{"attempt": "1"},
	}
}

// The bytes of the first release may never change: evidence must verify for years.
func TestSealBytes(t *testing.T) {
	e := sample()
	e.Actor = Actor{Kind: ActorSystem}
	e.Reason = ""
	row, err := Seal(Head{}, e, at)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"action":"auth_config.updated","actor":{"id":"","kind":"system"},"changes":[{"after":["repo","user"],"before":["repo"],"field":"scopes"}],"detail":{"attempt":"1"},"object":{"id":"ac_1","kind":"auth_config","name":"github-prod"},"outcome":"ok","prev":"0000000000000000000000000000000000000000000000000000000000000000","project":"prj_1","request":"chg_1","sealed":{},"seq":"1","time":"2026-11-23T10:00:00.123456Z","v":"1"}`
	if diff := cmp.Diff(want, string(row.Body)); diff != "" {
		t.Error(diff)
	}
	if got, want := row.Hash.String(), "9254764189abcad69fa51eb71e16ff87ff0bf6d12989c712ddd8066a92432d08"; got != want {
		t.Errorf("hash = %s, want %s", got, want)
	}
}

func TestSealKeepsPersonalDataOut(t *testing.T) {
	e := sample()
	e.Object = Object{Kind: "user", ID: "usr_2", Name: "Grace"}
	row, err := Seal(Head{}, e, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"Ada", "ada@example.com", "192.0.2.7", "Browser", "asked", "Grace"} {
		if bytes.Contains(row.Body, []byte(private)) {
			t.Errorf("body holds %q", private)
		}
	}
	got, err := Open(row)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Entry{Seq: 1, Time: at, Event: e}, got); diff != "" {
		t.Error(diff)
	}
}

func chain(t interface{ Fatal(...any) }, n int) []Row {
	var rows []Row
	head := Head{}
	for range n {
		r, err := Seal(head, sample(), at)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
		head = Head{r.Seq, r.Hash}
	}
	return rows
}

func verify(rows []Row) error {
	var v Verifier
	for _, r := range rows {
		if err := v.Next(r); err != nil {
			return err
		}
	}
	return nil
}

func TestVerify(t *testing.T) {
	if err := verify(chain(t, 5)); err != nil {
		t.Error(err)
	}
}

func TestVerifyErasedPersonalData(t *testing.T) {
	rows := chain(t, 3)
	rows[1].Personal = slices.DeleteFunc(rows[1].Personal, func(p Personal) bool { return p.Field != personalReason })
	if err := verify(rows); err != nil {
		t.Error(err)
	}
}

// Any single change to what is stored is found.
// What an entry was sealed with has its personal data, whatever its name and form.
func TestVerifyFindsMissingPersonalData(t *testing.T) {
	for name, change := range map[string]func(r *Row){
		"another name": func(r *Row) { addSealed(r, `"aaa":"00"`) },
		"no text":      func(r *Row) { addSealed(r, `"aaa":null`) },
		"one twice":    func(r *Row) { r.Personal[1] = r.Personal[0] },
	} {
		rows := chain(t, 1)
		change(&rows[0])
		var v Verifier
		err := v.Next(rows[0])
		if err == nil {
			err = v.Close()
		}
		if !errors.Is(err, ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func addSealed(r *Row, member string) {
	r.Body = bytes.Replace(r.Body, []byte(`"sealed":{`), []byte(`"sealed":{`+member+`,`), 1)
	r.Hash = HashBody(r.Body)
}

func TestVerifyFindsTampering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := chain(t, 4)
		i := rapid.IntRange(0, 3).Draw(t, "row")
		r := &rows[i]
		flip := func(b []byte) {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "mask"))
		}
		switch rapid.IntRange(0, 7).Draw(t, "what") {
		case 0:
			flip(r.Body)
		case 1:
			flip(r.Hash[:])
		case 2:
			flip(r.Prev[:])
		case 3:
			r.Seq += int64(rapid.IntRange(1, 5).Draw(t, "seq"))
		case 4: // rewritten and hashed again
			flip(r.Body)
			r.Hash = HashBody(r.Body)
			if i == 3 {
				return // the end of a chain without an anchor can be rewritten
			}
		case 5:
			p := &r.Personal[rapid.IntRange(0, len(r.Personal)-1).Draw(t, "field")]
			p.Value += "x"
		case 6:
			if i == 3 {
				return
			}
			rows = slices.Delete(rows, i, i+1)
		case 7:
			j := (i + 1) % 4
			rows[i], rows[j] = rows[j], rows[i]
		}
		if err := verify(rows); !errors.Is(err, ErrTampered) {
			t.Fatalf("not found: %v", err)
		}
	})
}

// The quick way to canonical JSON gives the bytes of the library's.
func TestCanonicalBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a\"\\/<>&\u2028\u2029\b\f\n\r\t\x00\x1f\x7f\ufffd𝄞é"))))
		texts := rapid.SliceOfN(text, 0, 3)
		b := body{
			Action: text.Draw(t, "action"), Actor: bodyActor{ID: text.Draw(t, "id"), Kind: "user"}, Object: bodyObject{Name: text.Draw(t, "name") + "\xff"},
			Changes: []bodyChange{{After: texts.Draw(t, "after"), Before: texts.Draw(t, "before"), Field: text.Draw(t, "field")}},
			Detail:  rapid.MapOf(rapid.StringMatching(`[a-z_]{1,8}`), text).Draw(t, "detail"),
		}
		got, err := b.canonical()
		if err != nil {
			t.Fatal(err)
		}
		want, err := canonical(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatal(diff)
		}
	})
}
