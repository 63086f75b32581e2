package app

import (
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// tokenForm is the API token that somebody wants.
type tokenForm struct {
	Name     string   `form:"name"`
	May      []string `form:"may"`
	Projects []string `form:"projects"`
	Days     string   `form:"days"`
}

func (f tokenForm) wish() access.TokenWish {
	w := access.TokenWish{Name: f.Name, Projects: f.Projects}
	for _, one := range f.May {
		w.Rights = append(w.Rights, access.TokenRight(one))
	}
	w.Days, _ = strconv.Atoi(f.Days) // what is no number is none of those listed
	return w
}

// accountTokens lists the reader's API tokens.
func (s *Server) accountTokens(c echo.Context) error {
	in := tokenForm{Days: "90"}
	if typed := s.typed(c); typed != nil {
		in = tokenForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.tokensPage(c, in, templates.NewTokenView{}, nil)
}

func (s *Server) tokensPage(c echo.Context, in tokenForm, made templates.NewTokenView, complaint error) error {
	frame, err := s.frame(c, place{title: "API tokens", narrow: true, crumbs: []templates.LinkView{{Text: "Account", URL: "/account"}}})
	if err != nil {
		return err
	}
	projects, err := s.seenProjects(c)
	if err != nil {
		return err
	}
	all, err := s.access.Tokens(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	wrong := fieldComplaints(complaint)
	v := templates.TokensView{
		Page: frame, Tabs: s.accountTabs("API tokens"), New: made, Form: s.newForm(c, tokensPath), Complaints: complaintsView(complaint, fieldLabels), Docs: descriptionPath,
		Name: templates.InputView{Name: "name", Label: "Name", Value: in.Name, Required: true, Complete: "off", Complaint: wrong["name"], Hint: "What will use it, such as CI. It stands in history beside your name."},
		May:  rightChecks(in.May), MayWrong: wrong["may"],
		Empty: templates.EmptyView{Title: "No tokens", Text: "Make one for a program that is to act for you."},
	}
	v.Rows = tokenRows(all, projects, s, func(id string) templates.FormView { return s.newForm(c, revokeTokenPath(id)) })
	for _, p := range projects {
		if !p.Archived() {
			v.Projects = append(v.Projects, templates.CheckView{Name: "projects", Value: p.ID, Text: p.Name, Hint: capital(p.Environment), Checked: slices.Contains(in.Projects, p.ID)})
		}
	}
	v.Days = lifeSelect(in.Days, wrong["days"])
	if complaint != nil {
		return again(c, templates.Tokens(v))
	}
	noStore(c)
	return page(c, templates.Tokens(v))
}

// rightWords say what a token may do.
var rightWords = map[access.TokenRight]struct{ text, hint string }{
	access.TokenReads:    {"Read auth configs and change requests", ""},
	access.TokenHistory:  {"Read history", "Without people's addresses. That it was read is recorded, as it is of you."},
	access.TokenProposes: {"Propose changes of auth configs", "Under the same policies as yours. You count as the author, so you can't approve them. It may read what it changes."},
}

func rightChecks(chosen []string) []templates.CheckView {
	var out []templates.CheckView
	for _, r := range access.TokenRights() {
		out = append(out, templates.CheckView{Name: "may", Value: string(r), Text: rightWords[r].text, Hint: rightWords[r].hint, Checked: slices.Contains(chosen, string(r))})
	}
	return out
}

func tokenRows(all []access.Token, projects []mirror.Project, s *Server, revoke func(id string) templates.FormView) []templates.TokenView {
	var rows []templates.TokenView
	now := s.now()
	for _, t := range all {
		var may, where []string
		for _, r := range t.Rights {
			may = append(may, map[access.TokenRight]string{access.TokenReads: "reads auth configs and requests", access.TokenHistory: "reads history", access.TokenProposes: "proposes changes"}[r])
		}
		for _, id := range t.Projects {
			name := "a project you don't see"
			if i := slices.IndexFunc(projects, func(p mirror.Project) bool { return p.ID == id }); i >= 0 {
				name = projects[i].Name
			}
			where = append(where, name)
		}
		v := templates.TokenView{
			Name: t.Name, May: capital(listed(may, "and")), Where: "all projects", Made: ago(t.CreatedAt, now), Expires: exact(t.ExpiresAt), Used: ago(t.LastUsedAt, now), UsedIP: t.LastUsedIP,
		}
		if len(where) > 0 {
			v.Where = listed(where, "and")
		}
		switch {
		case t.Good(now):
			v.Revoke = revoke(t.ID)
		case t.RevokedAt.IsZero():
			v.State = templates.BadgeView{Text: "Expired", Tone: "warn"}
		default:
			v.State = templates.BadgeView{Text: "Revoked", Tone: "bad"}
		}
		rows = append(rows, v)
	}
	return rows
}

// tokenMake makes a token and shows it, once.
func (s *Server) tokenMake(c echo.Context) error {
	var in tokenForm
	if err := decode(c, &in); err != nil {
		return err
	}
	projects, err := s.seenProjects(c)
	if err != nil {
		return err
	}
	for _, id := range in.Projects {
		if !slices.ContainsFunc(projects, func(p mirror.Project) bool { return p.ID == id }) {
			return malformed("it names a project that you don't see")
		}
	}
	t, text, err := s.access.MakeToken(c.Request().Context(), reader(c), in.wish())
	if problem.Is(err, problem.Invalid) {
		return s.tokensPage(c, in, templates.NewTokenView{}, err)
	}
	if err != nil {
		return err
	}
	return s.tokensPage(c, tokenForm{Days: "90"}, templates.NewTokenView{Name: t.Name, Text: text.Reveal()}, nil)
}

func (s *Server) tokenRevoke(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.RevokeToken(c.Request().Context(), reader(c), c.Param("id")); err != nil {
		return err
	}
	return s.see(c, tokensPath, "Revoked. It works no more.")
}

// personTokenRevoke ends a token of somebody.
func (s *Server) personTokenRevoke(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.RevokeTokenOf(c.Request().Context(), reader(c), u.ID, c.Param("token")); err != nil {
		return err
	}
	return s.see(c, personPath(u.ID), "Revoked. It works no more.")
}

// personTokens adds what an admin sees of somebody's sessions and tokens.
func (s *Server) personTokens(c echo.Context, u access.User, v *templates.PersonView) error {
	ctx := c.Request().Context()
	sessions, err := s.access.SessionsOf(ctx, reader(c), u.ID)
	if err != nil {
		return err
	}
	if n := len(sessions); n > 0 {
		v.SignedIn = templates.ActionView{Form: s.newForm(c, personPath(u.ID)+"/sessions/end"), Text: "End all sessions", Hint: "Signed in in " + plural(n, "place", "places") + ". Ends them at once; API tokens go on."}
	}
	all, err := s.access.TokensOf(ctx, reader(c), u.ID)
	if err != nil {
		return err
	}
	projects, err := s.seenProjects(c)
	v.Tokens = tokenRows(all, projects, s, func(id string) templates.FormView { return s.newForm(c, personTokenPath(u.ID, id)) })
	return err
}
