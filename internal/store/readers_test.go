package store

import (
	"slices"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
)

// addReadBy adds a project whose history these roles may read.
func (c *chronicle) addReadBy(id string, roles ...access.Role) {
	c.t.Helper()
	p := mirror.Project{ID: id, Slug: "slug-" + id[4:], Name: id, Environment: mirror.Staging, Key: mirror.Key{Sealed: []byte("sealed")}, Readers: roles}
	if err := c.AddProject(c.t.Context(), p, audit.Event{Actor: audit.System(), Action: "project.added", Project: id}); err != nil {
		c.t.Fatal(err)
	}
}

func TestReadable(t *testing.T) {
	c := newChronicle(t)
	c.addReadBy("prj_1", access.Editor)
	c.addReadBy("prj_2", mirror.ReaderRoles()...)
	c.addReadBy("prj_3")
	for _, tt := range []struct {
		roles  []access.Role
		hidden []string
		public bool
	}{
		{[]access.Role{access.Viewer}, []string{"prj_1", "prj_3"}, true},
		{[]access.Role{access.Viewer, access.Editor}, []string{"prj_3"}, true},
		{[]access.Role{access.Approver}, []string{"prj_1", "prj_3"}, true},
		{[]access.Role{access.Auditor}, nil, false},
		{[]access.Role{access.Admin}, nil, false},
		{[]access.Role{access.Viewer, access.Admin}, nil, false},
	} {
		u := access.User{ID: "usr_1", Grants: access.Unscoped(tt.roles...), State: access.Active}
		q, err := c.Readable(t.Context(), u, HistoryQuery{Limit: 7})
		if err != nil || !slices.Equal(q.Hidden, tt.hidden) || q.Public != tt.public || q.Limit != 7 {
			t.Errorf("%v: %+v, %v", tt.roles, q, err)
		}
	}
	for _, e := range []audit.Event{{Project: "prj_1", Actor: audit.Actor{Kind: audit.ActorUser, ID: "usr_1"}}, {Project: "prj_1", Actor: audit.System()}, {Project: "prj_2", Actor: audit.System()}} {
		e.Action = "x.y"
		if err := c.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for role, want := range map[access.Role]int{access.Viewer: 2, access.Editor: 3, access.Auditor: 3} { // as a saved search that is followed
		found, err := c.FoundSince(t.Context(), "action:x.y", access.User{ID: "usr_1", Grants: access.Unscoped(role), State: access.Active}, 3, 100, 10)
		if err != nil || len(found) != want {
			t.Errorf("a followed search finds %d for the %s, want %d, %v", len(found), role, want, err)
		}
	}
	gone := access.User{ID: "usr_1", Grants: access.Unscoped(access.Admin), State: access.Disabled}
	if q, err := c.Readable(t.Context(), gone, HistoryQuery{}); err != nil || !slices.Equal(q.Barred, []string{"prj_1", "prj_2", "prj_3"}) || !slices.Equal(q.Hidden, []string{""}) || q.But != "" || !q.Public {
		t.Errorf("somebody who is out: %+v, %v", q, err)
	}
}

// What is hidden is in no result, count or bar, however much of history is indexed,
// and what the reader did themselves is in all of them.
func TestHiddenProjects(t *testing.T) {
	c := newChronicle(t)
	check := func(when string) {
		t.Helper()
		for _, q := range []HistoryQuery{
			{Hidden: []string{"prj_1"}}, {Hidden: []string{"prj_1"}, But: "usr_1"}, {Public: true, Hidden: []string{"prj_1", "prj_2"}, But: "usr_2"},
			{Where: parsed(t, "rotated -is:drift"), Hidden: []string{"prj_2"}, But: "usr_3"}, {Where: parsed(t, "project:prj_1"), Public: true, Hidden: []string{"prj_1"}, But: "usr_1"},
			{Where: parsed(t, "-project:prj_2"), Hidden: []string{"prj_1"}, But: "usr_1"}, {Where: parsed(t, `"by hand"`), Public: true, Hidden: []string{"prj_1"}},
		} {
			var want []int64
			for _, e := range slices.Backward(c.entries) {
				plain := q
				plain.Hidden, plain.But = nil, ""
				if plain.Matches(e) && (!slices.Contains(q.Hidden, e.Project) || q.But != "" && e.Actor.ID == q.But) {
					want = append(want, e.Seq)
				}
			}
			if len(want) == 0 || len(want) == len(c.entries) {
				t.Fatalf("%+v leaves %d entries", q, len(want))
			}
			c.finds(when, q, want)
		}
	}
	c.index.feeding.Lock()
	c.write(300)
	check("tail")
	c.index.feeding.Unlock()
	c.indexed()
	check("index")
	c.index.feeding.Lock()
	defer c.index.feeding.Unlock()
	c.write(40)
	check("both")
}

// finds checks a result in pages, its counts, and the bars of the last days.
func (c *chronicle) finds(when string, q HistoryQuery, want []int64) {
	c.t.Helper()
	q.Limit = 7
	var got []int64
	for more := true; more; {
		page, err := c.History(c.t.Context(), q)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range page {
			got = append(got, e.Seq)
		}
		if more = len(page) == q.Limit; more {
			q.Before = page[len(page)-1].Seq
		}
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("%s, %+v: %d entries, want %d", when, q, len(got), len(want))
	}
	sums, err := c.HistorySummary(c.t.Context(), q)
	if err != nil || sums.Found != len(want) || sums.More {
		c.t.Errorf("%s, %+v: %d counted, want %d, %v", when, q, sums.Found, len(want), err)
	}
	days, err := c.HistoryPerDay(c.t.Context(), q, c.clock.Add(-50*day+time.Hour), 101) // the clock was set back
	if err != nil {
		c.t.Fatal(err)
	}
	counted := 0
	for _, b := range days {
		counted += b.Count
	}
	if counted != len(want) {
		c.t.Errorf("%s, %+v: the days have %d, want %d", when, q, counted, len(want))
	}
}

// What happened to people, directories and groups isn't everybody's to read, and who
// can't isn't told so by the search either.
func TestAboutPeople(t *testing.T) {
	c := newChronicle(t)
	kinds := []string{"user.disabled", "directory.client_made", "directory.client_refused", "group.renamed", "group.provisioned", "group.edited", "access_review.opened"}
	for _, action := range append(kinds, "policy.added") {
		if err := c.Record(t.Context(), audit.Event{Actor: audit.System(), Action: action, Object: audit.Object{Kind: "x", Name: "Engineers"}}); err != nil {
			t.Fatal(err)
		}
	}
	for role, want := range map[access.Role]int{access.Viewer: 1, access.Auditor: len(kinds) + 1} {
		found, err := c.FoundSince(t.Context(), "Engineers", access.User{ID: "usr_1", Grants: access.Unscoped(role), State: access.Active}, 0, 100, 10)
		if err != nil || len(found) != want {
			t.Errorf("%s finds %d entries, want %d: %v", role, len(found), want, err)
		}
	}
}
