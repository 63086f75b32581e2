package store

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"gatehouse/internal/change"
)

// mostLines is how many lines are kept: 5 MB.
const mostLines = 20_000

// lines keep what lists show of change requests, by id, until something is
// written about them. Most have ended and never change.
type lines struct {
	mu      sync.Mutex
	commits int64 // that were about something
	all     map[string]*change.Line
}

const lineColumns = "id, coalesce(project_id, ''), title, state, author_id, author_name, approvals, needed, created_at, toolkits"

// lines returns the lines of requests that there are, in the order of their ids.
func (s *Store) lines(ctx context.Context, ids []string) ([]change.Line, error) {
	found, missing, commits := s.keptLines.get(ids)
	for len(missing) > 0 {
		n := min(len(missing), linesAtOnce)
		read, err := s.readLines(ctx, missing[:n])
		if err != nil {
			return nil, err
		}
		for _, l := range read {
			found[l.ID] = l
		}
		if s.writer != nil {
			s.keptLines.put(read, commits)
		}
		missing = missing[n:]
	}
	all := make([]change.Line, 0, len(ids))
	for _, id := range ids {
		if l := found[id]; l != nil {
			all = append(all, *l)
		}
	}
	return all, nil
}

// linesAtOnce is how many lines one statement reads: a page and one more.
const linesAtOnce = 51

var linesQuery = "SELECT " + lineColumns + " FROM change_request WHERE id IN (" + places(linesAtOnce) + ")"

// places are the first parameters of a statement.
func places(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", i+1)
	}
	return strings.Join(all, ", ")
}

func (s *Store) readLines(ctx context.Context, ids []string) ([]*change.Line, error) {
	args := make([]any, linesAtOnce)
	for i := range args {
		args[i] = ids[min(i, len(ids)-1)]
	}
	var all []*change.Line
	err := s.each(ctx, func(row scanner) error {
		l := &change.Line{}
		all = append(all, l)
		var created int64
		var toolkits string
		err := row.Scan(&l.ID, &l.Project, &l.Title, &l.State, &l.Author.ID, &l.Author.Name, &l.Approvals.Have, &l.Approvals.Need, &created, &toolkits)
		l.Toolkits = strings.Fields(toolkits)
		l.CreatedAt = fromMicros(created)
		return err
	}, linesQuery, args...)
	return all, err
}

// get returns what is kept, what isn't, and when that was.
func (k *lines) get(ids []string) (found map[string]*change.Line, missing []string, commits int64) {
	found = make(map[string]*change.Line, len(ids))
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		if l := k.all[id]; l != nil {
			found[id] = l
		} else {
			missing = append(missing, id)
		}
	}
	return found, missing, k.commits
}

// put keeps lines that were read, unless something was committed since.
func (k *lines) put(read []*change.Line, commits int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.commits != commits {
		return
	}
	if k.all == nil || len(k.all)+len(read) > mostLines {
		k.all = map[string]*change.Line{}
	}
	for _, l := range read {
		k.all[l.ID] = l
	}
}

// forget drops the lines of requests after a commit.
func (k *lines) forget(ids map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.commits++
	for id := range ids {
		delete(k.all, id)
	}
}

// clear drops everything.
func (k *lines) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.commits++
	k.all = nil
}
