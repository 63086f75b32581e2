package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
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
	tab := c.QueryParam("tab")
	yes, no := true, false
	q := store.RequestQuery{Limit: changesPerPage + 1, Before: beforeParam(c)}
	switch tab {
	case "mine":
		q.Author = reader(c).ID
	case "done":
		q.Open = &no
	default:
		tab, q.Open = "open", &yes
	}
	frame, err := s.frame(c, place{title: "Changes", nav: "Changes"})
	if err != nil {
		return err
	}
	found, err := s.store.Requests(c.Request().Context(), q)
	if err != nil {
		return err
	}
	names, err := s.projectNames(c)
	if err != nil {
		return err
	}
	return page(c, templates.Changes(changesView(frame, tab, found, names, q.Before > 0, s.now())))
}

func (s *Server) projectNames(c echo.Context) (map[string]string, error) {
	projects, err := s.store.Projects(c.Request().Context())
	names := map[string]string{}
	for _, p := range projects {
		names[p.ID] = p.Name
	}
	return names, err
}

// change shows one change request.
func (s *Server) change(c echo.Context) error {
	r, err := s.store.Request(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	if r.Undecided() {
		noStore(c) // it shows what Composio says now
	} else if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	card, project, err := s.changeCard(c, r)
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: r.Title, nav: "Changes", project: &project, crumbs: []templates.LinkView{{Text: "Changes", URL: "/changes"}}})
	if err != nil {
		return err
	}
	return page(c, templates.Change(templates.ChangeView{Page: frame, Card: card}))
}

// changeCard gathers what the page of a request shows.
func (s *Server) changeCard(c echo.Context, r change.Request) (templates.ChangeCardView, mirror.Project, error) {
	ctx := c.Request().Context()
	project, err := s.store.Project(ctx, r.Project)
	if err != nil {
		return templates.ChangeCardView{}, project, err
	}
	entries, err := s.store.History(ctx, store.HistoryQuery{Request: r.ID, Limit: 200})
	if err != nil {
		return templates.ChangeCardView{}, project, err
	}
	slices.Reverse(entries)
	timeline, err := s.entryViews(c, entries)
	if err != nil {
		return templates.ChangeCardView{}, project, err
	}
	b := changeBuilder{request: r, project: project, reader: reader(c), now: s.now(), form: func(action string) templates.FormView { return s.newForm(c, action) }}
	if r.Undecided() {
		b.live = s.liveConfigs(c, r)
	}
	card := b.card()
	card.Timeline = timeline
	return card, project, nil
}

// liveConfigs reads the configs of which a person has to say what became of them.
func (s *Server) liveConfigs(c echo.Context, r change.Request) map[int]string {
	ctx, cancel := context.WithTimeout(c.Request().Context(), liveTimeout)
	defer cancel()
	out := map[int]string{}
	for i, p := range r.Progress {
		if !p.Decide || p.Target == "" {
			continue
		}
		live, err := s.mirror.Refresh(ctx, r.Project, p.Target)
		switch {
		case problem.Is(err, problem.NotFound):
			out[i] = "It doesn't exist."
		case err != nil:
			out[i] = mirror.Refusal(err).Message
		default:
			out[i] = wordsOf(live.Values().Pick(touched(r.Revision.Items[i])...))
		}
	}
	return out
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

// changeApply lets an approved request be applied, or tries a failed one again.
func (s *Server) changeApply(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	r, err := s.changes.Release(c.Request().Context(), reader(c), c.Param("id"))
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeRebase renews a request whose auth config changed meanwhile.
func (s *Server) changeRebase(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	r, err := s.changes.Rebase(c.Request().Context(), reader(c), c.Param("id"))
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeCancel ends a request before anything is sent, or closes a failed one.
func (s *Server) changeCancel(c echo.Context) error {
	var in struct {
		Reason string `form:"reason"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.Cancel(c.Request().Context(), reader(c), c.Param("id"), in.Reason)
	if err != nil {
		return err
	}
	return s.see(c, changePath(r.ID), "Cancelled. Nothing more is sent.")
}

// changeSettle records what a person says became of an item.
func (s *Server) changeSettle(c echo.Context) error {
	var in struct {
		Item    string `form:"item"`
		Outcome string `form:"outcome"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	item, err := strconv.Atoi(in.Item)
	if err != nil || in.Outcome != "happened" && in.Outcome != "not" {
		return malformed("it doesn't say what happened to what")
	}
	r, err := s.changes.Decide(c.Request().Context(), reader(c), c.Param("id"), item, in.Outcome == "happened")
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// policies says who has to agree to what.
func (s *Server) policies(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Policies", nav: "Policies", narrow: true})
	if err != nil {
		return err
	}
	v := templates.PoliciesView{Page: frame}
	projects, err := s.store.Projects(c.Request().Context())
	if err != nil {
		return err
	}
	for _, p := range projects {
		if p.Archived() {
			continue
		}
		all, err := s.store.Policies(c.Request().Context(), p.ID)
		if err != nil {
			return err
		}
		for _, policy := range all {
			row := templates.PolicyView{Project: p.Name, Environment: environment(p), Sentence: policy.Sentence()}
			if policy.Approvals == 0 && p.Environment == mirror.Production {
				row.Warn = "This is production: what an editor saves is applied at once."
			}
			v.Rows = append(v.Rows, row)
		}
	}
	return page(c, templates.Policies(v))
}
