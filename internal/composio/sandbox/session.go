package sandbox

import (
	"net/http"
	"strings"
)

// The keys of the sandbox.
const (
	StagingKey    = "ak_sandbox_staging"
	ProductionKey = "ak_sandbox_production"
	ReadOnlyKey   = "ak_sandbox_readonly" // of production; writes answer 403
)

type apiKey struct {
	key, project, name, id string
	readOnly               bool
	number                 int
}

var apiKeys = []apiKey{
	{key: StagingKey, project: "staging", name: "Staging console", id: "5b0e5f63-6f1c-4d8e-9c43-0a4f6c1d7e01", number: 501},
	{key: ProductionKey, project: "production", name: "Production console", id: "5b0e5f63-6f1c-4d8e-9c43-0a4f6c1d7e02", number: 502},
	{key: ReadOnlyKey, project: "production", name: "Production read-only", id: "5b0e5f63-6f1c-4d8e-9c43-0a4f6c1d7e03", readOnly: true, number: 503},
}

const (
	organization = "0c2b8c74-52a0-4f44-8d3b-6a1f0a9be100"
	orgMember    = "0c2b8c74-52a0-4f44-8d3b-6a1f0a9be101"
)

func newProjects() map[string]*project {
	return map[string]*project{
		"staging":    newProject("staging", "0c2b8c74-52a0-4f44-8d3b-6a1f0a9be102", "pr_StagingBox01"),
		"production": newProject("production", "0c2b8c74-52a0-4f44-8d3b-6a1f0a9be103", "pr_ProductBox01"),
	}
}

func findKey(key string) *apiKey {
	for i := range apiKeys {
		if apiKeys[i].key == key {
			return &apiKeys[i]
		}
	}
	return nil
}

// authenticate refuses requests without a key that the sandbox knows.
func (q *request) authenticate() *failure {
	if q.key != nil {
		return nil
	}
	given := q.header.Get("x-api-key")
	f := failf(http.StatusUnauthorized, 801, "APIKey_InvalidAPIKey", "Invalid API key: %s", maskKey(given))
	f.fix = "Please check you are using a valid key."
	switch {
	case given == "" && q.header.Get("x-user-api-key")+q.header.Get("x-org-api-key") != "":
		f.message = "Invalid API key: the sandbox knows project keys only"
	case given == "":
		f.message = "No API key was provided"
	case strings.HasPrefix(given, "uak_"):
		f.message = "Invalid API key: " + maskKey(given) + " is a user key, which belongs in x-user-api-key"
	}
	return f
}

// maskKey shows a key as the API's message does: prefix, two stars, last four.
func maskKey(key string) string {
	prefix, rest, ok := strings.Cut(key, "_")
	if !ok || len(prefix) > 4 {
		prefix, rest = "", key
	} else {
		prefix += "_"
	}
	if len(rest) < 8 {
		return prefix + "**"
	}
	return prefix + "**" + rest[len(rest)-4:]
}

// sessionInfo answers who the key belongs to. The published shape makes the key
// itself part of the answer; clients must not log it.
func sessionInfo(_ *Server, q *request) (any, *failure) {
	const made = "2026-01-12T09:00:00.000Z"
	p, k := q.project, q.key
	return map[string]any{
		"project": map[string]any{
			"auto_id": 100 + k.number, "id": p.id, "org_id": organization, "name": p.slug, "email": p.slug + "@example.com",
			"nano_id": p.nano, "created_at": made, "updated_at": made,
			"webhook_url": nil, "event_webhook_url": nil, "webhook_secret": nil,
			"triggers_enabled": true, "last_subscribed_at": nil, "deleted": false,
			"is_new_webhook": true, "webhook_version": "V3",
			"org": map[string]string{"id": "ok_SandboxOrg01", "name": "Sandbox", "plan": "PRO"},
		},
		"api_key": map[string]any{
			"auto_id": k.number, "id": k.id, "name": k.name, "project_id": p.nano, "org_member_id": orgMember,
			"created_at": made, "updated_at": made, "deleted_at": nil, "key": k.key, "deleted": false,
		},
		"org_member": map[string]any{
			"id": orgMember, "email": "owner@example.com", "name": "Sandbox owner", "role": "admin", "metadata": map[string]any{},
		},
	}, nil
}
