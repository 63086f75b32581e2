// Package archive lets old entries of history leave the database for files that
// prove themselves.
package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

// A Witness signs, and knows whether history is as it was written.
type Witness interface {
	Sign(ctx context.Context, name string, body []byte) ([]byte, error)
	Checkpoint(ctx context.Context, why string) error
	PublicKey() string
	PublicKeys() audit.PublicKeys // whose signatures count
	// Trusted returns what is wrong with history, if anything is.
	Trusted() error
}

// Settings say how a service works.
type Settings struct {
	Months int    // that entries stay in the database; 0 for ever
	Dir    string // where archives lie
}

// A Service makes archives. It is safe for concurrent use.
type Service struct {
	store   *store.Store
	witness Witness
	months  int
	dir     string
	keys    audit.PublicKeys
	now     func() time.Time
	log     *slog.Logger

	mu sync.Mutex // held while archives are made or changed

	told  sync.Mutex
	state State
}

// NewService returns a service. It also has erasures reach the archives.
func NewService(st *store.Store, w Witness, set Settings, now func() time.Time, log *slog.Logger) *Service {
	s := &Service{store: st, witness: w, months: set.Months, dir: set.Dir, keys: w.PublicKeys(), now: now, log: log}
	st.EraseAround(s.erase)
	return s
}

// How often the service looks for something to do, and how long after a start.
const (
	every = 24 * time.Hour
	calm  = 30 * time.Second
	again = 10 * time.Minute // after a failure
)

// Run makes archives until ctx ends.
func (s *Service) Run(ctx context.Context) {
	wait := calm
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = every
		if err := s.Work(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("archive history", "err", err)
			wait = again
		}
	}
}

// A State says what the last look came to.
type State struct {
	Months  int // that entries stay; 0 for ever
	At      time.Time
	Hold    string // why the oldest month stays although it is older
	Problem string // why it couldn't be archived
}

// State returns what the last look came to.
func (s *Service) State() State {
	s.told.Lock()
	defer s.told.Unlock()
	st := s.state
	st.Months = s.months
	return st
}

func (s *Service) tell(hold string, err error) {
	s.told.Lock()
	defer s.told.Unlock()
	s.state = State{At: s.now(), Hold: hold}
	if err != nil {
		s.state.Problem = err.Error()
	}
}

// There reports whether the archive of a month lies in the directory.
func (s *Service) There(month string) bool {
	_, err := os.Stat(filepath.Join(s.dir, Name(month)))
	return err == nil
}

// Work lets every month leave that is older than entries stay, the oldest first.
// What was decided before a crash is finished first, whatever the setting.
func (s *Service) Work(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold, err := s.work(ctx)
	if ctx.Err() == nil {
		s.tell(hold, err)
	}
	return err
}

func (s *Service) work(ctx context.Context) (hold string, err error) {
	if err := s.prune(ctx); err != nil || s.months == 0 {
		return "", err
	}
	if err := s.trusted(); err != nil {
		return "", err
	}
	now := s.now()
	by := time.Date(now.Year(), now.Month()-time.Month(s.months), 1, 0, 0, 0, 0, time.UTC)
	for {
		m, err := s.store.OldestMonth(ctx, by)
		if err != nil || m.First == 0 || m.Hold != "" {
			return m.Hold, err
		}
		if err := s.archive(ctx, m); problem.Is(err, problem.Conflict) {
			return err.Error(), nil
		} else if err != nil {
			return "", err
		}
		if err := s.prune(ctx); err != nil {
			return "", err
		}
	}
}

func (s *Service) trusted() error {
	if err := s.witness.Trusted(); err != nil {
		return fmt.Errorf("nothing is removed while history is not as it was written: %w", err)
	}
	return nil
}

// forArchive is why a checkpoint is made, as the witness has it.
const forArchive = "archive"

// prune removes what was decided to leave, once that is signed.
func (s *Service) prune(ctx context.Context) error {
	if left, err := s.store.Leaving(ctx); err != nil || !left {
		return err
	}
	if err := s.trusted(); err != nil {
		return err
	}
	if err := s.witness.Checkpoint(ctx, forArchive); err != nil {
		return err
	}
	return s.store.Prune(ctx)
}

// archive makes the archive of a month and decides that it leaves.
func (s *Service) archive(ctx context.Context, m store.Month) error {
	one, err := s.keep(ctx, m)
	if err != nil {
		return err
	}
	note, err := s.witness.Sign(ctx, audit.RemovedStatement, []byte(one.Text()))
	if err != nil {
		return err
	}
	event := func(action string) audit.Event {
		return audit.Event{Actor: audit.System(), Action: action, Object: audit.Object{Kind: "history", Name: Name(one.Month)}, Detail: map[string]string{
			"month": one.Month, "first": strconv.FormatInt(one.First(), 10), "last": strconv.FormatInt(one.Last(), 10), "file": Name(one.Month), "sha256": hex.EncodeToString(one.Rows[:]),
		}}
	}
	return s.store.AddArchive(ctx, m, one, note, event("history.archived"), event(audit.PrunedAction))
}

// keep writes the archive of a month, unless a crash left it there, and reads it
// back from the disk.
func (s *Service) keep(ctx context.Context, m store.Month) (audit.Statement, error) {
	begin, err := s.begin(ctx)
	if err != nil {
		return audit.Statement{}, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return audit.Statement{}, err
	}
	path := filepath.Join(s.dir, Name(m.Begin.Format(audit.MonthFormat)))
	temporary := path + ".tmp"
	one, err := s.write(ctx, temporary, m, begin)
	if err == nil {
		err = readBack(temporary, s.keys, one)
	}
	if err == nil {
		err = place(temporary, path, s.keys, one)
	}
	if rerr := os.Remove(temporary); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return one, err
}

// begin is where history begins, by a statement that is signed.
func (s *Service) begin(ctx context.Context) (audit.Place, error) {
	all, err := s.store.Removed(ctx, func(note []byte) (audit.Statement, error) {
		return s.keys.OpenStatement(note, audit.RemovedStatement)
	})
	if err != nil || len(all) == 0 {
		return audit.Place{}, err
	}
	return all[len(all)-1].After, nil
}

// readBack verifies an archive as it lies on the disk.
func readBack(path string, keys audit.PublicKeys, want audit.Statement) error {
	found, err := Check([]string{path}, keys, nil)
	if err == nil && (len(found.All) != 1 || found.All[0].Text() != want.Text()) {
		err = errOther
	}
	return err
}

// place gives a new archive its name. One of that name that holds the same stays.
func place(temporary, path string, keys audit.PublicKeys, one audit.Statement) error {
	if _, err := os.Stat(path); err == nil {
		if err := readBack(path, keys, one); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), errOther)
		}
		return nil
	}
	return settle(temporary, path)
}

// files are the archives in the directory.
func (s *Service) files() ([]string, error) {
	if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return Paths([]string{s.dir})
}
