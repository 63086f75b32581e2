package api

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Document describes the API: OpenAPI 3.1, as JSON.
//
//go:embed openapi.json
var Document []byte

// Description answers the document. Anybody may read it.
func (s *Service) Description(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, Document)
}
