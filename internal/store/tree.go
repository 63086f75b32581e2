package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"

	"gatehouse/internal/audit"
)

// A historyTree keeps the inner nodes of the tree over history in a file beside
// the database. It is derived: brought up to date when somebody asks, so that
// appending costs nothing, and made anew when it doesn't fit.
type historyTree struct {
	store *Store
	path  string

	mu   sync.Mutex
	db   *sql.DB // nil while nobody has asked
	upTo int64   // rows that its nodes cover
}

// Only nodes over whole tiles are kept; what is below is worked out from rows.
const (
	tileLevel   = 8
	tileRows    = 1 << tileLevel
	tileBatch   = 64 * tileRows // rows
	treeVersion = 1
)

const treeSchema = `
CREATE TABLE node (level INTEGER NOT NULL, n INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, n)) WITHOUT ROWID;
CREATE TABLE verified (id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
`

func (x *historyTree) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.Close()
	x.db = nil
	return err
}

// open opens the file, or makes it anew where it doesn't fit history. The caller
// holds the lock.
func (x *historyTree) open(ctx context.Context) error {
	if x.db != nil || x.path == "" {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // half a file would be of no use
	err := x.tryOpen(ctx)
	if err == nil && x.fits(ctx) {
		return nil
	}
	return x.remake(ctx)
}

// remake throws the nodes away.
func (x *historyTree) remake(ctx context.Context) error {
	if x.db != nil {
		_ = x.db.Close() // it is thrown away
		x.db = nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(x.path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err := x.tryOpen(context.WithoutCancel(ctx))
	if err != nil && x.db != nil {
		_ = x.db.Close() // it is made anew the next time
		x.db = nil
	}
	return err
}

func (x *historyTree) tryOpen(ctx context.Context) error {
	register()
	db, err := sql.Open(driverIndex, "file:"+x.path+"?_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000&_txlock=immediate&_cache_size=-1024")
	if err != nil {
		return err
	}
	x.db, x.upTo = db, 0
	x.db.SetMaxOpenConns(1)
	var version int
	if err := x.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch version {
	case 0:
		_, err = x.db.ExecContext(ctx, treeSchema+fmt.Sprintf("PRAGMA user_version = %d;", treeVersion))
	case treeVersion:
		err = x.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(n) + 1, 0) * ? FROM node WHERE level = ?", tileRows, tileLevel).Scan(&x.upTo)
	default:
		err = errors.New("another version")
	}
	return err
}

// fits compares the last tile with its rows.
func (x *historyTree) fits(ctx context.Context) bool {
	if x.upTo == 0 {
		return true
	}
	last := x.upTo/tileRows - 1
	begin, err := x.store.removedTree(ctx)
	if err != nil || x.upTo <= begin.Size {
		return err == nil // its rows are gone
	}
	kept, err := x.node(ctx, tileLevel, last)
	if err != nil {
		return false
	}
	tile, err := x.store.subtree(ctx, begin, tileLevel, last)
	return err == nil && tile == kept
}

// seed gives a file that lacks rows which are in archives the nodes over them.
func (x *historyTree) seed(ctx context.Context) error {
	begin, err := x.store.removedTree(ctx)
	whole := begin.Size / tileRows * tileRows
	if err != nil || x.upTo >= whole {
		return err
	}
	edge := begin.Edge
	for level := 62; level >= tileLevel; level-- {
		if begin.Size&(1<<level) == 0 {
			continue
		}
		n := begin.Size>>level - 1
		if _, err := x.db.ExecContext(ctx, "INSERT OR REPLACE INTO node (level, n, hash) VALUES (?, ?, ?)", level, n, edge[0][:]); err != nil {
			return err
		}
		edge = edge[1:]
	}
	x.upTo = whole
	return nil
}

func (x *historyTree) node(ctx context.Context, level int, n int64) (audit.Hash, error) {
	var hash []byte
	err := x.db.QueryRowContext(ctx, "SELECT hash FROM node WHERE level = ? AND n = ?", level, n).Scan(&hash)
	if err == nil && len(hash) != len(audit.Hash{}) {
		err = errors.New("a node of another length")
	}
	if err != nil {
		return audit.Hash{}, err
	}
	return audit.Hash(hash), nil
}

// catchUp adds the nodes over whole tiles up to a size. The caller holds the lock.
func (x *historyTree) catchUp(ctx context.Context, size int64) error {
	if err := x.open(ctx); err != nil || x.db == nil {
		return err
	}
	if err := x.seed(ctx); err != nil {
		return err
	}
	for x.upTo+tileRows <= size {
		if err := x.addTiles(ctx, min(size/tileRows*tileRows, x.upTo+tileBatch)); err != nil {
			return err
		}
	}
	return nil
}

func (x *historyTree) addTiles(ctx context.Context, to int64) error {
	t, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	begin, err := x.store.removedTree(ctx)
	if err != nil {
		return err
	}
	for n := x.upTo / tileRows; n < to/tileRows; n++ {
		tile, err := x.store.subtree(ctx, begin, tileLevel, n)
		if err != nil {
			return err
		}
		if err := addNode(ctx, t, n, tile); err != nil {
			return err
		}
	}
	if err := t.Commit(); err != nil {
		return err
	}
	x.upTo = to
	return nil
}

// addNode keeps the root of a tile and of all subtrees that it completes.
func addNode(ctx context.Context, t *sql.Tx, n int64, h audit.Hash) error {
	for level := tileLevel; ; level++ {
		if _, err := t.ExecContext(ctx, "INSERT OR REPLACE INTO node (level, n, hash) VALUES (?, ?, ?)", level, n, h[:]); err != nil {
			return err
		}
		if n&1 == 0 {
			return nil
		}
		var left []byte
		if err := t.QueryRowContext(ctx, "SELECT hash FROM node WHERE level = ? AND n = ?", level, n-1).Scan(&left); err != nil {
			return err
		}
		h, n = audit.NodeHash(audit.Hash(left), h), n>>1
	}
}

// removedTree is the tree over the rows that were removed, from what is stated
// about the last of them.
func (s *Store) removedTree(ctx context.Context) (audit.Tree, error) {
	last, err := s.lastRemoved(ctx)
	return last.After.Tree, err
}

// subtree works a complete subtree out from the rows, and from what is known of
// those that were removed.
func (s *Store) subtree(ctx context.Context, begin audit.Tree, level int, n int64) (audit.Hash, error) {
	from, to := n<<level, (n+1)<<level
	if to <= begin.Size {
		return begin.Node(level, n)
	}
	if from < begin.Size || level > tileLevel {
		left, err := s.subtree(ctx, begin, level-1, 2*n)
		if err != nil {
			return audit.Hash{}, err
		}
		right, err := s.subtree(ctx, begin, level-1, 2*n+1)
		return audit.NodeHash(left, right), err
	}
	var t audit.Tree
	err := s.leaves(ctx, from+1, to, func(h audit.Hash) { t.Add(h) })
	if err == nil && t.Size != to-from {
		err = fmt.Errorf("%w: rows of %d to %d are missing", audit.ErrTampered, from+1, to)
	}
	return t.Root(), err
}

// leaves calls fn for the hashes of rows, which must be there without a gap up to
// the last.
func (s *Store) leaves(ctx context.Context, from, to int64, fn func(audit.Hash)) error {
	want := from
	return s.each(ctx, func(row scanner) error {
		var seq int64
		var hash []byte
		if err := row.Scan(&seq, &hash); err != nil {
			return err
		}
		if seq != want || len(hash) != len(audit.Hash{}) {
			return fmt.Errorf("%w at row %d", audit.ErrTampered, want)
		}
		want++
		fn(audit.Hash(hash))
		return nil
	}, "SELECT seq, hash FROM history WHERE seq BETWEEN $1 AND $2 ORDER BY seq", from, to)
}

// nodes reads the tree over history. The caller holds the tree's lock.
func (s *Store) nodes(ctx context.Context, begin audit.Tree) audit.NodeReader {
	x := &s.tree
	var read audit.NodeReader
	read = func(level int, n int64) (audit.Hash, error) {
		to := (n + 1) << level
		switch {
		case to <= begin.Size:
			return begin.Node(level, n)
		case level >= tileLevel && x.db != nil && to <= x.upTo:
			return x.node(ctx, level, n)
		case level <= tileLevel || x.db == nil:
			return s.subtree(ctx, begin, level, n)
		}
		left, err := read(level-1, 2*n)
		if err != nil {
			return audit.Hash{}, err
		}
		right, err := read(level-1, 2*n+1)
		return audit.NodeHash(left, right), err
	}
	return read
}

// withNodes calls fn with a reader of the tree that covers a size.
func (s *Store) withNodes(ctx context.Context, size int64, fn func(audit.NodeReader) error) error {
	x := &s.tree
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.catchUp(ctx, size); err != nil {
		return err
	}
	begin, err := s.removedTree(ctx)
	if err != nil {
		return err
	}
	return fn(s.nodes(ctx, begin))
}

// Tree returns the tree over the first rows of history, from the hashes beside
// them and from what is stated about those that were removed: that those are right is for verification to find out.
func (s *Store) Tree(ctx context.Context, size int64) (audit.Tree, error) {
	var t audit.Tree
	err := s.withNodes(ctx, size, func(read audit.NodeReader) (err error) {
		t, err = audit.TreeAt(size, read)
		return err
	})
	return t, err
}

// TreeRoot returns the root of [Store.Tree].
func (s *Store) TreeRoot(ctx context.Context, size int64) (audit.Hash, error) {
	t, err := s.Tree(ctx, size)
	return t.Root(), err
}

// InclusionProof proves that a row is in the tree over the first rows.
func (s *Store) InclusionProof(ctx context.Context, seq, size int64) ([]audit.Hash, error) {
	var p []audit.Hash
	err := s.withNodes(ctx, size, func(read audit.NodeReader) (err error) {
		p, err = audit.ProveRow(seq, size, read)
		return err
	})
	return p, err
}

// ConsistencyProof proves that the tree of a later size begins with that of an
// earlier one.
func (s *Store) ConsistencyProof(ctx context.Context, from, to int64) ([]audit.Hash, error) {
	var p []audit.Hash
	err := s.withNodes(ctx, to, func(read audit.NodeReader) (err error) {
		p, err = audit.ProveGrowth(from, to, read)
		return err
	})
	return p, err
}

// RemakeTree throws the kept nodes of the tree away, so that they are worked out
// from the rows again.
func (s *Store) RemakeTree(ctx context.Context) error {
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	if s.tree.path == "" {
		return nil
	}
	return s.tree.remake(ctx)
}
