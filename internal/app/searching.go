package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	ql "gatehouse/internal/query"
)

// What searches of history may cost: terms that nearly every entry has and that
// never meet make the index walk through all of it.
const (
	searchTime = 5 * time.Second
	atOnce     = 4 // searches of everybody
	atOnceOfMe = 2 // of one person, those that wait included
)

// searchers count the searches that are going on.
type searchers struct {
	limit time.Duration // of one search
	slots chan struct{}
	mu    sync.Mutex
	by    map[string]int
}

func newSearchers() *searchers {
	return &searchers{limit: searchTime, slots: make(chan struct{}, atOnce), by: map[string]int{}}
}

// enter waits for a place and reports whether there is one before ctx ends. Who
// entered must leave.
func (s *searchers) enter(ctx context.Context, person string) bool {
	s.mu.Lock()
	allowed := s.by[person] < atOnceOfMe
	if allowed {
		s.by[person]++
	}
	s.mu.Unlock()
	if !allowed {
		return false
	}
	select {
	case s.slots <- struct{}{}: // also where no time is left to wait
		return true
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		s.count(person)
		return false
	}
}

func (s *searchers) leave(person string) {
	<-s.slots
	s.count(person)
}

// count takes one of a person's searches away.
func (s *searchers) count(person string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[person]--; s.by[person] == 0 {
		delete(s.by, person)
	}
}

// limited looks for what a page of history shows; a search, within what one may
// cost. One that took too long is wrong.
func (s *Server) limited(c echo.Context, search bool, look func(context.Context) error) error {
	if !search {
		return look(c.Request().Context())
	}
	return s.limitedSearch(c.Request().Context(), reader(c), look)
}

// limitedSearch looks within what a search may cost.
func (s *Server) limitedSearch(r context.Context, who access.Reader, look func(context.Context) error) error {
	if !s.limits.search(who.ID) {
		return tooManySearches()
	}
	ctx, cancel := context.WithTimeout(r, s.searchers.limit)
	defer cancel()
	if !s.searchers.enter(ctx, who.ID) {
		return tooManySearches()
	}
	defer s.searchers.leave(who.ID)
	err := look(ctx)
	if err != nil && ctx.Err() != nil && r.Err() == nil {
		return &ql.Error{Message: fmt.Sprintf("That search took more than %.0f seconds and was stopped. Choose a shorter period, or fewer terms.", s.searchers.limit.Seconds())}
	}
	return err
}
