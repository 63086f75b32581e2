package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/query"
	"gatehouse/internal/sink"
)

const sinkQuery = `SELECT s.id, s.kind, s.name, s.format, s.shown, s.address_sealed, s.key_sealed, s.filter, s.personal, s.paused, s.created_at,
	p.cursor, p.epoch, p.ok_at, p.failed_at, p.problem, p.tries, p.due_at FROM sink s JOIN sink_progress p ON p.id = s.id `

func scanSink(row scanner) (sink.Sink, error) {
	var k sink.Sink
	var created, ok, failed, due int64
	err := row.Scan(&k.ID, &k.Kind, &k.Name, &k.Format, &k.Shown, &k.Address, &k.Key, &k.Filter, &k.Personal, &k.Paused, &created,
		&k.Cursor, &k.Epoch, &ok, &failed, &k.Health.Problem, &k.Health.Tries, &due)
	k.Created, k.Health.OKAt, k.Health.FailedAt, k.Health.Due = fromMicros(created), fromMicros(ok), fromMicros(failed), fromMicros(due)
	return k, err
}

// Sink implements [sink.Store].
func (s *Store) Sink(ctx context.Context, id string) (sink.Sink, error) {
	k, err := scanSink(s.row(ctx, sinkQuery+"WHERE s.id = $1", id))
	return k, missing(err, "sink")
}

// Sinks implements [sink.Store].
func (s *Store) Sinks(ctx context.Context) ([]sink.Sink, error) {
	var all []sink.Sink
	err := s.each(ctx, func(row scanner) error {
		k, err := scanSink(row)
		all = append(all, k)
		return err
	}, sinkQuery+"ORDER BY s.name")
	return all, err
}

// AddSink implements [sink.Store].
func (s *Store) AddSink(ctx context.Context, k sink.Sink, e audit.Event) error {
	if k.Key == nil {
		k.Key = []byte{}
	}
	return s.write(ctx, func(t *tx) error {
		err := t.exec(`INSERT INTO sink (id, kind, name, format, shown, address_sealed, key_sealed, filter, personal, paused, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, k.ID, k.Kind, k.Name, k.Format, k.Shown, k.Address, k.Key, k.Filter, k.Personal, k.Paused, micros(k.Created))
		if err != nil {
			return sinkName(err)
		}
		if err := t.exec("INSERT INTO sink_progress (id, cursor, epoch, ok_at, failed_at, problem, tries, due_at) VALUES ($1, $2, 0, 0, 0, '', 0, 0)", k.ID, k.Cursor); err != nil {
			return err
		}
		return t.record(e)
	})
}

// sinkName says it in words where two sinks would have the same name.
func sinkName(err error) error {
	if isUnique(err) {
		return problem.InvalidFields("Nothing was saved.", map[string]string{"name": "Another sink has this name."})
	}
	return err
}

// RemoveSink implements [sink.Store].
func (s *Store) RemoveSink(ctx context.Context, id string, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.affected("DELETE FROM sink_progress WHERE id = $1", id)
		if err != nil {
			return err
		}
		if n == 0 {
			return missing(sql.ErrNoRows, "sink")
		}
		if err := t.exec("DELETE FROM sink WHERE id = $1", id); err != nil {
			return err
		}
		return t.record(e)
	})
}

// SteerSink implements [sink.Store].
func (s *Store) SteerSink(ctx context.Context, id string, fn func(*sink.Sink) (audit.Event, error)) (sink.Sink, error) {
	var k sink.Sink
	err := s.write(ctx, func(t *tx) (err error) {
		if k, err = scanSink(t.row(sinkQuery+"WHERE s.id = $1", id)); err != nil {
			return missing(err, "sink")
		}
		e, err := fn(&k)
		if err != nil {
			return err
		}
		h := k.Health
		err = errors.Join(
			sinkName(t.exec("UPDATE sink SET name = $2, format = $3, shown = $4, address_sealed = $5, filter = $6, personal = $7, paused = $8 WHERE id = $1",
				id, k.Name, k.Format, k.Shown, k.Address, k.Filter, k.Personal, k.Paused)),
			t.exec("UPDATE sink_progress SET cursor = $2, epoch = $3, ok_at = $4, failed_at = $5, problem = $6, tries = $7, due_at = $8 WHERE id = $1",
				id, k.Cursor, k.Epoch, micros(h.OKAt), micros(h.FailedAt), h.Problem, h.Tries, micros(h.Due)))
		if err != nil {
			return err
		}
		return t.record(e)
	})
	return k, err
}

// SinkDelivered implements [sink.Store].
func (s *Store) SinkDelivered(ctx context.Context, k sink.Sink, upTo int64, sent bool) (bool, error) {
	var n int64
	err := s.quiet(ctx, sinkCursors, func(t *tx) (err error) {
		okAt := micros(k.Health.OKAt)
		if sent {
			okAt = micros(t.now)
		}
		n, err = t.affected("UPDATE sink_progress SET cursor = $3, ok_at = $4, tries = 0, due_at = 0 WHERE id = $1 AND epoch = $2", k.ID, k.Epoch, upTo, okAt)
		return err
	})
	return n > 0, err
}

// SinkFailed implements [sink.Store].
func (s *Store) SinkFailed(ctx context.Context, k sink.Sink, problem string, tries int, due time.Time) error {
	return s.quiet(ctx, sinkCursors, func(t *tx) error {
		return t.exec("UPDATE sink_progress SET failed_at = $3, problem = $4, tries = $5, due_at = $6 WHERE id = $1 AND epoch = $2",
			k.ID, k.Epoch, micros(t.now), problem, tries, micros(due))
	})
}

// SinkFilter implements [sink.Store].
func (s *Store) SinkFilter(ctx context.Context, text string) (func(audit.Entry) bool, error) {
	q, err := query.Parse(text)
	if err != nil {
		return nil, problem.New(problem.Invalid, "%s", err.Error())
	}
	if slices.ContainsFunc(q.Terms, func(t query.Term) bool { return t.Key == query.After || t.Key == query.Before }) {
		// What the receiver gets would depend on when it is there.
		return nil, problem.New(problem.Invalid, "A filter can't have after: or before:. “Begin with” says where it begins.")
	}
	if q, err = s.Resolve(ctx, q); err != nil {
		return nil, err
	}
	return HistoryQuery{Where: q}.matcher(s.now()).matches, nil
}

// HistoryAfter implements [sink.Store].
func (s *Store) HistoryAfter(ctx context.Context, seq int64, limit int) ([]audit.Row, error) {
	var out []audit.Row
	err := s.each(ctx, func(row scanner) error {
		r, err := scanHistory(row)
		out = append(out, r)
		return err
	}, "SELECT "+historyColumns+" FROM history WHERE seq > $1 ORDER BY seq LIMIT $2", seq, limit)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	personal, err := s.personal(ctx, seq+1, out[len(out)-1].Seq)
	for i := range out {
		out[i].Personal = personal[out[i].Seq]
	}
	return out, err
}

// Recorded implements [sink.Store].
func (s *Store) Recorded() <-chan struct{} { return s.recorded.Next() }
