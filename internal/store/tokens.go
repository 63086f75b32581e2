package store

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

const tokenColumns = "id, key, user_id, name, may, projects, created_at, expires_at, revoked_at, last_used_at, last_used_ip"

func scanToken(row scanner) (access.Token, error) {
	var t access.Token
	var key []byte
	var may, projects string
	var created, expires, revoked, used int64
	err := row.Scan(&t.ID, &key, &t.UserID, &t.Name, &may, &projects, &created, &expires, &revoked, &used, &t.LastUsedIP)
	if err != nil {
		return t, err
	}
	copy(t.Key[:], key)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.LastUsedAt = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(used)
	if err := json.Unmarshal([]byte(may), &t.Rights); err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(projects), &t.Projects)
}

const tokenByKey = "SELECT " + tokenColumns + " FROM api_token WHERE key = $1"

// Token implements [access.Store]. It reads the database each time: what was
// revoked has ended.
func (s *Store) Token(ctx context.Context, key access.TokenHash) (access.Token, access.User, error) {
	t, err := scanToken(s.row(ctx, tokenByKey, key[:]))
	if err != nil {
		return t, access.User{}, missing(err, "token")
	}
	a, err := s.Account(ctx, t.UserID)
	return t, a.User, err
}

// Tokens implements [access.Store].
func (s *Store) Tokens(ctx context.Context, userID string) ([]access.Token, error) {
	var all []access.Token
	err := s.each(ctx, scanTokens(&all), "SELECT "+tokenColumns+" FROM api_token WHERE user_id = $1 ORDER BY created_at DESC", userID)
	return all, err
}

func scanTokens(all *[]access.Token) func(scanner) error {
	return func(row scanner) error {
		t, err := scanToken(row)
		*all = append(*all, t)
		return err
	}
}

// AddToken implements [access.Store].
func (s *Store) AddToken(ctx context.Context, one access.Token, e audit.Event) error {
	may, err := json.Marshal(one.Rights)
	if err != nil {
		return err
	}
	projects, err := json.Marshal(append([]string{}, one.Projects...))
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		a, err := t.account(one.UserID)
		if err != nil {
			return err
		}
		if a.State != access.Active {
			return access.BadToken()
		}
		var good int
		if err := t.row("SELECT count(*) FROM api_token WHERE user_id = $1 AND revoked_at = 0 AND expires_at > $2", one.UserID, micros(t.now)).Scan(&good); err != nil {
			return err
		}
		if good >= access.MostTokens {
			return problem.New(problem.Conflict, "You have %d tokens, which is the most. Revoke one that isn't used any more.", good)
		}
		soon := !one.ExpiresAt.After(one.CreatedAt.Add(access.TokenWarning)) // they know
		if err := t.exec(`INSERT INTO api_token (id, key, user_id, name, may, projects, created_at, expires_at, revoked_at, last_used_at, last_used_ip, refused_at, warned)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', 0, $9)`,
			one.ID, one.Key[:], one.UserID, one.Name, string(may), string(projects), micros(one.CreatedAt), micros(one.ExpiresAt), soon); err != nil {
			return err
		}
		return t.record(e)
	})
}

// UpdateToken implements [access.Store].
func (s *Store) UpdateToken(ctx context.Context, id string, fn func(*access.Token) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		one, err := scanToken(t.row("SELECT "+tokenColumns+" FROM api_token WHERE id = $1", id))
		if err != nil {
			return missing(err, "token")
		}
		e, err := fn(&one)
		if err != nil {
			return err
		}
		if err := t.revokeToken(one); err != nil {
			return err
		}
		return t.record(e)
	})
}

func (t *tx) revokeToken(one access.Token) error {
	return t.exec("UPDATE api_token SET revoked_at = $2 WHERE id = $1", one.ID, micros(one.RevokedAt))
}

// endTokens revokes all good tokens of an account.
func (t *tx) endTokens(userID string, by audit.Actor) error {
	var all []access.Token
	err := t.each(scanTokens(&all), "SELECT "+tokenColumns+" FROM api_token WHERE user_id = $1 AND revoked_at = 0 AND expires_at > $2", userID, micros(t.now))
	if err != nil {
		return err
	}
	for _, one := range all {
		one.RevokedAt = t.now
		if err := t.revokeToken(one); err != nil {
			return err
		}
		if err := t.record(one.Revoked(by)); err != nil {
			return err
		}
	}
	return nil
}

// TouchToken implements [access.Store].
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time, ip string) error {
	return s.quiet(ctx, tokenUses, func(t *tx) error {
		return t.exec("UPDATE api_token SET last_used_at = $2, last_used_ip = $3 WHERE id = $1 AND last_used_at < $2", id, micros(at), ip)
	})
}

// RefuseToken implements [access.Store].
func (s *Store) RefuseToken(ctx context.Context, id string, unlessSince time.Time, e audit.Event) error {
	return s.writer.do(ctx, func(t *tx) error {
		n, err := t.affected("UPDATE api_token SET refused_at = $2 WHERE id = $1 AND refused_at <= $3", id, micros(t.now), micros(unlessSince))
		if err != nil || n == 0 {
			return err
		}
		return t.record(e)
	})
}

// WarnTokens implements [access.Store].
func (s *Store) WarnTokens(ctx context.Context, before time.Time, e func(access.Token) audit.Event) error {
	const due = " FROM api_token WHERE NOT warned AND revoked_at = 0 AND expires_at > $1 AND expires_at <= $2"
	var n int
	if err := s.row(ctx, "SELECT count(*)"+due, micros(s.now()), micros(before)).Scan(&n); err != nil || n == 0 {
		return err
	}
	return s.writer.do(ctx, func(t *tx) error {
		var all []access.Token
		if err := t.each(scanTokens(&all), "SELECT "+tokenColumns+due, micros(t.now), micros(before)); err != nil {
			return err
		}
		for _, one := range all {
			if err := t.exec("UPDATE api_token SET warned = TRUE WHERE id = $1", one.ID); err != nil {
				return err
			}
			if err := t.record(e(one)); err != nil {
				return err
			}
		}
		return nil
	})
}

// stillGood makes sure that a token and its owner may still do what they might
// when the request began.
func (t *tx) stillGood(op FormOp, owner access.User) error {
	one, err := scanToken(t.row("SELECT "+tokenColumns+" FROM api_token WHERE id = $1", op.Token))
	if err != nil {
		return missing(err, "token")
	}
	if !one.Same(owner, op.User, t.now) {
		return access.BadToken()
	}
	return nil
}
