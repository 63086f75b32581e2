package app

import (
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/internal/scim"
	"gatehouse/internal/signon"
	"gatehouse/web/templates"
)

// directoryForm is the client of a directory that an admin wants.
type directoryForm struct {
	Name      string `form:"name"`
	Directory string `form:"directory"`
	Days      string `form:"days"`
	Reason    string `form:"reason"`
}

// directories lists the clients of directories, which keep people in step.
func (s *Server) directories(c echo.Context) error {
	in := directoryForm{Days: "365"}
	if typed := s.typed(c); typed != nil {
		in = directoryForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.directoriesPage(c, in, templates.NewTokenView{}, nil)
}

func (s *Server) directoriesPage(c echo.Context, in directoryForm, made templates.NewTokenView, complaint error) error {
	frame, err := s.frame(c, place{title: "Directories", nav: "People", narrow: true, crumbs: groupCrumbs[:1]})
	if err != nil {
		return err
	}
	all, err := s.access.Clients(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	ask, err := s.askView(c, change.KindClient, "Make client", in.Reason, complaint)
	if err != nil {
		return err
	}
	wrong := fieldComplaints(complaint)
	v := templates.DirectoriesView{
		Page: frame, Tabs: peopleTabs(c, "Directories"), New: made, Form: s.newForm(c, directoriesPath), Complaints: complaintsView(complaint, fieldLabels),
		Address: s.public.Scheme + "://" + s.public.Host + scim.Path,
		Name:    templates.InputView{Name: "name", Label: "Name", Value: in.Name, Required: true, Complete: "off", Complaint: wrong["name"], Hint: "What will use it, such as Okta. It stands in history."},
		Ask:     ask,
		Days:    lifeSelect(in.Days, wrong["days"]),
		Of:      s.directorySelect(in.Directory, wrong["directory"]),
		Empty:   templates.EmptyView{Title: "No clients", Text: "Make one for the program at your company that knows who joins and who leaves."},
	}
	for _, one := range all {
		v.Rows = append(v.Rows, s.clientRow(c, one, n))
	}
	if complaint != nil {
		return again(c, templates.Directories(v))
	}
	noStore(c)
	return page(c, templates.Directories(v))
}

// lifeSelect asks how long a token is to last.
func lifeSelect(chosen, complaint string) templates.SelectView {
	v := templates.SelectView{Name: "days", Label: "How long it lasts", Complaint: complaint}
	for _, n := range access.TokenLives() {
		v.Options = append(v.Options, templates.OptionView{Value: strconv.Itoa(n), Text: strconv.Itoa(n) + " days", Selected: strconv.Itoa(n) == chosen})
	}
	return v
}

func (s *Server) directorySelect(chosen, complaint string) templates.SelectView {
	v := templates.SelectView{
		Name: "directory", Label: "Provider these people sign in through", Complaint: complaint,
		Hint: "If you choose one, map externalId to what that provider sends as the subject. Without one, send each person an invitation link.",
	}
	for _, p := range s.signon.Choices() {
		v.Options = append(v.Options, templates.OptionView{Value: p.ID, Text: p.Name, Selected: p.ID == chosen})
	}
	v.Options = append(v.Options, templates.OptionView{Text: "None", Selected: chosen == ""})
	return v
}

func (s *Server) clientRow(c echo.Context, one access.Client, n names) templates.TokenView {
	now := s.now()
	v := templates.TokenView{
		Name: one.Name, May: "Keeps people and groups", Where: "no provider", Made: ago(one.CreatedAt, now), Expires: exact(one.ExpiresAt), Used: ago(one.LastUsedAt, now), UsedIP: one.LastUsedIP,
	}
	if one.Directory != "" {
		v.Where = "sign in through " + s.signon.Name(one.Directory)
	}
	switch {
	case !one.RevokedAt.IsZero():
		v.State = templates.BadgeView{Text: "Revoked"}
	case !one.Good(now):
		v.State = templates.BadgeView{Text: "Expired", Tone: "warn"}
	default:
		v.Revoke = s.newForm(c, directoriesPath+"/"+one.ID+"/revoke")
	}
	if v.Revoke.Action != "" && one.Waits() {
		v.State, v.May = templates.BadgeView{Text: "No token yet", Tone: "warn"}, "Good for nothing until "+n.of(one.MadeBy)+" has its token shown here"
		if one.MadeBy == reader(c).ID {
			v.Show = s.newForm(c, clientTokenPath(one.ID))
		}
	}
	return v
}

// directoryClientMake asks for a client. Where nobody has to agree it is there at
// once, and its token is shown.
func (s *Server) directoryClientMake(c echo.Context) error {
	var in directoryForm
	if err := decode(c, &in); err != nil {
		return err
	}
	known := slices.ContainsFunc(s.signon.Choices(), func(p signon.Choice) bool { return p.ID == in.Directory })
	if in.Directory != "" && !known {
		return malformed("it names a provider that there isn't")
	}
	days, _ := strconv.Atoi(in.Days) // what is no number is none of those listed
	r, err := s.changes.ProposeClient(c.Request().Context(), reader(c), in.Reason, in.Name, in.Directory, days)
	if problem.Is(err, problem.Invalid) {
		return s.directoriesPage(c, in, templates.NewTokenView{}, err)
	}
	if err == nil {
		r, err = s.restedRule(c, r)
	}
	if err != nil {
		return err
	}
	if r.State != change.Applied {
		return s.see(c, changePath(r.ID), "")
	}
	return s.showClientToken(c, r.Progress[0].Target)
}

// directoryClientToken shows who asked for a client the token of it.
func (s *Server) directoryClientToken(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	return s.showClientToken(c, c.Param("id"))
}

// showClientToken makes the token of a client and shows it, once.
func (s *Server) showClientToken(c echo.Context, id string) error {
	one, text, err := s.access.ClientToken(detach(c), reader(c), id)
	if err != nil {
		return err
	}
	return s.directoriesPage(c, directoryForm{Days: "365"}, templates.NewTokenView{Name: one.Name, Text: text.Reveal()}, nil)
}

func (s *Server) directoryClientRevoke(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.RevokeClient(c.Request().Context(), reader(c), c.Param("id")); err != nil {
		return err
	}
	return s.see(c, directoriesPath, "Revoked. It works no more; people and groups stay as they are.")
}
