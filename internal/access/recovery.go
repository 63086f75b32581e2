package access

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/secret"
)

const (
	recoveryCodes  = 10
	recoveryLength = 16 // characters of base 32: 80 bits, which need no slow hash
)

// FewCodes is how many recovery codes are left when it is time for new ones.
const FewCodes = 3

// newCodes makes recovery codes, as they are shown once and as they are kept.
func newCodes() (shown []string, kept []RecoveryCode) {
	for range recoveryCodes {
		code := secret.Code(recoveryLength)
		shown = append(shown, strings.Join([]string{code[:4], code[4:8], code[8:12], code[12:]}, "-"))
		kept = append(kept, RecoveryCode{Hash: HashToken(code)})
	}
	return shown, kept
}

// cleanCode reads a recovery code as people write it: letters of any size, with
// or without dashes, and those that look alike for one another.
var cleanCode = strings.NewReplacer("-", "", " ", "", "\t", "", "O", "0", "I", "1", "L", "1")

// likeRecovery reports whether a text has the form of a recovery code.
func likeRecovery(text string) bool {
	return len(cleanCode.Replace(strings.ToUpper(text))) == recoveryLength
}

// useCode marks a recovery code as used, or says what is wrong with it.
func (f *Factors) useCode(text string, now time.Time) (wrong string) {
	hash := HashToken(cleanCode.Replace(strings.ToUpper(strings.TrimSpace(text))))
	i := slices.IndexFunc(f.Codes, func(c RecoveryCode) bool { return c.Hash == hash })
	switch {
	case i < 0:
		return codeWrong
	case !f.Codes[i].UsedAt.IsZero():
		return codeUsed
	}
	f.Codes = slices.Clone(f.Codes)
	f.Codes[i].UsedAt = now
	return ""
}
