package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// A Return is a copy to be put back.
type Return struct {
	From     string                           // the file that [Make] made
	Identity string                           // a file with the age secret key, if it is encrypted
	Dir      string                           // the data directory; it must hold no database
	Keyring  *secret.Keyring                  // that the database must belong to
	Keys     func() (audit.PublicKeys, error) // that history was signed with
}

// header is how a file begins that age encrypted.
const header = "age-encryption.org/"

// Restore puts a copy into a data directory, once it was verified and belongs to
// the key. It replaces nothing.
func Restore(ctx context.Context, r Return) (err error) {
	path := filepath.Join(r.Dir, store.DatabaseFile)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: move it away first, with %s-wal and %s-shm", path, store.DatabaseFile, store.DatabaseFile)
	}
	work, err := os.MkdirTemp(r.Dir, "restore-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, store.DatabaseFile)
	if err := place(copied, func(w io.Writer) error { return read(w, r.From, r.Identity) }); err != nil {
		return err
	}
	if err := verify(ctx, copied, r.Keys); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	if err := belongs(ctx, work, r.Keyring); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	if err := dropDerived(r.Dir); err != nil {
		return err
	}
	if err := settle(copied, path); err != nil {
		return err
	}
	return syncDir(r.Dir)
}

// read writes what a copy holds.
func read(w io.Writer, path, identity string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := bufio.NewReader(f)
	begin, _ := in.Peek(len(header)) // a file that is shorter is no database either
	if string(begin) != header {
		_, err = io.Copy(w, in)
		return err
	}
	if identity == "" {
		return fmt.Errorf("%s is encrypted: name the file with the secret key with --identity", path)
	}
	ids, err := identities(identity)
	if err != nil {
		return err
	}
	plain, err := age.Decrypt(in, ids...)
	if err != nil {
		return fmt.Errorf("%s can't be decrypted with %s: %w", path, identity, err)
	}
	_, err = io.Copy(w, plain)
	return err
}

func identities(path string) (ids []age.Identity, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if ids, err = age.ParseIdentities(f); err != nil {
		return nil, fmt.Errorf("%s holds no age secret key: %w", path, err)
	}
	return ids, nil
}

// belongs looks whether a database was made with the key.
func belongs(ctx context.Context, dir string, keys *secret.Keyring) error {
	st, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(st.VerifyKey(ctx, keys), st.Close())
}

// dropDerived removes what was derived from another database, or left of it.
func dropDerived(dir string) error {
	for _, name := range store.DerivedFiles() {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
