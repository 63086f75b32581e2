package sink_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
)

// A collector takes syslog messages by octet counting.
type collector struct {
	addr string
	mu   sync.Mutex
	got  []string
	bad  string // what it could not read
}

func newCollector(t *testing.T, encrypted bool) *collector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{addr: l.Addr().String()}
	if encrypted {
		l = tls.NewListener(l, &tls.Config{Certificates: trusted.TLS.Certificates, MinVersion: tls.VersionTLS12})
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.read(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return c
}

func (c *collector) read(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for {
		length, err := r.ReadString(' ')
		if err != nil && length == "" {
			return // the end, or no handshake
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		message := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(r, message)
		}
		c.mu.Lock()
		if err != nil {
			c.bad = length + err.Error()
		}
		c.got = append(c.got, string(message))
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *collector) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.got...)
}

var rfc5424 = regexp.MustCompile(`^<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z gatehouse\.example\.com gatehouse - ([!-~]{1,32}) - (\{.*\})$`)

// Syslog messages are RFC 5424's, counted, in order, plain and by TLS.
func TestSyslog(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		c := newCollector(t, encrypted)
		h := newHouse(t, c.addr)
		h.run()
		kind := sink.SyslogTCP
		if encrypted {
			kind = sink.SyslogTLS
		}
		added, _ := h.add(sink.Input{Kind: kind, Address: secret.New(c.addr)})
		failed := h.edited("naïve 名\n<&>\u2028")
		failed.Outcome = audit.Failed
		last := h.record(failed)
		h.done(added.ID, last)
		_, err := h.sinks.Test(t.Context(), h.ada, added.ID)
		h.must(err)
		h.done(added.ID, h.head())
		var lines strings.Builder
		var priorities []string
		for _, message := range c.all() {
			m := rfc5424.FindStringSubmatch(message)
			if m == nil || c.bad != "" {
				t.Fatalf("%q %q", message, c.bad)
			}
			if m[2] != "sink.test" {
				lines.WriteString(m[3] + "\n")
				priorities = append(priorities, m[1])
			}
		}
		if diff := cmp.Diff(span(1, h.head()), h.seqs(lines.String())); diff != "" {
			t.Error(diff)
		}
		if priorities[0] != "109" || priorities[last-1] != "107" {
			t.Errorf("priorities: %v", priorities)
		}
		h.stop()
	}
}

// A certificate that isn't for the receiver ends it.
func TestSyslogCertificate(t *testing.T) {
	c := newCollector(t, true)
	_, port, err := net.SplitHostPort(c.addr)
	if err != nil {
		t.Fatal(err)
	}
	other := "localhost:" + port // the certificate says 127.0.0.1
	h := newHouse(t, other)
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.SyslogTLS, Address: secret.New(other)})
	h.until("it fails", func() bool { return h.sink(added.ID).Health.Tries > 0 })
	if len(c.all()) != 0 || !strings.Contains(h.Log.String(), "certificate") {
		t.Errorf("%d messages\n%s", len(c.all()), h.Log)
	}
}

// A file is appended to, may be moved away at any time, and is never left with
// half a line for long.
func TestFile(t *testing.T) {
	h := newHouse(t)
	h.must(os.MkdirAll(h.settings.Dir, 0o700))
	path := filepath.Join(h.settings.Dir, "history.jsonl")
	h.must(os.WriteFile(path, []byte("{\"seq\":0}\n{\"cut sho"), 0o600))
	h.run()
	added, _ := h.add(sink.Input{Kind: sink.File, Address: secret.New("history.jsonl")})
	first := h.record(h.edited("one"))
	h.done(added.ID, first)
	h.must(os.Rename(path, path+".1"))
	last := h.record(h.edited("two"))
	h.done(added.ID, last)
	rotated, err := os.ReadFile(path + ".1")
	h.must(err)
	begun, rest, _ := strings.Cut(string(rotated), "cut sho\n")
	if begun != "{\"seq\":0}\n{\"" {
		t.Errorf("it begins with %q", begun)
	}
	now, err := os.ReadFile(path)
	h.must(err)
	if diff := cmp.Diff(span(1, last), h.seqs(rest+string(now))); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(path)
	h.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// A full disk loses nothing and says so; a link out of the directory is refused.
func TestFileTrouble(t *testing.T) {
	h := newHouse(t)
	h.must(os.MkdirAll(h.settings.Dir, 0o700))
	outside := filepath.Join(t.TempDir(), "outside")
	h.must(os.Symlink(outside, filepath.Join(h.settings.Dir, "link")))
	h.run()
	link, _ := h.add(sink.Input{Kind: sink.File, Name: "link", Address: secret.New("link")})
	h.until("it fails", func() bool { return h.sink(link.ID).Health.Tries > 0 })
	if k := h.sink(link.ID); k.Health.Problem != "The file can't be written." {
		t.Errorf("%+v", k.Health)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("it wrote outside its directory")
	}
	h.stop()

	dir := h.settings.Dir
	h.settings.Dir = "/dev" // where the disk called full is
	h.run()
	full, _ := h.add(sink.Input{Kind: sink.File, Name: "full", Address: secret.New("full")})
	h.until("it fails", func() bool { return h.sink(full.ID).Health.Tries > 1 })
	if k := h.sink(full.ID); k.Health.Problem != "The disk is full." || k.Cursor != 0 {
		t.Errorf("%+v", k)
	}
	h.stop()
	h.settings.Dir = dir
	h.run()
	h.done(full.ID, h.head())
	text, err := os.ReadFile(filepath.Join(dir, "full"))
	h.must(err)
	if diff := cmp.Diff(span(1, h.head()), h.seqs(string(text))); diff != "" {
		t.Error(diff)
	}
}

// The native format has the hashed bytes as they are, and personal data only
// where it was allowed.
func TestNative(t *testing.T) {
	h := newHouse(t)
	h.run()
	with, _ := h.add(sink.Input{Kind: sink.File, Name: "with", Address: secret.New("with"), Personal: true})
	without, _ := h.add(sink.Input{Kind: sink.File, Name: "without", Address: secret.New("without")})
	last := h.record(h.edited("<&> naïve 名"))
	h.done(with.ID, last)
	h.done(without.ID, last)
	rows, err := h.Store.HistoryAfter(t.Context(), last-1, 1)
	h.must(err)
	for name, personal := range map[string]bool{"with": true, "without": false} {
		text, err := os.ReadFile(filepath.Join(h.settings.Dir, name))
		h.must(err)
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		line := lines[last-1]
		var got struct {
			Hash     string
			Body     json.RawMessage
			Personal map[string]string
		}
		h.must(json.Unmarshal([]byte(line), &got))
		if !strings.Contains(line, string(rows[0].Body)) || got.Hash != audit.HashBody(got.Body).String() || got.Hash != rows[0].Hash.String() {
			t.Errorf("%s: %s", name, line)
		}
		for _, private := range []string{"Ada", "ada@example.com", "192.0.2.1", "asked for by support"} {
			if strings.Contains(line, private) != personal {
				t.Errorf("%s: %q is there: %v", name, private, !personal)
			}
		}
	}
}

// What the schema requires of its classes, as its own files have it.
var required = map[int][]string{
	3001: {"user"},
	3002: {"user", "service"},
	3004: {"entity"},
}

func TestOCSF(t *testing.T) {
	h := newHouse(t)
	h.run()
	with, _ := h.add(sink.Input{Kind: sink.File, Name: "with", Address: secret.New("with"), Format: sink.OCSF, Personal: true})
	without, _ := h.add(sink.Input{Kind: sink.File, Name: "without", Address: secret.New("without"), Format: sink.OCSF})
	from := h.head()
	events := []audit.Event{
		h.edited("github"),
		{Actor: audit.Actor{Kind: audit.ActorUnknown, IP: "192.0.2.9"}, Action: "session.refused", Outcome: audit.Denied, Object: audit.Object{Kind: "session"}},
		{Actor: h.ada.Actor(), Action: "session.signed_in", Object: audit.Object{Kind: "session", ID: "ses_1", Name: "Ada"}},
		{Actor: h.ada.Actor(), Action: "user.disabled", Object: audit.Object{Kind: "user", ID: "usr_2", Name: "Emil"}},
		{Actor: audit.Actor{Kind: audit.ActorOutside}, Action: "auth_config.deleted_outside", Object: audit.Object{Kind: "auth_config", ID: "ac_1", Name: "github"}},
		{Actor: audit.System(), Action: "apply.unknown", Outcome: audit.Unknown, Object: audit.Object{Kind: "break_glass"}},
	}
	want := []struct{ class, activity, severity, status float64 }{
		{3004, 3, 1, 1}, {3002, 1, 2, 2}, {3002, 1, 1, 1}, {3001, 5, 1, 1}, {3004, 4, 3, 1}, {3004, 99, 3, 0},
	}
	last := h.record(events...)
	h.done(with.ID, last)
	h.done(without.ID, last)
	for name, personal := range map[string]bool{"with": true, "without": false} {
		text, err := os.ReadFile(filepath.Join(h.settings.Dir, name))
		h.must(err)
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		for i, line := range lines {
			var e map[string]any
			h.must(json.Unmarshal([]byte(line), &e))
			class := int(e["class_uid"].(float64))
			for _, field := range append([]string{"activity_id", "category_uid", "metadata", "severity_id", "time", "type_uid", "status_id"}, required[class]...) {
				if e[field] == nil {
					t.Errorf("%s has no %s", line, field)
				}
			}
			meta := e["metadata"].(map[string]any)
			if e["type_uid"].(float64) != e["class_uid"].(float64)*100+e["activity_id"].(float64) || meta["version"] != "1.3.0" || meta["uid"] != strconv.Itoa(i+1) {
				t.Errorf("%s", line)
			}
			if n := int64(i) - from; n >= 0 {
				w := want[n]
				if e["class_uid"] != w.class || e["activity_id"] != w.activity || e["severity_id"] != w.severity || e["status_id"] != w.status {
					t.Errorf("%s, want %v", line, w)
				}
			}
		}
		edited := lines[from]
		for _, private := range []string{`"name":"Ada"`, `"email_addr":"ada@example.com"`, `"src_endpoint":{"ip":"192.0.2.1"}`, `"comment":"asked for by support"`} {
			if strings.Contains(edited, private) != personal {
				t.Errorf("%s: %s is there: %v\n%s", name, private, !personal, edited)
			}
		}
		if !strings.Contains(edited, `"unmapped":{"changes":[{"field":"scopes","before":["repo"],"after":["repo","user"]}]`) || !strings.Contains(edited, `"correlation_uid":"chg_1"`) {
			t.Error(edited)
		}
	}
}
