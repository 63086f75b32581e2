package app

import (
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// roleWord names a role as readers see it.
func roleWord(r access.Role, n names) string {
	if r.Custom() {
		return n.of(string(r))
	}
	return capital(string(r))
}

// grantWords says a grant as it stands in change requests and in history: the role,
// and where it holds unless that is everywhere.
func grantWords(line string, n names) string {
	g, ok := access.ReadGrant(line)
	if !ok {
		return line
	}
	return strings.TrimSpace(roleWord(g.Role, n) + " " + scopeWords(g.Scope, n))
}

// grantList says several grants in one sentence. A comma keeps apart where one ends
// that holds somewhere.
func grantList(lines []string, n names) string {
	words := ruleWords("roles", lines, n)
	if len(words) > 1 && slices.ContainsFunc(lines[:len(lines)-1], func(line string) bool { return strings.Contains(line, ":") }) {
		words[len(words)-2] += ","
	}
	return listed(words, "and")
}

// scopeWords say where a grant holds, nothing if that is everywhere.
func scopeWords(s access.Scope, n names) string {
	var where []string
	if s.Toolkit != "" {
		where = append(where, "for toolkit "+s.Toolkit)
	}
	switch {
	case s.Project != "":
		where = append(where, "in "+n.of(s.Project))
	case s.Environment != "":
		where = append(where, "in "+s.Environment)
	}
	return strings.Join(where, " ")
}

// roleList names the roles that somebody holds, wherever they do.
func roleList(u access.User) []string {
	var all []string
	for _, g := range u.Grants {
		name := g.Name
		if name == "" {
			name = capital(string(g.Role))
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func rolesOf(u access.User) string {
	if all := roleList(u); len(all) > 0 {
		return strings.Join(all, ", ")
	}
	return "No role"
}
