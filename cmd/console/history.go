package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

type historyCommand struct {
	Verify     historyVerifyCommand     `cmd:"" help:"Check the whole of history. Exits 0 if it is as written, 1 if it was tampered with, 2 if it can't be read, 3 if it was taken back or replaced."`
	Checkpoint historyCheckpointCommand `cmd:"" help:"Print the newest signed checkpoint."`
}

// Exit codes of history verify.
const (
	exitTampered   = 1
	exitUnreadable = 2
	exitRolledBack = 3
)

var exitCodes = map[string]int{witness.Tampered: exitTampered, witness.Unreadable: exitUnreadable, witness.RolledBack: exitRolledBack}

type historyVerifyCommand struct {
	directory
	JSON     bool     `name:"json" help:"Print the findings as JSON."`
	Anchor   []string `type:"path" sep:"none" help:"File with checkpoints that were kept elsewhere; may be repeated. The default one in the data directory is read as well."`
	Archive  []string `type:"path" sep:"none" help:"Archive of entries that left the database, or a directory of them, to be checked too; may be repeated. Without a database in the data directory, archives are checked alone."`
	Restored []int64  `placeholder:"N" help:"A restore to N entries that was agreed; may be repeated. Without it, a restore that excuses a known checkpoint is told as exit code 3."`
	Key      string   `type:"path" help:"File with the public keys that count (default: the public half of witness.key, or witness.pub where that is not readable). Keep a copy elsewhere and name that one."`
}

// Run reads the database without writing to it, even while a console runs.
func (c historyVerifyCommand) Run(ctx context.Context, t terminal) error {
	r := c.examine(ctx)
	if err := c.print(t, r); err != nil {
		return err
	}
	if r.Result == witness.OK {
		return nil
	}
	return exitCode{exitCodes[r.Result], errors.New(r.Result + ": " + r.Problem)}
}

func (c historyVerifyCommand) examine(ctx context.Context) witness.Report {
	by := witness.Evidence{Keys: c.publicKeys, Anchors: c.Anchor, Archives: c.Archive, Restores: c.Restored}
	if _, err := os.Stat(c.defaultAnchor()); err == nil {
		by.Anchors = append(by.Anchors, c.defaultAnchor())
	}
	path := filepath.Join(c.DataDir, store.DatabaseFile)
	if _, err := os.Stat(path); len(c.Archive) > 0 && errors.Is(err, fs.ErrNotExist) {
		return witness.Examine(ctx, nil, by)
	}
	st, err := store.OpenFile(path)
	if err != nil {
		return witness.Report{Result: witness.Unreadable, Problem: err.Error()}
	}
	r := witness.Examine(ctx, st, by)
	if err := st.Close(); err != nil && r.Result == witness.OK {
		r.Result, r.Problem = witness.Unreadable, err.Error()
	}
	return r
}

func (c historyVerifyCommand) print(t terminal, r witness.Report) error {
	if c.JSON {
		e := json.NewEncoder(t.out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	if r.Result != witness.OK {
		return nil
	}
	text := "ok"
	if r.Rows > 0 {
		text = fmt.Sprintf("ok: %d entries, last hash %s", r.Rows, r.Hash)
	}
	text += fmt.Sprintf("\n%d checkpoints and %d anchored ones fit; the newest covers %d entries\n", r.Checkpoints, r.Anchored, r.Signed)
	if r.Restored > 0 {
		text += fmt.Sprintf("history was taken back %d times with consent, so that %d checkpoints need not fit any more\n", r.Restored, r.Excused)
	}
	_, err := io.WriteString(t.out, text+archiveWords(r))
	return err
}

// archiveWords say what was found of archives, and what can't be told without.
func archiveWords(r witness.Report) (text string) {
	if r.Removed > 0 {
		text += fmt.Sprintf("%d entries left the database for archives, on record and signed\n", r.Removed)
	}
	if r.Archives > 0 {
		text += fmt.Sprintf("%d archives with %d entries are as they were signed; %d pieces of personal data are not in them any more\n", r.Archives, r.Archived, r.Erased)
	}
	if r.Unchecked > 0 {
		text += fmt.Sprintf("%d of those checkpoints cover only entries that left and were not compared with them: name the archives with --archive\n", r.Unchecked)
	}
	return text
}

func (c historyVerifyCommand) publicKeys() (audit.PublicKeys, error) {
	if c.Key == "" {
		return witness.OwnPublic(c.witnessDir())
	}
	return witness.LoadPublic(c.Key)
}

// witnessDir is where the signing key lies: beside the other key.
func (d directory) witnessDir() string { return filepath.Dir(d.keyPath()) }

// defaultAnchor is the file that checkpoints go to unless others are named.
func (d directory) defaultAnchor() string { return filepath.Join(d.DataDir, "anchors.log") }

type historyCheckpointCommand struct{ directory }

// Run prints the newest checkpoint, even while a console runs.
func (c historyCheckpointCommand) Run(ctx context.Context, t terminal) error {
	st, err := store.OpenFile(filepath.Join(c.DataDir, store.DatabaseFile))
	if err != nil {
		return exitCode{exitUnreadable, err}
	}
	last, err := st.LatestCheckpoint(ctx)
	if err := errors.Join(err, st.Close()); err != nil {
		return exitCode{exitUnreadable, err}
	}
	if last.ID == 0 {
		return exitCode{exitUnreadable, errors.New("there is no checkpoint yet: a running console signs one within a minute")}
	}
	_, err = t.out.Write(last.Note)
	return err
}

// witnessing says where checkpoints go.
type witnessing struct {
	Anchor        []string `env:"CONSOLE_ANCHOR" help:"Where signed checkpoints go: file:PATH, stdout, syslog:, syslog:HOST:PORT, https://… (default: file:anchors.log in the data directory). Name one that who has the database can't change."`
	AcceptRestore bool     `help:"Start on a database that is older than a checkpoint, as after restoring a backup. It is recorded."`
}

// newWitness builds the service that signs history, and compares the database
// with what was signed before.
func (k console) newWitness(ctx context.Context, c *services, t terminal) (*witness.Service, error) {
	last, err := c.store.LatestCheckpoint(ctx)
	if err != nil && !errors.Is(err, audit.ErrTampered) { // of that Start tells
		return nil, err
	}
	keys, err := witness.LoadKeys(k.witnessDir(), last.ID == 0)
	if err != nil {
		return nil, err
	}
	anchors := k.Anchor
	if len(anchors) == 0 {
		anchors = []string{"file:" + k.defaultAnchor()}
	}
	w, err := witness.New(c.store, witness.Settings{Keys: keys, Anchors: anchors, Stdout: t.out}, now, c.log)
	if err != nil {
		return nil, err
	}
	switch err := w.Start(ctx, k.AcceptRestore); {
	case errors.Is(err, audit.ErrRolledBack):
		return nil, exitCode{exitRolledBack, fmt.Errorf("%w.\nIf a backup was restored on purpose, start once with --accept-restore; it is recorded in history. Otherwise find out who replaced the database (docs/audit.md)", err)}
	case errors.Is(err, audit.ErrTampered):
		// It is told on every page and refused by verification; stopping the console
		// would help whoever did it.
		c.log.Error("history is not as it was written; see docs/audit.md", "err", err)
	case err != nil:
		return nil, err
	}
	return w, nil
}
