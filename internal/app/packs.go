package app

import (
	"cmp"
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/evidence"
	"gatehouse/web/templates"
)

// evidenceLink leads to the evidence about what a page shows, for those who may
// take it away.
func (s *Server) evidenceLink(c echo.Context, page string) templates.URL {
	if s.witness == nil || !here(c).May(access.ExportHistory) {
		return ""
	}
	return templates.Local(evidencePath(page))
}

// pack sends an evidence pack.
func (s *Server) pack(c echo.Context, about evidence.Subject) error {
	return s.handOut(c, "application/zip", evidence.PackFile, func() (handout, error) {
		return s.evidence.BeginPack(c.Request().Context(), reader(c), about)
	})
}

// changeEvidence is the evidence about one change request.
func (s *Server) changeEvidence(c echo.Context) error {
	r, err := s.findRequest(c, c.Param("id"))
	if err != nil {
		return err
	}
	return s.pack(c, evidence.Subject{Kind: evidence.OfRequest, ID: r.ID, Project: r.Project, Name: r.Title})
}

// configEvidence is the evidence about one auth config.
func (s *Server) configEvidence(c echo.Context) error {
	p, a, err := s.findConfig(c)
	if err != nil {
		return err
	}
	return s.pack(c, evidence.Subject{Kind: evidence.OfConfig, ID: a.ID, Project: p.ID, Name: a.Name})
}

// personEvidence is the evidence about one person.
func (s *Server) personEvidence(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	return s.pack(c, evidence.Subject{Kind: evidence.OfPerson, ID: u.ID, Name: u.Name})
}

// reviewEvidence is the evidence about a review that is closed.
func (s *Server) reviewEvidence(c echo.Context) error {
	r, _, _, err := s.closedReview(c)
	if err != nil {
		return err
	}
	return s.pack(c, evidence.Subject{Kind: evidence.OfReview, ID: r.ID, Name: r.Name})
}

// historyEvidence is the evidence about what a search finds.
func (s *Server) historyEvidence(c echo.Context) error {
	a, err := s.ask(c)
	if err := cmp.Or(err, a.problem()); err != nil {
		return err
	}
	return s.pack(c, evidence.Subject{Kind: evidence.OfSearch, Query: a.history, Text: a.words()})
}
