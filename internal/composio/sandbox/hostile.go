package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The toolkit and scheme of the unknown-scheme quirk: a value that no
// description has.
const (
	unknownToolkit = "synthetic_future"
	unknownScheme  = "QUANTUM_HANDSHAKE"
)

func (c *catalog) addUnknownScheme() error {
	return c.add(&toolkit{
		Slug: unknownToolkit, Name: "Synthetic future (invented)", About: "Invented: a scheme nobody has heard of",
		Categories: []string{"other-/-miscellaneous"}, Version: "20260101_00", Created: "2026-01-01",
		Schemes: []*scheme{{Mode: unknownScheme, Name: "synthetic_future_quantum"}},
		Nouns:   map[string]string{"record": "|"},
	})
}

// A dealer hands out hostile strings in turn.
type dealer struct{ next int }

func (d *dealer) deal() string {
	v := hostileVectors[d.next%len(hostileVectors)]
	d.next++
	return v
}

// poison puts hostile strings into every text of every toolkit and tool. Those by
// which clients find things (slugs, schemes, names of fields, categories) stay as
// they are, but get a hostile neighbour.
func (c *catalog) poison() {
	var d dealer
	for i := range c.categories {
		c.categories[i].Name = d.deal()
	}
	c.categories = append(c.categories, category{ID: d.deal(), Name: d.deal()})
	for i, t := range c.toolkits {
		d.toolkit(t)
		stray := &tool{slug: d.deal(), toolkit: t, params: params("create")}
		c.tools, c.byTool[stray.slug] = append(c.tools, stray), stray
		t.tools = append(t.tools, stray)
		for _, tool := range t.tools {
			d.tool(tool)
		}
		if i%5 == 0 {
			extra := &toolkit{Slug: d.deal(), Categories: []string{d.deal()}, Schemes: []*scheme{{Mode: d.deal()}}}
			d.toolkit(extra)
			c.toolkits = append(c.toolkits, extra)
		}
	}
}

func (d *dealer) toolkit(t *toolkit) {
	t.Name, t.About, t.AppURL, t.BaseURL = d.deal(), d.deal(), d.deal(), d.deal()
	t.logo, t.guide, t.hint, t.Created, t.Version = d.deal(), d.deal(), d.deal(), d.deal(), d.deal()
	for _, m := range t.Schemes {
		m.Name, m.AuthorizationURL, m.TokenURL = d.deal(), d.deal(), d.deal()
		m.Available = append(slices.Clone(m.Available), d.deal(), d.deal())
		if m.UserAvailable != nil {
			m.UserAvailable = append(slices.Clone(m.UserAvailable), d.deal())
		}
		m.Create = append(slices.Clone(m.Create), field{Name: d.deal()})
		m.Connect = append(slices.Clone(m.Connect), field{Name: d.deal(), Required: true})
		for _, fields := range [][]field{m.Create, m.Connect} {
			for i := range fields {
				fields[i].Label, fields[i].About, fields[i].Default = d.deal(), d.deal(), d.deal()
				if i%3 == 2 || fields[i].Type == "" {
					fields[i].Type = d.deal()
				}
			}
		}
	}
}

func (d *dealer) tool(t *tool) {
	t.name, t.about = d.deal(), d.deal()
	t.tags = append(slices.Clone(t.tags), d.deal())
	t.terms = append(slices.Clone(t.terms), []string{d.deal()})
	for i := range t.params {
		t.params[i].about, t.params[i].kind = d.deal(), d.deal()
	}
}

// addHostile makes one auth config and one connection for each hostile string.
// Each string is the name of one config, and comes up in every other text too;
// ids are sound but for one object in twenty.
func (sd seeder) addHostile(p *project) {
	d := dealer{next: 7}
	for i, v := range hostileVectors {
		at := sd.past(lastDay).Add(time.Duration(i) * time.Minute)
		t := sd.s.catalog.toolkits[i%8]
		c := &AuthConfig{
			ID: sd.s.newID("ac_"), UUID: d.deal(), Name: v, Toolkit: t.Slug, Scheme: t.Schemes[0].Mode, Managed: i%2 == 0, Status: "ENABLED",
			Credentials: map[string]Value{
				"client_id": clearText(d.deal()), "oauth_redirect_uri": clearText(d.deal()), "scopes": clearText(d.deal()),
				"user_scopes": {Clear: mustJSON([]string{d.deal(), d.deal()})}, d.deal(): clearText(d.deal()),
			},
			SharedCredentials: map[string]Value{d.deal(): secretValue(mustJSON(d.deal()))},
			Proxy:             &Proxy{URL: d.deal()},
			ToolsForCreation:  []string{d.deal()}, ToolsForExecution: []string{d.deal(), d.deal()}, RestrictTo: []string{d.deal()},
			CreatedBy: d.deal(), CreatedAt: at, UpdatedAt: at,
		}
		c.Wire = sd.hostileWire(i, &d, "status", "type", "auth_scheme", "created_at", "last_updated_at")
		reason, alias, word := d.deal(), d.deal(), d.deal()
		conn := &Connection{
			ID: sd.s.newID("ca_"), UUID: d.deal(), AuthConfig: c.ID, Toolkit: t.Slug, Scheme: c.Scheme, UserID: v, Status: "ACTIVE",
			StatusReason: &reason, Alias: &alias, WordID: &word, AccountType: "PRIVATE", RequestedScopes: []string{d.deal()},
			RedirectURL: d.deal(), Values: map[string]Value{d.deal(): secretValue(mustJSON(d.deal()))}, CreatedAt: at, UpdatedAt: at,
		}
		conn.Wire = sd.hostileWire(i, &d, "status", "authScheme", "created_at", "updated_at")
		p.put([]*AuthConfig{c}, []*Connection{conn})
	}
}

// hostileWire replaces one field that is usually of a known form, in one object
// of four, and the id in one of twenty.
func (sd seeder) hostileWire(i int, d *dealer, fields ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if i%4 == 1 {
		out[fields[i/4%len(fields)]] = mustJSON(d.deal())
	}
	if i%20 == 10 {
		out["id"] = mustJSON(d.deal())
	}
	if i%20 == 15 {
		out["toolkit"] = mustJSON(map[string]string{"slug": d.deal(), "logo": d.deal()})
	}
	out["unheard_of"] = mustJSON(fmt.Sprintf("field %d", i))
	return out
}
