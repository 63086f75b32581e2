package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// A policyEditor makes the pages that add or edit a policy: the form, then what
// it would have meant.
type policyEditor struct {
	s    *Server
	c    echo.Context
	book rulebook
	old  change.Policy // without an id for a new one
}

func (s *Server) policyEditor(c echo.Context) (*policyEditor, error) {
	book, err := s.rulebook(c)
	e := &policyEditor{s: s, c: c, book: book}
	if err == nil && c.Param("id") != "" {
		e.old, err = findPolicy(book.rules, c.Param("id"))
	}
	return e, err
}

func findPolicy(rules change.Rules, id string) (change.Policy, error) {
	for _, p := range rules.Policies {
		if p.ID == id {
			return p, nil
		}
	}
	return change.Policy{}, problem.New(problem.NotFound, "There is no such policy, or not any more.")
}

func (e *policyEditor) path() string {
	if e.old.ID == "" {
		return policiesPath
	}
	return policyPath(e.old.ID)
}

func (e *policyEditor) title() string {
	if e.old.ID == "" {
		return "New policy"
	}
	return "Edit policy"
}

var policyCrumbs = []templates.LinkView{{Text: "Policies", URL: policiesPath}}

// policyNew shows an empty form.
func (s *Server) policyNew(c echo.Context) error {
	e, err := s.policyEditor(c)
	if err != nil {
		return err
	}
	f := policyForm{policyFields: policyFields{Subject: string(change.AboutConfigs)}}
	if c.QueryParam("subject") == string(change.AboutRules) {
		f.Subject = string(change.AboutRules)
	}
	f.needs[0][0].Count = "1"
	return e.begin(f)
}

// policyEdit shows the form of a policy that there is.
func (s *Server) policyEdit(c echo.Context) error {
	e, err := s.policyEditor(c)
	if err != nil {
		return err
	}
	f, fits := formOf(e.old)
	if !fits {
		return problem.New(problem.Conflict, "This policy has more steps than the form can show. Remove it and make a simpler one.")
	}
	return e.begin(f)
}

// begin shows the form, filled with what was kept when a session ended.
func (e *policyEditor) begin(f policyForm) error {
	if typed := e.s.typed(e.c); typed != nil {
		kept, err := decodePolicy(typed)
		if err != nil {
			return err
		}
		f = kept
	}
	noStore(e.c)
	return e.form(f, nil)
}

func (e *policyEditor) form(f policyForm, complaint error) error {
	v := policyFormView(e.book, f, complaint)
	var err error
	if v.Page, err = e.s.frame(e.c, place{title: e.title(), nav: "Policies", crumbs: policyCrumbs}); err != nil {
		return err
	}
	v.Title, v.Sub = e.title(), "Nothing is saved yet: the next page shows what it would have meant of late."
	v.Form, v.Back = e.s.newForm(e.c, e.path()+"/simulate"), templates.LinkView{Text: "Cancel", URL: policiesPath}
	if f.Base != "" {
		v.Hidden = []templates.HiddenView{{Name: "base", Value: f.Base}}
	}
	if complaint != nil {
		return again(e.c, templates.PolicyForm(v))
	}
	return page(e.c, templates.PolicyForm(v))
}

// policySimulate shows what the typed policy would have meant. Nothing is kept.
func (s *Server) policySimulate(c echo.Context) error {
	e, err := s.policyEditor(c)
	if err != nil {
		return err
	}
	f, err := decodePolicy(sent(c))
	if err != nil {
		return err
	}
	if f.Back || c.Request().Header.Get("HX-Request") != "" {
		noStore(c)
		return e.form(f, nil)
	}
	return e.review(f, nil)
}

// review shows the policy as a sentence, the simulation, and the button.
func (e *policyEditor) review(f policyForm, complaint error) error {
	p, err := f.policy(e.old.ID)
	if err == nil {
		err = e.s.changes.CheckPolicy(e.c.Request().Context(), p)
	}
	if problem.Is(err, problem.Invalid) {
		return e.form(f, err)
	}
	if err != nil {
		return err
	}
	it := change.Item{Kind: change.KindPolicy, Operation: change.Create, Set: p.Values()}
	if e.old.ID != "" {
		it.Operation, it.Base = change.Update, e.old.Values()
	}
	v := templates.RuleReviewView{
		Title: e.title(), Sub: "Nothing is saved yet.", Diffs: []templates.DiffView{ruleDiff(it, e.book.names)},
		Form: e.s.newForm(e.c, e.path()), BackForm: e.s.newForm(e.c, e.path()+"/simulate"), Complaints: complaintsView(complaint, fieldLabels),
	}
	if f.outdated(e.old) {
		v.Notices = []templates.NoticeView{{Tone: "warn", Title: "This policy changed since you opened the form. Nothing was saved.", Text: "Below, what you typed is compared with what it says now. Save again to put yours in its place."}}
		f.Base = policyBase(e.old)
	}
	v.Hidden = f.hidden()
	return e.s.ruleReview(e.c, v, e.book.rules.With(p), f.Reason, complaint)
}

// outdated reports whether the form showed something else than the policy says.
func (f policyForm) outdated(old change.Policy) bool {
	return old.ID != "" && f.Base != "" && f.Base != policyBase(old)
}

// ruleReview finishes the page of what a change of policies will do.
func (s *Server) ruleReview(c echo.Context, v templates.RuleReviewView, proposed []change.Policy, reason string, complaint error) error {
	var err error
	if v.Page, err = s.frame(c, place{title: v.Title, nav: "Policies", narrow: true, crumbs: policyCrumbs}); err != nil {
		return err
	}
	sim, err := s.changes.Simulate(c.Request().Context(), proposed)
	if err != nil {
		return err
	}
	v.Sim = simulationView(sim, s.now())
	button := "Save"
	if v.Danger {
		button = "Remove"
	}
	if v.Ask, err = s.askView(c, change.KindPolicy, button, reason, complaint); err != nil {
		return err
	}
	if complaint != nil {
		return again(c, templates.RuleReview(v))
	}
	noStore(c)
	return page(c, templates.RuleReview(v))
}

// policySave asks for the policy.
func (s *Server) policySave(c echo.Context) error {
	e, err := s.policyEditor(c)
	if err != nil {
		return err
	}
	f, err := decodePolicy(sent(c))
	if err != nil {
		return err
	}
	p, err := f.policy(e.old.ID)
	if err != nil {
		return e.form(f, err)
	}
	if f.outdated(e.old) {
		return e.review(f, nil)
	}
	r, err := s.changes.ProposePolicy(c.Request().Context(), reader(c), f.Reason, p)
	if problem.Is(err, problem.Invalid) {
		return e.review(f, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, policiesPath)
}

// mayRule reports whether the reader may propose other policies.
func mayRule(c echo.Context) bool { return reader(c).May(access.ManageRules) }
