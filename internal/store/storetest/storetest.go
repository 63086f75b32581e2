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

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
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
		"Projects":            projects,
		"Mirror":              mirrorRows,
		"Toolkits":            toolkits,
		"Requests":            requests,
		"Claims":              claims,
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
	return access.Account{User: access.User{ID: id, Email: email, Name: "Name of " + id, Roles: roles, State: access.Active, CreatedAt: Start}, Passphrase: "phc"}
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

func accounts(t *testing.T, s *store.Store) {
	ctx := t.Context()
	want := addAccount(t, s, "usr_1")
	got, err := s.Account(ctx, "usr_1")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err = s.AccountByEmail(ctx, "nobody@example.com")
	kind(t, err, problem.NotFound)
	err = s.AddAccount(ctx, account("usr_2", want.Email), nil, event("user.added"))
	if p := problem.Of(err); p == nil || p.Fields["email"] == "" {
		t.Errorf("a taken address: %v", err)
	}
	updated, err := s.UpdateAccount(ctx, "usr_1", func(a *access.Account) ([]audit.Event, error) {
		a.Roles = []access.Role{access.Admin, access.Auditor}
		return []audit.Event{event("user.roles_set")}, nil
	}, nil)
	must(t, err)
	all, err := s.Users(ctx)
	must(t, err)
	if diff := cmp.Diff([]access.User{updated.User}, all); diff != "" {
		t.Error(diff)
	}
}

func firstAccount(t *testing.T, s *store.Store) {
	ctx := t.Context()
	link := access.Link{Key: access.HashToken("t"), Kind: access.SetupLink, CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}
	must(t, s.AddLink(ctx, link, event("setup.link_made")))
	kind(t, s.AddFirstAccount(ctx, account("usr_0", "0@example.com"), access.HashToken("other"), Start, event("user.set_up")), problem.NotFound)
	kind(t, s.AddFirstAccount(ctx, account("usr_0", "0@example.com"), link.Key, Start.Add(time.Hour), event("user.set_up")), problem.NotFound)
	var won sync.Map
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			id := fmt.Sprintf("usr_%d", i)
			if s.AddFirstAccount(ctx, account(id, id+"@example.com"), link.Key, Start, event("user.set_up")) == nil {
				won.Store(id, true)
			}
		})
	}
	wg.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	users, err := s.Users(ctx)
	must(t, err)
	if n != 1 || len(users) != 1 {
		t.Errorf("%d set-ups succeeded and %d users exist, want 1", n, len(users))
	}
}

func session(user string, token string) access.Session {
	return access.Session{ID: "ses_" + token, Key: access.HashToken(token), UserID: user, CreatedAt: Start, LastSeen: Start, Origin: access.Origin{IP: "192.0.2.1", Agent: "A"}}
}

func sessions(t *testing.T, s *store.Store) {
	ctx := t.Context()
	a := addAccount(t, s, "usr_1")
	one := session("usr_1", "a")
	must(t, s.AddSession(ctx, one, "", "", event("session.signed_in")))
	kind(t, s.AddSession(ctx, session("usr_1", "b"), "another passphrase", "", event("session.signed_in")), problem.Invalid)
	must(t, s.AddSession(ctx, session("usr_1", "b"), a.Passphrase, "", event("session.signed_in")))
	for range 2 { // from the database, then from memory
		got, user, err := s.Session(ctx, one.Key)
		must(t, err)
		a.LastSignIn = Start
		if diff := cmp.Diff(one, got) + cmp.Diff(a.User, user); diff != "" {
			t.Error(diff)
		}
	}
	s.TouchSession(one.Key, Start.Add(time.Minute))
	if got, _, err := s.Session(ctx, one.Key); err != nil || !got.LastSeen.Equal(Start.Add(time.Minute)) {
		t.Errorf("last seen %v %v", got.LastSeen, err)
	}
	n, err := s.EndSessions(ctx, "usr_1", func(one access.Session) bool { return one.ID == "ses_a" }, event("session.ended"))
	must(t, err)
	if n != 1 {
		t.Errorf("%d ended", n)
	}
	_, _, err = s.Session(ctx, one.Key)
	kind(t, err, problem.NotFound)
	left, err := s.Sessions(ctx, "usr_1")
	must(t, err)
	if len(left) != 1 || left[0].ID != "ses_b" {
		t.Errorf("left: %+v", left)
	}
}

// Once the call that ends a session or disables its user has returned, no reader
// finds the session, however many are asking.
func sessionEndsNow(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	for round := range 20 {
		one := session("usr_1", fmt.Sprint("t", round))
		must(t, s.AddSession(ctx, one, "", "", event("session.signed_in")))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _, _ = s.Session(ctx, one.Key) // fills the memory again and again
					}
				}
			})
		}
		_, err := s.UpdateAccount(ctx, "usr_1", func(*access.Account) ([]audit.Event, error) {
			return []audit.Event{event("user.disabled")}, nil
		}, func(access.Session) bool { return false })
		must(t, err)
		if _, _, err := s.Session(ctx, one.Key); !problem.Is(err, problem.NotFound) {
			t.Fatalf("round %d: the session is still there: %v", round, err)
		}
		close(stop)
		wg.Wait()
		if _, _, err := s.Session(ctx, one.Key); !problem.Is(err, problem.NotFound) {
			t.Fatalf("round %d: the session came back: %v", round, err)
		}
	}
}

func links(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addAccount(t, s, "usr_1")
	must(t, s.AddSession(ctx, session("usr_1", "a"), "", "", event("session.signed_in")))
	link := func(token string) access.Link {
		return access.Link{Key: access.HashToken(token), Kind: access.ResetLink, UserID: "usr_1", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}
	}
	must(t, s.AddLink(ctx, link("first"), event("user.reset_link_made")))
	must(t, s.AddLink(ctx, link("second"), event("user.reset_link_made")))
	_, err := s.Link(ctx, access.HashToken("first"))
	kind(t, err, problem.NotFound) // the newer one replaces it
	use := func(at time.Time) error {
		_, err := s.UseLink(ctx, access.HashToken("second"), at, func(a *access.Account) ([]audit.Event, error) {
			a.Passphrase = "new"
			return []audit.Event{event("user.passphrase_reset")}, nil
		})
		return err
	}
	kind(t, use(Start.Add(time.Hour)), problem.NotFound)
	must(t, use(Start))
	kind(t, use(Start), problem.NotFound)
	a, err := s.Account(ctx, "usr_1")
	must(t, err)
	if a.Passphrase != "new" {
		t.Error("the passphrase is the old one")
	}
	if left, err := s.Sessions(ctx, "usr_1"); err != nil || len(left) != 0 {
		t.Errorf("sessions go on: %v %v", left, err)
	}
}

func guesses(t *testing.T, s *store.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := s.TakeGuess(ctx, "k", func(g *access.Guess) error { g.Failures++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	refused := errors.New("refused")
	err := s.TakeGuess(ctx, "k", func(g *access.Guess) error {
		if g.Failures != 30 {
			t.Errorf("%d failures, want 30", g.Failures)
		}
		g.Failures = 99
		return refused
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	must(t, s.TakeGuess(ctx, "k", func(g *access.Guess) error {
		if g.Failures != 30 {
			t.Errorf("a refused guess was kept: %d", g.Failures)
		}
		return nil
	}))
	addAccount(t, s, "usr_1")
	must(t, s.AddSession(ctx, session("usr_1", "a"), "", "k", event("session.signed_in")))
	must(t, s.TakeGuess(ctx, "k", func(g *access.Guess) error {
		if g.Failures != 0 {
			t.Errorf("a sign-in left %d failures", g.Failures)
		}
		return nil
	}))
}

func formOps(t *testing.T, s *store.Store) {
	who := addAccount(t, s, "usr_1").User
	must(t, s.AddSession(t.Context(), session("usr_1", "a"), "", "", event("session.signed_in")))
	op := store.FormOp{ID: "op1", User: who, Session: "ses_a", Digest: []byte("same")}
	must(t, s.CheckFormOp(t.Context(), op))
	ctx := store.WithFormOp(t.Context(), op)
	must(t, s.FailSignIn(ctx, event("a")))
	must(t, s.FailSignIn(ctx, event("b"))) // a second write of the same request
	if !store.FormOpUsed(ctx) {
		t.Error("the operation is not used up")
	}
	must(t, s.FinishFormOp(t.Context(), "op1", "/there"))
	var repeated *store.RepeatedError
	if err := s.CheckFormOp(t.Context(), op); !errors.As(err, &repeated) || repeated.Location != "/there" {
		t.Errorf("a repeated form: %v", err)
	}
	if err := s.FailSignIn(store.WithFormOp(t.Context(), op), event("c")); !errors.As(err, &repeated) {
		t.Errorf("a repeated write: %v", err)
	}
	op.Digest = []byte("other")
	kind(t, s.CheckFormOp(t.Context(), op), problem.Conflict)
	head, err := s.HistoryHead(t.Context())
	must(t, err)
	if head.Seq != 4 {
		t.Errorf("%d entries, want 4", head.Seq)
	}

	// A write that fails leaves the operation unused.
	op = store.FormOp{ID: "op2", User: who, Session: "ses_a", Digest: []byte("x")}
	ctx = store.WithFormOp(t.Context(), op)
	_, err = s.UpdateAccount(ctx, "nobody", nil, nil)
	kind(t, err, problem.NotFound)
	if store.FormOpUsed(ctx) || s.CheckFormOp(t.Context(), op) != nil {
		t.Error("a failed write used the operation up")
	}

	// Who is no longer who they were when the request began writes nothing.
	op.User.Roles = []access.Role{access.Admin, access.Auditor}
	kind(t, s.FailSignIn(store.WithFormOp(t.Context(), op), event("d")), problem.Forbidden)
	op.User = who
	_, err = s.EndSessions(t.Context(), "usr_1", func(access.Session) bool { return true }, event("session.ended"))
	must(t, err)
	kind(t, s.FailSignIn(store.WithFormOp(t.Context(), op), event("e")), problem.Forbidden)
}

func formDrafts(t *testing.T, s *store.Store) {
	addAccount(t, s, "usr_1")
	d := store.FormDraft{UserID: "usr_1", Path: "/p", Fields: map[string][]string{"name": {"typed"}}}
	id, err := s.KeepFormDraft(t.Context(), d)
	must(t, err)
	d.ID = id
	got, err := s.FormDraft(t.Context(), id, "usr_1")
	must(t, err)
	if diff := cmp.Diff(d, got); diff != "" {
		t.Error(diff)
	}
	_, err = s.FormDraft(t.Context(), id, "usr_2")
	kind(t, err, problem.NotFound)
}

func projects(t *testing.T, s *store.Store) {
	ctx := t.Context()
	want := addProject(t, s, "prj_one")
	got, err := s.ProjectBySlug(ctx, "one")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	policies, err := s.Policies(ctx, "prj_one")
	must(t, err)
	if len(policies) != 1 || policies[0].Approvals != 0 {
		t.Errorf("policies: %+v", policies)
	}
	taken := want
	taken.ID = "prj_two"
	if p := problem.Of(s.AddProject(ctx, taken, event("project.added"))); p == nil || p.Fields["slug"] == "" {
		t.Errorf("a taken slug: %v", p)
	}
	_, err = s.UpdateProject(ctx, "prj_one", func(p *mirror.Project) ([]audit.Event, error) {
		p.Name = "Other"
		return []audit.Event{event("project.edited")}, nil
	})
	must(t, err)
	all, err := s.Projects(ctx)
	must(t, err)
	if len(all) != 1 || all[0].Name != "Other" {
		t.Errorf("projects: %+v", all)
	}
}

func config(id, name string) mirror.AuthConfig {
	return mirror.AuthConfig{ID: id, Name: name, Toolkit: "github", Scheme: "OAUTH2", Status: mirror.Enabled, UpdatedAt: Start, Seen: mirror.Seen{ChangedAt: Start, ChangedVia: mirror.ViaBaseline}}
}

func save(t *testing.T, s *store.Store, project string, u mirror.Update) {
	t.Helper()
	must(t, s.SaveSync(t.Context(), project, func(mirror.Current) (mirror.Update, error) { return u, nil }))
}

func mirrorRows(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	addProject(t, s, "prj_two")
	a := config("ac_1", "one")
	a.Scopes.Values, a.Tools, a.CredentialsSet = []string{"repo"}, []string{"T"}, []string{"client_secret"}
	save(t, s, "prj_one", mirror.Update{State: mirror.SyncState{Baseline: true, StartedAt: Start, OKAt: Start}, Changed: []mirror.AuthConfig{a, config("ac_2", "two")}, Events: []audit.Event{event("project.baseline")}})
	must(t, s.SaveSync(ctx, "prj_one", func(c mirror.Current) (mirror.Update, error) {
		got, ok, err := c.Config("ac_1")
		must(t, err)
		a.Seen.Version = 1
		if diff := cmp.Diff(a, got); !ok || diff != "" {
			t.Error(ok, diff)
		}
		if _, ok, err := c.Config("ac_9"); ok || err != nil {
			t.Error("found what isn't there", err)
		}
		return mirror.Update{Gone: []string{"ac_2"}, Events: []audit.Event{event("auth_config.deleted_outside")}}, nil
	}))
	one, err := s.Snapshot(ctx, "prj_one")
	must(t, err)
	two, err := s.Snapshot(ctx, "prj_two")
	must(t, err)
	if one.Len() != 1 || two.Len() != 0 {
		t.Errorf("%d and %d configs, want 1 and 0", one.Len(), two.Len())
	}
	must(t, s.FailSync(ctx, "prj_one", Start, "down"))
	p, err := s.Project(ctx, "prj_one")
	must(t, err)
	if p.Sync.Problem != "down" {
		t.Errorf("sync state: %+v", p.Sync)
	}
}

// The snapshot in memory and a fresh reading agree after any series of changes.
func snapshotFollows(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	for i := range 40 {
		snapshot, err := s.Snapshot(ctx, "prj_one") // loaded the first time, followed then
		must(t, err)
		if snapshot.Len() != min(i, 20) {
			t.Fatalf("step %d: %d configs", i, snapshot.Len())
		}
		u := mirror.Update{Changed: []mirror.AuthConfig{config(fmt.Sprintf("ac_%02d", i%20), fmt.Sprintf("name %02d", (i*7)%40))}}
		save(t, s, "prj_one", u)
	}
	snapshot, err := s.Snapshot(ctx, "prj_one")
	must(t, err)
	var names []string
	for a := range snapshot.All {
		names = append(names, a.Name)
	}
	var fresh []mirror.AuthConfig
	for a := range snapshot.All {
		fresh = append(fresh, a)
	}
	var again []string
	for a := range mirror.NewSnapshot(fresh).All {
		again = append(again, a.Name)
	}
	if diff := cmp.Diff(again, names); diff != "" {
		t.Error(diff)
	}
}

func toolkits(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addProject(t, s, "prj_one")
	all := []mirror.Toolkit{{Slug: "a", Name: "A", Schemes: []string{"OAUTH2"}}, {Slug: "b", Name: "B", NoAuth: true}}
	must(t, s.SaveToolkits(ctx, "prj_one", append(all, mirror.Toolkit{Slug: "c"}), Start))
	must(t, s.SaveToolkits(ctx, "prj_one", all, Start))
	got, at, err := s.Toolkits(ctx, "prj_one")
	must(t, err)
	if diff := cmp.Diff(all, got); diff != "" || !at.Equal(Start) {
		t.Error(at, diff)
	}
	_, err = s.ToolkitDetail(ctx, "prj_one", "a")
	kind(t, err, problem.NotFound)
	d := mirror.ToolkitDetail{Toolkit: all[0], SchemeSpecs: []mirror.Scheme{{Mode: "OAUTH2", Fields: []mirror.Field{{Name: "client_id"}}}}, ReadAt: Start}
	must(t, s.SaveToolkitDetail(ctx, "prj_one", d))
	gotDetail, err := s.ToolkitDetail(ctx, "prj_one", "a")
	must(t, err)
	if diff := cmp.Diff(d, gotDetail); diff != "" {
		t.Error(diff)
	}
	must(t, s.SaveTools(ctx, "prj_one", "a", []mirror.Tool{{Slug: "T"}}, Start))
	tools, at, err := s.Tools(ctx, "prj_one", "a")
	must(t, err)
	if len(tools) != 1 || !at.Equal(Start) {
		t.Error(tools, at)
	}
}

func request(id string, targets ...string) change.Request {
	r := change.Request{
		ID: id, Project: "prj_one", Title: "Title", Reason: "Reason", State: change.Applying, Author: change.Author{ID: "usr_1", Name: "Ada"},
		Policy: change.Policy{ID: "pol_1"}, CreatedAt: Start, UpdatedAt: Start, ExpiresAt: Start.Add(time.Hour),
		Revision: change.Revision{Number: 1, EffectHash: "hash", Contributors: []string{"usr_1"}, CreatedAt: Start},
	}
	for _, target := range targets {
		r.Revision.Items = append(r.Revision.Items, change.Item{Operation: change.Enable, Target: target, Set: mirror.Values{"status": {"ENABLED"}}, Base: mirror.Values{}})
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
		_, err := s.UpdateRequest(ctx, id, func(r *change.Request, _ change.Facts) (change.Effect, error) {
			return change.Effect{Events: []audit.Event{event("apply.intent")}, Claim: &r.Revision.Items[0], Attempt: &change.Attempt{Request: id, Revision: 1, Number: 1}}, nil
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
