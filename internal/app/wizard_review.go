package app

import (
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// detailsForm is what the details and review pages send.
type detailsForm struct {
	Toolkit string            `form:"toolkit"`
	Managed string            `form:"managed"`
	Scheme  string            `form:"scheme"`
	Fields  map[string]string `form:"field.*"`
	Scopes  []string          `form:"tick.scopes"`
	User    []string          `form:"tick.user_scopes"`
	Tools   []string          `form:"tick.restrict_to_following_tools"`
	Exec    []string          `form:"tick.tools_available_for_execution"`
	Base    map[string]string `form:"base.*"`
	Back    bool              `form:"back"`

	Credentials map[string]secret.Value `form:"secret.cred.*"`
	ExtraNames  map[string]string       `form:"extra.*"`
	Extra       map[string]secret.Value `form:"secret.extra.*"`
	Reason      string                  `form:"reason"`
	Revises     string                  `form:"revises"` // chg_… of which this becomes the next revision
	Version     string                  `form:"version"` // of that request, as it was opened
	Draft       bool                    `form:"as_draft"`
}

// proposal is how what was typed is proposed.
func (f detailsForm) proposal(project string) change.Proposal {
	version, _ := strconv.ParseInt(f.Version, 10, 64) // what isn't a number is no version, and is refused as such
	return change.Proposal{Project: project, Reason: f.Reason, Draft: f.Draft, Revises: f.Revises, Version: version}
}

// spec joins what was typed with what was ticked.
func (f detailsForm) spec() change.Spec {
	spec := change.Spec{Toolkit: f.Toolkit, Scheme: f.Scheme, Managed: f.Managed == "true", Fields: map[string]string{}, Credentials: map[string]secret.Value{}}
	for name, v := range f.Fields {
		spec.Fields[name] = v
	}
	for name, ticked := range map[string][]string{
		mirror.FieldScopes: f.Scopes, mirror.FieldUserScopes: f.User, mirror.FieldTools: f.Tools, mirror.FieldToolsForExecution: f.Exec,
	} {
		if len(ticked) > 0 {
			spec.Fields[name] = strings.Trim(spec.Fields[name]+"\n"+strings.Join(ticked, "\n"), "\n")
		}
	}
	for name, v := range f.Credentials {
		if !v.Empty() {
			spec.Credentials[name] = v
		}
	}
	for n, name := range f.ExtraNames {
		if v := f.Extra[n]; name != "" && !v.Empty() {
			spec.Credentials[strings.TrimSpace(name)] = v
		}
	}
	return spec
}

// hidden are the fields that travel from the details through the review.
func (f detailsForm) hidden() []templates.HiddenView {
	var out []templates.HiddenView
	add := func(name, value string) {
		out = append(out, templates.HiddenView{Name: name, Value: value})
	}
	if f.Toolkit != "" {
		add("toolkit", f.Toolkit)
		add("managed", f.Managed)
		add("scheme", f.Scheme)
	}
	spec := f.spec()
	for _, name := range sortedKeys(spec.Fields) {
		add("field."+name, spec.Fields[name])
	}
	for _, name := range sortedKeys(f.Base) {
		add("base."+name, f.Base[name])
	}
	if f.Revises != "" {
		add("revises", f.Revises)
		add("version", f.Version)
	}
	return out
}

// configReview shows what a create will do and asks for the credentials. Nothing
// is kept yet.
func (s *Server) configReview(c echo.Context) error {
	w, in, err := s.readWizard(c)
	if err != nil {
		return err
	}
	if in.Back {
		return w.details(nil)
	}
	if err := s.changes.CheckCreate(w.toolkit, in.spec()); problem.Is(err, problem.Invalid) {
		return w.details(err)
	}
	return w.review(in, nil)
}

func (s *Server) readWizard(c echo.Context) (*wizard, detailsForm, error) {
	var in detailsForm
	p, err := s.writableProject(c)
	if err != nil {
		return nil, in, err
	}
	if err := decode(c, &in); err != nil {
		return nil, in, err
	}
	w := &wizard{s: s, c: c, project: p, choice: choice{in.Toolkit, in.Managed, in.Scheme}, typed: sent(c)}
	w.toolkit, err = s.mirror.Toolkit(c.Request().Context(), p.ID, in.Toolkit)
	if err == nil && !w.complete() {
		err = problem.New(problem.Invalid, "%s can't have an auth config of this kind. Nothing was sent to Composio. Start again with New auth config.", w.toolkit.Name)
	}
	return w, in, err
}

// review shows the last page of the wizard, with complaints if there are any.
func (w *wizard) review(in detailsForm, complaint error) error {
	frame, err := w.s.frame(w.c, w.place("Review"))
	if err != nil {
		return err
	}
	policy, approvals, err := w.s.policyWords(w.c, w.project, change.Item{Kind: change.KindConfig, Operation: change.Create, Toolkit: w.toolkit.Slug})
	if err != nil {
		return err
	}
	base := configsPath(w.project.Slug)
	v := reviewCreate(w.toolkit, in, complaint)
	v.Page, v.Policy, v.Hidden, v.BackHidden = frame, policy, in.hidden(), append(in.hidden(), hiddenReason(in.Reason)...)
	v.Form, v.Back = w.s.newDraftForm(w.c, base, w.path()), w.s.newForm(w.c, base+"/review")
	v.Button, v.Draft = sendWords(approvals, v.Button), approvals > 0 && in.Revises == ""
	needReason(&v.Reason, approvals)
	v.Steps = wizardSteps(6, append(w.chosen(), stepLink{}, stepLink{}, stepLink{}))
	v.Complaints = complaintsView(complaint, fieldLabels)
	if same, err := w.sameName(in.Fields[mirror.FieldName]); err != nil {
		return err
	} else if same != "" {
		v.Notices = append(v.Notices, templates.NoticeView{Tone: "warn", Text: "There is an auth config of this name already.", Link: templates.LinkView{Text: "See it", URL: templates.Local(configPath(w.project.Slug, same))}})
	}
	if complaint != nil {
		return again(w.c, templates.Review(v))
	}
	noStore(w.c)
	return page(w.c, templates.Review(v))
}

// sameName returns the id of a config with this very name, if there is one.
func (w *wizard) sameName(name string) (string, error) {
	snapshot, err := w.s.snapshot(w.c, w.project)
	if err != nil {
		return "", err
	}
	return named(snapshot, name), nil
}

// configCreate proposes the new auth config and follows it.
func (s *Server) configCreate(c echo.Context) error {
	w, in, err := s.readWizard(c)
	if err != nil {
		return err
	}
	r, err := s.changes.ProposeCreate(c.Request().Context(), reader(c), in.proposal(w.project.ID), in.spec())
	if problem.Is(err, problem.Invalid) {
		return w.review(in, err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, "")
}
