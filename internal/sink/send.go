package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"gatehouse/internal/audit"
	"gatehouse/internal/outbound"
	"gatehouse/internal/problem"
)

// send gives lines to a sink. What the receiver or the way there is to blame for
// comes back as a problem.
func (s *Service) send(ctx context.Context, k Sink, lines []line) error {
	address, err := s.keys.Open(k.Address, sinkTable, k.ID, addressField)
	if err != nil {
		return fmt.Errorf("address of sink %s: %w", k.ID, err)
	}
	switch k.Kind {
	case HTTPS:
		return s.post(ctx, k, address.Reveal(), lines)
	case File:
		return s.appendTo(address.Reveal(), joined(lines))
	}
	var frames []byte
	for _, l := range lines {
		frames = append(frames, s.frame(l)...)
	}
	addr, complaint := s.out.CheckAddr(address.Reveal(), k.Kind == SyslogTLS)
	if complaint != "" {
		return problem.New(problem.Invalid, "%s", complaint)
	}
	return s.out.Stream(ctx, addr, k.Kind == SyslogTLS, frames)
}

// joined are lines with their ends.
func joined(lines []line) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		b.Write(l.text)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// post posts lines as one signed body.
func (s *Service) post(ctx context.Context, k Sink, url string, lines []line) error {
	key, err := s.keys.Open(k.Key, sinkTable, k.ID, keyField)
	if err != nil {
		return fmt.Errorf("key of sink %s: %w", k.ID, err)
	}
	body := joined(lines)
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	header.Set(outbound.SignatureHeader, outbound.Sign(key, s.now(), body))
	header.Set(outbound.DeliveryHeader, k.ID+"-"+strconv.FormatInt(lines[0].seq, 10)+"-"+strconv.FormatInt(lines[len(lines)-1].seq, 10))
	return s.out.Post(ctx, url, header, body)
}

// Parts of an RFC 5424 message.
const (
	facility  = 13 // log audit
	maxMsgID  = 32
	maxHost   = 255
	nilValue  = "-"
	appName   = "gatehouse"
	syslogVer = "1"
)

// syslogSeverity is error for what failed, warning for what was refused or is
// unknown, and notice for everything else.
func syslogSeverity(outcome string) int {
	switch outcome {
	case audit.Failed:
		return 3
	case audit.Denied, audit.Unknown:
		return 4
	}
	return 5
}

// frame is a line as an RFC 5424 message, with its length before it (RFC 6587's
// octet counting, which RFC 5425 demands).
func (s *Service) frame(l line) []byte {
	header := fmt.Sprintf("<%d>%s %s %s %s %s %s %s ", facility*8+syslogSeverity(l.entry.Outcome), syslogVer,
		l.entry.Time.Format(audit.TimeFormat), printable(s.settings.Host, maxHost), appName, nilValue, printable(l.entry.Action, maxMsgID), nilValue)
	return fmt.Appendf(nil, "%d %s%s", len(header)+len(l.text), header, l.text)
}

// printable is a header field: visible ASCII, or the nil value.
func printable(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, text)
	if text == "" {
		return nilValue
	}
	return text[:min(len(text), most)]
}

// appendTo appends to a file and makes it durable. The file is opened each time,
// so that it may be moved away at any moment; what was begun and could not be
// finished is cut off again.
func (s *Service) appendTo(name string, data []byte) error {
	s.files.Lock()
	defer s.files.Unlock()
	err := s.appendLocked(name, data)
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return problem.New(problem.Unavailable, "The disk is full.").Because(err)
	case err != nil:
		return problem.New(problem.Unavailable, "The file can't be written.").Because(err)
	}
	return nil
}

func (s *Service) appendLocked(name string, data []byte) (err error) {
	if err := os.MkdirAll(s.settings.Dir, 0o700); err != nil {
		return err
	}
	dir, err := os.OpenRoot(s.settings.Dir) // a link out of it leads nowhere
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // it was only looked through
	f, err := dir.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		return errors.New("not a file")
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		data = append([]byte{'\n'}, data...) // after a line that a crash cut short
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Truncate(info.Size()))
	}
	if info.Size() > 0 {
		return f.Sync()
	}
	parent, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), parent.Sync(), parent.Close()) // the name is durable too
}
