package app

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

const (
	viewPath    = "/people/view-as"
	viewEndPath = "/people/view-as/end"
)

// keyView is where a request carries the view that its reader sees pages in.
const (
	keyView = "view" // access.View
	keySelf = "self" // access.User: its reader, as they are without it
)

// self is the reader as they are, also in a view.
func self(c echo.Context) access.User {
	if u, ok := c.Get(keySelf).(access.User); ok {
		return u
	}
	return reader(c).User
}

func viewOf(c echo.Context) access.View {
	v, _ := c.Get(keyView).(access.View)
	return v
}

// itself is [self] with their session.
func itself(c echo.Context) access.Reader {
	r := reader(c)
	r.User = self(c)
	return r
}

// seesAs makes the reader see pages in the view of their session, as long as they
// may.
func seesAs(c echo.Context, r *access.Reader, v access.View) {
	if v.On() && r.May(access.ManagePeople) {
		c.Set(keyView, v)
		c.Set(keySelf, r.User)
		r.User = r.As(v)
	}
}

// readOnly refuses what changes something in a view, but its end and signing out.
func readOnly(c echo.Context) error {
	safe := c.Request().Method == http.MethodGet || c.Request().Method == http.MethodHead
	if safe || !viewOf(c).On() || c.Path() == viewEndPath || c.Path() == "/signout" {
		return nil
	}
	return problem.New(problem.Forbidden, "You see pages as another role does, and nothing can be changed meanwhile. Nothing was changed. End the view first.")
}

// viewBanner says so on every page.
func (s *Server) viewBanner(c echo.Context) (templates.ViewBannerView, error) {
	v := viewOf(c)
	if !v.On() {
		return templates.ViewBannerView{}, nil
	}
	n, err := s.names(c)
	return templates.ViewBannerView{
		Text: "You see pages as this role does: " + grantWords(v.Grant.String(), n) + ". Nothing can be changed.", End: s.newForm(c, viewEndPath),
	}, err
}

// viewForm is the form that begins a view.
func (s *Server) viewForm(c echo.Context, b rulebook, in viewInput, complaint error) templates.ViewFormView {
	wrong := fieldComplaints(complaint)
	v := templates.ViewFormView{
		Form: s.newForm(c, viewPath), Role: templates.SelectView{Name: "role", Label: "Role", Complaint: wrong["role"]},
		Where: templates.SelectView{Name: "where", Label: "In which projects", Options: b.whereOptions(in.Where), Complaint: wrong["where"]},
	}
	for _, r := range b.allRoles() {
		v.Role.Options = append(v.Role.Options, templates.OptionView{Value: string(r.ID), Text: r.Name, Selected: in.Role == string(r.ID)})
	}
	return v
}

type viewInput struct {
	Role  string `form:"role"`
	Where string `form:"where"`
}

// viewBegin has the reader see pages as a role does.
func (s *Server) viewBegin(c echo.Context) error {
	var in viewInput
	if err := decode(c, &in); err != nil {
		return err
	}
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(b.whereOptions(in.Where), func(o templates.OptionView) bool { return o.Selected }) {
		return s.rolesPage(c, in, problem.InvalidFields("Nothing was changed.", map[string]string{"where": "Choose from the places that are listed."}))
	}
	grants, _ := access.Known(grantForm{Role: in.Role, Where: in.Where}.grants(), b.rules.Roles)
	if len(grants) != 1 {
		grants = []access.Grant{{}}
	}
	err = s.access.ViewAs(c.Request().Context(), reader(c), grants[0])
	if problem.Is(err, problem.Invalid) {
		return s.rolesPage(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, "/", "")
}

// viewEnd ends it.
func (s *Server) viewEnd(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	v := viewOf(c)
	if !v.On() {
		return s.see(c, rolesPath, "")
	}
	if err := s.access.EndView(c.Request().Context(), reader(c), v); err != nil {
		return err
	}
	return s.see(c, rolesPath, "You see pages as yourself again.")
}
