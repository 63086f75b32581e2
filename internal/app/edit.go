package app

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// An editor makes the pages that change an auth config: the fields with the diff
// beside them, then the review with the credentials.
type editor struct {
	s       *Server
	c       echo.Context
	project mirror.Project
	config  mirror.AuthConfig
	typed   url.Values
}

func (s *Server) newEditor(c echo.Context) (*editor, error) {
	p, a, err := s.findConfig(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.writableProject(c); err != nil {
		return nil, err
	}
	e := &editor{s: s, c: c, project: p, config: a, typed: s.typed(c)}
	if e.typed == nil {
		e.typed, err = s.fromRequest(c, p, a.Values())
	}
	if e.typed == nil && err == nil {
		e.typed, err = s.fromVersion(c)
	}
	return e, err
}

func (e *editor) path() string { return configPath(e.project.Slug, e.config.ID) }

func (e *editor) frame(title string) (templates.PageView, error) {
	base := configsPath(e.project.Slug)
	return e.s.frame(e.c, place{title: title, nav: "Auth configs", project: &e.project, crumbs: []templates.LinkView{
		{Text: e.project.Name, URL: templates.Local(base)}, {Text: "Auth configs", URL: templates.Local(base)},
		{Text: e.config.Name, URL: templates.Local(e.path())},
	}})
}

// configEdit shows the fields of a config, filled with what is live.
func (s *Server) configEdit(c echo.Context) error {
	e, err := s.newEditor(c)
	if err != nil {
		return err
	}
	noStore(c)
	return e.fields(nil)
}

// fields shows the form; what was typed stays in it.
func (e *editor) fields(complaint error) error {
	v, err := e.fieldsView(complaint)
	if err != nil {
		return err
	}
	if complaint != nil {
		return again(e.c, templates.Details(v))
	}
	return page(e.c, templates.Details(v))
}

func (e *editor) fieldsView(complaint error) (templates.DetailsView, error) {
	frame, err := e.frame("Edit")
	if err != nil {
		return templates.DetailsView{}, err
	}
	if frame.Draft, err = e.s.draftView(e.c); err != nil {
		return templates.DetailsView{}, err
	}
	ctx := e.c.Request().Context()
	var notices []templates.NoticeView
	toolkit, terr := e.s.mirror.Toolkit(ctx, e.project.ID, e.config.Toolkit)
	tools, lerr := e.s.mirror.Tools(ctx, e.project.ID, e.config.Toolkit)
	if err := errors.Join(terr, lerr); err != nil {
		notices = append(notices, templates.NoticeView{Tone: "warn", Text: "The toolkit's fields or tools could not be read, so nothing is suggested. You can edit all the same. " + mirror.Refusal(err).Message})
	}
	b := detailsBuilder{toolkit: toolkit, scheme: e.config.Scheme, managed: e.config.Managed, tools: tools, typed: e.typed, wrong: fieldComplaints(complaint), live: e.config.Values()}
	v := b.edit()
	v.Page, v.Notices, v.Complaints = frame, notices, complaintsView(complaint, fieldLabels)
	v.Title, v.Sub = "Edit "+e.config.Name, "Only what you touch is sent. An emptied field is cleared."
	v.Form = e.s.newDraftForm(e.c, e.path()+"/review", e.path()+"/edit")
	v.Hidden = e.base()
	v.Button, v.Back, v.Live = "Review changes", templates.LinkView{Text: "Cancel", URL: templates.Local(e.path())}, true
	v.Diff = e.diff(e.touched())
	return v, nil
}

// base are the values that the form showed when it was opened: what changed since
// is a conflict, not an edit.
func (e *editor) base() []templates.HiddenView {
	out := along(e.typed)
	values := e.config.Values()
	for _, name := range sortedKeys(values) {
		text, err := json.Marshal(values[name])
		if err != nil {
			continue // a list of strings always marshals
		}
		kept := string(text)
		if e.typed != nil && e.typed.Has("base."+name) {
			kept = e.typed.Get("base." + name)
		}
		out = append(out, templates.HiddenView{Name: "base." + name, Value: kept})
	}
	return out
}

// edit is the form of an edit: every field that can be changed and read.
func (b detailsBuilder) edit() templates.DetailsView {
	name := b.input(mirror.FieldName, "Name", "", "")
	name.Required = true
	v := templates.DetailsView{Fields: []templates.InputView{name}}
	scheme, _ := b.toolkit.Scheme(b.scheme)
	for _, field := range []string{mirror.FieldClientID, mirror.FieldConsumerKey, mirror.FieldRedirectURI, mirror.FieldProxyURL} {
		known := slices.ContainsFunc(scheme.Fields, func(f mirror.Field) bool { return f.Name == field })
		if b.managed || len(b.live[field]) == 0 && !known && field != mirror.FieldProxyURL {
			continue
		}
		in := b.input(field, fieldLabel(field), "", "")
		in.Code = true
		if field == mirror.FieldProxyURL {
			in.Optional, in.Hint = true, "Traffic of this auth config goes through it. Changing it may drop the proxy's key; give that again on the next page."
		}
		v.Fields = append(v.Fields, in)
	}
	b.lists(&v, scheme)
	v.Tools = append(v.Tools, b.toolInput(mirror.FieldToolsForExecution, "Tools available for execution", "Leave it empty for no limit."))
	v.Router = templates.SelectView{Name: "field." + mirror.FieldToolRouter, Label: "Enabled for the tool router", Complaint: b.wrong[mirror.FieldToolRouter]}
	for _, o := range [][2]string{{"", "Leave as it is"}, {"true", "Yes"}, {"false", "No"}} {
		v.Router.Options = append(v.Router.Options, templates.OptionView{Value: o[0], Text: o[1], Selected: b.value(mirror.FieldToolRouter, "") == o[0]})
	}
	return v
}

// touched are the fields whose typed value isn't the one that the form showed.
func (e *editor) touched() map[string]string {
	var in detailsForm
	if e.typed == nil || decodeValues(e.typed, &in) != nil {
		return nil
	}
	return in.touched(e.config)
}

// touched drops the fields that say what the form showed anyway.
func (f detailsForm) touched(a mirror.AuthConfig) map[string]string {
	spec, base := f.spec(), f.baseValues(a.Values())
	for name, typed := range spec.Fields {
		showed, readable := base[name]
		if name == mirror.FieldToolRouter && typed == "" || readable && mirror.SameValue(name, showed, normalTyped(name, typed)) {
			delete(spec.Fields, name)
			continue
		}
		if !readable && strings.TrimSpace(typed) == "" {
			delete(spec.Fields, name) // Composio hides it, and nothing was typed
		}
	}
	return spec.Fields
}

func normalTyped(name, typed string) []string {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return []string{}
	}
	return splitTyped(name, typed)
}

// baseValues reads what the form showed; fields that it doesn't say are as live.
func (f detailsForm) baseValues(live mirror.Values) mirror.Values {
	base := mirror.Values{}
	for name, value := range live {
		base[name] = value
		var showed []string
		if json.Unmarshal([]byte(f.Base[name]), &showed) == nil && showed != nil {
			base[name] = showed
		}
	}
	return base
}

// diff compares touched fields with what is live now.
func (e *editor) diff(touched map[string]string) templates.DiffView {
	d := templates.DiffView{Before: "Now", After: "Then"}
	live := e.config.Values()
	for _, name := range sortedKeys(touched) {
		row := diffRow(name, live[name], normalTyped(name, touched[name]))
		if _, readable := live[name]; !readable {
			row.Before, row.Note = "hidden by Composio", "replaces the whole list"
		}
		d.Rows = append(d.Rows, row)
	}
	return d
}
