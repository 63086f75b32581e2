package app

import (
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// inviteAsk says what an invitation takes once roles take approvals; before, it
// is empty.
func (s *Server) inviteAsk(c echo.Context, reason string, complaint error) (templates.AskView, error) {
	rules, err := s.store.Rules(c.Request().Context())
	if err != nil || !rules.Governed() {
		return templates.AskView{}, err
	}
	v, err := s.askView(c, change.KindRoles, "", reason, complaint)
	v.Policy = "Everybody begins as a viewer. Roles beyond that are requested, and take approvals. " + v.Policy
	v.Reason.Optional, v.Reason.Required = true, false
	v.Reason.Hint = "Needed for roles beyond viewer. Those who approve them read it."
	return v, err
}

// personInvite makes an account and shows the link that its person needs, once.
func (s *Server) personInvite(c echo.Context) error {
	var in personForm
	if err := decode(c, &in); err != nil {
		return err
	}
	u, token, asked, err := s.invite(c, in)
	if problem.Is(err, problem.Invalid) {
		return s.peoplePage(c, in, templates.OneTimeLinkView{}, err)
	}
	if err != nil {
		return err
	}
	v := templates.OneTimeLinkView{
		Title: "Hand this link to " + u.Name + ".", URL: s.linkURL(token), Text: "It is shown only now, works once, and lasts three days.",
	}
	v.Note, v.More = asked.Text, asked.Link
	return s.peoplePage(c, personForm{}, v, nil)
}

// invite makes the account. Where the rules take approvals it begins as a viewer,
// and what was asked for beyond that becomes a request, of which the answer tells.
func (s *Server) invite(c echo.Context, in personForm) (access.User, string, templates.NoticeView, error) {
	var asked templates.NoticeView
	ctx := c.Request().Context()
	p := in.person()
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return access.User{}, "", asked, err
	}
	wanted, complaint := access.CleanRoles(p.Roles)
	beyond := slices.ContainsFunc(wanted, func(r access.Role) bool { return r != access.Viewer })
	if !rules.Governed() || !beyond || complaint != "" {
		u, token, err := s.access.Invite(ctx, reader(c), p)
		return u, token, asked, err
	}
	if err := problem.Join(s.access.CheckPerson(p), s.changes.CheckReason(in.Reason)); err != nil {
		return access.User{}, "", asked, err
	}
	p.Roles = []access.Role{access.Viewer}
	u, token, err := s.access.Invite(ctx, reader(c), p)
	if err != nil {
		return u, token, asked, err
	}
	r, err := s.changes.ProposeRoles(ctx, reader(c), in.Reason, u, access.Unscoped(wanted...))
	refusal := problem.Of(err)
	if refusal != nil {
		err = nil // it is told with the link, which has to be shown: the account is made
	}
	return u, token, rolesNotice(u, wanted, r, refusal), err
}

// rolesNotice says what became of the roles that somebody was invited with.
func rolesNotice(u access.User, wanted []access.Role, r change.Request, refusal *problem.Error) templates.NoticeView {
	if refusal != nil {
		return templates.NoticeView{Text: u.Name + " is a viewer. Other roles could not be requested: " + refusal.Message}
	}
	return templates.NoticeView{
		Text: u.Name + " is a viewer. The roles " + roleNames(wanted) + " were requested.",
		Link: templates.LinkView{Text: "See the request", URL: templates.Local(changePath(r.ID))},
	}
}
