package witness_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// aged is a console with some months behind it, 20 entries in each, of which three
// stay. It is the middle of the last.
func aged(t *testing.T, months int, anchors ...string) *console {
	t.Helper()
	c := &console{t: t, dir: filepath.Join(t.TempDir(), "data"), anchors: anchors, months: 3, at: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
	c.open()
	t.Cleanup(func() { c.must(c.store.Close()) })
	for range months {
		c.people(20)
		c.sign()
		c.next()
	}
	c.people(3)
	c.sign()
	return c
}

// next lets a month go by.
func (c *console) next() { c.at = time.Date(c.at.Year(), c.at.Month()+1, 15, 12, 0, 0, 0, time.UTC) }

// work archives what is due.
func (c *console) work() {
	c.t.Helper()
	c.must(c.archive.Work(c.t.Context()))
}

// bothWith asks both verifiers about database and archives. They must agree.
func (c *console) bothWith(archives ...string) witness.Report {
	c.t.Helper()
	return c.ask(filepath.Join(c.dir, store.DatabaseFile), nil, archives...)
}

func (c *console) ask(db string, anchors []string, archives ...string) witness.Report {
	c.t.Helper()
	ours := examineAll(c.t.Context(), db, c.public, anchors, archives...)
	theirs, err := startVerifier(c.t).ask(db, filepath.Join(c.dir, witness.PublicFile), anchors, archives...)
	c.must(err)
	if ours.Result != theirs.Result {
		c.t.Errorf("we say %q (%s), the other verifier %q (%s)", ours.Result, ours.Problem, theirs.Result, theirs.Problem)
	}
	problem := ours.Problem
	ours.Problem, theirs.Problem = "", ""
	if ours.Result == witness.OK && ours != theirs {
		c.t.Errorf("%+v, the other verifier has %+v", ours, theirs)
	}
	ours.Problem = problem
	return ours
}

func examineAll(ctx context.Context, db string, public audit.PublicKeys, anchors []string, archives ...string) witness.Report {
	by := witness.Evidence{Keys: func() (audit.PublicKeys, error) { return public, nil }, Anchors: anchors, Archives: archives}
	if db == "" {
		return witness.Examine(ctx, nil, by)
	}
	st, err := store.OpenFile(db)
	if err != nil {
		return witness.Report{Result: witness.Unreadable, Problem: err.Error()}
	}
	defer func() { _ = st.Close() }() // only read
	return witness.Examine(ctx, st, by)
}

// What left verifies with what stayed, by both verifiers, again and again, with
// the archives and without.
func TestArchives(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := aged(t, 6, "file:"+anchor)
	c.run(func() { c.until(func(a []witness.Anchor) bool { return a[0].Reached == 7 }) })
	c.work()
	first, err := c.store.HistoryBegin(t.Context())
	c.must(err)
	if first != 61 { // January to March
		t.Errorf("history begins with %d", first)
	}
	r := c.bothWith()
	if r.Result != witness.OK || r.Removed != 60 || r.Unchecked != 2 || r.Checkpoints != 10 || r.Rows != 129 {
		t.Errorf("%+v", r)
	}
	r = c.ask(filepath.Join(c.dir, store.DatabaseFile), []string{anchor}, c.archives())
	if r.Result != witness.OK || r.Unchecked != 0 || r.Archives != 3 || r.Archived != 60 || r.Erased != 0 || r.Anchored != 1 {
		t.Errorf("with archives: %+v", r)
	}
	if r = c.ask("", []string{anchor}, c.archives()); r.Result != witness.OK || r.Archives != 3 {
		t.Errorf("archives alone: %+v", r)
	}
	if r = c.bothWith(filepath.Join(c.archives(), "history-2026-02.zip")); r.Result != witness.OK || r.Archived != 20 || r.Unchecked != 0 {
		t.Errorf("with one archive: %+v", r) // its ends are those of the others
	}
	c.must(c.witness.VerifyWhole(t.Context()))
	for range 3 {
		c.next()
		c.people(5)
		c.restart()
		c.work()
		if r = c.bothWith(c.archives()); r.Result != witness.OK {
			t.Errorf("later: %+v", r)
		}
	}
	found, err := c.store.Archives(t.Context(), 9)
	if err != nil || len(found) != 6 || found[0].Month != "2026-06" {
		t.Errorf("%+v, %v", found, err)
	}
}

// restart opens everything anew, and compares as a start does.
func (c *console) restart() {
	c.t.Helper()
	c.must(c.store.Close())
	c.open()
	c.must(c.witness.Start(c.t.Context(), false))
}

// The tree goes on over what left, also where its file is lost.
func TestTreeAfterRemoval(t *testing.T) {
	for _, sizes := range [][2]int{{700, 400}, {512, 300}, {300, 3}} {
		c := &console{t: t, dir: filepath.Join(t.TempDir(), "data"), months: 3, at: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
		c.open()
		c.rows(sizes[0])
		c.next()
		c.rows(sizes[1])
		c.sign()
		c.next()
		c.next()
		c.next()
		last, err := c.store.LatestCheckpoint(t.Context())
		c.must(err)
		c.work()
		for range 2 {
			if root, err := c.store.TreeRoot(t.Context(), last.Size); err != nil || root != last.Root {
				t.Errorf("%v: another root: %v", sizes, err)
			}
			head, err := c.store.HistoryHead(t.Context())
			c.must(err)
			root, err := c.store.TreeRoot(t.Context(), head.Seq)
			c.must(err)
			proof, err := c.store.ConsistencyProof(t.Context(), last.Size, head.Seq)
			c.must(err)
			c.must(audit.CheckGrowth(proof, last.Checkpoint, audit.Checkpoint{Size: head.Seq, Root: root}))
			for _, seq := range []int64{int64(sizes[0]) + 1, head.Seq} {
				proof, err := c.store.InclusionProof(t.Context(), seq, head.Seq)
				c.must(err)
				c.must(c.store.HistoryRows(t.Context(), seq, seq, func(r audit.Row) error {
					return audit.CheckRow(proof, audit.Checkpoint{Size: head.Seq, Root: root}, seq, r.Hash)
				}))
			}
			if _, err := c.store.TreeRoot(t.Context(), 3); err == nil {
				t.Error("a tree over what left")
			}
			c.must(c.store.RemakeTree(t.Context()))
		}
		c.restart()
		c.must(c.store.Close())
	}
}

// stopping is over once something has come about.
type stopping struct {
	context.Context
	when func() bool
}

func (s stopping) Err() error {
	if s.when() {
		return context.Canceled
	}
	return s.Context.Err()
}

// Removal that was broken off anywhere verifies as it is, and goes on after a
// restart.
func TestBrokenRemoval(t *testing.T) {
	c := &console{t: t, dir: filepath.Join(t.TempDir(), "data"), months: 3, at: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
	c.open()
	t.Cleanup(func() { c.must(c.store.Close()) })
	c.rows(4500) // three parts
	c.next()
	c.people(20)
	c.sign()
	for range 4 {
		c.next()
	}
	leaving := func() bool {
		left, err := c.store.Leaving(t.Context())
		c.must(err)
		return left
	}
	gone := func(seq int64) bool {
		_, err := c.store.HistoryEntry(t.Context(), seq)
		return err != nil
	}
	for _, one := range []struct {
		name    string
		when    func() bool
		leaving bool
	}{
		{"while it is written", func() bool {
			_, err := os.Stat(filepath.Join(c.archives(), "history-2026-01.zip.tmp"))
			return err == nil
		}, false},
		{"once it has its name", func() bool {
			_, err := os.Stat(filepath.Join(c.archives(), "history-2026-01.zip"))
			return err == nil
		}, false},
		{"once it is decided", leaving, true},
		{"after a part", func() bool { return gone(1) }, true},
		{"after another", func() bool { return gone(2001) }, true},
	} {
		if err := c.archive.Work(stopping{t.Context(), one.when}); !errors.Is(err, context.Canceled) || leaving() != one.leaving {
			t.Fatalf("%s: %v, leaving %v", one.name, err, leaving())
		}
		head, err := c.store.HistoryHead(t.Context())
		c.must(err)
		if r := c.bothWith(); r.Result != witness.OK || r.Rows != head.Seq {
			t.Errorf("%s: %+v", one.name, r)
		}
		c.must(c.witness.VerifyWhole(t.Context()))
		c.restart()
	}
	c.work()
	if r := c.bothWith(c.archives()); r.Result != witness.OK || r.Archived != 4520 {
		t.Errorf("%+v", r)
	}
	if found, err := os.ReadDir(c.archives()); err != nil || len(found) != 2 {
		t.Errorf("%v, %v", found, err)
	}
}

// Who can write to the database and has no key can't use statements to hide
// anything.
func TestArchiveAttacks(t *testing.T) {
	guards := []string{"DROP TRIGGER archive_no_update", "DROP TRIGGER archive_no_delete", "DROP TRIGGER archive_in_order", "DROP TRIGGER history_no_delete", "DROP TRIGGER history_no_update", "DROP TRIGGER history_in_order", "DROP TRIGGER history_personal_no_delete"}
	cut := func(last string) []string {
		return []string{"DELETE FROM history_personal WHERE seq <= " + last, "DELETE FROM history WHERE seq <= " + last}
	}
	for name, attack := range map[string]func(c, before *console) []string{
		"what stays is cut off": func(*console, *console) []string { return cut("70") },
		"the statement is deleted": func(*console, *console) []string {
			return []string{"DELETE FROM archive WHERE id = 3"}
		},
		"all statements are deleted": func(*console, *console) []string { return []string{"DELETE FROM archive"} },
		"the table is dropped":       func(*console, *console) []string { return []string{"DROP TABLE archive"} },
		"a statement is repeated": func(*console, *console) []string {
			return append([]string{"INSERT INTO archive SELECT 4, 61, 80, note, 0 FROM archive WHERE id = 3"}, cut("80")...)
		},
		"a statement takes another's place": func(*console, *console) []string {
			return []string{"UPDATE archive SET note = (SELECT note FROM archive WHERE id = 2) WHERE id = 3"}
		},
		"the archive's own statement is used": func(c, _ *console) []string {
			c.copyStatement("history-2026-03.zip", "UPDATE archive SET note = ? WHERE id = 3")
			return nil
		},
		"another key signs": func(c, _ *console) []string {
			other := aged(c.t, 6)
			other.work()
			other.attack("DROP TRIGGER archive_no_update")
			return []string{"ATTACH '" + filepath.Join(other.dir, store.DatabaseFile) + "' AS other", "DELETE FROM archive", "INSERT INTO archive SELECT id, first, last, note, made_at FROM other.archive"}
		},
		"a row of before is made up": func(*console, *console) []string {
			return []string{"INSERT INTO history SELECT 60, body, prev, hash FROM history WHERE seq = 61"}
		},
		"rows of before are put back changed": func(_, before *console) []string {
			return []string{"ATTACH '" + filepath.Join(before.dir, store.DatabaseFile) + "' AS old",
				"INSERT INTO history SELECT seq, CAST(replace(CAST(body AS TEXT), 'usr_1', 'usr_2') AS BLOB), prev, hash FROM old.history WHERE seq BETWEEN 50 AND 60"}
		},
		"a lone row of before is put back": func(_, before *console) []string {
			return []string{"ATTACH '" + filepath.Join(before.dir, store.DatabaseFile) + "' AS old", "INSERT INTO history SELECT seq, body, prev, hash FROM old.history WHERE seq = 7"}
		},
		"personal data of before is put back": func(_, before *console) []string {
			return []string{"PRAGMA foreign_keys = OFF", "ATTACH '" + filepath.Join(before.dir, store.DatabaseFile) + "' AS old", "INSERT INTO history_personal SELECT seq, field, salt, value FROM old.history_personal WHERE seq = 7"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := aged(t, 6)
			before := c.copy()
			c.work()
			if r := c.bothWith(); r.Result != witness.OK {
				t.Fatalf("%+v", r)
			}
			c.attack(append(guards, attack(c, before)...)...)
			for _, r := range []witness.Report{c.bothWith(), c.bothWith(c.archives())} {
				if r.Result != witness.Tampered {
					t.Errorf("%+v", r)
				}
			}
			if err := c.witness.VerifyWhole(t.Context()); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("the console says %v", err)
			}
		})
	}
}

// A genuine statement of later in an earlier database doesn't remove anything: the
// entry that says so is missing there. Rows that are what they were may come back.
func TestStatementWithoutEntry(t *testing.T) {
	c := aged(t, 6)
	before := c.copy()
	c.work()
	attach := "ATTACH '" + filepath.Join(c.dir, store.DatabaseFile) + "' AS later"
	before.public = c.public
	before.attack("DROP TRIGGER archive_in_order", "DROP TRIGGER history_no_delete", "DROP TRIGGER history_personal_no_delete", attach,
		"INSERT INTO archive SELECT id, first, last, note, made_at FROM later.archive")
	if r := before.bothWith(); r.Result != witness.Tampered || !strings.Contains(r.Problem, "no entry says so") {
		t.Errorf("nothing removed yet: %+v", r)
	}
	before.attack("DELETE FROM history_personal WHERE seq <= 60", "DELETE FROM history WHERE seq <= 60")
	if r := before.bothWith(); r.Result != witness.Tampered || !strings.Contains(r.Problem, "no entry says so") {
		t.Errorf("removed: %+v", r)
	}
}

// copyStatement runs a statement with the signed text of an archive.
func (c *console) copyStatement(name, statement string) {
	c.t.Helper()
	note := c.unzip(name)["archive.txt"]
	c.attack("DROP TRIGGER archive_no_update")
	c.attack(strings.Replace(statement, "?", "CAST('"+string(note)+"' AS BLOB)", 1))
	c.attack("CREATE TRIGGER archive_no_update BEFORE UPDATE ON archive BEGIN SELECT RAISE(ABORT, 'archives never change'); END")
}

func (c *console) unzip(name string) map[string][]byte {
	c.t.Helper()
	z, err := zip.OpenReader(filepath.Join(c.archives(), name))
	c.must(err)
	defer func() { _ = z.Close() }() // only read
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		c.must(err)
		files[f.Name], err = io.ReadAll(r)
		c.must(err)
	}
	return files
}

func (c *console) zip(name string, files map[string][]byte) {
	c.t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		c.must(err)
		_, err = w.Write(text)
		c.must(err)
	}
	c.must(z.Close())
	c.must(os.WriteFile(filepath.Join(c.archives(), name), b.Bytes(), 0o600))
}

// An archive that was edited is found out, whatever was edited.
func TestEditedArchives(t *testing.T) {
	c := aged(t, 6)
	c.work()
	const name = "history-2026-02.zip"
	good := c.unzip(name)
	replace := func(file, old, by string) func(map[string][]byte) {
		return func(files map[string][]byte) {
			if !bytes.Contains(files[file], []byte(old)) {
				t.Fatalf("%s has no %q", file, old)
			}
			files[file] = bytes.Replace(files[file], []byte(old), []byte(by), 1)
		}
	}
	cutLine := func(file string) func(map[string][]byte) {
		return func(files map[string][]byte) { _, files[file], _ = bytes.Cut(files[file], []byte("\n")) }
	}
	for what, edit := range map[string]func(map[string][]byte){
		"a row":         replace("rows.jsonl", "usr_1", "usr_2"),
		"a row less":    cutLine("rows.jsonl"),
		"the end":       func(f map[string][]byte) { f["rows.jsonl"] = f["rows.jsonl"][:len(f["rows.jsonl"])-9] },
		"personal data": replace("personal.jsonl", "Ada", "Eve"),
		"personal data added": func(f map[string][]byte) {
			f["personal.jsonl"] = append(bytes.Clone(f["personal.jsonl"]), `{"seq":99,"field":"a","salt":"","value":""}`+"\n"...)
		},
		"a line's form":         replace("personal.jsonl", `{"seq"`, `{ "seq"`),
		"the statement's month": replace("archive.txt", "month 2026-02", "month 2026-03"),
		"the checkpoint":        replace("checkpoint.txt", "time 2", "time 3"),
		"the proof":             replace("growth.json", `"size":`, `"size":1`),
		"the statement":         func(f map[string][]byte) { f["archive.txt"] = c.unzip("history-2026-03.zip")["archive.txt"] },
		"a file less":           func(f map[string][]byte) { delete(f, "growth.json") },
		"a file more":           func(f map[string][]byte) { f["more.txt"] = nil },
		"a reason": func(f map[string][]byte) {
			var kept [][]byte
			for line := range bytes.Lines(f["personal.jsonl"]) {
				if !bytes.Contains(line, []byte(`"reason"`)) {
					kept = append(kept, line)
				}
			}
			f["personal.jsonl"] = bytes.Join(kept, nil)
		},
	} {
		files := map[string][]byte{}
		for name, text := range good {
			files[name] = text
		}
		edit(files)
		c.zip(name, files)
		for _, r := range []witness.Report{c.bothWith(c.archives()), c.ask("", nil, c.archives())} {
			if r.Result != witness.Tampered || !strings.Contains(r.Problem, "archive") {
				t.Errorf("%s: %+v", what, r)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(c.archives(), name), []byte("PK"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.bothWith(c.archives()); r.Result != witness.Tampered {
		t.Errorf("cut off: %+v", r)
	}
	if r := c.bothWith(filepath.Join(c.archives(), "history-1999-01.zip")); r.Result != witness.Unreadable {
		t.Errorf("missing: %+v", r)
	}
	if r := c.bothWith(); r.Result != witness.OK {
		t.Errorf("the database by itself: %+v", r)
	}
}

// Where a byte of an archive changed, either it is found or what is read is what
// was written.
func TestFlippedArchives(t *testing.T) {
	c := aged(t, 4)
	c.work()
	path := filepath.Join(c.archives(), "history-2026-01.zip")
	good, err := os.ReadFile(path)
	c.must(err)
	want := c.unzip("history-2026-01.zip")
	random, python := rand.New(rand.NewPCG(*seed, 7)), startVerifier(t)
	counts := map[string]int{}
	for range 300 {
		bad := bytes.Clone(good)
		at := random.IntN(len(bad))
		if random.IntN(8) == 0 {
			bad = bad[:at]
		} else {
			bad[at] ^= byte(1 + random.IntN(255))
		}
		c.must(os.WriteFile(path, bad, 0o600))
		ours := examineAll(t.Context(), "", c.public, nil, path)
		theirs, err := python.ask("", filepath.Join(c.dir, witness.PublicFile), nil, path)
		c.must(err)
		counts[ours.Result+", "+theirs.Result]++
		if ours.Result != witness.OK && theirs.Result != witness.OK {
			if ours.Result != theirs.Result {
				t.Errorf("byte %d: %+v, %+v", at, ours, theirs)
			}
			continue
		}
		// The wrapping may be damaged so that one of them reads it and the other doesn't.
		if !c.sameContent("history-2026-01.zip", want) {
			t.Errorf("byte %d: %+v, %+v", at, ours, theirs)
		}
	}
	t.Log(counts)
}

// sameContent reports whether what verification reads of an archive is as it was.
func (c *console) sameContent(name string, want map[string][]byte) bool {
	f, err := zip.OpenReader(filepath.Join(c.archives(), name))
	if err != nil {
		return true // only the other verifier could read it, and checks the same signature
	}
	defer func() { _ = f.Close() }() // only read
	for _, one := range f.File {
		if one.Name == "README.txt" || one.Name == "key.txt" || one.Name == "verify_history.py" {
			continue
		}
		r, err := one.Open()
		if err != nil {
			return true
		}
		if text, err := io.ReadAll(r); err == nil && !bytes.Equal(text, want[one.Name]) {
			return false
		}
	}
	return true
}

// Who was erased is not in archives any more either, and they verify.
func TestEraseInArchives(t *testing.T) {
	c := aged(t, 4)
	people := access.NewService(c.store, nil, c.now)
	for _, u := range []access.User{{ID: "usr_1", Name: "Ada Ø", Email: "ada@example.com"}, {ID: "usr_2", Name: "Grace", Email: "grace@example.com"}} {
		u.State, u.Grants = access.Active, access.Unscoped(access.Admin)
		c.must(c.store.AddAccount(t.Context(), access.Account{User: u}, nil, audit.Event{Actor: audit.System(), Action: "user.added", Object: audit.Object{Kind: "user", ID: u.ID, Name: u.Name}}))
	}
	c.sign()
	c.work()
	grace, err := c.store.Account(t.Context(), "usr_2")
	c.must(err)
	by := access.Reader{User: grace.User}
	c.must(people.SetDisabled(t.Context(), by, "usr_1", true))
	c.must(people.Erase(t.Context(), by, "usr_1"))
	before := c.unzip("history-2026-01.zip")
	c.must(c.store.FinishErasures(t.Context()))
	c.must(c.store.FinishErasures(t.Context()))
	after := c.unzip("history-2026-01.zip")
	if !bytes.Contains(before["personal.jsonl"], []byte("ada@example.com")) || bytes.Contains(after["personal.jsonl"], []byte("ada@example.com")) || bytes.Contains(after["personal.jsonl"], []byte("Ada")) {
		t.Error("the data is still there, or never was")
	}
	if !bytes.Contains(after["personal.jsonl"], []byte("because")) || !bytes.Equal(before["rows.jsonl"], after["rows.jsonl"]) {
		t.Error("more is gone than was asked for")
	}
	if r := c.bothWith(c.archives()); r.Result != witness.OK || r.Erased != 80 { // name, address, IP, browser
		t.Errorf("%+v", r)
	}
	// What is missing without an erasure on record is found with the database at hand.
	files := c.unzip("history-2026-01.zip")
	files["personal.jsonl"] = nil
	c.zip("history-2026-01.zip", files)
	if r := c.bothWith(c.archives()); r.Result != witness.Tampered {
		t.Errorf("%+v", r)
	}
}

// Where archives can't be written, or one of the name is there, nothing leaves.
func TestNoArchiveNoRemoval(t *testing.T) {
	c := aged(t, 5)
	c.must(os.WriteFile(c.archives(), nil, 0o600))
	stays := func(what string) {
		t.Helper()
		if err := c.archive.Work(t.Context()); err == nil || c.archive.State().Problem == "" {
			t.Errorf("%s: %v, %+v", what, err, c.archive.State())
		}
		if r := c.bothWith(); r.Result != witness.OK || r.Removed != 0 || r.Rows != 103 {
			t.Errorf("%s: %+v", what, r)
		}
	}
	stays("no directory")
	c.must(os.Remove(c.archives()))
	c.must(os.Mkdir(c.archives(), 0o700))
	c.must(os.Symlink("/dev/full", filepath.Join(c.archives(), "history-2026-01.zip.tmp")))
	stays("disk full")
	c.must(os.WriteFile(filepath.Join(c.archives(), "history-2026-01.zip"), []byte("mine"), 0o600))
	stays("another file")
	c.must(os.Remove(filepath.Join(c.archives(), "history-2026-01.zip")))
	c.attack("DROP TRIGGER history_no_update", "UPDATE history SET body = CAST(replace(CAST(body AS TEXT), 'usr_1', 'usr_2') AS BLOB) WHERE seq = 7")
	if err := c.archive.Work(t.Context()); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("a changed row: %v", err)
	}
	if found, err := os.ReadDir(c.archives()); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

// An archive that a crash left before it was recorded is taken as it is.
func TestArchiveThatIsThere(t *testing.T) {
	c := aged(t, 4)
	before := c.copy()
	c.work()
	before.at, before.months = c.at, 3
	before.open()
	defer func() { before.must(before.store.Close()) }()
	c.must(os.MkdirAll(before.archives(), 0o700))
	text, err := os.ReadFile(filepath.Join(c.archives(), "history-2026-01.zip"))
	c.must(err)
	c.must(os.WriteFile(filepath.Join(before.archives(), "history-2026-01.zip"), text, 0o600))
	before.work()
	if r := before.bothWith(before.archives()); r.Result != witness.OK || r.Archived != 20 {
		t.Errorf("%+v", r)
	}
}

// A backup of after a removal can be restored, with consent.
func TestRestoreAfterRemoval(t *testing.T) {
	anchor := filepath.Join(t.TempDir(), "anchors.log")
	c := aged(t, 5, "file:"+anchor)
	c.work()
	old := c.copy()
	c.people(4)
	c.run(func() {
		c.sign()
		last, err := c.store.LatestCheckpoint(t.Context())
		c.must(err)
		c.until(func(a []witness.Anchor) bool { return a[0].Reached >= last.ID })
	})
	old.at, old.months = c.at, 3
	old.open()
	defer func() { old.must(old.store.Close()) }()
	if err := old.witness.Start(t.Context(), false); !errors.Is(err, audit.ErrRolledBack) {
		t.Fatal(err)
	}
	back, err := old.store.HistoryHead(t.Context())
	old.must(err)
	old.must(old.witness.Start(t.Context(), true))
	for range 5 { // until the entry that says so has left
		old.people(4)
		old.sign()
		old.next()
		old.restart()
		old.work()
		if ours, theirs := old.named(anchor, back.Seq); ours != theirs || ours.Result != witness.OK || ours.Restored != 1 {
			t.Errorf("%+v, the other verifier has %+v", ours, theirs)
		}
	}
	if first, err := old.store.HistoryBegin(t.Context()); err != nil || first < 110 {
		t.Errorf("it begins with %d, %v", first, err)
	}
}

// prunedSpecimens are databases of which something left: all of it, and a part.
func prunedSpecimens(t *testing.T) (all []*specimen) {
	t.Helper()
	for _, broken := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "anchors.log")
		c := aged(t, 6, "file:"+file)
		before := c.copy()
		c.work()
		c.people(5)
		c.run(func() {
			c.sign()
			last, err := c.store.LatestCheckpoint(t.Context())
			c.must(err)
			c.until(func(a []witness.Anchor) bool { return a[0].Reached >= last.ID })
		})
		c.people(5)
		copied := c.copy()
		if broken { // some of it is still there
			copied.attack("PRAGMA foreign_keys = OFF", "DROP TRIGGER history_in_order", "ATTACH '"+filepath.Join(before.dir, store.DatabaseFile)+"' AS old",
				"INSERT INTO history SELECT * FROM old.history WHERE seq BETWEEN 45 AND 60", "INSERT INTO history_personal SELECT * FROM old.history_personal WHERE seq BETWEEN 45 AND 60",
				"DETACH old", "PRAGMA journal_mode = DELETE")
		}
		s := &specimen{key: filepath.Join(c.dir, witness.PublicFile), public: c.public}
		var err error
		s.db, err = os.ReadFile(filepath.Join(copied.dir, store.DatabaseFile))
		c.must(err)
		s.anchors, err = os.ReadFile(file)
		c.must(err)
		all = append(all, s)
	}
	return all
}
