package scim

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/problem"
)

const (
	configSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeSchema   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// Config says what of SCIM there is here (RFC 7643, 5).
func (s *Service) Config(c echo.Context) error {
	has := func(yes bool) object { return object{"supported": yes} }
	return send(c, http.StatusOK, object{
		"schemas": []string{configSchema}, "patch": has(true), "changePassword": has(false), "sort": has(false), "etag": has(false),
		"bulk":   object{"supported": false, "maxOperations": 0, "maxPayloadSize": mostBody},
		"filter": object{"supported": true, "maxResults": mostPage},
		"authenticationSchemes": []object{{
			"type": "oauthbearertoken", "name": "Token of a client", "description": "Made by an admin under People, Directories.", "primary": true,
		}},
		"meta": object{"resourceType": "ServiceProviderConfig", "location": s.PublicURL + Path + "/ServiceProviderConfig"},
	})
}

func (s *Service) types() []object {
	one := func(name, schema, text string) object {
		return object{
			"schemas": []string{typeSchema}, "id": name, "name": name, "description": text, "endpoint": "/" + name + "s", "schema": schema,
			"meta": object{"resourceType": "ResourceType", "location": s.PublicURL + Path + "/ResourceTypes/" + name},
		}
	}
	return []object{one("User", userSchema, "Somebody who may sign in"), one("Group", groupSchema, "People who are named and given roles together")}
}

// an attribute as schemas describe it (RFC 7643, 7).
func attr(name, kind string, more object) object {
	a := object{
		"name": name, "type": kind, "multiValued": false, "required": false, "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none",
	}
	for k, v := range more {
		a[k] = v
	}
	return a
}

func (s *Service) schemas() []object {
	one := func(id, name string, attributes ...object) object {
		return object{
			"schemas": []string{schemaSchema}, "id": id, "name": name, "description": name, "attributes": attributes,
			"meta": object{"resourceType": "Schema", "location": s.PublicURL + Path + "/Schemas/" + id},
		}
	}
	value := attr("value", "string", nil)
	references := func(name, mutability string) object {
		return attr(name, "complex", object{"multiValued": true, "mutability": mutability, "subAttributes": []object{value, attr("display", "string", object{"mutability": "readOnly"})}})
	}
	external := attr("externalId", "string", object{"caseExact": true})
	return []object{
		one(userSchema, "User", external,
			attr("userName", "string", object{"required": true, "uniqueness": "server"}),
			attr("name", "complex", object{"subAttributes": []object{attr("givenName", "string", nil), attr("familyName", "string", nil), attr("formatted", "string", nil)}}),
			attr("displayName", "string", nil),
			attr("emails", "complex", object{"multiValued": true, "subAttributes": []object{value, attr("type", "string", nil), attr("primary", "boolean", nil)}}),
			attr("active", "boolean", nil), references("groups", "readOnly")),
		one(groupSchema, "Group", external, attr("displayName", "string", object{"required": true, "uniqueness": "server"}), references("members", "readWrite")),
	}
}

// ResourceTypes lists the kinds of resources.
func (s *Service) ResourceTypes(c echo.Context) error { return list(c, s.types()) }

// ResourceType shows one.
func (s *Service) ResourceType(c echo.Context) error { return s.described(c, s.types()) }

// Schemas describes the attributes of resources.
func (s *Service) Schemas(c echo.Context) error { return list(c, s.schemas()) }

// Schema shows one.
func (s *Service) Schema(c echo.Context) error { return s.described(c, s.schemas()) }

func (s *Service) described(c echo.Context, all []object) error {
	i := slices.IndexFunc(all, func(o object) bool { return o["id"] == c.Param("id") })
	if i < 0 {
		return problem.New(problem.NotFound, "There is nothing at this address.")
	}
	return send(c, http.StatusOK, all[i])
}
