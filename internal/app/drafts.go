package app

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// typed is what a form page is to be filled with: what was just sent, what was
// kept as a draft, or nothing.
func (s *Server) typed(c echo.Context) url.Values {
	if form := sent(c); form != nil {
		return form
	}
	id := c.QueryParam("draft")
	if id == "" {
		return nil
	}
	d, err := s.store.FormDraft(c.Request().Context(), id, reader(c).ID)
	if err != nil || d.Path != c.Request().URL.Path {
		return nil // it is gone, or it is for another page
	}
	return d.Fields
}

// keptForm is the parameter that says which form of a page a draft is of: the last
// part of where it is sent.
const keptForm = "form"

// keep keeps what somebody typed into a form, and returns the address of its page
// that fills it in again.
func (s *Server) keep(c echo.Context, user, page string, typed url.Values) (string, error) {
	at, _, _ := strings.Cut(page, "?")
	id, err := s.store.KeepFormDraft(c.Request().Context(), store.FormDraft{UserID: user, Path: at, Fields: typed})
	return withQuery(withQuery(page, "draft", id), keptForm, path.Base(c.Request().URL.Path)), err
}

// ownFields are the fields of forms that nobody types.
var ownFields = []string{"csrf", "op", "draft", "path"}

// withoutSecrets leaves out what may not be kept.
func withoutSecrets(form url.Values) url.Values {
	out := url.Values{}
	for name, values := range form {
		if !strings.HasPrefix(name, secretPrefix) && !slices.Contains(ownFields, name) {
			out[name] = slices.Clone(values)
		}
	}
	return out
}

// draftKeep keeps what is being typed into a form, for who types it.
func (s *Server) draftKeep(c echo.Context) error {
	form := sent(c)
	path := form.Get("path")
	if len(form["path"]) != 1 || localPath(path) != path || len(path) > maxDraftPath {
		return malformed("it doesn't say which page it is on")
	}
	_, err := s.store.KeepFormDraft(c.Request().Context(), store.FormDraft{UserID: reader(c).ID, Path: path, Fields: withoutSecrets(form)})
	if err == nil {
		err = beforeShown(c)
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

const maxDraftPath = 500 // bytes

// draftDiscard throws a draft away.
func (s *Server) draftDiscard(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.store.DropFormDraft(c.Request().Context(), c.Param("id"), reader(c).ID); err != nil {
		return err
	}
	return s.see(c, s.refererPath(c.Request()), "Draft discarded.")
}

// draftView tells of the reader's draft of this page, unless that is what the page
// shows.
func (s *Server) draftView(c echo.Context) (templates.DraftView, error) {
	path := c.Request().URL.Path
	d, err := s.store.FormDraftOf(c.Request().Context(), path, reader(c).ID)
	switch {
	case problem.Is(err, problem.NotFound) || err == nil && d.ID == c.QueryParam("draft"):
		return templates.DraftView{}, nil
	case err != nil:
		return templates.DraftView{}, err
	}
	return templates.DraftView{
		Age: ago(d.SavedAt, s.now()), Continue: templates.Local(query((&url.URL{Path: path}).EscapedPath(), "draft", d.ID)),
		Discard: s.newForm(c, discardPath(d.ID)),
	}, nil
}
