package notify_test

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"gatehouse/internal/access"
)

// A mailbox is a mail server that keeps what it is given.
type mailbox struct {
	addr string
	fail atomic.Int64 // how many mails are refused next
	mu   sync.Mutex
	got  []letter
	raw  strings.Builder
	user string
}

type letter struct {
	to      string
	subject string
	body    string
	header  mail.Header
}

// newMailbox starts a mail server; one with TLS offers STARTTLS.
func newMailbox(t *testing.T, tls *tls.Config) *mailbox {
	t.Helper()
	b := &mailbox{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: b}, nil }))
	server.Domain, server.AllowInsecureAuth, server.TLSConfig = "localhost", tls == nil, tls
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return b
}

func (b *mailbox) all() []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]letter{}, b.got...)
}

// to are the mails to somebody.
func (b *mailbox) to(who access.Reader) []letter {
	var out []letter
	for _, l := range b.all() {
		if l.to == who.Email {
			out = append(out, l)
		}
	}
	return out
}

// A delivery implements [smtp.Session].
type delivery struct {
	box *mailbox
	to  string
}

func (*delivery) Reset()                               {}
func (*delivery) Logout() error                        { return nil }
func (*delivery) Mail(string, *smtp.MailOptions) error { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = to
	return nil
}

// AuthMechanisms implements [smtp.AuthSession].
func (*delivery) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements [smtp.AuthSession].
func (d *delivery) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "right" {
			return smtp.ErrAuthFailed
		}
		d.box.mu.Lock()
		defer d.box.mu.Unlock()
		d.box.user = user
		return nil
	}), nil
}

func (d *delivery) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if d.box.fail.Add(-1) >= 0 {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again"}
	}
	m, err := mail.ReadMessage(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	subject, err := decodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return err
	}
	body, err := decodeBody(m)
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.raw.Write(text)
	d.box.got = append(d.box.got, letter{d.to, subject, body, m.Header})
	return err
}

func decodeHeader(s string) (string, error) { return new(mime.WordDecoder).DecodeHeader(s) }

// decodeBody undoes the transfer encoding of a mail of one part.
func decodeBody(m *mail.Message) (string, error) {
	r := m.Body
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	text, err := io.ReadAll(r)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}
