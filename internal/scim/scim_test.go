package scim

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/problem"
)

func read(t testing.TB, text string) object {
	t.Helper()
	o, err := readObject(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

const olga = `{"id":"usr_1","externalId":"Ext","userName":"olga@example.com","active":true,"name":{"familyName":"Ivanova"},"title":"",
	"emails":[{"value":"olga@example.com","type":"work","primary":true},{"value":"o@example.org","type":"home"}],"members":[{"value":"usr_1"},{"value":"usr_2"}]}`

func TestFilter(t *testing.T) {
	for text, want := range map[string]bool{
		`userName eq "OLGA@example.com"`: true, `USERNAME EQ "olga@example.com"`: true, `userName eq "olga"`: false, `externalId eq "Ext"`: true, `externalId eq "ext"`: false,
		`userName co "example" and active eq true`: true, `userName sw "x" or userName ew ".com"`: true, `not (active eq true)`: false, `title pr`: false, `emails pr`: true,
		`name.familyName eq "ivanova"`: true, `name.givenName pr`: false, `emails[type eq "home" and value ew ".org"]`: true, `emails[type eq "work" and value ew ".org"]`: false,
		`emails.value co "@example.org"`: true, `userName ne "olga@example.com"`: false, `nothing ne "x"`: true, `userName gt "a" and userName lt "z"`: true,
		`active eq false or (active eq true and userName pr)`: true, `active eq true or active eq false and userName eq "x"`: true,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName pr`: true, `userName eq "\u006flga@example.com"`: true,
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := f(read(t, olga), &meter{mostSteps}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "x", `userName eq`, `userName eq olga`, `not active eq true`, `(active eq true`, `active eq true)`, `a[b eq 1`, `"a" eq 1`, `a eq 1 and`, strings.Repeat("(", 30) + "a pr" + strings.Repeat(")", 30)} {
		if _, err := parseFilter(text); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q is a filter: %v", text, err)
		}
	}
}

func TestPatch(t *testing.T) {
	for ops, want := range map[string]string{
		`{"op":"replace","path":"userName","value":"x"}`: `userName eq "x"`, `{"op":"Replace","value":{"active":false,"USERNAME":"y"}}`: `active eq false and userName eq "y"`,
		`{"op":"remove","path":"name.familyName"}`: `not (name.familyName pr)`, `{"op":"add","path":"name","value":{"givenName":"O"}}`: `name.givenName eq "O" and name.familyName pr`,
		`{"op":"add","path":"members","value":[{"value":"usr_2"},{"value":"usr_3"}]}`: `members[value eq "usr_3"]`, `{"op":"remove","path":"members","value":[{"value":"usr_1"}]}`: `members eq "usr_2" and not (members eq "usr_1")`,
		`{"op":"remove","path":"members[value eq \"usr_2\"]"}`: `not (members[value eq "usr_2"])`, `{"op":"replace","path":"emails[type eq \"work\"].value","value":"w"}`: `emails[type eq "work" and value eq "w"]`,
		`{"op":"add","path":"emails[type eq \"other\"].value","value":"n"}`: `emails[type eq "other" and value eq "n"] and emails[type eq "work"]`, `{"op":"remove","path":"emails"}`: `not (emails pr)`,
		`{"op":"replace","path":"urn:x:department","value":"Ops"}`: `userName pr`,
	} {
		all, err := operations(read(t, `{"Operations":[`+ops+`]}`))
		o := read(t, olga)
		if err == nil {
			err = patch(o, all)
		}
		f, wrong := parseFilter(want)
		if err != nil || wrong != nil || !f(o, &meter{mostSteps}) {
			t.Errorf("%s gives %v, not %s: %v %v", ops, o, want, err, wrong)
		}
	}
	for _, ops := range []string{``, `5`, `{"op":"move","path":"a"}`, `{"op":"remove"}`, `{"op":"add","value":5}`, `{"op":"add","path":"a[","value":5}`, `{"op":"add","path":"userName.x","value":5}`, `{"op":"replace","path":"emails[type co \"x\"].value","value":5}`} {
		all, err := operations(read(t, `{"Operations":[`+ops+`]}`))
		if err == nil {
			err = patch(read(t, olga), all)
		}
		if !problem.Is(err, problem.Invalid) {
			t.Errorf("%s is carried out: %v", ops, err)
		}
	}
}

// One request causes so much work and no more, however it is written.
func TestWorkIsBounded(t *testing.T) {
	names := func(n int, of string) string {
		one := make([]string, n)
		for i := range one {
			one[i] = strings.ReplaceAll(of, "#", "n"+strconv.Itoa(i))
		}
		return strings.Join(one, ",")
	}
	many := strings.Repeat(`{"op":"remove","path":"members[a eq 1 or a eq 2 or a eq 3 or a eq 4 or a eq 5 or a eq 6 or a eq 7]"},`, 199)
	for what, body := range map[string]string{
		"names":   `{"Operations":[{"op":"add","value":{` + names(20_000, `"#":1`) + `}}]}`,
		"merging": `{"Operations":[{"op":"add","path":"name","value":{` + names(20_000, `"#":1`) + `}}]}`,
		"members": `{"Operations":[{"op":"add","path":"members","value":[` + names(20_000, `{"value":"#"}`) + `]},` + strings.TrimSuffix(many, ",") + `]}`,
	} {
		all, err := operations(read(t, body))
		if err != nil {
			t.Fatal(err)
		}
		var r *refusal
		if err = patch(read(t, olga), all); !errors.As(err, &r) || r.kind != "tooMany" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{`userName eq "a"`, `emails[type eq "work" and not (value co "x")] or active pr`, `a.b gt 1.5e3`, `x eq "\ud800"`, `((a pr))`, "a[b[c eq null]]"} {
		f.Add(text)
	}
	o := read(f, olga)
	f.Fuzz(func(t *testing.T, text string) {
		keep, err := parseFilter(text)
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatal(err)
			}
			return
		}
		m := meter{mostSteps}
		if keep(o, &m) != keep(o, &meter{mostSteps}) || m.left < 0 {
			t.Errorf("%q says one thing and then another, or costs too much", text)
		}
	})
}

func FuzzPatch(f *testing.F) {
	for _, text := range []string{
		`{"Operations":[{"op":"replace","value":{"active":false}}]}`, `{"Operations":[{"op":"add","path":"members[value eq \"x\"]","value":[{"value":"x"}]},{"op":"remove","path":"members"}]}`,
		`{"operations":{"op":"Add","path":"emails[type eq \"work\"].value","value":"a"}}`, `{"Operations":[{"op":"add","path":"name","value":{"a":{"b":1}}},{"op":"remove","path":"name.a"}]}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body, err := readObject(strings.NewReader(text))
		if err != nil {
			return
		}
		all, err := operations(body)
		o := read(t, olga)
		if err == nil {
			err = patch(o, all)
		}
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if _, err := json.Marshal(o); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	})
}
