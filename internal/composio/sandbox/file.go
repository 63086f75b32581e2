package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// largeState is the size of a state file, in bytes, from which changes are
// added to a log instead of writing the whole file anew.
const largeState = 1 << 20

// A saved is the state file.
type saved struct {
	Version   int                     `json:"version"`
	Seq       uint64                  `json:"seq"` // changes saved so far
	Seed      uint64                  `json:"seed"`
	Minted    uint64                  `json:"minted"`
	Projects  map[string]ProjectState `json:"projects"`
	Mutations []Mutation              `json:"mutations"`
	Incidents []Incident              `json:"incidents"`
}

// A savedChange is one line of the log.
type savedChange struct {
	Seq         uint64        `json:"seq"`
	Minted      uint64        `json:"minted"`
	Project     string        `json:"project"`
	Configs     []*AuthConfig `json:"auth_configs,omitempty"`
	Connections []*Connection `json:"connections,omitempty"`
	Mutation    *Mutation     `json:"mutation,omitempty"`
	Incidents   []Incident    `json:"incidents,omitempty"`
}

// A stateFile keeps the state across restarts. A small state is written whole
// before each answer, to a temporary file that then takes the place of the old
// one. From largeState on a change costs one line in a log beside it
// (FILE.log); the log is folded into the file when it has grown as large, at
// start and at Close. Killing the process loses nothing acknowledged; nothing is
// synced to the disk, so that a power failure may.
type stateFile struct {
	path   string // empty: nothing is kept
	seq    uint64
	size   int64 // of the file
	logged int64 // bytes in the log
	log    *os.File
}

func (f *stateFile) save(c savedChange, snapshot func() saved) error {
	if f.path == "" {
		return nil
	}
	f.seq++
	if f.size < largeState || f.logged > f.size {
		return f.fold(snapshot())
	}
	c.Seq = f.seq
	if err := f.append(c); err != nil {
		f.size = 0 // the log may end in half a line: fold next time
		return err
	}
	return nil
}

func (f *stateFile) append(c savedChange) error {
	line, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode change: %w", err)
	}
	if f.log == nil {
		f.log, err = os.OpenFile(f.path+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("open state log: %w", err)
		}
	}
	if _, err := f.log.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write state log: %w", err)
	}
	f.logged += int64(len(line)) + 1
	return nil
}

// fold writes the whole state and drops the log. A log that outlives the fold
// does no harm: its lines are older than the file.
func (f *stateFile) fold(all saved) error {
	if f.path == "" {
		return nil
	}
	all.Version, all.Seq = 1, f.seq
	b, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := replaceFile(f.path, b); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	f.size, f.logged = int64(len(b)), 0
	if err := f.close(); err != nil {
		return err
	}
	if err := os.Remove(f.path + ".log"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop state log: %w", err)
	}
	return nil
}

func (f *stateFile) close() error {
	if f.log == nil {
		return nil
	}
	err := f.log.Close()
	f.log = nil
	if err != nil {
		return fmt.Errorf("close state log: %w", err)
	}
	return nil
}

// replaceFile writes a file so that readers see the old bytes or the new ones.
func replaceFile(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the write's error is the one to tell
	}
	return err
}

// load reads the file and its log; false says that there is none yet.
func (f *stateFile) load() (saved, []savedChange, bool, error) {
	var all saved
	if f.path == "" {
		return all, nil, false, nil
	}
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil, false, nil
	}
	if err != nil {
		return all, nil, false, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return all, nil, false, fmt.Errorf("read state %s: %w", f.path, err)
	}
	if all.Version != 1 {
		return all, nil, false, fmt.Errorf("read state %s: version %d is unknown", f.path, all.Version)
	}
	f.seq, f.size = all.Seq, int64(len(b))
	changes, err := f.loadLog(all.Seq)
	return all, changes, true, err
}

// loadLog reads the changes after those in the file. What follows the last line
// break was never acknowledged.
func (f *stateFile) loadLog(after uint64) ([]savedChange, error) {
	b, err := os.ReadFile(f.path + ".log")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read state log: %w", err)
	}
	var out []savedChange
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			return out, nil
		}
		var c savedChange
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("read state log %s.log: %w", f.path, err)
		}
		if c.Seq > after {
			out = append(out, c)
			f.seq = c.Seq
		}
		b = rest
	}
}
