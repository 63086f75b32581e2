package witness

import (
	"errors"
	"testing"

	"gatehouse/internal/audit"
)

// Whatever lies at an anchor, notes are found in it, or it is told of.
func FuzzNotes(f *testing.F) {
	for _, text := range []string{"", "{", `{"checkpoint":"x"}` + "\n", lineStart, "log " + lineStart + `"y"}` + "\n", "gatehouse\n1\nAAAA\n\n— x y\n", torn + "\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		notes, err := notesOf("anchors.log", text)
		if err != nil && !errors.Is(err, audit.ErrTampered) {
			t.Error(err)
		}
		total := 0
		for _, n := range notes {
			total += len(n)
		}
		if total > 3*len(text) { // bytes that aren't UTF-8 are read as three
			t.Errorf("%d bytes in %d", total, len(text))
		}
	})
}
