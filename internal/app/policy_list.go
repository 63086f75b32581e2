package app

import (
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// policiesView lists all rules but roles and groups.
func (b rulebook) policiesView(may bool, now time.Time) templates.PoliciesView {
	var v templates.PoliciesView
	if may {
		v.New, v.NewRoot = policiesPath+"/new", templates.Local(query(policiesPath+"/new", "subject", string(change.AboutRules)))
		v.NewFreeze, v.EditGlass = freezesPath+"/new", glassPath
	}
	for _, p := range b.rules.Policies {
		row := b.policyRow(p, may)
		if p.Subject == change.AboutRules {
			v.Root = append(v.Root, row)
		} else {
			v.Rows = append(v.Rows, row)
		}
	}
	b.root(&v)
	for _, p := range b.projects {
		if b.lax(p) {
			v.Notices = append(v.Notices, laxNotice(p, may))
		}
	}
	for _, f := range b.rules.Freezes {
		v.Freezes = append(v.Freezes, b.freezeRow(f, may, now))
	}
	for _, id := range b.rules.BreakGlass {
		v.BreakGlass = append(v.BreakGlass, b.glassRow(id))
	}
	return v
}

// root says who decides about the rules where no policy does.
func (b rulebook) root(v *templates.PoliciesView) {
	v.RootHint = "Policies, roles, groups, directory clients, freeze windows and the break-glass list change by change requests themselves. This never asks for more people than there are."
	if !b.rules.Governed() {
		v.RootHint = "Until the first policy asks for an approval, an admin sets the rules alone."
	}
	if len(v.Root) > 0 {
		return
	}
	for _, p := range b.rules.Root(b.people, nil) {
		v.Root = append(v.Root, templates.PolicyView{Sentence: policySentence(p, b.names) + "."})
	}
	if b.rules.Governed() {
		v.RootHint = "This holds as long as nobody makes another policy about the rules. " + v.RootHint
	}
}

func (b rulebook) policyRow(p change.Policy, may bool) templates.PolicyView {
	v := templates.PolicyView{Sentence: policySentence(p, b.names) + ".", Environment: b.where(p)}
	if !p.Satisfiable(b.people, b.rules) {
		v.Warn = "It can't be satisfied now: there aren't enough people who may give these approvals."
	}
	if may {
		v.Edit, v.Remove = templates.Local(policyPath(p.ID)+"/edit"), templates.Local(policyPath(p.ID)+"/remove")
	}
	return v
}

func (b rulebook) where(p change.Policy) templates.EnvironmentView {
	if p.Environment != "" {
		return environment(mirror.Project{Environment: p.Environment})
	}
	for _, one := range b.projects {
		if one.ID == p.Project {
			return environment(one)
		}
	}
	return templates.EnvironmentView{}
}

// lax reports whether nothing in a production project takes an approval.
func (b rulebook) lax(p mirror.Project) bool {
	return p.Environment == mirror.Production && !p.Archived() &&
		!slices.ContainsFunc(b.rules.Policies, func(one change.Policy) bool { return one.In(p) && one.Approvals() > 0 })
}

func laxNotice(p mirror.Project, may bool) templates.NoticeView {
	v := templates.NoticeView{Tone: "warn", Title: p.Name + " is production, and nothing in it takes an approval.", Text: "What an editor saves there is applied at once."}
	if may {
		v.Link = templates.LinkView{Text: "Use the recommended policies", URL: templates.Local(recommendedPath(p.Slug))}
	}
	return v
}

func (b rulebook) freezeRow(f change.Freeze, may bool, now time.Time) templates.RuleRowView {
	v := templates.RuleRowView{Name: f.Name, Text: b.freezeWords(f)}
	switch {
	case now.After(f.Until):
		v.Badge = templates.BadgeView{Text: "Over"}
	case now.Before(f.From):
		v.Badge = templates.BadgeView{Text: "To come", Tone: "info"}
	default:
		v.Badge = templates.BadgeView{Text: "Now", Tone: "warn"}
	}
	if may {
		v.Remove = templates.Local(freezeRemovePath(f.ID))
	}
	return v
}

func (b rulebook) freezeWords(f change.Freeze) string {
	where := "Everywhere"
	switch {
	case f.Project != "":
		where = "In " + b.names.of(f.Project)
	case f.Environment != "":
		where = "In every " + f.Environment + " project"
	}
	return where + ", from " + exact(f.From).Full + " until " + exact(f.Until).Full
}

func (b rulebook) glassRow(id string) templates.PersonLinkView {
	v := templates.PersonLinkView{Name: b.names.of(id), URL: templates.Local(personPath(id)), Avatar: face(b.names.of(id), id)}
	for _, u := range b.people {
		if u.ID == id && !u.May(access.ProposeChange) {
			v.Note = "Can't use it now: it takes an active account with the editor role."
		}
	}
	return v
}
