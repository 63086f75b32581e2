package app

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
)

// names maps ids of people, groups and projects to what readers call them.
type names map[string]string

func (n names) of(id string) string {
	if name := n[id]; name != "" {
		return name
	}
	return id
}

// orElse is a name, or another one for what has none any more.
func (n names) orElse(id, other string) string {
	if name := n[id]; name != "" {
		return name
	}
	return other
}

// names gathers what policies and requests refer to by id.
func (s *Server) names(c echo.Context) (names, error) {
	ctx := c.Request().Context()
	n := names{}
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return n, err
	}
	for _, p := range projects {
		n[p.ID] = p.Name
	}
	people, err := s.store.Users(ctx)
	if err != nil {
		return n, err
	}
	for _, u := range people {
		n[u.ID] = u.Name
	}
	rules, err := s.store.Rules(ctx)
	for _, g := range rules.Groups {
		n[g.ID] = g.Name
	}
	for _, r := range rules.Roles {
		n[string(r.ID)] = r.Name
	}
	for _, p := range s.signon.Choices() {
		n[p.ID] = p.Name
	}
	return n, err
}

// policySentence is a policy as a reader says it.
func policySentence(p change.Policy, n names) string {
	if p.Subject == change.AboutRules {
		return "Changing policies, roles, groups, directory clients, freeze windows and the break-glass list " + asks(p, n)
	}
	where := "Everywhere"
	switch {
	case p.Project != "":
		where = "In " + n.of(p.Project)
	case p.Environment != "":
		where = "In every " + p.Environment + " project"
	}
	return where + ", " + what(p) + " " + asks(p, n)
}

var operationGerunds = map[change.Operation]string{
	change.Create: "creating", change.Update: "editing", change.Enable: "enabling", change.Disable: "disabling", change.Delete: "deleting",
}

// what says which changes a policy covers.
func what(p change.Policy) string {
	var parts []string
	for _, op := range p.Operations {
		parts = append(parts, operationGerunds[op])
	}
	of := ""
	if p.Toolkit != "" {
		of = " auth configs of " + p.Toolkit
	}
	text := "every change"
	if len(parts) > 0 {
		text = listed(parts, "or")
		if of == "" {
			of = " auth configs"
		}
	} else if of != "" {
		of = " of" + strings.TrimPrefix(of, " auth configs of")
	}
	text += of
	switch p.Condition {
	case change.ScopesWidened:
		text += " that widens scopes"
	case change.CredentialChanged:
		text += " that sets a credential"
	case change.ConnectionsOver:
		text += " that touches more than " + plural(p.Over, "connection", "connections")
	}
	return text
}

// asks says whose approval a policy asks for.
func asks(p change.Policy, n names) string {
	if p.Approvals() == 0 {
		return "needs no approval"
	}
	var steps []string
	for _, step := range p.Steps {
		var needs []string
		for _, need := range step {
			needs = append(needs, needWords(need, n))
		}
		steps = append(steps, listed(needs, "and"))
	}
	return "needs " + strings.Join(steps, ", then ")
}

// needWords says whose approvals one need takes.
func needWords(need change.Need, n names) string {
	text := plural(need.Count, "approval", "approvals")
	var who []string
	for _, r := range need.Roles {
		who = append(who, roleWord(r, n)+"s")
	}
	for _, g := range need.Groups {
		who = append(who, n.of(g))
	}
	for _, u := range need.People {
		who = append(who, n.of(u))
	}
	if len(who) == 0 {
		return text
	}
	return text + " from " + listed(who, "or")
}

// listed joins words as one says them.
func listed(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

// policyWords says what happens to a change of these items: whether it is applied
// at once, and if not, who has to agree.
func (s *Server) policyWords(c echo.Context, p mirror.Project, items ...change.Item) (words string, approvals int, err error) {
	policies, err := s.changes.Covering(c.Request().Context(), p.ID, reader(c).ID, items)
	if err != nil {
		return "", 0, err
	}
	n, err := s.names(c)
	if err != nil {
		return "", 0, err
	}
	if len(policies) == 0 {
		return "No policy covers this change, so it will be refused.", 0, nil
	}
	var sentences []string
	for _, one := range policies {
		approvals = max(approvals, one.Approvals())
		sentences = append(sentences, policySentence(one, n)+".")
	}
	if approvals == 0 {
		return sentences[0] + " It is applied at once and recorded in History.", 0, nil
	}
	policies = slices.DeleteFunc(slices.Clone(policies), func(one change.Policy) bool { return one.Approvals() == 0 })
	sentences = nil
	for _, one := range policies {
		sentences = append(sentences, policySentence(one, n)+".")
	}
	return strings.Join(sentences, " "), approvals, nil
}
