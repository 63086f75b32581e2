package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Checkpoint says what history was at a moment: its size and the root of the
// tree over it. It is signed as a note (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string // the log; also the name of the key
	Size   int64
	Root   Hash
	Time   time.Time // seconds, UTC
	// Restored are the sizes of older states that history was taken back to,
	// with consent, in the order in which that happened.
	Restored []int64
}

// Beginnings of the lines that follow those of C2SP.
const (
	timeLine     = "time "
	restoredLine = "restored "
)

// Text is what is signed.
func (c Checkpoint) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
	fmt.Fprintf(&b, "%s%s\n", timeLine, c.Time.UTC().Format(time.RFC3339))
	for _, size := range c.Restored {
		fmt.Fprintf(&b, "%s%d\n", restoredLine, size)
	}
	return b.String()
}

// errCheckpoint means that a text is no checkpoint.
var errCheckpoint = errors.New("this is no checkpoint")

// ParseCheckpoint reads the text of a checkpoint. Lines it doesn't know are left
// out.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || !strings.HasSuffix(text, "\n") || lines[0] == "" {
		return Checkpoint{}, errCheckpoint
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = parseSize(lines[1]); err != nil {
		return Checkpoint{}, err
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return Checkpoint{}, errCheckpoint
	}
	c.Root = Hash(root)
	for _, line := range lines[3:] {
		if at, ok := strings.CutPrefix(line, timeLine); ok {
			if c.Time, err = time.Parse(time.RFC3339, at); err != nil {
				return Checkpoint{}, errCheckpoint
			}
		}
		if size, ok := strings.CutPrefix(line, restoredLine); ok {
			n, err := parseSize(size)
			if err != nil {
				return Checkpoint{}, err
			}
			c.Restored = append(c.Restored, n)
		}
	}
	return c, nil
}

func parseSize(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, errCheckpoint
	}
	return n, nil
}

// Epoch counts how often history was taken back, from 1.
func (c Checkpoint) Epoch() int { return len(c.Restored) + 1 }

// Excuses reports whether c knows of a restore since other that went back behind
// it, so that other need not fit history any more.
func (c Checkpoint) Excuses(other Checkpoint) bool {
	since := c.Restored[min(len(other.Restored), len(c.Restored)):]
	return slices.ContainsFunc(since, func(size int64) bool { return size < other.Size })
}

// A Signed checkpoint is one as it is kept.
type Signed struct {
	Checkpoint
	ID   int64  // counts from 1
	Note []byte // what was signed, and the signature
	Why  string // what it was made for
	At   time.Time
}
