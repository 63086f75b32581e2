package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSeedDecides(t *testing.T) {
	at := func(o Options) string { return asJSON(t, open(t, o).State()) }
	for _, o := range []Options{{}, {Seed: 7}, {Configs: 30}, {Seed: 7, Configs: 30}} {
		later := o
		later.Now = func() time.Time { return time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC) }
		if at(o) != at(later) {
			t.Errorf("%+v: two servers differ", o)
		}
	}
	if at(Options{Seed: 1}) == at(Options{Seed: 2}) {
		t.Error("the seed makes no difference")
	}
}

// A clock that is behind the seeded past does not meet objects of the future.
func TestSeedIsPast(t *testing.T) {
	now := time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)
	b := open(t, Options{Now: func() time.Time { return now }, Configs: 40})
	for _, c := range b.State().Projects["staging"].AuthConfigs {
		if c.CreatedAt.After(now) || c.UpdatedAt.After(now) {
			t.Errorf("%s is of %v", c.Name, c.UpdatedAt)
		}
	}
	if id := b.make(githubApp); b.get("/auth_configs?limit=1").at("items", 0, "id") != id {
		t.Error("what is made now is not the newest")
	}
}

func TestTenThousand(t *testing.T) {
	b := open(t, Options{Configs: 10_000})
	for _, key := range []string{StagingKey, ProductionKey} {
		a := b.as(key, "GET", "/api/v3.1/auth_configs?show_disabled=true&limit=200&cursor=50", "").want(t, 200)
		if a.at("total_items") != 10000.0 || len(a.items()) != 200 || a.at("next_cursor") != nil {
			t.Errorf("%d of %v items, then %v", len(a.items()), a.at("total_items"), a.at("next_cursor"))
		}
	}
	if n := b.get("/auth_configs?toolkit_slug=github").at("total_items").(float64); n < 50 || n > 500 {
		t.Errorf("%v of github", n)
	}
}

// Every hostile string comes up in lists, and the answers stay JSON.
func TestHostileStrings(t *testing.T) {
	if len(hostileVectors) < 200 {
		t.Fatalf("%d vectors", len(hostileVectors))
	}
	b := quirky(t, "hostile-strings")
	var all strings.Builder
	for _, path := range []string{
		"/auth_configs?limit=200", "/auth_configs?limit=200&cursor=2", "/connected_accounts?limit=200", "/connected_accounts?limit=200&cursor=2",
		"/toolkits?limit=1000&include_deprecated=true", "/toolkits/github", "/toolkits/slack", "/toolkits/categories", "/tools?limit=1000",
	} {
		all.WriteString(strings.ReplaceAll(b.get(path).raw, `\ud800`, "LONE"))
		if !json.Valid([]byte(strings.ToValidUTF8(b.get(path).raw, "?"))) {
			t.Errorf("%s is not JSON", path)
		}
	}
	text := all.String()
	if !strings.Contains(text, "LONE") || utf8.ValidString(text) {
		t.Error("no half surrogates or broken bytes")
	}
	for i, v := range hostileVectors {
		quoted := strings.Trim(string(mustJSON(v)), `"`)
		quoted = strings.NewReplacer(loneSurrogate, "LONE", brokenBytes, "\xff\xfe").Replace(quoted)
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(quoted)
		if !strings.Contains(text, quoted) && !strings.Contains(text, plain) {
			t.Errorf("vector %d does not come up: %.60q", i, v)
		}
	}
	id := b.make(githubApp)
	if got := b.config(id).at("name"); got != "made" {
		t.Errorf("a new config is called %v", got)
	}
	b.do("PATCH", "/auth_configs/"+id, `{"type":"custom","name":"told"}`).want(t, 200)
	if got := b.config(id).at("name"); got != "told" {
		t.Errorf("a renamed config is called %v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := open(t, Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 10 {
				name := fmt.Sprintf("made-%d-%d", i, n)
				a, err := b.try(ProductionKey, "POST", "/api/v3/auth_configs", strings.Replace(githubApp, "made", name, 1))
				if err != nil || a.status != 201 {
					t.Errorf("%d: %v", a.status, err)
				}
				for _, path := range []string{"/api/v3/auth_configs?limit=200", "/api/v3/connected_accounts", "/_sandbox/state", "/_sandbox/journal"} {
					if a, err := b.try(ProductionKey, "GET", path, ""); err != nil || a.status != 200 {
						t.Errorf("%s: %d %v", path, a.status, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := b.get("/auth_configs?search=made-").at("total_items"); n != 80.0 {
		t.Errorf("%v configs", n)
	}
	for i, m := range b.Journal().Mutations {
		if m.Seq != uint64(i+1) {
			t.Fatalf("mutation %d has seq %d", i, m.Seq)
		}
	}
}

func TestClose(t *testing.T) {
	b := serve(t, func() *Server {
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}())
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b.do("GET", "/toolkits", "").want(t, 503)
}

// All quirks that only change data go together, at any size.
func TestHostileMany(t *testing.T) {
	b := open(t, Options{Configs: 50, Quirks: []string{"hostile-strings", "unknown-scheme"}})
	a := b.get("/auth_configs?show_disabled=true")
	if want := float64(50 + 1 + len(hostileVectors)); a.at("total_items") != want {
		t.Errorf("%v configs, want %v", a.at("total_items"), want)
	}
	for page := range 16 {
		for _, id := range b.get(fmt.Sprintf("/auth_configs?show_disabled=true&cursor=%d", page+1)).each("id") {
			if id, _ := id.(string); configID.MatchString(id) {
				b.config(id)
			}
		}
	}
}
