package app

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// A restorer makes the page that asks to bring back an earlier version.
type restorer struct {
	s       *Server
	c       echo.Context
	past    pastConfig
	version int
	was     mirror.State
	drift   *mirror.Values // instead of a version: what was there before the drift
	view    templates.RestoreView
}

// driftParam returns what was there before a config drifted, if that is to be
// restored.
func (s *Server) driftParam(c echo.Context, p pastConfig) (*mirror.Values, error) {
	if c.QueryParam("drift") == "" {
		return nil, nil //nolint:nilnil // a version is asked for
	}
	d, known, err := s.store.Drift(c.Request().Context(), p.project.ID, p.id)
	if err == nil && !known {
		err = problem.New(problem.Conflict, "Nothing that was changed outside waits here any more. Somebody has dealt with it.")
	}
	before := d.Earlier()
	return &before, err
}

// configRestore shows what bringing back a version would change and what can't be
// brought back. From there it is a change request like any other.
func (s *Server) configRestore(c echo.Context) error {
	if _, err := s.writableProject(c); err != nil {
		return err
	}
	p, err := s.findPast(c)
	if err != nil {
		return err
	}
	if c.QueryParam("drift") == "" || !p.exists { // else only what drifted is shown
		if err := mayLookBack(c, p.project); err != nil {
			return err
		}
	}
	version, err := versionParam(c, "version")
	if err != nil {
		return err
	}
	if version == 0 {
		version = max(1, p.versions()-1) // the one before
	}
	r := restorer{s: s, c: c, past: p, version: version}
	if _, r.was, err = s.versionState(c, p, r.version); err != nil {
		return err
	}
	if r.drift, err = s.driftParam(c, p); err != nil {
		return err
	}
	if r.drift != nil {
		r.was.Values = *r.drift
	}
	if !r.was.Exists {
		return problem.New(problem.Conflict, "In version %d it was deleted. Choose an earlier version.", r.version)
	}
	if r.view.Page, err = r.frame(); err != nil {
		return err
	}
	r.view.Title = "Restore version " + strconv.Itoa(r.version) + " of " + r.past.now.Name
	if r.drift != nil {
		r.view.Title = "Revert what was changed outside on " + r.past.now.Name
	}
	r.view.Back = templates.LinkView{Text: "Cancel", URL: r.back()}
	if p.exists {
		r.edit()
	} else {
		r.recreate()
	}
	noStore(c)
	return page(c, templates.Restore(r.view))
}

func (r *restorer) frame() (templates.PageView, error) {
	base := templates.Local(configsPath(r.past.project.Slug))
	return r.s.frame(r.c, place{title: "Restore", nav: "Auth configs", project: &r.past.project, crumbs: []templates.LinkView{
		{Text: r.past.project.Name, URL: base}, {Text: "Auth configs", URL: base}, {Text: r.past.now.Name, URL: r.back()},
	}})
}

// back is where a reader who may see it comes from.
func (r *restorer) back() templates.URL {
	if r.drift != nil {
		return templates.Local(r.past.path())
	}
	return templates.Local(r.past.versionsPath())
}

func (r *restorer) not(what, why string, link templates.LinkView) {
	r.view.Not = append(r.view.Not, templates.NotRestoredView{What: what, Why: why, Link: link})
}

func (r *restorer) hide(name, value string) {
	r.view.Hidden = append(r.view.Hidden, templates.HiddenView{Name: name, Value: value})
}

func (r *restorer) reason() string {
	if r.drift != nil {
		return "Revert what was changed at Composio directly."
	}
	return "Restore version " + strconv.Itoa(r.version) + "."
}

// edit brings a config back that is still there: its fields as they were.
func (r *restorer) edit() {
	r.view.Sub = "Compared with what is live now. Nothing is sent before it went through review."
	live := r.past.now.Values()
	want := editable(r.past.now.Managed, r.was.Values)
	r.view.Diff = changesDiff(mirror.ChangesBetween(live.Pick(sortedKeys(want)...), want))
	r.view.Diff.Before, r.view.Diff.After = "Now", "Then"
	r.view.Same = "Every field that can be set is as it was in this version."
	r.notInEdit(live)
	if len(r.view.Diff.Rows) == 0 {
		return
	}
	r.view.Button = "Review the change"
	r.view.Form = r.s.newForm(r.c, r.past.path()+"/review")
	if r.drift == nil {
		r.view.Edit = templates.LinkView{Text: "Edit it first", URL: templates.Local(r.past.path() + "/edit?restore=" + strconv.Itoa(r.version))}
	}
	for name, values := range formFields(want) {
		r.hide(name, values[0])
	}
	for _, name := range sortedKeys(live) {
		if text, err := json.Marshal(live[name]); err == nil {
			r.hide("base."+name, string(text))
		}
	}
	r.hide("reason", r.reason())
}

// notInEdit names what an edit can't bring back.
func (r *restorer) notInEdit(live mirror.Values) {
	r.not("Credentials", "History never holds their values. What is set now stays as it is; new values can be entered in the review.", templates.LinkView{})
	for _, f := range mirror.AllFields() {
		value, known := r.was.Values[f]
		now, readable := live[f]
		switch {
		case f == mirror.FieldCredentials, !known && r.drift != nil:
		case !known:
			r.not(fieldLabel(f), "What it was is not known. It stays as it is.", templates.LinkView{})
		case readable && mirror.SameValue(f, value, now):
		case f == mirror.FieldStatus:
			r.not(fieldLabel(f), "It was "+strings.ToLower(strings.Join(value, ""))+". Switching is a change of its own.", r.switchLink(value))
		case !change.Editable(r.past.now.Managed, f) || f == mirror.FieldToolRouter && len(value) == 0:
			r.not(fieldLabel(f), "Composio doesn't let it be set. It stays as it is.", templates.LinkView{})
		}
	}
}

func (r *restorer) switchLink(status []string) templates.LinkView {
	do := "disable"
	if slices.Contains(status, mirror.Enabled) {
		do = "enable"
	}
	return templates.LinkView{Text: capital(do), URL: templates.Local(impactPath(r.past.project.Slug, r.past.id, do))}
}

// recreate makes a config anew that is gone.
func (r *restorer) recreate() {
	r.view.Sub = "It is gone from Composio, so a new auth config is made from what history tells. Nothing is sent before it went through review."
	r.not("Id", "The new auth config gets an id of its own. Code that names "+r.past.id+" has to be changed.", templates.LinkView{})
	r.not("Connections", "They went with it. Everybody has to connect again.", templates.LinkView{})
	r.not("Credentials", "History never holds their values. Enter them in the review.", templates.LinkView{})
	if slices.Contains(r.was.Values[mirror.FieldStatus], mirror.Disabled) {
		r.not("Status", "It was disabled. A new auth config is enabled; disable it afterwards.", templates.LinkView{})
	}
	managed := r.was.Type == mirror.ManagedType
	want := editable(managed, r.was.Values)
	for _, f := range r.was.Unknown() {
		if change.Editable(managed, f) {
			r.not(fieldLabel(f), "What it was is not known.", templates.LinkView{})
		}
	}
	r.view.Diff = changesDiff(mirror.ChangesBetween(nil, want))
	r.view.Diff.Before, r.view.Diff.After = "", "Then"
	r.view.Same = "History doesn't tell any of its fields."
	if r.was.Toolkit == "" || r.was.Scheme == "" || r.was.Type == "" || len(want[mirror.FieldName]) == 0 {
		r.view.Notices = append(r.view.Notices, templates.NoticeView{Tone: "warn", Text: "History doesn't tell its toolkit, scheme or name, so it can't be made anew from here. Make a new auth config by hand."})
		r.view.Edit = templates.LinkView{Text: "New auth config", URL: templates.Local(configsPath(r.past.project.Slug) + "/new")}
		return
	}
	r.hide("toolkit", r.was.Toolkit)
	r.hide("managed", strconv.FormatBool(managed))
	r.hide("scheme", r.was.Scheme)
	for name, values := range formFields(want) {
		r.hide(name, values[0])
	}
	r.hide("reason", "Make "+r.past.id+" anew as it was in version "+strconv.Itoa(r.version)+".")
	r.view.Button, r.view.Form = "Review the new auth config", r.s.newForm(r.c, configsPath(r.past.project.Slug)+"/review")
}

// formFields are values as the fields of a form.
func formFields(values mirror.Values) url.Values {
	form := url.Values{}
	for name, value := range values {
		separator := ""
		if mirror.ListField(name) {
			separator = "\n"
		}
		form.Set("field."+name, strings.Join(value, separator))
	}
	return form
}

// fromVersion fills the form of an edit with ?restore='s version.
func (s *Server) fromVersion(c echo.Context) (url.Values, error) {
	version, err := versionParam(c, "restore")
	if err != nil || version == 0 {
		return nil, err
	}
	p, err := s.findPast(c)
	if err != nil {
		return nil, err
	}
	if err := mayLookBack(c, p.project); err != nil {
		return nil, err
	}
	_, was, err := s.versionState(c, p, version)
	if err != nil {
		return nil, err
	}
	live := p.now.Values()
	form := formFields(editable(p.now.Managed, live))
	for name, value := range formFields(editable(p.now.Managed, was.Values)) {
		form[name] = value
	}
	form.Set("reason", "Restore version "+strconv.Itoa(version)+".")
	return form, nil
}

// editable are the values that a form can set.
func editable(managed bool, values mirror.Values) mirror.Values {
	out := mirror.Values{}
	for name, value := range values {
		if !change.Editable(managed, name) || name == mirror.FieldToolRouter && len(value) == 0 {
			continue
		}
		out[name] = value
	}
	return out
}
