package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"gatehouse/internal/api"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// show answers with a component, rendered as a whole before the first byte goes.
func show(c echo.Context, status int, component templ.Component) error {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	defer buffers.Put(b)
	if err := component.Render(detach(c), b); err != nil { // an error page is for who broke off, too
		return fmt.Errorf("render: %w", err)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/html; charset=utf-8")
	h.Set(echo.HeaderContentLength, strconv.Itoa(b.Len()))
	c.Response().WriteHeader(status)
	_, err := c.Response().Write(b.Bytes())
	return err
}

// page answers a GET. Pages are kept by the browser only as long as nothing they
// show changes; fresh ones, with typed input or told once, not at all.
func page(c echo.Context, component templ.Component) error {
	if err := beforeShown(c); err != nil {
		return err
	}
	return show(c, http.StatusOK, component)
}

// again answers a form with complaints: the same page, filled as it was sent.
func again(c echo.Context, component templ.Component) error {
	noStore(c)
	return show(c, http.StatusUnprocessableEntity, component)
}

func noStore(c echo.Context) { c.Response().Header().Set(echo.HeaderCacheControl, "no-store") }

// see sends the browser to another page after a POST, with a word about what was
// done, shown once.
func (s *Server) see(c echo.Context, path, done string) error {
	if done != "" {
		s.setNotice(c, done)
	}
	return c.Redirect(http.StatusSeeOther, path)
}

const noticeCookie = "done"

func (s *Server) setNotice(c echo.Context, text string) {
	s.setNoticeLink(c, text, templates.LinkView{})
}

// setNoticeLink is [Server.setNotice] with a link to follow.
func (s *Server) setNoticeLink(c echo.Context, text string, link templates.LinkView) {
	parts := strings.Join([]string{text, link.Text, string(link.URL)}, "\n")
	http.SetCookie(c.Response(), &http.Cookie{
		Name: noticeCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(parts)), Path: "/", MaxAge: 60,
		HttpOnly: true, Secure: s.secureCookies(), SameSite: http.SameSiteLaxMode,
	})
}

// takeNotice returns the word that the last answer left, once, and its link.
func (s *Server) takeNotice(c echo.Context) (string, templates.LinkView) {
	value := cookie(c, noticeCookie)
	if value == "" || polling(c) { // it is for a page that comes
		return "", templates.LinkView{}
	}
	http.SetCookie(c.Response(), &http.Cookie{
		Name: noticeCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: s.secureCookies(), SameSite: http.SameSiteLaxMode,
	})
	noStore(c)
	text, err := base64.RawURLEncoding.DecodeString(value)
	parts := strings.Split(string(text), "\n")
	switch {
	case err != nil || len(text) > 2000 || len(parts) == 0:
		return "", templates.LinkView{}
	case len(parts) != 3 || parts[2] == "":
		return parts[0], templates.LinkView{}
	}
	return parts[0], templates.LinkView{Text: parts[1], URL: templates.Local(localPath(parts[2]))}
}

// unchanged answers 304 where the browser has the page as it is now: nothing was
// committed, synced or verified since, the reader, their cookies and the process
// are the same, and ages are right to the minute. It stands before everything
// that costs.
func (s *Server) unchanged(c echo.Context) (bool, error) {
	r := c.Request()
	cookies := r.Header.Get("Cookie")
	if strings.Contains(cookies, noticeCookie+"=") || strings.Contains(r.URL.RawQuery, "draft=") {
		noStore(c)
		return false, nil
	}
	var b [512]byte
	of := append(b[:0], s.build...)
	for _, n := range []int64{s.started.UnixMicro(), s.store.Version(), s.mirror.Activity(), s.witness.Activity(), s.now().Unix() / 60} {
		of = strconv.AppendInt(append(of, 0), n, 10)
	}
	for _, part := range []string{reader(c).Session, r.URL.Path, r.URL.RawQuery, cookies} {
		of = append(append(of, 0), part...)
	}
	h := fnv.New128a()
	_, _ = h.Write(of) // never fails (hash)
	tag := `W/"` + hex.EncodeToString(h.Sum(nil)) + `"`
	header := c.Response().Header()
	header["Etag"] = []string{tag}
	header[echo.HeaderCacheControl] = revalidate
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		if err := beforeShown(c); err != nil {
			return false, err
		}
		return true, c.NoContent(http.StatusNotModified)
	}
	return false, nil
}

// revalidate lets the browser keep a page and ask whether it is still right.
var revalidate = []string{"private, no-cache"}

// cookie is the value of a cookie, empty if there is none.
func cookie(c echo.Context, name string) string {
	one, err := c.Cookie(name)
	if err != nil {
		return ""
	}
	return one.Value
}

// status is what each kind of problem answers with.
var status = map[problem.Kind]int{
	problem.Invalid: http.StatusUnprocessableEntity, problem.SignIn: http.StatusUnauthorized,
	problem.Forbidden: http.StatusForbidden, problem.NotFound: http.StatusNotFound, problem.Gone: http.StatusGone,
	problem.Conflict: http.StatusConflict, problem.TooMany: http.StatusTooManyRequests,
	problem.Unavailable: http.StatusServiceUnavailable,
}

// fail draws every error: it logs what isn't the reader's doing, and says what
// happened, whether anything changed, and what to do.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		s.log.Error("after the answer began", "request", requestID(c), "err", err)
		return
	}
	if isSCIM(c.Request().URL.Path) {
		s.failSCIM(c, err)
		return
	}
	var repeated *store.RepeatedError
	if errors.As(err, &repeated) {
		err = s.repeated(c, repeated)
		if err == nil {
			return
		}
	}
	p := s.wordsFor(c, err)
	code := status[p.Kind]
	var he *echo.HTTPError
	if errors.As(err, &he) {
		code = he.Code
	} else if problem.Of(err) == nil {
		code = http.StatusInternalServerError
	}
	if code >= 500 {
		s.log.Error("request failed", "request", requestID(c), "method", c.Request().Method, "route", c.Path(), "err", err)
	}
	if p.RetryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	noStore(c)
	if isAPI(c.Request().URL.Path) {
		s.failAPI(c, code, p, err)
		return
	}
	if c.Request().Method == http.MethodHead {
		_ = c.NoContent(code) // the reader is gone if this fails
		return
	}
	view := templates.ErrorView{
		Theme: theme(c), Strip: s.strip(), Title: title(code), Text: p.Message, RequestID: requestID(c),
		Back: templates.LinkView{Text: "Go to the overview", URL: "/"},
	}
	if strings.HasPrefix(c.Path(), providerPath) && reader(c).ID == "" {
		view.Title, view.Back = "Not signed in", templates.LinkView{Text: "Back to sign-in", URL: "/signin"}
	}
	if code < 500 && reader(c).ID != "" {
		if view.Page, err = s.frame(c, place{title: view.Title, narrow: true}); err != nil {
			view.Page = templates.PageView{} // it does without
		}
	}
	if err := show(c, code, templates.Error(view)); err != nil {
		s.log.Error("draw an error page", "request", requestID(c), "err", err)
	}
}

// failSCIM answers a directory.
func (s *Server) failSCIM(c echo.Context, err error) {
	if err := s.scim.Refuse(c, err); err != nil {
		s.log.Error("answer a directory", "request", requestID(c), "err", err)
	}
}

// failAPI answers a program.
func (s *Server) failAPI(c echo.Context, code int, p *problem.Error, err error) {
	if words := api.Words(err); words != nil {
		p = words
	}
	if err := api.Problem(c, code, p); err != nil {
		s.log.Error("answer with a problem", "request", requestID(c), "err", err)
	}
}

// wordsFor finds the words for an error. Only a problem speaks for itself.
func (s *Server) wordsFor(c echo.Context, err error) *problem.Error {
	if p := problem.Of(err); p != nil {
		return p
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		switch he.Code {
		case http.StatusNotFound:
			return problem.New(problem.NotFound, "There is no page at this address.")
		case http.StatusMethodNotAllowed:
			return problem.New(problem.NotFound, "This address doesn't take such a request.")
		case http.StatusRequestEntityTooLarge:
			return problem.New(problem.Invalid, "The form is too large: at most 256 kB. Nothing was changed.")
		case http.StatusMisdirectedRequest:
			return problem.New(problem.NotFound, "This console doesn't answer under this name. Use the address that its operator set.")
		}
		return problem.New(problem.Invalid, "The request could not be understood. Nothing was changed.")
	}
	if errors.Is(err, context.Canceled) {
		return problem.New(problem.Unavailable, "The request was broken off.")
	}
	if c.Request().Method == http.MethodGet {
		return problem.New(problem.Unavailable, "Something went wrong on our side. Nothing was changed. Try again; if it stays so, give the request id below to your operator.")
	}
	return problem.New(problem.Unavailable, "Something went wrong on our side. Look at Changes and History before you try again: the change may have been recorded. Give the request id below to your operator.")
}

func title(code int) string {
	switch code {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusGone:
		return "Kept in an archive"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusConflict:
		return "That has changed"
	case http.StatusTooManyRequests:
		return "Too many at once"
	case http.StatusServiceUnavailable:
		return "Not available now"
	case http.StatusInternalServerError:
		return "Something went wrong"
	}
	return "That did not work"
}

// repeated answers a form that was sent before as the first sending was answered.
func (s *Server) repeated(c echo.Context, r *store.RepeatedError) error {
	if r.Location != "" {
		return c.Redirect(http.StatusSeeOther, r.Location)
	}
	return problem.New(problem.Conflict, "This form was sent twice. The first time counted; see Changes and History for what came of it. What it showed once, such as a token, codes or a link, isn't shown again: make new ones where you made them.")
}
