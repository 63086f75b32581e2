package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
)

func (d directory) keyPath() string {
	if d.KeyFile != "" {
		return d.KeyFile
	}
	return filepath.Join(d.DataDir, "console.key")
}

// keyring reads the key file. Where it is missing it is made, unless there is a
// database already, which can't be used without its key.
func (d directory) keyring(databaseFile string) (*secret.Keyring, error) {
	f, err := d.keyFile()
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(d.DataDir, databaseFile)); err == nil {
			return nil, fmt.Errorf("the key file %s is missing, but there is a database: put the key back, or name it with CONSOLE_KEY_FILE", d.keyPath())
		}
		f = secret.NewKeyFile()
		err = newKeyFile(d.keyPath(), f)
	}
	if err != nil {
		return nil, err
	}
	return f.Keyring()
}

// keyFile reads the key file, which only its owner may read.
func (d directory) keyFile() (f secret.KeyFile, err error) {
	path := d.keyPath()
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return f, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f, fmt.Errorf("the key file %s may be read by others (mode %04o): chmod go-rwx it first", path, info.Mode().Perm())
	}
	if f, err = secret.ParseKeyFile(string(text)); err != nil {
		err = fmt.Errorf("the key file %s: %w", path, err)
	}
	return f, err
}

func newKeyFile(path string, f secret.KeyFile) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.WriteString(f.Text().Reveal())
	return errors.Join(err, out.Sync(), out.Close())
}

// replaceKeyFile puts another key file in the place of one, whole or not at all.
func replaceKeyFile(path string, f secret.KeyFile) error {
	part := path + ".new"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := newKeyFile(part, f); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

type keysCommand struct {
	Rotate keysRotateCommand `cmd:"" help:"Make a new key, seal everything with it, and take the old one out of the key file. Keep a copy of the new file; backups from before need the old one."`
	Reseal keysResealCommand `cmd:"" help:"Seal everything with the first key of the key file, where that file is looked after elsewhere."`
}

type keysRotateCommand struct {
	directory
	public
}

// Run makes a new key, also while a console runs.
func (c keysRotateCommand) Run(ctx context.Context, t terminal) error {
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "keys rotate"})
}

type keysResealCommand struct {
	directory
	public
}

// Run seals everything anew, also while a console runs.
func (c keysResealCommand) Run(ctx context.Context, t terminal) error {
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "keys reseal"})
}

// rotateKeys makes a new key and seals everything with it. At every moment the key
// file opens all there is: the new key is in it before it seals anything, and the
// old ones leave it when they seal nothing any more. After a break-off it is done
// again from the start.
func (c *services) rotateKeys(ctx context.Context) (string, error) {
	c.rotation.Lock()
	defer c.rotation.Unlock()
	f, err := c.dir.keyFile()
	if err != nil {
		return "", err
	}
	if err := c.verifyKey(ctx, f); err != nil {
		return "", err
	}
	f = f.Rotated()
	if err := replaceKeyFile(c.dir.keyPath(), f); err != nil {
		return "", fmt.Errorf("the key file can't be written, and nothing was changed; where it is looked after elsewhere see docs/operating.md: %w", err)
	}
	n, err := c.sealWith(ctx, f)
	if err != nil {
		return "", err
	}
	if err := replaceKeyFile(c.dir.keyPath(), f.Settled()); err != nil {
		return "", fmt.Errorf("everything is sealed with the new key, but the old one is still in the key file; run it again: %w", err)
	}
	return fmt.Sprintf("%s sealed with a new key. Keep a copy of %s elsewhere; backups from before need the old file.\n", records(n), c.dir.keyPath()), nil
}

// reseal seals everything with the first key of the key file.
func (c *services) reseal(ctx context.Context) (string, error) {
	c.rotation.Lock()
	defer c.rotation.Unlock()
	f, err := c.dir.keyFile()
	if err != nil {
		return "", err
	}
	n, err := c.sealWith(ctx, f)
	if err != nil {
		return "", err
	}
	return records(n) + " sealed with the first key of " + c.dir.keyPath() + ". The old ones can leave that file now; backups from before need them.\n", nil
}

// verifyKey looks whether the database belongs to a key file.
func (c *services) verifyKey(ctx context.Context, f secret.KeyFile) error {
	ring, err := f.Keyring()
	if err == nil {
		err = c.store.VerifyKey(ctx, ring)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", c.dir.keyPath(), err)
	}
	return err
}

// sealWith seals everything with the first key of a file, and returns once that key
// alone opens everything.
func (c *services) sealWith(ctx context.Context, f secret.KeyFile) (n int, err error) {
	if err := c.verifyKey(ctx, f); err != nil {
		return 0, err
	}
	ring, err := f.Keyring()
	if err != nil {
		return 0, err
	}
	alone, err := f.Settled().Keyring()
	if err != nil {
		return 0, err
	}
	select {
	case <-c.keys.Adopt(ring):
	case <-ctx.Done():
		return 0, fmt.Errorf("requests are under way still, so the old key stays; run it again: %w", ctx.Err())
	}
	event := func(n int) audit.Event {
		return audit.Event{Actor: access.Operator().Actor(), Action: "keys.rotated", Object: audit.Object{Kind: "key", ID: "key", Name: "key file"}, Detail: map[string]string{"records": strconv.Itoa(n)}}
	}
	if n, err = c.store.Reseal(ctx, c.keys, event); err != nil {
		return 0, err
	}
	return n, c.store.CheckSealed(ctx, alone)
}

func records(n int) string {
	if n == 1 {
		return "1 record is"
	}
	return strconv.Itoa(n) + " records are"
}
