package access

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"

	"gatehouse/internal/secret"
)

const (
	minPassphrase = 15   // characters (ASVS 6.2.1 without a second factor)
	maxPassphrase = 1024 // characters; nothing is cut off
)

// argon2Params follow OWASP's password storage cheat sheet: 19 MiB, two passes.
var argon2Params = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// A hasher hashes passphrases, two at a time: each takes 19 MiB and a core.
type hasher struct {
	slots chan struct{}
	dummy string // a hash that no passphrase matches
}

func newHasher() *hasher {
	noise := func(n uint32) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails (crypto/rand)
		return base64.RawStdEncoding.EncodeToString(b)
	}
	p := argon2Params
	return &hasher{
		slots: make(chan struct{}, 2),
		dummy: fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Iterations, p.Parallelism, noise(p.SaltLength), noise(p.KeyLength)),
	}
}

// use runs fn in one of the slots.
func (h *hasher) use(ctx context.Context, fn func() error) error {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		return fn()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hash returns the PHC string of a passphrase.
func (h *hasher) hash(ctx context.Context, passphrase secret.Value) (phc string, err error) {
	err = h.use(ctx, func() error {
		phc, err = argon2id.CreateHash(passphrase.Reveal(), argon2Params)
		return err
	})
	return phc, err
}

// matches compares in the same time whether or not there is a hash. With
// outdated, the hash has other parameters than today's and wants renewal.
func (h *hasher) matches(ctx context.Context, passphrase secret.Value, phc string) (match, outdated bool, err error) {
	known := phc != ""
	if !known {
		phc = h.dummy
	}
	err = h.use(ctx, func() error {
		var params *argon2id.Params
		match, params, err = argon2id.CheckHash(passphrase.Reveal(), phc)
		outdated = err == nil && *params != *argon2Params
		return err
	})
	return match && known, outdated, err
}

// checkPassphrase returns a complaint about a new passphrase, or "". The words
// are what a guesser would try first: the person's name and address.
func checkPassphrase(p secret.Value, words ...string) string {
	v := p.Reveal()
	n := utf8.RuneCountInString(v)
	switch {
	case !utf8.ValidString(v):
		return "Use characters that your keyboard can type."
	case n < minPassphrase:
		return "Use at least 15 characters. Four or five random words do well."
	case n > maxPassphrase:
		return "Use at most 1,024 characters."
	}
	words = append(words, "gatehouse", "composio", "console")
	for _, w := range words {
		words = append(words, strings.FieldsFunc(w, func(r rune) bool { return r == '@' || r == '.' || r == ' ' })...)
	}
	if tooEasy(v, words) {
		return "This is too easy to guess: it is common, repeats itself or follows the keyboard. Use four or five random words."
	}
	return ""
}
