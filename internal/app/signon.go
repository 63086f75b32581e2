package app

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/signon"
	"gatehouse/web/templates"
)

const (
	providerPath   = "/signin/oidc/:provider"
	identitiesPath = "/account/identities"

	longestNext = 1000 // bytes that fit into the cookie with the rest
)

// leavePath is where people leave for a provider.
func leavePath(provider string, purpose signon.Purpose, next string) string {
	q := url.Values{}
	if purpose != signon.SignIn {
		q.Set("for", string(purpose))
	}
	if next != "" && next != "/" {
		q.Set("next", next)
	}
	u := url.URL{Path: "/signin/oidc/" + provider, RawQuery: q.Encode()}
	return u.String()
}

// shortCookie names a cookie that lasts as long as a trip to a provider.
func (s *Server) shortCookie(name string) string {
	if s.secureCookies() {
		return "__Host-" + name
	}
	return name
}

// Cookies of people who are on their way.
const (
	tripCookie    = "trip"    // what [signon.Service.Depart] made
	arrivalCookie = "arrival" // what [signon.Service.Keep] made
)

// setShort gives the browser such a cookie, or takes it if there is no value.
func (s *Server) setShort(c echo.Context, name, value string) {
	age := int(signon.TripLife.Seconds())
	if value == "" {
		age = -1
	}
	http.SetCookie(c.Response(), &http.Cookie{
		Name: s.shortCookie(name), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.secureCookies(), SameSite: http.SameSiteLaxMode,
	})
}

// signInLeave sends the browser to a provider. It writes nothing: what is needed on
// the way back is sealed in a cookie.
func (s *Server) signInLeave(c echo.Context) error {
	trip := signon.Trip{Purpose: signon.SignIn, Next: localPath(c.QueryParam("next"))}
	if len(trip.Next) > longestNext {
		trip.Next = "/"
	}
	who := reader(c)
	if purpose := signon.Purpose(c.QueryParam("for")); purpose == signon.Link || purpose == signon.Prove {
		if who.ID == "" {
			return s.askToSignIn(c)
		}
		trip.Purpose, trip.Session = purpose, who.Session
	} else if who.ID != "" {
		return s.see(c, trip.Next, "")
	}
	address, ticket, err := s.signon.Depart(c.Request().Context(), c.Param("provider"), trip)
	if err != nil {
		return s.notArrived(c, err)
	}
	s.setShort(c, tripCookie, ticket)
	noStore(c)
	return c.Redirect(http.StatusSeeOther, address.String())
}

// signInArrive takes back who was at a provider. It is a GET that writes: nobody
// can have somebody else's browser send it, since it takes the cookie that this
// browser was given when it left, and the state that belongs to it.
func (s *Server) signInArrive(c echo.Context) error {
	noStore(c)
	ticket := cookie(c, s.shortCookie(tripCookie))
	s.setShort(c, tripCookie, "")
	in, err := s.signon.Arrive(c.Request().Context(), c.Param("provider"), ticket, c.QueryParams())
	switch {
	case err != nil:
		return s.notArrived(c, err)
	case in.Purpose == signon.Link:
		return s.identityArrived(c, in)
	case in.Purpose == signon.Prove:
		return s.stepUpArrived(c, in)
	}
	w, err := s.access.SignInThrough(c.Request().Context(), in.Arrival, origin(c))
	if errors.Is(err, access.ErrReplayed) {
		return s.refuseArrival(c, "replayed", err)
	}
	if err != nil {
		return err
	}
	if w.Regroups {
		s.changes.Recheck()
	}
	if err := s.begin(c, w.Token); err != nil {
		return err
	}
	return s.see(c, localPath(in.Next), "")
}

// notArrived answers who isn't believed, and records it. What a provider's silence
// was recorded of already isn't once more.
func (s *Server) notArrived(c echo.Context, err error) error {
	check := signon.Check(err)
	if check == "" {
		return err
	}
	s.log.Warn("nobody was signed in through a provider", "request", requestID(c), "provider", c.Param("provider"), "check", check, "cause", errors.Unwrap(problem.Of(err)))
	if c.Path() == providerPath {
		return err
	}
	return s.refuseArrival(c, check, err)
}

func (s *Server) refuseArrival(c echo.Context, check string, err error) error {
	if recording := s.access.RefuseArrival(c.Request().Context(), c.Param("provider"), check, origin(c)); recording != nil {
		return recording
	}
	return err
}

// identityArrived keeps an identity until its person has said on a page of ours
// that it is to be theirs here.
func (s *Server) identityArrived(c echo.Context, in signon.Arrival) error {
	if in.Session != reader(c).Session {
		return s.refuseArrival(c, "session", problem.New(problem.Invalid, "You were signed in otherwise when you left. Nothing was changed. Begin again from your account."))
	}
	s.setShort(c, arrivalCookie, s.signon.Keep(in))
	return c.Redirect(http.StatusSeeOther, identitiesPath)
}

// accountIdentities shows by which providers the reader may sign in.
func (s *Server) accountIdentities(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Identities", narrow: true, crumbs: []templates.LinkView{{Text: "Account", URL: "/account"}}})
	if err != nil {
		return err
	}
	all, err := s.access.Identities(c.Request().Context(), reader(c).ID)
	if err != nil {
		return err
	}
	v := templates.IdentitiesView{Page: frame, Tabs: s.accountTabs("Identities")}
	linked := map[string]bool{}
	for _, i := range all {
		linked[i.Issuer] = true
		v.Rows = append(v.Rows, templates.IdentityView{
			Name: s.signon.Name(i.Provider), Email: i.Email, Subject: i.Subject, Issuer: i.Issuer,
			Since: ago(i.CreatedAt, s.now()), Used: ago(i.LastUsed, s.now()), Unlink: s.newForm(c, identitiesPath+"/unlink"),
		})
	}
	for _, p := range s.signon.Choices() {
		if !linked[p.Issuer] {
			v.More = append(v.More, templates.LinkView{Text: "Link " + p.Name, URL: templates.Local(leavePath(p.ID, signon.Link, ""))})
		}
	}
	if in, ok := s.signon.Kept(cookie(c, s.shortCookie(arrivalCookie)), reader(c).Session); ok {
		noStore(c)
		v.Confirm = templates.IdentityView{Name: s.signon.Name(in.Provider), Who: in.Name, Email: in.Email, Subject: in.Subject}
		v.ConfirmForm = s.newForm(c, identitiesPath)
	}
	return page(c, templates.Identities(v))
}

// identityLink adds the identity that the reader came back with to their account.
func (s *Server) identityLink(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	in, ok := s.signon.Kept(cookie(c, s.shortCookie(arrivalCookie)), reader(c).Session)
	if !ok {
		return problem.New(problem.Conflict, "That took too long. Nothing was changed. Begin again from your account.")
	}
	s.setShort(c, arrivalCookie, "")
	if err := s.access.Link(c.Request().Context(), reader(c), in.Arrival); err != nil {
		return err
	}
	return s.see(c, identitiesPath, "From now on you can sign in through "+s.signon.Name(in.Provider)+" too.")
}

// newcomer tells somebody who may do nothing what to do.
func (s *Server) newcomer(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Overview", nav: "Overview", narrow: true})
	if err != nil {
		return err
	}
	who := reader(c)
	v := templates.NewcomerView{Page: frame, Name: who.Name, ID: who.ID}
	if who.Email != "" {
		v.Name += " (" + who.Email + ")"
	}
	if len(s.signon.Choices()) > 0 {
		v.Link = identitiesPath
	}
	return page(c, templates.Newcomer(v))
}

// identityUnlink takes an identity from the reader's account.
func (s *Server) identityUnlink(c echo.Context) error {
	var in struct {
		Issuer  string `form:"issuer"`
		Subject string `form:"subject"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := s.access.Unlink(c.Request().Context(), reader(c), in.Issuer, in.Subject); err != nil {
		return err
	}
	s.changes.Recheck()
	return s.see(c, identitiesPath, "Unlinked. Sessions that it began have ended.")
}
