package access

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Prover checks second factors, and looks after them for those whose they are.
type Prover struct {
	people   *Service
	web      *webauthn.WebAuthn // nil where there can be no passkeys
	required []string
}

// ProverSettings are how second factors are used.
type ProverSettings struct {
	Public   *url.URL // of the console
	Required []string // names of the roles that ask for a second factor
}

// NewProver returns a prover for the people of a service.
func NewProver(people *Service, s ProverSettings) (*Prover, error) {
	web, err := newRelying(s.Public)
	return &Prover{people: people, web: web, required: s.Required}, err
}

// An Attempt is what somebody gives to prove who they are: one of its kinds.
type Attempt struct {
	Code       secret.Value // of an authenticator app
	Recovery   secret.Value // a recovery code
	Challenge  secret.Value // as it was given
	Assertion  secret.Value // what the authenticator says to it
	Passphrase secret.Value // only of who has no second factor
}

func (a Attempt) kind() string {
	switch {
	case !a.Assertion.Empty():
		return FactorPasskey
	case !a.Code.Empty():
		return FactorTOTP
	case !a.Recovery.Empty():
		return FactorRecovery
	}
	return ""
}

// refusals are the words for what is wrong with an attempt, by kind and reason.
var refusals = map[string]map[string]string{
	FactorTOTP: {
		codeWrong: "This code is not right. Codes last half a minute: wait for the next one, and look whether the clock of your phone is right.",
		codeUsed:  "This code was used already. Wait for the next one. If codes stay refused, the clock of this server was set back: use another factor and tell your operator.",
	},
	FactorRecovery: {
		codeWrong: "This is not one of your recovery codes.",
		codeUsed:  "This recovery code was used already. Each counts once.",
	},
	FactorPasskey: {
		codeWrong:    "The passkey's answer could not be verified. Try again, or use another factor.",
		keyElsewhere: "This answer belongs to a page of another browser, or from before you signed in. Try again on this page.",
		keyLate:      "That took longer than 5 minutes. Try again.",
		keyReplayed:  "This answer was used already, or answers another page. Try again.",
		keyOrigin:    "The passkey answered another site than this one. Look at the address of this page before you try again.",
		keyUnknown:   "This passkey belongs to no account here, or was removed.",
		keyCloned:    "There seems to be a copy of this passkey: its counter went back. It is refused from now on. Use another factor, then remove it from your account and tell your admin.",
		keyBlocked:   "This passkey is refused, since there seems to be a copy of it. Use another factor, then remove it from your account.",
		keyUnread:    "The answer of your browser could not be read. Try again.",
	},
}

// fieldOf is the field of a form that each kind is given in.
var fieldOf = map[string]string{FactorTOTP: "code", FactorRecovery: "recovery", FactorPasskey: "passkey"}

// miscoded says what is wrong with a recovery code that was given as a code of an app.
var miscoded = problem.InvalidFields("That did not prove who you are.", map[string]string{"recovery": "You typed a recovery code where the app's code belongs. Enter it here instead."})

func refusal(kind, wrong string) error {
	if wrong == codeMisplaced {
		return miscoded
	}
	if kind == "" {
		return problem.InvalidFields("Nothing was sent.", map[string]string{"code": "Enter a code, or use another way."})
	}
	return problem.InvalidFields("That did not prove who you are.", map[string]string{fieldOf[kind]: refusals[kind][wrong]})
}

func refusedEvent(by audit.Actor, object audit.Object, kind, wrong string) audit.Event {
	return audit.Event{Actor: by, Action: factorRefusedAction, Object: object, Outcome: audit.Denied, Detail: map[string]string{"factor": kind, "why": wrong}}
}

// refuse records an attempt that nothing else is to be done about.
func (p *Prover) refuse(ctx context.Context, by audit.Actor, object audit.Object, kind, wrong string) error {
	if err := p.people.store.FailSignIn(ctx, refusedEvent(by, object, kind, wrong)); err != nil {
		return err
	}
	return refusal(kind, wrong)
}

// A proving is somebody about to prove who they are.
type proving struct {
	by      audit.Actor // who tries, as far as that is known
	attempt Attempt
	browser string // that a challenge was given to
	purpose string // of the challenge
	session string // in which they step up; empty at a sign-in
}

// counter is where an attempt at somebody's factors counts as a guess.
func (v proving) counter(u User) (key string, take func(*Guess, time.Time) error) {
	if v.session != "" {
		return proofKey(v.session), (*Guess).takeProof
	}
	return FactorKey(u.ID), (*Guess).takeAccount
}

// prove checks an attempt against somebody's factors; what then does with it is one
// transaction with that. Each code counts as a guess until one is right.
func (p *Prover) prove(ctx context.Context, u User, v proving, then func(Account, *Factors) (FactorStep, error)) error {
	now, kind := p.people.now(), v.attempt.kind()
	counter, take := v.counter(u)
	if kind == "" {
		return refusal("", "")
	}
	var one signature
	var wrong string
	var err error
	if kind == FactorPasskey { // nobody guesses a signature
		one, wrong, err = p.readSignature(ctx, v.attempt, v.browser, v.purpose)
	} else {
		err = p.people.store.TakeGuess(ctx, counter, func(g *Guess) error { return take(g, now) })
	}
	if err != nil {
		return err
	}
	err = p.people.store.UpdateFactors(ctx, u.ID, func(a Account, f *Factors) (step FactorStep, err error) {
		at := -1
		if wrong == "" {
			at, wrong = p.judge(a.User, f, v.attempt, one, now)
		}
		if wrong != "" {
			return p.denied(a.User, f, v, kind, wrong, at), nil
		}
		if step, err = then(a, f); err != nil {
			return step, err
		}
		if kind == FactorRecovery {
			step.Events = append(step.Events, codeUsedEvent(a.User, v.by, f.CodesLeft()))
		}
		if kind != FactorPasskey {
			step.Guesses = counter
		}
		return step, nil
	})
	if err == nil && wrong != "" {
		return refusal(kind, wrong)
	}
	return err
}

// judge decides about an attempt, and marks what it used up.
func (p *Prover) judge(u User, f *Factors, a Attempt, one signature, now time.Time) (at int, wrong string) {
	switch a.kind() {
	case FactorPasskey:
		return p.sign(u, f, one, now)
	case FactorRecovery:
		return -1, f.useCode(a.Recovery.Reveal(), now)
	}
	if f.App == nil {
		return -1, codeWrong
	}
	key, err := p.people.keys.Open(f.App.Sealed, "totp", u.ID, "sealed")
	if err != nil {
		return -1, codeWrong
	}
	step, wrong := matchCode(key.Reveal(), a.Code.Reveal(), now, f.App.LastStep)
	if wrong == "" {
		app := *f.App
		app.LastStep, app.UsedAt = step, now
		f.App = &app
	}
	return -1, wrong
}

// denied is what a refused attempt leaves behind.
func (p *Prover) denied(u User, f *Factors, v proving, kind, wrong string, at int) FactorStep {
	step := FactorStep{Events: []audit.Event{refusedEvent(v.by, u.object(), kind, wrong)}}
	if wrong == keyCloned {
		step.Events = append(step.Events, audit.Event{
			Actor: v.by, Action: ClonedAction, Object: u.object(), Outcome: audit.Denied, Detail: map[string]string{"passkey": f.Passkeys[at].ID},
		})
	}
	return step
}

// Needs reports whether one of somebody's roles asks for a second factor: one that
// is named in the settings, or one that people made and that approves or manages
// as a named one does.
func (p *Prover) Needs(u User) bool { return slices.ContainsFunc(u.Grants, p.asks) }

func (p *Prover) asks(g Grant) bool {
	named := func(name string) bool {
		return slices.ContainsFunc(p.required, func(r string) bool { return strings.EqualFold(r, name) })
	}
	if g.Name == "" {
		return named(string(g.Role))
	}
	return named(g.Name) || named(string(Approver)) && g.Allowing(ApproveChange) ||
		named(string(Admin)) && slices.ContainsFunc(managing, g.Allowing)
}

// Lacks reports whether the reader has to set up a second factor before anything
// else. Who gave one to their provider has one.
func (p *Prover) Lacks(r Reader) bool { return !r.SecondFactor && !r.Strong && p.Needs(r.User) }
