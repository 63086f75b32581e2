package store

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

const (
	mostLag   = 1000 // entries that may wait for the index before a result could lack some
	wholePage = 400  // entries in memory at a time
)

func errIndexing() error {
	p := problem.New(problem.Unavailable, "The search index is being made anew, so entries could be missing. What you asked for was not done. Try again in a minute.")
	p.RetryAfter = time.Minute
	return p
}

// Searchable returns the end of history if searches find all of it, and else a
// problem of kind Unavailable.
func (s *Store) Searchable(ctx context.Context) (audit.Head, error) {
	head, err := s.HistoryHead(ctx)
	if err == nil && head.Seq-s.HistoryIndexed() > mostLag {
		err = errIndexing()
	}
	return head, err
}

// HistoryWhole calls fn with everything that a query finds up to an entry, the
// newest first and some at a time; its Before and Limit don't count. If the search
// index is made anew meanwhile, the error is that of [Store.Searchable], and what
// fn got is not all.
func (s *Store) HistoryWhole(ctx context.Context, q HistoryQuery, upTo int64, fn func([]audit.Entry) error) error {
	made := s.index.made.Load()
	if _, err := s.Searchable(ctx); err != nil {
		return err
	}
	q.Limit, q.Before = wholePage, upTo+1
	for {
		page, err := s.History(ctx, q)
		if err == nil && s.index.made.Load() != made {
			err = errIndexing()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		if len(page) < wholePage {
			return nil
		}
		q.Before = page[len(page)-1].Seq
	}
}
