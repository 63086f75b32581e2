package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

var (
	corruptions = flag.Int("corruptions", 10_000, "how many corruptions the verifiers are shown")
	seed        = flag.Uint64("seed", 1, "of what is corrupted how")
)

// A verifier is docs/verify_history.py, which is told of one database after
// another.
type verifier struct {
	in       io.WriteCloser
	out      *bufio.Scanner
	restored []int64 // restores that are known to be agreed
}

func startVerifier(t *testing.T) *verifier {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "../../docs/verify_history.py", "--batch")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return &verifier{in: in, out: bufio.NewScanner(out)}
}

func (v *verifier) ask(db, key string, anchors []string, archives ...string) (r witness.Report, err error) {
	ask := map[string]any{"key": key, "anchors": anchors, "archives": archives, "restored": v.restored}
	if db != "" {
		ask["db"] = db
	}
	job, err := json.Marshal(ask)
	if err != nil {
		return r, err
	}
	if _, err := v.in.Write(append(job, '\n')); err != nil {
		return r, err
	}
	if !v.out.Scan() {
		return r, fmt.Errorf("the verifier ended: %w", v.out.Err())
	}
	return r, json.Unmarshal(v.out.Bytes(), &r)
}

// agreed is the restore of one of the specimens.
var agreed = []int64{20}

// A specimen is a database with checkpoints and anchors that is in order.
type specimen struct {
	db, anchors []byte
	first       int64 // row that is there
	rows        int64 // in all
	removed     int64 // that left for archives
	signed      int64 // that the newest checkpoint covers
	key         string
	public      audit.PublicKeys
	content     [32]byte
	sound       witness.Report // what both verifiers say of it
}

// specimens makes databases: with and without rows after the last checkpoint,
// with a restore behind them, with somebody erased.
func specimens(t *testing.T) []*specimen {
	t.Helper()
	var all []*specimen
	all = append(all, prunedSpecimens(t)...)
	for i := range 4 {
		file := filepath.Join(t.TempDir(), "anchors.log")
		c := start(t, "file:"+file)
		anchor := func() {
			c.sign()
			last, err := c.store.LatestCheckpoint(t.Context())
			c.must(err)
			c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached >= last.ID }) })
		}
		c.people(20)
		anchor()
		if i == 3 {
			old := c.copy()
			c.people(5)
			anchor()
			c.must(c.store.Close())
			c.dir = old.dir
			c.open()
			c.must(c.witness.Start(t.Context(), true))
		}
		c.people(30)
		anchor()
		c.people(10 * i)
		if i == 2 {
			c.sign()
		}
		s := &specimen{key: filepath.Join(c.dir, witness.PublicFile), public: c.public}
		copied := filepath.Join(c.copy().dir, store.DatabaseFile) // all in one file
		var err error
		s.db, err = os.ReadFile(copied)
		c.must(err)
		s.anchors, err = os.ReadFile(file)
		c.must(err)
		all = append(all, s)
	}
	return all
}

// people writes n entries with personal data of all kinds.
func (c *console) people(n int) {
	c.t.Helper()
	for i := range n {
		c.must(c.store.Record(c.t.Context(), audit.Event{
			Actor:   audit.Actor{Kind: audit.ActorUser, ID: "usr_1", Name: "Ada Ø", Email: "ada@example.com", IP: "192.0.2.1", Agent: "Browser"},
			Action:  "auth_config.updated",
			Object:  audit.Object{Kind: "auth_config", ID: "ac_1", Name: "github"},
			Changes: []audit.Change{{Field: "scopes", Before: []string{"repo"}, After: []string{"repo", fmt.Sprint("s", i)}}},
			Reason:  "because",
		}))
	}
}

// A bench is where one worker shows corrupted databases to both verifiers.
type bench struct {
	t       *testing.T
	random  *rand.Rand
	python  *verifier
	db, log string // paths
	now     *specimen
	counts  map[string]int
}

func (b *bench) put(s *specimen) error {
	b.now = s
	return errors.Join(os.WriteFile(b.db, s.db, 0o600), os.WriteFile(b.log, s.anchors, 0o600))
}

// look asks both verifiers, which must agree. Each brings its own SQLite, and
// where only one of these can read a damaged schema, the other must find all
// that was there.
func (b *bench) look(what string) (witness.Report, error) {
	ours := examineFile(b.t.Context(), b.db, b.now.public, b.log)
	b.python.restored = agreed
	theirs, err := b.python.ask(b.db, b.now.key, []string{b.log})
	if err != nil {
		return ours, err
	}
	b.counts[what+": "+ours.Result]++
	if ours.Result == witness.Unreadable && theirs == b.now.sound || theirs.Result == witness.Unreadable && ours == b.now.sound {
		return ours, nil
	}
	if ours.Result != theirs.Result {
		return ours, fmt.Errorf("%s: we say %q (%s), the other verifier says %q (%s)", what, ours.Result, ours.Problem, theirs.Result, theirs.Problem)
	}
	ours.Problem, theirs.Problem = "", ""
	if ours.Result == witness.OK && ours != theirs {
		return ours, fmt.Errorf("%s: %+v, the other verifier has %+v", what, ours, theirs)
	}
	return ours, nil
}

func examineFile(ctx context.Context, path string, public audit.PublicKeys, anchors ...string) witness.Report {
	st, err := store.OpenFile(path)
	if err != nil {
		return witness.Report{Result: witness.Unreadable, Problem: err.Error()}
	}
	defer func() { _ = st.Close() }() // only read
	return witness.Examine(ctx, st, witness.Evidence{Keys: func() (audit.PublicKeys, error) { return public, nil }, Anchors: anchors, Restored: agreed})
}

// content is a digest of all that verification reads of a database.
func content(ctx context.Context, path string) (sum [32]byte, err error) {
	st, err := store.OpenFile(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = st.Close() }() // only read
	h := sha256.New()
	err = st.HistoryRows(ctx, 1, 1<<40, func(r audit.Row) error {
		_, err := fmt.Fprintf(h, "%d %q %x %x %q\n", r.Seq, r.Body, r.Prev, r.Hash, r.Personal)
		return err
	})
	if err != nil {
		return sum, err
	}
	removed, err := st.Removed(ctx, audit.ReadStatement)
	if err != nil {
		return sum, err
	}
	_, _ = fmt.Fprintf(h, "%v\n", removed) // a hash takes everything
	stored, err := st.StoredCheckpoints(ctx)
	for _, c := range stored {
		_, _ = fmt.Fprintf(h, "%d %d %q\n", c.ID, c.Size, c.Note) // a hash takes everything
	}
	return [32]byte(h.Sum(nil)), err
}

// first is the number of the first row that is there.
func (b *bench) first() (first int64) {
	db, err := sql.Open("sqlite3", b.db)
	if err == nil {
		err = db.QueryRowContext(b.t.Context(), "SELECT MIN(seq) FROM history").Scan(&first)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		b.t.Fatal(err)
	}
	return first
}

// flip changes one byte of the database for a moment. Where nothing is found,
// what is read must be what was written.
func (b *bench) flip() error {
	at := b.random.IntN(len(b.now.db))
	for b.random.IntN(10) < 8 && b.now.db[at] == 0 {
		at = b.random.IntN(len(b.now.db)) // most of the file is empty
	}
	mask := byte(1 + b.random.IntN(255))
	f, err := os.OpenFile(b.db, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // both writes told
	if _, err := f.WriteAt([]byte{b.now.db[at] ^ mask}, int64(at)); err != nil {
		return err
	}
	found, err := b.look("byte changed")
	if err != nil {
		return fmt.Errorf("byte %d (page %d) changed by %#x: %w", at, at/4096+1, mask, err)
	}
	if found.Result == witness.OK {
		if got, err := content(b.t.Context(), b.db); err != nil || got != b.now.content {
			return fmt.Errorf("byte %d changed by %#x: not found, and what is read differs: %w", at, mask, err)
		}
	}
	_, err = f.WriteAt([]byte{b.now.db[at]}, int64(at))
	return err
}

// flipAnchor changes one byte of what was anchored. A line that became another
// can count no more; it can't count for something else.
func (b *bench) flipAnchor() error {
	bad := bytes.Clone(b.now.anchors)
	bad[b.random.IntN(len(bad))] ^= byte(1 + b.random.IntN(255))
	if err := os.WriteFile(b.log, bad, 0o600); err != nil {
		return err
	}
	found, err := b.look("anchor changed")
	if err == nil && found.Result == witness.OK && found.Anchored >= bytes.Count(b.now.anchors, []byte("\n")) {
		err = errors.New("a changed anchor passes")
	}
	return errors.Join(err, os.WriteFile(b.log, b.now.anchors, 0o600))
}

// truncate cuts the file.
func (b *bench) truncate() error {
	if err := os.WriteFile(b.db, b.now.db[:b.random.IntN(len(b.now.db))], 0o600); err != nil {
		return err
	}
	_, err := b.look("file cut")
	return errors.Join(err, os.WriteFile(b.db, b.now.db, 0o600))
}

// A forgery changes rows as somebody does who has the database and no key.
type forgery struct {
	name   string
	do     func(f *forger) error
	hidden func(s *specimen, from int64) bool // whether nobody can find it
}

// A forger has the database open without any guard.
type forger struct {
	db     *sql.DB
	first  int64 // row that is there
	from   int64 // the row that it begins with
	last   int64
	random *rand.Rand
	err    error
}

func (f *forger) exec(query string, args ...any) {
	if f.err == nil {
		_, f.err = f.db.Exec(query, args...) //nolint:noctx // a test that ends by itself
	}
}

// rehash writes all hashes from a row on anew, as they would be.
func (f *forger) rehash(from int64) {
	for seq := from; seq <= f.last && f.err == nil; seq++ {
		var body, prev []byte
		f.err = f.db.QueryRow("SELECT body FROM history WHERE seq = ?", seq).Scan(&body) //nolint:noctx // as above
		if f.err == nil {                                                                // the first one stays linked to what isn't there
			f.err = f.db.QueryRow("SELECT COALESCE((SELECT hash FROM history WHERE seq = ?1 - 1), (SELECT prev FROM history WHERE seq = ?1))", seq).Scan(&prev) //nolint:noctx // as above
		}
		at := bytes.Index(body, []byte(`"prev":"`)) + len(`"prev":"`)
		if f.err != nil || at < 8 {
			return
		}
		copy(body[at:], hex.EncodeToString(prev))
		hash := audit.HashBody(body)
		f.exec("UPDATE history SET body = ?, prev = ?, hash = ? WHERE seq = ?", body, prev, hash[:], seq)
	}
}

var never = func(*specimen, int64) bool { return false }

// afterSigned: nothing outside or signed says what those rows were.
var afterSigned = func(s *specimen, from int64) bool { return from > s.signed }

var forgeries = []forgery{
	{"rows swapped", func(f *forger) error {
		n := f.last - f.first + 1
		other := f.first + (f.from-f.first+1+f.random.Int64N(n-1))%n
		f.exec("CREATE TEMP TABLE two AS SELECT seq, body, prev, hash FROM history WHERE seq IN (?, ?)", f.from, other)
		f.exec("UPDATE history SET (body, prev, hash) = (SELECT body, prev, hash FROM two WHERE seq = ? + ? - history.seq) WHERE seq IN (?, ?)", f.from, other, f.from, other)
		return f.err
	}, never},
	{"row deleted", func(f *forger) error {
		f.exec("DELETE FROM history_personal WHERE seq = ?", f.from)
		f.exec("DELETE FROM history WHERE seq = ?", f.from)
		return f.err
	}, func(s *specimen, from int64) bool {
		return from > s.signed && from == s.rows || from == s.first && from <= s.removed // the first of what was to go anyway
	}},
	{"end cut off", func(f *forger) error {
		f.exec("DELETE FROM history_personal WHERE seq >= ?", f.from)
		f.exec("DELETE FROM history WHERE seq >= ?", f.from)
		return f.err
	}, afterSigned},
	{"end and checkpoints cut off", func(f *forger) error {
		f.exec("DELETE FROM history_personal WHERE seq >= ?", f.from)
		f.exec("DELETE FROM history WHERE seq >= ?", f.from)
		f.exec("DELETE FROM checkpoint WHERE size >= ?", f.from)
		return f.err
	}, func(s *specimen, from int64) bool { return from > s.anchored() }},
	{"rewritten and hashed again", func(f *forger) error {
		f.exec("UPDATE history SET body = CAST(replace(CAST(body AS TEXT), '\"outcome\":\"ok\"', '\"outcome\":\"no\"') AS BLOB) WHERE seq = ?", f.from)
		f.rehash(f.from)
		return f.err
	}, func(s *specimen, from int64) bool { return from > s.signed }},
	{"rewritten and hashed again, checkpoints deleted", func(f *forger) error {
		f.exec("UPDATE history SET body = CAST(replace(CAST(body AS TEXT), '\"outcome\":\"ok\"', '\"outcome\":\"no\"') AS BLOB) WHERE seq = ?", f.from)
		f.rehash(f.from)
		f.exec("DELETE FROM checkpoint WHERE size >= ?", f.from)
		return f.err
	}, func(s *specimen, from int64) bool { return from > s.anchored() }},
	{"rewritten out of form", func(f *forger) error {
		f.exec("UPDATE history SET body = CAST(replace(CAST(body AS TEXT), '\"action\"', ' \"action\"') AS BLOB) WHERE seq = ?", f.from)
		f.rehash(f.from)
		return f.err
	}, never},
	{"personal data changed", func(f *forger) error {
		f.exec("UPDATE history_personal SET value = value || 'x' WHERE seq = ?", f.from)
		return f.err
	}, never},
	{"personal data deleted", func(f *forger) error {
		f.exec("DELETE FROM history_personal WHERE seq = ? AND field = 'actor_email'", f.from)
		return f.err
	}, never},
	{"reason deleted", func(f *forger) error {
		f.exec("DELETE FROM history_personal WHERE seq = ? AND field = 'reason'", f.from)
		return f.err
	}, never},
	{"personal data added", func(f *forger) error {
		f.exec("INSERT INTO history_personal (seq, field, salt, value) VALUES (?, 'zzz', x'00', 'x')", f.last+f.random.Int64N(3))
		return f.err
	}, never},
	{"commitment added that no row has", func(f *forger) error {
		f.exec("UPDATE history SET body = CAST(replace(CAST(body AS TEXT), '\"sealed\":{', '\"sealed\":{\"aaa\":\"00\",') AS BLOB) WHERE seq = ?", f.from)
		f.rehash(f.from)
		return f.err
	}, never},
	{"checkpoint forged", func(f *forger) error {
		f.exec("UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), 'time 2', 'time 3') AS BLOB) WHERE id = 1")
		return f.err
	}, never},
	{"checkpoint deleted", func(f *forger) error {
		f.exec("DELETE FROM checkpoint WHERE id = 1")
		return f.err
	}, never},
	{"statement about an archive deleted", func(f *forger) error {
		f.exec("DELETE FROM archive WHERE id = (SELECT MAX(id) FROM archive)")
		return f.err
	}, never},
	{"statement about an archive forged", func(f *forger) error {
		f.exec("UPDATE archive SET note = CAST(replace(CAST(note AS TEXT), 'month 20', 'month 19') AS BLOB)")
		return f.err
	}, never},
	{"statement about an archive moved", func(f *forger) error {
		f.exec("UPDATE archive SET first = first + 1, last = last + 1")
		return f.err
	}, never},
	{"archive made up", func(f *forger) error {
		f.exec("DROP TRIGGER IF EXISTS archive_in_order")
		f.exec("INSERT INTO archive SELECT 1 + COUNT(*), COALESCE(MAX(last), 0) + 1, ?1, COALESCE(MAX(note), x'00'), 0 FROM archive", f.from)
		f.exec("DELETE FROM history_personal WHERE seq <= ?", f.from)
		f.exec("DELETE FROM history WHERE seq <= ?", f.from)
		return f.err
	}, never},
	{"beginning cut off", func(f *forger) error {
		f.exec("DELETE FROM history_personal WHERE seq <= ?", f.from)
		f.exec("DELETE FROM history WHERE seq <= ?", f.from)
		return f.err
	}, func(s *specimen, from int64) bool { return from <= s.removed }},
	{"row made up before the first", func(f *forger) error {
		f.exec("DROP TRIGGER IF EXISTS history_in_order")
		f.exec("INSERT INTO history SELECT seq - 1, body, prev, hash FROM history ORDER BY seq LIMIT 1")
		return f.err
	}, never},
}

// anchored is how many rows the newest anchored checkpoint covers.
func (s *specimen) anchored() int64 {
	newest := int64(0)
	for line := range strings.Lines(string(s.anchors)) {
		var a struct{ Checkpoint string }
		if json.Unmarshal([]byte(line), &a) == nil {
			if c, err := s.public.OpenCheckpoint([]byte(a.Checkpoint)); err == nil {
				newest = c.Size // the last one is of the newest epoch
			}
		}
	}
	return newest
}

func (b *bench) forge() error {
	k := forgeries[b.random.IntN(len(forgeries))]
	f := &forger{first: b.now.first, from: b.now.first + b.random.Int64N(b.now.rows-b.now.first+1), last: b.now.rows, random: b.random}
	if b.random.IntN(4) == 0 {
		f.from = max(b.now.first, b.now.rows-b.random.Int64N(5)) // the end is where things go unnoticed
	}
	var err error
	if f.db, err = sql.Open("sqlite3", b.db+"?_journal_mode=OFF&_synchronous=OFF"); err != nil {
		return err
	}
	f.db.SetMaxOpenConns(1)
	for _, table := range []string{"history", "history_personal", "checkpoint", "archive"} {
		for _, what := range []string{"update", "delete"} {
			f.exec("DROP TRIGGER " + table + "_no_" + what)
		}
	}
	err = errors.Join(f.err, k.do(f), f.db.Close())
	if err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	hidden := k.hidden(b.now, f.from)
	what := k.name
	if hidden {
		what += " where nothing was signed"
	}
	found, err := b.look(what)
	if err == nil && found.Result == witness.OK != hidden {
		if got, cerr := content(b.t.Context(), b.db); cerr != nil || got != b.now.content { // it had something to change
			err = fmt.Errorf("%s from row %d of %d, %d signed: found %q", what, f.from, b.now.rows, b.now.signed, found.Result)
		}
	}
	return errors.Join(err, os.WriteFile(b.db, b.now.db, 0o600))
}

// Both verifiers find what can be found, and nothing else, in databases that were
// corrupted in thousands of ways.
func TestCorruptions(t *testing.T) {
	all := specimens(t)
	const workers = 2
	benches := make([]*bench, workers)
	var work sync.WaitGroup
	for w := range workers {
		b := &bench{t: t, random: rand.New(rand.NewPCG(*seed, uint64(w))), python: startVerifier(t), counts: map[string]int{}}
		dir := t.TempDir()
		b.db, b.log = filepath.Join(dir, store.DatabaseFile), filepath.Join(dir, "anchors.log")
		benches[w] = b
	}
	for _, s := range all {
		b := benches[0]
		if err := b.put(s); err != nil {
			t.Fatal(err)
		}
		found, err := b.look("untouched")
		if err != nil || found.Result != witness.OK {
			t.Fatalf("%+v, %v", found, err)
		}
		s.rows, s.signed, s.first = found.Rows, found.Signed, b.first()
		s.removed, s.sound = found.Removed, found
		if s.content, err = content(t.Context(), b.db); err != nil {
			t.Fatal(err)
		}
	}
	for w, b := range benches {
		work.Go(func() {
			for i := w; i < *corruptions && !t.Failed(); i += workers {
				if i/workers%100 == 0 {
					if err := b.put(all[b.random.IntN(len(all))]); err != nil {
						t.Error(err)
						return
					}
				}
				do := []func() error{b.flip, b.flip, b.flip, b.flip, b.flip, b.flip, b.forge, b.forge, b.flipAnchor, b.truncate}[b.random.IntN(10)]
				if err := do(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	for _, b := range benches {
		for what, n := range b.counts {
			t.Log(what, n)
		}
	}
}
