package app

import (
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

// freezeForm is what is typed about a freeze window.
type freezeForm struct {
	Name   string `form:"name"`
	Scope  string `form:"scope"`
	From   string `form:"from"`
	Until  string `form:"until"`
	Zone   string `form:"zone"`
	Reason string `form:"reason"`
}

// typedTime is how browsers send a date with a time.
const typedTime = "2006-01-02T15:04"

// freeze is the freeze window that was typed.
func (f freezeForm) freeze() (change.Freeze, error) {
	w := change.Freeze{Name: f.Name}
	if strings.HasPrefix(f.Scope, "prj_") {
		w.Project = f.Scope
	} else {
		w.Environment = f.Scope
	}
	wrong := map[string]string{}
	zone, err := time.LoadLocation(strings.TrimSpace(f.Zone))
	if err != nil || strings.TrimSpace(f.Zone) == "" || strings.EqualFold(f.Zone, "local") {
		wrong["zone"] = "Enter a time zone, such as Europe/Berlin."
		zone = time.UTC
	}
	for name, to := range map[string]*time.Time{"from": &w.From, "until": &w.Until} {
		typed := map[string]string{"from": f.From, "until": f.Until}[name]
		at, err := time.ParseInLocation(typedTime, strings.TrimSpace(typed), zone)
		if err != nil {
			wrong[name] = "Enter a date and a time."
		}
		*to = at.UTC()
	}
	if len(wrong) > 0 {
		return w, problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	return w, nil
}

// freezeNew shows the form of a freeze window.
func (s *Server) freezeNew(c echo.Context) error {
	in := freezeForm{Zone: "UTC"}
	if typed := s.typed(c); typed != nil {
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.freezePage(c, in, nil)
}

func (s *Server) freezePage(c echo.Context, in freezeForm, complaint error) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	wrong := fieldComplaints(complaint)
	v := templates.RuleFormView{
		Title: "Add a freeze window", Sub: "A time in which nothing is applied, but by break-glass. What is scheduled into it is suspended.",
		Form: s.newForm(c, freezesPath), Complaints: complaintsView(complaint, fieldLabels), Back: templates.LinkView{Text: "Cancel", URL: policiesPath},
		Inputs: []templates.InputView{
			{Name: "name", Label: "Name", Value: in.Name, Required: true, Complaint: wrong["name"], Hint: "Readers see it where a change is held, such as Year's end."},
			{Name: "zone", Label: "Time zone", Value: in.Zone, Required: true, Complaint: wrong["zone"], Hint: "Such as UTC or Europe/Berlin."},
			{Name: "from", Label: "From", Type: "datetime-local", Value: in.From, Required: true, Complaint: wrong["from"]},
			{Name: "until", Label: "Until", Type: "datetime-local", Value: in.Until, Required: true, Complaint: wrong["until"]},
		},
		Selects: []templates.SelectView{scopeSelect(b, in.Scope, wrong["project"])},
	}
	return s.ruleForm(c, v, change.KindFreeze, in.Reason, complaint)
}

// ruleForm finishes the page of a plain form that changes a rule.
func (s *Server) ruleForm(c echo.Context, v templates.RuleFormView, kind change.Kind, reason string, complaint error) error {
	at := place{title: v.Title, narrow: true}
	at.nav, at.crumbs = ruleCrumbs(kind)
	var err error
	if v.Page, err = s.frame(c, at); err != nil {
		return err
	}
	if v.Ask, err = s.askView(c, kind, "Save", reason, complaint); err != nil {
		return err
	}
	if complaint != nil {
		return again(c, templates.RuleForm(v))
	}
	noStore(c)
	return page(c, templates.RuleForm(v))
}

// freezeAdd asks for a freeze window.
func (s *Server) freezeAdd(c echo.Context) error {
	var in freezeForm
	if err := decode(c, &in); err != nil {
		return err
	}
	w, err := in.freeze()
	if err != nil {
		return s.freezePage(c, in, err)
	}
	r, err := s.changes.ProposeFreeze(c.Request().Context(), reader(c), in.Reason, w)
	if problem.Is(err, problem.Invalid) {
		return s.freezePage(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, policiesPath)
}

// freezeRemove shows which freeze window is to go.
func (s *Server) freezeRemove(c echo.Context) error { return s.freezeRemovePage(c, "", nil) }

func (s *Server) freezeRemovePage(c echo.Context, reason string, complaint error) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(b.rules.Freezes, func(f change.Freeze) bool { return f.ID == c.Param("id") })
	if i < 0 {
		return problem.New(problem.NotFound, "There is no such freeze window, or not any more.")
	}
	f := b.rules.Freezes[i]
	base := mirror.Values{
		"name": {f.Name}, "project": oneOrNone(f.Project), "environment": oneOrNone(f.Environment),
		"from": {f.From.Format(time.RFC3339)}, "until": {f.Until.Format(time.RFC3339)},
	}
	v := templates.RuleReviewView{
		Title: "Remove freeze window", Sub: b.freezeWords(f), Danger: true, Complaints: complaintsView(complaint, fieldLabels),
		Diffs: []templates.DiffView{ruleDiff(change.Item{Kind: change.KindFreeze, Operation: change.Delete, Base: base}, b.names)},
		Form:  s.newForm(c, freezeRemovePath(f.ID)), Back: templates.LinkView{Text: "Cancel", URL: policiesPath},
	}
	return s.ruleRemoval(c, v, change.KindFreeze, reason, complaint)
}

func oneOrNone(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// ruleRemoval finishes the page before a rule is removed that is no policy.
func (s *Server) ruleRemoval(c echo.Context, v templates.RuleReviewView, kind change.Kind, reason string, complaint error) error {
	at := place{title: v.Title, narrow: true}
	at.nav, at.crumbs = ruleCrumbs(kind)
	var err error
	if v.Page, err = s.frame(c, at); err != nil {
		return err
	}
	if v.Ask, err = s.askView(c, kind, "Remove", reason, complaint); err != nil {
		return err
	}
	if complaint != nil {
		return again(c, templates.RuleReview(v))
	}
	noStore(c)
	return page(c, templates.RuleReview(v))
}

// freezeDelete asks to remove a freeze window.
func (s *Server) freezeDelete(c echo.Context) error {
	var in reasonForm
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.ProposeFreezeDelete(c.Request().Context(), reader(c), in.Reason, c.Param("id"))
	if problem.Is(err, problem.Invalid) {
		return s.freezeRemovePage(c, in.Reason, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, policiesPath)
}

// glassForm is what is typed about the break-glass list.
type glassForm struct {
	People []string `form:"people"`
	Reason string   `form:"reason"`
}

// glass shows the break-glass list as boxes.
func (s *Server) glass(c echo.Context) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	in := glassForm{People: b.rules.BreakGlass}
	if typed := s.typed(c); typed != nil {
		in = glassForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.glassPage(c, in, nil)
}

func (s *Server) glassPage(c echo.Context, in glassForm, complaint error) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	v := templates.RuleFormView{
		Title: "Break-glass list", Sub: "Who may apply a change without its approvals in an emergency. All who were passed over are told, and one of them has to review it. Nobody ticked: nobody may.",
		Form: s.newForm(c, glassPath), Complaints: complaintsView(complaint, fieldLabels), Back: templates.LinkView{Text: "Cancel", URL: policiesPath},
		Legend: "People", BoxesName: "people", BoxesWrong: fieldComplaints(complaint)["people"], BoxesNone: "Nobody has the editor role, which it takes.",
	}
	for _, u := range b.people {
		if chosen := slices.Contains(in.People, u.ID); chosen || u.May(access.ProposeChange) {
			v.Boxes = append(v.Boxes, templates.CheckView{Name: "people", Value: u.ID, Text: u.Name, Hint: rolesOf(u), Checked: chosen})
		}
	}
	return s.ruleForm(c, v, change.KindBreakGlass, in.Reason, complaint)
}

// glassSave asks for another break-glass list.
func (s *Server) glassSave(c echo.Context) error {
	var in glassForm
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.ProposeBreakGlass(c.Request().Context(), reader(c), in.Reason, in.People)
	if problem.Is(err, problem.Invalid) {
		return s.glassPage(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, policiesPath)
}
