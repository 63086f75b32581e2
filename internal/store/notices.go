package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
)

// noteNews puts an entry that people hear of into the outbox.
func (t *tx) noteNews(seq int64, e audit.Event) error {
	if !notify.Concerns(e) {
		return nil
	}
	t.news = true
	return t.exec("INSERT INTO outbox (seq) VALUES ($1)", seq)
}

// News implements [notify.Store].
func (s *Store) News() <-chan struct{} { return s.news }

// pokeNews says that there is something in the outbox.
func (s *Store) pokeNews() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Outbox implements [notify.Store].
func (s *Store) Outbox(ctx context.Context, limit int) ([]int64, error) {
	var all []int64
	err := s.each(ctx, func(row scanner) error {
		var seq int64
		err := row.Scan(&seq)
		all = append(all, seq)
		return err
	}, "SELECT seq FROM outbox ORDER BY seq LIMIT $1", limit)
	return all, err
}

// Spread implements [notify.Store].
func (s *Store) Spread(ctx context.Context, seq int64, notices []notify.Notice, deliveries []notify.Delivery) error {
	return s.quiet(ctx, outgoing, func(t *tx) error {
		if n, err := t.affected("DELETE FROM outbox WHERE seq = $1", seq); err != nil || n == 0 {
			return err // done before
		}
		for _, n := range notices {
			if err := t.exec("INSERT INTO notification (user_id, seq, why, read, created_at) VALUES ($1, $2, $3, FALSE, $4)", n.User, n.Seq, n.Why, micros(t.now)); err != nil {
				return err
			}
		}
		for _, d := range deliveries {
			if err := t.exec(`INSERT INTO delivery (lane, channel, user_id, seq, why, tries, due_at, created_at, given_up, problem)
				VALUES ($1, $2, $3, $4, $5, 0, $6, $7, FALSE, '')`, d.Lane, d.Channel, d.User, d.Seq, d.Why, micros(d.Due), micros(d.Created)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Lanes implements [notify.Store].
func (s *Store) Lanes(ctx context.Context) (map[string]time.Time, error) {
	lanes := map[string]time.Time{}
	err := s.each(ctx, func(row scanner) error {
		var lane string
		var due int64
		err := row.Scan(&lane, &due)
		lanes[lane] = fromMicros(due)
		return err
	}, `SELECT d.lane, d.due_at FROM delivery d WHERE NOT d.given_up
		AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.lane = d.lane AND e.seq < d.seq AND NOT e.given_up)`)
	return lanes, err
}

const deliveryColumns = "lane, channel, user_id, seq, why, tries, due_at, created_at, given_up, problem"

func scanDelivery(all *[]notify.Delivery) func(scanner) error {
	return func(row scanner) error {
		var d notify.Delivery
		var due, created int64
		err := row.Scan(&d.Lane, &d.Channel, &d.User, &d.Seq, &d.Why, &d.Tries, &due, &created, &d.GivenUp, &d.Problem)
		d.Due, d.Created = fromMicros(due), fromMicros(created)
		*all = append(*all, d)
		return err
	}
}

// Waiting implements [notify.Store].
func (s *Store) Waiting(ctx context.Context, lane string, limit int) ([]notify.Delivery, error) {
	var all []notify.Delivery
	err := s.each(ctx, scanDelivery(&all), "SELECT "+deliveryColumns+" FROM delivery WHERE lane = $1 AND NOT given_up ORDER BY seq LIMIT $2", lane, limit)
	return all, err
}

// Pending implements [notify.Store].
func (s *Store) Pending(ctx context.Context, by time.Time, limit int) ([]notify.Delivery, error) {
	var all []notify.Delivery
	err := s.each(ctx, scanDelivery(&all), "SELECT "+deliveryColumns+" FROM delivery WHERE problem <> '' OR due_at <= $1 ORDER BY created_at DESC, seq DESC, lane LIMIT $2", micros(by), limit)
	return all, err
}

// Sent implements [notify.Store].
func (s *Store) Sent(ctx context.Context, sent []notify.Delivery) error {
	return s.quiet(ctx, outgoing, func(t *tx) error {
		for _, d := range sent {
			if err := t.exec("DELETE FROM delivery WHERE lane = $1 AND seq = $2", d.Lane, d.Seq); err != nil {
				return err
			}
		}
		return t.saveHealth(sent[0].Channel, "")
	})
}

// Postpone implements [notify.Store].
func (s *Store) Postpone(ctx context.Context, failed []notify.Delivery) error {
	return s.quiet(ctx, outgoing, func(t *tx) error {
		var known int64
		for _, d := range failed {
			n, err := t.affected("UPDATE delivery SET tries = $3, due_at = $4, given_up = $5, problem = $6 WHERE lane = $1 AND seq = $2",
				d.Lane, d.Seq, d.Tries, micros(d.Due), d.GivenUp, d.Problem)
			if err != nil {
				return err
			}
			known += n
		}
		if known == 0 {
			return nil // the channel was removed meanwhile
		}
		return t.saveHealth(failed[0].Channel, failed[0].Problem)
	})
}

// saveHealth keeps how a message to a channel went just now.
func (t *tx) saveHealth(channel, problem string) error {
	if problem == "" {
		return t.exec(`INSERT INTO channel_health (id, ok_at, failed_at, problem) VALUES ($1, $2, 0, '')
			ON CONFLICT (id) DO UPDATE SET ok_at = excluded.ok_at`, channel, micros(t.now))
	}
	return t.exec(`INSERT INTO channel_health (id, ok_at, failed_at, problem) VALUES ($1, 0, $2, $3)
		ON CONFLICT (id) DO UPDATE SET failed_at = excluded.failed_at, problem = excluded.problem`, channel, micros(t.now), problem)
}

// Notices implements [notify.Store].
func (s *Store) Notices(ctx context.Context, userID string, before int64, limit int) ([]notify.Notice, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	var all []notify.Notice
	err := s.each(ctx, func(row scanner) error {
		n := notify.Notice{User: userID}
		err := row.Scan(&n.Seq, &n.Why, &n.Read)
		all = append(all, n)
		return err
	}, "SELECT seq, why, read FROM notification WHERE user_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3", userID, before, limit)
	return all, err
}

// Unread implements [notify.Store].
func (s *Store) Unread(ctx context.Context, userID string) (int, error) {
	return keep(s, "unread of "+userID, func() (n int, err error) {
		err = s.row(ctx, "SELECT count(*) FROM notification WHERE user_id = $1 AND NOT read", userID).Scan(&n)
		return n, err
	})
}

// MarkRead implements [notify.Store].
func (s *Store) MarkRead(ctx context.Context, userID string, upTo int64) error {
	return s.quiet(ctx, outgoing, func(t *tx) error {
		return t.exec("UPDATE notification SET read = TRUE WHERE user_id = $1 AND seq <= $2 AND NOT read", userID, upTo)
	})
}

// Preferences implements [notify.Store].
func (s *Store) Preferences(ctx context.Context, userID string) (notify.Preferences, error) {
	var data string
	err := s.row(ctx, "SELECT data FROM notification_preference WHERE user_id = $1", userID).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return notify.Defaults(), nil
	}
	var p notify.Preferences
	if err == nil {
		err = json.Unmarshal([]byte(data), &p)
	}
	return p, err
}

// SetPreferences implements [notify.Store].
func (s *Store) SetPreferences(ctx context.Context, userID string, p notify.Preferences, e audit.Event) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		if err := t.exec(`INSERT INTO notification_preference (user_id, data) VALUES ($1, $2)
			ON CONFLICT (user_id) DO UPDATE SET data = excluded.data`, userID, string(data)); err != nil {
			return err
		}
		return t.record(e)
	})
}
