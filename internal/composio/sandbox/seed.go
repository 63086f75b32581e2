package sandbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The seeded past: objects are made between these days whatever the clock says,
// so that the same seed gives the same data. Only a clock that has not come that
// far moves them, by whole years.
var (
	firstDay = time.Date(2025, 9, 1, 8, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2026, 8, 31, 18, 0, 0, 0, time.UTC)
)

// newest is how much younger than lastDay a seeded time may be.
const newest = 60 * 24 * time.Hour

// A seeder makes up objects.
type seeder struct {
	s     *Server
	r     *rand.Rand
	years int // that the past is moved back
}

func (s *Server) newSeeder() seeder {
	sd := seeder{s: s, r: rand.New(rand.NewPCG(s.seed, 0x676174656b656570))} //nolint:gosec // the same data each time is the point
	for s.clock().Before(sd.past(lastDay).Add(newest)) && sd.years < 1000 {
		sd.years++
	}
	return sd
}

// past moves a time of the seeded past to where it belongs.
func (sd seeder) past(t time.Time) time.Time {
	return t.AddDate(-sd.years, 0, 0)
}

// populate fills both projects.
func (s *Server) populate() error {
	sd := s.newSeeder()
	sets := map[string][]sketch{"production": productionSet, "staging": stagingSet}
	for _, slug := range []string{"production", "staging"} {
		p, sketches := s.projects[slug], sets[slug]
		if s.options.Configs > 0 {
			sketches = sd.sketches(slug, s.options.Configs)
		}
		if s.quirks.unknownScheme {
			sketches = append(slices.Clone(sketches), sketch{"future-scheme", unknownToolkit, unknownScheme, "1A"})
		}
		step := lastDay.Sub(firstDay) / time.Duration(len(sketches)+1)
		for i, sk := range sketches {
			if err := sd.add(p, sk, sd.past(firstDay).Add(time.Duration(i+1)*step)); err != nil {
				return err
			}
		}
		if s.quirks.hostileStrings {
			sd.addHostile(p)
		}
	}
	return nil
}

// sketches makes up as many auth configs as asked for.
func (sd seeder) sketches(project string, n int) []sketch {
	var usable []*toolkit
	for _, t := range sd.s.catalog.toolkits {
		if !t.NoAuth && !t.Deprecated && t.Slug != unknownToolkit && sd.s.catalog.bySlug[t.Slug] == t {
			usable = append(usable, t)
		}
	}
	env := map[string]string{"production": "prod", "staging": "stage"}[project]
	teams := []string{"support", "sales", "finance", "platform", "growth", "research", "legal", "ops"}
	out := make([]sketch, n)
	for i := range out {
		t := usable[sd.r.IntN(len(usable))]
		sk := sketch{name: fmt.Sprintf("%s-%s-%s-%05d", t.Slug, teams[sd.r.IntN(len(teams))], env, i+1), toolkit: t.Slug}
		if shown := t.shown(); t.managed() == nil || sd.r.IntN(2) == 0 {
			m := shown[sd.r.IntN(len(shown))]
			if m.Mode == "NO_AUTH" {
				m = shown[len(shown)-1]
			}
			sk.scheme = m.Mode
		}
		if sd.r.IntN(12) == 0 {
			sk.name += "*"
		}
		sk.connections = fmt.Sprintf("%dA %dI", sd.r.IntN(4), sd.r.IntN(2))
		out[i] = sk
	}
	return out
}

// add makes the auth config of a sketch and its connections.
func (sd seeder) add(p *project, sk sketch, at time.Time) error {
	s := sd.s
	t := s.catalog.toolkit(sk.toolkit)
	if t == nil {
		return fmt.Errorf("seed %s: there is no toolkit %q", sk.name, sk.toolkit)
	}
	m := t.managed()
	if sk.scheme != "" {
		m = t.scheme(sk.scheme)
	}
	if m == nil {
		return fmt.Errorf("seed %s: toolkit %q has no scheme %q", sk.name, sk.toolkit, sk.scheme)
	}
	name, disabled := strings.CutSuffix(sk.name, "*")
	at = at.Add(time.Duration(sd.r.IntN(3_600_000)) * time.Millisecond)
	c := &AuthConfig{
		ID: s.newID("ac_"), UUID: s.newUUID(), Name: name, Toolkit: t.Slug, Scheme: m.Mode, Managed: sk.scheme == "", Status: "ENABLED",
		Credentials: sd.credentials(m, sk.scheme == ""), ToolRouter: sd.r.IntN(3) == 0, CreatedBy: orgMember,
		CreatedAt: at, UpdatedAt: at.Add(time.Duration(sd.r.IntN(20*24)) * time.Hour),
	}
	if disabled {
		c.Status = "DISABLED"
	}
	if len(t.tools) > 2 && sd.r.IntN(6) == 0 {
		c.ToolsForExecution = []string{t.tools[0].slug, t.tools[1].slug}
	}
	p.put([]*AuthConfig{c}, sd.connections(c, sk.connections))
	return nil
}

// credentials makes up what the form of a scheme asks for. Secrets are thrown
// away at once, as those of requests are.
func (sd seeder) credentials(m *scheme, managed bool) map[string]Value {
	out := map[string]Value{}
	if m.Scopes != "" {
		out["scopes"] = clearText(m.Scopes)
	}
	if managed {
		return out
	}
	for _, f := range m.Create {
		switch {
		case f.Name == "scopes":
		case f.Name == "oauth_redirect_uri":
			out[f.Name] = clearText([]string{legacyRedirect, currentRedirect}[sd.r.IntN(2)])
		case f.Secret && (f.Required || sd.r.IntN(2) == 0):
			out[f.Name] = secretValue(mustJSON(sd.random(40)))
		case f.Name == "client_id" || f.Name == "consumer_key":
			out[f.Name] = clearText(sd.random(20))
		case f.Required && f.Default != "":
			out[f.Name] = clearText(f.Default)
		case f.Required:
			out[f.Name] = clearText("example")
		}
	}
	return out
}

func (sd seeder) random(n int) string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[sd.r.IntN(len(letters))]
	}
	return string(b)
}

// connections makes what counts and letters ask for.
func (sd seeder) connections(c *AuthConfig, counts string) []*Connection {
	var out []*Connection
	at := c.CreatedAt
	for group := range strings.FieldsSeq(counts) {
		var n int
		var letter string
		if _, err := fmt.Sscanf(group, "%d%s", &n, &letter); err != nil {
			continue
		}
		for range n {
			at = at.Add(time.Duration(1+sd.r.IntN(5000)) * time.Second)
			out = append(out, sd.connection(c, letter, at))
		}
	}
	return out
}

var letterStatus = map[string]struct{ status, reason string }{
	"A": {"ACTIVE", ""},
	"S": {"ACTIVE", ""},
	"E": {"EXPIRED", "Permanent auth error during token refresh"},
	"F": {"FAILED", "OAuth callback failed during token exchange"},
	"I": {"INACTIVE", "Connection status updated by user"},
	"R": {"REVOKED", "Revoked via user-initiated revoke endpoint"},
	"W": {"INITIATED", ""},
}

func (sd seeder) connection(c *AuthConfig, letter string, at time.Time) *Connection {
	s, st := sd.s, letterStatus[letter]
	person := people[sd.r.IntN(len(people))]
	word := c.Toolkit + "_" + wordFor(fmt.Sprintf("%02x", sd.r.IntN(256)))
	conn := &Connection{
		ID: s.newID("ca_"), UUID: s.newUUID(), AuthConfig: c.ID, Toolkit: c.Toolkit, Scheme: c.Scheme, UserID: person + "@example.com",
		Status: st.status, StatusReason: optional(st.reason), Disabled: letter == "I", AccountType: "PRIVATE", WordID: &word,
		CreatedAt: at, UpdatedAt: at.Add(time.Duration(sd.r.IntN(45*24)) * time.Hour),
	}
	switch letter {
	case "S":
		conn.AccountType, conn.UserID = "SHARED", "team-"+strings.SplitN(c.Name, "-", 2)[0]
		conn.Alias = optional("Shared " + c.Toolkit)
	case "W":
		conn.RedirectURL = "https://connect.composio.dev/link/ln_" + sd.random(12)
	}
	if scopes, ok := c.Credentials["scopes"]; ok {
		conn.RequestedScopes = scopeList(scopes)
	}
	return conn
}
