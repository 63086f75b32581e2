package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
)

const channelQuery = `SELECT c.id, c.kind, c.name, c.host, c.last4, c.url_sealed, c.secret_sealed, c.topics, c.created_at,
	COALESCE(h.ok_at, 0), COALESCE(h.failed_at, 0), COALESCE(h.problem, '') FROM channel c LEFT JOIN channel_health h ON h.id = c.id `

func scanChannel(row scanner) (notify.Channel, error) {
	var c notify.Channel
	var topics string
	var created, ok, failed int64
	err := row.Scan(&c.ID, &c.Kind, &c.Name, &c.Host, &c.Last4, &c.URL, &c.Secret, &topics, &created, &ok, &failed, &c.Health.Problem)
	if err != nil {
		return c, err
	}
	c.Created, c.Health.OKAt, c.Health.FailedAt = fromMicros(created), fromMicros(ok), fromMicros(failed)
	return c, json.Unmarshal([]byte(topics), &c.Topics)
}

// Channel implements [notify.Store].
func (s *Store) Channel(ctx context.Context, id string) (notify.Channel, error) {
	c, err := scanChannel(s.row(ctx, channelQuery+"WHERE c.id = $1", id))
	return c, missing(err, "channel")
}

// Channels implements [notify.Store].
func (s *Store) Channels(ctx context.Context) ([]notify.Channel, error) {
	var all []notify.Channel
	err := s.each(ctx, func(row scanner) error {
		c, err := scanChannel(row)
		all = append(all, c)
		return err
	}, channelQuery+"ORDER BY c.name")
	return all, err
}

// Health implements [notify.Store].
func (s *Store) Health(ctx context.Context, channel string) (notify.Health, error) {
	var h notify.Health
	var ok, failed int64
	err := s.row(ctx, "SELECT ok_at, failed_at, problem FROM channel_health WHERE id = $1", channel).Scan(&ok, &failed, &h.Problem)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	h.OKAt, h.FailedAt = fromMicros(ok), fromMicros(failed)
	return h, err
}

// AddChannel implements [notify.Store].
func (s *Store) AddChannel(ctx context.Context, c notify.Channel, e audit.Event) error {
	topics, err := json.Marshal(c.Topics)
	if err != nil {
		return err
	}
	if c.Secret == nil {
		c.Secret = []byte{}
	}
	return s.write(ctx, func(t *tx) error {
		err := t.exec(`INSERT INTO channel (id, kind, name, host, last4, url_sealed, secret_sealed, topics, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, c.ID, c.Kind, c.Name, c.Host, c.Last4, c.URL, c.Secret, string(topics), micros(c.Created))
		if isUnique(err) {
			return problem.InvalidFields("Nothing was saved.", map[string]string{"name": "Another channel has this name."})
		}
		if err != nil {
			return err
		}
		return t.record(e)
	})
}

// RemoveChannel implements [notify.Store].
func (s *Store) RemoveChannel(ctx context.Context, id string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.affected("DELETE FROM channel WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n == 0 {
			return missing(sql.ErrNoRows, "channel")
		}
		if err := errors.Join(t.exec("DELETE FROM delivery WHERE channel = $1", id), t.exec("DELETE FROM channel_health WHERE id = $1", id)); err != nil {
			return err
		}
		return t.record(e)
	})
}

// TestedChannel implements [notify.Store].
func (s *Store) TestedChannel(ctx context.Context, id, problem string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.saveHealth(id, problem); err != nil {
			return err
		}
		return t.record(e)
	})
}
