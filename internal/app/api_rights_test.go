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

// What is out of the owner's scope isn't there for their tokens; what they see and
// may not do is forbidden.
func TestAPIOwnersScope(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	other := s.AddProject("production", sandbox.ProductionKey, mirror.Production)
	mine := s.Config(rig.Enabled)
	foreign := s.Config(func(a mirror.AuthConfig) bool { return a.Enabled() && a.Toolkit != mine.Toolkit })
	ada := s.Person("Ada", access.Viewer)
	grants := func(all ...access.Grant) *caller {
		t.Helper()
		_, err := s.Store.UpdateAccount(t.Context(), ada.ID, func(a *access.Account) ([]audit.Event, error) {
			a.Grants = all
			return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID}}}, nil
		}, nil)
		s.must(err)
		_, token := s.tokenOf(ada, nil, allRights...)
		return s.caller(token)
	}
	root := s.Person("Root", access.Editor)
	for _, a := range []mirror.AuthConfig{mine, foreign} {
		r, err := s.Changes.ProposeSwitch(t.Context(), root, proposal(s), []string{a.ID}, false)
		s.must(err)
		s.Settled(r.ID)
	}
	list, changes := "/projects/"+s.Project.Slug+"/auth-configs", "/projects/"+s.Project.Slug+"/changes"
	enable := func(a mirror.AuthConfig) string { return `{"operation":"enable","targets":["` + a.ID + `"]}` }

	part := grants(access.NewGrant(access.Editor, access.Scope{Project: s.Project.ID, Toolkit: mine.Toolkit}))
	for _, one := range part.get(list + "?limit=200").is(200).items() {
		if one["toolkit"] != mine.Toolkit {
			t.Errorf("a token sees %v", one)
		}
	}
	part.get(list + "/" + foreign.ID).is(404)
	part.post(changes, enable(foreign)).is(404)
	part.get("/projects/" + other.Slug + "/auth-configs").is(404)
	for path, key := range map[string]string{"/changes": "title", "/history": "object"} {
		all := part.get(path).is(200).hasNot(foreign.ID, foreign.Name).items()
		if len(all) == 0 {
			t.Errorf("%s has no %s", path, key)
		}
	}
	part.post(changes, enable(mine)).is(201)

	split := grants(access.NewGrant(access.Viewer, access.Scope{Project: s.Project.ID}), access.NewGrant(access.Editor, access.Scope{Project: other.ID}))
	split.get(list + "/" + foreign.ID).is(200)
	split.post(changes, enable(foreign)).is(403)
	if n := s.historyOf("change.submitted"); n != 3 {
		t.Errorf("%d changes were proposed", n)
	}
}

// An auditor's token reads what auditors read, without people's addresses.
func TestAPIAuditor(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	a := s.Config(rig.Enabled)
	r, err := s.Changes.ProposeSwitch(t.Context(), s.Person("Emil", access.Editor), proposal(s), []string{a.ID}, false)
	s.must(err)
	s.Settled(r.ID)
	s.must(s.Mirror.SetReaders(t.Context(), access.Operator(), s.Project.ID, nil))
	one := s.calling("Ayo", access.Auditor)
	one.get("/history?q=action:change.submitted").is(200).has(`"name":"Emil"`).hasNot("@example.com", "192.0.2.1")
	one.get("/history?limit=200").is(200).hasNot(`"action":"user.`, `"action":"session.`, "@example.com")
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
