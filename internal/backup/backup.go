// Package backup copies the database while it is in use, and puts copies back. No
// copy counts that was not opened and verified.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// An Order is a copy to be made.
type Order struct {
	Path       string                           // of the file to be made, or a directory to make it in
	Recipients []string                         // age public keys (age1…) that can read it; none: it is not encrypted
	Keys       func() (audit.PublicKeys, error) // that history was signed with
	Work       string                           // a directory for the copy while it is verified
	Now        time.Time
}

// Make copies the database, verifies the copy, and only then puts it at its place,
// whole and readable by its owner alone. It returns the file's name. A file that is
// there already is never replaced.
func Make(ctx context.Context, st *store.Store, o Order) (path string, err error) {
	to, err := recipients(o.Recipients)
	if err != nil {
		return "", err
	}
	path = o.Path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, fileName(o.Now, len(to) > 0))
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is there already, and stays as it is: name another file", path)
	}
	work, err := os.MkdirTemp(o.Work, "backup-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, store.DatabaseFile)
	if err := st.Backup(ctx, copied); err != nil {
		return "", err
	}
	if err := verify(ctx, copied, o.Keys); err != nil {
		return "", fmt.Errorf("the copy was thrown away: %w", err)
	}
	return path, place(path, func(w io.Writer) error { return write(w, copied, to) })
}

func fileName(at time.Time, encrypted bool) string {
	name := "console-" + at.UTC().Format("20060102T150405Z") + ".db"
	if encrypted {
		name += ".age"
	}
	return name
}

func recipients(keys []string) (all []age.Recipient, err error) {
	for _, k := range keys {
		r, err := age.ParseX25519Recipient(k)
		if err != nil {
			return nil, fmt.Errorf("%q is no age public key: it should look like age1… (age-keygen makes one)", k)
		}
		all = append(all, r)
	}
	return all, nil
}

// verify opens a copy and checks all of its history.
func verify(ctx context.Context, path string, keys func() (audit.PublicKeys, error)) error {
	st, err := store.OpenFile(path)
	if err != nil {
		return err
	}
	r := witness.Examine(ctx, st, witness.Evidence{Keys: keys})
	if err := st.Close(); err != nil {
		return err
	}
	if r.Result != witness.OK {
		return fmt.Errorf("its history is %s: %s", r.Result, r.Problem)
	}
	return nil
}

// place writes a file beside its place first; it appears there when it is whole and
// on disk.
func place(path string, fill func(io.Writer) error) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(part.Name()) }() // it may have its new name
	if err := errors.Join(fill(part), part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := settle(part.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// settle gives a file its name, unless another has it. Where there are no hard
// links the look before the rename has to do.
func settle(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Rename(from, to)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write writes a database, encrypted if it is to anybody.
func write(w io.Writer, path string, to []age.Recipient) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if len(to) == 0 {
		_, err = io.Copy(w, f)
		return err
	}
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return err
	}
	_, err = io.Copy(sealed, f)
	return errors.Join(err, sealed.Close())
}
