package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// A KeyFile is what the key file holds, a line each: the key that records are
// sealed with, keys before it that records may still be sealed with, and the keys
// that fingerprints are made with once those are not the first one's any more.
type KeyFile struct {
	key     []byte
	old     [][]byte
	derived []byte // of fingerprints and digests; empty: they are derived from key
}

// The words that lines begin with but for the first.
const (
	oldWord     = "old"
	derivedWord = "fingerprints"
)

// NewKeyFile makes a key.
func NewKeyFile() KeyFile {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return KeyFile{key: key}
}

// ParseKeyFile reads what [KeyFile.Text] wrote. Errors quote nothing of it.
func ParseKeyFile(text string) (f KeyFile, err error) {
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		word, value, two := strings.Cut(strings.TrimSpace(line), " ")
		if !two {
			word, value = "", word
		}
		key, err := hex.DecodeString(value)
		if err != nil {
			return f, fmt.Errorf("line %d is no key of %d hexadecimal digits", n+1, 2*KeySize)
		}
		switch {
		case n == 0 && word == "" && len(key) == KeySize:
			f.key = key
		case n > 0 && word == oldWord && len(key) == KeySize:
			f.old = append(f.old, key)
		case n > 0 && word == derivedWord && len(key) == 2*KeySize && f.derived == nil:
			f.derived = key
		default:
			return f, fmt.Errorf("line %d is not what belongs there: first comes a key of %d hexadecimal digits, then lines that begin with %s or %s", n+1, 2*KeySize, oldWord, derivedWord)
		}
	}
	if len(f.old) > 0 && f.derived == nil {
		return f, errors.New("a line that begins with " + derivedWord + " is missing: without it fingerprints in history couldn't be compared any more")
	}
	return f, nil
}

// Text is the file.
func (f KeyFile) Text() Value {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%x\n", f.key)
	for _, k := range f.old {
		fmt.Fprintf(&b, "%s %x\n", oldWord, k)
	}
	if f.derived != nil {
		fmt.Fprintf(&b, "%s %x\n", derivedWord, f.derived)
	}
	return New(b.String())
}

// Format implements [fmt.Formatter], so that no verb reveals a key.
func (KeyFile) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(shown)) }

// Rotated returns a file with a new key, in which what the others sealed can still
// be opened.
func (f KeyFile) Rotated() KeyFile {
	g := NewKeyFile()
	g.old = append([][]byte{f.key}, f.old...)
	g.derived = f.derived
	if g.derived == nil {
		g.derived = append(derive(f.key, "fingerprint"), derive(f.key, "digest")...)
	}
	return g
}

// Settled returns the file without its old keys, once nothing is sealed with them.
func (f KeyFile) Settled() KeyFile {
	f.old = nil
	return f
}

// Rotating reports whether there are old keys.
func (f KeyFile) Rotating() bool { return len(f.old) > 0 }

// Keyring returns the keyring of these keys.
func (f KeyFile) Keyring() (*Keyring, error) {
	k := &Keyring{held: &sync.WaitGroup{}}
	var wraps []wrap
	for _, key := range append([][]byte{f.key}, f.old...) {
		if len(key) != KeySize {
			return nil, fmt.Errorf("key has %d bytes, want %d", len(key), KeySize)
		}
		w, err := newGCM(derive(key, "wrap"))
		if err != nil {
			return nil, err
		}
		wraps = append(wraps, w)
	}
	k.wraps.Store(&wraps)
	if f.derived != nil {
		k.fingerprint, k.digest = f.derived[:KeySize], f.derived[KeySize:]
	} else {
		k.fingerprint, k.digest = derive(f.key, "fingerprint"), derive(f.key, "digest")
	}
	return k, nil
}
