package access

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// unknown is who tries to sign in: nobody that is known for sure.
func unknown(email string, from Origin) audit.Actor {
	return audit.Actor{Kind: audit.ActorUnknown, Email: email, IP: from.IP, Agent: from.Agent}
}

// await begins a sign-in that waits for the second factor. The token belongs into
// the cookie.
func (s *Service) await(ctx context.Context, u User, p Proof, from Origin) (token string, err error) {
	token = NewToken()
	one := Pending{Key: HashToken(token), UserID: u.ID, Method: p.Method, CreatedAt: s.now(), Origin: from}
	return token, s.store.AddPendingSignIn(ctx, one, p.verified, p.guesses, audit.Event{
		Actor: unknown(u.Email, from), Action: factorAskedAction, Object: u.object(), Detail: map[string]string{"method": p.Method},
	})
}

// tooLate is the answer to a second factor that comes too late.
func tooLate() error {
	return problem.New(problem.SignIn, "That took longer than 5 minutes. Sign in again.")
}

// Waiting returns whose sign-in waits for the second factor under a token. One
// that has waited too long is a problem of kind SignIn, a missing one NotFound.
func (p *Prover) Waiting(ctx context.Context, token string) (User, error) {
	one, u, err := p.people.store.PendingSignIn(ctx, HashToken(token))
	if err == nil && one.Expired(p.people.now()) {
		err = tooLate()
	}
	return u, err
}

// Finish gives the second factor to a sign-in that waits for it.
func (p *Prover) Finish(ctx context.Context, token string, a Attempt, from Origin) (session string, err error) {
	key := HashToken(token)
	one, u, err := p.people.store.PendingSignIn(ctx, key)
	if err != nil {
		return "", err
	}
	by := unknown(u.Email, from)
	if one.Expired(p.people.now()) {
		if err := p.people.store.EndPendingSignIn(ctx, key, refusedEvent(by, u.object(), a.kind(), keyLate)); err != nil {
			return "", err
		}
		return "", tooLate()
	}
	if u.State != Active {
		return "", tooLate() // it ended when that was changed
	}
	return p.enter(ctx, u, proving{by: by, attempt: a, browser: token, purpose: forFactor}, Proof{Method: one.Method, Strong: true}, key, from)
}

// enter starts a session once an attempt proves who somebody is. Attempts count by
// address, too.
func (p *Prover) enter(ctx context.Context, u User, v proving, by Proof, pending TokenHash, from Origin) (session string, err error) {
	byAddress := "ip:" + from.IP
	if err := p.people.store.TakeGuess(ctx, byAddress, func(g *Guess) error { return g.takeAddress(p.people.now()) }); err != nil {
		return "", err
	}
	err = p.prove(ctx, u, v, func(a Account, _ *Factors) (FactorStep, error) {
		token, one := p.people.newSession(a.User, by, from)
		session = token
		e := signedInEvent(a.User, one)
		e.Detail["factor"] = v.attempt.kind()
		return FactorStep{Begin: &Opening{Session: one, Device: p.people.deviceHash(a.ID, from), Event: e, Pending: pending}}, nil
	})
	if err == nil {
		err = p.people.store.TakeGuess(ctx, byAddress, func(g *Guess) error { g.giveBack(); return nil })
	}
	return session, err
}

// GiveUp ends a sign-in that waits for the second factor.
func (p *Prover) GiveUp(ctx context.Context, token string, from Origin) error {
	key := HashToken(token)
	_, u, err := p.people.store.PendingSignIn(ctx, key)
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.people.store.EndPendingSignIn(ctx, key, audit.Event{Actor: unknown(u.Email, from), Action: "session.given_up", Object: u.object()})
}

// SignIn signs in by a passkey alone.
func (p *Prover) SignIn(ctx context.Context, a Attempt, browser string, from Origin) (session string, err error) {
	by := unknown("", from)
	u, err := p.owner(ctx, a)
	var wrong string
	switch {
	case problem.Is(err, problem.Invalid):
		wrong = keyUnread
	case problem.Is(err, problem.NotFound), err == nil && (u.State != Active || !p.people.MayComeLocally(u)):
		wrong = keyUnknown
	case err != nil:
		return "", err
	default:
		return p.enter(ctx, u, proving{by: by, attempt: a, browser: browser, purpose: forSignIn}, Proof{Method: MethodPasskey, Strong: true}, TokenHash{}, from)
	}
	err = p.people.store.TakeGuess(ctx, "ip:"+from.IP, func(g *Guess) error { return g.takeAddress(p.people.now()) })
	if err != nil {
		return "", err
	}
	return "", p.refuse(ctx, by, audit.Object{Kind: "user"}, FactorPasskey, wrong)
}

// StepUp proves anew who the reader is. Their session goes on under another token.
// Who has no second factor gives the passphrase, unless people only come through
// their provider.
func (p *Prover) StepUp(ctx context.Context, r Reader, a Attempt, browser string) (token string, err error) {
	token = NewToken()
	done := func(kind string, strong bool) FactorStep { return proved(r, token, kind, p.people.now(), strong) }
	if r.SecondFactor {
		return token, p.prove(ctx, r.User, proving{r.Actor(), a, browser, forFactor, r.Session}, func(Account, *Factors) (FactorStep, error) {
			return done(a.kind(), true), nil
		})
	}
	kind := MethodPassphrase
	if r.Method == MethodDemo {
		kind = MethodDemo // who came by one click goes on by one
	} else if !p.people.MayComeLocally(r.User) {
		return "", problem.New(problem.Forbidden, "Passphrases prove nothing here. Nothing was changed. Sign in again through your identity provider.")
	} else if err := p.people.provePassphrase(ctx, r, a.Passphrase); err != nil {
		return "", err
	}
	return token, p.people.store.UpdateFactors(ctx, r.ID, func(a Account, f *Factors) (FactorStep, error) {
		switch {
		case f.Any():
			return FactorStep{}, problem.New(problem.Conflict, "You have a second factor since a moment ago. Open the page again and use that.")
		case r.Strong && p.Needs(a.User):
			return FactorStep{}, ErrWeakProof
		}
		return done(kind, false), nil
	})
}

// proved lets the reader's session go on under another token.
func proved(r Reader, token, by string, at time.Time, strong bool) FactorStep {
	return FactorStep{
		Prove:  &Session{ID: r.Session, Key: HashToken(token), ProvedAt: at, Strong: strong},
		Events: []audit.Event{{Actor: r.Actor(), Action: provedAction, Object: audit.Object{Kind: "session", ID: r.Session, Name: r.Name}, Detail: map[string]string{"factor": by}}},
	}
}

// ErrWeakProof is the answer to a proof without a second factor in a session that
// began with one, where a role needs it. A session without one can do nothing there
// but set one up.
var ErrWeakProof = problem.New(problem.Forbidden, "Your role asks for a second factor, and this was none. Nothing was changed. Sign in again through your identity provider with a second factor, or set one up here under Account, Second factors, right after signing in.")

// StepUpThrough proves anew who the reader is by an identity of theirs at a
// provider, and the session is as strong as that was. Who has a second factor here
// gives that instead.
func (p *Prover) StepUpThrough(ctx context.Context, r Reader, in Arrival) (token string, err error) {
	in.Proves = true
	if _, err := p.people.store.TakeArrival(ctx, in, func(a *Account, known bool, _ Groups) ([]audit.Event, error) {
		if !known || a.ID != r.ID {
			return nil, problem.New(problem.Forbidden, "You signed in there as somebody else. Nothing was changed. Sign in as %s.", r.Name)
		}
		return nil, nil
	}); err != nil {
		return "", err
	}
	token = NewToken()
	return token, p.people.store.UpdateFactors(ctx, r.ID, func(a Account, f *Factors) (FactorStep, error) {
		switch {
		case f.Any():
			return FactorStep{}, problem.New(problem.Conflict, "You have a second factor here. Open the page again and use that.")
		case r.Strong && !in.Strong && p.Needs(a.User):
			return FactorStep{}, ErrWeakProof
		}
		return proved(r, token, ProviderMethod(in.Provider), in.ProvedAt, in.Strong), nil
	})
}

// provePassphrase compares with the reader's passphrase. A wrong one counts as a
// guess and is recorded.
func (s *Service) provePassphrase(ctx context.Context, r Reader, passphrase secret.Value) error {
	a, err := s.store.Account(ctx, r.ID)
	if err != nil {
		return err
	}
	match, err := s.compare(ctx, r, a, passphrase)
	if match || err != nil {
		return err
	}
	if err := s.store.FailSignIn(ctx, refusedEvent(r.Actor(), a.object(), MethodPassphrase, codeWrong)); err != nil {
		return err
	}
	return problem.InvalidFields("That did not prove who you are.", map[string]string{"passphrase": "This is not your passphrase."})
}

// compare reports whether a passphrase is the reader's. A wrong one counts as a guess
// in their session.
func (s *Service) compare(ctx context.Context, r Reader, a Account, passphrase secret.Value) (bool, error) {
	if err := s.store.TakeGuess(ctx, proofKey(r.Session), func(g *Guess) error { return g.takeProof(s.now()) }); err != nil {
		return false, err
	}
	match, _, err := s.hasher.matches(ctx, passphrase, a.Passphrase)
	if match && err == nil {
		err = s.store.TakeGuess(ctx, proofKey(r.Session), func(g *Guess) error { *g = Guess{}; return nil })
	}
	return match, err
}
