package mirror

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/composio"
	"gatehouse/internal/problem"
)

// detailFresh is how long the fields and tools of a toolkit are used before
// they are read again.
const detailFresh = 24 * time.Hour

// SyncCatalogue reads the list of toolkits when it is older than toolkitsFresh.
func (s *Service) SyncCatalogue(ctx context.Context, projectID string) error {
	_, readAt, err := s.store.Toolkits(ctx, projectID)
	if err != nil || s.now().Sub(readAt) < toolkitsFresh {
		return err
	}
	c, err := s.Client(ctx, projectID)
	if err != nil {
		return err
	}
	var all []Toolkit
	for t, err := range c.Toolkits.List(ctx, composio.ToolkitQuery{}) {
		if err != nil {
			return err
		}
		if composio.CheckID(t.Slug) == nil {
			all = append(all, toolkitFromAPI(t))
		}
	}
	return s.store.SaveToolkits(ctx, projectID, all, s.now())
}

// Toolkit returns a toolkit with its fields: from the mirror while that is
// fresh, else from Composio, and from the mirror again when Composio is down.
// One that neither knows is a problem of kind NotFound.
func (s *Service) Toolkit(ctx context.Context, projectID, slug string) (ToolkitDetail, error) {
	if composio.CheckID(slug) != nil {
		return ToolkitDetail{}, problem.New(problem.NotFound, "There is no such toolkit.")
	}
	slug = strings.ToLower(slug)
	known, err := s.store.ToolkitDetail(ctx, projectID, slug)
	if err != nil && !problem.Is(err, problem.NotFound) {
		return known, err
	}
	if err == nil && s.now().Sub(known.ReadAt) < detailFresh {
		return known, nil
	}
	c, cerr := s.Client(ctx, projectID)
	if cerr != nil {
		return known, cerr
	}
	fresh, rerr := c.Toolkits.Get(ctx, slug)
	switch {
	case composio.NotFound(rerr):
		return known, problem.New(problem.NotFound, "Composio has no toolkit called %q.", slug)
	case rerr != nil && err == nil:
		return known, nil // an older answer is better than none
	case rerr != nil:
		return known, Refusal(rerr)
	}
	detail := detailFromAPI(fresh, s.now())
	return detail, s.store.SaveToolkitDetail(ctx, projectID, detail)
}

// Tools returns the tools of a toolkit by slug, like [Service.Toolkit].
func (s *Service) Tools(ctx context.Context, projectID, toolkit string) ([]Tool, error) {
	known, readAt, err := s.store.Tools(ctx, projectID, toolkit)
	if err != nil || s.now().Sub(readAt) < detailFresh {
		return known, err
	}
	c, err := s.Client(ctx, projectID)
	if err != nil {
		return nil, err
	}
	var tools []Tool
	for t, err := range c.Tools.List(ctx, toolkit) {
		switch {
		case err != nil && !readAt.IsZero():
			return known, nil // an older answer is better than none
		case err != nil:
			return nil, Refusal(err)
		}
		tools = append(tools, Tool{Slug: t.Slug, Name: t.Name, Description: t.Description, Scopes: t.Scopes})
	}
	slices.SortFunc(tools, func(a, b Tool) int { return strings.Compare(a.Slug, b.Slug) })
	return tools, s.store.SaveTools(ctx, projectID, toolkit, tools, s.now())
}
