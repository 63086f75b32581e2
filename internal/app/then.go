package app

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// momentLayouts are how a moment may be written, in UTC.
var momentLayouts = []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04", "2006-01-02 15:04:05", time.DateOnly}

func readMoment(text string) (time.Time, bool) {
	for _, layout := range momentLayouts {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// A moment is a point of a project's history.
type moment struct {
	at  time.Time
	seq int64 // the last entry before it that changed a config
}

// projectThen lists the auth configs of a project as they were at ?at= or right after
// the entry ?entry=.
func (s *Server) projectThen(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := mayLookBack(c, p); err != nil {
		return err
	}
	base := templates.Local(configsPath(p.Slug))
	frame, err := s.frame(c, place{title: "As of a moment", nav: "Auth configs", project: &p, crumbs: []templates.LinkView{{Text: p.Name, URL: base}, {Text: "Auth configs", URL: base}}})
	if err != nil {
		return err
	}
	v := templates.AsOfView{Page: frame, Action: templates.Local(asOfPath(p.Slug)), At: c.QueryParam("at"), Query: c.QueryParam("q"), Summary: p.Name}
	m, err := s.moment(c, p)
	if problem.Is(err, problem.Invalid) {
		v.Complaint = problem.Of(err).Message
		v.Empty = templates.EmptyView{Title: "No moment chosen", Text: "Choose a moment to see the auth configs as they were."}
		return again(c, templates.AsOf(v))
	}
	if err != nil {
		return err
	}
	v.Moment, v.At = exact(m.at), m.at.Format("2006-01-02T15:04:05")
	if m.seq > 0 {
		v.Entry = templates.LinkView{Text: "Last change before: #" + strconv.FormatInt(m.seq, 10), URL: templates.Local(entryPath(m.seq))}
	}
	if err := s.asOfRows(c, p, m, &v); err != nil {
		return err
	}
	return page(c, templates.AsOf(v))
}

// moment reads which point of history is asked for; now, if it isn't said.
func (s *Server) moment(c echo.Context, p mirror.Project) (moment, error) {
	ctx := c.Request().Context()
	if text := c.QueryParam("entry"); text != "" {
		seq, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return moment{}, problem.New(problem.NotFound, "There is no such entry.")
		}
		e, err := s.store.HistoryEntry(ctx, seq)
		if err == nil && e.Project != p.ID {
			err = problem.New(problem.NotFound, "This entry is not about %s.", p.Name)
		}
		return moment{e.Time, seq}, err
	}
	at := s.now()
	if text := c.QueryParam("at"); text != "" {
		var ok bool
		if at, ok = readMoment(text); !ok {
			return moment{}, problem.New(problem.Invalid, "This is not a moment. Write one such as 2026-03-01T10:00, in UTC.")
		}
		if at.After(s.now()) {
			at = s.now()
		}
	}
	seq, err := s.store.LastStepAt(ctx, p.ID, at)
	return moment{at, seq}, err
}

// asOfRows fills in a page of what there was.
func (s *Server) asOfRows(c echo.Context, p mirror.Project, m moment, v *templates.AsOfView) error {
	ctx := c.Request().Context()
	read, first, err := s.store.FirstRead(ctx, p.ID)
	if err != nil {
		return err
	}
	if first == 0 || m.seq < first {
		v.Empty = templates.EmptyView{Title: "Not known", Text: "Gatehouse had not read this project yet."}
		if first > 0 {
			v.Empty.Text = "Gatehouse read this project for the first time on " + exact(read).Full + ". What was before, it doesn't know."
			v.Empty.Action = templates.LinkView{Text: "Show that moment", URL: asOfEntry(p.Slug, first)}
		}
		return nil
	}
	all, err := s.store.ConfigsAt(ctx, p.ID, m.seq)
	if err != nil {
		return err
	}
	v.Summary = p.Name + " had " + plural(len(all), "auth config", "auth configs") + " then."
	if v.Query != "" {
		all = slices.DeleteFunc(all, func(a store.PastConfig) bool {
			return !strings.Contains(strings.ToLower(a.Name+"\n"+a.ID), strings.ToLower(v.Query))
		})
	}
	from := 0
	if after := c.QueryParam("after"); after != "" {
		from = 1 + slices.IndexFunc(all, func(a store.PastConfig) bool { return a.ID == after })
	}
	shown := all[from:min(len(all), from+configsPerPage)]
	v.Pager = s.asOfPager(c, p, all, from, len(shown))
	v.Empty = templates.EmptyView{Title: "Nothing found", Text: "No auth config that there was then fits."}
	for _, one := range shown {
		row, err := s.pastRow(c, p, one, m.seq)
		if err != nil {
			return err
		}
		v.Rows = append(v.Rows, row)
	}
	return nil
}

func (s *Server) asOfPager(c echo.Context, p mirror.Project, all []store.PastConfig, from, shown int) templates.PagerView {
	if len(all) == 0 {
		return templates.PagerView{}
	}
	v := templates.PagerView{Text: number(from+1) + "–" + number(from+shown) + " of " + number(len(all))}
	link := func(after string) templates.URL {
		return templates.Local(query(asOfPath(p.Slug), "at", c.QueryParam("at"), "entry", c.QueryParam("entry"), "q", c.QueryParam("q"), "after", after))
	}
	if from+shown < len(all) {
		v.Next = link(all[from+shown-1].ID)
	}
	if from > 0 {
		v.Previous = link("")
		if from > configsPerPage {
			v.Previous = link(all[from-configsPerPage-1].ID)
		}
	}
	return v
}

// pastRow is a config as it was after an entry.
func (s *Server) pastRow(c echo.Context, p mirror.Project, one store.PastConfig, seq int64) (templates.PastConfigView, error) {
	ctx := c.Request().Context()
	state, err := s.store.ConfigAt(ctx, p.ID, one.ID, seq)
	if err != nil {
		return templates.PastConfigView{}, err
	}
	n, first, err := s.store.CountConfigSteps(ctx, p.ID, one.ID, seq)
	if err != nil {
		return templates.PastConfigView{}, err
	}
	past := pastConfig{project: p, id: one.ID, read: first != mirror.StepMade}
	version := strconv.Itoa(past.number(n))
	snapshot, err := s.store.Snapshot(ctx, p.ID)
	if err != nil {
		return templates.PastConfigView{}, err
	}
	v := templates.PastConfigView{
		ID: one.ID, Name: state.Name, URL: templates.Local(past.versionsPath() + "?v=" + version), Avatar: avatar(state.Toolkit, state.Toolkit),
		Version: version, Toolkit: known(state.Toolkit), Scheme: known(state.Scheme), Owner: known(typeWords(state.Type)), Scopes: notKnown,
	}
	if v.Name == "" {
		v.Name = one.ID
	}
	if scopes, ok := state.Values[mirror.FieldScopes]; ok {
		v.Scopes = number(len(scopes))
	}
	v.Status = templates.BadgeView{Text: capital(notKnown)}
	if status, ok := state.Values[mirror.FieldStatus]; ok && len(status) > 0 {
		v.Status = statusBadge(status[0])
	}
	if _, still := snapshot.Get(one.ID); !still {
		v.Gone = templates.BadgeView{Text: "Deleted since", Tone: "bad"}
	}
	return v, nil
}

func known(text string) string {
	if text == "" {
		return notKnown
	}
	return text
}
