package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// An anchor is a place outside the database that is given checkpoints, so that
// whoever has the database can't take them back.
type anchor struct {
	id   string // of what is kept about it
	name string // for readers, without what may be secret
	file string // path, if what it was given can be read again
	send func(ctx context.Context, line, note []byte) error
	turn chan struct{} // holds a token while something is sent, which may hang

	given int64 // the checkpoint that this process delivered last; only deliver touches it

	mu    sync.Mutex
	state *store.Anchored // how far it is, once this process tried
}

const anchorTimeout = 15 * time.Second

var errHangs = errors.New("it doesn't take anything: what was sent last has not come back")

// give sends a checkpoint, and returns when it is delivered, failed or, at the
// latest, a second after ctx ended. Nothing is sent beside what hangs.
func (a *anchor) give(ctx context.Context, note []byte) error {
	select {
	case a.turn <- struct{}{}:
	default:
		return errHangs
	}
	return bounded(ctx, func() error {
		defer func() { <-a.turn }()
		return a.send(ctx, lineOf(note), note)
	})
}

// bounded runs fn, which may hang, and waits for it until a second after ctx ended.
func bounded(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errHangs
	}
}

// now is how far the anchor is: what this process knows itself goes before what
// the database says, which is never more than there is.
func (a *anchor) now(kept store.Anchored, newest int64) store.Anchored {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != nil {
		return *a.state
	}
	if kept.Reached > newest {
		kept.Reached = 0
	}
	return kept
}

func (a *anchor) keep(state store.Anchored) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = &state
}

// parseAnchor reads one target: file:PATH, stdout, syslog: or syslog:HOST:PORT,
// https://….
func parseAnchor(target string, stdout io.Writer) (*anchor, error) {
	sum := sha256.Sum256([]byte(target))
	a := &anchor{id: hex.EncodeToString(sum[:8]), turn: make(chan struct{}, 1)}
	kind, rest, _ := strings.Cut(target, ":")
	switch {
	case kind == "file" && rest != "":
		path, err := filepath.Abs(rest)
		if err != nil {
			return a, err
		}
		a.name, a.file = "File "+path, path
		a.send = func(_ context.Context, line, _ []byte) error { return appendLine(path, line) }
	case target == "stdout":
		a.name = "Standard output"
		a.send = func(_ context.Context, line, _ []byte) error {
			_, err := stdout.Write(append(line, '\n'))
			return err
		}
	case kind == "syslog":
		a.name = "Syslog " + rest
		if rest == "" {
			a.name = "Syslog on this machine"
		} else if _, _, err := net.SplitHostPort(rest); err != nil {
			return a, fmt.Errorf("anchor %q: %w", target, err)
		}
		a.send = func(ctx context.Context, line, _ []byte) error { return sendSyslog(ctx, rest, line) }
	case kind == "https" || kind == "http":
		u, err := url.Parse(target)
		if err != nil || u.Host == "" || kind == "http" && !loopback(u.Hostname()) {
			return a, fmt.Errorf("an anchor on the web must begin with https:// and name a host")
		}
		a.name = "Webhook at " + u.Host
		a.send = func(ctx context.Context, _, note []byte) error { return post(ctx, target, note) }
	default:
		return a, fmt.Errorf("anchor %q should be file:PATH, stdout, syslog:, syslog:HOST:PORT or https://…", target)
	}
	return a, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// torn ends a line that a crash cut off.
const torn = "#torn"

// appendLine adds a line to a file and waits for the disk.
func appendLine(path string, line []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = append([]byte(torn+"\n"), line...)
		}
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return err
	}
	return f.Sync()
}

// sendSyslog sends a message to the local daemon, or to a host by UDP.
func sendSyslog(ctx context.Context, addr string, line []byte) error {
	const auditInfo = 13*8 + 6
	network, at := "udp", addr
	text := fmt.Sprintf("<%d>1 %s - gatehouse - checkpoint - %s", auditInfo, time.Now().UTC().Format(time.RFC3339), line)
	if addr == "" {
		network, at = "unixgram", "/dev/log"
		text = fmt.Sprintf("<%d>%s gatehouse: %s", auditInfo, time.Now().Format(time.Stamp), line)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, at)
	if err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok {
		err = conn.SetWriteDeadline(at)
	}
	if err == nil {
		_, err = conn.Write([]byte(text))
	}
	return errors.Join(err, conn.Close())
}

var anchorClient = &http.Client{
	Timeout:       anchorTimeout,
	Transport:     &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 16 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// post sends a note to a webhook. The note is signed itself.
func post(ctx context.Context, target string, note []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(string(note)))
	if err != nil {
		return errors.New("the address can't be used")
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := anchorClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which may hold a secret
		}
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return err
}

// An anchored line is how a checkpoint stands in files and logs.
type anchoredLine struct {
	Checkpoint string `json:"checkpoint"`
}

const lineStart = `{"checkpoint":`

func lineOf(note []byte) []byte {
	line, _ := json.Marshal(anchoredLine{string(note)}) // a text
	return line
}

const maxAnchorFile = 1 << 30 // bytes

// ReadAnchor returns the notes in a file: lines that an anchor wrote, also with
// something before them as in a log, or one note as it was posted.
func ReadAnchor(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxAnchorFile {
		return nil, fmt.Errorf("%s is larger than 1 GiB", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return notesOf(path, text)
}

// anchorEnd is how much of an anchor's file is read at start, at first: some
// hundred checkpoints.
const anchorEnd = 64 << 10

// readEnd reads the end of a file, from the beginning of a line, and tells whether
// that is all of it.
func readEnd(path string, most int64) (text []byte, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = f.Close() }() // only read
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false, err
	}
	from := max(0, size-most)
	text = make([]byte, size-from)
	if _, err := f.ReadAt(text, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if from > 0 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text, from == 0, nil
}

// notesOf finds the notes in the text of a file. One that is damaged is left out
// and told of; the others are not hidden by it.
func notesOf(path string, text []byte) (notes [][]byte, err error) {
	if len(text) > 0 && !strings.Contains(string(text), "{") {
		return [][]byte{text}, nil
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if !strings.HasSuffix(line, "\n") || strings.HasSuffix(line, torn+"\n") {
			continue // a crash cut it off
		}
		at := strings.Index(line, lineStart)
		if at < 0 && !strings.HasPrefix(line, "{") {
			continue // something else in a log
		}
		var one anchoredLine
		if at < 0 || json.Unmarshal([]byte(line[at:]), &one) != nil {
			if err == nil {
				err = fmt.Errorf("%w: line %d of %s is no checkpoint", audit.ErrTampered, number, path)
			}
			continue
		}
		notes = append(notes, []byte(one.Checkpoint))
	}
	return notes, err
}
