// Package witness signs what history is at a moment, hands that to places
// outside the database, and verifies history against it.
package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// Why a checkpoint was made.
const (
	ForNews     = "news"     // there were new entries
	ForDecision = "decision" // somebody agreed to a change, or it was applied
	ForIdle     = "idle"     // nothing happened, which is worth saying too
	ForRestore  = "restore"  // history was taken back with consent
	ForArchive  = "archive"  // entries are about to leave
	ForEvidence = "evidence" // a pack is about to be made
)

// Times between what the service does.
const (
	every = time.Minute    // a checkpoint, when there is news
	idle  = time.Hour      // a checkpoint, when there is none
	whole = 24 * time.Hour // verification of the whole chain
)

// Settings say how a service works.
type Settings struct {
	Keys    Keys
	Anchors []string  // see [parseAnchor]
	Stdout  io.Writer // for the anchor of that name
}

// A Service signs and verifies. It is safe for concurrent use.
type Service struct {
	store   *store.Store
	keys    Keys
	anchors []*anchor
	now     func() time.Time
	log     *slog.Logger
	wake    []chan struct{} // by anchor
	recheck chan struct{}   // asks for the whole chain to be verified

	signing  sync.Mutex   // held while a checkpoint is made
	activity atomic.Int64 // see [Service.Activity]

	mu        sync.Mutex
	begun     bool // checked says something
	checked   store.Checked
	at        time.Time // when it was verified last
	wholeAt   time.Time // when all of it was
	signedAt  time.Time // when the newest checkpoint was
	restored  []int64   // of the newest checkpoint by restores, when the service started
	problem   error     // what was found wrong
	beside    error     // what is wrong with anchors, or with what is said of deliveries, since the start
	allRead   bool      // everything was verified since the start
	since     int64     // until then: rows at the beginning that were taken for right
	verifying bool      // the whole chain is being verified
}

// New returns a service. It does nothing before [Service.Start].
func New(st *store.Store, set Settings, now func() time.Time, log *slog.Logger) (*Service, error) {
	s := &Service{store: st, keys: set.Keys, now: now, log: log, recheck: make(chan struct{}, 1)}
	for _, target := range set.Anchors {
		a, err := parseAnchor(target, set.Stdout)
		if err != nil {
			return nil, err
		}
		s.anchors = append(s.anchors, a)
		s.wake = append(s.wake, make(chan struct{}, 1))
	}
	return s, nil
}

// PublicKey is the line that others verify signatures with.
func (s *Service) PublicKey() string { return s.keys.Signing.Public() }

// PublicKeys are those whose signatures count.
func (s *Service) PublicKeys() audit.PublicKeys { return s.keys.Public }

// Sign returns a signed note over a text, which must end in a newline. Its first
// line says what it is, so that it can't be taken for anything else.
func (s *Service) Sign(_ context.Context, name string, body []byte) ([]byte, error) {
	return s.keys.Signing.Sign(s.keys.Signing.Name() + "/" + name + "\n" + string(body))
}

// errUnread is told where an anchor's file can't be compared with.
var errUnread = fmt.Errorf("%w: what an anchor has can't be read", audit.ErrTampered)

// addAnchor adds the checkpoints in an anchor's file. That it can't be read hides
// nothing else.
func (s *Service) addAnchor(ctx context.Context, g *gathering, a *anchor) error {
	var found []audit.Checkpoint
	err := bounded(ctx, func() (err error) {
		found, err = openAnchor(s.keys.Public, a.file)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // and it may be reading still
	case err == nil || errors.Is(err, audit.ErrTampered) || errors.Is(err, errMissing):
		return g.add(found, err)
	}
	return g.look(atAnchor{fmt.Errorf("%w: %w", errUnread, err)})
}

// openRemoved reads what is stated about rows that left for an archive.
func (s *Service) openRemoved(note []byte) (audit.Statement, error) {
	return s.keys.Public.OpenStatement(note, audit.RemovedStatement)
}

// removed is where history begins: after the rows that left for archives.
func (s *Service) removed(ctx context.Context) (audit.Place, error) {
	all, err := s.store.Removed(ctx, s.openRemoved)
	if err != nil || len(all) == 0 {
		return audit.Place{}, err
	}
	return all[len(all)-1].After, nil
}

// Trusted returns what is wrong with history, if anything is known to be.
func (s *Service) Trusted() error { return s.Known().Problem }

// Checkpoint verifies what is new in history and signs what it is now.
func (s *Service) Checkpoint(ctx context.Context, why string) error {
	return s.sign(ctx, why, func(last *audit.Checkpoint) []int64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.restored) > len(last.Restored) {
			return s.restored // who deletes checkpoints can't take a restore back
		}
		return last.Restored
	})
}

func (s *Service) sign(ctx context.Context, why string, restored func(last *audit.Checkpoint) []int64) error {
	s.signing.Lock()
	defer s.signing.Unlock()
	c, err := s.verifyNew(ctx)
	if err != nil || c.Head.Seq == 0 {
		return err
	}
	if err := s.notAsWritten(); err != nil {
		return fmt.Errorf("no checkpoint is signed until everything verifies again: %w", err)
	}
	last, err := s.latest(ctx) // nothing is taken over that the console didn't sign
	if err != nil {
		return s.found(err)
	}
	if why == ForDecision && last.Size == c.Head.Seq {
		return nil // it was signed with others
	}
	next := audit.Checkpoint{Origin: s.keys.Signing.Name(), Size: c.Head.Seq, Root: c.Tree.Root(), Time: s.now().Truncate(time.Second), Restored: restored(&last)}
	note, err := s.keys.Signing.Sign(next.Text())
	if err != nil {
		return err
	}
	if err := s.store.AddCheckpoint(ctx, next.Size, note, why); err != nil {
		return fmt.Errorf("keep a checkpoint: %w", err)
	}
	s.mu.Lock()
	s.signedAt = s.now()
	s.mu.Unlock()
	for _, wake := range s.wake {
		poke(wake)
	}
	return nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// verifyNew verifies the entries since the last time. The first time, it begins
// at the last checkpoint, which was only signed over what was verified.
func (s *Service) verifyNew(ctx context.Context) (store.Checked, error) {
	s.mu.Lock()
	from, begun := s.checked, s.begun
	s.mu.Unlock()
	if !begun {
		var err error
		if from, err = s.begin(ctx); err != nil {
			return from, s.found(err)
		}
	}
	c, err := s.store.VerifyFrom(ctx, from.Head, from.Tree, nil)
	if err = cmp.Or(err, s.store.CheckHead(ctx)); err != nil {
		return c, s.found(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun || s.checked.Head.Seq != c.Head.Seq {
		s.activity.Add(1)
	}
	s.checked, s.begun, s.at = c, true, s.now()
	return c, nil
}

// found remembers that history isn't right.
func (s *Service) found(err error) error {
	if errors.Is(err, audit.ErrTampered) || errors.Is(err, audit.ErrRolledBack) {
		s.mu.Lock()
		s.problem = err
		s.mu.Unlock()
		s.activity.Add(1)
		s.log.Error("history is not as it was written; see docs/audit.md", "err", err)
	}
	return err
}

// notAsWritten is what is known to be wrong with history itself.
func (s *Service) notAsWritten() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.As(s.problem, &atAnchor{}) {
		return nil
	}
	return s.problem
}

// begin reads where the last checkpoint left off.
func (s *Service) begin(ctx context.Context) (store.Checked, error) {
	signed, err := s.latest(ctx)
	if err != nil {
		return store.Checked{}, err
	}
	removed, err := s.removed(ctx)
	if err != nil || signed.Size <= removed.Head.Seq {
		return store.Checked{Head: removed.Head, Tree: removed.Tree}, err
	}
	s.mu.Lock()
	if !s.allRead {
		s.since = signed.Size
	}
	if s.signedAt.Before(signed.Time) {
		s.signedAt = signed.Time
	}
	s.mu.Unlock()
	root, err := s.root(ctx, signed)
	if err == nil && root != signed.Root {
		err = fmt.Errorf("%w: the first %d rows aren't those of the last checkpoint", audit.ErrRolledBack, signed.Size)
	}
	if err != nil {
		return store.Checked{}, err
	}
	c := store.Checked{}
	if c.Tree, err = s.store.Tree(ctx, signed.Size); err != nil {
		return c, err
	}
	err = s.store.HistoryRows(ctx, signed.Size, signed.Size, func(r audit.Row) error {
		c.Head = audit.Head{Seq: r.Seq, Hash: audit.HashBody(r.Body)}
		return nil
	})
	return c, err
}

// VerifyWhole verifies the whole chain, every checkpoint and the anchors that
// can be read again.
func (s *Service) VerifyWhole(ctx context.Context) error {
	s.mu.Lock()
	if s.verifying {
		s.mu.Unlock()
		return nil
	}
	s.verifying = true
	s.mu.Unlock()
	s.activity.Add(1)
	err := s.verifyWhole(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.activity.Add(1)
	s.verifying = false
	if err == nil {
		s.wholeAt, s.problem, s.allRead, s.since = s.now(), nil, true, 0
	}
	return err
}

func (s *Service) verifyWhole(ctx context.Context) error {
	g, err := s.known(ctx)
	if err != nil {
		return s.found(err)
	}
	c, err := s.store.VerifyWhole(ctx, s.openRemoved, nil, store.Sizes(g.all))
	if err == nil {
		err = cmp.Or(s.store.CheckHead(ctx), store.CompareCheckpoints(c, g.all), g.bad)
	}
	if err != nil {
		return s.found(err)
	}
	return s.store.SetVerified(ctx, s.now())
}

// AskVerify has the whole chain verified soon.
func (s *Service) AskVerify() { poke(s.recheck) }

// Knowledge is what the service knows of history.
type Knowledge struct {
	Size      int64     // rows that are verified
	Since     int64     // but not those up to this one yet, since the program started
	At        time.Time // when
	SignedAt  time.Time // when the newest checkpoint was signed
	WholeAt   time.Time // when all rows were last verified in one go
	Verifying bool      // that is going on
	Problem   error     // what is wrong with history
}

// Activity grows whenever what [Service.Known] says changes, but for its times.
func (s *Service) Activity() int64 { return s.activity.Load() }

// Known returns what the service knows now.
func (s *Service) Known() Knowledge {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Knowledge{Size: s.checked.Head.Seq, Since: s.since, At: s.at, SignedAt: s.signedAt, WholeAt: s.wholeAt, Verifying: s.verifying, Problem: cmp.Or(s.problem, s.beside)}
}

// An Anchor is a place that is given checkpoints, and how that goes.
type Anchor struct {
	Name   string
	Beside bool // it is a file in the data directory
	store.Anchored
}

// Anchors returns how it goes with the anchors.
func (s *Service) Anchors(ctx context.Context) ([]Anchor, error) {
	var out []Anchor
	newest, err := s.store.Checkpoints(ctx, 1)
	if err != nil {
		return nil, err
	}
	var last int64
	for _, one := range newest {
		last = one.ID
	}
	for _, a := range s.anchors {
		reached, err := s.store.Anchored(ctx, a.id)
		if err != nil {
			return nil, err
		}
		out = append(out, Anchor{Name: a.name, Beside: s.store.Holds(a.file), Anchored: a.now(reached, last)})
	}
	return out, nil
}
