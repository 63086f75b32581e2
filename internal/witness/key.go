package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
)

// Names of the files that hold the signing key, and what others verify with.
const (
	KeyFile    = "witness.key"
	PublicFile = "witness.pub"
)

// Keys are the key that signs and those whose signatures count.
type Keys struct {
	Signing *audit.SigningKey
	Public  audit.PublicKeys
}

// LoadKeys reads the keys in a directory, which must not be the database's alone:
// who has the database must not have the key with it. The signing key is made if
// there is none and it may be.
func LoadKeys(dir string, make bool) (Keys, error) {
	path := filepath.Join(dir, KeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !make {
			return Keys{}, fmt.Errorf("the signing key %s is missing, but there are checkpoints that it signed: put it back", path)
		}
		text, err = newKey(dir, path)
	}
	if err != nil {
		return Keys{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Keys{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Keys{}, fmt.Errorf("the signing key %s may be read by others (mode %04o): chmod go-rwx it first", path, info.Mode().Perm())
	}
	k := Keys{}
	if k.Signing, err = audit.ParseSigningKey(string(text)); err != nil {
		return Keys{}, fmt.Errorf("%s: %w", path, err)
	}
	if k.Public, err = audit.ParsePublicKeys(k.Signing.Public()); err != nil {
		return Keys{}, err
	}
	return k, comparePublic(filepath.Join(dir, PublicFile), k.Signing.Public())
}

// comparePublic looks whether a file holds the public half of the signing key and
// nothing else, and writes it if it isn't there. It lies beside the database, so
// nothing is taken from it.
func comparePublic(path, public string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		//nolint:gosec // the operator says where keys lie
		return os.WriteFile(path, []byte(public+"\n"), 0o600)
	}
	if err == nil && strings.TrimSpace(string(text)) != public {
		err = fmt.Errorf("%s is not the public half of %s alone: somebody changed it. Keep a copy of it, find out who could write there, and remove it; it is written anew on start. A key from before belongs into a file for history verify --key", path, KeyFile)
	}
	return err
}

// OwnPublic returns the public key that a console in a directory signs with: the
// public half of its signing key, or where that isn't readable what lies beside.
func OwnPublic(dir string) (audit.PublicKeys, error) {
	text, err := os.ReadFile(filepath.Join(dir, KeyFile))
	if err != nil {
		return LoadPublic(filepath.Join(dir, PublicFile))
	}
	k, err := audit.ParseSigningKey(string(text))
	if err != nil {
		return audit.PublicKeys{}, err
	}
	return audit.ParsePublicKeys(k.Public())
}

// LoadPublic reads the public keys in a file.
func LoadPublic(path string) (audit.PublicKeys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return audit.PublicKeys{}, err
	}
	return audit.ParsePublicKeys(string(text))
}

func newKey(dir, path string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	text, err := audit.NewSigningKey("gatehouse-" + strings.ToLower(secret.Code(8)))
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(text)
	return []byte(text), errors.Join(err, f.Sync(), f.Close())
}
