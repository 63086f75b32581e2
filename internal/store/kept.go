package store

import "sync"

// kept holds what nearly every page asks for until the store's version grows. What
// it returns is shared and must not be changed.
type kept struct {
	mu      sync.Mutex
	version int64
	values  map[string]any
}

// keep returns the value under a key as of the last commit, loaded at most once.
// A store that only reads doesn't learn of commits, so it keeps nothing.
func keep[T any](s *Store, key string, load func() (T, error)) (T, error) {
	if s.writer == nil {
		return load()
	}
	version := s.Version() // before loading: what is newer may be kept as older, never the reverse
	if v, ok := s.kept.get(version, key); ok {
		return v.(T), nil
	}
	v, err := load()
	if err == nil {
		s.kept.put(version, key, v)
	}
	return v, err
}

func (k *kept) get(version int64, key string) (any, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.version != version {
		return nil, false
	}
	v, ok := k.values[key]
	return v, ok
}

func (k *kept) put(version int64, key string, v any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if version < k.version {
		return
	}
	if version > k.version || k.values == nil {
		k.version, k.values = version, map[string]any{}
	}
	k.values[key] = v
}
