package store

import (
	"cmp"
	"context"
	"fmt"

	"gatehouse/internal/audit"
)

// This process alone writes, so history ends on disk where it left it. Where it
// ends otherwise, somebody else wrote into it: that is never built upon, and
// nothing is written until the next start.

// lastHead is the end of the chain. It is remembered from one transaction to the
// next; a trigger refuses a row that doesn't follow the last one.
func (w *writer) lastHead() (audit.Head, error) {
	if w.head == nil {
		return w.kept, w.compareHead(w.kept)
	}
	return *w.head, nil
}

func (w *writer) readHead() (audit.Head, error) {
	st, err := w.stmt(headQuery)
	if err != nil {
		return audit.Head{}, err
	}
	return readHead(st.QueryRowContext(context.Background()))
}

// compareHead looks whether history ends, in the open transaction, where it
// should. What an error undid as a whole is not compared.
func (w *writer) compareHead(want audit.Head) error {
	if open, err := w.open(); err != nil || !open {
		return err
	}
	got, err := w.readHead()
	if err != nil || got == want {
		return err
	}
	err = fmt.Errorf("%w: history ends at row %d (%.8s) and not at row %d (%.8s), where the console left it: somebody else wrote into the database", audit.ErrTampered, got.Seq, got.Hash, want.Seq, want.Hash)
	if w.foreign.CompareAndSwap(nil, &err) {
		w.store.log.Error("nothing is written any more until the next start; see docs/audit.md", "err", err)
		w.store.pokeSignable() // so that verification tells
	}
	return errDown.Because(err)
}

// meddled is what [writer.compareHead] found.
func (w *writer) meddled() error {
	if err := w.foreign.Load(); err != nil {
		return *err
	}
	return nil
}

// CheckHead looks whether history still ends where this process left it. An error
// that wraps [audit.ErrTampered] stays until the next start. A store that can't be
// written any more for another reason passes.
func (s *Store) CheckHead(ctx context.Context) error {
	if s.writer == nil {
		return nil
	}
	_ = s.writer.do(ctx, func(t *tx) error {
		t.unseen = true
		return t.w.compareHead(*cmp.Or(t.w.head, &t.w.kept))
	}) // what matters is remembered
	return s.writer.meddled()
}
