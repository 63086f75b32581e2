package store

import (
	"context"

	"gatehouse/internal/audit"
)

// AddRead records that history was read. Pages stay as they are: nobody's view of
// them may be disturbed by somebody else's reading.
func (s *Store) AddRead(ctx context.Context, e audit.Event) error {
	return s.write(ctx, func(t *tx) error {
		t.unseen = true
		return t.record(e)
	})
}
