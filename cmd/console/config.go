package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/archive"
	"gatehouse/internal/mirror"
	"gatehouse/internal/notify"
	"gatehouse/internal/outbound"
	"gatehouse/internal/secret"
	"gatehouse/internal/signon"
	"gatehouse/internal/sink"
)

// directory says where the data lies. Every subcommand that works on it has it.
type directory struct {
	DataDir string `env:"CONSOLE_DATA_DIR" default:"./data" type:"path" help:"Directory of the database and the key. It is made if need be and must not be readable by others."`
	KeyFile string `env:"CONSOLE_KEY_FILE" type:"path" help:"Key that credentials are sealed with (default: console.key in the data directory). It is made on first start; keep a copy apart from the database."`
}

// web says how people reach the console.
type web struct {
	Addr           string   `env:"CONSOLE_ADDR" default:"127.0.0.1:8080" help:"Address to listen on."`
	PublicURL      string   `env:"CONSOLE_PUBLIC_URL" help:"What people type into the browser, such as https://gatehouse.example.com (default: http:// and the address)."`
	InsecureHTTP   bool     `env:"CONSOLE_INSECURE_HTTP" help:"Allow a public URL with http that isn't a loopback address. Sessions can be stolen on the way."`
	TrustedProxies []string `env:"CONSOLE_TRUSTED_PROXIES" help:"Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8."`
}

// behaviour says how the console works.
type behaviour struct {
	SyncInterval time.Duration `env:"CONSOLE_SYNC_INTERVAL" default:"60s" help:"How often Composio is read."`
	ApplyGrace   time.Duration `env:"CONSOLE_APPLY_GRACE" default:"120s" help:"How long after a lost answer a change may still arrive at Composio. Nothing is sent again before."`
	LogLevel     slog.Level    `env:"CONSOLE_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	Timeout      time.Duration `env:"COMPOSIO_TIMEOUT" default:"30s" help:"How long one call to Composio may take."`
	APIVersion   string        `env:"COMPOSIO_API_VERSION" default:"v3.1" enum:"v3,v3.1" help:"Version of Composio's API."`
	DatabaseURL  string        `env:"CONSOLE_DATABASE_URL" help:"Must be empty: SQLite in the data directory is the only database of this version."`
	MetricsAddr  string        `env:"CONSOLE_METRICS_ADDR" help:"Address that Prometheus reads metrics at, on /metrics, such as 127.0.0.1:9090; /readyz there says what is wrong. Whoever reaches it needs no password: keep it inside. Off unless set."`
}

// factors say who has to have a second factor.
type factors struct {
	SecondFactor string `env:"CONSOLE_SECOND_FACTOR" default:"approver,admin" help:"Roles that ask for a second factor, comma separated, or none."`
}

// required are the names of the roles that ask for a second factor. All must be
// known.
func (f factors) required(known []string) ([]string, error) {
	if strings.TrimSpace(f.SecondFactor) == "none" {
		return nil, nil
	}
	var names []string
	for _, name := range strings.Split(f.SecondFactor, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("CONSOLE_SECOND_FACTOR: there is no role %q; roles are %s. Write none if nobody has to have a second factor", name, strings.Join(known, ", "))
		}
		names = append(names, name)
	}
	return names, nil
}

// signing says how people sign in.
type signing struct {
	OIDCFile    string `name:"oidc-file" env:"CONSOLE_OIDC_FILE" type:"path" help:"File (JSON) of the identity providers that people may sign in through; see docs/people.md."`
	LocalSignIn string `name:"local-signin" env:"CONSOLE_LOCAL_SIGNIN" default:"open" enum:"open,emergency" help:"Who may sign in but through a provider: open, everybody who has a passphrase or passkey; emergency, only accounts made with 'console user add --emergency'."`
}

// providers reads the identity providers.
func (s signing) providers() ([]signon.Setting, error) {
	if s.OIDCFile == "" {
		if s.closed() {
			return nil, errors.New("CONSOLE_LOCAL_SIGNIN=emergency takes identity providers: name them with CONSOLE_OIDC_FILE")
		}
		return nil, nil
	}
	found, err := signon.Load(s.OIDCFile)
	if err != nil {
		return nil, fmt.Errorf("CONSOLE_OIDC_FILE: %w", err)
	}
	return found, nil
}

func (s signing) closed() bool { return s.LocalSignIn == "emergency" }

// receivers are where notifications may go beside the public internet.
type receivers struct {
	NotifyPrivate []string `env:"CONSOLE_NOTIFY_PRIVATE" help:"Receivers of notifications and sinks, as host:port, that may have an address which is not public, and go unencrypted."`
}

// sinks are where history is streamed to.
type sinks struct {
	SinkDir string `env:"CONSOLE_SINK_DIR" type:"path" help:"Directory for the files that sinks write (default: sinks in the data directory)."`
}

// streams are the settings of what streams history.
func (s sinks) streams(d directory, host string, receivers outbound.Rules) sink.Settings {
	dir := s.SinkDir
	if dir == "" {
		dir = filepath.Join(d.DataDir, "sinks")
	}
	return sink.Settings{Host: host, Version: version, Dir: dir, Receivers: receivers, Retry: sink.DefaultRetry, Gather: sink.DefaultGather}
}

// retention says how long history stays in the database.
type retention struct {
	Retention  int    `env:"CONSOLE_RETENTION" default:"0" help:"Months that entries of history stay in the database, from 3 to 1200; then they leave it for signed archives, month by month. 0: for ever."`
	ArchiveDir string `env:"CONSOLE_ARCHIVE_DIR" type:"path" help:"Directory for archives of history (default: archive in the data directory). Keep copies of what lies there."`
}

// The shortest and longest times that entries stay, in months.
const leastRetention, mostRetention = 3, 1200

func (r retention) checkRetention() error {
	if r.Retention != 0 && (r.Retention < leastRetention || r.Retention > mostRetention) {
		return fmt.Errorf("CONSOLE_RETENTION must be 0, or between %d and %d months", leastRetention, mostRetention)
	}
	return nil
}

// archiving are the settings of what archives history.
func (r retention) archiving(d directory) archive.Settings {
	dir := r.ArchiveDir
	if dir == "" {
		dir = filepath.Join(d.DataDir, "archive")
	}
	return archive.Settings{Months: r.Retention, Dir: dir}
}

// notifications say how people are told what happens.
type notifications struct {
	receivers
	sinks
	SMTPAddr         string `name:"smtp-addr" env:"CONSOLE_SMTP_ADDR" help:"Mail server that notifications go to, as host:port. Without it no mail is sent."`
	SMTPFrom         string `name:"smtp-from" env:"CONSOLE_SMTP_FROM" help:"Sender of notifications, such as gatehouse@example.com."`
	SMTPUser         string `name:"smtp-user" env:"CONSOLE_SMTP_USER" help:"User at the mail server, if it wants one."`
	SMTPPasswordFile string `name:"smtp-password-file" env:"CONSOLE_SMTP_PASSWORD_FILE" type:"path" help:"File that holds the password at the mail server."`
	SMTPTLS          string `name:"smtp-tls" env:"CONSOLE_SMTP_TLS" default:"starttls" enum:"starttls,tls,none" help:"How the connection to the mail server is protected: starttls, tls from the start, or none."`
}

// settings are the service's. The password is read once, at start. What is closed
// tells nobody but the receivers that are named.
func (n notifications) settings(public string, closed bool) (notify.Settings, error) {
	s := notify.Settings{PublicURL: public, Receivers: outbound.Rules{Closed: closed}, Retry: notify.DefaultRetry, Mail: notify.Mail{Addr: n.SMTPAddr, From: n.SMTPFrom, User: n.SMTPUser, TLS: n.SMTPTLS}}
	if n.SMTPPasswordFile != "" {
		text, err := os.ReadFile(n.SMTPPasswordFile)
		if err != nil {
			return s, fmt.Errorf("CONSOLE_SMTP_PASSWORD_FILE: %w", err)
		}
		s.Mail.Password = secret.New(strings.TrimRight(string(text), "\r\n"))
	}
	for _, p := range n.NotifyPrivate {
		host, port, err := net.SplitHostPort(strings.TrimSpace(p))
		if err != nil || host == "" || port == "" {
			return s, fmt.Errorf("CONSOLE_NOTIFY_PRIVATE: %q should look like chat.internal:443", p)
		}
		s.Receivers.Private = append(s.Receivers.Private, net.JoinHostPort(strings.ToLower(host), port))
	}
	if err := s.Mail.Check(); err != nil {
		return s, fmt.Errorf("CONSOLE_SMTP_…: %w", err)
	}
	return s, nil
}

// remote is the Composio project that is made on first start. The key is taken
// from the environment alone: arguments can be read by others.
type remote struct {
	BaseURL     string `env:"COMPOSIO_BASE_URL" default:"https://backend.composio.dev" help:"Composio's address, for the project that COMPOSIO_API_KEY makes."`
	Environment string `env:"CONSOLE_ENVIRONMENT" default:"production" enum:"development,staging,production" help:"Environment of the project that COMPOSIO_API_KEY makes."`
}

const envAPIKey = "COMPOSIO_API_KEY"

// otherSettings are environment variables that no flag stands for.
var otherSettings = []string{envAPIKey, "CONSOLE_SANDBOX_ADDR", "CONSOLE_DEMO_PASSPHRASE", "CONSOLE_FAILPOINT"}

// warnOfUnknown names the settings that look like ours and are none: they are
// probably misspelt.
func warnOfUnknown(log *slog.Logger, known []string) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		ours := strings.HasPrefix(name, "CONSOLE_") || strings.HasPrefix(name, "COMPOSIO_")
		if ours && !slices.Contains(known, name) && !slices.Contains(otherSettings, name) {
			log.Warn("this setting is not known and has no effect; is it misspelt?", "name", name)
		}
	}
}

// publicURL is the address that people use. Sessions need https, but for
// loopback addresses.
func (w web) publicURL() (*url.URL, error) {
	raw := w.PublicURL
	if raw == "" {
		host, port, err := net.SplitHostPort(w.Addr)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", w.Addr, err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "localhost"
		}
		raw = "http://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return nil, fmt.Errorf("public URL %q should look like https://gatehouse.example.com", raw)
	case u.Scheme == "https", u.Scheme == "http" && (w.InsecureHTTP || loopbackHost(u.Hostname())):
		return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
	}
	return nil, fmt.Errorf("public URL %q must be https: without TLS, sessions can be stolen on the way (CONSOLE_INSECURE_HTTP=1 allows it all the same)", raw)
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (w web) proxies() ([]*net.IPNet, error) {
	var out []*net.IPNet
	for _, p := range w.TrustedProxies {
		_, n, err := net.ParseCIDR(strings.TrimSpace(p))
		if err != nil {
			return nil, fmt.Errorf("trusted proxies: %w", err)
		}
		out = append(out, n)
	}
	return out, nil
}

func (b behaviour) check() error {
	switch {
	case b.DatabaseURL != "":
		return errors.New("CONSOLE_DATABASE_URL: this version keeps its data in SQLite only; leave it empty")
	case b.SyncInterval < time.Second:
		return errors.New("CONSOLE_SYNC_INTERVAL must be at least 1s")
	case b.ApplyGrace < time.Second:
		return errors.New("CONSOLE_APPLY_GRACE must be at least 1s")
	case b.Timeout < 100*time.Millisecond || b.Timeout > time.Minute:
		return errors.New("COMPOSIO_TIMEOUT must be between 100ms and 1m")
	}
	return nil
}

// readBudget is how many reads a minute each project allows itself. Composio's
// smallest plan grants 2,000 calls a minute to a whole organization (its
// rate-limits page).
const readBudget = 1000

func (b behaviour) mirror() mirror.Settings {
	return mirror.Settings{SyncInterval: b.SyncInterval, APIVersion: b.APIVersion, Timeout: b.Timeout, ReadBudget: readBudget}
}
