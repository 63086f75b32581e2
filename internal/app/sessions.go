package app

import (
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/web/templates"
)

// accountSessions lists where the reader is signed in.
func (s *Server) accountSessions(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Sessions", narrow: true, crumbs: []templates.LinkView{{Text: "Account", URL: "/account"}}})
	if err != nil {
		return err
	}
	all, err := s.access.Sessions(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	v := templates.SessionsView{Page: frame, Tabs: s.accountTabs("Sessions")}
	v.Rows = sessionRows(all, reader(c), s.now(), func(id string) templates.FormView { return s.newForm(c, endSessionPath(id)) })
	if len(all) > 1 {
		v.Others = templates.ActionView{Form: s.newForm(c, sessionsPath+"/end-others"), Text: "End all others", Hint: "Signs you out everywhere but here."}
	}
	v.All = templates.ActionView{Form: s.newForm(c, sessionsPath+"/end-all"), Text: "End all", Hint: "Signs you out everywhere, here too."}
	return page(c, templates.Sessions(v))
}

// sessionRows are sessions as their person sees them, the one in use first.
func sessionRows(all []access.Session, who access.Reader, now time.Time, end func(id string) templates.FormView) []templates.SessionView {
	rows := make([]templates.SessionView, len(all))
	for i, one := range all {
		rows[i] = templates.SessionView{
			Device: access.ReadDevice(one.Origin.Agent).String(), Place: placeOf(one.Origin, who.Origin), How: methodWords(one),
			Began: ago(one.CreatedAt, now), Seen: ago(one.LastSeen, now), Current: one.ID == who.Session, End: end(one.ID),
		}
	}
	slices.SortStableFunc(rows, func(a, b templates.SessionView) int {
		switch {
		case a.Current == b.Current:
			return 0
		case a.Current:
			return -1
		}
		return 1
	})
	return rows
}

// placeOf says where somebody signed in, compared with where they are now. Nobody
// is asked where an address is.
func placeOf(then, now access.Origin) string {
	switch {
	case then.IP == "":
		return "Unknown address"
	case then.IP == now.IP:
		return then.IP + ", the address you have now"
	case then.Network() != "" && then.Network() == now.Network():
		return then.IP + ", the network you are in now"
	}
	return then.IP + ", another network than now"
}

// methodWords say how a session began.
func methodWords(one access.Session) string {
	words := map[string]string{
		access.MethodPassphrase: "with a passphrase", access.MethodPasskey: "with a passkey", access.MethodLink: "by a one-time link", access.MethodDemo: "by the demo's button",
	}[one.Method]
	switch {
	case words == "" && strings.HasPrefix(one.Method, access.ProviderMethod("")):
		return "through your provider"
	case one.Method == access.MethodPassphrase && one.Strong:
		return words + " and a second factor"
	}
	return words
}

func (s *Server) accountEndSession(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.EndSession(c.Request().Context(), reader(c), c.Param("id")); err != nil {
		return err
	}
	if c.Param("id") == reader(c).Session {
		return s.signedOut(c)
	}
	return s.see(c, sessionsPath, "That session has ended.")
}

func (s *Server) signedOut(c echo.Context) error {
	if err := s.forget(c); err != nil {
		return err
	}
	return s.see(c, "/signin", "")
}

func (s *Server) accountEndOthers(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	n, err := s.access.EndOtherSessions(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	return s.see(c, sessionsPath, plural(n, "other session has", "other sessions have")+" ended.")
}

func (s *Server) accountEndAll(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.EndAllSessions(c.Request().Context(), reader(c)); err != nil {
		return err
	}
	return s.signedOut(c)
}

// personEndSessions signs somebody out everywhere.
func (s *Server) personEndSessions(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	n, err := s.access.EndSessionsOf(c.Request().Context(), reader(c), u.ID)
	if err != nil {
		return err
	}
	if u.ID == reader(c).ID {
		return s.signedOut(c)
	}
	return s.see(c, personPath(u.ID), plural(n, "session of ", "sessions of ")+u.Name+" ended.")
}
