package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// sessions keeps what every request needs in memory. A commit that touches
// people or sessions empties it before anyone is answered, so that what ended
// has ended.
type sessions struct {
	mu         sync.RWMutex
	generation int
	known      map[access.TokenHash]signedIn
	seen       map[access.TokenHash]time.Time // last-seen times not yet written
}

type signedIn struct {
	access.Session
	user access.User
}

func (c *sessions) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.known = map[access.TokenHash]signedIn{}
	if c.seen == nil {
		c.seen = map[access.TokenHash]time.Time{}
	}
}

func (c *sessions) get(key access.TokenHash) (signedIn, int, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	one, ok := c.known[key]
	if at := c.seen[key]; at.After(one.LastSeen) {
		one.LastSeen = at
	}
	return one, c.generation, ok
}

// put keeps what was read, unless something was committed since the reading began.
func (c *sessions) put(generation int, one signedIn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.known[one.Key] = one
	}
}

const sessionColumns = "key, id, user_id, created_at, last_seen, ip, agent, method, proved_at, strong"

func scanSession(row scanner) (access.Session, error) {
	var one access.Session
	var key []byte
	var created, seen, proved int64
	err := row.Scan(&key, &one.ID, &one.UserID, &created, &seen, &one.Origin.IP, &one.Origin.Agent, &one.Method, &proved, &one.Strong)
	copy(one.Key[:], key)
	one.CreatedAt, one.LastSeen, one.ProvedAt = fromMicros(created), fromMicros(seen), fromMicros(proved)
	return one, err
}

// Session returns the session of a token and whose it is, expired ones too. An
// unknown or ended one is a problem of kind NotFound.
func (s *Store) Session(ctx context.Context, key access.TokenHash) (access.Session, access.User, error) {
	one, generation, ok := s.sessions.get(key)
	if ok {
		return one.Session, one.user, nil
	}
	session, err := scanSession(s.row(ctx, "SELECT "+sessionColumns+" FROM session WHERE key = $1", key[:]))
	if err != nil {
		return session, access.User{}, missing(err, "session")
	}
	a, err := s.Account(ctx, session.UserID)
	if err != nil {
		return session, a.User, err
	}
	if session.View, err = s.view(ctx, session.ID); err != nil {
		return session, a.User, err
	}
	s.sessions.put(generation, signedIn{session, a.User})
	one, _, _ = s.sessions.get(key)
	if one.ID == "" {
		return session, a.User, nil
	}
	return one.Session, one.user, nil
}

// TouchSession notes that a session was used. It is written later, with others.
func (s *Store) TouchSession(key access.TokenHash, at time.Time) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	s.sessions.seen[key] = at
}

// flushLastSeen writes the last-seen times that have gathered.
func (s *Store) flushLastSeen() error {
	s.sessions.mu.Lock()
	seen := s.sessions.seen
	s.sessions.seen = map[access.TokenHash]time.Time{}
	for key, at := range seen {
		if one, ok := s.sessions.known[key]; ok && at.After(one.LastSeen) {
			one.LastSeen = at
			s.sessions.known[key] = one
		}
	}
	s.sessions.mu.Unlock()
	if len(seen) == 0 {
		return nil
	}
	return s.quiet(context.Background(), lastSeen, func(t *tx) error {
		for key, at := range seen {
			if err := t.exec("UPDATE session SET last_seen = $2 WHERE key = $1 AND last_seen < $2", key[:], micros(at)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sessions implements [access.Store].
func (s *Store) Sessions(ctx context.Context, userID string) ([]access.Session, error) {
	var all []access.Session
	err := s.each(ctx, func(row scanner) error {
		one, err := scanSession(row)
		all = append(all, s.sessions.used(one))
		return err
	}, "SELECT "+sessionColumns+" FROM session WHERE user_id = $1 ORDER BY created_at DESC", userID)
	return all, err
}

// AddSession implements [access.Store].
func (s *Store) AddSession(ctx context.Context, one access.Session, from access.DeviceHash, verified, guesses string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		a, err := t.account(one.UserID)
		if err != nil {
			return err
		}
		if err := mayEnter(a, verified); err != nil {
			return err
		}
		if a.SecondFactor && !one.Strong && one.Method != access.MethodDemo {
			return problem.New(problem.Conflict, "A second factor was added to this account at this very moment. Sign in again.")
		}
		more, err := t.addSession(a, one, from, e)
		if err != nil {
			return err
		}
		if err := t.exec("DELETE FROM guess WHERE key = $1", guesses); err != nil {
			return err
		}
		return t.record(more...)
	})
}

// mayEnter refuses accounts that may not sign in, and a passphrase that was
// replaced since it was verified.
func mayEnter(a access.Account, verified string) error {
	switch {
	case a.State != access.Active:
		return access.BadLink()
	case verified != "" && a.Passphrase != verified:
		return access.Wrong()
	}
	return nil
}

// addSession keeps a new session and returns what is to be recorded of that.
func (t *tx) addSession(a access.Account, one access.Session, from access.DeviceHash, e audit.Event) ([]audit.Event, error) {
	t.people = true
	crowded, err := t.crowdOut(one, e)
	if err != nil {
		return nil, err
	}
	unknown, err := t.noteDevice(a, from, e)
	if err != nil {
		return nil, err
	}
	return slices.Concat(crowded, []audit.Event{e}, unknown), errors.Join(
		t.exec("INSERT INTO session ("+sessionColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
			one.Key[:], one.ID, one.UserID, micros(one.CreatedAt), micros(one.LastSeen), one.Origin.IP, one.Origin.Agent, one.Method, micros(one.ProvedAt), one.Strong),
		t.exec("UPDATE users SET last_sign_in = $2 WHERE id = $1", one.UserID, micros(one.CreatedAt)),
	)
}

// crowdOut ends the sessions that have to make place for a new one.
func (t *tx) crowdOut(next access.Session, e audit.Event) ([]audit.Event, error) {
	all, err := t.sessions(next.UserID)
	if err != nil {
		return nil, err
	}
	var events []audit.Event
	for _, old := range access.Crowded(all, next.CreatedAt) {
		if err := t.exec("DELETE FROM session WHERE key = $1", old.Key[:]); err != nil {
			return nil, err
		}
		events = append(events, access.CrowdedOut(old, e))
	}
	return events, nil
}

// noteDevice remembers that somebody signed in from a device. If it wasn't known,
// and they have signed in before, that is to be recorded.
func (t *tx) noteDevice(a access.Account, from access.DeviceHash, e audit.Event) ([]audit.Event, error) {
	var seen int64
	err := t.row("SELECT seen_at FROM device WHERE user_id = $1 AND hash = $2", a.ID, []byte(from)).Scan(&seen)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	err = t.exec(`INSERT INTO device (user_id, hash, seen_at) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, hash) DO UPDATE SET seen_at = excluded.seen_at`, a.ID, []byte(from), micros(t.now))
	if err != nil || a.LastSignIn.IsZero() || t.now.Sub(fromMicros(seen)) < access.DeviceLife {
		return nil, err
	}
	return []audit.Event{access.NewDevice(e)}, nil
}

// sessions are those of a person, with what isn't written yet of when they were used.
func (t *tx) sessions(userID string) ([]access.Session, error) {
	var all []access.Session
	err := t.each(func(row scanner) error {
		one, err := scanSession(row)
		all = append(all, t.w.store.sessions.used(one))
		return err
	}, "SELECT "+sessionColumns+" FROM session WHERE user_id = $1", userID)
	return all, err
}

// used is a session with what isn't written yet of when it was used.
func (c *sessions) used(one access.Session) access.Session {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if at := c.seen[one.Key]; at.After(one.LastSeen) {
		one.LastSeen = at
	}
	return one
}

func (t *tx) endSessions(userID string, end func(access.Session) bool) (int, error) {
	all, err := t.sessions(userID)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, one := range all {
		if !end(one) {
			continue
		}
		n++
		t.people = true
		if err := t.exec("DELETE FROM session WHERE key = $1", one.Key[:]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// EndSessions implements [access.Store].
func (s *Store) EndSessions(ctx context.Context, userID string, end func(access.Session) bool, e audit.Event) (int, error) {
	var n int
	err := s.writer.do(ctx, func(t *tx) (err error) {
		if err := t.useOp(ctx); err != nil {
			return err
		}
		if n, err = t.endSessions(userID, end); err != nil || n == 0 {
			return err
		}
		return t.record(e)
	})
	return n, err
}

// TakeGuess implements [access.Store].
func (s *Store) TakeGuess(ctx context.Context, key string, fn func(*access.Guess) error) error {
	return s.quiet(ctx, guessCounts, func(t *tx) error {
		var g access.Guess
		var last int64
		err := t.row("SELECT failures, last FROM guess WHERE key = $1", key).Scan(&g.Failures, &last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		g.Last = fromMicros(last)
		if err := fn(&g); err != nil {
			return err
		}
		return t.exec(`INSERT INTO guess (key, failures, last) VALUES ($1, $2, $3)
			ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last = excluded.last`, key, g.Failures, micros(g.Last))
	})
}

// FailSignIn implements [access.Store].
func (s *Store) FailSignIn(ctx context.Context, e audit.Event) error {
	return s.write(ctx, func(t *tx) error { return t.record(e) })
}
