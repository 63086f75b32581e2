package app

import (
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/notify"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

const noticesPerPage = 30

// notifications lists what the reader was told.
func (s *Server) notifications(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Notifications", narrow: true})
	if err != nil {
		return err
	}
	ctx, before := c.Request().Context(), beforeParam(c)
	all, err := s.notify.Notices(ctx, reader(c), before, noticesPerPage+1)
	if err != nil {
		return err
	}
	v := templates.NotificationsView{Page: frame}
	if before > 0 {
		v.Pager.Previous = "/notifications"
	}
	if len(all) > noticesPerPage {
		all = all[:noticesPerPage]
		v.Pager.Next = templates.Local(query("/notifications", "before", strconv.FormatInt(all[noticesPerPage-1].Notice.Seq, 10)))
	}
	for _, n := range all {
		v.Rows = append(v.Rows, notificationView(n, s.now()))
	}
	unread, err := s.notify.Unread(ctx, reader(c))
	if err != nil {
		return err
	}
	if unread > 0 && len(all) > 0 && before == 0 {
		v.Read, v.UpTo = s.newForm(c, "/notifications/read"), strconv.FormatInt(all[0].Notice.Seq, 10)
	}
	return page(c, templates.Notifications(v))
}

// notificationsRead marks as read what the page showed and what is older.
func (s *Server) notificationsRead(c echo.Context) error {
	var in struct {
		UpTo string `form:"up_to"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	upTo, err := strconv.ParseInt(in.UpTo, 10, 64)
	if err != nil {
		return malformed("it doesn't say what was read")
	}
	if err := s.notify.MarkRead(c.Request().Context(), reader(c), upTo); err != nil {
		return err
	}
	return s.see(c, "/notifications", "All marked as read.")
}

// tellMeForm is how the reader wants to be told.
type tellMeForm struct {
	Page   []string `form:"page"`
	Mail   []string `form:"mail"`
	Digest string   `form:"digest"`
}

func (f tellMeForm) preferences() notify.Preferences {
	p := notify.Preferences{Page: map[notify.Why]bool{}, Mail: map[notify.Why]bool{}, Digest: notify.Digest(f.Digest)}
	for _, why := range f.Page {
		p.Page[notify.Why(why)] = true
	}
	for _, why := range f.Mail {
		p.Mail[notify.Why(why)] = true
	}
	return p
}

func (s *Server) accountNotifications(c echo.Context) error {
	p, err := s.notify.Preferences(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	if typed := s.typed(c); typed != nil {
		var in tellMeForm
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
		p = in.preferences()
	}
	return s.tellMePage(c, p, nil)
}

func (s *Server) tellMePage(c echo.Context, p notify.Preferences, complaint error) error {
	frame, err := s.frame(c, place{title: "Notifications", narrow: true, crumbs: []templates.LinkView{{Text: "Account", URL: "/account"}}})
	if err != nil {
		return err
	}
	v := tellMeView(p)
	v.Page, v.Tabs, v.Form = frame, s.accountTabs("Notifications"), s.newForm(c, "/account/notifications")
	v.Complaints, v.Digest.Complaint = complaintsView(complaint, fieldLabels), fieldComplaints(complaint)["digest"]
	if from, _ := s.notify.MailFrom(); from == "" {
		v.NoMail = "No mail is sent as long as no mail server is set. Your choice is kept."
	}
	if complaint != nil {
		return again(c, templates.TellMe(v))
	}
	return page(c, templates.TellMe(v))
}

func (s *Server) accountTellMe(c echo.Context) error {
	var in tellMeForm
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.notify.SetPreferences(c.Request().Context(), reader(c), in.preferences())
	if problem.Is(err, problem.Invalid) {
		return s.tellMePage(c, in.preferences(), err)
	}
	if err != nil {
		return err
	}
	return s.see(c, "/account/notifications", "Saved.")
}
