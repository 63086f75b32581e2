package backup_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/backup"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

var at = time.Date(2026, 11, 24, 3, 45, 0, 0, time.UTC)

// A vault is a console whose database is copied, and a place for copies.
type vault struct {
	*rig.Rig
	place   string
	revived store.Revived // by the last restore
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{Rig: rig.New(t, sandbox.Options{Configs: 7}), place: t.TempDir()}
	must(t, v.Store.CheckKey(t.Context(), v.Keys))
	v.Person("Ada", access.Admin)
	if err := v.Witness.Checkpoint(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *vault) keys() (audit.PublicKeys, error) { return witness.OwnPublic(v.Dir) }

func (v *vault) make(path string, recipients ...string) (string, error) {
	return backup.Make(v.T.Context(), v.Store, backup.Order{Path: path, Recipients: recipients, Keys: v.keys, Work: v.Dir, Now: at})
}

// restore puts a copy into a new directory and returns that.
func (v *vault) restore(from, identity string, keys *secret.Keyring) (string, error) {
	dir := filepath.Join(v.T.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		v.T.Fatal(err)
	}
	var err error
	v.revived, err = backup.Restore(v.T.Context(), backup.Return{From: from, Identity: identity, Dir: dir, Keyring: keys, Keys: v.keys})
	return dir, err
}

// empty checks that nothing was left behind in a directory.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%s holds %v, %v", dir, left, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants checks that an error says something, and that nothing lies in a directory.
func wants(t *testing.T, err error, words, dir string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %q", err, words)
	}
	empty(t, dir)
}

// identity makes an age key, and a file with its secret half.
func identity(t *testing.T) (recipient, file string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	file = filepath.Join(t.TempDir(), "key.txt")
	must(t, os.WriteFile(file, []byte("# a comment\n"+id.String()+"\n"), 0o600))
	return id.Recipient().String(), file
}

// What is restored is what was copied, while people went on working.
func TestDrill(t *testing.T) {
	v := newVault(t)
	recipient, file := identity(t)
	for name, c := range map[string]struct {
		recipients []string
		identity   string
		want       string
	}{
		"plain":     {nil, "", "console-20261124T034500Z.db"},
		"encrypted": {[]string{recipient}, file, "console-20261124T034500Z.db.age"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := v.Store.HistoryHead(t.Context())
			must(t, err)
			path, err := v.make(v.place, c.recipients...)
			must(t, err)
			if filepath.Base(path) != c.want {
				t.Errorf("made %s, want %s", path, c.want)
			}
			info, err := os.Stat(path)
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode %o", info.Mode().Perm())
			}
			text, err := os.ReadFile(path)
			must(t, err)
			if encrypted := !bytes.Contains(text, []byte("ada@example.com")); encrypted != (c.identity != "") {
				t.Errorf("encrypted is %v", encrypted)
			}
			v.Person(strings.ToUpper(name[:1])+name[1:], access.Viewer) // after the copy
			dir, err := v.restore(path, c.identity, v.Keys)
			must(t, err)
			st, err := store.Open(dir, store.Options{})
			must(t, err)
			head, err := st.HistoryHead(t.Context())
			must(t, errors.Join(err, st.Close()))
			if head != before {
				t.Errorf("restored to %+v, want %+v", head, before)
			}
		})
	}
}

// A copy never replaces anything, and one that can't be made leaves nothing.
func TestMakeRefuses(t *testing.T) {
	v := newVault(t)
	there := filepath.Join(t.TempDir(), "there.db")
	must(t, os.WriteFile(there, []byte("precious"), 0o600))
	_, err := v.make(there)
	wants(t, err, "is there already", v.place)
	if text, err := os.ReadFile(there); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
	_, err = v.make(v.place, "age1nonsense")
	wants(t, err, "no age public key", v.place)
	_, err = v.make(filepath.Join(v.place, "no", "such", "directory.db"))
	wants(t, err, "no such", v.place)
	left, err := filepath.Glob(filepath.Join(v.Dir, "backup-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// A database whose history was rewritten isn't copied as if it were good.
func TestTamperedIsNotCopied(t *testing.T) {
	v := newVault(t)
	db, err := sql.Open("sqlite3", filepath.Join(v.Dir, store.DatabaseFile))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "DROP TRIGGER history_no_update; UPDATE history SET body = replace(body, 'user.added', 'user.invent') WHERE body LIKE '%user.added%'")
	must(t, errors.Join(err, db.Close()))
	_, err = v.make(v.place)
	wants(t, err, "thrown away: its history is tampered", v.place)
}

// What isn't whole, isn't ours or isn't readable is refused, and leaves nothing.
func TestRestoreRefuses(t *testing.T) {
	v := newVault(t)
	recipient, file := identity(t)
	_, other := identity(t)
	plain, err := v.make(v.place)
	must(t, err)
	sealed, err := v.make(v.place, recipient)
	must(t, err)
	wrong, err := secret.NewKeyring([]byte(strings.Repeat("w", secret.KeySize)))
	must(t, err)
	for name, c := range map[string]struct {
		from, identity string
		keys           *secret.Keyring
		words          string
	}{
		"without the secret key":     {sealed, "", v.Keys, "--identity"},
		"with another":               {sealed, other, v.Keys, "can't be decrypted"},
		"with a file that is no key": {sealed, plain, v.Keys, "no age secret key"},
		"another console's key":      {plain, "", wrong, store.ErrWrongKey.Error()},
		"cut off":                    {cut(t, plain, 2), "", v.Keys, "nothing was restored"},
		"cut off, encrypted":         {cut(t, sealed, 2), file, v.Keys, ""},
		"empty":                      {cut(t, plain, 1<<30), "", v.Keys, "nothing was restored"},
		"changed":                    {flipped(t, sealed), file, v.Keys, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := v.restore(c.from, c.identity, c.keys)
			wants(t, err, c.words, dir)
		})
	}
	_, err = backup.Restore(context.WithoutCancel(t.Context()), backup.Return{From: plain, Dir: v.Dir, Keyring: v.Keys, Keys: v.keys})
	if err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v", err)
	}
}

// cut is a copy of which only the first part is there.
func cut(t *testing.T, path string, part int) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return keep(t, text[:len(text)/part])
}

// flipped is a copy with one bit changed.
func flipped(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	text[len(text)/2] ^= 1
	return keep(t, text)
}

func keep(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy")
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

// What was derived from another database isn't taken for this one's.
func TestRestoreDropsWhatWasDerived(t *testing.T) {
	v := newVault(t)
	plain, err := v.make(v.place)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(dir, 0o700))
	for _, name := range append(store.DerivedFiles(), "console.key") {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o600))
	}
	_, err = backup.Restore(t.Context(), backup.Return{From: plain, Dir: dir, Keyring: v.Keys, Keys: v.keys})
	must(t, err)
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 2 || left[0].Name() != store.DatabaseFile || left[1].Name() != "console.key" {
		t.Errorf("left %v", left)
	}
}

// Sessions and links don't come back with a backup, and what does is counted.
func TestRestoreEndsSessions(t *testing.T) {
	v := newVault(t)
	eve := v.Person("Eve", access.Admin)
	session, _, err := v.Access.SignIn(t.Context(), "eve@example.com", secret.New(rig.Passphrase), access.Origin{IP: "192.0.2.1"})
	must(t, err)
	link, err := v.Access.ResetPassphrase(t.Context(), access.Operator(), eve.ID)
	must(t, err)
	_, _, err = v.Access.MakeToken(t.Context(), eve, access.TokenWish{Name: "T", Rights: []access.TokenRight{access.TokenReads}, Days: 365})
	must(t, err)
	head, err := v.Store.HistoryHead(t.Context())
	must(t, err)
	path, err := v.make(v.place)
	must(t, err)
	dir, err := v.restore(path, "", v.Keys)
	must(t, err)
	if want := (store.Revived{Sessions: 1, Links: 1, Tokens: 1}); v.revived != want {
		t.Errorf("%+v, want %+v", v.revived, want)
	}
	st, err := store.Open(dir, store.Options{})
	must(t, err)
	defer func() { must(t, st.Close()) }()
	if _, _, err := st.Session(t.Context(), access.HashToken(session)); !problem.Is(err, problem.NotFound) {
		t.Errorf("the session: %v", err)
	}
	people := access.NewService(st, v.Keys, rig.Now)
	if _, err := people.LinkUser(t.Context(), link); err == nil {
		t.Error("the link works")
	}
	if now, err := st.HistoryHead(t.Context()); err != nil || now != head {
		t.Errorf("history goes to %+v, %v; want %+v", now, err, head)
	}
}
