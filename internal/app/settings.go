package app

import (
	"runtime"
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

func settingsTabs(current string) []templates.TabView {
	return []templates.TabView{
		{Text: "About", URL: "/settings", Current: current == "About"},
		{Text: "Projects", URL: "/settings/projects", Current: current == "Projects"},
		{Text: "Notifications", URL: "/settings/notifications", Current: current == "Notifications"},
		{Text: "Sinks", URL: sinksPath, Current: current == "Sinks"},
		{Text: "Operation", URL: operationPath, Current: current == "Operation"},
	}
}

// settings says how this console runs.
func (s *Server) settings(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Settings", nav: "Settings", narrow: true})
	if err != nil {
		return err
	}
	head, err := s.store.HistoryHead(c.Request().Context())
	if err != nil {
		return err
	}
	return page(c, templates.Settings(templates.SettingsView{Page: frame, Tabs: settingsTabs("About"), Facts: []templates.FactView{
		{Name: "Version", Text: s.build + " on " + runtime.Version()},
		{Name: "Address", Text: s.public.String()},
		{Name: "Running since", Time: ago(s.started, s.now())},
		{Name: "History", Text: plural(int(head.Seq), "entry", "entries")},
		{Name: "Last entry's hash", Code: head.Hash.String()},
		{Name: "Searchable up to entry", Text: number(int(s.store.HistoryIndexed()))},
	}}))
}

// projectForm is what is typed about a project.
type projectForm struct {
	Name        string       `form:"name"`
	Slug        string       `form:"slug"`
	Environment string       `form:"environment"`
	BaseURL     string       `form:"base_url"`
	Key         secret.Value `form:"secret.api_key"`
}

func (f projectForm) input() mirror.ProjectInput {
	return mirror.ProjectInput{Name: f.Name, Slug: f.Slug, Environment: f.Environment, BaseURL: f.BaseURL}
}

func (s *Server) projects(c echo.Context) error { return s.projectsPage(c, projectForm{}, nil) }

func (s *Server) projectsPage(c echo.Context, in projectForm, complaint error) error {
	frame, err := s.frame(c, place{title: "Projects", nav: "Settings", crumbs: []templates.LinkView{{Text: "Settings", URL: "/settings"}}})
	if err != nil {
		return err
	}
	if typed := s.typed(c); typed != nil && complaint == nil {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	v := templates.ProjectsView{Page: frame, Tabs: settingsTabs("Projects"), May: reader(c).May(access.ManageProjects), Complaints: complaintsView(complaint, fieldLabels)}
	all, err := s.store.Projects(c.Request().Context())
	if err != nil {
		return err
	}
	for _, p := range all {
		snapshot, err := s.store.Snapshot(c.Request().Context(), p.ID)
		if err != nil {
			return err
		}
		v.Rows = append(v.Rows, s.projectRow(c, p, snapshot.Len()))
	}
	if v.May {
		wrong := fieldComplaints(complaint)
		v.Form = s.newForm(c, "/settings/projects")
		v.Inputs = []templates.InputView{
			{Name: "name", Label: "Name", Value: in.Name, Required: true, Complaint: wrong["name"]},
			{Name: "slug", Label: "Short name", Value: in.Slug, Required: true, Complaint: wrong["slug"], Code: true, Hint: "Stands in addresses and never changes, such as my-project."},
			{Name: "base_url", Label: "Base URL", Value: in.BaseURL, Optional: true, Complaint: wrong["base_url"], Code: true, Hint: "https://backend.composio.dev unless you say otherwise."},
		}
		v.Choice = environmentSelect(in.Environment, wrong["environment"])
		v.Key = secretInput("secret.api_key", "API key", "A project key, which starts with ak_. It is checked with a harmless call and stored encrypted.", wrong["api_key"])
		v.Key.Required = true
	}
	if complaint != nil {
		return again(c, templates.Projects(v))
	}
	return page(c, templates.Projects(v))
}

func environmentSelect(chosen, complaint string) templates.SelectView {
	v := templates.SelectView{Name: "environment", Label: "Environment", Complaint: complaint, Hint: "Decides the colour of the bar, and later the policy."}
	if chosen == "" {
		chosen = mirror.Production
	}
	for _, e := range mirror.Environments() {
		v.Options = append(v.Options, templates.OptionView{Value: e, Text: capital(e), Selected: e == chosen})
	}
	return v
}

func (s *Server) projectRow(c echo.Context, p mirror.Project, configs int) templates.ProjectRowView {
	v := templates.ProjectRowView{
		Name: p.Name, Slug: p.Slug, URL: templates.Local(projectPath(p.Slug)), Environment: environment(p), Key: "…" + p.Key.Last4, Configs: number(configs), Sync: s.syncView(c, p),
	}
	switch {
	case p.Archived():
		v.State = templates.BadgeView{Text: "Archived"}
	case p.ReadOnly:
		v.State = templates.BadgeView{Text: "Read only", Tone: "warn"}
	}
	return v
}

func (s *Server) projectAdd(c echo.Context) error {
	var in projectForm
	if err := decode(c, &in); err != nil {
		return err
	}
	p, err := s.mirror.AddProject(c.Request().Context(), reader(c), in.input(), in.Key)
	if problem.Is(err, problem.Invalid) {
		return s.projectsPage(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, configsPath(p.Slug), "Added "+p.Name+". Its auth configs are being read.")
}

func (s *Server) project(c echo.Context) error {
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	return s.projectPage(c, p, projectForm{Name: p.Name, Environment: p.Environment}, nil)
}

func (s *Server) projectPage(c echo.Context, p mirror.Project, in projectForm, complaint error) error {
	frame, err := s.frame(c, place{title: p.Name, nav: "Settings", project: &p, narrow: true, crumbs: []templates.LinkView{{Text: "Settings", URL: "/settings"}, {Text: "Projects", URL: "/settings/projects"}}})
	if err != nil {
		return err
	}
	if typed := s.typed(c); typed != nil && complaint == nil && typed.Has("name") {
		in.Name, in.Environment = typed.Get("name"), typed.Get("environment")
	}
	wrong, path := fieldComplaints(complaint), projectPath(p.Slug)
	v := templates.ProjectView{
		Page: frame, Name: p.Name, Sub: p.Slug, Complaints: complaintsView(complaint, fieldLabels), May: reader(c).May(access.ManageProjects), Facts: projectFacts(p, s.now()),
	}
	if v.May {
		v.Edit, v.KeyForm = s.newForm(c, path), s.newForm(c, path+"/key")
		v.NameInput = templates.InputView{Name: "name", Label: "Name", Value: in.Name, Required: true, Complaint: wrong["name"]}
		v.Choice = environmentSelect(in.Environment, wrong["environment"])
		v.Key = secretInput("secret.api_key", "New API key", "Must belong to the same Composio project. The old key is forgotten.", wrong["api_key"])
		v.Key.Required = true
		v.ReadersForm, v.Readers, v.ReadersWrong = s.newForm(c, path+"/readers"), readerChecks(p), wrong["roles"]
		v.Markers = templates.ActionView{Form: s.newForm(c, path+"/markers/off"), Text: "Switch markers off", Hint: "While a create isn't settled, the new config's name ends in a marker, so that one whose answer got lost is found again. Without it, such a create waits for a person."}
		if !p.Markers {
			v.Markers.Form, v.Markers.Text = s.newForm(c, path+"/markers/on"), "Switch markers on"
		}
		v.Archive = templates.ActionView{Form: s.newForm(c, path+"/archive"), Text: "Archive project", Hint: "It is no longer synced, and nothing is sent to it. Nothing changes at Composio, and history stays."}
		if p.Archived() {
			v.Archive = templates.ActionView{Form: s.newForm(c, path+"/restore"), Text: "Take back into use", Hint: "It is synced again."}
		}
	}
	if complaint != nil {
		return again(c, templates.Project(v))
	}
	return page(c, templates.Project(v))
}

func (s *Server) projectEdit(c echo.Context) error {
	var in projectForm
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if !slices.Contains(mirror.Environments(), in.Environment) {
		err = problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", map[string]string{"environment": "Choose development, staging or production."})
		return s.projectPage(c, p, in, err)
	}
	if in.Name != p.Name || in.Environment == p.Environment {
		_, err = s.mirror.EditProject(c.Request().Context(), reader(c), p.ID, in.input())
	}
	if err == nil && in.Environment != p.Environment {
		return s.moveProject(c, p, in)
	}
	if problem.Is(err, problem.Invalid) {
		return s.projectPage(c, p, in, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, projectPath(p.Slug), "Project saved.")
}

// moveProject makes a project one of another environment: a change of the rules.
func (s *Server) moveProject(c echo.Context, p mirror.Project, in projectForm) error {
	r, err := s.changes.ProposeEnvironment(c.Request().Context(), reader(c), "Set in the settings of "+p.Name, p, in.Environment)
	if problem.Is(err, problem.Invalid) {
		return s.projectPage(c, p, in, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, projectPath(p.Slug))
}

func (s *Server) projectKey(c echo.Context) error {
	var in struct {
		Key secret.Value `form:"secret.api_key"`
	}
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	_, err = s.mirror.ReplaceKey(c.Request().Context(), reader(c), p.ID, in.Key)
	if problem.Is(err, problem.Invalid) {
		return s.projectPage(c, p, projectForm{Name: p.Name, Environment: p.Environment}, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, projectPath(p.Slug), "The new key works and is in use.")
}

func (s *Server) projectMarkersOn(c echo.Context) error  { return s.setMarkers(c, true) }
func (s *Server) projectMarkersOff(c echo.Context) error { return s.setMarkers(c, false) }

func (s *Server) setMarkers(c echo.Context, on bool) error {
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.mirror.SetMarkers(c.Request().Context(), reader(c), p.ID, on); err != nil {
		return err
	}
	return s.see(c, projectPath(p.Slug), "Saved.")
}

func (s *Server) projectArchive(c echo.Context) error { return s.setArchived(c, true) }
func (s *Server) projectRestore(c echo.Context) error { return s.setArchived(c, false) }

func (s *Server) setArchived(c echo.Context, archived bool) error {
	p, err := s.findProject(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.mirror.SetArchived(c.Request().Context(), reader(c), p.ID, archived); err != nil {
		return err
	}
	if archived {
		return s.see(c, projectPath(p.Slug), p.Name+" is archived.")
	}
	return s.see(c, projectPath(p.Slug), p.Name+" is in use again.")
}
