package app

import (
	"math"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// A pastConfig is a config with its versions: it may be gone.
type pastConfig struct {
	project mirror.Project
	id      string
	now     mirror.AuthConfig // of a gone one what is known of it last, as far as its head shows it
	exists  bool
	steps   int  // entries of history that changed it
	read    bool // version 1 is what the first sync found
}

// findPast returns the config that the URL names, also if it is gone. One that
// never existed is a problem of kind NotFound.
func (s *Server) findPast(c echo.Context) (pastConfig, error) {
	p, err := s.findProject(c)
	if err != nil {
		return pastConfig{}, err
	}
	ctx, past := c.Request().Context(), pastConfig{project: p, id: c.Param("id")}
	snapshot, err := s.store.Snapshot(ctx, p.ID)
	if err != nil {
		return past, err
	}
	past.now, past.exists = snapshot.Get(past.id)
	n, first, err := s.store.CountConfigSteps(ctx, p.ID, past.id, math.MaxInt64)
	if err != nil {
		return past, err
	}
	past.steps, past.read = n, first != mirror.StepMade
	if past.exists {
		return past, nil
	}
	if n == 0 || past.id == "" {
		return past, problem.New(problem.NotFound, "There is no such auth config in %s, and there never was.", p.Name)
	}
	last, err := s.store.ConfigStep(ctx, p.ID, past.id, n)
	if err != nil {
		return past, err
	}
	was, err := s.store.ConfigAt(ctx, p.ID, past.id, last.Seq-1)
	past.now = mirror.AuthConfig{ID: past.id, Name: last.Name, Toolkit: was.Toolkit, Scheme: was.Scheme, Managed: was.Type == mirror.ManagedType}
	return past, err
}

func (p pastConfig) path() string { return configPath(p.project.Slug, p.id) }

func (p pastConfig) versionsPath() string { return p.path() + "/versions" }

// versions is how many versions there are, that of being gone included.
func (p pastConfig) versions() int { return p.number(p.steps) }

// number is the version that follows the n-th step.
func (p pastConfig) number(n int) int {
	if p.read {
		return n + 1
	}
	return n
}

// step is which step made a version; 0 for the one that the first sync found.
func (p pastConfig) step(version int) int {
	if p.read {
		return version - 1
	}
	return version
}

// pastPage gathers what every page about a config needs that may be gone.
func (s *Server) pastPage(c echo.Context, tab string) (p pastConfig, frame templates.PageView, head templates.ConfigHeadView, err error) {
	if p, err = s.findPast(c); err != nil {
		return p, frame, head, err
	}
	if p.exists {
		_, _, frame, head, err = s.configPage(c, tab)
		return p, frame, head, err
	}
	if err := s.mayKnow(c, p); err != nil {
		return p, frame, head, err
	}
	head = configHead(p.project, p.now, tab, "", false)
	head.Status, head.Badge = templates.BadgeView{Text: "Deleted", Tone: "bad"}, templates.BadgeView{}
	if p.now.Toolkit == "" {
		head.Toolkit = "toolkit not known"
	}
	head.Tabs = tabsFor(c, p.project, pastTabs(head.Tabs))
	base := templates.Local(configsPath(p.project.Slug))
	frame, err = s.frame(c, place{title: head.Name, nav: "Auth configs", project: &p.project, crumbs: []templates.LinkView{{Text: p.project.Name, URL: base}, {Text: "Auth configs", URL: base}}})
	return p, frame, head, err
}

// mayKnow returns a problem of kind NotFound unless the reader may know of a config
// that is gone: by its history, or since its drift is to be dealt with.
func (s *Server) mayKnow(c echo.Context, p pastConfig) error {
	if _, drifted, err := s.store.Drift(c.Request().Context(), p.project.ID, p.id); err != nil || drifted {
		return err
	}
	return mayLookBack(c, p.project)
}

// pastTabs are those of a config's pages that stay when it is gone.
func pastTabs(all []templates.TabView) []templates.TabView {
	var out []templates.TabView
	for _, t := range all {
		if t.Text == "History" || t.Text == "Versions" {
			out = append(out, t)
		}
	}
	return out
}

// tabsFor leaves out what isn't the reader's to see.
func tabsFor(c echo.Context, p mirror.Project, all []templates.TabView) []templates.TabView {
	if looksBack(c, p) {
		return all
	}
	return slices.DeleteFunc(all, func(t templates.TabView) bool { return t.Text == "Versions" })
}

// versionState is a config as it was in one of its versions.
func (s *Server) versionState(c echo.Context, p pastConfig, version int) (mirror.Step, mirror.State, error) {
	ctx := c.Request().Context()
	if version < 1 || version > p.versions() {
		return mirror.Step{}, mirror.State{}, problem.New(problem.NotFound, "There is no version %d of this auth config; there are %d.", version, p.versions())
	}
	var step mirror.Step
	var err error
	if n := p.step(version); n > 0 {
		if step, err = s.store.ConfigStep(ctx, p.project.ID, p.id, n); err != nil {
			return step, mirror.State{}, err
		}
	} else if step.Time, step.Seq, err = s.store.FirstRead(ctx, p.project.ID); err != nil {
		return step, mirror.State{}, err
	}
	at := step.Seq
	if p.step(version) == 0 {
		at = 0
	}
	state, err := s.store.ConfigAt(ctx, p.project.ID, p.id, at)
	return step, state, err
}

// versionParam reads the number of a version from the query; 0 if there is none.
func versionParam(c echo.Context, name string) (int, error) {
	text := c.QueryParam(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, problem.New(problem.NotFound, "Versions are numbered from 1.")
	}
	return n, nil
}

func asOfPath(slug string) string { return "/projects/" + slug + "/as-of" }

// asOfEntry is how a project was right after an entry.
func asOfEntry(slug string, seq int64) templates.URL {
	return templates.Local(query(asOfPath(slug), "entry", strconv.FormatInt(seq, 10)))
}
