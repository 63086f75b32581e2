package sink

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/outbound"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Settings are how the service works.
type Settings struct {
	Host      string // that the console is known by
	Version   string // of the program
	Dir       string // where the files of sinks lie
	Receivers outbound.Rules
	Retry     time.Duration // before the second try; each later one waits twice as long
	Gather    time.Duration // what is recorded within it goes together
}

// How long a sink waits by default.
const (
	DefaultRetry  = 5 * time.Second
	DefaultGather = 250 * time.Millisecond
)

// A Service streams history to sinks.
type Service struct {
	store    Store
	keys     *secret.Keyring
	settings Settings
	now      func() time.Time
	log      *slog.Logger
	out      *outbound.Sender
	files    sync.Mutex // held while something is appended to a file

	wake  chan struct{}
	mu    sync.Mutex
	busy  map[string]bool // sinks whose lane is at work
	had   map[string]Sink // as they were after their last delivery
	group sync.WaitGroup
}

// NewService returns a service. Work begins with [Service.Run].
func NewService(store Store, keys *secret.Keyring, settings Settings, now func() time.Time, log *slog.Logger) *Service {
	return &Service{
		store: store, keys: keys, settings: settings, now: now, log: log, out: outbound.New(settings.Receivers),
		wake: make(chan struct{}, 1), busy: map[string]bool{}, had: map[string]Sink{},
	}
}

// lookEvery is how often the clock is looked at when nothing happens.
const lookEvery = time.Minute

// Run streams until ctx ends. What is under way then is sent again by the next Run.
func (s *Service) Run(ctx context.Context) {
	defer s.group.Wait()
	for {
		recorded := s.store.Recorded()
		wait, err := s.dispatch(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("stream history", "err", err)
		}
		timer := time.NewTimer(min(wait, lookEvery))
		select {
		case <-timer.C:
		case <-recorded:
			pause(ctx, s.settings.Gather)
		case <-s.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// Wake makes the service look at once whether something is due.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// dispatch lets every lane work that has something to do, and returns when it is
// worth looking again.
func (s *Service) dispatch(ctx context.Context) (time.Duration, error) {
	all, err := s.store.Sinks(ctx)
	if err != nil || len(all) == 0 {
		return lookEvery, err
	}
	head, err := s.store.HistoryHead(ctx)
	if err != nil {
		return lookEvery, err
	}
	wait, now := lookEvery, s.now()
	for _, k := range all {
		if k = s.placed(k); k.Paused || k.Cursor == head.Seq {
			continue
		}
		if left := k.Health.Due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		s.mu.Lock()
		busy := s.busy[k.ID]
		s.busy[k.ID] = true
		s.mu.Unlock()
		if !busy {
			s.group.Go(func() { s.work(ctx, k.ID) })
		}
	}
	return wait, nil
}

// placed is a sink with the cursor that its last delivery left: what the database
// says counts after a start, and where somebody set it by hand here.
func (s *Service) placed(k Sink) Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, ok := s.had[k.ID]; ok && had.Epoch >= k.Epoch {
		k.Cursor = had.Cursor
	}
	return k
}

// delivered keeps how far a sink is.
func (s *Service) delivered(ctx context.Context, k Sink, upTo int64, sent bool) (bool, error) {
	moved, err := s.store.SinkDelivered(ctx, k, upTo, sent)
	if err != nil || !moved {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.Cursor = upTo
	s.had[k.ID] = k
	return true, nil
}

// work delivers to one sink, in order, until it has everything or fails.
func (s *Service) work(ctx context.Context, id string) {
	defer func() {
		s.mu.Lock()
		delete(s.busy, id)
		s.mu.Unlock()
		s.Wake() // what came meanwhile, or the next try
	}()
	for {
		more, err := s.deliverNext(ctx, id)
		if err != nil && ctx.Err() == nil && !problem.Is(err, problem.NotFound) {
			s.log.Error("deliver to a sink", "sink", id, "err", err)
			pause(ctx, s.settings.Retry) // it is still due, and may fail again
		}
		if err != nil || !more {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// What goes to a sink at once.
const (
	maxRows  = 500
	maxBytes = 256 << 10
)

// deliverNext delivers what follows a sink's cursor, and reports whether it went
// well and there may be more.
func (s *Service) deliverNext(ctx context.Context, id string) (bool, error) {
	k, err := s.store.Sink(ctx, id)
	if err != nil || k.Paused || k.Health.Due.After(s.now()) {
		return false, err
	}
	k = s.placed(k)
	rows, err := s.store.HistoryAfter(ctx, k.Cursor, maxRows)
	if err != nil {
		return false, err
	}
	var lines []line
	upTo := k.Cursor
	if len(rows) > 0 {
		lines, upTo, err = s.lines(ctx, k, rows)
	} else if head, herr := s.store.HistoryHead(ctx); herr != nil || k.Cursor <= head.Seq {
		return false, herr
	} else {
		err = problem.New(problem.Unavailable, "The database says that it has entries that there are not: somebody changed it. Replay from the last entry that the receiver has.")
	}
	if err == nil && len(lines) > 0 {
		err = s.send(ctx, k, lines)
	}
	if err != nil && ctx.Err() != nil {
		return false, err // broken off by the program's end, which is nobody's failure
	}
	if p := problem.Of(err); p != nil {
		s.log.Warn("a sink did not take what was sent", "sink", id, "problem", p.Message, "err", p.Unwrap())
		tries := k.Health.Tries + 1
		return false, s.store.SinkFailed(context.WithoutCancel(ctx), k, p.Message, tries, s.now().Add(s.backOff(tries)))
	}
	if err != nil {
		return false, err
	}
	return s.delivered(context.WithoutCancel(ctx), k, upTo, len(lines) > 0)
}

// maxWait is the longest time between two tries: nothing is ever given up.
const maxWait = 10 * time.Minute

func (s *Service) backOff(tries int) time.Duration {
	wait := s.settings.Retry
	for range tries - 1 {
		wait = min(2*wait, maxWait)
	}
	return wait + rand.N(wait/4+1) //nolint:gosec // spreads load, hides nothing
}

// A line is one entry as a sink gets it.
type line struct {
	seq   int64
	entry audit.Entry // without personal data if the sink gets none
	text  []byte      // one line of JSON, without its end
}

// lines are the rows that a sink gets, as far as they go together, and the number
// of the last row that was looked at.
func (s *Service) lines(ctx context.Context, k Sink, rows []audit.Row) (out []line, upTo int64, err error) {
	fits, err := s.store.SinkFilter(ctx, k.Filter)
	if err != nil {
		return nil, 0, err
	}
	size := 0
	for _, r := range rows {
		e, err := audit.Open(r)
		if err != nil && len(out) > 0 {
			return out, upTo, nil // what comes before it goes
		}
		if err != nil {
			return nil, 0, problem.New(problem.Unavailable, "Entry %d can't be read: it is not as it was written. Nothing is delivered past it.", r.Seq).Because(err)
		}
		if fits(e) {
			l, err := s.line(k, r)
			if err != nil {
				return nil, 0, err
			}
			if size += len(l.text); size > maxBytes && len(out) > 0 {
				return out, upTo, nil
			}
			out = append(out, l)
		}
		upTo = r.Seq
	}
	return out, upTo, nil
}
