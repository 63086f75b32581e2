package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

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
		a.Grants = access.Unscoped(access.Admin, access.Auditor)
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
	return access.Session{ID: "ses_" + token, Key: access.HashToken(token), UserID: user, CreatedAt: Start, LastSeen: Start, Origin: access.Origin{IP: "192.0.2.1", Agent: "A"}, Method: access.MethodPassphrase, ProvedAt: Start, Strong: true}
}

func sessions(t *testing.T, s *store.Store) {
	ctx := t.Context()
	a := addAccount(t, s, "usr_1")
	one := session("usr_1", "a")
	must(t, s.AddSession(ctx, one, access.DeviceHash("d"), "", "", event("session.signed_in")))
	kind(t, s.AddSession(ctx, session("usr_1", "b"), access.DeviceHash("d"), "another passphrase", "", event("session.signed_in")), problem.Invalid)
	must(t, s.AddSession(ctx, session("usr_1", "b"), access.DeviceHash("d"), a.Passphrase, "", event("session.signed_in")))
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
		must(t, s.AddSession(ctx, one, access.DeviceHash("d"), "", "", event("session.signed_in")))
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
	must(t, s.AddSession(ctx, session("usr_1", "a"), access.DeviceHash("d"), "", "", event("session.signed_in")))
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
	must(t, s.AddSession(ctx, session("usr_1", "a"), access.DeviceHash("d"), "", "k", event("session.signed_in")))
	must(t, s.TakeGuess(ctx, "k", func(g *access.Guess) error {
		if g.Failures != 0 {
			t.Errorf("a sign-in left %d failures", g.Failures)
		}
		return nil
	}))
}

func formOps(t *testing.T, s *store.Store) {
	who := addAccount(t, s, "usr_1").User
	must(t, s.AddSession(t.Context(), session("usr_1", "a"), access.DeviceHash("d"), "", "", event("session.signed_in")))
	op := store.FormOp{ID: "op1", User: who, Session: "ses_a", Digest: []byte("same")}
	must(t, s.CheckFormOp(t.Context(), op))
	ctx := store.WithFormOp(t.Context(), op)
	must(t, s.FailSignIn(ctx, event("a")))
	must(t, s.FailSignIn(ctx, event("b"))) // a second write of the same request
	if !store.FormOpUsed(ctx) {
		t.Error("the operation is not used up")
	}
	must(t, s.FinishFormOp(t.Context(), op, "/there", ""))
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
	op.User.Grants = access.Unscoped(access.Admin, access.Auditor)
	kind(t, s.FailSignIn(store.WithFormOp(t.Context(), op), event("d")), problem.Forbidden)
	op.User = who
	_, err = s.EndSessions(t.Context(), "usr_1", func(access.Session) bool { return true }, event("session.ended"))
	must(t, err)
	kind(t, s.FailSignIn(store.WithFormOp(t.Context(), op), event("e")), problem.Forbidden)
}
