package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
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
	v := templates.PoliciesView{Page: frame}
	rules, err := s.store.Rules(c.Request().Context())
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	projects, err := s.store.Projects(c.Request().Context())
	if err != nil {
		return err
	}
	for _, policy := range rules.Policies {
		row := templates.PolicyView{Sentence: policySentence(policy, n) + "."}
		for _, p := range projects {
			if p.ID == policy.Project {
				row.Environment = environment(p)
				if policy.Approvals() == 0 && p.Environment == mirror.Production && len(rules.Policies) == 1 {
					row.Warn = "This is production: what an editor saves is applied at once."
				}
			}
		}
		v.Rows = append(v.Rows, row)
	}
	return page(c, templates.Policies(v))
}
