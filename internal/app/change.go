package app

import (
	"context"
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// change shows one change request.
func (s *Server) change(c echo.Context) error {
	r, err := s.findRequest(c, c.Param("id"))
	if err != nil {
		return err
	}
	if r.Undecided() {
		noStore(c) // it shows what Composio says now
	} else if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	return s.changePage(c, r, changeState{action: c.QueryParam(keptForm)})
}

// changeState is what came of a form on the page of a request.
type changeState struct {
	action    string // of the form that has complaints or is filled in, such as schedule
	complaint error
	matched   map[string]templates.NoticeView // outcome of comparing a credential, by item and field
}

// changePage shows a request, with what was typed into a form that has complaints.
func (s *Server) changePage(c echo.Context, r change.Request, state changeState) error {
	b, err := s.changeBuilder(c, r)
	if err != nil {
		return err
	}
	b.state, b.typed = state, s.typed(c)
	at := place{title: r.Title, nav: "Changes", crumbs: []templates.LinkView{{Text: "Changes", URL: "/changes"}}}
	if r.Project != "" {
		at.project = &b.project
	}
	frame, err := s.frame(c, at)
	if err != nil {
		return err
	}
	v := templates.ChangeView{Page: frame, Card: b.card()}
	if r.State.Waiting() {
		if err := s.warnOfToolkits(c.Request().Context(), &v.Card.Notes, grantsAsked(r.Revision.Items), b.names); err != nil {
			return err
		}
	}
	if !r.Private() {
		v.Card.Evidence = s.evidenceLink(c, changePath(r.ID))
	}
	if state.complaint != nil {
		return again(c, templates.Change(v))
	}
	return page(c, templates.Change(v))
}

// findRequest returns a change request that the reader may see where it is; drafts
// are their author's alone.
func (s *Server) findRequest(c echo.Context, id string) (change.Request, error) {
	r, err := s.store.Request(c.Request().Context(), id)
	if err == nil && !r.ReadBy(reader(c).User) {
		err = problem.New(problem.NotFound, "There is no such change request, or you may not see it.")
	}
	return r, err
}

// changeBuilder gathers what the page of a request shows.
func (s *Server) changeBuilder(c echo.Context, r change.Request) (b changeBuilder, err error) {
	ctx := c.Request().Context()
	b = changeBuilder{request: r, reader: reader(c), here: here(c), now: s.now(), configs: map[string]mirror.AuthConfig{}, prints: map[string][]store.Fingerprint{}, form: func(action string) templates.FormView { return s.newForm(c, action) }}
	if b.names, err = s.names(c); err != nil {
		return b, err
	}
	if b.people, err = s.store.Users(ctx); err != nil {
		return b, err
	}
	b.awaited = r.Awaited(b.people)
	if b.rules, err = s.store.Rules(ctx); err != nil {
		return b, err
	}
	if b.revisions, err = s.store.Revisions(ctx, r.ID); err != nil {
		return b, err
	}
	if b.comments, err = s.store.Comments(ctx, r.ID); err != nil {
		return b, err
	}
	if b.watching, err = s.store.Watching(ctx, r.ID, b.reader.ID); err != nil {
		return b, err
	}
	entries, err := s.store.History(ctx, store.HistoryQuery{Request: r.ID, Limit: 200})
	if err != nil {
		return b, err
	}
	entries = slices.DeleteFunc(entries, func(e audit.Entry) bool { return !mayRead(b.reader, e) })
	slices.Reverse(entries)
	if b.timeline, err = s.entryViews(c, entries); err != nil {
		return b, err
	}
	if r.Project == "" {
		return b, nil
	}
	return b, s.addConfigs(c, &b)
}

// addConfigs adds the configs that a request is about, as they are mirrored.
func (s *Server) addConfigs(c echo.Context, b *changeBuilder) (err error) {
	ctx, r := c.Request().Context(), b.request
	if b.project, err = s.store.Project(ctx, r.Project); err != nil {
		return err
	}
	snapshot, err := s.store.Snapshot(ctx, r.Project)
	if err != nil {
		return err
	}
	if b.busy, err = s.store.ConfigRequests(ctx, r.Project); err != nil {
		return err
	}
	for _, it := range r.Revision.Items {
		if a, known := snapshot.Get(it.Target); known {
			b.configs[it.Target] = a
		}
		if len(it.Credentials) > 0 && it.Target != "" {
			if b.prints[it.Target], err = s.store.Fingerprints(ctx, r.Project, it.Target); err != nil {
				return err
			}
		}
	}
	if r.Undecided() {
		b.live = s.liveConfigs(c, r)
	}
	return nil
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
