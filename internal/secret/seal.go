package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// KeySize is the length in bytes of the key in the key file.
const KeySize = 32

// ErrUnsealed is returned by [Keyring.Open] for a record that was sealed with
// another key, for another place, or that was altered.
var ErrUnsealed = errors.New("sealed record can't be opened with this key")

// A Keyring seals records and makes fingerprints. Every record has a data key
// of its own (AES-256-GCM), wrapped by a key derived from one in the key file; the
// associated data names the table, row and field, so that a sealed value can't
// be moved. It is safe for concurrent use.
type Keyring struct {
	wraps       atomic.Pointer[[]wrap] // the first one seals, all open
	fingerprint []byte
	digest      []byte

	mu   sync.Mutex
	held *sync.WaitGroup // by whoever may be about to keep what they sealed
}

// A wrap encrypts data keys.
type wrap = cipher.AEAD

// NewKeyring returns the keyring of one key, of exactly [KeySize] bytes.
func NewKeyring(key []byte) (*Keyring, error) { return KeyFile{key: key}.Keyring() }

// Adopt seals with another keyring's key from now on. What was sealed before can
// still be opened as long as the program runs. The channel is closed once all who
// held the keyring have released it: then whatever was sealed before is kept.
func (k *Keyring) Adopt(other *Keyring) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	wraps := append(slices.Clone(*other.wraps.Load()), *k.wraps.Load()...)
	k.wraps.Store(&wraps)
	before := k.held
	k.held = &sync.WaitGroup{}
	done := make(chan struct{})
	go func() {
		before.Wait()
		close(done)
	}()
	return done
}

// Hold is to be called before something is sealed, and what it returns after that
// was kept.
func (k *Keyring) Hold() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held.Add(1)
	return k.held.Done
}

func derive(key []byte, purpose string) []byte {
	k, err := hkdf.Key(sha256.New, key, nil, "gatehouse "+purpose+" v1", KeySize)
	if err != nil {
		panic(err) // only for lengths that are out of range
	}
	return k
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

const sealVersion = 1

// Seal encrypts v for one place, named by table, row and field.
// The result is version ‖ wrapped data key ‖ ciphertext.
func (k *Keyring) Seal(v Value, table, row, field string) []byte {
	dataKey := make([]byte, KeySize)
	_, _ = rand.Read(dataKey) // never fails (crypto/rand)
	data, err := newGCM(dataKey)
	if err != nil {
		panic(err) // only for a key of the wrong length
	}
	ad := place(table, row, field)
	out := (*k.wraps.Load())[0].Seal([]byte{sealVersion}, nil, dataKey, ad) //nolint:gosec // the nonce is random and made by the cipher
	return data.Seal(out, nil, []byte(v.v), ad)                             //nolint:gosec // as above
}

// Open decrypts what [Keyring.Seal] made for the same place, or returns
// [ErrUnsealed].
func (k *Keyring) Open(sealed []byte, table, row, field string) (Value, error) {
	wraps := *k.wraps.Load()
	wrapped := 1 + KeySize + wraps[0].Overhead()
	if len(sealed) < wrapped || sealed[0] != sealVersion {
		return Value{}, ErrUnsealed
	}
	ad := place(table, row, field)
	dataKey, err := unwrap(wraps, sealed[1:wrapped], ad)
	if err != nil {
		return Value{}, ErrUnsealed
	}
	data, err := newGCM(dataKey)
	if err != nil {
		return Value{}, ErrUnsealed
	}
	plain, err := data.Open(nil, nil, sealed[wrapped:], ad)
	if err != nil {
		return Value{}, ErrUnsealed
	}
	return Value{string(plain)}, nil
}

// unwrap returns a data key that one of the keys wrapped.
func unwrap(wraps []wrap, wrapped, ad []byte) (dataKey []byte, err error) {
	for _, w := range wraps {
		if dataKey, err = w.Open(nil, nil, wrapped, ad); err == nil {
			return dataKey, nil
		}
	}
	return nil, err
}

func place(table, row, field string) []byte {
	return fmt.Appendf(nil, "%d:%s|%d:%s|%d:%s", len(table), table, len(row), row, len(field), field)
}

// crockford is base 32 without I, L, O and U.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Fingerprint names a credential without revealing it: the first 40 bits of a
// keyed hash, written like 7K2M-9QXT. The same value has the same fingerprint
// within one project and field name, and no other relation to it.
func (k *Keyring) Fingerprint(v Value, project, field string) string {
	s := crockford.EncodeToString(k.mac(k.fingerprint, project, field, v.v)[:5])
	return s[:4] + "-" + s[4:]
}

// Digest is a keyed hash of a message that may hold credentials, for comparing
// repeated form posts.
func (k *Keyring) Digest(message []byte) []byte {
	m := hmac.New(sha256.New, k.digest)
	m.Write(message)
	return m.Sum(nil)
}

func (k *Keyring) mac(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(fmt.Appendf(nil, "%d:%s|", len(p), p))
	}
	return m.Sum(nil)
}

// Code returns n random characters of Crockford's base 32, such as the marker
// in the name of a config that is being created.
func Code(n int) string {
	b := make([]byte, (n*5+7)/8)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return crockford.EncodeToString(b)[:n]
}
