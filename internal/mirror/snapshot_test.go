package mirror

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawConfig(t *rapid.T, id string) AuthConfig {
	pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	return AuthConfig{
		ID: id, Name: pick("name", "github-prod", "GitHub staging", "slack", "ünïcode", "", "a", "b"), Toolkit: pick("toolkit", "github", "slack", "gmail"),
		Scheme: pick("scheme", "OAUTH2", "API_KEY", "", "NEW_SCHEME"), Managed: rapid.Bool().Draw(t, "managed"), Status: pick("status", Enabled, Disabled, "PAUSED"),
		Connections: rapid.IntRange(0, 3).Draw(t, "connections"), Seen: Seen{ChangedAt: time.Unix(int64(rapid.IntRange(0, 5).Draw(t, "changed")), 0)},
	}
}

func drawConfigs(t *rapid.T) []AuthConfig {
	var out []AuthConfig
	for i := range rapid.IntRange(0, 30).Draw(t, "n") {
		out = append(out, drawConfig(t, fmt.Sprintf("ac_%02d", i)))
	}
	return out
}

func names(s *Snapshot, sort string) []string {
	var out []string
	for _, a := range s.Find(Query{Sort: sort, Limit: 1000}).Configs {
		out = append(out, a.ID)
	}
	return out
}

// A snapshot that was changed step by step is the same as one made anew.
func TestWith(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configs := drawConfigs(t)
		s := NewSnapshot(slices.Values(configs))
		byID := map[string]AuthConfig{}
		for _, a := range configs {
			byID[a.ID] = a
		}
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			var changed []AuthConfig
			var gone []string
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				a := drawConfig(t, fmt.Sprintf("ac_%02d", rapid.IntRange(0, 35).Draw(t, "id")))
				changed = append(changed, a)
				byID[a.ID] = a
			}
			if rapid.Bool().Draw(t, "delete") {
				id := fmt.Sprintf("ac_%02d", rapid.IntRange(0, 40).Draw(t, "gone"))
				if !slices.ContainsFunc(changed, func(a AuthConfig) bool { return a.ID == id }) {
					gone = append(gone, id)
					delete(byID, id)
				}
			}
			s = s.With(changed, gone)
		}
		var all []AuthConfig
		for _, a := range byID {
			all = append(all, a)
		}
		fresh := NewSnapshot(slices.Values(all))
		for _, key := range SortKeys() {
			if diff := cmp.Diff(names(fresh, key), names(s, key)); diff != "" {
				t.Fatalf("order by %s: %s", key, diff)
			}
		}
		if diff := cmp.Diff(fresh.Facets(), s.Facets()); diff != "" || fresh.Find(Query{}).Disabled != s.Find(Query{}).Disabled {
			t.Fatalf("facets: %s", diff)
		}
	})
}

// Walking through the pages of a list meets every match once, in order, and the
// way back meets the same pages.
func TestFindPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configs := drawConfigs(t)
		s := NewSnapshot(slices.Values(configs))
		q := Query{
			Text: rapid.SampledFrom([]string{"", "git", "PROD git", "ac_1", "x"}).Draw(t, "text"), Toolkit: rapid.SampledFrom([]string{"", "github"}).Draw(t, "toolkit"),
			Scheme: rapid.SampledFrom([]string{"", "OAUTH2"}).Draw(t, "scheme"), Status: rapid.SampledFrom([]string{"", Disabled}).Draw(t, "status"),
			Managed: rapid.SampledFrom([]string{"", "managed", "own"}).Draw(t, "owner"), Sort: rapid.SampledFrom(append(SortKeys(), "", "nonsense")).Draw(t, "sort"),
			Limit: rapid.IntRange(1, 7).Draw(t, "limit"),
		}
		want := 0
		for _, a := range configs {
			if e := newEntry(a); q.matches(e) && newWhere(q.Text).matches(e) {
				want++
			}
		}
		seen := map[string]bool{}
		var previous []string
		for {
			p := s.Find(q)
			if p.Matches != want || p.Position != len(seen) || p.HasPrevious != (q.After != "") {
				t.Fatalf("page %+v after %d of %d", p, len(seen), want)
			}
			if p.HasPrevious && (len(previous) == 0 || p.Previous != previous[len(previous)-1]) {
				t.Fatalf("previous is %q, want %v", p.Previous, previous)
			}
			for _, a := range p.Configs {
				if seen[a.ID] {
					t.Fatalf("%s came twice", a.ID)
				}
				seen[a.ID] = true
			}
			if p.Next == "" {
				break
			}
			previous = append(previous, q.After)
			q.After = p.Next
		}
		if len(seen) != want {
			t.Fatalf("%d met, want %d", len(seen), want)
		}
	})
}

func TestFindAfterOneThatIsGone(t *testing.T) {
	s := NewSnapshot(slices.Values([]AuthConfig{{ID: "ac_1", Name: "a"}, {ID: "ac_2", Name: "b"}}))
	if p := s.Find(Query{After: "ac_9", Limit: 1}); p.Position != 0 || len(p.Configs) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestSameValue(t *testing.T) {
	for _, tt := range []struct {
		field string
		a, b  []string
		want  bool
	}{
		{FieldScopes, []string{"a", "b"}, []string{"b", "a"}, true},
		{FieldScopes, []string{"a", "a"}, []string{"a"}, true},
		{FieldScopes, nil, []string{}, true},
		{FieldScopes, []string{"a"}, []string{"a", "b"}, false},
		{FieldName, []string{"a"}, []string{"A"}, false},
		{FieldName, []string{}, nil, true},
	} {
		if got := SameValue(tt.field, tt.a, tt.b); got != tt.want {
			t.Errorf("SameValue(%s, %v, %v) = %v", tt.field, tt.a, tt.b, got)
		}
	}
}
