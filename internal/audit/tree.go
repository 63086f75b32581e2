package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Tree is the Merkle tree of RFC 6962 over the hashes of a chain, reduced to
// what adding to it takes. Row n is leaf n-1. The zero value is the empty tree.
type Tree struct {
	Size int64
	Edge []Hash // roots of the largest complete subtrees, from the left
}

// errEdge means that a tree doesn't have the subtrees of its size.
var errEdge = errors.New("the tree doesn't fit its size")

// Check refuses a tree whose edge doesn't fit its size.
func (t Tree) Check() error {
	if t.Size < 0 || len(t.Edge) != bits.OnesCount64(uint64(t.Size)) {
		return errEdge
	}
	return nil
}

// Add puts the hash of the next row at the end.
func (t *Tree) Add(leaf Hash) { t.add(0, leaf) }

// add puts a complete subtree of 2^level rows at the end. The size must be a
// multiple of that.
func (t *Tree) add(level int, h Hash) {
	for n := t.Size >> level; n&1 == 1; n >>= 1 {
		h = NodeHash(t.Edge[len(t.Edge)-1], h)
		t.Edge = t.Edge[:len(t.Edge)-1]
	}
	t.Size += 1 << level
	t.Edge = append(t.Edge, h)
}

// Append puts the rows of another tree at the end. The size must be a multiple of
// the largest complete subtree of it.
func (t *Tree) Append(more Tree) {
	edge := more.Edge
	for level := 62; level >= 0; level-- {
		if more.Size&(1<<level) != 0 {
			t.add(level, edge[0])
			edge = edge[1:]
		}
	}
}

// Clone returns a copy that further rows don't change.
func (t Tree) Clone() Tree { return Tree{Size: t.Size, Edge: slices.Clone(t.Edge)} }

// Node is the root of one of the subtrees that the edge consists of, by its place
// as a [NodeReader] has it.
func (t Tree) Node(level int, n int64) (Hash, error) {
	edge := t.Edge
	for l := 62; l > level; l-- {
		if t.Size&(1<<l) != 0 {
			edge = edge[1:]
		}
	}
	if at := t.Size >> level; at&1 == 0 || n != at-1 {
		return Hash{}, fmt.Errorf("entries up to %d are in archives", t.Size)
	}
	return edge[0], nil
}

// Root is the hash of the whole tree.
func (t Tree) Root() Hash {
	if len(t.Edge) == 0 {
		return sha256.Sum256(nil)
	}
	h := t.Edge[len(t.Edge)-1]
	for i := len(t.Edge) - 2; i >= 0; i-- {
		h = NodeHash(t.Edge[i], h)
	}
	return h
}

// NodeHash is the hash of an inner node.
func NodeHash(left, right Hash) Hash {
	return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
}

// A NodeReader returns the root of the complete subtree over the rows from
// n·2^level+1 to (n+1)·2^level.
type NodeReader func(level int, n int64) (Hash, error)

func (read NodeReader) hashes() tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			h, err := read(tlog.SplitStoredHashIndex(index))
			if err != nil {
				return nil, err
			}
			out[i] = tlog.Hash(h)
		}
		return out, nil
	}
}

// TreeAt reads the tree over the first rows.
func TreeAt(size int64, read NodeReader) (Tree, error) {
	t := Tree{Size: size}
	begin := int64(0)
	for level := 62; level >= 0; level-- {
		if size&(1<<level) == 0 {
			continue
		}
		h, err := read(level, begin>>level)
		if err != nil {
			return Tree{}, err
		}
		t.Edge = append(t.Edge, h)
		begin += 1 << level
	}
	return t, nil
}

// ProveRow returns the inclusion proof of a row in the tree over the first rows.
func ProveRow(seq, size int64, read NodeReader) ([]Hash, error) {
	p, err := tlog.ProveRecord(size, seq-1, read.hashes())
	return ours(p), err
}

// CheckRow checks the inclusion proof of a row.
func CheckRow(proof []Hash, c Checkpoint, seq int64, row Hash) error {
	if seq < 1 || seq > c.Size {
		return errors.New("the row is not among those of the checkpoint")
	}
	return tlog.CheckRecord(theirs(proof), c.Size, tlog.Hash(c.Root), seq-1, tlog.Hash(row))
}

// ProveGrowth returns the consistency proof from one size of the tree to a later
// one.
func ProveGrowth(from, to int64, read NodeReader) ([]Hash, error) {
	p, err := tlog.ProveTree(to, from, read.hashes())
	return ours(p), err
}

// CheckGrowth checks that the tree of the later checkpoint begins with that of
// the earlier one.
func CheckGrowth(proof []Hash, from, to Checkpoint) error {
	return tlog.CheckTree(theirs(proof), to.Size, tlog.Hash(to.Root), from.Size, tlog.Hash(from.Root))
}

func ours(p []tlog.Hash) []Hash {
	out := make([]Hash, len(p))
	for i, h := range p {
		out[i] = Hash(h)
	}
	return out
}

func theirs(p []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i, h := range p {
		out[i] = tlog.Hash(h)
	}
	return out
}
