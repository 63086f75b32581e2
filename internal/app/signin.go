package app

import (
	"net/url"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/signon"
	"gatehouse/web/templates"
)

// signInPage shows the form. A browser that comes without a token gets one, which
// binds the form to it.
func (s *Server) signInPage(c echo.Context) error {
	if reader(c).ID != "" {
		return s.see(c, localPath(c.QueryParam("next")), "")
	}
	if asked, err := s.askForFactor(c, localPath(c.QueryParam("next"))); asked || err != nil {
		return err
	}
	if err := s.giveToken(c); err != nil {
		return err
	}
	return page(c, templates.SignIn(s.signInView(c, "", localPath(c.QueryParam("next")), nil)))
}

// giveToken makes sure that the browser has a token to bind forms to.
func (s *Server) giveToken(c echo.Context) error {
	session, err := s.session(c)
	if err != nil || !session.IsNew {
		return err
	}
	return session.Save(c.Request(), c.Response())
}

func (s *Server) signInView(c echo.Context, email, next string, complaint error) templates.SignInView {
	v := templates.SignInView{
		Theme: theme(c), Strip: s.strip(), Form: s.newForm(c, "/signin"), Next: next,
		Email:      templates.InputView{Name: "email", Label: "Email", Type: "email", Value: email, Required: true, Complete: "username", Focus: email == ""},
		Passphrase: templates.InputView{Name: "secret.passphrase", Label: "Passphrase", Type: "password", Required: true, Complete: "current-password", Focus: email != ""},
		Complaints: complaintsView(complaint, nil),
	}
	if c.QueryParam("ended") != "" {
		v.Notice = templates.NoticeView{Tone: "warn", Text: "Your session ended. Nothing was sent, and what you typed could not be kept."}
	}
	if c.QueryParam("kept") != "" {
		v.Notice = templates.NoticeView{Tone: "info", Text: "Your session ended. Nothing was sent. What you typed is kept, except for credentials: sign in to go on."}
	}
	if c.QueryParam("late") != "" {
		v.Notice = templates.NoticeView{Tone: "warn", Text: "The second factor has to come within 5 minutes of the passphrase. Sign in again."}
	}
	for _, p := range s.signon.Choices() {
		v.Providers = append(v.Providers, templates.LinkView{Text: "Sign in with " + p.Name, URL: templates.Local(leavePath(p.ID, signon.SignIn, next))})
	}
	v.Fold = len(v.Providers) > 0 && s.access.LocalClosed() && complaint == nil
	s.offerPasskey(c, next, &v)
	v.Email.Focus, v.Passphrase.Focus = v.Email.Focus && len(v.Providers) == 0, v.Passphrase.Focus && !v.Fold
	if len(s.demo) > 0 {
		v.DemoForm = s.newForm(c, "/signin/demo")
	}
	for _, d := range s.demo {
		v.Demo = append(v.Demo, templates.DemoUserView{Email: d.Email, Role: d.Role, Hint: d.Hint, Avatar: face(d.Role, d.Email)})
	}
	return v
}

// offerPasskey lets who has a passkey sign in by it alone.
func (s *Server) offerPasskey(c echo.Context, next string, v *templates.SignInView) {
	if s.passkeyAway(c).Text != "" {
		return
	}
	challenge, err := s.prover.SignInChallenge(s.binding(c))
	if err != nil {
		s.log.Error("make a challenge", "request", requestID(c), "err", err) // there are other ways in
		return
	}
	v.Passkey = templates.PasskeyFormView{
		Form: s.newForm(c, "/signin/passkey"), Options: challenge.Options, Sealed: challenge.Sealed, Next: next,
		Button: "Sign in with a passkey", Else: "Use your passphrase.",
	}
}

// signIn checks the passphrase and starts a session under a new token.
func (s *Server) signIn(c echo.Context) error {
	var in struct {
		Email      string       `form:"email"`
		Passphrase secret.Value `form:"secret.passphrase"`
		Next       string       `form:"next"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	token, _, err := s.access.SignIn(c.Request().Context(), in.Email, in.Passphrase, origin(c))
	if problem.Is(err, problem.Invalid) {
		return again(c, templates.SignIn(s.signInView(c, in.Email, localPath(in.Next), err)))
	}
	if err != nil {
		return err
	}
	if err := s.begin(c, token); err != nil {
		return err
	}
	return s.see(c, localPath(in.Next), "")
}

// signInDemo signs in as one of the demo's people, by their address alone.
func (s *Server) signInDemo(c echo.Context) error {
	var in struct {
		Email string `form:"email"`
		Next  string `form:"next"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	for _, d := range s.demo {
		if d.Email != in.Email {
			continue
		}
		token, err := s.access.SignInAs(c.Request().Context(), in.Email, origin(c))
		if err != nil {
			return err
		}
		if err := s.begin(c, token); err != nil {
			return err
		}
		return s.see(c, localPath(in.Next), "")
	}
	return problem.New(problem.NotFound, "There is no page at this address.")
}

func (s *Server) signOut(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.access.SignOut(c.Request().Context(), reader(c)); err != nil {
		return err
	}
	if err := s.forget(c); err != nil {
		return err
	}
	return s.see(c, "/signin", "")
}

// passphraseInputs are the fields for a new passphrase.
func passphraseInputs(complaint string) []templates.InputView {
	return []templates.InputView{{
		Name: "secret.passphrase", Label: "Passphrase", Type: "password", Required: true, Complete: "new-password", Complaint: complaint,
		Hint: "At least 15 characters. Four or five random words do well.",
	}}
}

// setupPage shows the form for the first account, to who has the link.
func (s *Server) setupPage(c echo.Context) error {
	noStore(c)
	people, err := s.store.Users(c.Request().Context())
	if err != nil {
		return err
	}
	if len(people) > 0 {
		return problem.New(problem.NotFound, "Gatehouse is set up already. Sign in, or ask an admin for an invitation.")
	}
	if err := s.giveToken(c); err != nil {
		return err
	}
	return page(c, templates.Passphrase(s.setupView(c, c.QueryParam("token"), access.Person{}, nil)))
}

func (s *Server) setupView(c echo.Context, token string, p access.Person, err error) templates.PassphraseView {
	wrong := fieldComplaints(err)
	return templates.PassphraseView{
		Theme: theme(c), Strip: s.strip(), Title: "Set up Gatehouse", Form: s.newForm(c, "/setup"), Token: token, Button: "Create account",
		Lead: "You are the first one here. Your account may manage people and projects, and propose changes.",
		Inputs: append([]templates.InputView{
			{Name: "name", Label: "Name", Value: p.Name, Required: true, Complete: "name", Complaint: wrong["name"], Focus: true},
			{Name: "email", Label: "Email", Type: "email", Value: p.Email, Required: true, Complete: "username", Complaint: wrong["email"]},
		}, passphraseInputs(wrong["passphrase"])...),
		Complaints: complaintsView(err, nil),
	}
}

// fieldComplaints are the complaints in a problem, by field.
func fieldComplaints(err error) map[string]string {
	if p := problem.Of(err); p != nil {
		return p.Fields
	}
	return nil
}

func (s *Server) setup(c echo.Context) error {
	var in struct {
		Token      string       `form:"token"`
		Name       string       `form:"name"`
		Email      string       `form:"email"`
		Passphrase secret.Value `form:"secret.passphrase"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	person := access.Person{Name: in.Name, Email: in.Email}
	token, err := s.access.SetUp(c.Request().Context(), in.Token, person, in.Passphrase, origin(c))
	if problem.Is(err, problem.Invalid) {
		return again(c, templates.Passphrase(s.setupView(c, in.Token, person, err)))
	}
	if err != nil {
		return err
	}
	if err := s.begin(c, token); err != nil {
		return err
	}
	return s.see(c, "/", "Welcome. Add a Composio project in Settings if there is none yet, and invite your team under People.")
}

// linkPage shows the form behind an invitation or a reset link.
func (s *Server) linkPage(c echo.Context) error {
	noStore(c)
	token := c.QueryParam("token")
	u, err := s.access.LinkUser(c.Request().Context(), token)
	if err != nil {
		return err
	}
	if err := s.giveToken(c); err != nil {
		return err
	}
	return page(c, templates.Passphrase(s.linkView(c, token, u, nil)))
}

func (s *Server) linkView(c echo.Context, token string, u access.User, err error) templates.PassphraseView {
	v := templates.PassphraseView{
		Theme: theme(c), Strip: s.strip(), Title: "Choose a new passphrase", Form: s.newForm(c, "/link"), Token: token, Button: "Save and sign in",
		Lead:   "For " + u.Name + " (" + u.Email + "). All your sessions end, and a lock is lifted.",
		Inputs: passphraseInputs(fieldComplaints(err)["passphrase"]), Complaints: complaintsView(err, nil),
	}
	if u.State == access.Invited {
		v.Title, v.Lead, v.Button = "Welcome to Gatehouse", "Choose a passphrase for "+u.Name+" ("+u.Email+").", "Join"
	}
	return v
}

func (s *Server) useLink(c echo.Context) error {
	var in struct {
		Token      string       `form:"token"`
		Passphrase secret.Value `form:"secret.passphrase"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	u, err := s.access.LinkUser(c.Request().Context(), in.Token)
	if err != nil {
		return err
	}
	token, err := s.access.UseLink(c.Request().Context(), in.Token, in.Passphrase, origin(c))
	if problem.Is(err, problem.Invalid) {
		return again(c, templates.Passphrase(s.linkView(c, in.Token, u, err)))
	}
	if err != nil {
		return err
	}
	if err := s.begin(c, token); err != nil {
		return err
	}
	return s.see(c, "/", "You are signed in.")
}

// linkURL is the address of a one-time link, to be handed over by a person.
func (s *Server) linkURL(token string) string {
	u := *s.public
	u.Path, u.RawQuery = "/link", url.Values{"token": {token}}.Encode()
	return u.String()
}
