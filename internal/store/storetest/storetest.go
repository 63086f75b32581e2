// Package storetest is the suite that every database behind the store passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

// Start is the time at which a test's clock stands still.
var Start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// Run runs the suite. open returns an empty store that closes with the test.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"History":             history,
		"HistoryWhileWritten": historyWhileWritten,
		"HistorySearch":       historySearch,
		"Accounts":            accounts,
		"FirstAccount":        firstAccount,
		"Sessions":            sessions,
		"SessionEndsNow":      sessionEndsNow,
		"Links":               links,
		"Guesses":             guesses,
		"FormOps":             formOps,
		"FormDrafts":          formDrafts,
		"Watching":            watching,
		"Projects":            projects,
		"Mirror":              mirrorRows,
		"Past":                past,
		"Drift":               drift,
		"Toolkits":            toolkits,
		"Requests":            requests,
		"SeenRequests":        seenRequests,
		"ScopedRequests":      scopedRequests,
		"Claims":              claims,
		"Outbox":              outbox,
		"Reviews":             reviews,
		"Sinks":               sinks,
		"FailedWrite":         failedWrite,
		"FortyWriters":        fortyWriters,
		"WriteNeedsEntry":     writeNeedsEntry,
		"SnapshotFollows":     snapshotFollows,
		"CancelledContext":    cancelledContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kind(t *testing.T, err error, want problem.Kind) {
	t.Helper()
	if !problem.Is(err, want) {
		t.Errorf("error %v is not a problem of kind %d", err, want)
	}
}

func event(action string) audit.Event {
	return audit.Event{Actor: audit.System(), Action: action, Object: audit.Object{Kind: "user", ID: "usr_x"}}
}

func account(id, email string, roles ...access.Role) access.Account {
	return access.Account{User: access.User{ID: id, Email: email, Name: "Name of " + id, Grants: access.Unscoped(roles...), State: access.Active, CreatedAt: Start}, Passphrase: "phc"}
}

func addAccount(t *testing.T, s *store.Store, id string) access.Account {
	t.Helper()
	a := account(id, id+"@example.com", access.Editor)
	must(t, s.AddAccount(t.Context(), a, nil, event("user.added")))
	return a
}

func addProject(t *testing.T, s *store.Store, id string) mirror.Project {
	t.Helper()
	p := mirror.Project{
		ID: id, Slug: strings.TrimPrefix(id, "prj_"), Name: "Project " + id, Environment: mirror.Staging, BaseURL: "https://example.com",
		Key: mirror.Key{Sealed: []byte{1}, Last4: "last", Fingerprint: "F", SetAt: Start}, Markers: true, CreatedAt: Start,
	}
	must(t, s.AddProject(t.Context(), p, event("project.added")))
	return p
}

func history(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	addAccount(t, s, "usr_2")
	head, err := s.VerifyHistory(ctx)
	must(t, err)
	if head.Seq != 2 {
		t.Errorf("head is %d, want 2", head.Seq)
	}
	e, err := s.HistoryEntry(ctx, 2)
	must(t, err)
	if e.Action != "user.added" || e.Seq != 2 {
		t.Errorf("entry: %+v", e)
	}
	_, err = s.HistoryEntry(ctx, 3)
	kind(t, err, problem.NotFound)
}

// What is personal in an entry lies in another table: readers get both or neither.
func historyWhileWritten(t *testing.T, s *store.Store) {
	ctx := t.Context()
	const n = 300
	written := make(chan error, 1)
	go func() {
		for range n {
			e := event("auth_config.enabled")
			e.Actor = audit.Actor{Kind: audit.ActorUser, ID: "usr_1", Name: "Ada", Email: "ada@example.com"}
			if err := s.FailSignIn(ctx, e); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for last := int64(0); last < n; {
		err := s.HistoryRows(ctx, last+1, last+n, func(r audit.Row) error {
			e, err := audit.Open(r)
			if err == nil && e.Actor.Email == "" {
				t.Fatalf("entry %d came without its actor's address", e.Seq)
			}
			last = e.Seq
			return err
		})
		must(t, err)
		select {
		case err := <-written:
			must(t, err)
		default:
		}
	}
}

func historySearch(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for i := range 600 {
		e := event("auth_config.enabled")
		e.Object = audit.Object{Kind: "auth_config", ID: fmt.Sprintf("ac_%03d-x", i%7), Name: fmt.Sprintf("config %d", i)}
		e.Project = fmt.Sprintf("prj_%d", i%3)
		if i%100 == 0 {
			e.Reason = "seltenes Wörtchen ada@example.com"
			e.Actor = audit.Actor{Kind: audit.ActorUser, ID: "usr_1", Name: "Ada", Email: "ada@example.com"}
		}
		must(t, s.FailSignIn(ctx, e))
	}
	for name, tt := range map[string]struct {
		q    store.HistoryQuery
		want int
	}{
		"all":          {store.HistoryQuery{}, 600},
		"object":       {store.HistoryQuery{Object: "ac_003-x"}, 86},
		"other case":   {store.HistoryQuery{Object: "AC_003-x"}, 0},
		"project":      {store.HistoryQuery{Project: "prj_1"}, 200},
		"both":         {store.HistoryQuery{Project: "prj_1", Object: "ac_003-x"}, 29},
		"word":         {store.HistoryQuery{Text: "wörtchen"}, 6},
		"prefix":       {store.HistoryQuery{Text: "WÖRT selt"}, 6},
		"e-mail":       {store.HistoryQuery{Text: "ada@example.com"}, 6},
		"none":         {store.HistoryQuery{Text: "wörtchen nothing"}, 0},
		"operators":    {store.HistoryQuery{Text: `" OR NEAR( * ^ -wörtchen`}, 0},
		"actor":        {store.HistoryQuery{Actor: "usr_1"}, 6},
		"before start": {store.HistoryQuery{To: Start}, 0},
		"since start":  {store.HistoryQuery{From: Start}, 600},
	} {
		t.Run(name, func(t *testing.T) {
			tt.q.Limit = 25
			seen := map[int64]bool{}
			for {
				page, err := s.History(ctx, tt.q)
				must(t, err)
				for i, e := range page {
					if seen[e.Seq] || i > 0 && e.Seq >= page[i-1].Seq {
						t.Fatalf("entry %d out of order", e.Seq)
					}
					seen[e.Seq] = true
				}
				if len(page) < tt.q.Limit {
					break
				}
				tt.q.Before = page[len(page)-1].Seq
			}
			if len(seen) != tt.want {
				t.Errorf("%d entries, want %d", len(seen), tt.want)
			}
		})
	}
	public, err := s.History(ctx, store.HistoryQuery{Text: "ada@example.com", Public: true, Limit: 10})
	must(t, err)
	if len(public) != 6 { // the address stands in the reason too
		t.Errorf("%d public entries, want 6", len(public))
	}
}

// A transaction that fails leaves nothing, and doesn't disturb its neighbours.
func failedWrite(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			_, err := s.UpdateAccount(ctx, "usr_1", func(a *access.Account) ([]audit.Event, error) {
				a.Name = strconv.Itoa(i)
				switch i % 3 {
				case 0:
					return nil, boom
				case 1:
					panic("in a transaction")
				}
				return []audit.Event{event("user.renamed")}, nil
			}, nil)
			if (err == nil) != (i%3 == 2) || i%3 == 0 && !errors.Is(err, boom) {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	head, err := s.VerifyHistory(ctx)
	must(t, err)
	if head.Seq != 21 {
		t.Errorf("%d entries, want 21", head.Seq)
	}
}

func fortyWriters(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 10 {
				if err := s.FailSignIn(ctx, event(fmt.Sprintf("writer%d.%d", i, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	head, err := s.VerifyHistory(ctx)
	must(t, err)
	if head.Seq != 400 {
		t.Errorf("%d entries, want 400", head.Seq)
	}
}

func writeNeedsEntry(t *testing.T, s *store.Store) {
	addAccount(t, s, "usr_1")
	_, err := s.UpdateAccount(t.Context(), "usr_1", func(a *access.Account) ([]audit.Event, error) {
		a.Name = "changed in silence"
		return nil, nil
	}, nil)
	if err == nil {
		t.Error("a change without a history entry went through")
	}
	if a, err := s.Account(t.Context(), "usr_1"); err != nil || a.Name == "changed in silence" {
		t.Error("it was kept", err)
	}
}

// A caller who goes away doesn't break what others do.
func cancelledContext(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if err := s.FailSignIn(ctx, event("a")); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		must(t, s.FailSignIn(t.Context(), event("b")))
	}
	_, err := s.VerifyHistory(t.Context())
	must(t, err)
}
