package app

import (
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// policies says who has to agree to what.
func (s *Server) policies(c echo.Context) error {
	if same, err := s.unchanged(c); same || err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Policies", nav: "Policies", narrow: true})
	if err != nil {
		return err
	}
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	v := b.seenBy(reader(c).User).policiesView(mayRule(c), s.now())
	v.Page = frame
	return page(c, templates.Policies(v))
}

// policyRemove shows what removing a policy would mean.
func (s *Server) policyRemove(c echo.Context) error { return s.policyRemovePage(c, "", nil) }

func (s *Server) policyRemovePage(c echo.Context, reason string, complaint error) error {
	b, err := s.rulebook(c)
	if err != nil {
		return err
	}
	p, err := findPolicy(b.rules, c.Param("id"))
	if err != nil {
		return err
	}
	return s.ruleReview(c, templates.RuleReviewView{
		Title: "Remove policy", Sub: "A change that no other policy covers is refused from then on.", Danger: true,
		Diffs: []templates.DiffView{ruleDiff(change.Item{Kind: change.KindPolicy, Operation: change.Delete, Base: p.Values()}, b.names)},
		Form:  s.newForm(c, policyPath(p.ID)+"/remove"), Back: templates.LinkView{Text: "Cancel", URL: policiesPath}, Complaints: complaintsView(complaint, fieldLabels),
	}, b.rules.Without(p.ID), reason, complaint)
}

// reasonForm is a form that asks for a reason only.
type reasonForm struct {
	Reason string `form:"reason"`
}

// policyDelete asks to remove a policy.
func (s *Server) policyDelete(c echo.Context) error {
	var in reasonForm
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.ProposePolicyDelete(c.Request().Context(), reader(c), in.Reason, c.Param("id"))
	if problem.Is(err, problem.Invalid) {
		return s.policyRemovePage(c, in.Reason, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, policiesPath)
}

// A recommendation is the policies that a project is advised to have, in place
// of those that ask for nothing.
type recommendation struct {
	book      rulebook
	project   mirror.Project
	approvers int
	policies  []change.Policy
	instead   []change.Policy
}

func (s *Server) recommendation(c echo.Context) (recommendation, error) {
	var r recommendation
	var err error
	if r.project, err = s.findProject(c); err != nil {
		return r, err
	}
	if r.book, err = s.rulebook(c); err != nil {
		return r, err
	}
	for _, u := range r.book.people {
		if u.May(access.ApproveChange) {
			r.approvers++
		}
	}
	for _, p := range change.Recommended(r.project.ID, r.approvers) {
		if !r.book.has(p) {
			r.policies = append(r.policies, p)
		}
	}
	for _, p := range r.book.rules.Policies {
		if p.Project == r.project.ID && p.Approvals() == 0 && p.Subject == change.AboutConfigs {
			r.instead = append(r.instead, p)
		}
	}
	return r, nil
}

// has reports whether a policy says the same.
func (b rulebook) has(p change.Policy) bool {
	return slices.ContainsFunc(b.rules.Policies, func(have change.Policy) bool { return policyBase(have) == policyBase(p) })
}

// made reports whether nothing is left to do.
func (r recommendation) made() bool { return len(r.policies)+len(r.instead) == 0 }

func (r recommendation) insteadIDs() []string {
	var ids []string
	for _, p := range r.instead {
		ids = append(ids, p.ID)
	}
	return ids
}

// policiesRecommended shows the policies that a project is advised to have.
func (s *Server) policiesRecommended(c echo.Context) error { return s.recommendedPage(c, "", nil) }

func (s *Server) recommendedPage(c echo.Context, reason string, complaint error) error {
	r, err := s.recommendation(c)
	if err != nil {
		return err
	}
	v := templates.RuleReviewView{
		Title: "Recommended policies for " + r.project.Name, Sub: "One approval for every change, two to delete and to widen scopes.",
		Form: s.newForm(c, recommendedPath(r.project.Slug)), Back: templates.LinkView{Text: "Cancel", URL: policiesPath}, Complaints: complaintsView(complaint, fieldLabels),
	}
	for i := range v.Complaints.Fields {
		v.Complaints.Fields[i].URL = "#main" // they are about what is recommended
	}
	switch r.approvers {
	case 0:
		v.Notices = []templates.NoticeView{{Tone: "warn", Title: "Nobody may approve yet.", Text: "Give somebody the approver role first; a policy that nobody can satisfy can't be saved.", Link: templates.LinkView{Text: "Open People", URL: "/people"}}}
	case 1:
		v.Notices = []templates.NoticeView{{Tone: "info", Title: "Only one person may approve.", Text: "So one approval is offered where two are advised. Give somebody else the approver role, and ask for two then."}}
	}
	if r.made() {
		return problem.New(problem.Conflict, "The recommended policies are in force in %s already.", r.project.Name)
	}
	d := templates.DiffView{Before: "Now", After: "Then"}
	for _, p := range r.policies {
		row := policyRow(change.Item{Operation: change.Create, Set: p.Values()}, r.book.names)
		row.Before = "not there"
		d.Rows = append(d.Rows, row)
	}
	for _, p := range r.instead {
		d.Rows = append(d.Rows, policyRow(change.Item{Operation: change.Delete, Base: p.Values()}, r.book.names))
	}
	v.Diffs = []templates.DiffView{d}
	return s.ruleReview(c, v, slices.Concat(r.book.rules.Without(r.insteadIDs()...), r.policies), reason, complaint)
}

// policiesRecommend asks for them.
func (s *Server) policiesRecommend(c echo.Context) error {
	var in reasonForm
	if err := decode(c, &in); err != nil {
		return err
	}
	advised, err := s.recommendation(c)
	if err != nil {
		return err
	}
	if advised.made() {
		return problem.New(problem.Conflict, "The recommended policies are in force in %s already.", advised.project.Name)
	}
	title := "Use the recommended policies in " + advised.project.Name
	r, err := s.changes.ProposePolicies(c.Request().Context(), reader(c), in.Reason, title, advised.policies, advised.insteadIDs()...)
	if problem.Is(err, problem.Invalid) {
		return s.recommendedPage(c, in.Reason, err)
	}
	if err != nil {
		return err
	}
	return s.ruled(c, r, policiesPath)
}
