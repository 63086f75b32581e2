package app

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/static"
)

const headerRequestID = "X-Request-Id"

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

// count tells how each request went. A stream of events takes as long as its reader
// stays, and says nothing.
func (s *Server) count(next echo.HandlerFunc) echo.HandlerFunc {
	if s.answered == nil {
		return next
	}
	return func(c echo.Context) error {
		began := time.Now()
		if err := next(c); err != nil {
			c.Error(err) // only then is the status known
		}
		if !wantsEvents(c) {
			s.answered(c.Request().Method, c.Path(), c.Response().Status, time.Since(began))
		}
		return nil
	}
}

// identify gives each request an id, by which logs, error pages and Composio's
// support can name it.
func (s *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(headerRequestID)
		if !requestIDPattern.MatchString(id) {
			id = secret.Code(16)
		}
		c.Response().Header().Set(headerRequestID, id)
		c.SetRequest(c.Request().WithContext(mirror.ContextWithRequestID(c.Request().Context(), id)))
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(headerRequestID) }

// contentSecurity allows what this server sends, and nothing inline.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// walls are the headers that every answer carries. The lists are shared and must
// not be changed.
func (s *Server) walls() http.Header {
	h := http.Header{
		"Content-Security-Policy":      {contentSecurity},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"same-origin"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=()"},
		"Cache-Control":                {"no-store"}, // pages that may be kept say so
	}
	if s.secureCookies() {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	return h
}

// harden sets the headers that every answer carries.
func (s *Server) harden(next echo.HandlerFunc) echo.HandlerFunc {
	walls := s.walls()
	return func(c echo.Context) error {
		h := c.Response().Header()
		vary := h["Vary"]
		maps.Copy(h, walls)
		h["Vary"] = append(vary, "Cookie")
		return next(c)
	}
}

// checkHost refuses names that aren't ours, so that a foreign name that points
// here can't speak for it.
func (s *Server) checkHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !s.knownHost(c.Request()) {
			return echo.NewHTTPError(http.StatusMisdirectedRequest)
		}
		return next(c)
	}
}

// recoverPanics turns a panic into an error page.
func (s *Server) recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
					panic(p)
				}
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// holdKeys tells when what a request seals has been kept, so that no key goes before.
func (s *Server) holdKeys(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch c.Request().Method {
		case http.MethodGet, http.MethodHead:
			return next(c)
		}
		defer s.keys.Hold()()
		return next(c)
	}
}

// askToSignIn sends the reader to the sign-in page and back. What was typed into
// a form is kept for the person whose session ended, credentials aside.
func (s *Server) askToSignIn(c echo.Context) error {
	r := c.Request()
	if wantsEvents(c) {
		return c.NoContent(http.StatusNoContent) // the browser doesn't ask again
	}
	next := localPath(r.URL.RequestURI())
	if r.Method == http.MethodPost {
		next = s.refererPath(r)
	}
	if asked, err := s.askForFactor(c, next); asked || err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return c.Redirect(http.StatusSeeOther, "/signin?next="+url.QueryEscape(localPath(r.URL.RequestURI())))
	}
	form, err := s.readForm(c)
	if err != nil {
		return err
	}
	back := s.refererPath(r)
	user, err := s.formUser(c, form)
	if err != nil {
		return err
	}
	if user == "" {
		return c.Redirect(http.StatusSeeOther, "/signin?ended=1&next="+url.QueryEscape(back))
	}
	if !s.limits.write(user) {
		return tooManyWrites()
	}
	back, err = s.keep(c, user, back, withoutSecrets(form))
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/signin?kept=1&next="+url.QueryEscape(back))
}

// formUser is whom a form was made for whose session has ended: the operation id
// in it is bound to them. It is empty if the form isn't one of ours.
func (s *Server) formUser(c echo.Context, form url.Values) (string, error) {
	if expired, ok := c.Get(keyExpired).(access.Session); ok && s.csrfValid(c, form.Get("csrf")) {
		return expired.UserID, nil
	}
	people, err := s.store.Users(c.Request().Context())
	for _, u := range people {
		if u.State == access.Active && s.opValid(form.Get("op"), u.ID, c.Request().URL.Path) {
			return u.ID, nil
		}
	}
	return "", err
}

// limits slow down what one person sends.
type limits struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*rate.Limiter
}

const (
	writeEvery = 200 * time.Millisecond
	writeBurst = 60

	searchEvery = 500 * time.Millisecond
	searchBurst = 120

	exportEvery = 10 * time.Second
	exportBurst = 10
)

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, by: map[string]*rate.Limiter{}}
}

// write reports whether a person may send another form now.
func (l *limits) write(user string) bool { return l.allow(user, writeEvery, writeBurst) }

// search reports whether a person may search history again now.
func (l *limits) search(user string) bool { return l.allow("search "+user, searchEvery, searchBurst) }

// export reports whether a person may begin another export now.
func (l *limits) export(user string) bool { return l.allow("export "+user, exportEvery, exportBurst) }

func (l *limits) allow(what string, every time.Duration, burst int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.by[what]
	if one == nil {
		one = rate.NewLimiter(rate.Every(every), burst)
		l.by[what] = one
	}
	return one.AllowN(l.now(), 1)
}

func tooManyWrites() error {
	p := problem.New(problem.TooMany, "That is a lot at once. Nothing was changed this time. Wait a moment and try again.")
	p.RetryAfter = writeEvery
	return p
}

func tooManySearches() error {
	p := problem.New(problem.TooMany, "That is a lot of searches at once. Wait a moment and try again.")
	p.RetryAfter = searchEvery
	return p
}

// staticFile serves the front end, compressed where the browser takes it.
func (s *Server) staticFile(c echo.Context) error {
	f, hashed, ok := static.Get(static.Prefix + c.Param("file"))
	if !ok {
		return problem.New(problem.NotFound, "There is no such file.")
	}
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "public, max-age=86400")
	if hashed {
		h.Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	}
	h.Set("Vary", "Accept-Encoding")
	accepts := c.Request().Header.Get("Accept-Encoding")
	body := f.Bytes
	switch {
	case f.Brotli != nil && strings.Contains(accepts, "br"):
		body = f.Brotli
		h.Set("Content-Encoding", "br")
	case f.Gzip != nil && strings.Contains(accepts, "gzip"):
		body = f.Gzip
		h.Set("Content-Encoding", "gzip")
	}
	h.Set(echo.HeaderContentType, f.Type)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(body))
	return nil
}
