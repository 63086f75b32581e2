package scim

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
)

// user is somebody as SCIM has them.
func (s *Service) user(d access.DirectoryUser) object {
	o := object{
		"schemas": []any{userSchema}, "id": d.ID, "userName": d.UserName, "active": d.Active, "meta": s.meta("User", d.ID, d.Added, d.Updated),
	}
	name := object{}
	for key, v := range map[string]string{"givenName": d.GivenName, "familyName": d.FamilyName} {
		if v != "" {
			name[key] = v
		}
	}
	if len(name) > 0 {
		o["name"] = name
	}
	for key, v := range map[string]string{"externalId": d.ExternalID, "displayName": d.DisplayName} {
		if v != "" {
			o[key] = v
		}
	}
	if d.Mail != "" {
		o["emails"] = []any{object{"value": d.Mail, "type": "work", "primary": true}}
	}
	var groups []any
	for _, g := range d.Groups {
		groups = append(groups, object{"value": g.ID, "display": g.Name, "$ref": s.location("Group", g.ID)})
	}
	if groups != nil {
		o["groups"] = groups
	}
	return o
}

// profile reads what is said of somebody, over what was. What isn't kept is left
// out; it gives nobody anything.
func profile(o object, was access.Profile) (access.Profile, error) {
	p := access.Profile{ExternalID: was.ExternalID}
	name, _ := o.get("name").(object)
	if o.has("name") && name == nil && o.get("name") != nil {
		return p, invalid("invalidValue", "name should be an object.")
	}
	formatted, err := name.text("formatted")
	if err != nil {
		return p, err
	}
	for _, one := range []struct {
		from object
		name string
		to   *string
	}{
		{o, "userName", &p.UserName}, {o, "displayName", &p.DisplayName}, {name, "givenName", &p.GivenName}, {name, "familyName", &p.FamilyName},
	} {
		if *one.to, err = one.from.text(one.name); err != nil {
			return p, err
		}
	}
	if o.get("externalId") != nil { // it stays what it was: somebody signs in by it
		if p.ExternalID, err = o.text("externalId"); err != nil {
			return p, err
		}
	}
	if p.DisplayName == "" {
		p.DisplayName = formatted
	}
	if p.Mail, err = mail(o); err != nil {
		return p, err
	}
	p.Active, err = o.flag("active", was.Active)
	return p, err
}

// mail is the address that counts: the primary one, else one for work, else the first.
func mail(o object) (string, error) {
	best, rank := "", 0
	for _, v := range o.list("emails") {
		if s, ok := v.(string); ok {
			v = object{"value": s}
		}
		e, ok := v.(object)
		if !ok {
			return "", invalid("invalidValue", "emails should be a list of objects.")
		}
		value, err := e.text("value")
		if err != nil {
			return "", err
		}
		primary, err := e.flag("primary", false)
		if err != nil {
			return "", err
		}
		n := 1
		switch {
		case primary:
			n = 3
		case e.get("type") == "work":
			n = 2
		}
		if value != "" && n > rank {
			best, rank = value, n
		}
	}
	return best, nil
}

// Users lists people.
func (s *Service) Users(c echo.Context) error {
	all, err := s.Access.DirectoryUsers(c.Request().Context(), client(c))
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, d := range all {
		out[i] = s.user(d)
	}
	return list(c, out)
}

// User shows somebody.
func (s *Service) User(c echo.Context) error {
	d, err := s.Access.DirectoryUser(c.Request().Context(), client(c), c.Param("id"))
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, chosen(c, s.user(d)))
}

// UserAdd makes an account.
func (s *Service) UserAdd(c echo.Context) error {
	o, err := body(c)
	if err != nil {
		return err
	}
	p, err := profile(o, access.Profile{Active: true})
	if err != nil {
		return err
	}
	d, err := s.Access.AddDirectoryUser(c.Request().Context(), client(c), p, s.issuer(c))
	if err != nil {
		return err
	}
	s.Recheck()
	c.Response().Header().Set(echo.HeaderLocation, s.location("User", d.ID))
	return send(c, http.StatusCreated, s.user(d))
}

// UserPut says anew what somebody is like.
func (s *Service) UserPut(c echo.Context) error {
	o, err := body(c)
	if err != nil {
		return err
	}
	return s.changeUser(c, func(d access.DirectoryUser) (access.Profile, error) { return profile(o, d.Profile) })
}

// UserPatch changes parts of what somebody is like.
func (s *Service) UserPatch(c echo.Context) error {
	o, err := body(c)
	if err != nil {
		return err
	}
	all, err := operations(o)
	if err != nil {
		return err
	}
	return s.changeUser(c, func(d access.DirectoryUser) (access.Profile, error) {
		now := s.user(d)
		if err := patch(now, all); err != nil {
			return access.Profile{}, err
		}
		return profile(now, d.Profile)
	})
}

func (s *Service) changeUser(c echo.Context, fn func(access.DirectoryUser) (access.Profile, error)) error {
	seen, err := s.Access.DirectoryUser(c.Request().Context(), client(c), c.Param("id"))
	if err != nil {
		return err
	}
	wanted, err := fn(seen)
	if err != nil {
		return err
	}
	d, err := s.Access.UpdateDirectoryUser(c.Request().Context(), client(c), c.Param("id"), s.issuer(c), func(d access.DirectoryUser) (access.Profile, error) {
		if d.Profile == seen.Profile { // else it changed meanwhile, and is worked out anew
			return wanted, nil
		}
		return fn(d)
	})
	if err != nil {
		return err
	}
	s.Recheck()
	return send(c, http.StatusOK, chosen(c, s.user(d)))
}

// UserRemove takes somebody out of the directory.
func (s *Service) UserRemove(c echo.Context) error {
	if err := s.Access.RemoveDirectoryUser(c.Request().Context(), client(c), c.Param("id")); err != nil {
		return err
	}
	s.Recheck()
	return c.NoContent(http.StatusNoContent)
}
