package change

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// check complains about a policy that can't be meant or can't be satisfied.
func (p Policy) check(rules Rules, people []access.User) error {
	wrong := map[string]string{}
	if p.Subject != AboutConfigs && p.Subject != AboutRules {
		wrong[fieldSubject] = "Choose what the policy is about."
	}
	if p.Subject == AboutRules && (p.Project != "" || p.Environment != "" || p.Toolkit != "" || len(p.Operations) > 0 || p.Condition != "") {
		wrong[fieldSubject] = "A policy about the rules is about all of them. Leave the rest empty."
	}
	if p.Project != "" && (!rules.hasProject(p.Project) || p.Environment != "") {
		wrong[fieldProject] = "Choose a project or an environment, not both."
	}
	if p.Environment != "" && !slices.Contains(mirror.Environments(), p.Environment) {
		wrong[fieldEnvironment] = "Choose one of the environments."
	}
	if p.Toolkit != "" && !toolkitSlug.MatchString(p.Toolkit) {
		wrong[fieldToolkit] = "Enter a toolkit as Composio names it, such as github."
	}
	for _, op := range p.Operations {
		if !slices.Contains([]Operation{Create, Update, Enable, Disable, Delete}, op) {
			wrong[fieldOperations] = "Choose from the operations that are listed."
		}
	}
	if !slices.Contains(Conditions(), p.Condition) {
		wrong[fieldCondition] = "Choose one of the conditions."
	}
	if p.Over < 0 || p.Over > 1_000_000 || p.Condition != ConnectionsOver && p.Over != 0 {
		wrong[fieldOver] = "Enter a number of connections from 0 to 1,000,000."
	}
	if complaint := p.checkSteps(rules, people); complaint != "" {
		wrong[fieldSteps] = complaint
	}
	if len(wrong) > 0 {
		return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	return nil
}

var toolkitSlug = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

func (p Policy) checkSteps(rules Rules, people []access.User) string {
	for i, step := range p.Steps {
		if len(step) == 0 {
			return fmt.Sprintf("Step %d asks for nothing. Fill it or leave it out.", i+1)
		}
		for _, n := range step {
			if n.Count < 1 || n.Count > 99 || i > 8 {
				return "Ask for 1 to 99 approvals in each part, in at most 9 steps."
			}
			for _, r := range n.Roles {
				if !rules.hasRole(r) {
					return "There is no role " + strconv.Quote(string(r)) + "."
				}
			}
			for _, g := range n.Groups {
				if !slices.ContainsFunc(rules.Groups, func(have access.Group) bool { return have.ID == g }) {
					return "There is no such group."
				}
			}
			for _, u := range n.People {
				if !slices.ContainsFunc(people, func(have access.User) bool { return have.ID == u }) {
					return "There is no such person."
				}
			}
		}
	}
	if !p.Satisfiable(people, rules) {
		return "There aren't enough people who may approve and whom it names. Give more people the approver role, or ask for fewer."
	}
	if p.Approvals() > 0 && !governable(at([]access.Place{{}}, people)) {
		return "Nobody but its author could approve changes of the rules afterwards. Give somebody else the approver role first."
	}
	return ""
}

func (r Rules) hasProject(id string) bool {
	_, there := r.Environments[id]
	return there
}

// hasRole reports whether there is a role.
func (r Rules) hasRole(role access.Role) bool {
	return slices.Contains(access.Roles(), role) || slices.ContainsFunc(r.Roles, func(c access.CustomRole) bool { return c.ID == role })
}

// governable reports whether some admin's change of the rules could be approved by
// somebody else.
func governable(people []access.User) bool {
	return slices.ContainsFunc(people, func(admin access.User) bool {
		return admin.May(access.ManageRules) && slices.ContainsFunc(people, func(u access.User) bool { return u.ID != admin.ID && u.May(access.ApproveChange) })
	})
}
