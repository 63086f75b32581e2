package app

import (
	"context"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// warnOfToolkits adds a notice for each toolkit that grants, as [access.Grant.String]
// writes them, are narrowed to and that Composio has nowhere in their scope. Projects
// whose list of toolkits was never read say nothing about it.
func (s *Server) warnOfToolkits(ctx context.Context, to *[]templates.NoticeView, grants []string, n names) error {
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return err
	}
	grants = slices.Clone(grants)
	slices.Sort(grants)
	for _, line := range slices.Compact(grants) {
		g, ok := access.ReadGrant(line)
		if !ok || g.Scope.Toolkit == "" {
			continue
		}
		has, err := s.store.ToolkitIn(ctx, g.Scope.Toolkit)
		if err != nil {
			return err
		}
		if lacks(projects, g.Scope, has) {
			*to = append(*to, toolkitNotice(g.Scope, n))
		}
	}
	return nil
}

// lacks reports whether none of the projects in a scope has its toolkit, and some of
// them were asked.
func lacks(projects []mirror.Project, in access.Scope, has map[string]bool) bool {
	asked := false
	for _, p := range projects {
		at := p.Place()
		if in.Project != "" && in.Project != at.Project || in.Environment != "" && in.Environment != at.Environment {
			continue
		}
		is, known := has[p.ID]
		if is {
			return false
		}
		asked = asked || known
	}
	return asked
}

func toolkitNotice(in access.Scope, n names) templates.NoticeView {
	where := scopeWords(access.Scope{Project: in.Project, Environment: in.Environment}, n)
	if where != "" {
		where = " " + where
	}
	return templates.NoticeView{
		Tone: "warn", Title: "Composio has no toolkit " + in.Toolkit + where + ".",
		Text: "A role for it gives nothing there until there is one. Check how the toolkit is written: it is called here as in the list of auth configs.",
	}
}

// grantsAsked are the grants that items ask for.
func grantsAsked(items []change.Item) []string {
	var all []string
	for _, it := range items {
		if it.Kind == change.KindRoles || it.Kind == change.KindGroup {
			all = append(all, it.Set["roles"]...)
		}
	}
	return all
}
