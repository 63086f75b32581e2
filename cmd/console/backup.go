package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/health"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

type backupCommand struct {
	Path      string   `arg:"" type:"path" help:"File to make, which must not exist, or a directory to make one in, named by the time."`
	Recipient []string `env:"CONSOLE_BACKUP_RECIPIENT" help:"age public key (age1…) that the backup is encrypted to; may be repeated. Keep the secret key elsewhere. Not encrypted unless given."`
	directory
	public
}

// Run copies the database, also while a console runs.
func (c backupCommand) Run(ctx context.Context, t terminal) error {
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "backup", Path: c.Path, Recipients: c.Recipient})
}

// backup copies the database and records that.
func (c *services) backup(ctx context.Context, call toolCall) (string, error) {
	path, err := backup.Make(ctx, c.store, backup.Order{
		Path: call.Path, Recipients: call.Recipients, Work: c.dir.DataDir, Now: now(),
		Keys: func() (audit.PublicKeys, error) { return witness.OwnPublic(c.dir.witnessDir()) },
	})
	if err != nil {
		return "", err
	}
	err = c.store.Record(ctx, audit.Event{Actor: access.Operator().Actor(), Action: health.BackedUp, Object: audit.Object{Kind: "database", ID: "database", Name: "database"}})
	return "Copied and verified: " + path + "\n", err
}

type restoreCommand struct {
	File     string `arg:"" type:"existingfile" help:"Backup to put back."`
	Identity string `type:"existingfile" help:"File with the age secret key, if the backup is encrypted."`
	directory
}

// Run puts a backup into the data directory.
func (c restoreCommand) Run(ctx context.Context, t terminal) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	revived, err := backup.Restore(ctx, backup.Return{
		From: c.File, Identity: c.Identity, Dir: c.DataDir, Keyring: keys,
		Keys: func() (audit.PublicKeys, error) { return witness.OwnPublic(c.witnessDir()) },
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, `Verified and restored: %s
Everybody has to sign in again, and one-time links are gone (%d sessions, %d links).
Everything else is as it was then: disable again whom you disabled since, and revoke again the tokens that you revoked since (good now: %d API tokens, %d directory clients).
Start with 'console serve'. Where checkpoints are ahead of the backup it asks for --accept-restore, which is recorded.
`, filepath.Join(c.DataDir, store.DatabaseFile), revived.Sessions, revived.Links, revived.Tokens, revived.Clients)
	return err
}

// keys reads the key file, which has to be put back before the database.
func (c restoreCommand) keys() (*secret.Keyring, error) {
	for _, path := range []string{c.keyPath(), filepath.Join(c.witnessDir(), witness.KeyFile)} {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("put the key files back first: %s is missing", path)
		}
	}
	return c.keyring(store.DatabaseFile)
}
