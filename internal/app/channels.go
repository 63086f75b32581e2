package app

import (
	"slices"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// channelForm is what is typed about a channel.
type channelForm struct {
	Kind   string       `form:"kind"`
	Name   string       `form:"name"`
	URL    secret.Value `form:"secret.url"`
	Topics []string     `form:"topics"`
}

func (f channelForm) input() notify.ChannelInput {
	in := notify.ChannelInput{Kind: f.Kind, Name: f.Name, URL: f.URL}
	for _, t := range f.Topics {
		in.Topics = append(in.Topics, notify.Topic(t))
	}
	return in
}

// A channelPage is what one answer shows beside how things are.
type channelPage struct {
	in        channelForm
	complaint error
	secret    templates.OneTimeLinkView
	wrong     string // how a test failed
}

// channels is where notifications go.
func (s *Server) channels(c echo.Context) error {
	in := channelForm{Kind: notify.Slack, Topics: []string{string(notify.Approval), string(notify.Outcome), string(notify.Bypass)}}
	if typed := s.typed(c); typed != nil {
		in = channelForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.channelsPage(c, channelPage{in: in})
}

// pendingShown is how many deliveries that failed are listed.
const pendingShown = 50

func (s *Server) channelsPage(c echo.Context, p channelPage) error {
	frame, err := s.frame(c, place{title: "Notifications", nav: "Settings", narrow: true, crumbs: []templates.LinkView{{Text: "Settings", URL: "/settings"}}})
	if err != nil {
		return err
	}
	ctx, now := c.Request().Context(), s.now()
	all, mail, err := s.notify.Channels(ctx)
	if err != nil {
		return err
	}
	pending, err := s.notify.Pending(ctx, pendingShown)
	if err != nil {
		return err
	}
	from, server := s.notify.MailFrom()
	v := templates.ChannelsView{Page: frame, Tabs: settingsTabs("Notifications"), Secret: p.secret, Wrong: p.wrong, Mail: mailFacts(from, server, mail, now)}
	may := reader(c).May(access.ManageNotifications)
	for _, one := range all {
		row := channelView(one, now)
		if may {
			row.Test, row.Remove = s.newForm(c, channelPath(one.ID)+"/test"), s.newForm(c, channelPath(one.ID)+"/remove")
		}
		v.Rows = append(v.Rows, row)
	}
	for _, d := range pending {
		v.Waiting = append(v.Waiting, deliveryView(d, now))
	}
	if may {
		s.channelForm(c, &v, p)
		if from != "" {
			v.TestMail = s.newForm(c, channelPath(notify.MailChannel)+"/test")
		}
	}
	if p.complaint != nil || p.wrong != "" {
		return again(c, templates.Channels(v))
	}
	if p.secret.URL != "" {
		noStore(c)
	}
	return page(c, templates.Channels(v))
}

// channelForm fills in the form that adds a channel.
func (s *Server) channelForm(c echo.Context, v *templates.ChannelsView, p channelPage) {
	wrong := fieldComplaints(p.complaint)
	v.Form, v.Complaints, v.TopicWrong = s.newForm(c, "/settings/notifications"), complaintsView(p.complaint, fieldLabels), wrong["topics"]
	v.Kind = templates.SelectView{Name: "kind", Label: "Kind", Complaint: wrong["kind"]}
	for _, k := range notify.Kinds() {
		v.Kind.Options = append(v.Kind.Options, templates.OptionView{Value: k, Text: kindWords[k], Selected: k == p.in.Kind})
	}
	address := secretInput("secret.url", "Address", "The incoming webhook's URL, with https. It is stored encrypted and never shown again. A webhook's key is shown once.", wrong["url"])
	address.Required = true
	v.Inputs = []templates.InputView{
		{Name: "name", Label: "Name", Value: p.in.Name, Required: true, Complete: "off", Complaint: wrong["name"], Hint: "Such as #changes."}, address,
	}
	for _, t := range notify.Topics() {
		v.Topics = append(v.Topics, templates.CheckView{Name: "topics", Value: string(t), Text: topicWords[t].name, Hint: topicWords[t].hint, Checked: slices.Contains(p.in.Topics, string(t))})
	}
}

// channelAdd adds a channel and shows a webhook's key, once.
func (s *Server) channelAdd(c echo.Context) error {
	var in channelForm
	if err := decode(c, &in); err != nil {
		return err
	}
	added, key, err := s.notify.AddChannel(c.Request().Context(), reader(c), in.input())
	if problem.Is(err, problem.Invalid) {
		return s.channelsPage(c, channelPage{in: in, complaint: err})
	}
	if err != nil {
		return err
	}
	if key.Empty() {
		return s.see(c, "/settings/notifications", "Added "+added.Name+". Send a test to see whether it works.")
	}
	return s.channelsPage(c, channelPage{secret: templates.OneTimeLinkView{
		Title: "Added " + added.Name + ". This is the key that its messages are signed with.", URL: key.Reveal(),
		Text: "It is shown only now. The receiver checks the Gatehouse-Signature header with it; the operating manual says how.",
	}})
}

func (s *Server) channelTest(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	tested, err := s.notify.Test(c.Request().Context(), reader(c), c.Param("id"))
	if problem.Is(err, problem.Unavailable) || problem.Is(err, problem.Invalid) {
		return s.channelsPage(c, channelPage{wrong: err.Error()})
	}
	if err != nil {
		return err
	}
	return s.see(c, "/settings/notifications", "A test went to "+tested.Name+". See whether it arrived.")
}

func (s *Server) channelRemove(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	removed, err := s.notify.RemoveChannel(c.Request().Context(), reader(c), c.Param("id"))
	if err != nil {
		return err
	}
	return s.see(c, "/settings/notifications", "Removed "+removed.Name+".")
}
