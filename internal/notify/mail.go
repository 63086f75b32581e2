package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Ways to protect the connection to the mail server.
const (
	StartTLS = "starttls"
	TLS      = "tls"
	NoTLS    = "none"
)

// Mail is the server that mail goes to. Without an address there is no mail.
type Mail struct {
	Addr     string // host:port
	From     string
	User     string // empty: no sign-in
	Password secret.Value
	TLS      string // [StartTLS] unless said otherwise
}

// Enabled reports whether mail is sent.
func (m Mail) Enabled() bool { return m.Addr != "" }

// Check says what is wrong with the settings.
func (m Mail) Check() error {
	if !m.Enabled() {
		return nil
	}
	host, port, err := net.SplitHostPort(m.Addr)
	if err != nil || host == "" {
		return fmt.Errorf("the mail server %q should look like mail.example.com:587", m.Addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("the mail server %q has no usable port", m.Addr)
	}
	if _, err := netmail.ParseAddress(m.From); err != nil {
		return fmt.Errorf("the sender %q is not an e-mail address", m.From)
	}
	if (m.User == "") != m.Password.Empty() {
		return errors.New("user and password of the mail server go together")
	}
	ip := net.ParseIP(host)
	if m.TLS == NoTLS && m.User != "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("a password would go to the mail server in the clear: use starttls or tls")
	}
	return nil
}

const mailTimeout = 30 * time.Second

func (m Mail) client() (*mail.Client, error) {
	host, port, err := net.SplitHostPort(m.Addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	options := []mail.Option{mail.WithPort(n), mail.WithTimeout(mailTimeout)}
	signIn := mail.SMTPAuthAutoDiscover
	switch m.TLS {
	case TLS:
		options = append(options, mail.WithSSL())
	case NoTLS:
		signIn = mail.SMTPAuthPlainNoEnc // Check allows it on this machine only
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.User != "" {
		options = append(options, mail.WithSMTPAuth(signIn), mail.WithUsername(m.User), mail.WithPassword(m.Password.Reveal()))
	}
	return mail.NewClient(host, options...)
}

// A letter is one mail. The id is the same whenever it is sent again.
type letter struct {
	to      string
	subject string
	body    string
	id      string
	thread  string // mails about one change request belong together
}

func (s *Service) sendLetter(ctx context.Context, l letter) error {
	if l.to == "" {
		return nil // they have no address, and read it in the console
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	host := "gatehouse"
	if u, err := url.Parse(s.settings.PublicURL); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	if err := errors.Join(m.From(s.settings.Mail.From), m.To(l.to)); err != nil {
		return problem.New(problem.Invalid, "The address of the sender or of the recipient is no good.").Because(err)
	}
	m.Subject(l.subject)
	m.SetDate()
	m.SetMessageIDWithValue(l.id + "@" + host)
	if l.thread != "" {
		m.SetGenHeader(mail.HeaderReferences, "<"+l.thread+"@"+host+">")
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	m.SetBodyString(mail.TypeTextPlain, l.body)
	c, err := s.settings.Mail.client()
	if err != nil {
		return problem.New(problem.Unavailable, "The settings of the mail server are no good.").Because(err)
	}
	err = c.DialAndSendWithContext(ctx, m)
	var refused *mail.SendError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return problem.New(problem.Unavailable, "The mail server did not take the mail.").Because(err)
	}
	return problem.New(problem.Unavailable, "The mail server can't be reached, or refuses the connection or the sign-in.").Because(err)
}

// mail sends one message to one person.
func (s *Service) mail(ctx context.Context, u access.User, m Message) error {
	body := []string{
		m.Text + ".", "",
		"Title:   " + m.Title,
		"About:   " + m.where(),
		"By:      " + m.Who,
		"When:    " + stamp(m.At), "",
		"Open the " + m.subject + ": " + m.Link,
	}
	if m.Advice != "" {
		body = append(body, "", m.Advice)
	}
	if m.State != "" {
		body = slices.Insert(body, 4, "State:   "+strings.ReplaceAll(m.State, "_", " "))
	}
	return s.sendLetter(ctx, letter{
		to: u.Email, subject: m.Text, body: s.signed(body),
		id: fmt.Sprintf("%d.%s", m.Seq, u.ID), thread: m.Request,
	})
}

// mailDigest sends many messages to one person as one mail.
func (s *Service) mailDigest(ctx context.Context, u access.User, all []Message) error {
	var body []string
	for _, m := range all {
		body = append(body, "- "+m.Text, "  "+stamp(m.At)+"  "+m.Link)
	}
	subject := fmt.Sprintf("Gatehouse: %d notifications", len(all))
	last := all[len(all)-1]
	return s.sendLetter(ctx, letter{to: u.Email, subject: subject, body: s.signed(body), id: fmt.Sprintf("digest.%d.%s", last.Seq, u.ID)})
}

func (s *Service) signed(lines []string) string {
	lines = append(lines, "", "-- ", "Choose what you are told: "+s.settings.PublicURL+"/account/notifications", "")
	return strings.Join(lines, "\n")
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }
