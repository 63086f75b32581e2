package app

import (
	"cmp"

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
		Page: frame, Tabs: s.accountTabs("Account"), Email: cmp.Or(who.Email, who.ID), Roles: rolesOf(who.User), Complaints: complaintsView(complaint, fieldLabels),
		NameForm: s.newForm(c, "/account"), Name: templates.InputView{Name: "name", Label: "Name", Value: name, Required: true, Complete: "name", Complaint: wrong["name"]},
		Current:  templates.InputView{Name: "secret.current", Label: "Current passphrase", Type: "password", Required: true, Complete: "current-password", Complaint: wrong["current"]},
		New:      templates.InputView{Name: "secret.passphrase", Label: "New passphrase", Type: "password", Required: true, Complete: "new-password", Complaint: wrong["passphrase"], Hint: "At least 15 characters. Four or five random words do well."},
		KeysForm: s.newForm(c, "/account/keys"),
		Keys:     templates.CheckView{Name: "keys", Value: "1", Text: "Keyboard shortcuts", Hint: "Press ? on any page to see them. The choice is kept in this browser.", Checked: frame.Keys},
	}
	has, err := s.access.HasPassphrase(c.Request().Context(), who)
	if err != nil {
		return err
	}
	if has {
		v.PassForm = s.newForm(c, "/account/passphrase")
	}
	if complaint != nil {
		return again(c, templates.Account(v))
	}
	return page(c, templates.Account(v))
}

// accountTabs lead through the reader's account.
func (s *Server) accountTabs(current string) []templates.TabView {
	tabs := []templates.TabView{
		{Text: "Account", URL: "/account", Current: current == "Account"},
		{Text: "Second factors", URL: factorsPath, Current: current == "Second factors"},
		{Text: "Notifications", URL: "/account/notifications", Current: current == "Notifications"},
		{Text: "Sessions", URL: sessionsPath, Current: current == "Sessions"},
		{Text: "API tokens", URL: tokensPath, Current: current == "API tokens"},
	}
	if len(s.signon.Choices()) > 0 {
		tabs = append(tabs, templates.TabView{Text: "Identities", URL: identitiesPath, Current: current == "Identities"})
	}
	return tabs
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
