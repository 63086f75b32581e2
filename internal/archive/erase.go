package archive

import (
	"archive/zip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// erase takes the personal data of people out of the archives in the directory,
// and then lets the store do the same. No archive is made meanwhile.
func (s *Service) erase(ctx context.Context, due []store.Erased, finish func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	paths, err := s.files()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := eraseIn(path, s.keys, due)
		if errors.Is(err, audit.ErrTampered) {
			s.log.Error("an archive can't be read, so personal data that was erased may still be in it", "archive", path, "err", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("erase in %s: %w", filepath.Base(path), err)
		}
	}
	return finish()
}

// eraseIn writes an archive anew without what concerns people, if it has any of
// that.
func eraseIn(path string, keys audit.PublicKeys, who []store.Erased) error {
	f, err := Open(path, keys)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	gone := 0
	if _, err := f.each(func(r audit.Row) error {
		e, err := audit.Open(r)
		for _, p := range r.Personal {
			if concerns(p, e, who) {
				gone++
			}
		}
		return err
	}); err != nil || gone == 0 {
		return err
	}
	temporary := path + ".tmp"
	if err := f.without(temporary, who); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return settle(temporary, path)
}

func concerns(p audit.Personal, e audit.Entry, who []store.Erased) bool {
	for _, one := range who {
		if p.Concerns(e, one.ID, one.Email) {
			return true
		}
	}
	return false
}

// without copies an archive and leaves out what concerns people.
func (f *File) without(path string, who []store.Erased) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	for _, one := range f.zip.File {
		if err == nil && one.Name != personalFile {
			err = z.Copy(one)
		}
	}
	if err == nil {
		err = f.copyPersonal(z, who)
	}
	if err == nil {
		err = errors.Join(z.Close(), out.Sync())
	}
	return errors.Join(err, out.Close())
}

func (f *File) copyPersonal(z *zip.Writer, who []store.Erased) error {
	w, err := z.Create(personalFile)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	_, err = f.each(func(r audit.Row) error {
		e, err := audit.Open(r)
		for _, p := range r.Personal {
			if err == nil && !concerns(p, e, who) {
				err = lines.Encode(personalLine{r.Seq, p.Field, hex.EncodeToString(p.Salt), p.Value})
			}
		}
		return err
	})
	return err
}
