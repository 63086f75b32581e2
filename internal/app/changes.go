package app

import (
	"context"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

const changesPerPage = 50

// applyWait is how long an answer waits for a change to be carried out before it
// shows the request instead.
const applyWait = 8 * time.Second

// changesPage lists change requests.
func (s *Server) changesPage(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	inbox, err := s.store.Inbox(c.Request().Context(), reader(c).User)
	if err != nil {
		return err
	}
	if c.QueryParams().Has("q") {
		return s.changesSearch(c, inbox)
	}
	tab := c.QueryParam("tab")
	later := beforeParam(c)
	found, tab, err := s.listed(c, tab, later, inbox)
	if err == nil {
		found, err = s.counted(c, found)
	}
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Changes", nav: "Changes"})
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	return page(c, templates.Changes(changesView(frame, tab, found, inbox, n, later > 0, s.now())))
}

// listed returns the requests of a tab and the tab that it is.
func (s *Server) listed(c echo.Context, tab string, before int64, inbox store.Inbox) ([]change.Line, string, error) {
	me := reader(c).ID
	yes, no := true, false
	q := store.RequestQuery{Reader: reader(c).User, Limit: changesPerPage + 1, Before: before}
	switch tab {
	case "mine":
		q.Author = me
	case "watching":
		found, err := s.store.Watched(c.Request().Context(), reader(c).User, before, q.Limit)
		return found, tab, err
	case "done":
		q.Open = &no
	case "open":
		q.Open = &yes
	default:
		var found []change.Line
		for _, r := range inbox.Needs[:min(len(inbox.Needs), changesPerPage)] {
			found = append(found, r.Line())
		}
		return found, "needs", nil
	}
	found, err := s.store.Requests(c.Request().Context(), q)
	return found, tab, err
}

// followed waits for a change to come to rest, then leads to where its outcome
// is seen.
func (s *Server) followed(c echo.Context, r change.Request, where string) error {
	wait, cancel := context.WithTimeout(detach(c), applyWait)
	defer cancel()
	s.changes.Settled(wait, r.ID)
	ctx := detach(c)
	now, err := s.store.Request(ctx, r.ID)
	if err != nil {
		return err
	}
	if now.State != change.Applied {
		return s.see(c, changePath(r.ID), "")
	}
	if where == "" && len(now.Progress) == 1 {
		p, err := s.store.Project(ctx, r.Project)
		if err != nil {
			return err
		}
		where = configPath(p.Slug, now.Progress[0].Target)
	}
	return s.see(c, where, done(now))
}

// done says what a request did.
func done(r change.Request) string {
	it := r.Revision.Items[0]
	verb := map[change.Operation]string{change.Create: "Created", change.Update: "Saved", change.Enable: "Enabled", change.Disable: "Disabled", change.Delete: "Deleted"}[it.Operation]
	if n := len(r.Revision.Items); n > 1 {
		return fmt.Sprintf("%s %d auth configs.", verb, n)
	}
	if name := it.Set[mirror.FieldName]; it.Operation == change.Update && len(name) == 1 && name[0] != it.Name {
		return "Saved " + name[0] + ", which was " + it.Name + "."
	}
	return verb + " " + it.Name + "."
}
