// Package app answers HTTP requests: it reads what came in, calls one domain
// service, and shows the outcome.
package app

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/archive"
	"gatehouse/internal/change"
	"gatehouse/internal/evidence"
	"gatehouse/internal/health"
	"gatehouse/internal/mirror"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/internal/review"
	"gatehouse/internal/scim"
	"gatehouse/internal/secret"
	"gatehouse/internal/signon"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
	"gatehouse/web/static"
)

// Options are what a server is made of.
type Options struct {
	Store   *store.Store
	Mirror  *mirror.Service
	Changes *change.Service
	Access  *access.Service
	Notify  *notify.Service
	Witness *witness.Service
	Archive *archive.Service
	Sinks   *sink.Service
	Keys    *secret.Keyring
	SignOn  *signon.Service // no providers if nil
	Health  *health.Service

	PublicURL      *url.URL // what people type into the browser
	TrustedProxies []*net.IPNet
	Build          string // names the version of the program
	Demo           []DemoUser
	SecondFactor   []string // names of the roles that ask for one
	Now            func() time.Time
	Log            *slog.Logger
	Answered       func(method, route string, status int, took time.Duration) // told of each request; nobody is if nil
	Stop           <-chan struct{}                                            // closed when the server is to stop; event streams end then
}

// A DemoUser is somebody whom the demo signs in with one click.
type DemoUser struct {
	Email string
	Role  string
	Hint  string
}

// A Server answers requests.
type Server struct {
	store     *store.Store
	mirror    *mirror.Service
	changes   *change.Service
	access    *access.Service
	notify    *notify.Service
	evidence  *evidence.Service
	witness   *witness.Service
	archive   *archive.Service
	reviewer  *review.Service
	sinks     *sink.Service
	api       *api.Service
	scim      *scim.Service
	keys      *secret.Keyring
	prover    *access.Prover
	signon    *signon.Service
	health    *health.Service
	answered  func(method, route string, status int, took time.Duration)
	public    *url.URL
	build     string
	demo      []DemoUser
	now       func() time.Time
	log       *slog.Logger
	sessions  sessions.Store
	limits    *limits
	searchers *searchers
	reads     *reads
	lists     lists
	streams   streams
	beat      time.Duration // between the signs of life of a stream
	stop      <-chan struct{}
	started   time.Time
	echo      *echo.Echo
}

// New returns the handler for all requests.
func New(o Options) (http.Handler, error) {
	h, _, err := build(o)
	return h, err
}

func build(o Options) (http.Handler, *Server, error) {
	if missing := static.Missing(); missing != "" {
		return nil, nil, problem.New(problem.Unavailable, "%s", missing)
	}
	s := &Server{
		evidence: evidence.NewService(o.Store, o.Witness, o.Now), reviewer: review.NewService(o.Store, o.Now),
		store: o.Store, mirror: o.Mirror, changes: o.Changes, access: o.Access, notify: o.Notify, sinks: o.Sinks, witness: o.Witness, archive: o.Archive, keys: o.Keys, signon: o.SignOn, health: o.Health, answered: o.Answered,
		public: o.PublicURL, build: buildTag(o.Build), demo: o.Demo, now: o.Now, log: o.Log,
		limits: newLimits(o.Now), searchers: newSearchers(), reads: newReads(o.Now), started: o.Now(), beat: defaultBeat, stop: o.Stop,
	}
	if s.signon == nil {
		s.signon = signon.NewService(nil, o.Keys, o.PublicURL.String(), o.Now, nil)
	}
	var err error
	if s.prover, err = access.NewProver(o.Access, access.ProverSettings{Public: o.PublicURL, Required: o.SecondFactor}); err != nil {
		return nil, nil, err
	}
	s.sessions = newSessionStore(s.secureCookies())
	s.api = api.New(api.Options{
		Store: o.Store, Mirror: o.Mirror, Changes: o.Changes, Access: o.Access, Keys: o.Keys, PublicURL: o.PublicURL.String(), Now: o.Now,
		Allow: s.limits.allow, Search: s.limitedSearch, Read: s.noteRead,
	})
	s.scim = scim.New(scim.Options{
		Access: o.Access, PublicURL: strings.TrimRight(o.PublicURL.String(), "/"), Issuer: s.signon.Issuer, Recheck: o.Changes.Recheck, Allow: s.limits.allow, Log: o.Log,
	})
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.fail
	e.IPExtractor = ipExtractor(o.TrustedProxies)
	e.Pre(s.count, s.identify, s.harden, s.checkHost)
	e.Use(s.holdKeys, s.recoverPanics)
	s.echo = e
	s.addRoutes()
	h, err := s.wrap(e)
	return h, s, err
}

// wrap puts the walls around everything that Echo does.
func (s *Server) wrap(h http.Handler) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.echo.NewContext(r, w)
		_ = s.identify(s.harden(func(c echo.Context) error { // it answers by itself
			s.fail(problem.New(problem.Forbidden, "This request came from another site and was refused. Nothing was changed. Open the page here and try again."), c)
			return nil
		}))(c)
	}))
	if err := cross.AddTrustedOrigin(s.public.Scheme + "://" + s.public.Host); err != nil {
		return nil, err
	}
	zip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.CompressionLevel(1), gzhttp.ContentTypes([]string{"text/html", "application/json"}))
	if err != nil {
		return nil, err
	}
	return zip(cross.Handler(h)), nil
}

// ipExtractor believes X-Forwarded-For only from proxies that are trusted.
func ipExtractor(proxies []*net.IPNet) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		trust = append(trust, echo.TrustIPRange(p))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// secureCookies reports whether people come by https.
func (s *Server) secureCookies() bool { return s.public.Scheme == "https" }

// knownHost reports whether requests under this name are answered: the public
// one, and from this machine its own.
func (s *Server) knownHost(r *http.Request) bool {
	if strings.EqualFold(r.Host, s.public.Host) {
		return true
	}
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !net.ParseIP(remote).IsLoopback() {
		return false
	}
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	return name == "localhost" || name == "127.0.0.1" || name == "::1"
}

func buildTag(version string) string {
	sum := sha256.Sum256([]byte(version + static.URL("app.css") + static.URL("app.js")))
	return hex.EncodeToString(sum[:4])
}
