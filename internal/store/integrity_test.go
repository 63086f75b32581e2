package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

// fill writes n rows of history past the store, and returns their hashes.
func fill(t *testing.T, dir string, n int) []audit.Hash {
	t.Helper()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", filepath.Join(dir, store.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []audit.Hash
	head := audit.Head{}
	for i := range n {
		r, err := audit.Seal(head, audit.Event{Actor: audit.Actor{Kind: audit.ActorUser, ID: "usr_1", IP: "192.0.2.1"}, Action: "x.y", Detail: map[string]string{"n": strconv.Itoa(i)}}, storetest.Start)
		if err == nil {
			_, err = tx.ExecContext(t.Context(), "INSERT INTO history (seq, body, prev, hash) VALUES (?, ?, ?, ?)", r.Seq, r.Body, r.Prev[:], r.Hash[:])
		}
		if err == nil {
			_, err = tx.ExecContext(t.Context(), "INSERT INTO history_personal (seq, field, salt, value) VALUES (?, ?, ?, ?)", r.Seq, r.Personal[0].Field, r.Personal[0].Salt, r.Personal[0].Value)
		}
		if err != nil {
			t.Fatal(err)
		}
		head = audit.Head{Seq: r.Seq, Hash: r.Hash}
		hashes = append(hashes, r.Hash)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return hashes
}

func treeOver(hashes []audit.Hash) audit.Tree {
	var tree audit.Tree
	for _, h := range hashes {
		tree.Add(h)
	}
	return tree
}

// The kept tree, a tree made anew, one without a file and verification agree.
func TestTree(t *testing.T) {
	dir := private(t)
	hashes := fill(t, dir, 40_000)
	s := open(t, dir)
	r, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	sizes := []int64{0, 1, 255, 256, 257, 16_384, 16_385, 30_000, 32_768, 40_000}
	for range 2 {
		for _, size := range sizes {
			want := treeOver(hashes[:size]).Root()
			for name, from := range map[string]*store.Store{"kept": s, "read": r} {
				if got, err := from.TreeRoot(t.Context(), size); err != nil || got != want {
					t.Errorf("%s root of %d: %v, %v", name, size, got, err)
				}
			}
		}
		if err := s.RemakeTree(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.VerifyFrom(t.Context(), audit.Head{}, audit.Tree{}, sizes)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		if c.Roots[size] != treeOver(hashes[:size]).Root() {
			t.Errorf("verification finds another root of %d", size)
		}
	}
	// From anywhere on it finds the same.
	for _, from := range []int64{1, 255, 16_384, 20_000, 39_999, 40_000} {
		later, err := s.VerifyFrom(t.Context(), audit.Head{Seq: from, Hash: hashes[from-1]}, treeOver(hashes[:from]), sizes)
		if diff := cmp.Diff(c.Tree, later.Tree); diff != "" || err != nil || later.Head != c.Head {
			t.Errorf("from %d: %v %s", from, err, diff)
		}
		for _, size := range sizes {
			if got, known := later.Roots[size]; known != (size >= from) || known && got != c.Roots[size] {
				t.Errorf("from %d: root of %d: %t", from, size, known)
			}
		}
	}
}

func TestProofs(t *testing.T) {
	dir := private(t)
	hashes := fill(t, dir, 1000)
	s := open(t, dir)
	at := func(size int64) audit.Checkpoint {
		return audit.Checkpoint{Size: size, Root: treeOver(hashes[:size]).Root()}
	}
	for _, size := range []int64{1, 256, 700, 1000} {
		for _, seq := range []int64{1, 2, 256, 257, 600, 999, 1000} {
			p, err := s.InclusionProof(t.Context(), seq, size)
			if (err == nil) != (seq <= size) {
				t.Errorf("%d of %d: %v", seq, size, err)
			}
			if err == nil && audit.CheckRow(p, at(size), seq, hashes[seq-1]) != nil {
				t.Errorf("the proof of %d in %d is wrong", seq, size)
			}
			p, err = s.ConsistencyProof(t.Context(), seq, size)
			if (err == nil) != (seq <= size) {
				t.Errorf("%d to %d: %v", seq, size, err)
			}
			if err == nil && audit.CheckGrowth(p, at(seq), at(size)) != nil {
				t.Errorf("the proof from %d to %d is wrong", seq, size)
			}
		}
	}
}

// Whatever segment it is in, the row is named.
func TestVerifyNamesTheRow(t *testing.T) {
	dir := private(t)
	fill(t, dir, 35_000)
	for _, c := range []struct {
		seq int
		do  string
	}{
		{1, "UPDATE history SET body = replace(body, 'x.y', 'x.z') WHERE seq = %d"},
		{16_384, "UPDATE history SET hash = zeroblob(32) WHERE seq = %d"},
		{16_385, "UPDATE history SET prev = zeroblob(32) WHERE seq = %d"},
		{20_000, "UPDATE history_personal SET value = '192.0.2.2' WHERE seq = %d"},
		{30_000, "DELETE FROM history WHERE seq = %d"},
		{34_000, "DELETE FROM history_personal WHERE seq = %d"},
	} {
		copied := private(t)
		s := open(t, dir)
		if err := s.Backup(t.Context(), filepath.Join(copied, store.DatabaseFile)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		triggers := []string{"history_no_update", "history_no_delete", "history_personal_no_update", "history_personal_no_delete"}
		var all []string
		for _, name := range triggers {
			all = append(all, "DROP TRIGGER "+name)
		}
		if err := tamper(t, copied, slices.Concat([]string{"PRAGMA foreign_keys = OFF"}, all, []string{fmt.Sprintf(c.do, c.seq)})...); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, copied).VerifyHistory(t.Context())
		if want := fmt.Sprintf("at row %d:", c.seq); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), want) {
			t.Errorf("row %d: %v", c.seq, err)
		}
	}
}

// A tree file that belongs to another history is made anew.
func TestTreeIsMadeAnew(t *testing.T) {
	dir := private(t)
	hashes := fill(t, dir, 600)
	s := open(t, dir)
	if _, err := s.TreeRoot(t.Context(), 600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", filepath.Join(dir, "history_tree.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE node SET hash = zeroblob(32)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, dir).TreeRoot(t.Context(), 600); err != nil || got != treeOver(hashes).Root() {
		t.Errorf("%v, %v", got, err)
	}
}
