package secret_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gatehouse/internal/secret"
)

const canary = "canary-credential-0123456789"

func keyring(t *testing.T, f secret.KeyFile) *secret.Keyring {
	t.Helper()
	k, err := f.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// However a credential is printed, it isn't there.
func TestNothingPrintsIt(t *testing.T) {
	v := secret.New(canary)
	in := struct {
		V secret.Value
		P *secret.Value
		F secret.KeyFile
	}{v, &v, secret.NewKeyFile()}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v, "in", in, "err", fmt.Errorf("with %v", v))
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&printed, verb+verb+verb, v, &v, in)
	}
	all := log.String() + string(text) + printed.String()
	key := strings.TrimSpace(in.F.Text().Reveal())
	for _, secret := range []string{canary, fmt.Sprintf("%x", canary), key, strings.ToUpper(key)} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in %s", secret, all)
		}
	}
}

// A sealed record opens in its place and nowhere else, whole and unchanged, with
// its key alone.
func TestSealed(t *testing.T) {
	k := keyring(t, secret.NewKeyFile())
	sealed := k.Seal(secret.New(canary), "table", "row", "field")
	if strings.Contains(string(sealed), canary) {
		t.Error("it isn't encrypted")
	}
	if got, err := k.Open(sealed, "table", "row", "field"); err != nil || got.Reveal() != canary {
		t.Errorf("got %v", err)
	}
	refused := func(what string, k *secret.Keyring, sealed []byte, at ...string) {
		t.Helper()
		if v, err := k.Open(sealed, at[0], at[1], at[2]); !errors.Is(err, secret.ErrUnsealed) || !v.Empty() {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, at := range [][]string{{"tabler", "ow", "field"}, {"table", "row2", "field"}, {"table", "row", "other"}, {"", "", ""}} {
		refused(fmt.Sprint("moved to ", at), k, sealed, at...)
	}
	for i := range sealed {
		flipped := append([]byte{}, sealed...)
		flipped[i] ^= 1
		refused(fmt.Sprint("bit of byte ", i), k, flipped, "table", "row", "field")
		refused(fmt.Sprint("cut at ", i), k, sealed[:i], "table", "row", "field")
	}
	refused("longer", k, append(append([]byte{}, sealed...), 0), "table", "row", "field")
	refused("another key", keyring(t, secret.NewKeyFile()), sealed, "table", "row", "field")
	second := k.Seal(secret.New(canary), "table", "row", "field")
	refused("halves of two", k, append(append([]byte{}, sealed[:61]...), second[61:]...), "table", "row", "field")
	if string(second) == string(sealed) {
		t.Error("the same value is sealed alike twice")
	}
}

// Fingerprints tell values apart within a project and field, and nothing else.
func TestFingerprint(t *testing.T) {
	k := keyring(t, secret.NewKeyFile())
	one := k.Fingerprint(secret.New(canary), "prj_1", "client_secret")
	if len(one) != 9 || one != k.Fingerprint(secret.New(canary), "prj_1", "client_secret") {
		t.Errorf("%q isn't stable", one)
	}
	for _, other := range []string{
		k.Fingerprint(secret.New(canary+"x"), "prj_1", "client_secret"), k.Fingerprint(secret.New(canary), "prj_2", "client_secret"), k.Fingerprint(secret.New(canary), "prj_1", "api_key"),
		k.Fingerprint(secret.New(canary), "prj_1c", "lient_secret"), keyring(t, secret.NewKeyFile()).Fingerprint(secret.New(canary), "prj_1", "client_secret"),
	} {
		if other == one {
			t.Errorf("%q stands for something else too", one)
		}
	}
}

// After a rotation everything opens that opened before, fingerprints stay, what is
// sealed anew needs the new key alone, and the old key alone opens none of it.
func TestRotation(t *testing.T) {
	first := secret.NewKeyFile()
	old := keyring(t, first)
	before := old.Seal(secret.New(canary), "t", "r", "f")
	print, digest := old.Fingerprint(secret.New(canary), "p", "f"), old.Digest([]byte("form"))

	rotating := first.Rotated()
	if !rotating.Rotating() || rotating.Settled().Rotating() {
		t.Error("it doesn't say whether old keys are there")
	}
	running := keyring(t, first)
	running.Adopt(keyring(t, rotating))
	after := running.Seal(secret.New(canary), "t", "r", "f")
	for range 3 { // a file is read back as it was written, rotation after rotation
		parsed, err := secret.ParseKeyFile(rotating.Text().Reveal())
		if err != nil {
			t.Fatal(err)
		}
		settled := keyring(t, parsed.Settled())
		for name, k := range map[string]*secret.Keyring{"running": running, "started meanwhile": keyring(t, parsed)} {
			for _, sealed := range [][]byte{before, after} {
				if v, err := k.Open(sealed, "t", "r", "f"); err != nil || v.Reveal() != canary {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if _, err := settled.Open(before, "t", "r", "f"); err == nil {
			t.Error("the old key is still there")
		}
		if settled.Fingerprint(secret.New(canary), "p", "f") != print || string(settled.Digest([]byte("form"))) != string(digest) {
			t.Error("fingerprints changed")
		}
		rotating = parsed.Rotated()
	}
	if _, err := old.Open(after, "t", "r", "f"); err == nil {
		t.Error("the old key opens what was sealed with the new one")
	}
	if strings.Contains(first.Rotated().Settled().Text().Reveal(), strings.TrimSpace(first.Text().Reveal())) {
		t.Error("a settled file holds the old key")
	}
}

func TestKeyFileRefused(t *testing.T) {
	key := strings.TrimSpace(secret.NewKeyFile().Text().Reveal())
	for _, text := range []string{
		"", "\n", "short", key[1:], key + "00", "old " + key, key + "\nold " + key, key + "\n" + key, key + "\nfingerprints " + key,
		key + "\nfingerprints " + key + key + "\nfingerprints " + key + key, key + "\nolder " + key, strings.Replace(key, key[:1], "g", 1), key + "\n\x00",
	} {
		if _, err := secret.ParseKeyFile(text); err == nil || strings.Contains(err.Error(), key[:8]) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := secret.NewKeyring([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}

// Whatever is in a key file, reading it ends in keys or in an error that quotes
// nothing.
func FuzzKeyFile(f *testing.F) {
	one := secret.NewKeyFile()
	f.Add(one.Text().Reveal())
	f.Add(one.Rotated().Text().Reveal())
	f.Add(one.Rotated().Settled().Text().Reveal())
	f.Add("old \nfingerprints ")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := secret.ParseKeyFile(text)
		if err != nil {
			return
		}
		again, err := secret.ParseKeyFile(file.Text().Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if again.Text().Reveal() != file.Text().Reveal() {
			t.Error("it isn't read as it was written")
		}
		keyring(t, file)
	})
}
