package composio

import (
	"context"
	"net/url"
)

// A Session says which project a key belongs to. The names are empty where the
// key may not ask.
type Session struct {
	ProjectName string
	ProjectID   string
	OrgName     string
}

// Session checks the key with a harmless call. The body of the call may echo
// the key, so only three names are read from it; where scoped keys may not make
// it, listing one auth config serves as the check.
func (c *Client) Session(ctx context.Context) (Session, error) {
	var out struct {
		Project *struct {
			Name   string `json:"name"`
			NanoID string `json:"nano_id"`
			Org    *struct {
				Name string `json:"name"`
			} `json:"org"`
		} `json:"project"`
	}
	err := c.read(ctx, &out, nil, "auth", "session", "info")
	if NoPermission(err) || NotFound(err) {
		var p page[struct{}]
		return Session{}, c.read(ctx, &p, url.Values{"limit": {"1"}}, "auth_configs")
	}
	var s Session
	if err == nil && out.Project != nil {
		s.ProjectName, s.ProjectID = out.Project.Name, out.Project.NanoID
		if out.Project.Org != nil {
			s.OrgName = out.Project.Org.Name
		}
	}
	return s, err
}
