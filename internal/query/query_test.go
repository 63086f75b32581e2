package query

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var noPlace = cmpopts.IgnoreFields(Term{}, "At", "Len")

func TestParse(t *testing.T) {
	for text, want := range map[string][]Term{
		"":                       nil,
		"  \t\n ":                nil,
		"Rotate keys":            {{Value: "Rotate"}, {Value: "keys"}},
		`"by hand"`:              {{Value: "by hand", Quoted: true}},
		`-"by hand"`:             {{Value: "by hand", Quoted: true, Not: true}},
		`"say \"no\" \\o/"`:      {{Value: `say "no" \o/`, Quoted: true}},
		"actor:ada":              {{Key: "actor", Value: "ada"}},
		`ACTOR:"Ada Lovelace"`:   {{Key: "actor", Value: "Ada Lovelace"}},
		"-actor:ada":             {{Key: "actor", Value: "ada", Not: true}},
		"is:Drift":               {{Key: "is", Value: "drift"}},
		"ip:2001:DB8::1":         {{Key: "ip", Value: "2001:db8::1"}},
		"before:2026-3":          {{Key: "before", Value: "2026-3"}},
		"after:7d github-prod":   {{Key: "after", Value: "7d"}, {Value: "github-prod"}},
		"--x":                    {{Value: "x", Not: true}},
		`a"b c"`:                 {{Value: "a"}, {Value: "b c", Quoted: true}},
		"actor:ada actor:bo":     {{Key: "actor", Value: "ada"}, {Key: "actor", Value: "bo"}},
		"action:auth_config":     {{Key: "action", Value: "auth_config"}},
		"config:scopes:read:org": {{Key: "config", Value: "scopes:read:org"}},
	} {
		q, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if d := cmp.Diff(want, q.Terms, noPlace); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]struct{ place, message string }{
		"is:drift colour:red x":             {"colour:red", "There is no key “colour:”"},
		"x read:org":                        {"read:org", "put it in quotes"},
		`x "never closed`:                   {`"never closed`, "never closed"},
		"x - y":                             {"-", "A minus needs something"},
		"x is:nothing":                      {"is:nothing", "is: takes drift, denied"},
		"outcome:":                          {"outcome:", "needs a value"},
		"after:2026-02-30 x":                {"after:2026-02-30", "There is no day 30 in February 2026"},
		"after:2026-13":                     {"after:2026-13", "There is no month 13"},
		"after:yesterday":                   {"after:yesterday", "is no date"},
		"x \u202eevil":                      {"\u202e", "can't be seen"},
		"x -before:2026-01":                 {"-before:2026-01", "can't be excluded"},
		"after:2026-04 before:2026-03 x":    {"before:2026-03", "Nothing can be there"},
		"ip:localhost":                      {"ip:localhost", "is not an IP address"},
		"x ?!":                              {"?!", "There is no word"},
		strings.Repeat("word ", MaxTerms+1): {"word ", "32 terms"},
		"x " + strings.Repeat("y", 600):     {strings.Repeat("y", 600), "too long"},
		strings.Repeat("é", 5000):           {strings.Repeat("é", 5000-MaxBytes/2), "10000 bytes, 4096 are allowed"},
	} {
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.40q: %v", text, err)
			continue
		}
		if got := text[e.At : e.At+e.Len]; got != want.place || !strings.Contains(e.Message, want.message) {
			t.Errorf("%.40q: %q at %q", text, e.Message, got)
		}
	}
}

func TestSpan(t *testing.T) {
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	day := func(m time.Month, d int) time.Time { return time.Date(2026, m, d, 0, 0, 0, 0, time.UTC) }
	for text, want := range map[string][2]time.Time{
		"x":                                   {},
		"after:2026-03 before:2026-04":        {day(3, 1), day(4, 1)},
		"after:2026-03-05":                    {day(3, 5), {}},
		"after:7d":                            {now.Add(-7 * 24 * time.Hour), {}},
		"before:12h":                          {{}, now.Add(-12 * time.Hour)},
		"after:2026-01 after:2026-02":         {day(2, 1), {}},
		"before:2026-01 before:2026-02-02 -x": {{}, day(1, 1)},
	} {
		q, err := Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if from, to := q.Span(now); !from.Equal(want[0]) || !to.Equal(want[1]) {
			t.Errorf("%q: %v to %v", text, from, to)
		}
	}
}

func TestEdit(t *testing.T) {
	q, err := Parse(`ACTOR:"Ada L" is:drift "a b"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.With(Term{Key: "is", Value: "denied"}).With(Term{Key: "is", Value: "drift"}).String(); got != `actor:"Ada L" is:drift "a b" is:denied` {
		t.Error(got)
	}
	if got := q.Without(1).String(); got != `actor:"Ada L" "a b"` {
		t.Error(got)
	}
	if got := q.Drop("actor", "is").String(); got != `"a b"` {
		t.Error(got)
	}
	if got := q.Of("actor"); !cmp.Equal(got, []string{"Ada L"}) {
		t.Error(got)
	}
}

// Examples and values in the languages are right.
func TestLanguages(t *testing.T) {
	for _, l := range []Language{History, Configs, Requests} {
		for _, k := range l.Keys {
			if _, err := l.Parse(k.Example); err != nil || !strings.HasPrefix(k.Example, k.Name+":") {
				t.Errorf("%q: %v", k.Example, err)
			}
			if len(k.Helps) > 0 && len(k.Helps) != len(k.Values) {
				t.Errorf("%s: %d helps for %d values", k.Name, len(k.Helps), len(k.Values))
			}
		}
	}
}

// Whatever is typed, there is an answer; and what a query says of itself means
// the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`actor:ada -is:drift "a \" b" after:7d`, "ip:::1", `"`, "-", ":", `a:"`, "é:\xff\x00", `-"-:"`, `config:"a \\ b"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range []Language{History, Configs, Requests} {
			q, err := l.Parse(text)
			var wrong *Error
			if errors.As(err, &wrong) {
				if wrong.At < 0 || wrong.Len < 0 || wrong.At+wrong.Len > len(text) || wrong.Message == "" {
					t.Fatalf("%q: error at %d, %d long: %q", text, wrong.At, wrong.Len, wrong.Message)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := l.Parse(q.String())
			if err != nil && len(q.String()) <= MaxBytes {
				t.Fatalf("%q, that is %q: %v", text, q.String(), err)
			}
			if d := cmp.Diff(q.Terms, again.Terms, noPlace, cmpopts.EquateEmpty()); err == nil && d != "" {
				t.Fatalf("%q, that is %q: %s", text, q.String(), d)
			}
		}
	})
}
