package change

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
)

// ProposeClient asks for a client of a directory. Whoever holds its token decides who
// is in the groups of that directory, so what those give now is part of what is
// agreed to.
func (s *Service) ProposeClient(ctx context.Context, by access.Reader, reason, name, directory string, days int) (Request, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return Request{}, err
	}
	wrong := map[string]string{}
	name, wrong[fieldName] = access.CleanName(name)
	if !slices.Contains(access.TokenLives(), days) {
		wrong[fieldDays] = "Choose from what is listed."
	}
	if err := invalidRule(wrong); err != nil {
		return Request{}, err
	}
	if err := rules.roomForClient(s.now()); err != nil {
		return Request{}, err
	}
	giving := rules.giving(directory)
	it := Item{
		Kind: KindClient, Operation: Create, Name: name, Base: mirror.Values{fieldGiving: giving},
		Set: mirror.Values{fieldName: one(name), fieldDirectory: one(directory), fieldDays: one(itoa(days)), fieldGiving: giving},
	}
	return s.proposeRule(ctx, by, reason, "Make the directory client "+name, it)
}

// roomForClient refuses more than [access.MostClients].
func (r Rules) roomForClient(now time.Time) error {
	good := 0
	for _, c := range r.Clients {
		if c.Good(now) {
			good++
		}
	}
	if good >= access.MostClients {
		return problem.New(problem.Conflict, "There are %d clients, which is the most. Revoke one that isn't used any more.", good)
	}
	return nil
}

// byPolicy stands among what a group gives: that a policy names it.
const byPolicy = "policy"

// giving are the groups that a directory keeps and that give their members something,
// each with what that is: its id, and the grants.
func (r Rules) giving(directory string) []string {
	all := []string{}
	for _, g := range r.Groups {
		gives := grantTexts(g.Grants)
		if slices.ContainsFunc(r.Policies, func(p Policy) bool { return p.names(g.ID) }) {
			gives = append(gives, byPolicy)
		}
		if g.Keeper == access.DirectorySource(directory) && len(gives) > 0 {
			all = append(all, g.ID+": "+strings.Join(gives, "; "))
		}
	}
	slices.Sort(all)
	return all
}

// Giving reads a line of what the groups of a client's directory give: the group, its
// grants, and whether a policy names it.
func Giving(line string) (group string, grants []string, named bool) {
	group, rest, _ := strings.Cut(line, ": ")
	for _, g := range strings.Split(rest, "; ") {
		if g == byPolicy {
			named = true
		} else {
			grants = append(grants, g)
		}
	}
	return group, grants, named
}

// client is the client that an item makes.
func (it Item) client(id string, t table) (access.Client, error) {
	days, err := strconv.Atoi(first(it.Set[fieldDays]))
	if err != nil {
		return access.Client{}, err
	}
	return access.Client{
		ID: id, Name: first(it.Set[fieldName]), Directory: first(it.Set[fieldDirectory]), CreatedAt: t.now, ExpiresAt: t.now.AddDate(0, 0, days),
	}, t.rules.roomForClient(t.now)
}
