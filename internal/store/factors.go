package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

const passkeyColumns = "id, credential_id, public_key, sign_count, aaguid, transports, can_back_up, backed_up, name, created_at, used_at, cloned_at"

func scanPasskey(row scanner) (access.Passkey, error) {
	var k access.Passkey
	var transports string
	var created, used, cloned int64
	err := row.Scan(&k.ID, &k.Credential, &k.PublicKey, &k.SignCount, &k.AAGUID, &transports, &k.CanBackUp, &k.BackedUp, &k.Name, &created, &used, &cloned)
	k.Transports = strings.Fields(transports)
	k.CreatedAt, k.UsedAt, k.ClonedAt = fromMicros(created), fromMicros(used), fromMicros(cloned)
	return k, err
}

func readFactors(each reading, userID string) (access.Factors, error) {
	var f access.Factors
	return f, errors.Join(
		each(func(row scanner) error {
			k, err := scanPasskey(row)
			f.Passkeys = append(f.Passkeys, k)
			return err
		}, "SELECT "+passkeyColumns+" FROM passkey WHERE user_id = $1 ORDER BY created_at, id", userID),
		each(func(row scanner) error {
			var created, used int64
			f.App = &access.Authenticator{}
			err := row.Scan(&f.App.Sealed, &f.App.LastStep, &created, &used)
			f.App.CreatedAt, f.App.UsedAt = fromMicros(created), fromMicros(used)
			return err
		}, "SELECT sealed, last_step, created_at, used_at FROM totp WHERE user_id = $1", userID),
		each(func(row scanner) error {
			var hash []byte
			var used int64
			err := row.Scan(&hash, &used)
			c := access.RecoveryCode{UsedAt: fromMicros(used)}
			copy(c.Hash[:], hash)
			f.Codes = append(f.Codes, c)
			return err
		}, "SELECT hash, used_at FROM recovery_code WHERE user_id = $1 ORDER BY hash", userID),
	)
}

// Factors implements [access.FactorStore].
func (s *Store) Factors(ctx context.Context, userID string) (access.Factors, error) {
	return readFactors(func(scan func(scanner) error, query string, args ...any) error {
		return s.each(ctx, scan, query, args...)
	}, userID)
}

// PasskeyOwner implements [access.FactorStore].
func (s *Store) PasskeyOwner(ctx context.Context, credential []byte) (access.User, error) {
	var id string
	if err := s.row(ctx, "SELECT user_id FROM passkey WHERE credential_id = $1", credential).Scan(&id); err != nil {
		return access.User{}, missing(err, "passkey")
	}
	a, err := s.Account(ctx, id)
	return a.User, err
}

func (t *tx) saveFactors(userID string, f access.Factors) error {
	if err := t.dropFactors(userID); err != nil {
		return err
	}
	for _, k := range f.Passkeys {
		err := t.exec("INSERT INTO passkey (user_id, "+passkeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
			userID, k.ID, k.Credential, k.PublicKey, int64(k.SignCount), k.AAGUID, strings.Join(k.Transports, " "), k.CanBackUp, k.BackedUp, k.Name,
			micros(k.CreatedAt), micros(k.UsedAt), micros(k.ClonedAt))
		if isUnique(err) {
			return problem.New(problem.Conflict, "This passkey belongs to another account already.")
		}
		if err != nil {
			return err
		}
	}
	if f.App != nil {
		err := t.exec("INSERT INTO totp (user_id, sealed, last_step, created_at, used_at) VALUES ($1, $2, $3, $4, $5)",
			userID, f.App.Sealed, f.App.LastStep, micros(f.App.CreatedAt), micros(f.App.UsedAt))
		if err != nil {
			return err
		}
	}
	for _, c := range f.Codes {
		if err := t.exec("INSERT INTO recovery_code (user_id, hash, used_at) VALUES ($1, $2, $3)", userID, c.Hash[:], micros(c.UsedAt)); err != nil {
			return err
		}
	}
	return nil
}

// dropFactors takes all second factors from somebody.
func (t *tx) dropFactors(userID string) error {
	t.people = true
	return errors.Join(
		t.exec("DELETE FROM passkey WHERE user_id = $1", userID),
		t.exec("DELETE FROM totp WHERE user_id = $1", userID),
		t.exec("DELETE FROM recovery_code WHERE user_id = $1", userID),
	)
}

// UpdateFactors implements [access.FactorStore].
func (s *Store) UpdateFactors(ctx context.Context, userID string, fn func(access.Account, *access.Factors) (access.FactorStep, error)) error {
	return s.write(ctx, func(t *tx) error {
		a, err := t.account(userID)
		if err != nil {
			return err
		}
		f, err := readFactors(t.each, userID)
		if err != nil {
			return err
		}
		step, err := fn(a, &f)
		if err != nil {
			return err
		}
		if err := t.saveFactors(userID, f); err != nil {
			return err
		}
		return t.takeStep(a, step)
	})
}

// takeStep does to sessions what a use of factors leads to, and records it.
func (t *tx) takeStep(a access.Account, step access.FactorStep) error {
	if step.Begin != nil {
		begun, err := t.open(a, *step.Begin)
		if err != nil {
			return err
		}
		step.Events = append(begun, step.Events...)
	}
	if step.Prove != nil {
		if err := t.proveSession(*step.Prove); err != nil {
			return err
		}
	}
	if step.End != nil {
		if _, err := t.endSessions(a.ID, step.End); err != nil {
			return err
		}
		if err := t.endPending(a.ID); err != nil {
			return err
		}
	}
	if err := t.exec("DELETE FROM guess WHERE key = $1", step.Guesses); err != nil {
		return err
	}
	return t.record(step.Events...)
}

// open starts a session, in place of a sign-in that waited if it comes from one.
// That ends only once.
func (t *tx) open(a access.Account, o access.Opening) ([]audit.Event, error) {
	if o.Pending != (access.TokenHash{}) {
		n, err := t.affected("DELETE FROM pending_sign_in WHERE key = $1", o.Pending[:])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, missing(sql.ErrNoRows, "sign-in")
		}
	}
	if err := mayEnter(a, ""); err != nil {
		return nil, err
	}
	return t.addSession(a, o.Session, o.Device, o.Event)
}

// proveSession lets a session go on under another token, if one is given.
func (t *tx) proveSession(one access.Session) error {
	t.people = true
	n, err := t.affected("UPDATE session SET proved_at = $2, strong = $3 WHERE id = $1", one.ID, micros(one.ProvedAt), one.Strong)
	if err != nil {
		return err
	}
	if n == 0 {
		return missing(sql.ErrNoRows, "session")
	}
	if one.Key == (access.TokenHash{}) {
		return nil
	}
	return t.exec("UPDATE session SET key = $2, last_seen = $3 WHERE id = $1", one.ID, one.Key[:], micros(one.ProvedAt))
}

// AddPendingSignIn implements [access.FactorStore].
func (s *Store) AddPendingSignIn(ctx context.Context, p access.Pending, verified, guesses string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		a, err := t.account(p.UserID)
		if err != nil {
			return err
		}
		if err := mayEnter(a, verified); err != nil {
			return err
		}
		err = errors.Join(
			t.exec("INSERT INTO pending_sign_in (key, user_id, method, created_at, ip, agent) VALUES ($1, $2, $3, $4, $5, $6)",
				p.Key[:], p.UserID, p.Method, micros(p.CreatedAt), p.Origin.IP, p.Origin.Agent),
			t.exec("DELETE FROM guess WHERE key = $1", guesses),
		)
		if err != nil {
			return err
		}
		return t.record(e)
	})
}

// endPending ends sign-ins of somebody that wait for the second factor.
func (t *tx) endPending(userID string) error {
	return t.exec("DELETE FROM pending_sign_in WHERE user_id = $1", userID)
}

// PendingSignIn implements [access.FactorStore].
func (s *Store) PendingSignIn(ctx context.Context, key access.TokenHash) (access.Pending, access.User, error) {
	p := access.Pending{Key: key}
	var created int64
	err := s.row(ctx, "SELECT user_id, method, created_at, ip, agent FROM pending_sign_in WHERE key = $1", key[:]).
		Scan(&p.UserID, &p.Method, &created, &p.Origin.IP, &p.Origin.Agent)
	if err != nil {
		return p, access.User{}, missing(err, "sign-in")
	}
	p.CreatedAt = fromMicros(created)
	a, err := s.Account(ctx, p.UserID)
	return p, a.User, err
}

// EndPendingSignIn implements [access.FactorStore].
func (s *Store) EndPendingSignIn(ctx context.Context, key access.TokenHash, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM pending_sign_in WHERE key = $1", key[:]); err != nil {
			return err
		}
		return t.record(e)
	})
}

// SpendChallenge implements [access.FactorStore].
func (s *Store) SpendChallenge(ctx context.Context, hash access.TokenHash, until time.Time) error {
	return s.quiet(ctx, spentChallenges, func(t *tx) error {
		n, err := t.affected("INSERT INTO spent_challenge (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING", hash[:], micros(until))
		if err == nil && n == 0 {
			err = problem.New(problem.Conflict, "This challenge was answered before.")
		}
		return err
	})
}
