package access

import (
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/data"
)

// What the different parts of a passphrase weigh, and how much is enough. A part
// is what a guesser tries in one go.
const (
	weighsPart   = 3 // a common password, a given word, a run of three or more
	weighsSingle = 1 // any other character
	enough       = 12
)

// commonPasswords are the most common ones that leaked, in lower case. Only the
// data of zxcvbn is used: the estimator itself takes 50 ms and 18 MB whenever the
// program starts.
var commonPasswords = sync.OnceValue(func() map[string]bool {
	var file struct{ List []string }
	text, err := data.Asset("data/Passwords.json")
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		panic(err) // the list is compiled in
	}
	known := make(map[string]bool, len(file.List))
	for _, p := range file.List {
		known[p] = true
	}
	return known
})

// keyboard rows and orders that fingers follow.
var rows = []string{"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik"}

var unleet = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// tooEasy reports whether a passphrase is made of too few different parts: common
// passwords, the given words, runs along the keyboard or the alphabet, characters
// that repeat, and whatever else is left one by one.
func tooEasy(passphrase string, words []string) bool {
	v := strings.ToLower(passphrase)
	seen := map[string]bool{}
	weight := 0
	for v != "" && weight < enough {
		_, first := utf8.DecodeRuneInString(v)
		n, weighs := first, weighsSingle
		if longer := max(commonLength(v, words), runLength(v, v[:first])); longer >= 3 && longer > first {
			n, weighs = longer, weighsPart
		}
		if part := v[:n]; !seen[part] {
			seen[part] = true
			weight += weighs
		}
		v = v[n:]
	}
	return weight < enough
}

// commonLength is how much of the beginning of v is common, in bytes.
func commonLength(v string, words []string) int {
	longest := 0
	for _, w := range words {
		if w = strings.ToLower(w); len(w) >= 3 && strings.HasPrefix(v, w) {
			longest = max(longest, len(w))
		}
	}
	for n := min(len(v), 24); n >= 3 && n > longest; n-- {
		if known := commonPasswords(); known[v[:n]] || known[unleet.Replace(v[:n])] {
			return n
		}
	}
	return longest
}

// runLength is how much of the beginning of v is its first character again and
// again, or lies along a row, forwards or backwards, in bytes.
func runLength(v, first string) int {
	longest := len(v) - len(strings.TrimLeft(v, first))
	for _, row := range rows {
		longest = max(longest, along(v, row), along(v, backwards(row)))
	}
	return longest
}

func along(v, row string) int {
	n := 0
	for n < len(v) && n < len(row) && strings.Contains(row, v[:n+1]) {
		n++
	}
	return n
}

func backwards(s string) string {
	out := []byte(s)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}
