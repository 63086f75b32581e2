package access

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// mostPasskeys is how many passkeys one person may have.
const mostPasskeys = 20

// Own lists the reader's second factors.
func (p *Prover) Own(ctx context.Context, r Reader) (Factors, error) {
	return p.people.store.Factors(ctx, r.ID)
}

// codeUsedEvent tells of a recovery code that was used, and how many are left.
func codeUsedEvent(u User, by audit.Actor, left int) audit.Event {
	return audit.Event{Actor: by, Action: CodeUsedAction, Object: u.object(), Detail: map[string]string{"left": strconv.Itoa(left)}}
}

func factorEvent(r Reader, action, kind, id string) audit.Event {
	e := audit.Event{Actor: r.Actor(), Action: action, Object: r.object(), Detail: map[string]string{"factor": kind}}
	if id != "" {
		e.Detail["passkey"] = id
	}
	return e
}

// add lets put add a factor. With the first one come recovery codes, which are
// returned, and the reader's other sessions end.
func (p *Prover) add(ctx context.Context, r Reader, kind, id string, put func(*Factors) error) (codes []string, err error) {
	err = p.people.store.UpdateFactors(ctx, r.ID, func(_ Account, f *Factors) (FactorStep, error) {
		first := !f.Any()
		if err := put(f); err != nil {
			return FactorStep{}, err
		}
		step := FactorStep{Events: []audit.Event{factorEvent(r, FactorAddedAction, kind, id)}}
		if !first {
			return step, nil
		}
		codes, f.Codes = newCodes()
		step.Events = append(step.Events, audit.Event{Actor: r.Actor(), Action: CodesMadeAction, Object: r.object()})
		step.Prove = &Session{ID: r.Session, ProvedAt: r.ProvedAt, Strong: true}
		step.End = func(one Session) bool { return one.ID != r.Session }
		return step, nil
	})
	return codes, err
}

// AddPasskey keeps a passkey that the reader's browser made. With the first factor
// come recovery codes.
func (p *Prover) AddPasskey(ctx context.Context, r Reader, name string, a Attempt, browser string) (codes []string, err error) {
	name, complaint := cleanName(name)
	if err := complaints(map[string]string{"name": complaint}); err != nil {
		return nil, err
	}
	k, err := p.readPasskey(ctx, r, a, browser)
	if err != nil {
		return nil, err
	}
	k.Name = name
	return p.add(ctx, r, FactorPasskey, k.ID, func(f *Factors) error {
		switch {
		case len(f.Passkeys) >= mostPasskeys:
			return problem.New(problem.Conflict, "You have %d passkeys, and there can't be more. Remove one first.", mostPasskeys)
		case slices.ContainsFunc(f.Passkeys, func(one Passkey) bool { return bytes.Equal(one.Credential, k.Credential) }):
			return problem.New(problem.Conflict, "You have this passkey already.")
		}
		f.Passkeys = append(slices.Clone(f.Passkeys), k)
		return nil
	})
}

// RenamePasskey gives one of the reader's passkeys another name.
func (p *Prover) RenamePasskey(ctx context.Context, r Reader, id, name string) error {
	name, complaint := cleanName(name)
	if err := complaints(map[string]string{"name": complaint}); err != nil {
		return err
	}
	return p.people.store.UpdateFactors(ctx, r.ID, func(_ Account, f *Factors) (FactorStep, error) {
		i := f.passkey(id)
		if i < 0 {
			return FactorStep{}, noFactor()
		}
		f.Passkeys = slices.Clone(f.Passkeys)
		f.Passkeys[i].Name = name
		return FactorStep{Events: []audit.Event{factorEvent(r, FactorRenamedAction, FactorPasskey, id)}}, nil
	})
}

func noFactor() error {
	return problem.New(problem.NotFound, "There is no such factor; it may have been removed.")
}

// RemovePasskey takes one of the reader's passkeys away.
func (p *Prover) RemovePasskey(ctx context.Context, r Reader, id string) error {
	return p.remove(ctx, r, FactorPasskey, id, func(f *Factors) bool {
		i := f.passkey(id)
		if i >= 0 {
			f.Passkeys = slices.Delete(slices.Clone(f.Passkeys), i, i+1)
		}
		return i >= 0
	})
}

// RemoveApp takes the reader's authenticator app away.
func (p *Prover) RemoveApp(ctx context.Context, r Reader) error {
	return p.remove(ctx, r, FactorTOTP, "", func(f *Factors) bool {
		had := f.App != nil
		f.App = nil
		return had
	})
}

// remove lets take remove a factor. The last one stays while a role asks for it;
// with it go the recovery codes and the reader's other sessions, and the one in use
// isn't strong any more.
func (p *Prover) remove(ctx context.Context, r Reader, kind, id string, take func(*Factors) bool) error {
	return p.people.store.UpdateFactors(ctx, r.ID, func(a Account, f *Factors) (FactorStep, error) {
		if !take(f) {
			return FactorStep{}, noFactor()
		}
		step := FactorStep{Events: []audit.Event{factorEvent(r, FactorRemovedAction, kind, id)}}
		if f.Any() {
			return step, nil
		}
		if p.Needs(a.User) {
			return FactorStep{}, problem.New(problem.Conflict, "Your role asks for a second factor, and this is your last one. Add another first.")
		}
		f.Codes = nil
		step.Prove = &Session{ID: r.Session, ProvedAt: r.ProvedAt}
		step.End = func(one Session) bool { return one.ID != r.Session }
		return step, nil
	})
}

// NewCodes makes the reader's recovery codes anew; the ones before stop working.
func (p *Prover) NewCodes(ctx context.Context, r Reader) (codes []string, err error) {
	err = p.people.store.UpdateFactors(ctx, r.ID, func(_ Account, f *Factors) (FactorStep, error) {
		if !f.Any() {
			return FactorStep{}, problem.New(problem.Conflict, "Recovery codes stand in for a second factor. Add one first.")
		}
		codes, f.Codes = newCodes()
		return FactorStep{Events: []audit.Event{{Actor: r.Actor(), Action: CodesMadeAction, Object: r.object()}}}, nil
	})
	return codes, err
}

// An AppOffer is a secret that an authenticator app is to take in. It counts once
// a code of it came back.
type AppOffer struct {
	Secret string // for people to type, in groups
	URI    string // for a camera
	Sealed string // comes back with the code
}

const offerLife = time.Hour

type offered struct {
	Key   string
	Until time.Time
}

// OfferApp makes a secret for the reader's authenticator app.
func (p *Prover) OfferApp(r Reader) (AppOffer, error) {
	key := newAppSecret()
	kept, err := json.Marshal(offered{key, p.people.now().Add(offerLife)})
	if err != nil {
		return AppOffer{}, err
	}
	sealed := p.people.keys.Seal(secret.New(string(kept)), "totp", r.ID, "offer")
	return offer(r, key, base64.RawURLEncoding.EncodeToString(sealed))
}

func offer(r Reader, key, sealed string) (AppOffer, error) {
	uri, err := appURI(r.Email, key)
	var groups []byte
	for i, c := range []byte(key) {
		if i > 0 && i%4 == 0 {
			groups = append(groups, ' ')
		}
		groups = append(groups, c)
	}
	return AppOffer{Secret: string(groups), URI: uri, Sealed: sealed}, err
}

// OfferedApp is the offer that came back sealed.
func (p *Prover) OfferedApp(r Reader, sealed secret.Value) (AppOffer, error) {
	key, err := p.offered(r, sealed)
	if err != nil {
		return AppOffer{}, err
	}
	return offer(r, key, sealed.Reveal())
}

func (p *Prover) offered(r Reader, sealed secret.Value) (key string, err error) {
	old := problem.New(problem.Conflict, "This page is too old, or isn't yours. Nothing was changed. Open it again and scan the new code.")
	raw, err := base64.RawURLEncoding.DecodeString(sealed.Reveal())
	if err != nil {
		return "", old
	}
	text, err := p.people.keys.Open(raw, "totp", r.ID, "offer")
	if err != nil {
		return "", old
	}
	var o offered
	if err := json.Unmarshal([]byte(text.Reveal()), &o); err != nil || !p.people.now().Before(o.Until) {
		return "", old
	}
	return o.Key, nil
}

// notAdded says why an app isn't kept.
func notAdded(wrong string) error {
	words := "Codes last half a minute: wait for the next one and enter it. If none is taken, look whether the clock of your phone is set by itself."
	if wrong == codeMisplaced {
		words = "This looks like a recovery code. Enter the six digits that the app shows now."
	}
	return problem.InvalidFields("That code isn't right. The app was not added.", map[string]string{"code": words})
}

// AddApp keeps an authenticator app once a code of it is right. With the first
// factor come recovery codes.
func (p *Prover) AddApp(ctx context.Context, r Reader, sealed, code secret.Value) (codes []string, err error) {
	key, err := p.offered(r, sealed)
	if err != nil {
		return nil, err
	}
	now := p.people.now()
	step, wrong := matchCode(key, code.Reveal(), now, 0)
	if wrong != "" {
		return nil, notAdded(wrong) // of a secret that isn't kept; nobody guesses anything by it
	}
	return p.add(ctx, r, FactorTOTP, "", func(f *Factors) error {
		if f.App != nil {
			return problem.New(problem.Conflict, "You have an authenticator app already. Remove it first.")
		}
		f.App = &Authenticator{Sealed: p.people.keys.Seal(secret.New(key), "totp", r.ID, "sealed"), LastStep: step, CreatedAt: now}
		return nil
	})
}
