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
// the key. It replaces nothing. Sessions and one-time links of the copy are ended.
func Restore(ctx context.Context, r Return) (revived store.Revived, err error) {
	path := filepath.Join(r.Dir, store.DatabaseFile)
	if _, err := os.Lstat(path); err == nil {
		return revived, fmt.Errorf("%s is there already: move it away first, with %s-wal and %s-shm", path, store.DatabaseFile, store.DatabaseFile)
	}
	work, err := os.MkdirTemp(r.Dir, "restore-")
	if err != nil {
		return revived, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, store.DatabaseFile)
	err = place(copied, func(w io.Writer) error { return read(w, r.From, r.Identity) })
	if err == nil {
		err = verify(ctx, copied, r.Keys)
	}
	if err == nil {
		revived, err = r.awaken(ctx, work)
	}
	if err == nil {
		err = dropDerived(r.Dir)
	}
	if err == nil {
		err = settle(copied, path)
	}
	if err != nil {
		return revived, fmt.Errorf("nothing was restored: %w", err)
	}
	return revived, syncDir(r.Dir)
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

// awaken looks whether the database in a directory was made with the key, brings its
// schema up to date, and ends the sessions and links that came back with it.
func (r Return) awaken(ctx context.Context, dir string) (revived store.Revived, err error) {
	st, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		return revived, err
	}
	if err := errors.Join(st.VerifyKey(ctx, r.Keyring), st.Close()); err != nil {
		return revived, err
	}
	if st, err = store.Open(dir, store.Options{}); err != nil {
		return revived, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return st.EndRestored(ctx)
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
