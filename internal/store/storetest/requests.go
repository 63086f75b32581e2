package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

func request(id string, targets ...string) change.Request {
	r := change.Request{
		ID: id, Project: "prj_one", Title: "Title", Reason: "Reason", State: change.Applying, Author: change.Author{ID: "usr_1", Name: "Ada"},
		Policies: []change.Policy{{ID: "pol_1"}}, CreatedAt: Start, UpdatedAt: Start, ExpiresAt: Start.Add(time.Hour),
		Revision: change.Revision{Number: 1, EffectHash: "hash", Contributors: []string{"usr_1"}, CreatedAt: Start},
	}
	for _, target := range targets {
		r.Revision.Items = append(r.Revision.Items, change.Item{Kind: change.KindConfig, Operation: change.Enable, Target: target, Set: mirror.Values{"status": {"ENABLED"}}, Base: mirror.Values{}})
		r.Progress = append(r.Progress, change.Progress{Target: target, State: change.ItemPending, Step: change.StepMain})
	}
	return r
}

func addRequest(t *testing.T, s *store.Store, r change.Request, sealed ...change.Sealed) {
	t.Helper()
	must(t, s.AddRequest(t.Context(), &r, sealed, func(change.Facts) ([]audit.Event, error) {
		return []audit.Event{event("change.submitted")}, nil
	}))
}

func requests(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	addProject(t, s, "prj_one")
	want := request("chg_1", "ac_1", "ac_2")
	addRequest(t, s, want, change.Sealed{Item: 1, Field: "client_secret", Sealed: []byte("sealed")})
	got, err := s.Request(ctx, "chg_1")
	must(t, err)
	want.Environment = mirror.Staging
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sealed, err := s.SealedCredentials(ctx, "chg_1", 1)
	must(t, err)
	if len(sealed) != 1 || string(sealed[0].Sealed) != "sealed" {
		t.Errorf("sealed: %+v", sealed)
	}
	attempt := change.Attempt{Request: "chg_1", Revision: 1, Item: 1, Number: 1, Step: change.StepMain, Digest: "d", LeaseOwner: "o", LeaseUntil: Start, StartedAt: Start}
	got, err = s.UpdateRequest(ctx, "chg_1", func(r *change.Request, f change.Facts) (change.Effect, error) {
		if u, err := f.User("usr_1"); err != nil || u.ID != "usr_1" {
			t.Error(u, err)
		}
		if a, err := f.Attempt(attempt); err != nil || a.Number != 0 {
			t.Error(a, err)
		}
		r.State, r.Version, r.EndedAt = change.Applied, 5, Start
		r.Progress[1].State = change.ItemApplied
		return change.Effect{
			Events: []audit.Event{event("change.applied")}, Attempt: &attempt, Destroy: []int{1},
			Mirror: []change.MirrorChange{{Config: config("ac_2", "two"), Credentials: []change.Credential{{Field: "client_secret", Fingerprint: "F"}}}},
		}, nil
	})
	must(t, err)
	again, err := s.Request(ctx, "chg_1")
	must(t, err)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Error(diff)
	}
	if sealed, err := s.SealedCredentials(ctx, "chg_1", 1); err != nil || len(sealed) != 0 {
		t.Errorf("credentials were not destroyed: %v %v", sealed, err)
	}
	if a, err := s.LastAttempt(ctx, "chg_1", 1, 1); err != nil || a != attempt {
		t.Errorf("attempt: %+v %v", a, err)
	}
	if f, err := s.Fingerprints(ctx, "prj_one", "ac_2"); err != nil || len(f) != 1 || f[0].Fingerprint != "F" || f[0].SetBy != "Ada" {
		t.Errorf("fingerprints: %+v %v", f, err)
	}
	if _, err := s.UpdateRequest(ctx, "chg_1", func(*change.Request, change.Facts) (change.Effect, error) {
		return change.Effect{Events: []audit.Event{event("x")}}, nil
	}); err == nil {
		t.Error("a request changed after its end")
	}
	open := true
	if list, err := s.Requests(ctx, store.RequestQuery{Open: &open, Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("open: %v %v", list, err)
	}
	old := request("chg_0", "ac_3")
	old.CreatedAt, old.EndedAt, old.State = Start.Add(-time.Hour), Start, change.Applied
	addRequest(t, s, old)
	addRequest(t, s, request("chg_open", "ac_4"))
	for since, want := range map[time.Time]int{Start.Add(-2 * time.Hour): 3, Start: 2, Start.Add(time.Hour): 1} {
		if list, err := s.RequestsSince(ctx, since); err != nil || len(list) != want || len(list[0].Revision.Items) == 0 {
			t.Errorf("since %s: %v %v", since, list, err)
		}
	}
	if list, err := s.Requests(ctx, store.RequestQuery{Config: "ac_2", Author: "usr_1", Project: "prj_one", Limit: 10}); err != nil || len(list) != 1 {
		t.Errorf("by config: %v %v", list, err)
	}
}

func claims(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	addProject(t, s, "prj_one")
	addRequest(t, s, request("chg_1", "ac_1"))
	addRequest(t, s, request("chg_2", "ac_1"))
	claim := func(id string) error {
		_, err := s.UpdateRequest(ctx, id, func(*change.Request, change.Facts) (change.Effect, error) {
			return change.Effect{Events: []audit.Event{event("apply.intent")}, Claim: []int{0}, Attempt: &change.Attempt{Request: id, Revision: 1, Number: 1}}, nil
		})
		return err
	}
	must(t, claim("chg_1"))
	must(t, claim("chg_1"))
	kind(t, claim("chg_2"), problem.Conflict)
	must(t, s.SaveSync(ctx, "prj_one", func(c mirror.Current) (mirror.Update, error) {
		if busy, err := c.Busy("ac_1", "n"); !busy || err != nil {
			t.Error("a claimed config is not busy", err)
		}
		if busy, err := c.Busy("ac_2", "n"); busy || err != nil {
			t.Error("a free config is busy", err)
		}
		return mirror.Update{}, nil
	}))
	_, err := s.UpdateRequest(ctx, "chg_1", func(*change.Request, change.Facts) (change.Effect, error) {
		return change.Effect{Events: []audit.Event{event("change.applied")}, Release: []int{0}}, nil
	})
	must(t, err)
	must(t, claim("chg_2"))
}

// seenRequests are those of a page of which somebody sees nothing.
func seenRequests(t *testing.T, s *store.Store) {
	addAccount(t, s, "usr_1")
	addProject(t, s, "prj_one")
	for i, toolkit := range []string{"slack", "github", "slack", "github", "github"} {
		r := request(fmt.Sprintf("chg_%d", i), fmt.Sprintf("ac_%d", i))
		r.Revision.Items[0].Toolkit, r.CreatedAt = toolkit, Start.Add(time.Duration(i)*time.Second)
		addRequest(t, s, r)
	}
	u := access.User{ID: "usr_2", State: access.Active, Grants: []access.Grant{access.NewGrant(access.Viewer, access.Scope{Toolkit: "slack"})}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for limit := 1; limit <= 6; limit++ {
		found, err := s.Requests(ctx, store.RequestQuery{Reader: u, Limit: limit})
		must(t, err)
		var got []string
		for _, l := range found {
			got = append(got, l.ID)
		}
		if diff := cmp.Diff([]string{"chg_2", "chg_0"}[:min(limit, 2)], got); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
}

// scopedRequests are those of a list that somebody with scopes sees: what every place
// of a request allows, and never more than that is read.
func scopedRequests(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	addProject(t, s, "prj_one")
	put := func(i int, project string, toolkits ...string) {
		r := request(fmt.Sprintf("chg_%03d", i), make([]string, max(1, len(toolkits)))...)
		for k, toolkit := range toolkits {
			r.Revision.Items[k].Toolkit = toolkit
		}
		r.Project, r.CreatedAt = project, Start.Add(time.Duration(i)*time.Second)
		addRequest(t, s, r)
	}
	put(0, "prj_one", "slack")
	put(1, "prj_one", "github", "slack")
	put(2, "prj_one", "github")
	put(3, "prj_one")
	put(4, "")
	put(5, "prj_one", "git", "hub")
	grant := func(p, toolkit string) access.Grant {
		return access.NewGrant(access.Viewer, access.Scope{Project: p, Toolkit: toolkit})
	}
	for name, c := range map[string]struct {
		grants []access.Grant
		want   []string
	}{
		"a toolkit":       {[]access.Grant{grant("", "slack")}, []string{"chg_000"}},
		"two toolkits":    {[]access.Grant{grant("", "slack"), grant("prj_one", "github")}, []string{"chg_002", "chg_001", "chg_000"}},
		"the project":     {[]access.Grant{grant("prj_one", "")}, []string{"chg_005", "chg_003", "chg_002", "chg_001", "chg_000"}},
		"another project": {[]access.Grant{grant("prj_two", "")}, nil},
		"everywhere":      {[]access.Grant{grant("", ""), grant("", "slack")}, []string{"chg_005", "chg_004", "chg_003", "chg_002", "chg_001", "chg_000"}},
	} {
		u := access.User{ID: "usr_2", State: access.Active, Grants: c.grants}
		found, err := s.Requests(ctx, store.RequestQuery{Reader: u, Limit: 10})
		must(t, err)
		var got []string
		for _, l := range found {
			got = append(got, l.ID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for i := range 200 {
		put(10+i, "prj_one", "github")
	}
	slack := access.User{ID: "usr_2", State: access.Active, Grants: []access.Grant{grant("", "slack")}}
	cost := testing.AllocsPerRun(1, func() {
		if found, err := s.Requests(ctx, store.RequestQuery{Reader: slack, Limit: 2}); err != nil || len(found) != 1 {
			t.Errorf("%v, %v", found, err)
		}
	})
	if cost > 2000 {
		t.Errorf("reading past 200 requests that aren't theirs takes %.0f allocations", cost)
	}
}
