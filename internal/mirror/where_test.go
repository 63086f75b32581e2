package mirror

import (
	"slices"
	"testing"
	"time"

	"gatehouse/internal/composio"
)

func TestWhere(t *testing.T) {
	now := time.Now()
	s := NewSnapshot(slices.Values([]AuthConfig{
		{ID: "ac_1", Name: "github-prod", Toolkit: "github", Scheme: "OAUTH2", Status: Enabled, Connections: 3, Scopes: composio.Scopes{Values: []string{"repo", "read:org"}}, Seen: Seen{ChangedAt: now, ChangedBy: "Ada Admin", ChangedVia: ViaRequest}},
		{ID: "ac_2", Name: "Slack: support", Toolkit: "slack", Scheme: "API_KEY", Status: Disabled, Managed: true, Seen: Seen{ChangedAt: now.AddDate(-1, 0, 0), ChangedVia: ViaOutside}},
	}))
	drifting := NewDrifting(map[string]Drift{"ac_1": {Until: now}, "ac_2": {}})
	for text, want := range map[string]int{
		"": 2, "git": 1, "GIT prod": 1, "-git": 1, `"slack: support"`: 1, "slack support": 1, "nothing": 0,
		"toolkit:github": 1, "toolkit:github toolkit:slack": 2, "-toolkit:github": 1, "scheme:oauth2": 1, "status:disabled": 1, "is:disabled": 1, "is:enabled is:disabled": 0,
		"managed:yes": 1, "is:own": 1, "scope:read:org": 1, "scope:read": 0, "config:ac_2": 1, "config:GITHUB-PROD": 1, "owner:ada": 1, "is:drift": 1, "is:unused": 1,
		"after:7d": 1, "before:7d": 1, "colour:red": 0, "is:drift toolkit:github": 0,
	} {
		if got := s.Find(Query{Text: text, Limit: 10, Drifting: drifting}).Matches; got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
}
