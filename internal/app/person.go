package app

import (
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// personEdit is what the page of a person shows beside them.
type personEdit struct {
	link   templates.OneTimeLinkView
	grants *grantForm // typed; nil for those they have
	reason string
}

// person shows one person.
func (s *Server) person(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	return s.personPage(c, u, personEdit{}, nil)
}

func (s *Server) personPage(c echo.Context, u access.User, in personEdit, complaint error) error {
	frame, err := s.frame(c, place{title: u.Name, nav: "People", crumbs: []templates.LinkView{{Text: "People", URL: "/people"}}})
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	v := personView(u, addressFor(reader(c), u), n, s.now())
	v.Tabs = personTabs(c, u, "Account")
	v.Page, v.Link, v.Complaints = frame, in.link, complaintsView(complaint, fieldLabels)
	v.Evidence = s.evidenceLink(c, personPath(u.ID))
	if err := s.roleNotices(c, u, n, &v); err != nil {
		return err
	}
	if typed := s.typed(c); typed.Has("reason") && complaint == nil {
		in.reason, in.grants = typed.Get("reason"), &grantForm{typed["roles"], typed.Get("role"), typed.Get("where"), typed.Get("toolkit")}
	}
	if reader(c).May(access.ManagePeople) {
		s.personActions(c, u, &v)
		if err := s.personGrants(c, u, in, &v, fieldComplaints(complaint)); err != nil {
			return err
		}
		if err := s.personTokens(c, u, &v); err != nil {
			return err
		}
		if v.Ask, err = s.askView(c, change.KindRoles, "Save roles", in.reason, complaint); err != nil {
			return err
		}
	}
	v.Confirm.Complaint = fieldComplaints(complaint)["confirm"]
	if complaint != nil {
		return again(c, templates.Person(v))
	}
	if in.link.URL != "" {
		noStore(c)
	}
	return page(c, templates.Person(v))
}

// personGrants are the fields for somebody's own roles.
func (s *Server) personGrants(c echo.Context, u access.User, in personEdit, v *templates.PersonView, wrong map[string]string) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	form := grantFormOf(u.Own())
	if in.grants != nil {
		form = *in.grants
	}
	v.Grants = b.grantFields(form, u.Own(), wrong)
	return nil
}

// personActions offers what an admin may do with an account.
func (s *Server) personActions(c echo.Context, u access.User, v *templates.PersonView) {
	path := personPath(u.ID)
	v.Facts = append(v.Facts, templates.FactView{Name: "Second factor", Text: yesNo(u.SecondFactor)})
	v.RolesForm = s.newForm(c, path+"/roles")
	if u.State != access.Disabled && s.access.MayComeLocally(u) {
		v.Reset = templates.ActionView{Form: s.newForm(c, path+"/reset"), Text: "Create a reset link", Hint: "Lets them set a new passphrase and lifts a lock. The old passphrase works until the link is used."}
	}
	if u.SecondFactor && u.ID != reader(c).ID {
		v.Factors = templates.ActionView{Form: s.newForm(c, path+"/factors/reset"), Text: "Reset second factors", Hint: "For who has lost them all. Be sure who asks you: an attacker would ask for this. All are taken away and all sessions end; the passphrase stays."}
	}
	if u.State == access.Invited {
		v.Reset.Text, v.Reset.Hint = "Create a new invitation link", "The one before stops working."
	}
	switch {
	case u.Erased():
		v.RolesForm = templates.FormView{}
	case u.State == access.Disabled:
		v.Erase = s.newForm(c, path+"/erase")
		v.Confirm = templates.InputView{Name: "confirm", Label: "Their e-mail, to confirm", Required: true, Complete: "off"}
		if u.Email == "" {
			v.Confirm.Label = "Their name, to confirm"
		}
		v.Switch = templates.ActionView{Form: s.newForm(c, path+"/enable"), Text: "Enable account", Hint: "They may sign in again."}
	case u.ID != reader(c).ID:
		v.Switch = templates.ActionView{Form: s.newForm(c, path+"/disable"), Text: "Disable account", Hint: "Ends all their sessions at once. What they did stays in History."}
	}
}

// roleNotices tell of open requests for other roles of somebody, and warn of toolkits
// that there are not.
func (s *Server) roleNotices(c echo.Context, u access.User, n names, v *templates.PersonView) error {
	open, ctx := true, c.Request().Context()
	found, err := s.store.Requests(ctx, store.RequestQuery{Reader: reader(c).User, Config: u.ID, Open: &open, Limit: 10})
	if err != nil {
		return err
	}
	grants := grantFormOf(u.Grants).Roles
	for _, one := range found {
		r, err := s.store.Request(ctx, one.ID)
		if err != nil {
			return err
		}
		for _, it := range r.Revision.Items {
			if it.Kind != change.KindRoles || it.Target != u.ID {
				continue
			}
			grants = append(grants, it.Set["roles"]...)
			v.Notices = append(v.Notices, templates.NoticeView{
				Tone: "info", Title: "Other roles were requested: " + grantList(it.Set["roles"], n) + ".",
				Text: r.Author.Name + " asked for them; the request is " + r.State.Words() + ".",
				Link: templates.LinkView{Text: "See the request", URL: templates.Local(changePath(r.ID))},
			})
		}
	}
	return s.warnOfToolkits(ctx, &v.Notices, grants, n)
}

// personRoles asks for other roles of a person.
func (s *Server) personRoles(c echo.Context) error {
	var in struct {
		Roles   []string `form:"roles"`
		Role    string   `form:"role"`
		Where   string   `form:"where"`
		Toolkit string   `form:"toolkit"`
		Reason  string   `form:"reason"`
	}
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	form := grantForm{in.Roles, in.Role, in.Where, in.Toolkit}
	if err := form.check(); err != nil {
		return s.personPage(c, u, personEdit{grants: &form, reason: in.Reason}, err)
	}
	r, err := s.changes.ProposeRoles(c.Request().Context(), reader(c), in.Reason, u, form.grants())
	if problem.Is(err, problem.Invalid) {
		return s.personPage(c, u, personEdit{grants: &form, reason: in.Reason}, err)
	}
	if err != nil {
		return err
	}
	return s.rolesAsked(c, u, r)
}

// rolesAsked leads back to the person, who has the roles now or waits for them.
func (s *Server) rolesAsked(c echo.Context, u access.User, r change.Request) error {
	now, err := s.restedRule(c, r)
	if err != nil {
		return err
	}
	switch now.State {
	case change.Applied:
		return s.see(c, personPath(u.ID), "Roles saved. They count from now on.")
	case change.InReview:
		return s.see(c, personPath(u.ID), "Requested. The roles change once the request is approved and applied.")
	}
	return s.see(c, changePath(r.ID), "")
}

// personErase erases somebody's personal data.
func (s *Server) personErase(c echo.Context) error {
	var in struct {
		Confirm string `form:"confirm"`
	}
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	asked, is := "e-mail", u.Email
	if is == "" {
		asked, is = "name", u.Name
	}
	if !strings.EqualFold(strings.TrimSpace(in.Confirm), is) {
		return s.personPage(c, u, personEdit{}, problem.InvalidFields("Nothing was erased.", map[string]string{"confirm": "Type the " + asked + " of this person."}))
	}
	if err := s.access.Erase(c.Request().Context(), reader(c), u.ID); err != nil {
		return err
	}
	return s.see(c, personPath(u.ID), "Erased. In history it may take some minutes.")
}
