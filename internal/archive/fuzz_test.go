package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/internal/audit"
)

// A file that nobody signed is no archive, whatever is in it.
func FuzzOpen(f *testing.F) {
	private, err := audit.NewSigningKey("gatehouse")
	if err != nil {
		f.Fatal(err)
	}
	signing, err := audit.ParseSigningKey(private)
	if err != nil {
		f.Fatal(err)
	}
	keys, err := audit.ParsePublicKeys(signing.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("PK"))
	f.Add([]byte{})
	f.Add(zipped(f, names...))
	f.Add(zipped(f, "x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "history-2026-01.zip")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, keys); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("got %v", err)
		}
	})
}

func zipped(f *testing.F, names ...string) []byte {
	f.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte("month 2026-01\n\n— gatehouse AAAA\n"))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}
