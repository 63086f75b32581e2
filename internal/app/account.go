package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// account is the reader's own.
func (s *Server) account(c echo.Context) error { return s.accountPage(c, "", nil) }

func (s *Server) accountPage(c echo.Context, name string, complaint error) error {
	frame, err := s.frame(c, place{title: "Account", narrow: true})
	if err != nil {
		return err
	}
	who, wrong := reader(c), fieldComplaints(complaint)
	if typed := s.typed(c); name == "" && typed.Has("name") {
		name = typed.Get("name")
	}
	if name == "" {
		name = who.Name
	}
	v := templates.AccountView{
		Page: frame, Tabs: accountTabs("Account"), Email: who.Email, Roles: roleNames(who.Roles), Complaints: complaintsView(complaint, fieldLabels),
		NameForm: s.newForm(c, "/account"), Name: templates.InputView{Name: "name", Label: "Name", Value: name, Required: true, Complete: "name", Complaint: wrong["name"]},
		PassForm: s.newForm(c, "/account/passphrase"),
		Current:  templates.InputView{Name: "secret.current", Label: "Current passphrase", Type: "password", Required: true, Complete: "current-password", Complaint: wrong["current"]},
		New:      templates.InputView{Name: "secret.passphrase", Label: "New passphrase", Type: "password", Required: true, Complete: "new-password", Complaint: wrong["passphrase"], Hint: "At least 15 characters. Four or five random words do well."},
		KeysForm: s.newForm(c, "/account/keys"),
		Keys:     templates.CheckView{Name: "keys", Value: "1", Text: "Keyboard shortcuts", Hint: "Press ? on any page to see them. The choice is kept in this browser.", Checked: frame.Keys},
	}
	if complaint != nil {
		return again(c, templates.Account(v))
	}
	return page(c, templates.Account(v))
}

func accountTabs(current string) []templates.TabView {
	return []templates.TabView{
		{Text: "Account", URL: "/account", Current: current == "Account"},
		{Text: "Second factors", URL: factorsPath, Current: current == "Second factors"},
		{Text: "Notifications", URL: "/account/notifications", Current: current == "Notifications"},
		{Text: "Sessions", URL: "/account/sessions", Current: current == "Sessions"},
	}
}

func (s *Server) accountRename(c echo.Context) error {
	var in struct {
		Name string `form:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.access.Rename(c.Request().Context(), reader(c), in.Name)
	if problem.Is(err, problem.Invalid) {
		return s.accountPage(c, in.Name, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, "/account", "Name saved.")
}

func (s *Server) accountKeys(c echo.Context) error {
	var in struct {
		Keys bool `form:"keys"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	value := "off"
	if in.Keys {
		value = "on"
	}
	s.remember(c, keysCookie, value)
	return s.see(c, "/account", "Saved.")
}

func (s *Server) accountPassphrase(c echo.Context) error {
	var in struct {
		Current secret.Value `form:"secret.current"`
		New     secret.Value `form:"secret.passphrase"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.access.ChangePassphrase(c.Request().Context(), reader(c), in.Current, in.New)
	if problem.Is(err, problem.Invalid) {
		return s.accountPage(c, "", err)
	}
	if err != nil {
		return err
	}
	return s.see(c, "/account", "Passphrase changed. Your other sessions have ended.")
}

func (s *Server) accountSessions(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Sessions", narrow: true, crumbs: []templates.LinkView{{Text: "Account", URL: "/account"}}})
	if err != nil {
		return err
	}
	all, err := s.access.Sessions(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	v := templates.SessionsView{Page: frame, Tabs: accountTabs("Sessions")}
	v.Rows = sessionRows(all, reader(c).Session, s.now(), func(id string) templates.FormView { return s.newForm(c, endSessionPath(id)) })
	if len(all) > 1 {
		v.End = templates.ActionView{Form: s.newForm(c, "/account/sessions/end-others"), Text: "End all others", Hint: "Signs you out everywhere but here."}
	}
	return page(c, templates.Sessions(v))
}

func (s *Server) accountEndSession(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.EndSession(c.Request().Context(), reader(c), c.Param("id")); err != nil {
		return err
	}
	if c.Param("id") == reader(c).Session {
		if err := s.forget(c); err != nil {
			return err
		}
		return s.see(c, "/signin", "")
	}
	return s.see(c, "/account/sessions", "That session has ended.")
}

func (s *Server) accountEndOthers(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	n, err := s.access.EndOtherSessions(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	return s.see(c, "/account/sessions", plural(n, "other session has", "other sessions have")+" ended.")
}
