package app

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// proofForm is what somebody sends to prove who they are, and where to go on.
type proofForm struct {
	Code       secret.Value `form:"secret.code"`
	Recovery   secret.Value `form:"secret.recovery"`
	Passphrase secret.Value `form:"secret.passphrase"`
	Challenge  secret.Value `form:"secret.challenge"`
	Assertion  secret.Value `form:"secret.assertion"`
	Next       string       `form:"next"`
	Download   string       `form:"download"`
}

func (f proofForm) attempt() access.Attempt {
	return access.Attempt{Code: f.Code, Recovery: f.Recovery, Challenge: f.Challenge, Assertion: f.Assertion, Passphrase: f.Passphrase}
}

// passkeyAway says why passkeys don't work where the reader is, if they don't.
func (s *Server) passkeyAway(c echo.Context) templates.NoticeView {
	origin, ok := s.prover.Passkeys()
	if !ok {
		return templates.NoticeView{Tone: "info", Text: "Passkeys need a host with a name, and this console's address has none."}
	}
	at, err := url.Parse(origin)
	if err != nil || strings.EqualFold(at.Host, c.Request().Host) {
		return templates.NoticeView{}
	}
	return templates.NoticeView{Tone: "info", Text: "Passkeys work at " + origin + " only: open the console there to use one."}
}

// proofView asks for one of the ways in which somebody may prove who they are.
func (s *Server) proofView(c echo.Context, u access.User, action string, in proofForm, complaint error) (templates.ProofView, error) {
	v := templates.ProofView{
		Theme: theme(c), Strip: s.strip(), Form: s.newForm(c, action), Next: in.Next, Download: in.Download, Complaints: complaintsView(complaint, nil),
	}
	f, err := s.store.Factors(c.Request().Context(), u.ID)
	if err != nil || !f.Any() {
		return v, err
	}
	wrong := fieldComplaints(complaint)
	if len(f.Passkeys) > 0 {
		challenge, err := s.prover.FactorChallenge(c.Request().Context(), u, s.binding(c))
		if err != nil {
			return v, err
		}
		v.Passkey = templates.PasskeyFormView{
			Form: v.Form, Options: challenge.Options, Sealed: challenge.Sealed, Next: in.Next, Download: in.Download,
			Button: "Use a passkey", Tone: "primary", Else: "Use another way below.", Away: s.passkeyAway(c),
		}
	}
	if f.App != nil {
		v.Code = codeInput("Code of your authenticator app", wrong["code"])
		v.Code.Focus = len(f.Passkeys) == 0
	}
	v.Recovery = templates.InputView{Name: "secret.recovery", Label: "Recovery code", Required: true, Complete: "off", Code: true, Complaint: wrong["recovery"], Hint: "Such as 7K2M-9QXT-04GH-6RWZ. Each counts once; you have " + number(f.CodesLeft()) + " left."}
	v.Open = wrong["recovery"] != ""
	v.Hint = "Lost them all? Ask an admin to reset your second factors."
	return v, nil
}

func codeInput(label, complaint string) templates.InputView {
	return templates.InputView{Name: "secret.code", Label: label, Required: true, Complete: "one-time-code", Digits: true, Code: true, Complaint: complaint}
}

// waiting is whose sign-in waits for the second factor in this browser.
func (s *Server) waiting(c echo.Context) (access.User, error) {
	token, _ := c.Get(keyToken).(string)
	return s.prover.Waiting(c.Request().Context(), token)
}

// askForFactor leads to the page for the second factor where a sign-in waits for
// it. Otherwise it does nothing.
func (s *Server) askForFactor(c echo.Context, next string) (asked bool, err error) {
	switch _, err := s.waiting(c); {
	case problem.Is(err, problem.NotFound), problem.Is(err, problem.SignIn):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, c.Redirect(http.StatusSeeOther, query(factorPath, "next", next))
}

// factorPage asks for the second factor, after the passphrase.
func (s *Server) factorPage(c echo.Context) error {
	return s.showFactorPage(c, proofForm{Next: localPath(c.QueryParam("next"))}, nil)
}

func (s *Server) showFactorPage(c echo.Context, in proofForm, complaint error) error {
	noStore(c)
	u, err := s.waiting(c)
	if problem.Is(err, problem.NotFound) || problem.Is(err, problem.SignIn) {
		return s.tooLate(c, in.Next)
	}
	if err != nil {
		return err
	}
	v, err := s.proofView(c, u, factorPath, in, complaint)
	if err != nil {
		return err
	}
	v.Title, v.Lead = "Your second factor", "The passphrase was right. One more step, within 5 minutes."
	v.Leave = templates.ActionView{Form: s.newForm(c, factorPath+"/leave"), Text: "Start again"}
	if complaint != nil {
		return again(c, templates.Proof(v))
	}
	return page(c, templates.Proof(v))
}

// tooLate leads back to the beginning of a sign-in.
func (s *Server) tooLate(c echo.Context, next string) error {
	if reader(c).ID != "" {
		return s.see(c, localPath(next), "")
	}
	return c.Redirect(http.StatusSeeOther, query("/signin", "late", "1", "next", localPath(next)))
}

// factor takes the second factor and starts the session.
func (s *Server) factor(c echo.Context) error {
	var in proofForm
	if err := decode(c, &in); err != nil {
		return err
	}
	token, _ := c.Get(keyToken).(string)
	session, err := s.prover.Finish(c.Request().Context(), token, in.attempt(), origin(c))
	switch {
	case problem.Is(err, problem.Invalid):
		return s.showFactorPage(c, in, err)
	case problem.Is(err, problem.NotFound), problem.Is(err, problem.SignIn):
		return s.tooLate(c, in.Next)
	case err != nil:
		return err
	}
	if err := s.begin(c, session); err != nil {
		return err
	}
	return s.see(c, localPath(in.Next), "")
}

// factorLeave gives a sign-in up that waits for the second factor.
func (s *Server) factorLeave(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	token, _ := c.Get(keyToken).(string)
	if err := s.prover.GiveUp(c.Request().Context(), token, origin(c)); err != nil {
		return err
	}
	if err := s.forget(c); err != nil {
		return err
	}
	return s.see(c, "/signin", "")
}

// signInPasskey signs in by a passkey that knows its owner.
func (s *Server) signInPasskey(c echo.Context) error {
	var in proofForm
	if err := decode(c, &in); err != nil {
		return err
	}
	session, err := s.prover.SignIn(c.Request().Context(), in.attempt(), s.binding(c), origin(c))
	if problem.Is(err, problem.Invalid) {
		return again(c, templates.SignIn(s.signInView(c, "", localPath(in.Next), err)))
	}
	if err != nil {
		return err
	}
	if err := s.begin(c, session); err != nil {
		return err
	}
	return s.see(c, localPath(in.Next), "")
}
