package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func leafHashes(n int) []Hash {
	out := make([]Hash, n)
	for i := range out {
		out[i] = HashBody([]byte{byte(i), byte(i >> 8)})
	}
	return out
}

func treeOf(leaves []Hash) Tree {
	var t Tree
	for _, h := range leaves {
		t.Add(h)
	}
	return t
}

// reader is a [NodeReader] over leaves.
func reader(leaves []Hash) NodeReader {
	return func(level int, n int64) (Hash, error) {
		from, to := n<<level, (n+1)<<level
		if to > int64(len(leaves)) {
			return Hash{}, errors.New("out of range")
		}
		return treeOf(leaves[from:to]).Root(), nil
	}
}

func TestTree(t *testing.T) {
	leaves := leafHashes(70)
	for size := range leaves {
		tree := treeOf(leaves[:size])
		want, err := tlog.TreeHash(int64(size), reader(leaves).hashes())
		if err != nil || tree.Root() != Hash(want) || tree.Check() != nil {
			t.Errorf("root of %d: %v", size, err)
		}
		again, err := TreeAt(int64(size), reader(leaves))
		if diff := cmp.Diff(tree.Root(), again.Root()); diff != "" || err != nil {
			t.Error(size, diff, err)
		}
		for from := 0; from <= size; from += 8 {
			joined := treeOf(leaves[:from])
			if size-from > 8 {
				continue
			}
			joined.Append(treeOf(leaves[from:size]))
			if joined.Root() != tree.Root() {
				t.Errorf("%d and then up to %d: another root", from, size)
			}
		}
	}
}

func TestProofs(t *testing.T) {
	leaves := leafHashes(40)
	at := func(size int64) Checkpoint { return Checkpoint{Size: size, Root: treeOf(leaves[:size]).Root()} }
	for size := int64(1); size <= 40; size++ {
		for seq := int64(1); seq <= size; seq++ {
			p, err := ProveRow(seq, size, reader(leaves))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckRow(p, at(size), seq, leaves[seq-1]); err != nil {
				t.Errorf("row %d of %d: %v", seq, size, err)
			}
			if err := CheckRow(p, at(size), seq, Hash{1}); err == nil {
				t.Errorf("row %d of %d: another row passes", seq, size)
			}
			p, err = ProveGrowth(seq, size, reader(leaves))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckGrowth(p, at(seq), at(size)); err != nil {
				t.Errorf("%d to %d: %v", seq, size, err)
			}
		}
	}
}

func testKey(t *testing.T) (*SigningKey, PublicKeys) {
	t.Helper()
	text, err := NewSigningKey("gatehouse-test")
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParsePublicKeys("# ours\n\n" + k.Public())
	if err != nil {
		t.Fatal(err)
	}
	if secret := strings.Split(text, "\n")[0]; strings.Contains(fmt.Sprintf("%v %+v %#v %s", k, k, k, k), secret[len(secret)-20:]) {
		t.Error("the key prints itself")
	}
	return k, public
}

func TestCheckpoint(t *testing.T) {
	k, public := testKey(t)
	c := Checkpoint{Origin: "gatehouse-test", Size: 7, Root: Hash{1, 2}, Time: time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC), Restored: []int64{5, 3}}
	want := "gatehouse-test\n7\nAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\ntime 2026-11-23T01:02:03Z\nrestored 5\nrestored 3\n"
	if diff := cmp.Diff(want, c.Text()); diff != "" {
		t.Error(diff)
	}
	signed, err := k.Sign(c.Text())
	if err != nil {
		t.Fatal(err)
	}
	got, err := public.OpenCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got); diff != "" {
		t.Error(diff)
	}
	for i := range signed {
		for bit := range 8 {
			bad := bytes.Clone(signed)
			bad[i] ^= 1 << bit
			if _, err := public.OpenCheckpoint(bad); err == nil {
				t.Fatalf("%q opens", bad)
			}
		}
	}
	_, other := testKey(t)
	if _, err := other.OpenCheckpoint(signed); err == nil {
		t.Error("another key opens it")
	}
}

func TestCheckpointRefused(t *testing.T) {
	for _, text := range []string{"", "a", "a\n1\n", "a\n01\nAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "a\n-1\nAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a\n1\nAQI=\n", "a\n1\nAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\ntime yesterday\n", "a\n1\nAQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nrestored x\n"} {
		if c, err := ParseCheckpoint(text); err == nil {
			t.Errorf("%q: %v", text, c)
		}
	}
}

// What history was before it was taken back need not fit any more, what it was
// up to there must.
func TestCheckpointExcuses(t *testing.T) {
	for _, c := range []struct {
		newest, old []int64
		size        int64
		want        bool
	}{
		{nil, nil, 9, false},
		{[]int64{5}, nil, 6, true},
		{[]int64{5}, nil, 5, false},
		{[]int64{5}, []int64{5}, 9, false},
		{[]int64{5, 7}, []int64{5}, 8, true},
		{[]int64{5, 7}, nil, 6, true},
		{nil, []int64{5}, 9, false},
	} {
		if got := (Checkpoint{Restored: c.newest}).Excuses(Checkpoint{Restored: c.old, Size: c.size}); got != c.want {
			t.Errorf("%v: %t", c, got)
		}
	}
}

// scanBody takes exactly what the library would have written, but no numbers.
func TestScanBody(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a\"\\/<>&\u2028\u2029\b\f\n\r\t\x00\x1f\x7f\ufffd𝄞é\uffff{}[]:, "))))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		of := []*rapid.Generator[any]{text.AsAny(), rapid.Just(any(nil)), rapid.Bool().AsAny()}
		if depth > 0 {
			of = append(of, rapid.SliceOfN(value(depth-1), 0, 3).AsAny(), rapid.MapOfN(text, value(depth-1), 0, 3).AsAny())
		}
		return rapid.OneOf(of...)
	}
	rapid.Check(t, func(t *rapid.T) {
		b, err := canonical(rapid.MapOfN(text, value(3), 0, 4).Draw(t, "body"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := scanBody(b); !ok {
			t.Fatalf("%s is refused", b)
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "mask"))
		_, ok := scanBody(b)
		again, err := jcs.Transform(b)
		if want := err == nil && bytes.Equal(again, b); ok && !want {
			t.Fatalf("%s passes", b)
		}
	})
	for _, bad := range []string{``, `[]`, `{`, `{"a":1}`, `{"a":"x" }`, `{"b":"","a":""}`, `{"a":"","a":""}`, `{"a":"\u0041"}`, `{"a":"\/"}`, `{"a":"\u000a"}`, `{"a":"\u001F"}`, `{"a":nul}`, `{"a":[}`, `{"a":[""`, `{"a":""}x`, `{"a":"` + "\xff" + `"}`} {
		if _, ok := scanBody([]byte(bad)); ok {
			t.Errorf("%s passes", bad)
		}
	}
}

func TestSigningKeyIsEd25519(t *testing.T) {
	k, _ := testKey(t)
	signed, err := k.Sign("x\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(signed) < ed25519.SignatureSize {
		t.Error("short signature")
	}
	if _, err := k.Sign("no newline"); err == nil {
		t.Error("signed a text without a newline")
	}
}

// Personal data may only be missing where somebody was erased.
func TestVerifyMissingPersonalData(t *testing.T) {
	erase := Event{Actor: System(), Action: ErasedAction, Object: Object{Kind: "user", ID: "usr_1"}}
	for name, c := range map[string]struct {
		drop   string
		events []Event
		ok     bool
	}{
		"kept":                 {"", []Event{sample()}, true},
		"gone":                 {personalEmail, []Event{sample()}, false},
		"erased":               {personalEmail, []Event{sample(), erase}, true},
		"erased before":        {personalEmail, []Event{erase, sample()}, false},
		"reason gone":          {personalReason, []Event{sample(), erase}, false},
		"somebody else erased": {personalEmail, []Event{sample(), {Action: ErasedAction, Object: Object{Kind: "user", ID: "usr_2"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var v Verifier
			head := Head{}
			var err error
			for _, e := range c.events {
				r, sealErr := Seal(head, e, at)
				if sealErr != nil {
					t.Fatal(sealErr)
				}
				for i, p := range r.Personal {
					if p.Field == c.drop {
						r.Personal = append(r.Personal[:i:i], r.Personal[i+1:]...)
						break
					}
				}
				if err = v.Next(r); err != nil {
					break
				}
				head = Head{r.Seq, r.Hash}
			}
			if err == nil {
				err = v.Close()
			}
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrTampered) {
				t.Error(err)
			}
		})
	}
}
