package access_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

const site = "http://localhost:8080"

func (h *house) prover(required ...string) *access.Prover {
	h.T.Helper()
	public, err := url.Parse("http://127.0.0.1:8080")
	if err != nil {
		h.T.Fatal(err)
	}
	p, err := access.NewProver(h.access, access.ProverSettings{Public: public, Required: required})
	if err != nil {
		h.T.Fatal(err)
	}
	return p
}

// reader signs somebody in by passphrase alone.
func (h *house) reader(u access.User) access.Reader {
	h.T.Helper()
	token, err := h.access.StartSession(h.T.Context(), u, access.Proof{Method: access.MethodPassphrase, Strong: u.SecondFactor}, from)
	h.must(err)
	return h.of(token)
}

// of is who has a session.
func (h *house) of(token string) access.Reader {
	h.T.Helper()
	one, u, err := h.Store.Session(h.T.Context(), access.HashToken(token))
	h.must(err)
	return access.Reader{User: u, Session: one.ID, Origin: from, Method: one.Method, ProvedAt: one.ProvedAt, Strong: one.Strong}
}

func (h *house) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// said checks that an attempt was refused, with these words and an entry that
// gives this reason.
func (h *house) said(err error, words, why string) {
	h.T.Helper()
	p := problem.Of(err)
	if p == nil || p.Kind != problem.Invalid {
		h.T.Errorf("want a refusal that says %q, got %v", words, err)
		return
	}
	text := strings.Join(slices.Collect(maps.Values(p.Fields)), " ")
	if !strings.Contains(text, words) {
		h.T.Errorf("it says %q, not %q", text, words)
	}
	if got := h.History(store.HistoryQuery{Action: "session.factor_refused"}); len(got) == 0 || got[0].Detail["why"] != why || got[0].Outcome != "denied" {
		h.T.Errorf("history doesn't say why: %s", why)
	}
}

func (h *house) app(p *access.Prover, r access.Reader) (key string, codes []string) {
	h.T.Helper()
	o, err := p.OfferApp(r)
	h.must(err)
	codes, err = p.AddApp(h.T.Context(), r, secret.New(o.Sealed), secret.New(rig.Code(h.T, o.Secret, h.now)))
	h.must(err)
	return o.Secret, codes
}

func code(text string) access.Attempt     { return access.Attempt{Code: secret.New(text)} }
func recovery(text string) access.Attempt { return access.Attempt{Recovery: secret.New(text)} }

// begun signs in by passphrase, which leads to the second factor.
func (h *house) begun(p *access.Prover, email string) (token string) {
	h.T.Helper()
	token, err := h.signIn(email, rig.Passphrase)
	h.must(err)
	if _, _, err := h.Store.Session(h.T.Context(), access.HashToken(token)); !problem.Is(err, problem.NotFound) {
		h.T.Fatalf("the passphrase alone opened a session: %v", err)
	}
	_, err = p.Waiting(h.T.Context(), token)
	h.must(err)
	return token
}

func TestCodeAsSecondFactor(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	r := h.reader(h.Person("Ada", access.Admin).User)
	other := h.reader(r.User)
	o, err := p.OfferApp(r)
	h.must(err)
	_, err = p.AddApp(ctx, r, secret.New(o.Sealed), secret.New("000000"))
	if !problem.Is(err, problem.Invalid) {
		t.Errorf("an app was taken by a wrong code: %v", err)
	}
	_, err = p.AddApp(ctx, h.reader(h.Person("Eve", access.Viewer).User), secret.New(o.Sealed), secret.New(rig.Code(t, o.Secret, h.now)))
	if !problem.Is(err, problem.Conflict) {
		t.Errorf("somebody else's offer: %v", err)
	}
	codes, err := p.AddApp(ctx, r, secret.New(o.Sealed), secret.New(rig.Code(t, o.Secret, h.now)))
	h.must(err)
	if len(codes) != 10 {
		t.Errorf("%d recovery codes", len(codes))
	}
	if left, err := h.Store.Sessions(ctx, r.ID); err != nil || len(left) != 1 || left[0].ID == other.Session || !left[0].Strong {
		t.Errorf("after the first factor these sessions go on: %+v %v", left, err)
	}

	h.now = h.now.Add(time.Minute)
	token := h.begun(p, "ada@example.com")
	_, err = p.Finish(ctx, token, code("123"), from)
	h.said(err, "not right", "wrong")
	now := rig.Code(t, o.Secret, h.now)
	session, err := p.Finish(ctx, token, code(now[:3]+" "+now[3:]), from)
	h.must(err)
	if one := h.of(session); one.Method != access.MethodPassphrase || !one.Strong || !one.ProvedAt.Equal(h.now) {
		t.Errorf("the session is %+v", one)
	}
	if _, err := p.Finish(ctx, token, code(now), from); !problem.Is(err, problem.NotFound) {
		t.Errorf("a sign-in went on twice: %v", err)
	}

	// The same code again, codes of the neighbouring steps, and a clock that is set back.
	token = h.begun(p, "ada@example.com")
	_, err = p.Finish(ctx, token, code(now), from)
	h.said(err, "used already", "used")
	_, err = p.Finish(ctx, token, code(rig.Code(t, o.Secret, h.now.Add(-30*time.Second))), from)
	h.said(err, "used already", "used")
	_, err = p.Finish(ctx, token, code(rig.Code(t, o.Secret, h.now.Add(time.Minute))), from)
	h.said(err, "not right", "wrong")
	_, err = p.Finish(ctx, token, code(rig.Code(t, o.Secret, h.now.Add(30*time.Second))), from)
	h.must(err)
	h.now = h.now.Add(-time.Hour)
	token = h.begun(p, "ada@example.com")
	_, err = p.Finish(ctx, token, code(rig.Code(t, o.Secret, h.now)), from)
	h.said(err, "clock of this server was set back", "used")
	_, err = p.Finish(ctx, token, recovery(strings.ToLower(codes[0])), from)
	h.must(err)
}

// Parallel sign-ins with one code: one of them gets in.
func TestCodeCountsOnce(t *testing.T) {
	h := newHouse(t)
	p := h.prover()
	key, codes := h.app(p, h.reader(h.Person("Ada", access.Admin).User))
	h.now = h.now.Add(time.Minute)
	for name, a := range map[string]access.Attempt{"code": code(rig.Code(t, key, h.now)), "recovery code": recovery(codes[0])} {
		var in atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			token := h.begun(p, "ada@example.com")
			wg.Go(func() {
				if _, err := p.Finish(t.Context(), token, a, from); err == nil {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 {
			t.Errorf("one %s opened %d sessions", name, in.Load())
		}
	}
}

func TestRecoveryCodes(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	r := h.reader(h.Person("Ada", access.Admin).User)
	if _, err := p.NewCodes(ctx, r); !problem.Is(err, problem.Conflict) {
		t.Errorf("codes without a factor: %v", err)
	}
	_, codes := h.app(p, r)
	_, err := p.Finish(ctx, h.begun(p, "ada@example.com"), recovery(strings.ReplaceAll(codes[3], "-", " ")), from)
	h.must(err)
	if e := h.History(store.HistoryQuery{Action: access.CodeUsedAction}); len(e) != 1 || e[0].Detail["left"] != "9" {
		t.Errorf("the use is recorded as %+v", e)
	}
	_, err = p.Finish(ctx, h.begun(p, "ada@example.com"), recovery(codes[3]), from)
	h.said(err, "used already", "used")
	fresh, err := p.NewCodes(ctx, r)
	h.must(err)
	_, err = p.Finish(ctx, h.begun(p, "ada@example.com"), recovery(codes[4]), from)
	h.said(err, "not one of your", "wrong")
	_, err = p.Finish(ctx, h.begun(p, "ada@example.com"), recovery(fresh[4]), from)
	h.must(err)
}

// A sign-in that waits ends by itself, and with what it was begun by. Guesses count
// across restarts.
func TestPendingSignIn(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	ada := h.Person("Ada", access.Admin)
	key, _ := h.app(p, h.reader(ada.User))
	for name, change := range map[string]func(){
		"late":             func() { h.now = h.now.Add(access.PendingLife) },
		"the clock":        func() { h.now = h.now.Add(-time.Second) },
		"a new passphrase": func() { h.reset(ada.User) },
		"given up":         func() {},
	} {
		token := h.begun(p, "ada@example.com")
		change()
		if name == "given up" {
			h.must(p.GiveUp(ctx, token, from))
		}
		if _, err := p.Finish(ctx, token, code(rig.Code(t, key, h.now.Add(30*time.Second))), from); !problem.Is(err, problem.SignIn) && !problem.Is(err, problem.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Waiting(ctx, token); err == nil {
			t.Errorf("%s: it still waits", name)
		}
	}
	if got := h.History(store.HistoryQuery{Action: "session.factor_refused"}); len(got) != 2 || got[0].Detail["why"] != "late" {
		t.Errorf("%d late ones are recorded", len(got))
	}

	token := h.begun(p, "ada@example.com")
	for range 5 {
		_, err := p.Finish(ctx, token, code("000000"), from)
		h.said(err, "not right", "wrong")
	}
	h.Restart()
	h.access = access.NewService(h.Store, h.Keys, func() time.Time { return h.now })
	p = h.prover()
	if _, err := p.Finish(ctx, token, code(rig.Code(t, key, h.now)), from); !problem.Is(err, problem.TooMany) {
		t.Errorf("after five wrong codes: %v", err)
	}
}

// reset lets somebody set the passphrase anew, by a link; it is the same again.
func (h *house) reset(u access.User) {
	h.T.Helper()
	link, err := h.access.ResetPassphrase(h.T.Context(), access.Operator(), u.ID)
	h.must(err)
	_, err = h.access.UseLink(h.T.Context(), link, secret.New(rig.Passphrase), from)
	h.must(err)
}

// A link sets a passphrase; it doesn't stand in for the second factor.
func TestLinkNeedsFactor(t *testing.T) {
	h := newHouse(t)
	p := h.prover()
	ada := h.Person("Ada", access.Admin)
	h.app(p, h.reader(ada.User))
	link, err := h.access.ResetPassphrase(t.Context(), access.Operator(), ada.ID)
	h.must(err)
	token, err := h.access.UseLink(t.Context(), link, secret.New("another long passphrase of mine"), from)
	h.must(err)
	if u, err := p.Waiting(t.Context(), token); err != nil || u.ID != ada.ID {
		t.Errorf("the link led to %v %v", u, err)
	}
}

func TestStepUp(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	u := h.Person("Ada", access.Admin).User
	token, err := h.signIn("ada@example.com", rig.Passphrase)
	h.must(err)
	r := h.of(token)
	h.now = h.now.Add(access.ProofLife)
	if !r.Fresh(h.now) || r.Fresh(h.now.Add(1)) || r.Fresh(r.ProvedAt.Add(-1)) {
		t.Error("a proof lasts five minutes, and counts from when it was given")
	}
	h.now = h.now.Add(time.Minute)
	_, err = p.StepUp(ctx, r, access.Attempt{Passphrase: secret.New("wrong")}, "")
	h.said(err, "not your passphrase", "wrong")
	next, err := p.StepUp(ctx, r, access.Attempt{Passphrase: secret.New(rig.Passphrase)}, "")
	h.must(err)
	if _, _, err := h.Store.Session(ctx, access.HashToken(token)); !problem.Is(err, problem.NotFound) {
		t.Errorf("the old token still opens the session: %v", err)
	}
	if r = h.of(next); !r.Fresh(h.now) || r.Strong || r.Session == "" {
		t.Errorf("afterwards: %+v", r)
	}
	key, _ := h.app(p, r)
	r = h.of(next)
	h.now = h.now.Add(time.Hour)
	if _, err := p.StepUp(ctx, r, access.Attempt{Passphrase: secret.New(rig.Passphrase)}, ""); err == nil {
		t.Error("a passphrase stood in for the second factor")
	}
	next, err = p.StepUp(ctx, r, code(rig.Code(t, key, h.now)), "")
	h.must(err)
	if r = h.of(next); !r.Fresh(h.now) || !r.Strong || r.ID != u.ID {
		t.Errorf("afterwards: %+v", r)
	}
	if len(h.History(store.HistoryQuery{Action: "session.proved"})) != 2 {
		t.Error("not every step-up is recorded")
	}
}

// Who guesses in a session that isn't theirs keeps its owner from nothing: neither
// from signing in elsewhere nor from a step-up there, and after ten wrong proofs that
// session proves nothing any more. Who guesses at the sign-in keeps nobody from a
// step-up.
func TestGuessesApart(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	h.Person("Ada", access.Admin)
	wrong, right := access.Attempt{Passphrase: secret.New("wrong")}, access.Attempt{Passphrase: secret.New(rig.Passphrase)}
	in := func() access.Reader {
		t.Helper()
		token, err := h.signIn("ada@example.com", rig.Passphrase)
		h.must(err)
		return h.of(token)
	}
	stolen, own := in(), in()
	for i := range 10 {
		h.now = h.now.Add(time.Minute)
		if i%2 == 0 {
			_, err := p.StepUp(ctx, stolen, wrong, "")
			h.said(err, "not your passphrase", "wrong")
		} else if err := h.access.ChangePassphrase(ctx, stolen, wrong.Passphrase, secret.New("six loud geese above the lake")); !problem.Is(err, problem.Invalid) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	h.now = h.now.Add(time.Hour)
	if _, err := p.StepUp(ctx, stolen, right, ""); !problem.Is(err, problem.TooMany) {
		t.Errorf("the eleventh proof in one session: %v", err)
	}
	_, err := p.StepUp(ctx, own, right, "")
	h.must(err)
	own = in()
	for range 5 {
		if _, err := h.signIn("ada@example.com", "wrong"); !problem.Is(err, problem.Invalid) {
			t.Fatal(err)
		}
	}
	if _, err := h.signIn("ada@example.com", rig.Passphrase); !problem.Is(err, problem.TooMany) {
		t.Errorf("guesses at the sign-in: %v", err)
	}
	_, err = p.StepUp(ctx, own, right, "")
	h.must(err)
}

// The same holds for second factors.
func TestFactorGuessesApart(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	ada := h.Person("Ada", access.Admin)
	key, codes := h.app(p, h.reader(ada.User))
	in := func(code access.Attempt) access.Reader {
		t.Helper()
		token, err := p.Finish(ctx, h.begun(p, "ada@example.com"), code, from)
		h.must(err)
		return h.of(token)
	}
	stolen := in(recovery(codes[0]))
	for range 10 {
		h.now = h.now.Add(time.Minute)
		_, err := p.StepUp(ctx, stolen, code("000000"), "")
		h.said(err, "not right", "wrong")
	}
	if _, err := p.StepUp(ctx, stolen, recovery(codes[1]), ""); !problem.Is(err, problem.TooMany) {
		t.Errorf("the eleventh proof in one session: %v", err)
	}
	own := in(code(rig.Code(t, key, h.now)))
	for range 5 {
		_, err := p.Finish(ctx, h.begun(p, "ada@example.com"), code("000000"), from)
		h.said(err, "not right", "wrong")
	}
	_, err := p.StepUp(ctx, own, recovery(codes[2]), "")
	h.must(err)
}

func TestRequiredFactor(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover("approver", "admin"), t.Context()
	if p.Lacks(h.reader(h.Person("Vera", access.Viewer).User)) {
		t.Error("a viewer needs no second factor")
	}
	ada := h.Person("Ada", access.Admin)
	r := h.reader(ada.User)
	if !p.Lacks(r) {
		t.Error("an admin needs one")
	}
	h.app(p, r)
	sessions, err := h.Store.Sessions(ctx, r.ID)
	h.must(err)
	r.SecondFactor, r.Strong = true, sessions[0].Strong
	if p.Lacks(r) {
		t.Error("an admin who has one is asked for it again")
	}
	if err := p.RemoveApp(ctx, r); !problem.Is(err, problem.Conflict) {
		t.Errorf("the last one went: %v", err)
	}
	if err := h.access.ResetFactors(ctx, r, r.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("an admin took away their own: %v", err)
	}
	if err := h.access.ResetFactors(ctx, h.reader(h.Person("Emil", access.Editor).User), r.ID); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an editor took away an admin's: %v", err)
	}
	h.must(h.access.ResetFactors(ctx, access.Operator(), r.ID))
	if left, err := h.Store.Sessions(ctx, r.ID); err != nil || len(left) != 0 {
		t.Errorf("sessions go on after a reset: %v %v", left, err)
	}
	if f, err := h.Store.Factors(ctx, r.ID); err != nil || f.Any() || len(f.Codes) > 0 {
		t.Errorf("after a reset there is %+v %v", f, err)
	}
}

// Who took their last factor away and then gets a role that asks for one is asked.
func TestRequiredFactorLater(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover("approver"), t.Context()
	h.Person("Vera", access.Viewer)
	token, err := h.signIn("vera@example.com", rig.Passphrase)
	h.must(err)
	h.app(p, h.of(token))
	h.must(p.RemoveApp(ctx, h.of(token)))
	_, err = h.Store.UpdateAccount(ctx, h.of(token).ID, func(a *access.Account) ([]audit.Event, error) {
		a.Grants = access.Unscoped(access.Approver)
		return []audit.Event{{Actor: audit.System(), Action: "user.roles_set"}}, nil
	}, nil)
	h.must(err)
	if r := h.of(token); !p.Lacks(r) {
		t.Errorf("an approver without a second factor isn't asked for one: %+v", r)
	}
}

// Where people only come through a provider a passphrase of theirs proves nothing.
func TestStepUpWhereLocalIsClosed(t *testing.T) {
	h := newHouse(t)
	p := h.prover()
	token, err := h.access.StartSession(t.Context(), h.Person("Vera", access.Viewer).User, access.Proof{Method: access.ProviderMethod("corp")}, from)
	h.must(err)
	h.access.CloseLocal()
	if _, err := p.StepUp(t.Context(), h.of(token), access.Attempt{Passphrase: secret.New(rig.Passphrase)}, ""); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a passphrase was taken: %v", err)
	}
}
