package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
)

// A token is for its projects and its rights alone, and never for more than its
// owner may.
func TestAPIScope(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	other := s.AddProject("production", sandbox.ProductionKey, mirror.Production)
	a := s.Config(rig.Enabled)
	ada := s.Person("Ada", access.Editor, access.Auditor)
	for _, p := range []mirror.Project{s.Project, other} {
		snapshot, err := s.Store.Snapshot(t.Context(), p.ID)
		s.must(err)
		for c := range snapshot.All {
			if c.Enabled() {
				r, err := s.Changes.ProposeSwitch(t.Context(), ada, change.Proposal{Project: p.ID}, []string{c.ID}, false)
				s.must(err)
				s.Settled(r.ID)
				break
			}
		}
	}
	s.someRules()
	_, token := s.tokenOf(ada, []string{other.ID}, allRights...)
	narrow := s.caller(token)
	narrow.get("/me").is(200).has(`"all_projects":false`, `"projects":["production"]`)
	if all := narrow.get("/projects").is(200).items(); len(all) != 1 || all[0]["slug"] != "production" {
		t.Errorf("%v", all)
	}
	narrow.get("/projects/staging/auth-configs").is(404)
	narrow.get("/projects/staging/auth-configs/" + a.ID).is(404)
	narrow.get("/projects/production/auth-configs/" + a.ID).is(404)
	narrow.post("/projects/staging/changes", `{"operation":"disable","targets":["`+a.ID+`"]}`).is(404)
	for _, path := range []string{"/changes", "/history?limit=200"} {
		all := narrow.get(path).is(200).items()
		if len(all) == 0 {
			t.Errorf("%s has nothing", path)
		}
		for _, one := range all {
			if one["project"] != "production" {
				t.Errorf("%s: %v", path, one)
			}
		}
	}
	if all := narrow.get("/history?q=project:staging").is(200).items(); len(all) > 0 {
		t.Errorf("%v", all)
	}
	_, wide := s.tokenOf(ada, nil, allRights...)
	for _, path := range []string{"/changes", "/history"} {
		for _, one := range s.caller(wide).get(path + "?limit=200").is(200).items() {
			if one["project"] == "production" {
				continue
			}
			seq, isEntry := one["seq"]
			if isEntry {
				narrow.get(fmt.Sprintf("/history/%.0f", seq)).is(404)
			} else {
				narrow.get("/changes/" + one["id"].(string)).is(404)
			}
		}
	}
	s.caller(wide).get("/history?limit=200").is(200).hasNot("ada@example.com", "192.0.2.1", "session.", "user.")
}

// take takes all rights from somebody.
func (s *site) take(who access.Reader) {
	s.T.Helper()
	_, err := s.Store.UpdateAccount(s.T.Context(), who.ID, func(a *access.Account) ([]audit.Event, error) {
		a.Grants = nil
		return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID}}}, nil
	}, nil)
	s.must(err)
}

// Every role × every operation × every right: what both allow, and nothing else.
func TestAPIPermissions(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.OwnOAuth)
	author := s.Person("Author", access.Editor)
	r, err := s.Changes.ProposeSwitch(t.Context(), author, proposal(s), []string{a.ID}, false)
	s.must(err)
	s.Settled(r.ID)
	allows := map[access.TokenRight][]access.Permission{
		access.TokenReads: {access.ViewConfigs}, access.TokenHistory: {access.ViewHistory}, access.TokenProposes: {access.ViewConfigs, access.ProposeChange},
	}
	for _, role := range append(access.Roles(), "") {
		owner := access.User{State: access.Active, Grants: access.Unscoped(role)}
		who := s.Person("P"+string(role), cmp.Or(role, access.Editor))
		for right, permissions := range allows {
			_, token := s.tokenOf(who, nil, right)
			one := s.caller(token)
			if role == "" {
				s.take(who)
			}
			for _, route := range s.server.routes() {
				if !isAPI(route.path) || route.needs == anyone {
					continue
				}
				path := strings.TrimPrefix(s.fill(route.path, a.ID, r.ID, author, s.Project.Slug), apiPath)
				body := []byte(nil)
				if route.method == "POST" {
					one.header.Set("Idempotency-Key", "sweep-1-"+string(role))
					one.header.Set("Content-Type", "application/json")
					body = []byte(`{}`)
				}
				got := one.send(route.method, path, body, wrongly)
				name := fmt.Sprintf("%s %s as %s with %s", route.method, route.path, role, right)
				switch {
				case route.needs != signedIn && (!owner.May(route.needs) || !slices.Contains(permissions, route.needs)):
					if got.status != 403 {
						t.Errorf("%s: %d, want 403", name, got.status)
					}
				case route.method == "POST":
					if got.status != 422 {
						t.Errorf("%s: %d, want 422", name, got.status)
					}
				case got.status != 200 && !strings.HasSuffix(route.path, "/:seq"): // the first entry is about an account
					t.Errorf("%s: %d, want 200", name, got.status)
				}
			}
		}
	}
}
