package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	stepLength = 30 * time.Second
	stepDrift  = 1 // steps that a phone's clock may be off, either way
)

// The outcomes of a code that isn't taken.
const (
	codeWrong = "wrong"
	codeUsed  = "used" // it is right, and not newer than one that counted before

	codeMisplaced = "misplaced" // it has the form of a recovery code
)

func codeStep(now time.Time) int64 { return now.Unix() / int64(stepLength/time.Second) }

// codeAt is the code that an app shows in a step.
func codeAt(key string, step int64) string {
	code, err := hotp.GenerateCodeCustom(key, uint64(max(step, 0)), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "" // of a key that isn't base 32; no code equals it
	}
	return code
}

// matchCode finds the step of a code, near to now and after the last one that
// counted. Otherwise it says what is wrong. After a clock was set back all codes
// are used ones until it is where it was.
func matchCode(key, code string, now time.Time, last int64) (step int64, wrong string) {
	code = strings.Join(strings.Fields(code), "")
	if wrong = codeWrong; likeRecovery(code) {
		return 0, codeMisplaced
	}
	for at := codeStep(now) - stepDrift; at <= codeStep(now)+stepDrift; at++ {
		if len(code) != 6 || subtle.ConstantTimeCompare([]byte(code), []byte(codeAt(key, at))) != 1 {
			continue
		}
		if at > last {
			return at, ""
		}
		wrong = codeUsed
	}
	return 0, wrong
}

// newAppSecret returns a new secret, as people may type it into an app.
func newAppSecret() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}

// appURI is the address by which apps take a secret in.
func appURI(account, key string) (string, error) {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key)
	if err != nil {
		return "", err
	}
	k, err := totp.Generate(totp.GenerateOpts{Issuer: "Gatehouse", AccountName: account, Secret: raw})
	if err != nil {
		return "", err
	}
	return k.URL(), nil
}
