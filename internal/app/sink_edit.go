package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/problem"
	"gatehouse/internal/sink"
	"gatehouse/web/templates"
)

// sinkEditPage shows the form that changes a sink.
func (s *Server) sinkEditPage(c echo.Context) error {
	k, err := s.sinks.Sink(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	in := sinkForm{Name: k.Name, Format: k.Format, Filter: k.Filter}
	if k.Personal {
		in.Personal = "yes"
	}
	if typed := s.typed(c); typed != nil {
		in = sinkForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.showSinkEdit(c, k, in, nil)
}

func (s *Server) showSinkEdit(c echo.Context, k sink.Sink, in sinkForm, complaint error) error {
	frame, err := s.frame(c, place{title: "Edit " + k.Name, nav: "Settings", narrow: true, crumbs: []templates.LinkView{{Text: "Settings", URL: "/settings"}, {Text: "Sinks", URL: sinksPath}}})
	if err != nil {
		return err
	}
	v := templates.SinkEditView{
		Page: frame, Title: "Edit " + k.Name, Sub: sinkKindWords[k.Kind] + " to " + k.Shown,
		Form: s.newForm(c, sinkPath(k.ID)+"/edit"), Complaints: complaintsView(complaint, fieldLabels), Fields: sinkFields(in, fieldComplaints(complaint)), Back: sinksPath,
	}
	v.Fields.Address.Label, v.Fields.Address.Optional = "New address", true
	v.Fields.Address.Hint = "Leave it empty to keep " + k.Shown + ". What comes next in history goes to the new one."
	if k.Kind == sink.HTTPS {
		v.Fields.Address.Hint += " Deliveries are signed with the same key."
	}
	if complaint != nil {
		return again(c, templates.SinkEdit(v))
	}
	return page(c, templates.SinkEdit(v))
}

// sinkEdit changes a sink.
func (s *Server) sinkEdit(c echo.Context) error {
	var in sinkForm
	if err := decode(c, &in); err != nil {
		return err
	}
	k, err := s.sinks.Edit(c.Request().Context(), reader(c), c.Param("id"), in.input())
	if problem.Is(err, problem.Invalid) {
		return s.showSinkEdit(c, k, in, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, sinksPath, "Saved "+k.Name+".")
}
