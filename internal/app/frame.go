package app

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

const (
	themeCookie   = "theme"
	keysCookie    = "keys"
	projectCookie = "project"
	yearSeconds   = 365 * 24 * 3600
)

// theme is the reader's choice: light, dark or, by default, the system's.
func theme(c echo.Context) string {
	if v := cookie(c, themeCookie); v == "light" || v == "dark" {
		return v
	}
	return "system"
}

// theme remembers a theme and returns to the page.
func (s *Server) theme(c echo.Context) error {
	var in struct {
		Theme string `form:"theme"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	switch in.Theme {
	case "light", "dark", "system":
		s.remember(c, themeCookie, in.Theme)
	}
	return s.see(c, s.refererPath(c.Request()), "")
}

// remember keeps a choice in a cookie for a year.
func (s *Server) remember(c echo.Context, name, value string) {
	http.SetCookie(c.Response(), &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: yearSeconds, HttpOnly: true, Secure: s.secureCookies(), SameSite: http.SameSiteLaxMode,
	})
}

func (s *Server) strip() string {
	if len(s.demo) == 0 {
		return ""
	}
	return "Demo: all data is made up. It runs on a built-in imitation of Composio; nothing leaves this machine."
}

// A place is where a page stands in the console.
type place struct {
	title   string
	nav     string          // the name in the navigation
	project *mirror.Project // that the page is about, if any
	crumbs  []templates.LinkView
	narrow  bool
}

// frame builds what surrounds a page.
func (s *Server) frame(c echo.Context, at place) (templates.PageView, error) {
	who := reader(c)
	asOf, _ := c.Get(keyAsOf).(string)
	v := templates.PageView{
		AsOf:  asOf,
		Title: at.title, Theme: theme(c), Keys: cookie(c, keysCookie) != "off", Strip: s.strip(), Narrow: at.narrow,
		Reader:    templates.ReaderView{Name: who.Name, Roles: rolesOf(who.User), Avatar: face(who.Name, who.ID), URL: "/account"},
		SignOut:   s.newForm(c, "/signout"),
		ThemeForm: templates.FormView{Action: "/theme", Token: s.csrfToken(c)}, // anyone may, as often as they like
		Crumbs:    append(slices.Clip(at.crumbs), templates.LinkView{Text: at.title}),
	}
	v.Done, v.DoneLink = s.takeNotice(c)
	projects, err := s.seenProjects(c)
	if err != nil {
		return v, err
	}
	here := s.currentProject(c, projects, at.project)
	inbox, err := s.store.Inbox(c.Request().Context(), reader(c).User)
	if err != nil {
		return v, err
	}
	unread, err := s.notify.Unread(c.Request().Context(), who)
	if err != nil {
		return v, err
	}
	v.Bell = bellView(unread)
	v.Nav = navigation(who, at.nav, here, len(inbox.Needs))
	if here != nil {
		v.Projects = switcher(who, projects, here)
		v.Search = templates.SearchView{URL: templates.Local(configsPath(here.Slug))}
	}
	if at.project != nil {
		v.Environment = environment(*at.project)
		v.Search.Value = c.QueryParam("q")
		v.Sync = s.syncView(c, *at.project)
		if v.Notices, err = s.projectNotices(c, *at.project); err != nil {
			return v, err
		}
	}
	if who.Emergency {
		v.Notices = append(v.Notices, templates.NoticeView{Tone: "warn", Title: "You are signed in with an emergency account.", Text: "All admins were told. Sign out when you are done."})
	}
	due, err := s.bypassNotices(c)
	if err != nil {
		return v, err
	}
	asked, err := s.flagNotices(c)
	v.Notices = append(append(v.Notices, due...), asked...)
	if err != nil {
		return v, err
	}
	v.View, err = s.viewBanner(c)
	return v, err
}

// flagNotices says that an auditor waits for the reader's answer.
func (s *Server) flagNotices(c echo.Context) ([]templates.NoticeView, error) {
	flags, err := s.store.FlagsAskedOf(c.Request().Context(), reader(c).ID)
	if err != nil || len(flags) == 0 || c.Path() == reviewsPath {
		return nil, err
	}
	return []templates.NoticeView{{
		Tone: "info", Title: flags[0].Remarks[0].By.Name + " asks you about " + plural(len(flags), "entry", "entries") + " of history.",
		Link: templates.LinkView{Text: "Answer", URL: reviewsPath},
	}}, nil
}

// bypassNotices says what was applied without approval and waits for its review.
func (s *Server) bypassNotices(c echo.Context) ([]templates.NoticeView, error) {
	due, err := s.store.BypassesDue(c.Request().Context())
	if err != nil {
		return nil, err
	}
	var out []templates.NoticeView
	for _, r := range due {
		if !r.ReadBy(reader(c).User) {
			continue
		}
		out = append(out, templates.NoticeView{
			Tone: "warn", Title: r.Bypass.By.Name + " applied a change without approval.", Text: "Somebody who had no part in it, an approver or an auditor, has to review it.",
			Link: templates.LinkView{Text: r.Title, URL: templates.Local(changePath(r.ID))},
		})
	}
	return out, nil
}

// currentProject is the one that the page is about, else the one last looked at.
func (s *Server) currentProject(c echo.Context, all []mirror.Project, about *mirror.Project) *mirror.Project {
	last := cookie(c, projectCookie)
	if about != nil {
		if last != about.Slug {
			s.remember(c, projectCookie, about.Slug)
		}
		return about
	}
	var first *mirror.Project
	for i := range all {
		if all[i].Archived() {
			continue
		}
		if all[i].Slug == last {
			return &all[i]
		}
		if first == nil {
			first = &all[i]
		}
	}
	return first
}

func navigation(who access.Reader, current string, here *mirror.Project, needs int) []templates.NavView {
	nav := []templates.NavView{{Name: "Overview", URL: "/", Icon: "layout-dashboard"}}
	if here != nil {
		nav = append(nav, templates.NavView{Name: "Auth configs", URL: templates.Local(configsPath(here.Slug)), Icon: "key-round"})
	}
	changes := templates.NavView{Name: "Changes", URL: "/changes", Icon: "git-pull-request-arrow"}
	if needs > 0 {
		changes.Count = number(needs)
	}
	nav = append(nav, changes)
	for _, n := range []struct {
		needs access.Permission
		view  templates.NavView
	}{
		{access.ViewHistory, templates.NavView{Name: "History", URL: "/history", Icon: "file-clock"}},
		{access.ViewPeople, templates.NavView{Name: "People", URL: "/people", Icon: "users"}},
		{access.ViewConfigs, templates.NavView{Name: "Policies", URL: "/policies", Icon: "shield-check"}},
		{access.ViewSettings, templates.NavView{Name: "Settings", URL: "/settings", Icon: "settings"}},
	} {
		if who.May(n.needs) {
			nav = append(nav, n.view)
		}
	}
	for i := range nav {
		nav[i].Current = nav[i].Name == current
	}
	return nav
}

func switcher(who access.Reader, all []mirror.Project, here *mirror.Project) templates.SwitcherView {
	v := templates.SwitcherView{Name: here.Name, Environment: environment(*here)}
	for _, p := range all {
		if p.Archived() {
			continue
		}
		v.All = append(v.All, templates.ProjectLinkView{
			Name: p.Name, URL: templates.Local(configsPath(p.Slug)), Environment: environment(p), Current: p.ID == here.ID,
		})
	}
	if who.May(access.ViewSettings) {
		v.Manage = "/settings/projects"
	}
	return v
}

// syncView says how old the mirror of a project is.
func (s *Server) syncView(c echo.Context, p mirror.Project) templates.SyncView {
	v := templates.SyncView{Tone: "good", Lead: "Synced", Time: ago(p.Sync.OKAt, s.now())}
	read, running := s.mirror.Syncing(p.ID)
	switch {
	case p.Archived():
		return templates.SyncView{Lead: "Archived, not synced"}
	case running && read > 0:
		v = templates.SyncView{Tone: "busy", Lead: "Syncing, " + number(read) + " read"}
	case running:
		v = templates.SyncView{Tone: "busy", Lead: "Syncing"}
	case p.Sync.OKAt.IsZero():
		v = templates.SyncView{Tone: "warn", Lead: "Not synced yet"}
	case p.Sync.Problem != "":
		v.Tone, v.Lead = "bad", "Last synced"
	}
	if running || p.Sync.OKAt.IsZero() && p.Sync.Problem == "" {
		v.Poll = templates.Local(c.Request().URL.RequestURI())
		return v
	}
	if reader(c).MayWithin(access.SyncProject, p.Place()) && !p.Archived() {
		v.Now = s.newForm(c, syncPath(p.Slug))
	}
	return v
}

// projectNotices says what is wrong or unusual about a project.
func (s *Server) projectNotices(c echo.Context, p mirror.Project) ([]templates.NoticeView, error) {
	var out []templates.NoticeView
	settings := templates.LinkView{}
	if reader(c).May(access.ManageProjects) {
		settings = templates.LinkView{Text: "Open the project's settings", URL: templates.Local(projectPath(p.Slug))}
	}
	if p.Archived() {
		return []templates.NoticeView{{Tone: "info", Title: "This project is archived.", Text: "It is not synced, and nothing is sent to it.", Link: settings}}, nil
	}
	if p.Sync.Problem != "" {
		text := p.Sync.Problem + " Nothing has been read from Composio yet."
		if !p.Sync.OKAt.IsZero() {
			text = p.Sync.Problem + " What you see is as of " + exact(p.Sync.OKAt).Text + "."
		}
		out = append(out, templates.NoticeView{Tone: "warn", Title: "The last sync failed.", Text: text, Link: settings})
	}
	if p.ReadOnly {
		out = append(out, templates.NoticeView{Tone: "warn", Title: "Read only.", Text: "Composio lets this project's API key read but not write, so changes aren't offered.", Link: settings})
	}
	if p.Environment == mirror.Production {
		rules, err := s.store.Rules(c.Request().Context())
		if err != nil {
			return out, err
		}
		if !slices.ContainsFunc(rules.Policies, func(one change.Policy) bool { return one.In(p) && one.Approvals() > 0 }) {
			out = append(out, templates.NoticeView{Tone: "info", Text: "This is production, and its policy asks for no approval: what an editor saves is applied at once.", Link: templates.LinkView{Text: "See the policies", URL: "/policies"}})
		}
	}
	return out, nil
}

// findProject returns the project that the URL names, if the reader sees it or a part
// of it.
func (s *Server) findProject(c echo.Context) (mirror.Project, error) {
	slug := c.Param("slug")
	if slug == "" || strings.ContainsRune(slug, 0) {
		return mirror.Project{}, problem.New(problem.NotFound, "There is no such project.")
	}
	p, err := s.store.ProjectBySlug(c.Request().Context(), slug)
	if err == nil && !reader(c).MayWithin(access.ViewConfigs, p.Place()) {
		return mirror.Project{}, problem.New(problem.NotFound, "There is no such project.")
	}
	return p, err
}

// mayPropose reports whether the reader may change configs of a project, and
// the project can take changes.
func mayPropose(c echo.Context, p mirror.Project) bool {
	return here(c).May(access.ProposeChange) && !p.Archived() && !p.ReadOnly
}

// syncWait is how long an answer waits for a sync before it shows its progress.
const syncWait = 5 * time.Second

// syncProject reads the project from Composio now.
func (s *Server) syncProject(c echo.Context) error {
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), syncWait)
	defer cancel()
	s.mirror.SyncNow(ctx, p.ID)
	return s.see(c, s.refererPath(c.Request()), "")
}
