package app

import (
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/signon"
	"gatehouse/web/templates"
)

// proven lets through who proved a short while ago who they are. Others are led to
// do so and back; what they typed is kept, credentials aside.
func (s *Server) proven(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if reader(c).Fresh(s.now()) {
			return next(c)
		}
		r := c.Request()
		if r.Method == http.MethodPost {
			return s.proveForForm(c)
		}
		here := localPath(r.URL.RequestURI())
		if path.Ext(c.Path()) == "" {
			return c.Redirect(http.StatusSeeOther, query(stepUpPath, "next", here))
		}
		return c.Redirect(http.StatusSeeOther, query(stepUpPath, "next", s.refererPath(r), "download", here))
	}
}

// proveForForm keeps what was typed into a form, and leads to the step-up.
func (s *Server) proveForForm(c echo.Context) error {
	back, typed := s.refererPath(c.Request()), withoutSecrets(sent(c))
	if len(typed) == 0 {
		return c.Redirect(http.StatusSeeOther, query(stepUpPath, "next", back, "sent", "1"))
	}
	back, err := s.keep(c, reader(c).ID, back, typed)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, query(stepUpPath, "next", back, "sent", "1"))
}

// stepUpPage asks the reader to prove anew who they are.
func (s *Server) stepUpPage(c echo.Context) error {
	in := proofForm{Next: localPath(c.QueryParam("next"))}
	if d := c.QueryParam("download"); d != "" {
		in.Download = localPath(d)
	}
	return s.showStepUp(c, in, nil)
}

func (s *Server) showStepUp(c echo.Context, in proofForm, complaint error) error {
	noStore(c)
	who := reader(c)
	v, err := s.proofView(c, who.User, stepUpPath, in, complaint)
	if err != nil {
		return err
	}
	if !s.prover.Lacks(who) {
		if v.Page, err = s.frame(c, place{title: "Confirm that it is you", narrow: true}); err != nil {
			return err
		}
	}
	v.Title, v.Lead = "Confirm that it is you", "What you are about to do needs a proof of who you are that is not older than 5 minutes."
	if c.QueryParam("sent") != "" {
		v.Notice = templates.NoticeView{Tone: "info", Text: "Nothing was sent yet. You return to the form with what you typed, except for credentials."}
	}
	if !who.SecondFactor {
		s.proveWithoutFactor(who, fieldComplaints(complaint)["passphrase"], &v)
	}
	if complaint != nil {
		return again(c, templates.Proof(v))
	}
	return page(c, templates.Proof(v))
}

// proveWithoutFactor is how those prove who they are who have no second factor:
// the way they came.
func (s *Server) proveWithoutFactor(who access.Reader, wrong string, v *templates.ProofView) {
	switch {
	case who.Method == access.MethodDemo:
		v.Plain = "It is me"
		v.Hint = "In the demo one click is enough. Elsewhere this asks for your second factor, or for your passphrase if you have none."
	case strings.HasPrefix(who.Method, access.ProviderMethod("")):
		v.Away = s.signInAgain(who, v.Next)
	default:
		v.Passphrase = templates.InputView{Name: "secret.passphrase", Label: "Passphrase", Type: "password", Required: true, Complete: "current-password", Focus: true, Complaint: wrong}
	}
}

// signInAgain leads who came through a provider back there, to prove anew who they
// are.
func (s *Server) signInAgain(who access.Reader, next string) templates.LinkView {
	provider := strings.TrimPrefix(who.Method, access.ProviderMethod(""))
	return templates.LinkView{Text: "Sign in again with " + s.signon.Name(provider), URL: templates.Local(leavePath(provider, signon.Prove, next))}
}

// stepUpArrived takes back who was at a provider to prove anew who they are.
func (s *Server) stepUpArrived(c echo.Context, in signon.Arrival) error {
	who := reader(c)
	if in.Session != who.Session {
		return s.refuseArrival(c, "session", problem.New(problem.Invalid, "You were signed in otherwise when you left. Nothing was changed. Begin again from the page you were on."))
	}
	token, err := s.prover.StepUpThrough(c.Request().Context(), who, in.Arrival)
	if errors.Is(err, access.ErrWeakProof) {
		return s.refuseArrival(c, "no second factor", err)
	}
	if problem.Is(err, problem.Forbidden) {
		return s.refuseArrival(c, "somebody else", err)
	}
	if errors.Is(err, access.ErrReplayed) {
		return s.refuseArrival(c, "replayed", err)
	}
	if err != nil {
		return err
	}
	if err := s.begin(c, token); err != nil {
		return err
	}
	return s.see(c, localPath(in.Next), "Thank you. For the next 5 minutes you won't be asked again.")
}

// stepUp takes the proof and returns to where it was asked for.
func (s *Server) stepUp(c echo.Context) error {
	var in proofForm
	if err := decode(c, &in); err != nil {
		return err
	}
	token, err := s.prover.StepUp(c.Request().Context(), reader(c), in.attempt(), s.binding(c))
	if problem.Is(err, problem.Invalid) {
		return s.showStepUp(c, in, err)
	}
	if err != nil {
		return err
	}
	if err := s.begin(c, token); err != nil {
		return err
	}
	next := localPath(in.Next)
	if in.Download != "" {
		s.setNoticeLink(c, "Thank you. Here is what you asked for.", templates.LinkView{Text: "Download " + path.Base(in.Download), URL: templates.Local(localPath(in.Download))})
		return s.see(c, next, "")
	}
	return s.see(c, next, "Thank you. For the next 5 minutes you won't be asked again.")
}
