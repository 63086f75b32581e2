package witness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

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
			err = s.addAnchor(ctx, &g, a)
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
	if err == nil && errors.Is(g.bad, errUnread) {
		err = g.bad
	}
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
