package app

import (
	"context"
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
	"gatehouse/web/templates"
)

// sinkForm is what is typed about a sink.
type sinkForm struct {
	Kind     string       `form:"kind"`
	Name     string       `form:"name"`
	Format   string       `form:"format"`
	Address  secret.Value `form:"secret.address"`
	Filter   string       `form:"filter"`
	Personal string       `form:"personal"`
	From     string       `form:"from"`
}

func (f sinkForm) input() sink.Input {
	return sink.Input{Kind: f.Kind, Name: f.Name, Format: f.Format, Address: f.Address, Filter: f.Filter, Personal: f.Personal == "yes", From: f.From}
}

// A sinkPage is what one answer shows beside how things are.
type sinkPage struct {
	in        sinkForm
	complaint error
	secret    templates.OneTimeLinkView
	wrong     templates.NoticeView // what could not be done
}

// sinksPage is where history is streamed to.
func (s *Server) sinksPage(c echo.Context) error {
	in := sinkForm{Kind: sink.HTTPS, Format: sink.Native, From: sink.FromNow}
	if typed := s.typed(c); typed != nil {
		in = sinkForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.showSinks(c, sinkPage{in: in})
}

func (s *Server) showSinks(c echo.Context, p sinkPage) error {
	frame, err := s.frame(c, place{title: "Sinks", nav: "Settings", narrow: true, crumbs: []templates.LinkView{{Text: "Settings", URL: "/settings"}}})
	if err != nil {
		return err
	}
	all, err := s.sinks.Sinks(c.Request().Context())
	if err != nil {
		return err
	}
	v := templates.SinksView{Page: frame, Tabs: settingsTabs("Sinks"), Secret: p.secret, Wrong: p.wrong}
	may := reader(c).May(access.ManageSinks)
	for _, one := range all {
		row := sinkView(one, s.now())
		if may {
			s.sinkForms(c, &row, one)
		}
		v.Rows = append(v.Rows, row)
	}
	if may {
		s.sinkForm(c, &v, p)
	}
	if p.complaint != nil || p.wrong.Title != "" {
		return again(c, templates.Sinks(v))
	}
	if p.secret.URL != "" {
		noStore(c)
	}
	return page(c, templates.Sinks(v))
}

// sinkForms adds what an admin may do with a sink.
func (s *Server) sinkForms(c echo.Context, row *templates.SinkView, k sink.Status) {
	path := sinkPath(k.ID)
	row.Edit, row.Test, row.Remove = templates.Local(path+"/edit"), s.newForm(c, path+"/test"), s.newForm(c, path+"/remove")
	if k.Paused {
		row.Resume = s.newForm(c, path+"/resume")
	} else {
		row.Pause = s.newForm(c, path+"/pause")
	}
	if k.Cursor >= k.First {
		row.Replay = s.newForm(c, path+"/replay")
		row.From = templates.InputView{
			Name: "entry", ID: "entry-" + k.ID, Label: "From entry", Type: "number", Required: true, Complete: "off",
			Hint: "From " + strconv.FormatInt(k.First, 10) + " to " + strconv.FormatInt(k.Cursor, 10) + ". The receiver gets each entry from there once more.",
		}
	}
}

// sinkForm fills in the form that adds a sink.
func (s *Server) sinkForm(c echo.Context, v *templates.SinksView, p sinkPage) {
	wrong := fieldComplaints(p.complaint)
	v.Form, v.Complaints, v.Fields = s.newForm(c, sinksPath), complaintsView(p.complaint, fieldLabels), sinkFields(p.in, wrong)
	v.Fields.Address.Required = true
	v.Kind = fixedChoice("kind", "Kind", sink.Kinds(), sinkKindWords, p.in.Kind, wrong)
	v.From = fixedChoice("from", "Begin with", []string{sink.FromNow, sink.FromStart}, beginWords, p.in.From, wrong)
}

// sinkFields are what can be said of a sink at any time.
func sinkFields(in sinkForm, wrong map[string]string) templates.SinkFieldsView {
	return templates.SinkFieldsView{
		Name:    templates.InputView{Name: "name", Label: "Name", Value: in.Name, Required: true, Complete: "off", Complaint: wrong["name"], Hint: "Such as SIEM."},
		Address: secretInput("secret.address", "Address", "A URL with https, host:port of a syslog collector, or the name of a file. It is stored encrypted.", wrong["address"]),
		Format:  fixedChoice("format", "Format", sink.Formats(), formatWords, in.Format, wrong),
		Filter: templates.InputView{
			Name: "filter", Label: "Filter", Value: in.Filter, Optional: true, Complete: "off", Complaint: wrong["filter"],
			Hint: "A search as on the page History, without dates. Only what it finds is delivered.",
		},
		Personal: templates.CheckView{
			Name: "personal", Value: "yes", Text: "Deliver personal data", Checked: in.Personal == "yes",
			Hint: "Names, e-mail and IP addresses, browsers, and what people gave as reasons. What was delivered can't be erased from here.",
		},
	}
}

// fixedChoice is a field with fixed choices and their words.
func fixedChoice(name, label string, values []string, words map[string]string, chosen string, wrong map[string]string) templates.SelectView {
	v := templates.SelectView{Name: name, Label: label, Complaint: wrong[name]}
	for _, one := range values {
		v.Options = append(v.Options, templates.OptionView{Value: one, Text: words[one], Selected: one == chosen})
	}
	return v
}

// sinkAdd adds a sink and shows its key, once.
func (s *Server) sinkAdd(c echo.Context) error {
	var in sinkForm
	if err := decode(c, &in); err != nil {
		return err
	}
	added, key, err := s.sinks.Add(c.Request().Context(), reader(c), in.input())
	if problem.Is(err, problem.Invalid) {
		return s.showSinks(c, sinkPage{in: in, complaint: err})
	}
	if err != nil {
		return err
	}
	if key.Empty() {
		return s.see(c, sinksPath, "Added "+added.Name+". Send a test to see whether it works.")
	}
	return s.showSinks(c, sinkPage{secret: templates.OneTimeLinkView{
		Title: "Added " + added.Name + ". This is the key that its deliveries are signed with.", URL: key.Reveal(),
		Text: "It is shown only now. The receiver checks the Gatehouse-Signature header with it; the operating manual says how.",
	}})
}

// sinkAct answers a form that does one thing with a sink.
func (s *Server) sinkAct(c echo.Context, title, done string, act func(context.Context, access.Reader, string) (sink.Sink, error)) error {
	k, err := act(c.Request().Context(), reader(c), c.Param("id"))
	if problem.Is(err, problem.Unavailable) || problem.Is(err, problem.Invalid) {
		why := problem.Of(err)
		text := why.Message
		for _, complaint := range why.Fields {
			text = complaint
		}
		return s.showSinks(c, sinkPage{wrong: templates.NoticeView{Tone: "bad", Title: title, Text: text}})
	}
	if err != nil {
		return err
	}
	return s.see(c, sinksPath, done+k.Name+".")
}

func (s *Server) sinkTest(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	return s.sinkAct(c, "The test was not delivered.", "A test went to ", s.sinks.Test)
}

func (s *Server) sinkPause(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	return s.sinkAct(c, "", "Paused ", s.sinks.Pause)
}

func (s *Server) sinkResume(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	return s.sinkAct(c, "", "Resumed ", s.sinks.Resume)
}

// sinkReplay delivers once more from an entry on.
func (s *Server) sinkReplay(c echo.Context) error {
	var in struct {
		Entry string `form:"entry"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	from, err := strconv.ParseInt(in.Entry, 10, 64)
	if err != nil {
		from = 0 // which no entry has
	}
	return s.sinkAct(c, "Nothing is delivered again.", "Delivering from entry "+in.Entry+" again to ", func(ctx context.Context, by access.Reader, id string) (sink.Sink, error) {
		return s.sinks.Replay(ctx, by, id, from)
	})
}

func (s *Server) sinkRemove(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	return s.sinkAct(c, "", "Removed ", s.sinks.Remove)
}
