package access_test

import (
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

func answer(c access.Challenge, text string) access.Attempt {
	return access.Attempt{Challenge: secret.New(c.Sealed), Assertion: secret.New(text)}
}

// register gives the reader a passkey.
func (h *house) register(p *access.Prover, r access.Reader, a *rig.Authenticator) {
	h.T.Helper()
	c, err := p.RegisterChallenge(h.T.Context(), r, "browser")
	h.must(err)
	_, err = p.AddPasskey(h.T.Context(), r, "Phone", answer(c, a.Create(c.Options)), "browser")
	h.must(err)
}

func TestPasskeySignIn(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	r := h.reader(h.Person("Ada", access.Admin).User)
	key := &rig.Authenticator{T: t, Origin: site, Verifies: true, Counts: true}
	h.register(p, r, key)
	signIn := func(change func(*access.Attempt)) (string, error) {
		c, err := p.SignInChallenge("browser")
		h.must(err)
		a := answer(c, key.Get(c.Options))
		if change != nil {
			change(&a)
		}
		return p.SignIn(ctx, a, "browser", from)
	}
	session, err := signIn(nil)
	h.must(err)
	if one := h.of(session); one.ID != r.ID || one.Method != access.MethodPasskey || !one.Strong {
		t.Errorf("the session is %+v", one)
	}
	if _, err := p.FactorChallenge(ctx, r.User, "browser"); err != nil {
		t.Fatal(err)
	}

	c, err := p.SignInChallenge("browser")
	h.must(err)
	once := answer(c, key.Get(c.Options))
	_, err = p.SignIn(ctx, once, "browser", from)
	h.must(err)
	_, err = p.SignIn(ctx, once, "browser", from)
	h.said(err, "used already", "replayed")
	_, err = signIn(func(a *access.Attempt) { a.Assertion = once.Assertion })
	h.said(err, "used already", "replayed")

	c, err = p.SignInChallenge("another browser")
	h.must(err)
	_, err = p.SignIn(ctx, answer(c, key.Get(c.Options)), "browser", from)
	h.said(err, "another browser", "elsewhere")
	c, err = p.FactorChallenge(ctx, r.User, "browser")
	h.must(err)
	_, err = p.SignIn(ctx, answer(c, key.Get(c.Options)), "browser", from)
	h.said(err, "another browser", "elsewhere") // a challenge for something else
	for _, jump := range []time.Duration{5 * time.Minute, -time.Second} {
		_, err = signIn(func(*access.Attempt) { h.now = h.now.Add(jump) })
		h.said(err, "longer than 5 minutes", "late")
	}
	_, err = signIn(func(a *access.Attempt) { a.Assertion = secret.New("{}") })
	h.said(err, "could not be read", "unreadable")
	_, err = signIn(func(a *access.Attempt) { a.Challenge = secret.New("AAAA") })
	h.said(err, "another browser", "elsewhere")

	for _, change := range []func(*rig.Authenticator){
		func(a *rig.Authenticator) { a.Origin = "https://localhost.evil.example" },
		func(a *rig.Authenticator) { a.Origin = "http://127.0.0.1:8080" },
		func(a *rig.Authenticator) { a.RPID = "evil.example" },
	} {
		twin := key.Copy()
		change(twin)
		c, err := p.SignInChallenge("browser")
		h.must(err)
		_, err = p.SignIn(ctx, answer(c, twin.Get(c.Options)), "browser", from)
		h.said(err, "another site", "origin")
	}
	careless := key.Copy()
	careless.Verifies = false
	c, err = p.SignInChallenge("browser")
	h.must(err)
	_, err = p.SignIn(ctx, answer(c, careless.Get(c.Options)), "browser", from)
	h.said(err, "could not be verified", "wrong")

	stranger := &rig.Authenticator{T: t, Origin: site, Verifies: true}
	c, err = p.RegisterChallenge(ctx, r, "browser")
	h.must(err)
	stranger.Create(c.Options)
	c, err = p.SignInChallenge("browser")
	h.must(err)
	_, err = p.SignIn(ctx, answer(c, stranger.Get(c.Options)), "browser", from)
	h.said(err, "no account here", "unknown")
}

// Of two authenticators with one passkey, the one whose counter lags gives the
// copy away; then neither is good any more.
func TestClonedPasskey(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	r := h.reader(h.Person("Ada", access.Admin).User)
	key := &rig.Authenticator{T: t, Origin: site, Verifies: true, Counts: true}
	h.register(p, r, key)
	thief := key.Copy()
	in := func(a *rig.Authenticator) error {
		c, err := p.SignInChallenge("browser")
		h.must(err)
		_, err = p.SignIn(ctx, answer(c, a.Get(c.Options)), "browser", from)
		return err
	}
	h.must(in(key))
	h.must(in(key))
	h.said(in(thief), "a copy of this passkey", "cloned")
	h.now = h.now.Add(time.Minute)
	h.said(in(key), "a copy of it", "blocked")
	if e := h.History(store.HistoryQuery{Action: access.ClonedAction}); len(e) != 1 || e[0].Object.ID != r.ID {
		t.Errorf("the copy is recorded as %+v", e)
	}
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	h := newHouse(t)
	p, ctx := h.prover(), t.Context()
	r := h.reader(h.Person("Ada", access.Admin).User)
	key := &rig.Authenticator{T: t, Origin: site} // one that doesn't know its owner
	h.register(p, r, key)
	token := h.begun(p, "ada@example.com")
	c, err := p.FactorChallenge(ctx, r.User, token)
	h.must(err)
	session, err := p.Finish(ctx, token, answer(c, key.Get(c.Options)), from)
	h.must(err)
	if !h.of(session).Strong {
		t.Error("the session isn't strong")
	}

	// Registering: replayed, from elsewhere, twice.
	c, err = p.RegisterChallenge(ctx, r, "browser")
	h.must(err)
	second := &rig.Authenticator{T: t, Origin: "https://evil.example"}
	_, err = p.AddPasskey(ctx, r, "Key", answer(c, second.Create(c.Options)), "browser")
	h.said(err, "another site", "origin")
	second.Origin = site
	_, err = p.AddPasskey(ctx, r, "Key", answer(c, second.Create(c.Options)), "browser")
	h.said(err, "used already", "replayed")
	c, err = p.RegisterChallenge(ctx, r, "browser")
	h.must(err)
	_, err = p.AddPasskey(ctx, h.reader(h.Person("Eve", access.Viewer).User), "Key", answer(c, second.Create(c.Options)), "browser")
	h.said(err, "could not be verified", "wrong")
	h.register(p, r, second)
	f, err := p.Own(ctx, r)
	h.must(err)
	if len(f.Passkeys) != 2 {
		t.Fatalf("%d passkeys", len(f.Passkeys))
	}
	h.must(p.RenamePasskey(ctx, r, f.Passkeys[1].ID, "Spare key"))
	if err := p.RenamePasskey(ctx, r, "pky_nosuch", "x"); !problem.Is(err, problem.NotFound) {
		t.Error(err)
	}
	for _, k := range f.Passkeys {
		h.must(p.RemovePasskey(ctx, r, k.ID))
	}
	if f, err = p.Own(ctx, r); err != nil || f.Any() || len(f.Codes) > 0 {
		t.Errorf("left: %+v %v", f, err)
	}
}
