package app

import (
	"context"
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// A rulebook is what pages about the rules look at.
type rulebook struct {
	rules    change.Rules
	people   []access.User
	projects []mirror.Project
	names    names
}

func (s *Server) rulebook(c echo.Context) (rulebook, error) {
	var b rulebook
	var err error
	ctx := c.Request().Context()
	if b.rules, err = s.store.Rules(ctx); err != nil {
		return b, err
	}
	if b.people, err = s.store.Users(ctx); err != nil {
		return b, err
	}
	if b.projects, err = s.store.Projects(ctx); err != nil {
		return b, err
	}
	b.names, err = s.names(c)
	return b, err
}

// seenBy is the rulebook without what is about projects that somebody doesn't see.
func (b rulebook) seenBy(u access.User) rulebook {
	if !u.Scoped() {
		return b
	}
	hidden := map[string]bool{}
	b.projects = slices.DeleteFunc(slices.Clone(b.projects), func(p mirror.Project) bool {
		hidden[p.ID] = !u.MayWithin(access.ViewConfigs, p.Place())
		return hidden[p.ID]
	})
	b.rules.Policies = slices.DeleteFunc(slices.Clone(b.rules.Policies), func(p change.Policy) bool { return hidden[p.Project] })
	b.rules.Freezes = slices.DeleteFunc(slices.Clone(b.rules.Freezes), func(f change.Freeze) bool { return hidden[f.Project] })
	return b
}

// askView says what becomes of a change of the rules that the reader sends.
func (s *Server) askView(c echo.Context, kind change.Kind, button, typed string, complaint error) (templates.AskView, error) {
	words, approvals, err := s.policyWords(c, mirror.Project{}, change.Item{Kind: kind})
	v := templates.AskView{Policy: words, Button: sendWords(approvals, button), Reason: reasonInput(typed, complaint)}
	if approvals > 0 {
		v.Reason.Optional, v.Reason.Required = false, true
		v.Reason.Hint = "Those who approve it read this. It is kept in History."
	}
	return v, err
}

// ruled waits for a change of the rules to come to rest, and leads to where its
// outcome is seen.
func (s *Server) ruled(c echo.Context, r change.Request, where string) error {
	now, err := s.restedRule(c, r)
	if err != nil {
		return err
	}
	if now.State != change.Applied {
		return s.see(c, changePath(r.ID), "")
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	return s.see(c, where, ruleDone(now, n))
}

// restedRule is a change of the rules once nothing more happens to it by itself.
func (s *Server) restedRule(c echo.Context, r change.Request) (change.Request, error) {
	wait, cancel := context.WithTimeout(detach(c), applyWait)
	defer cancel()
	s.changes.Settled(wait, r.ID)
	s.changes.Recheck()
	return s.store.Request(detach(c), r.ID)
}
