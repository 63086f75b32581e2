// Package sink streams history to other systems, such as a SIEM. Each sink has a
// cursor of its own that moves once the receiver has what came before it: every
// entry is delivered at least once, and in order. A sink that fails, or never
// answers, delays nobody but itself.
package sink

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
)

// Kinds of sink.
const (
	HTTPS     = "https"      // signed posts of NDJSON
	SyslogTLS = "syslog_tls" // RFC 5424 messages by RFC 5425
	SyslogTCP = "syslog_tcp" // the same unencrypted, with RFC 6587's octet counting
	File      = "file"       // lines that are appended
)

// Kinds lists the kinds of sink.
func Kinds() []string { return []string{HTTPS, SyslogTLS, SyslogTCP, File} }

// Formats of what is delivered.
const (
	Native = "native" // the hashed bytes of an entry, and their hash
	OCSF   = "ocsf"   // events of the Open Cybersecurity Schema Framework
)

// Formats lists the formats.
func Formats() []string { return []string{Native, OCSF} }

// A Sink is a system that history is streamed to.
type Sink struct {
	ID       string // snk_…
	Kind     string
	Name     string
	Format   string
	Shown    string // what of the address may be seen
	Address  []byte // sealed: a URL, host:port, or the name of a file
	Key      []byte // sealed; empty unless Kind is [HTTPS]
	Filter   string // a history query; empty lets everything through
	Personal bool   // names, addresses and reasons go along
	Paused   bool
	Created  time.Time

	Cursor int64 // the last entry that was delivered, or that the filter kept back
	Epoch  int64 // grows when the cursor is set by hand
	Health Health
}

// Health is how deliveries to a sink went.
type Health struct {
	OKAt     time.Time
	FailedAt time.Time
	Problem  string    // of the last failure, in words for admins
	Tries    int       // since the last success
	Due      time.Time // of the next try; zero for at once
}

func (k Sink) event(by access.Reader, action string) audit.Event {
	return audit.Event{Actor: by.Actor(), Action: action, Object: audit.Object{Kind: "sink", ID: k.ID, Name: k.Name}}
}

// Places of what is sealed.
const sinkTable, addressField, keyField = "sink", "address", "key"

// Where a new sink begins.
const (
	FromNow   = "now"   // with what happens next
	FromStart = "start" // with the first entry
)

// An Input is what an admin says of a new sink.
type Input struct {
	Kind     string
	Name     string
	Format   string
	Address  secret.Value
	Filter   string
	Personal bool
	From     string
}

const (
	maxName   = 60    // characters
	maxFilter = 1_000 // bytes
)

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// check cleans what was typed and returns complaints by field.
func (s *Service) check(ctx context.Context, in *Input) map[string]string {
	wrong := map[string]string{}
	choice := func(field, value string, of []string) {
		if !slices.Contains(of, value) {
			wrong[field] = "Choose from what is listed."
		}
	}
	choice("kind", in.Kind, Kinds())
	choice("format", in.Format, Formats())
	choice("from", in.From, []string{FromNow, FromStart})
	in.Name, in.Filter = strings.Join(strings.Fields(in.Name), " "), strings.TrimSpace(in.Filter)
	if in.Name == "" || len([]rune(in.Name)) > maxName || strings.ContainsFunc(in.Name, func(r rune) bool { return unicode.In(r, unicode.C) }) {
		wrong["name"] = "Enter a name of at most 60 characters that can be seen."
	}
	if len(in.Filter) > maxFilter {
		wrong["filter"] = "Use at most 1,000 characters."
	} else if _, err := s.store.SinkFilter(ctx, in.Filter); err != nil {
		wrong["filter"] = err.Error()
	}
	if wrong["kind"] == "" {
		address, complaint := s.checkAddress(in.Kind, in.Address.Reveal())
		if in.Address = secret.New(address); complaint != "" {
			wrong["address"] = complaint
		}
	}
	return wrong
}

// checkAddress cleans an address, or says what is wrong with it.
func (s *Service) checkAddress(kind, raw string) (address, complaint string) {
	raw = strings.TrimSpace(raw)
	switch kind {
	case HTTPS:
		_, complaint = s.out.CheckURL(raw)
		return raw, complaint
	case File:
		if !fileName.MatchString(raw) {
			return raw, "Enter a name such as history.jsonl: letters, digits, dots, hyphens and underscores."
		}
		return raw, ""
	}
	return s.out.CheckAddr(raw, kind == SyslogTLS)
}

// shown is what of an address may be seen.
func (s *Service) shown(kind string, address secret.Value) string {
	if kind != HTTPS {
		return address.Reveal()
	}
	u, _ := s.out.CheckURL(address.Reveal())
	return u.Host + "/…" + address.Last4()
}
