package app

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// editReview shows what an edit will do and asks for credentials. Nothing is
// kept yet.
func (s *Server) editReview(c echo.Context) error {
	e, err := s.newEditor(c)
	if err != nil {
		return err
	}
	var in detailsForm
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.Back || c.Request().Header.Get("HX-Request") != "" {
		return e.fields(nil)
	}
	spec := change.Spec{Managed: e.config.Managed, Fields: in.touched(e.config)}
	if err := s.changes.CheckFields(spec); err != nil {
		return e.fields(err)
	}
	return e.review(in, nil, nil)
}

func (e *editor) review(in detailsForm, complaint error, conflict *change.Conflict) error {
	frame, err := e.frame("Review")
	if err != nil {
		return err
	}
	touched := in.touched(e.config)
	policy, approvals, err := e.s.policyWords(e.c, e.project, e.item(touched))
	if err != nil {
		return err
	}
	v := templates.ReviewView{
		Page: frame, Title: "Edit " + e.config.Name, Sub: "Compared with what is live now.", Policy: policy, Button: sendWords(approvals, "Save and apply"), Draft: approvals > 0 && in.Revises == "",
		Diff: e.diff(touched), NoDiff: "No field is touched. You can still set credentials below.", Reason: reasonInput(in.Reason, complaint),
		SecretsHint: "Leave a field empty to keep the value that is set. What you enter is sent once, is never shown again, and leaves only a fingerprint here.",
		Form:        e.s.newDraftForm(e.c, e.path(), e.path()+"/edit"), Back: e.s.newForm(e.c, e.path()+"/review"),
		Complaints: complaintsView(complaint, fieldLabels), Hidden: in.hidden(), BackHidden: append(in.hidden(), hiddenReason(in.Reason)...),
		Impact: plural(e.config.Connections, "active connection goes", "active connections go") + " through this auth config. " + scopeCaution(touched),
	}
	needReason(&v.Reason, approvals)
	if complaint != nil && len(in.spec().Credentials) > 0 {
		v.Notices = append(v.Notices, templates.NoticeView{Tone: "warn", Text: "Enter the credentials again: they are never kept in a page."})
	}
	if err := e.waitingCredentials(&v, in); err != nil {
		return err
	}
	if conflict != nil {
		v.Notices = append(v.Notices, conflictNotice(conflict))
		in.rebase(conflict.Live)
		v.Hidden, v.BackHidden = in.hidden(), append(in.hidden(), hiddenReason(in.Reason)...)
	}
	e.credentialInputs(&v, in, complaint)
	status := 200
	if conflict != nil {
		status = 409
	}
	if complaint != nil {
		status = 422
	}
	noStore(e.c)
	return show(e.c, status, templates.Review(v))
}

// waitingCredentials says what waits with the request that is being revised.
func (e *editor) waitingCredentials(v *templates.ReviewView, in detailsForm) error {
	if in.Revises == "" {
		return nil
	}
	r, err := e.s.findRequest(e.c, in.Revises)
	if err != nil {
		return err
	}
	for _, it := range r.Revision.Items {
		for _, c := range it.Credentials {
			v.Notices = append(v.Notices, templates.NoticeView{Tone: "info", Text: "A new value of " + fieldLabel(c.Field) + " waits with this request. It stays as it is unless you enter another."})
		}
	}
	return nil
}

// item is what the edit will ask for, as far as policies look at it.
func (e *editor) item(touched map[string]string) change.Item {
	it := change.Item{Kind: change.KindConfig, Operation: change.Update, Target: e.config.ID, Toolkit: e.config.Toolkit, Set: mirror.Values{}, Base: e.config.Values()}
	for name, typed := range touched {
		it.Set[name] = normalTyped(name, typed)
	}
	it.Impact = change.Impact{Counted: true, Connections: e.config.Connections}
	return it
}

// sendWords is what the button says that proposes a change.
func sendWords(approvals int, instead string) string {
	if approvals == 0 {
		return instead
	}
	return "Send for approval"
}

func scopeCaution(touched map[string]string) string {
	_, scopes := touched[mirror.FieldScopes]
	_, user := touched[mirror.FieldUserScopes]
	if scopes || user {
		return "Changed scopes don't reach existing connections: their users have to reconnect."
	}
	return ""
}

// credentialInputs offers every credential that the toolkit names or that is set.
func (e *editor) credentialInputs(v *templates.ReviewView, in detailsForm, complaint error) {
	if e.config.Managed {
		return
	}
	wrong := fieldComplaints(complaint)
	toolkit, _ := e.s.mirror.Toolkit(e.c.Request().Context(), e.project.ID, e.config.Toolkit) // without it, what is set is offered
	scheme, _ := toolkit.Scheme(e.config.Scheme)
	offered := map[string]bool{}
	offer := func(name, label, hint string) {
		if offered[name] || change.Editable(false, name) {
			return
		}
		offered[name] = true
		v.Credentials = append(v.Credentials, secretInput("secret.cred."+name, label, hint, wrong[name]))
	}
	for _, f := range scheme.Fields {
		offer(f.Name, f.Label, f.Description)
	}
	for _, name := range e.config.CredentialsSet {
		offer(name, fieldLabel(name), "")
	}
	if e.config.ProxyURL != "" || strings.TrimSpace(in.Fields[mirror.FieldProxyURL]) != "" {
		offer("proxy_auth_key", "Proxy key", "")
	}
	v.Extra, v.ExtraHint = extraInputs(in, wrong), "Another credential, by its name"
}

// rebase takes what is live now as what the form showed.
func (f detailsForm) rebase(live mirror.AuthConfig) {
	values := live.Values()
	for name := range f.Base {
		if text, err := json.Marshal(values[name]); err == nil {
			f.Base[name] = string(text)
		}
	}
}

// conflictNotice says what somebody else changed since the form was opened.
func conflictNotice(conflict *change.Conflict) templates.NoticeView {
	live := conflict.Live.Values()
	var words []string
	for _, name := range sortedKeys(conflict.Saw) {
		words = append(words, fieldLabel(name)+" was “"+strings.Join(conflict.Saw[name], ", ")+"” and is “"+strings.Join(live[name], ", ")+"” now.")
	}
	return templates.NoticeView{
		Tone: "warn", Title: "This auth config changed since you looked. Nothing was sent.",
		Text: strings.Join(words, " ") + " Below, your changes are compared with what is there now. Save again to apply them to that; credentials have to be entered again.",
	}
}

// configUpdate proposes the edit and follows it.
func (s *Server) configUpdate(c echo.Context) error {
	e, err := s.newEditor(c)
	if err != nil {
		return err
	}
	var in detailsForm
	if err := decode(c, &in); err != nil {
		return err
	}
	spec := in.spec()
	spec.Fields = in.touched(e.config)
	base := in.baseValues(e.config.Values())
	proposal := in.proposal(e.project.ID)
	proposal.Impact = s.countImpact(c, e.project, e.config)
	r, err := s.changes.ProposeUpdate(c.Request().Context(), reader(c), proposal, e.config.ID, spec, base)
	var conflict *change.Conflict
	switch {
	case errors.As(err, &conflict):
		return e.review(in, nil, conflict)
	case problem.Is(err, problem.Invalid):
		return e.review(in, err, nil)
	case err != nil:
		return err
	}
	return s.followed(c, r, "")
}
