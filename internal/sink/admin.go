package sink

import (
	"context"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/outbound"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Status is a sink and how far it is behind.
type Status struct {
	Sink
	First  int64     // entry that there is
	Behind int64     // entries after the cursor; the filter may keep some back
	Since  time.Time // of the first of them; zero if there is none
}

// Sinks returns all sinks, by name.
func (s *Service) Sinks(ctx context.Context) ([]Status, error) {
	all, err := s.store.Sinks(ctx)
	if err != nil {
		return nil, err
	}
	head, err := s.store.HistoryHead(ctx)
	if err != nil {
		return nil, err
	}
	first, err := s.store.HistoryBegin(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Status, len(all))
	for i, k := range all {
		out[i] = Status{Sink: k, First: first, Behind: max(0, head.Seq-max(k.Cursor, first-1))}
		rows, err := s.store.HistoryAfter(ctx, k.Cursor, 1)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[i].Since = audit.Look(r).Time
		}
	}
	return out, nil
}

// Sink returns one sink.
func (s *Service) Sink(ctx context.Context, id string) (Sink, error) { return s.store.Sink(ctx, id) }

// Add adds a sink. The key that posts are signed with is returned here and never
// again.
func (s *Service) Add(ctx context.Context, by access.Reader, in Input) (Sink, secret.Value, error) {
	var key secret.Value
	if err := by.Check(access.ManageSinks); err != nil {
		return Sink{}, key, err
	}
	if wrong := s.check(ctx, &in); len(wrong) > 0 {
		return Sink{}, key, problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	k := Sink{ID: "snk_" + secret.Code(16), Kind: in.Kind, Name: in.Name, Format: in.Format, Shown: s.shown(in.Kind, in.Address), Filter: in.Filter, Personal: in.Personal, Created: s.now()}
	k.Address = s.keys.Seal(in.Address, sinkTable, k.ID, addressField)
	if k.Kind == HTTPS {
		key = outbound.NewKey()
		k.Key = s.keys.Seal(key, sinkTable, k.ID, keyField)
	}
	if in.From == FromNow {
		head, err := s.store.HistoryHead(ctx)
		if err != nil {
			return Sink{}, key, err
		}
		k.Cursor = head.Seq
	}
	e := k.event(by, "sink.added")
	e.Reason = in.Filter // it may name people, so it is kept as their names are
	e.Detail = map[string]string{"kind": k.Kind, "address": k.Shown, "format": k.Format, "personal_data": strconv.FormatBool(k.Personal), "from_entry": strconv.FormatInt(k.Cursor+1, 10)}
	return k, key, s.store.AddSink(ctx, k, e)
}

// Edit changes what an admin said of a sink. Without an address it keeps the one
// that it has; its kind, its key and its place in history stay.
func (s *Service) Edit(ctx context.Context, by access.Reader, id string, in Input) (Sink, error) {
	if err := by.Check(access.ManageSinks); err != nil {
		return Sink{}, err
	}
	old, err := s.store.Sink(ctx, id)
	if err != nil {
		return old, err
	}
	in.Kind, in.From = old.Kind, FromNow
	wrong := s.check(ctx, &in)
	if in.Address.Empty() {
		delete(wrong, "address")
	}
	if len(wrong) > 0 {
		return old, problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	k, err := s.steer(ctx, by, id, func(k *Sink) (audit.Event, error) {
		before := *k
		k.Name, k.Format, k.Filter, k.Personal = in.Name, in.Format, in.Filter, in.Personal
		if !in.Address.Empty() {
			k.Shown, k.Address = s.shown(k.Kind, in.Address), s.keys.Seal(in.Address, sinkTable, k.ID, addressField)
		}
		k.Health.Tries, k.Health.Due = 0, time.Time{}
		k.Epoch++ // what is under way went by the old settings, and goes again by the new ones
		return k.edited(by, before, !in.Address.Empty())
	})
	if err != nil {
		return old, err
	}
	return k, nil
}

// edited tells what was changed of a sink. Its filter may name people, so it is
// kept as their names are.
func (k Sink) edited(by access.Reader, before Sink, address bool) (audit.Event, error) {
	e := k.event(by, "sink.edited")
	e.Detail = map[string]string{}
	for _, f := range []struct{ field, before, after string }{
		{"name", before.Name, k.Name}, {"address", before.Shown, k.Shown}, {"format", before.Format, k.Format},
		{"personal_data", strconv.FormatBool(before.Personal), strconv.FormatBool(k.Personal)},
	} {
		if f.before != f.after {
			e.Changes = append(e.Changes, audit.Change{Field: f.field, Before: []string{f.before}, After: []string{f.after}})
		}
	}
	if address {
		e.Detail["address"] = "replaced"
	}
	if before.Filter != k.Filter {
		e.Detail["filter"], e.Reason = "changed", k.Filter
	}
	if len(e.Changes)+len(e.Detail) == 0 {
		return e, problem.InvalidFields("Nothing was saved, since nothing was changed.", nil)
	}
	return e, nil
}

// Remove removes a sink.
func (s *Service) Remove(ctx context.Context, by access.Reader, id string) (Sink, error) {
	if err := by.Check(access.ManageSinks); err != nil {
		return Sink{}, err
	}
	k, err := s.store.Sink(ctx, id)
	if err != nil {
		return k, err
	}
	return k, s.store.RemoveSink(ctx, id, k.event(by, "sink.removed"))
}

// steer changes a sink and lets its lane look at it.
func (s *Service) steer(ctx context.Context, by access.Reader, id string, fn func(*Sink) (audit.Event, error)) (Sink, error) {
	if err := by.Check(access.ManageSinks); err != nil {
		return Sink{}, err
	}
	k, err := s.store.SteerSink(ctx, id, fn)
	if err == nil {
		s.Wake()
	}
	return k, err
}

// Pause stops deliveries to a sink; its cursor stays.
func (s *Service) Pause(ctx context.Context, by access.Reader, id string) (Sink, error) {
	return s.steer(ctx, by, id, func(k *Sink) (audit.Event, error) {
		if k.Paused {
			return audit.Event{}, problem.New(problem.Conflict, "It is paused already.")
		}
		k.Paused = true
		return k.event(by, "sink.paused"), nil
	})
}

// Resume lets deliveries go on where they stopped, at once.
func (s *Service) Resume(ctx context.Context, by access.Reader, id string) (Sink, error) {
	return s.steer(ctx, by, id, func(k *Sink) (audit.Event, error) {
		if !k.Paused {
			return audit.Event{}, problem.New(problem.Conflict, "It is not paused.")
		}
		k.Paused, k.Health.Tries, k.Health.Due = false, 0, time.Time{}
		return k.event(by, "sink.resumed"), nil
	})
}

// Replay sets a sink's cursor back, so that everything from an entry on is
// delivered once more. It can't be set forward: nothing is ever skipped.
func (s *Service) Replay(ctx context.Context, by access.Reader, id string, from int64) (Sink, error) {
	first, err := s.store.HistoryBegin(ctx)
	if err != nil {
		return Sink{}, err
	}
	return s.steer(ctx, by, id, func(k *Sink) (audit.Event, error) {
		switch {
		case k.Cursor == 0:
			return audit.Event{}, problem.InvalidFields("Nothing was changed.", map[string]string{"from": "It has had nothing yet."})
		case from >= 1 && from < first:
			return audit.Event{}, problem.InvalidFields("Nothing was changed.", map[string]string{"from": "Entries before " + strconv.FormatInt(first, 10) + " have left for archives. It can be delivered from that one on."})
		case from < first || from > k.Cursor:
			return audit.Event{}, problem.InvalidFields("Nothing was changed.", map[string]string{"from": "Enter a number from " + strconv.FormatInt(first, 10) + " to " + strconv.FormatInt(k.Cursor, 10) + ", which it had last."})
		}
		e := k.event(by, "sink.replayed")
		e.Detail = map[string]string{"from_entry": strconv.FormatInt(from, 10), "was_at": strconv.FormatInt(k.Cursor, 10)}
		k.Cursor, k.Health.Tries, k.Health.Due = from-1, 0, time.Time{}
		k.Epoch++
		return e, nil
	})
}

// Test sends a test to a sink, past its cursor. The problem that comes back is in
// words for admins. If it goes well, what waits is tried at once.
func (s *Service) Test(ctx context.Context, by access.Reader, id string) (Sink, error) {
	if err := by.Check(access.ManageSinks); err != nil {
		return Sink{}, err
	}
	ctx = context.WithoutCancel(ctx) // what was sent gets its entry
	k, err := s.store.Sink(ctx, id)
	if err != nil {
		return k, err
	}
	sent := s.send(ctx, k, []line{s.testLine(k)})
	failed := problem.Of(sent)
	if sent != nil && failed == nil {
		return k, sent
	}
	k, err = s.steer(ctx, by, id, func(k *Sink) (audit.Event, error) { return s.tested(k, by, failed), nil })
	if failed != nil {
		s.log.Warn("a test was not sent", "sink", id, "problem", failed.Message, "err", failed.Unwrap())
	}
	if err != nil {
		return k, err
	}
	return k, sent
}

// tested notes how a test went.
func (s *Service) tested(k *Sink, by access.Reader, failed *problem.Error) audit.Event {
	e := k.event(by, "sink.tested")
	if failed != nil {
		e.Outcome, k.Health.Problem, k.Health.FailedAt = audit.Failed, failed.Message, s.now()
	} else {
		k.Health.OKAt, k.Health.Tries, k.Health.Due = s.now(), 0, time.Time{}
	}
	return e
}
