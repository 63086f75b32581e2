package store

import "sync"

// kept holds what nearly every page asks for until a version grows. What it
// returns is shared and must not be changed.
type kept struct {
	mu      sync.Mutex
	version int64
	values  map[string]any
}

// keep returns the value under a key as of the last commit, loaded at most once.
// A store that only reads doesn't learn of commits, so it keeps nothing.
func keep[T any](s *Store, key string, load func() (T, error)) (T, error) {
	return keepIn(s, &s.kept, s.Version(), key, load)
}

// keepIn is [keep] for what only some commits change: the version says how many
// of those there were. It is asked for before loading: what is newer may be kept
// as older, never the reverse.
func keepIn[T any](s *Store, k *kept, version int64, key string, load func() (T, error)) (T, error) {
	if s.writer == nil {
		return load()
	}
	if v, ok := k.get(version, key); ok {
		return v.(T), nil
	}
	v, err := load()
	if err == nil {
		k.put(version, key, v)
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

// mostSubjects is of how many people and change requests something is kept.
const mostSubjects = 1000

// subjects hold what was read about one change request or one person, by id,
// until something is written about it.
type subjects struct {
	mu  sync.Mutex
	all map[string]*subject
}

type subject struct {
	mu     sync.Mutex
	values map[string]any
}

// keepAbout returns the value under a key as of the last commit that was about
// a subject. It is shared and must not be changed.
func keepAbout[T any](s *Store, id, key string, load func() (T, error)) (T, error) {
	if s.writer == nil {
		return load()
	}
	about := s.subjects.get(id) // before loading: what is read too early is forgotten with it
	about.mu.Lock()
	v, ok := about.values[key]
	about.mu.Unlock()
	if ok {
		return v.(T), nil
	}
	loaded, err := load()
	if err == nil {
		about.mu.Lock()
		about.values[key] = loaded
		about.mu.Unlock()
	}
	return loaded, err
}

func (all *subjects) get(id string) *subject {
	all.mu.Lock()
	defer all.mu.Unlock()
	one := all.all[id]
	if one == nil {
		if all.all == nil || len(all.all) >= mostSubjects {
			all.all = map[string]*subject{}
		}
		one = &subject{values: map[string]any{}}
		all.all[id] = one
	}
	return one
}

// forget drops what is kept about subjects after a commit.
func (all *subjects) forget(ids map[string]bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for id := range ids {
		delete(all.all, id)
	}
}

// forget drops everything that is kept about some change requests and people.
func (s *Store) forget(ids map[string]bool) {
	if len(ids) == 0 {
		return
	}
	s.subjects.forget(ids)
	s.keptLines.forget(ids)
	s.open.note(ids)
}

// clear drops everything.
func (all *subjects) clear() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.all = nil
}
