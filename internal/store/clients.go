package store

import (
	"context"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

const clientColumns = "id, key, name, directory, made_by, created_at, expires_at, revoked_at, last_used_at, last_used_ip"

func scanClient(row scanner) (access.Client, error) {
	var c access.Client
	var key []byte
	var created, expires, revoked, used int64
	err := row.Scan(&c.ID, &key, &c.Name, &c.Directory, &c.MadeBy, &created, &expires, &revoked, &used, &c.LastUsedIP)
	copy(c.Key[:], key)
	c.CreatedAt, c.ExpiresAt, c.RevokedAt, c.LastUsedAt = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(used)
	return c, err
}

// Client implements [access.ClientStore]. It reads the database each time: what was
// revoked has ended.
func (s *Store) Client(ctx context.Context, key access.TokenHash) (access.Client, error) {
	c, err := scanClient(s.row(ctx, "SELECT "+clientColumns+" FROM scim_client WHERE key = $1", key[:]))
	return c, missing(err, "client")
}

// Clients implements [access.ClientStore].
func (s *Store) Clients(ctx context.Context) ([]access.Client, error) {
	var all []access.Client
	err := s.each(ctx, func(row scanner) error {
		c, err := scanClient(row)
		all = append(all, c)
		return err
	}, "SELECT "+clientColumns+" FROM scim_client ORDER BY created_at DESC, id")
	return all, err
}

// readClients reads the clients that weren't revoked.
func readClients(each reading) ([]access.Client, error) {
	var all []access.Client
	err := each(func(row scanner) error {
		c, err := scanClient(row)
		all = append(all, c)
		return err
	}, "SELECT "+clientColumns+" FROM scim_client WHERE revoked_at = 0 ORDER BY created_at, id")
	return all, err
}

// addClient adds a client that has no token yet.
func (t *tx) addClient(c access.Client) error {
	return t.exec("INSERT INTO scim_client ("+clientColumns+", refused_at) VALUES ($1, NULL, $2, $3, $4, $5, $6, 0, 0, '', 0)",
		c.ID, c.Name, c.Directory, c.MadeBy, micros(c.CreatedAt), micros(c.ExpiresAt))
}

func (t *tx) client(id string) (access.Client, error) {
	c, err := scanClient(t.row("SELECT "+clientColumns+" FROM scim_client WHERE id = $1", id))
	return c, missing(err, "client")
}

// UpdateClient implements [access.ClientStore].
func (s *Store) UpdateClient(ctx context.Context, id string, fn func(*access.Client) (audit.Event, error)) error {
	return s.write(ctx, func(t *tx) error {
		c, err := t.client(id)
		if err != nil {
			return err
		}
		e, err := fn(&c)
		if err != nil {
			return err
		}
		var key []byte
		if !c.Waits() {
			key = c.Key[:]
		}
		if err := t.exec("UPDATE scim_client SET key = $2, revoked_at = $3 WHERE id = $1", c.ID, key, micros(c.RevokedAt)); err != nil {
			return err
		}
		return t.record(e)
	})
}

// TouchClient implements [access.ClientStore].
func (s *Store) TouchClient(ctx context.Context, id string, at time.Time, ip string) error {
	return s.quiet(ctx, tokenUses, func(t *tx) error {
		return t.exec("UPDATE scim_client SET last_used_at = $2, last_used_ip = $3 WHERE id = $1 AND last_used_at < $2", id, micros(at), ip)
	})
}

// RefuseClient implements [access.ClientStore].
func (s *Store) RefuseClient(ctx context.Context, id string, unlessSince time.Time, e audit.Event) error {
	err := s.writer.do(ctx, func(t *tx) error {
		n, err := t.affected("UPDATE scim_client SET refused_at = $2 WHERE id = $1 AND refused_at <= $3", id, micros(t.now), micros(unlessSince))
		if err != nil || n == 0 {
			return err
		}
		return t.record(e)
	})
	return err
}
