// Package bell wakes those who wait for something to happen.
package bell

import "sync"

// A Bell tells everybody who listens that something happened; what, they find out
// themselves. The zero value is ready to use.
type Bell struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next ring; nil while nobody listens
}

// Next returns a channel that the next ring closes. Call it before looking at
// what may change, and no change is missed.
func (b *Bell) Next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// Ring wakes everybody who listens.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
