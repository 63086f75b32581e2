package archive

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gatehouse/internal/audit"
)

// Found is what the check of some archives came to.
type Found struct {
	Verifier *audit.Verifier // after the last of them, with what those before it told as far as they follow one another
	All      []audit.Statement
	Rows     int64
	Missing  int // pieces of personal data that aren't there: erased
	Roots    map[int64]audit.Hash
}

// Check verifies archives, in the order of their rows: each by itself, and that one
// begins where another ends if it has the row after. A copy counts once.
func Check(paths []string, keys audit.PublicKeys, sizes []int64) (Found, error) {
	out := Found{Roots: map[int64]audit.Hash{}}
	wanted := map[int64]bool{}
	for _, size := range sizes {
		wanted[size] = true
	}
	var files []*File
	defer func() {
		for _, f := range files {
			_ = f.Close() // only read
		}
	}()
	for _, path := range paths {
		f, err := Open(path, keys)
		if err != nil {
			return out, err
		}
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b *File) int { return cmp.Compare(a.First(), b.First()) })
	for _, f := range files {
		if err := out.add(f, wanted); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (out *Found) add(f *File, wanted map[int64]bool) error {
	v := audit.NewVerifier(f.Before.Head, f.Before.Tree)
	copied := false
	if n := len(out.All); n > 0 {
		switch last := out.All[n-1]; {
		case last.Text() == f.Text():
			copied = true
		case last.Last() >= f.First():
			return f.wrong("it holds rows that another one holds too")
		case last.Last()+1 == f.First() && !last.After.Equal(f.Before):
			return f.wrong("it doesn't follow the one before")
		case last.Last()+1 == f.First():
			v = out.Verifier
		}
	}
	before := v.Missing()
	if err := f.Verify(v, wanted, out.Roots); err != nil || copied {
		return err
	}
	out.Verifier, out.All = v, append(out.All, f.Statement)
	out.Rows += f.Last() - f.First() + 1
	out.Missing += v.Missing() - before
	return nil
}

// Compare looks whether archives are those that a database says it gave rows to,
// as far as both know of the same rows.
func (out Found) Compare(removed []audit.Statement) error {
	for _, one := range out.All {
		for _, r := range removed {
			if one.First() <= r.Last() && r.First() <= one.Last() && one.Text() != r.Text() {
				return fmt.Errorf("%w: the archive with rows %d to %d is not the one that was removed from the database", audit.ErrTampered, one.First(), one.Last())
			}
		}
	}
	return nil
}

// errOther means that there is an archive of that name that holds something else.
var errOther = errors.New("there is another archive of that name: move it away, since nothing overwrites an archive")
