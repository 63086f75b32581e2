package app

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
	"gatehouse/web/templates"
)

const searchesPath = "/history/searches"

func savedPath(id string) string { return searchesPath + "/" + url.PathEscape(id) }

// searchForm is what is typed about a saved search.
type searchForm struct {
	Name   string `form:"name"`
	Query  string `form:"q"`
	Shared bool   `form:"shared"`
}

// searches are the saved searches, and the form for one more, which begins with
// the search that the reader comes from.
func (s *Server) searches(c echo.Context) error {
	a, err := s.ask(c)
	if err != nil {
		return err
	}
	in := searchForm{Query: a.saved()}
	if typed := s.typed(c); typed != nil {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.searchesPage(c, in, "", nil)
}

// saved is the search as it is kept: its days are terms.
func (a asked) saved() string {
	q := a.query
	if a.wrong == nil && !a.history.From.IsZero() {
		q = q.With(ql.Term{Key: ql.After, Value: day(a.history.From)})
	}
	if a.wrong == nil && !a.history.To.IsZero() {
		q = q.With(ql.Term{Key: ql.Before, Value: day(a.history.To)})
	}
	return q.String()
}

// searchesPage shows the list, or a form again with what was typed: the one that
// edits a saved search, or without an id the one that saves another.
func (s *Server) searchesPage(c echo.Context, in searchForm, edited string, complaint error) error {
	frame, err := s.frame(c, place{title: "Saved searches", nav: "History", narrow: true, crumbs: []templates.LinkView{{Text: "History", URL: historyPath}}})
	if err != nil {
		return err
	}
	all, err := s.notify.Searches(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	complaints, wrong := complaintsView(complaint, map[string]string{"name": "Name", "q": "Search"}), fieldComplaints(complaint)
	change, wrongChange := in, wrong
	if edited != "" {
		in, wrong = searchForm{}, nil
	}
	v := templates.SearchesView{
		Page: frame, Form: s.newForm(c, searchesPath),
		Name:   templates.InputView{Name: "name", Label: "Name", Value: in.Name, Required: true, Complaint: wrong["name"]},
		Query:  templates.InputView{Name: "q", Label: "Search", Value: in.Query, Required: true, Code: true, Complaint: wrong["q"], Hint: "As in the search field of history, such as is:widened project:production after:7d."},
		Shared: templates.CheckView{Name: "shared", Value: "1", Text: "Share it with everybody who may read history", Checked: in.Shared},
	}
	if from, _ := s.notify.MailFrom(); from == "" {
		v.NoMail = "No mail is sent as long as no mail server is set. Your choice of digests is kept."
	}
	for _, q := range all {
		row := s.savedSearch(c, q, n)
		if q.ID == edited {
			row.Name.Value, row.Name.Complaint, row.Shared.Checked = change.Name, cmp.Or(wrongChange["name"], complaints.Message), change.Shared
		}
		v.Rows = append(v.Rows, row)
	}
	if edited == "" {
		v.Complaints = complaints
	}
	if complaint != nil {
		return again(c, templates.Searches(v))
	}
	return page(c, templates.Searches(v))
}

func (s *Server) savedSearch(c echo.Context, q notify.Search, n names) templates.SavedSearchView {
	v := templates.SavedSearchView{
		Link: templates.LinkView{Text: q.Name, URL: templates.Local(query(historyPath, "q", q.Text))}, Text: q.Text,
		Follow: s.newForm(c, savedPath(q.ID)+"/digest"), Every: templates.SelectView{Label: "Mail what " + q.Name + " newly finds", Options: []templates.OptionView{{Text: "No mail"}}},
	}
	for _, d := range notify.SearchDigests() {
		v.Every.Options = append(v.Every.Options, templates.OptionView{Value: string(d), Text: capital(string(d)) + " mail", Selected: d == q.Every})
	}
	if q.Shared {
		v.Badge = templates.BadgeView{Text: "Shared", Tone: "info"}
	}
	if q.Owner != reader(c).ID {
		v.By = "Saved by " + n.known(q.Owner)
		return v
	}
	v.Edit, v.Remove = s.newForm(c, savedPath(q.ID)), s.newForm(c, savedPath(q.ID)+"/delete")
	v.Name = templates.InputView{Name: "name", ID: "name-" + q.ID, Label: "Name", Value: q.Name, Required: true}
	v.Shared = templates.CheckView{Name: "shared", Value: "1", Text: "Shared", Checked: q.Shared}
	return v
}

func (s *Server) searchSave(c echo.Context) error {
	var in searchForm
	if err := decode(c, &in); err != nil {
		return err
	}
	_, err := s.notify.SaveSearch(c.Request().Context(), reader(c), notify.Search{Name: in.Name, Text: strings.TrimSpace(in.Query), Shared: in.Shared})
	return s.searchSaved(c, in, "", err, "Search saved.")
}

// searchSaved shows the form again with complaints, or leads to the list.
func (s *Server) searchSaved(c echo.Context, in searchForm, edited string, err error, done string) error {
	if problem.Is(err, problem.Invalid) {
		return s.searchesPage(c, in, edited, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, searchesPath, done)
}

func (s *Server) searchEdit(c echo.Context) error {
	var in searchForm
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.notify.EditSearch(c.Request().Context(), reader(c), c.Param("id"), in.Name, in.Shared)
	return s.searchSaved(c, in, c.Param("id"), err, "Search saved.")
}

func (s *Server) searchRemove(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	err := s.notify.RemoveSearch(c.Request().Context(), reader(c), c.Param("id"))
	return s.searchSaved(c, searchForm{}, "", err, "Search deleted.")
}

func (s *Server) searchFollow(c echo.Context) error {
	var in struct {
		Every string `form:"every"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.notify.FollowSearch(c.Request().Context(), reader(c), c.Param("id"), notify.Digest(in.Every))
	return s.searchSaved(c, searchForm{}, "", err, "Saved.")
}
