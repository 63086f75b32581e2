package app

import (
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// people lists everybody who may sign in.
func (s *Server) people(c echo.Context) error {
	return s.peoplePage(c, personForm{}, templates.OneTimeLinkView{}, nil)
}

// personForm is what is typed about somebody.
type personForm struct {
	Name   string   `form:"name"`
	Email  string   `form:"email"`
	Roles  []string `form:"roles"`
	Reason string   `form:"reason"`
}

func (f personForm) person() access.Person {
	p := access.Person{Name: f.Name, Email: f.Email}
	for _, r := range f.Roles {
		p.Roles = append(p.Roles, access.Role(r))
	}
	return p
}

func (s *Server) peoplePage(c echo.Context, in personForm, link templates.OneTimeLinkView, complaint error) error {
	frame, err := s.frame(c, place{title: "People", nav: "People"})
	if err != nil {
		return err
	}
	if typed := s.typed(c); typed != nil && complaint == nil && link.URL == "" {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	users, err := s.store.Users(c.Request().Context())
	if err != nil {
		return err
	}
	v := templates.PeopleView{Page: frame, Tabs: peopleTabs(c, "People"), MayInvite: reader(c).May(access.ManagePeople) && !s.access.LocalClosed(), Link: link}
	for _, u := range users {
		v.Rows = append(v.Rows, personRow(u, addressFor(reader(c), u), n, s.now()))
	}
	if v.MayInvite {
		wrong := fieldComplaints(complaint)
		v.Invite = templates.InviteView{
			Form: s.newForm(c, "/people"), Complaints: complaintsView(complaint, fieldLabels),
			Name:  templates.InputView{Name: "name", Label: "Name", Value: in.Name, Required: true, Complete: "off", Complaint: wrong["name"]},
			Email: templates.InputView{Name: "email", Label: "Email", Type: "email", Value: in.Email, Required: true, Complete: "off", Complaint: wrong["email"]},
			Roles: roleChecks(in.Roles), Complaint: wrong["roles"],
		}
		if v.Invite.Ask, err = s.inviteAsk(c, in.Reason, complaint); err != nil {
			return err
		}
	}
	if complaint != nil {
		return again(c, templates.People(v))
	}
	if link.URL != "" {
		noStore(c)
	}
	return page(c, templates.People(v))
}

func (s *Server) findPerson(c echo.Context) (access.User, error) {
	id := c.Param("id")
	if id != reader(c).ID && !reader(c).May(access.ViewPeople) {
		return access.User{}, problem.New(problem.NotFound, "There is no such person, or you may not see them.")
	}
	a, err := s.store.Account(c.Request().Context(), id)
	return a.User, err
}

func (s *Server) personDisable(c echo.Context) error { return s.setDisabled(c, true) }
func (s *Server) personEnable(c echo.Context) error  { return s.setDisabled(c, false) }

func (s *Server) setDisabled(c echo.Context, disabled bool) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.SetDisabled(c.Request().Context(), reader(c), u.ID, disabled); err != nil {
		return err
	}
	s.changes.Recheck()
	if disabled {
		return s.see(c, personPath(u.ID), u.Name+" is disabled, and signed out everywhere.")
	}
	return s.see(c, personPath(u.ID), u.Name+" may sign in again.")
}

// personReset shows a reset link, once.
func (s *Server) personReset(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.changes.MayReset(c.Request().Context(), u); err != nil {
		return err
	}
	token, err := s.access.ResetPassphrase(c.Request().Context(), reader(c), u.ID)
	if err != nil {
		return err
	}
	return s.personPage(c, u, personEdit{link: templates.OneTimeLinkView{
		Title: "Hand this link to " + u.Name + ".", URL: s.linkURL(token), Text: "It is shown only now and works once.",
	}}, nil)
}

func roleChecks(chosen []string) []templates.CheckView {
	hints := map[access.Role]string{
		access.Viewer: "Sees auth configs and history.", access.Editor: "Creates, edits, switches and deletes auth configs.",
		access.Approver: "Agrees to changes of others, where policy asks for it.", access.Auditor: "Sees everything, addresses in history too.",
		access.Admin: "Manages people, projects and settings.",
	}
	var out []templates.CheckView
	for _, r := range access.Roles() {
		out = append(out, templates.CheckView{Name: "roles", Value: string(r), Text: capital(string(r)), Hint: hints[r], Checked: slices.Contains(chosen, string(r))})
	}
	return out
}
