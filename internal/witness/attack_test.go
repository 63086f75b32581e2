package witness_test

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// attack runs statements as somebody does who has the database and no key.
func (c *console) attack(statements ...string) {
	c.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(c.dir, store.DatabaseFile)+"?_busy_timeout=5000")
	c.must(err)
	for _, s := range statements {
		_, err := db.ExecContext(c.t.Context(), s)
		c.must(err)
	}
	c.must(db.Close())
}

// replace puts an empty history in the place of what there was.
func (c *console) replace() {
	c.t.Helper()
	c.must(c.store.Close())
	for _, name := range []string{store.DatabaseFile, store.DatabaseFile + "-wal", store.DatabaseFile + "-shm", "history_tree.db", "history_index.db"} {
		if err := os.Remove(filepath.Join(c.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.t.Fatal(err)
		}
	}
	c.open()
}

// both asks both verifiers, which must agree.
func (c *console) both(anchors ...string) string {
	c.t.Helper()
	ours := c.examine(anchors...)
	theirs, err := startVerifier(c.t).ask(filepath.Join(c.dir, store.DatabaseFile), filepath.Join(c.dir, witness.PublicFile), anchors)
	c.must(err)
	if ours.Result != theirs.Result {
		c.t.Errorf("we say %q (%s), the other verifier %q (%s)", ours.Result, ours.Problem, theirs.Result, theirs.Problem)
	}
	return ours.Result
}

func (c *console) newestNote() []byte {
	c.t.Helper()
	last, err := c.store.LatestCheckpoint(c.t.Context())
	c.must(err)
	return last.Note
}

func (c *console) keep(note []byte) (path string) {
	c.t.Helper()
	path = filepath.Join(c.t.TempDir(), "note.txt")
	c.must(os.WriteFile(path, note, 0o600))
	return path
}

// Nobody gets the console to sign that history was taken back with consent.
func TestForgedRestore(t *testing.T) {
	c := start(t)
	c.rows(10)
	c.sign()
	kept := c.keep(c.newestNote())
	origin, err := c.public.OpenCheckpoint(c.newestNote())
	c.must(err)
	c.replace()
	c.rows(12)
	c.sign()
	if got := c.both(kept); got != witness.RolledBack {
		t.Errorf("a replaced history is %s", got)
	}
	forged := fmt.Sprintf("%s\n12\n%s\nrestored 0\n\nno signature", origin.Origin, base64.StdEncoding.EncodeToString(make([]byte, 32)))
	c.attack("INSERT INTO checkpoint (id, size, note, why, at) VALUES (2, 12, CAST('" + forged + "' AS BLOB), 'news', 0)")
	c.rows(1)
	if err := c.witness.Checkpoint(t.Context(), witness.ForNews); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("signed after a forged checkpoint: %v", err)
	}
	if c.witness.Known().Problem == nil {
		t.Error("the badge doesn't say so")
	}
	c.attack("DROP TRIGGER checkpoint_no_delete", "DELETE FROM checkpoint WHERE id = 2")
	c.sign()
	if got := c.both(kept); got != witness.RolledBack {
		t.Errorf("afterwards a replaced history is %s", got)
	}
}

// A signed restore that no entry of history tells of doesn't count.
func TestRestoreNeedsItsEntry(t *testing.T) {
	c := start(t)
	c.rows(10)
	c.sign()
	keys, err := witness.LoadKeys(c.dir, true)
	c.must(err)
	last, err := c.public.OpenCheckpoint(c.newestNote())
	c.must(err)
	last.Restored = []int64{4}
	note, err := keys.Signing.Sign(last.Text())
	c.must(err)
	if got := c.both(c.keep(note)); got != witness.Tampered {
		t.Errorf("it is %s", got)
	}
}

// A line of rubbish at an anchor doesn't hide that the database is an older one.
func TestRubbishAtAnchor(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+anchor)
	c.rows(5)
	c.sign()
	old := c.copy()
	c.rows(5)
	c.sign()
	c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached > 1 }) })
	lines, err := os.ReadFile(anchor)
	c.must(err)
	c.must(os.WriteFile(anchor, append(lines, "{\"checkpoint\":\"x\"}\n{rubbish\n"...), 0o600))
	old.open()
	defer func() { old.must(old.store.Close()) }()
	if err := old.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("start: %v", err)
	}
	if got := old.both(anchor); got != witness.RolledBack {
		t.Errorf("it is %s", got)
	}
	if err := c.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrTampered) || c.witness.Known().Problem == nil {
		t.Errorf("the history that fits: %v, %+v", err, c.witness.Known())
	}
	if got := c.both(anchor); got != witness.Tampered {
		t.Errorf("it is %s", got)
	}
}

// However much rubbish follows the checkpoints at an anchor, the start looks for
// them behind it.
func TestMuchRubbishAtAnchor(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+anchor)
	c.rows(5)
	c.sign()
	old := c.copy()
	c.rows(5)
	c.sign()
	c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached > 1 }) })
	lines, err := os.ReadFile(anchor)
	c.must(err)
	for name, rubbish := range map[string]string{
		"lines of a log":  strings.Repeat("something else\n", 5_000),
		"damaged lines":   strings.Repeat("{\"checkpoint\":\"x\"}\n", 50_000),
		"one line":        strings.Repeat("x", 2<<20),
		"very many lines": strings.Repeat(strings.Repeat("y", 1023)+"\n", 12<<10),
	} {
		c.must(os.WriteFile(anchor, append(slices.Clone(lines), rubbish...), 0o600))
		old.open()
		if err := old.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrRolledBack) {
			t.Errorf("%s: %v", name, err)
		}
		old.must(old.store.Close())
	}
}

// What is no checkpoint among the checkpoints is told, and the console starts.
func TestJunkCheckpoint(t *testing.T) {
	c := start(t)
	c.rows(3)
	c.sign()
	c.attack("INSERT INTO checkpoint (id, size, note, why, at) VALUES (2, 3, CAST('junk' AS BLOB), 'news', 0)")
	if _, err := c.store.LatestCheckpoint(t.Context()); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("latest: %v", err)
	}
	if all, err := c.store.Checkpoints(t.Context(), 9); err != nil || len(all) != 2 {
		t.Errorf("listed: %v, %v", all, err)
	}
	if err := c.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("start: %v", err)
	}
	if err := c.witness.Checkpoint(t.Context(), witness.ForNews); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("sign: %v", err)
	}
	if c.witness.Known().Problem == nil {
		t.Error("the badge doesn't say so")
	}
}

// Another history is refused for good, since verification would never accept it.
func TestOtherHistoryIsNotAccepted(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+anchor)
	c.rows(5)
	c.sign()
	c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached == 1 }) })
	c.replace()
	c.rows(8)
	for _, accept := range []bool{false, true, false} {
		if err := c.witness.Start(t.Context(), accept); !errors.Is(err, audit.ErrRolledBack) {
			t.Errorf("start, accepting %v: %v", accept, err)
		}
	}
	if head, err := c.store.HistoryHead(t.Context()); err != nil || head.Seq != 8 {
		t.Errorf("a refused start wrote: %d, %v", head.Seq, err)
	}
}

// What was edited behind the last checkpoint while the console was stopped is
// found after the next start; until then the badge doesn't vouch for it.
func TestRestartVerifiesEverything(t *testing.T) {
	c := start(t)
	c.rows(20)
	c.sign()
	c.must(c.witness.VerifyWhole(t.Context()))
	c.must(c.store.Close())
	c.attack("DROP TRIGGER history_no_update", "UPDATE history SET body = CAST(replace(CAST(body AS TEXT), 'usr_1', 'usr_2') AS BLOB) WHERE seq = 5")
	c.open()
	c.must(c.witness.Start(t.Context(), false))
	c.rows(1)
	c.sign()
	if known := c.witness.Known(); known.Since != 20 || known.Size != 21 {
		t.Errorf("%+v", known)
	}
	c.run(func() { c.wait(func() bool { return c.witness.Known().Problem != nil }) })
}

func TestRestartVouchesForEverything(t *testing.T) {
	c := start(t)
	c.rows(20)
	c.sign()
	c.must(c.store.Close())
	c.open()
	c.must(c.witness.Start(t.Context(), false))
	c.run(func() {
		c.wait(func() bool {
			known := c.witness.Known()
			return known.Size == 20 && known.Since == 0 && !known.WholeAt.IsZero()
		})
	})
}

// An anchor that had checkpoints and is gone is told of.
func TestMissingAnchor(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+anchor)
	c.rows(5)
	c.must(c.witness.Start(t.Context(), false)) // nothing was delivered yet
	c.sign()
	c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached == 1 }) })
	c.must(c.store.Close())
	c.must(os.Remove(anchor))
	c.open()
	if err := c.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("start: %v", err)
	}
	c.rows(1)
	c.must(c.witness.VerifyWhole(t.Context()))
	if c.witness.Known().Problem == nil {
		t.Error("the badge doesn't say so")
	}
}

// Both verifiers check every signature, however many there are.
func TestManyCheckpoints(t *testing.T) {
	c := start(t)
	c.rows(9)
	c.sign()
	keys, err := witness.LoadKeys(c.dir, true)
	c.must(err)
	last, err := c.public.OpenCheckpoint(c.newestNote())
	c.must(err)
	db, err := sql.Open("sqlite3", filepath.Join(c.dir, store.DatabaseFile))
	c.must(err)
	for i := range 300 {
		last.Time = last.Time.Add(time.Minute)
		note, err := keys.Signing.Sign(last.Text())
		c.must(err)
		_, err = db.ExecContext(t.Context(), "INSERT INTO checkpoint (id, size, note, why, at) VALUES (?, 9, ?, 'news', 0)", i+2, note)
		c.must(err)
	}
	c.must(db.Close())
	if got := c.both(); got != witness.OK {
		t.Errorf("they are %s", got)
	}
	c.attack("DROP TRIGGER checkpoint_no_update", "UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), 'time 2', 'time 3') AS BLOB) WHERE id = 200")
	if got := c.both(); got != witness.Tampered {
		t.Errorf("with a forged one they are %s", got)
	}
}

// A key that somebody put beside the console's own doesn't count: nobody gets the
// console to sign on top of what such a key signed.
func TestForeignPublicKey(t *testing.T) {
	c := start(t)
	c.rows(5)
	c.sign()
	path := filepath.Join(c.dir, witness.PublicFile)
	own, err := os.ReadFile(path)
	c.must(err)
	text, err := audit.NewSigningKey("gatehouse-forged")
	c.must(err)
	forger, err := audit.ParseSigningKey(text)
	c.must(err)
	for _, text := range []string{string(own) + forger.Public() + "\n", forger.Public() + "\n", "", "junk\n"} {
		c.must(os.WriteFile(path, []byte(text), 0o600))
		if _, err := witness.LoadKeys(c.dir, false); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: %v", text, err)
		}
		public, err := witness.OwnPublic(c.dir)
		c.must(err)
		note, err := forger.Sign("gatehouse-forged\n5\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\nrestored 0\n")
		c.must(err)
		if _, err := public.OpenCheckpoint(note); err == nil {
			t.Error("a forger's checkpoint counts")
		}
	}
	c.must(os.Remove(path))
	keys, err := witness.LoadKeys(c.dir, false)
	c.must(err)
	if got, err := os.ReadFile(path); err != nil || string(got) != keys.Signing.Public()+"\n" || string(got) != string(own) {
		t.Errorf("%q, %v", got, err)
	}
}

// Entries that somebody else adds while the console runs are never signed: the
// badge says so, and nothing more is written.
func TestForeignEntry(t *testing.T) {
	c := start(t)
	c.rows(5)
	c.sign()
	head, err := c.store.HistoryHead(t.Context())
	c.must(err)
	r, err := audit.Seal(head, audit.Event{Actor: audit.System(), Action: "change.voted"}, now())
	c.must(err)
	c.run(func() {
		c.wait(func() bool { return !c.witness.Known().WholeAt.IsZero() })
		c.attack(fmt.Sprintf("INSERT INTO history (seq, body, prev, hash) VALUES (%d, x'%x', x'%x', x'%x')", r.Seq, r.Body, r.Prev[:], r.Hash[:]))
		if err := c.store.Record(t.Context(), audit.Event{Actor: audit.System(), Action: "x.y"}); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("a write: %v", err)
		}
		c.wait(func() bool { return c.witness.Known().Problem != nil })
	})
	if err := c.witness.Checkpoint(t.Context(), witness.ForNews); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("signed: %v", err)
	}
	if err := c.witness.VerifyWhole(t.Context()); !errors.Is(err, audit.ErrTampered) || c.witness.Known().Problem == nil {
		t.Errorf("verified: %v", err)
	}
	if last, err := c.store.LatestCheckpoint(t.Context()); err != nil || last.Size != 5 {
		t.Errorf("%+v, %v", last, err)
	}
}

// Who writes into the database that an anchor or a sink has everything doesn't
// starve it, and is told of.
func TestProgressTooFar(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := start(t, "file:"+anchor)
	c.rows(5)
	given := func(size int64) func() bool {
		return func() bool {
			notes, err := witness.ReadAnchor(anchor)
			if errors.Is(err, os.ErrNotExist) {
				return false
			}
			c.must(err)
			if len(notes) == 0 {
				return false
			}
			last, err := c.public.OpenCheckpoint(notes[len(notes)-1])
			c.must(err)
			return last.Size == size
		}
	}
	c.run(func() {
		c.wait(given(5))
		c.until(func(a []witness.Anchor) bool { return a[0].Reached == 1 })
		c.attack("UPDATE anchor SET reached = 1000000")
		c.until(func(a []witness.Anchor) bool { return a[0].Reached == 1 }) // the page goes by what was delivered
		c.rows(2)
		c.sign()
		c.wait(given(7))
		c.wait(func() bool { return c.witness.Known().Problem != nil })
	})
	c.must(c.store.Close())
	c.attack("UPDATE anchor SET reached = 1000000")
	c.must(os.Truncate(anchor, 0))
	c.open()
	if err := c.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrTampered) || c.witness.Known().Problem == nil {
		t.Errorf("start: %v", err)
	}
	c.until(func(a []witness.Anchor) bool { return a[0].Reached == 0 })
	c.run(func() { c.wait(given(7)) }) // the newest goes to every anchor after a start
	c.must(c.witness.VerifyWhole(t.Context()))
	if c.witness.Known().Problem == nil {
		t.Error("verification hides it")
	}
}
