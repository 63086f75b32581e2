package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
)

// A sessionStore implements [sessions.Store]: the cookie holds a random token and
// nothing else, and what it stands for is a row under the token's hash. Before
// sign-in the token stands for nothing; it binds the forms of the browser.
type sessionStore struct{ options sessions.Options }

func newSessionStore(secure bool) *sessionStore {
	return &sessionStore{sessions.Options{Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}}
}

// name is the cookie's. The prefix makes browsers refuse it from other hosts and
// without TLS.
func (s *sessionStore) name() string {
	if s.options.Secure {
		return "__Host-sid"
	}
	return "sid"
}

// Get implements [sessions.Store].
func (s *sessionStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New implements [sessions.Store]. The session's ID is the token.
func (s *sessionStore) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	options := s.options
	session.Options = &options
	if c, err := r.Cookie(name); err == nil && len(c.Value) == tokenLength {
		session.ID = c.Value
		return session, nil
	}
	session.ID, session.IsNew = access.NewToken(), true
	return session, nil
}

const tokenLength = 43 // of access.NewToken

// Save implements [sessions.Store]: it sends the cookie.
func (s *sessionStore) Save(_ *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
	return nil
}

// Keys of what a request carries in its context.
const (
	keyToken   = "token"   // string: of the cookie
	keyAsOf    = "as of"   // string: the state when the request began
	keyReader  = "reader"  // access.Reader
	keyExpired = "expired" // access.Session that is over, with its user
)

func (s *Server) session(c echo.Context) (*sessions.Session, error) {
	return s.sessions.Get(c.Request(), s.sessions.(*sessionStore).name())
}

// withSession finds out who asks. Where that is required and nobody is signed in,
// the request ends at the sign-in page, and what was typed is kept.
func (s *Server) withSession(required bool, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method == http.MethodPost {
			// Before anything is decided: who sends slowly may be somebody else by the end.
			if _, err := s.readForm(c); err != nil {
				return err
			}
		}
		session, err := s.session(c)
		if err != nil {
			return err
		}
		c.Set(keyToken, session.ID)
		c.Set(keyAsOf, s.asOf()) // before anything is read that the page shows
		if !session.IsNew {
			if err := s.recognize(c, access.HashToken(session.ID)); err != nil {
				return err
			}
		}
		if required && reader(c).ID == "" {
			return s.askToSignIn(c)
		}
		if required && s.prover.Lacks(itself(c)) && !withoutFactor(c.Path()) {
			return s.askToEnrol(c)
		}
		return next(c)
	}
}

// withoutFactor reports whether a route is open to who has to set up a second
// factor: to do that, and to leave.
func withoutFactor(route string) bool {
	return strings.HasPrefix(route, factorsPath) || route == stepUpPath || route == "/signout"
}

// askToEnrol leads who needs a second factor and has none to where it is set up.
func (s *Server) askToEnrol(c echo.Context) error {
	switch {
	case wantsEvents(c):
		return c.NoContent(http.StatusNoContent)
	case c.Request().Method == http.MethodPost:
		return problem.New(problem.Forbidden, "Your role asks for a second factor. Nothing was changed. Set one up first, under Account, Second factors.")
	}
	return c.Redirect(http.StatusSeeOther, factorsPath)
}

// recognize puts the reader into the context if the session is good.
func (s *Server) recognize(c echo.Context, key access.TokenHash) error {
	one, user, err := s.store.Session(c.Request().Context(), key)
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now := s.now()
	if one.Expired(now) || user.State != access.Active {
		c.Set(keyExpired, one)
		return nil
	}
	if !polling(c) && now.Sub(one.LastSeen) >= time.Second {
		s.store.TouchSession(key, now)
	}
	c.Set(stillKey, func() bool { return s.goodSession(c, key) })
	who := access.Reader{User: user, Session: one.ID, Origin: origin(c), Method: one.Method, ProvedAt: one.ProvedAt, Strong: one.Strong}
	seesAs(c, &who, one.View)
	c.Set(keyReader, who)
	return readOnly(c)
}

// reader is who asks; the zero value if nobody is signed in.
func reader(c echo.Context) access.Reader {
	r, _ := c.Get(keyReader).(access.Reader)
	return r
}

func origin(c echo.Context) access.Origin {
	agent := c.Request().UserAgent()
	if len(agent) > 200 {
		agent = agent[:200]
	}
	return access.Origin{IP: c.RealIP(), Agent: agent}
}

// begin gives the browser the token of a new session.
func (s *Server) begin(c echo.Context, token string) error {
	session, err := s.session(c)
	if err != nil {
		return err
	}
	session.ID = token
	return session.Save(c.Request(), c.Response())
}

// forget takes the token from the browser.
func (s *Server) forget(c echo.Context) error {
	session, err := s.session(c)
	if err != nil {
		return err
	}
	session.Options.MaxAge = -1
	return session.Save(c.Request(), c.Response())
}

// detach returns a context that outlives the request.
func detach(c echo.Context) context.Context { return context.WithoutCancel(c.Request().Context()) }
