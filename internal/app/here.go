package app

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
)

const (
	keyHere    = "here"
	keyToolkit = "toolkit" // string: of the auth config that the address names
)

// here is the reader as they are where the page is: in the project, at the auth
// config or at the change request that its address names. Elsewhere it is the
// reader.
func here(c echo.Context) access.User {
	if u, ok := c.Get(keyHere).(access.User); ok {
		return u
	}
	return reader(c).User
}

// locate finds out who the reader is where the page is. What isn't theirs to see is
// not there, as what doesn't exist.
func (s *Server) locate(c echo.Context) error {
	u := reader(c).User
	if !u.Scoped() {
		return nil
	}
	var err error
	switch path := c.Path(); {
	case strings.HasPrefix(path, "/projects/:slug"):
		u, err = s.inProject(c, u)
	case strings.HasPrefix(path, "/changes/:id"):
		u, err = s.atRequest(c, u)
	default:
		return nil
	}
	c.Set(keyHere, u)
	return err
}

func (s *Server) inProject(c echo.Context, u access.User) (access.User, error) {
	p, err := s.findProject(c)
	if err != nil {
		return u, err
	}
	id := c.Param("id")
	if id == "" {
		return u.Within(p.Place()), nil
	}
	toolkit, err := s.toolkitOf(c.Request().Context(), p, id)
	c.Set(keyToolkit, toolkit)
	return u.At(p.At(toolkit)), err
}

func (s *Server) atRequest(c echo.Context, u access.User) (access.User, error) {
	r, err := s.findRequest(c, c.Param("id"))
	if err != nil {
		return u, err
	}
	return r.At(u), nil
}

// toolkitOf is the toolkit of an auth config, also of one that is gone; empty if it
// isn't known.
func (s *Server) toolkitOf(ctx context.Context, p mirror.Project, id string) (string, error) {
	snapshot, err := s.store.Snapshot(ctx, p.ID)
	if err != nil {
		return "", err
	}
	if a, ok := snapshot.Get(id); ok {
		return a.Toolkit, nil
	}
	n, _, err := s.store.CountConfigSteps(ctx, p.ID, id, math.MaxInt64)
	if err != nil || n == 0 {
		return "", err
	}
	last, err := s.store.ConfigStep(ctx, p.ID, id, n)
	if err != nil {
		return "", err
	}
	was, err := s.store.ConfigAt(ctx, p.ID, id, last.Seq-1)
	return was.Toolkit, err
}

// seenProjects are the projects that the reader sees, as a whole or in part.
func (s *Server) seenProjects(c echo.Context) ([]mirror.Project, error) {
	all, err := s.store.Projects(c.Request().Context())
	u := reader(c).User
	if err != nil || !u.Scoped() {
		return all, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(p mirror.Project) bool { return !u.MayWithin(access.ViewConfigs, p.Place()) }), nil
}

// snapshot are the auth configs of a project that the reader sees.
func (s *Server) snapshot(c echo.Context, p mirror.Project) (*mirror.Snapshot, error) {
	all, err := s.store.Snapshot(c.Request().Context(), p.ID)
	if err != nil {
		return nil, err
	}
	return all.SeenBy(reader(c).User, p), nil
}

// seenDrifts are those of the auth configs of a project that the reader sees, by id.
func (s *Server) seenDrifts(c echo.Context, p mirror.Project) (map[string]mirror.Drift, error) {
	ctx, u := c.Request().Context(), reader(c).User
	all, err := s.store.Drifts(ctx, p.ID)
	if err != nil || u.MayIn(access.ViewConfigs, p.Place()) {
		return all, err
	}
	seen := map[string]mirror.Drift{}
	for id, d := range all {
		toolkit, err := s.toolkitOf(ctx, p, id)
		if err != nil {
			return nil, err
		}
		if u.MayIn(access.ViewConfigs, p.At(toolkit)) {
			seen[id] = d
		}
	}
	return seen, nil
}

// openRequests maps ids of a project's auth configs to the open request about each
// that the reader sees.
func (s *Server) openRequests(c echo.Context, p mirror.Project) (map[string]string, error) {
	ctx, u := c.Request().Context(), reader(c).User
	all, err := s.store.ConfigRequests(ctx, p.ID)
	if err != nil || u.MayIn(access.ViewConfigs, p.Place()) {
		return all, err
	}
	seen := map[string]string{}
	for config, id := range all {
		r, err := s.store.Request(ctx, id)
		if err != nil {
			return nil, err
		}
		if r.ReadBy(u) {
			seen[config] = id
		}
	}
	return seen, nil
}
