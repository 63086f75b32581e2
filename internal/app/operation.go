package app

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/health"
	"gatehouse/web/templates"
)

const operationPath = "/settings/operation"

// operation is the page for who runs this console.
func (s *Server) operation(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Operation", nav: "Settings", crumbs: []templates.LinkView{{Text: "Settings", URL: "/settings"}}})
	if err != nil {
		return err
	}
	r, err := s.health.Report(c.Request().Context())
	if err != nil {
		return err
	}
	noStore(c)
	return page(c, templates.Operation(operationView(r, frame)))
}

// diagnostics hands the report out as a file.
func (s *Server) diagnostics(c echo.Context) error {
	r, err := s.health.Report(c.Request().Context())
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(r.Diagnostics(), "", "  ")
	if err != nil {
		return err
	}
	noStore(c)
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="gatehouse-diagnostics.json"`)
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, append(text, '\n'))
}

func (s *Server) healthz(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// readyz says whether requests can be served. A console that is degraded is ready:
// pages work without Composio.
func (s *Server) readyz(c echo.Context) error {
	state := s.health.State(c.Request().Context(), s.log)
	if state == health.NotReady {
		return c.String(http.StatusServiceUnavailable, string(state)+"\n")
	}
	return c.String(http.StatusOK, string(state)+"\n")
}
