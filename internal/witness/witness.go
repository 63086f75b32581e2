// Package witness signs what history is at a moment, hands that to places
// outside the database, and verifies history against it.
package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
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

// Start compares the database with the checkpoints that are known. The error
// wraps [audit.ErrRolledBack] when it is older than one of them, or another; where
// that is accepted, it is recorded and counts from now on.
func (s *Service) Start(ctx context.Context, accept bool) error {
	err := s.compare(ctx)
	if errors.Is(err, audit.ErrTampered) {
		return s.found(err)
	}
	if errors.Is(err, audit.ErrRolledBack) && accept {
		if err := s.acceptRestore(ctx); err != nil {
			return err
		}
		err = s.compare(ctx)
	}
	return cmp.Or(err, s.lookForAnchors(ctx))
}

// lookForAnchors tells of files that were given checkpoints and are gone: what
// history was can't be compared with them any more.
func (s *Service) lookForAnchors(ctx context.Context) error {
	for _, a := range s.anchors {
		if a.file == "" {
			continue
		}
		if _, err := os.Stat(a.file); !errors.Is(err, fs.ErrNotExist) {
			continue // what else is wrong with it is told when it is used
		}
		reached, err := s.store.Anchored(ctx, a.id)
		if err != nil {
			return err
		}
		if reached.Reached > 0 {
			s.log.Error("an anchor is missing", "anchor", a.name, "delivered", reached.Reached)
			s.tell(fmt.Errorf("%w: an anchor's file was given checkpoints and is not there any more", audit.ErrTampered))
		}
	}
	s.checkProgress(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beside
}

// recent returns the newest checkpoints, of the database and of anchors that can
// be read again: those before are part of them, and there may be very many.
func (s *Service) recent(ctx context.Context) (gathering, error) {
	var g gathering
	last, err := s.latest(ctx)
	if last.Size > 0 {
		g.all = append(g.all, last)
	}
	err = g.look(err)
	for _, a := range s.anchors {
		if a.file != "" && err == nil {
			err = g.add(openAnchorEnd(s.keys.Public, a.file))
		}
	}
	return g, err
}

// latest is the newest checkpoint of the database as it was signed, the zero value
// if there is none.
func (s *Service) latest(ctx context.Context) (audit.Checkpoint, error) {
	last, err := s.store.LatestCheckpoint(ctx)
	if err != nil || last.ID == 0 {
		return audit.Checkpoint{}, err
	}
	c, err := s.keys.Public.OpenCheckpoint(last.Note)
	if err != nil {
		return audit.Checkpoint{}, fmt.Errorf("%w: checkpoint %d: %w", audit.ErrTampered, last.ID, err)
	}
	return c, nil
}

// known returns all checkpoints that are signed, of the database and of anchors
// that can be read again.
func (s *Service) known(ctx context.Context) (gathering, error) {
	var g gathering
	stored, err := s.store.StoredCheckpoints(ctx)
	if err = g.look(err); err == nil {
		err = g.add(openStored(s.keys.Public, stored))
	}
	for _, a := range s.anchors {
		if a.file != "" && err == nil {
			err = g.add(openAnchor(s.keys.Public, a.file))
		}
	}
	return g, err
}

// compare looks whether history has grown out of every checkpoint that is known.
// What is known but is no checkpoint doesn't hide that it hasn't.
func (s *Service) compare(ctx context.Context) error {
	g, err := s.recent(ctx)
	if err != nil {
		return err
	}
	all := g.all
	head, err := s.store.HistoryHead(ctx)
	if err != nil {
		return err
	}
	removed, err := s.removed(ctx)
	if err != nil {
		return err
	}
	c := store.Checked{Head: head, Roots: map[int64]audit.Hash{}, Start: removed.Head.Seq}
	newest := g.newest()
	for _, last := range newestOf(all, head.Seq) {
		if newest.Excuses(last) || last.Size < c.Start {
			continue
		}
		// Each checkpoint was only signed when the one before was part of it.
		if c.Roots[last.Size], err = s.root(ctx, last); err != nil {
			return err
		}
	}
	if c.Restored, err = s.restoredRows(ctx, newest.Restored); err != nil {
		return err
	}
	s.mu.Lock()
	s.restored = newest.Restored
	s.mu.Unlock()
	return cmp.Or(store.CompareCheckpoints(c, all), g.bad)
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

// restoredRows are those of some sizes that entries say history was taken back to.
func (s *Service) restoredRows(ctx context.Context, sizes []int64) (found []int64, err error) {
	for _, size := range sizes {
		rows := func(r audit.Row) error {
			if e, err := audit.Open(r); err == nil && e.Action == audit.RestoredAction && e.Detail["back_to"] == strconv.FormatInt(size, 10) {
				found = append(found, size)
			}
			return nil
		}
		if err := s.store.HistoryRows(ctx, size+1, size+1, rows); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// newestOf are the checkpoints that say most about a history of some size, one for
// each time that it was taken back.
func newestOf(all []audit.Checkpoint, size int64) map[int]audit.Checkpoint {
	newest := map[int]audit.Checkpoint{}
	for _, c := range all {
		if c.Size > 0 && c.Size <= size && c.Size >= newest[c.Epoch()].Size {
			newest[c.Epoch()] = c
		}
	}
	return newest
}

// root works out a root, anew from the rows if what is kept doesn't fit.
func (s *Service) root(ctx context.Context, c audit.Checkpoint) (audit.Hash, error) {
	root, err := s.store.TreeRoot(ctx, c.Size)
	if err == nil && root == c.Root {
		return root, nil
	}
	if err := s.store.RemakeTree(ctx); err != nil {
		return root, err
	}
	return s.store.TreeRoot(ctx, c.Size)
}

// acceptRestore records that history was taken back, and signs what it is now. It
// refuses a history that isn't an older state of the one that was signed.
func (s *Service) acceptRestore(ctx context.Context) error {
	g, err := s.known(ctx)
	if err != nil {
		return err
	}
	found, err := s.store.VerifyWhole(ctx, s.openRemoved, nil, store.Sizes(g.all))
	head, newest := found.Head, g.newest()
	restored := append(slices.Clone(newest.Restored), head.Seq)
	if err == nil { // as if it were recorded
		found.Restored = append(found.Restored, head.Seq)
		err = store.CompareCheckpoints(found, append(slices.Clone(g.all), audit.Checkpoint{Restored: restored}))
	}
	if err != nil {
		return fmt.Errorf("%w, and that can't be accepted: it isn't an older state of the history that was signed: %w", audit.ErrRolledBack, err)
	}
	var ahead audit.Checkpoint
	for _, c := range g.all {
		if c.Size >= ahead.Size {
			ahead = c
		}
	}
	event := audit.Event{Actor: audit.System(), Action: audit.RestoredAction, Object: audit.Object{Kind: "history", Name: "history"}, Detail: map[string]string{
		"back_to": strconv.FormatInt(head.Seq, 10), "was_at": strconv.FormatInt(ahead.Size, 10), "epoch": strconv.Itoa(len(restored) + 1),
	}}
	if err := s.store.Record(ctx, event); err != nil {
		return err
	}
	return s.sign(ctx, ForRestore, func(*audit.Checkpoint) []int64 { return restored })
}

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
