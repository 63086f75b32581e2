package access

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	zxcvbn "github.com/ccojocar/zxcvbn-go"

	"gatehouse/internal/secret"
)

const (
	minPassphrase = 15   // characters (ASVS 6.2.1 without a second factor)
	maxPassphrase = 1024 // characters; nothing is cut off
	minScore      = 3    // of zxcvbn's 0 to 4: "safely unguessable"
)

// argon2Params follow OWASP's password storage cheat sheet: 19 MiB, two passes.
var argon2Params = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// A hasher hashes passphrases, two at a time: each takes 19 MiB and a core.
type hasher struct {
	slots chan struct{}
	dummy string // a hash that no passphrase matches
}

func newHasher() (*hasher, error) {
	h := &hasher{slots: make(chan struct{}, 2)}
	var err error
	h.dummy, err = argon2id.CreateHash(secret.Code(32), argon2Params)
	return h, err
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
	if len(v) > 100 {
		v = strings.ToValidUTF8(v[:100], "") // the check takes cubic time
	}
	if zxcvbn.PasswordStrength(v, words).Score < minScore {
		return "This is too easy to guess: it is common, repeats itself or follows the keyboard. Use four or five random words."
	}
	return ""
}
