package app

import (
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// readable narrows a query to what the reader may read.
func (s *Server) readable(c echo.Context, q store.HistoryQuery) (store.HistoryQuery, error) {
	return s.store.Readable(c.Request().Context(), reader(c).User, q)
}

// mayRead reports whether somebody may read an entry as far as it is about people:
// such entries are for who may see such things, and for who did what they tell.
func mayRead(who access.Reader, e audit.Entry) bool {
	if e.Action == audit.Unreadable { // nobody knows what it tells
		return who.May(access.ViewPersonal)
	}
	return who.May(access.ViewPersonal) || e.Actor.ID == who.ID || (store.HistoryQuery{Public: true}).Matches(e)
}

// looksBack reports whether the reader may read the whole history of a project, or
// on a page of one of its auth configs that of its toolkit.
func looksBack(c echo.Context, p mirror.Project) bool {
	toolkit, _ := c.Get(keyToolkit).(string)
	return p.PartReadBy(reader(c).User, toolkit)
}

// mayLookBack returns a problem of kind NotFound unless the reader may read the
// whole history of a project.
func mayLookBack(c echo.Context, p mirror.Project) error {
	if looksBack(c, p) {
		return nil
	}
	return problem.New(problem.NotFound, "There is no page at this address, or you may not see it.")
}

// A projectOf is what entries show of a project. Of a closed one not all of history
// is the reader's to read.
type projectOf struct {
	slug, name string
	closed     bool
}

// hides reports whether an entry is of a project whose history isn't the reader's
// to read, and of somebody else.
func (b entryBuilder) hides(e audit.Entry) bool { return !b.readable.Reads(e) }

// quietText is said where the history of an auth config has nothing for the reader.
func quietText(c echo.Context, p mirror.Project) string {
	if looksBack(c, p) {
		return "Nothing has happened to it since Gatehouse knows it."
	}
	return "You may not read the history of " + p.Name + ", but for what you do yourself."
}

// projectReaders says who may read the project's history.
func (s *Server) projectReaders(c echo.Context) error {
	var in struct {
		Roles []string `form:"roles"`
	}
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	roles := make([]access.Role, len(in.Roles))
	for i, r := range in.Roles {
		roles[i] = access.Role(r)
	}
	err = s.mirror.SetReaders(c.Request().Context(), reader(c), p.ID, roles)
	if problem.Is(err, problem.Invalid) {
		return s.projectPage(c, p, projectForm{Name: p.Name, Environment: p.Environment}, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, projectPath(p.Slug), "Saved.")
}

// readersText says who may read a project's history.
func readersText(p mirror.Project) string {
	var who []string
	for _, r := range p.Readers {
		who = append(who, string(r)+"s")
	}
	return capital(listed(append(who, "auditors", "admins"), "and"))
}

// readerChecks are the roles to choose from.
func readerChecks(p mirror.Project) []templates.CheckView {
	var out []templates.CheckView
	for _, r := range mirror.ReaderRoles() {
		out = append(out, templates.CheckView{Name: "roles", Value: string(r), Text: capital(string(r)) + "s", Checked: slices.Contains(p.Readers, r)})
	}
	return out
}
