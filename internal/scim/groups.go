package scim

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
)

// group is a group as SCIM has it.
func (s *Service) group(g access.DirectoryGroup) object {
	o := object{"schemas": []any{groupSchema}, "id": g.ID, "displayName": g.Name, "meta": s.meta("Group", g.ID, g.Added, g.Updated)}
	if g.ExternalID != "" {
		o["externalId"] = g.ExternalID
	}
	members := []any{}
	for _, id := range g.Members {
		members = append(members, object{"value": id, "type": "User", "$ref": s.location("User", id)})
	}
	o["members"] = members
	return o
}

// groupOf reads what is said of a group, over what was. A list of members that isn't
// there leaves them as they are.
func groupOf(o object, was access.DirectoryGroup) (access.DirectoryGroup, error) {
	g := was
	var err error
	if g.Name, err = o.text("displayName"); err != nil {
		return g, err
	}
	if o.get("externalId") != nil {
		if g.ExternalID, err = o.text("externalId"); err != nil {
			return g, err
		}
	}
	if !o.has("members") {
		return g, nil
	}
	g.Members = nil
	for _, v := range o.list("members") {
		if m, ok := v.(object); ok {
			v = m.get("value")
		}
		id, ok := v.(string)
		if !ok || id == "" {
			return g, invalid("invalidValue", "members should be a list of objects with a value.")
		}
		g.Members = append(g.Members, id)
	}
	return g, nil
}

// Groups lists groups.
func (s *Service) Groups(c echo.Context) error {
	all, err := s.Access.DirectoryGroups(c.Request().Context(), client(c))
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, g := range all {
		out[i] = s.group(g)
	}
	return list(c, out)
}

// Group shows a group.
func (s *Service) Group(c echo.Context) error {
	g, err := s.Access.DirectoryGroup(c.Request().Context(), client(c), c.Param("id"))
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, chosen(c, s.group(g)))
}

// GroupAdd makes a group, which gives its members nothing.
func (s *Service) GroupAdd(c echo.Context) error {
	o, err := body(c)
	if err != nil {
		return err
	}
	g, err := s.Access.UpdateDirectoryGroup(c.Request().Context(), client(c), "", func(was access.DirectoryGroup) (access.DirectoryGroup, error) { return groupOf(o, was) })
	if err != nil {
		return err
	}
	s.Recheck()
	c.Response().Header().Set(echo.HeaderLocation, s.location("Group", g.ID))
	return send(c, http.StatusCreated, s.group(g))
}

// GroupPut says anew what a group is like.
func (s *Service) GroupPut(c echo.Context) error {
	o, err := body(c)
	if err != nil {
		return err
	}
	return s.changeGroup(c, func(was access.DirectoryGroup) (access.DirectoryGroup, error) {
		if !o.has("members") {
			o.set("members", nil) // a whole group without any has none
		}
		return groupOf(o, was)
	})
}

// GroupPatch changes parts of a group.
func (s *Service) GroupPatch(c echo.Context) error {
	o, err := body(c)
	if err != nil {
		return err
	}
	all, err := operations(o)
	if err != nil {
		return err
	}
	return s.changeGroup(c, func(was access.DirectoryGroup) (access.DirectoryGroup, error) {
		now := s.group(was)
		if err := patch(now, all); err != nil {
			return was, err
		}
		if !now.has("members") {
			now.set("members", nil) // they were removed
		}
		return groupOf(now, was)
	})
}

func (s *Service) changeGroup(c echo.Context, fn func(access.DirectoryGroup) (access.DirectoryGroup, error)) error {
	seen, err := s.Access.DirectoryGroup(c.Request().Context(), client(c), c.Param("id"))
	if err != nil {
		return err
	}
	wanted, err := fn(seen)
	if err != nil {
		return err
	}
	g, err := s.Access.UpdateDirectoryGroup(c.Request().Context(), client(c), c.Param("id"), func(was access.DirectoryGroup) (access.DirectoryGroup, error) {
		if was.Same(seen) { // else it changed meanwhile, and is worked out anew
			return wanted, nil
		}
		return fn(was)
	})
	if err != nil {
		return err
	}
	s.Recheck()
	return send(c, http.StatusOK, chosen(c, s.group(g)))
}

// GroupRemove takes a group out of the directory, and its members out of the group.
func (s *Service) GroupRemove(c echo.Context) error {
	_, err := s.Access.UpdateDirectoryGroup(c.Request().Context(), client(c), c.Param("id"), func(g access.DirectoryGroup) (access.DirectoryGroup, error) {
		g.Gone = true
		return g, nil
	})
	if err != nil {
		return err
	}
	s.Recheck()
	return c.NoContent(http.StatusNoContent)
}
