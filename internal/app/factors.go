package app

import (
	"encoding/base64"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// factorFrame is what surrounds a page about the reader's second factors. Who may
// do nothing else yet gets none.
func (s *Server) factorFrame(c echo.Context, title string) (templates.PageView, error) {
	if s.prover.Lacks(reader(c)) {
		return templates.PageView{}, nil
	}
	crumbs := []templates.LinkView{{Text: "Account", URL: "/account"}}
	if title != "Second factors" {
		crumbs = append(crumbs, templates.LinkView{Text: "Second factors", URL: factorsPath})
	}
	return s.frame(c, place{title: title, narrow: true, crumbs: crumbs})
}

// factors lists the reader's second factors.
func (s *Server) factors(c echo.Context) error { return s.showFactors(c, "", nil) }

func (s *Server) showFactors(c echo.Context, name string, complaint error) error {
	noStore(c)
	who := reader(c)
	f, err := s.prover.Own(c.Request().Context(), who)
	if err != nil {
		return err
	}
	v := s.factorsView(c, f)
	if v.Page, err = s.factorFrame(c, "Second factors"); err != nil {
		return err
	}
	if v.Page.Title == "" {
		v.Lead, v.Leave = "Your role asks for more than a passphrase. Set up one of these two to go on; you can add others later.", s.newForm(c, "/signout")
	}
	v.Complaints = complaintsView(complaint, nil)
	if v.Add.Away = s.passkeyAway(c); v.Add.Away.Text == "" {
		challenge, err := s.prover.RegisterChallenge(c.Request().Context(), who, s.binding(c))
		if err != nil {
			return err
		}
		if typed := s.typed(c); name == "" && typed.Has("name") {
			name = typed.Get("name")
		}
		if name == "" {
			name = access.ReadDevice(origin(c).Agent).String()
		}
		v.Add.Form, v.Add.Options, v.Add.Sealed = s.newForm(c, factorsPath+"/passkeys"), challenge.Options, challenge.Sealed
		v.Add.Name = templates.InputView{Name: "name", Label: "Name", Value: name, Required: true, Complete: "off", Complaint: fieldComplaints(complaint)["name"], Hint: "To tell your passkeys apart."}
	}
	if complaint != nil {
		return again(c, templates.Factors(v))
	}
	return page(c, templates.Factors(v))
}

// factorAdded shows recovery codes if they were made with the factor.
func (s *Server) factorAdded(c echo.Context, codes []string) error {
	if len(codes) == 0 {
		return s.see(c, factorsPath, "Added. From now on you can sign in with it.")
	}
	return s.showCodes(c, codes, "Your second factor is set up, and your other sessions have ended. Keep these for the day it is lost.")
}

// showCodes shows recovery codes, once.
func (s *Server) showCodes(c echo.Context, codes []string, lead string) error {
	noStore(c)
	v := templates.CodesView{
		Theme: theme(c), Strip: s.strip(), Lead: lead, Codes: codes, Next: templates.LinkView{Text: "I have kept them", URL: factorsPath},
		File: "data:text/plain;charset=utf-8;base64," + base64.StdEncoding.EncodeToString([]byte("Recovery codes for Gatehouse at "+s.public.String()+"\nEach counts once.\n\n"+strings.Join(codes, "\n")+"\n")),
	}
	var err error
	if v.Page, err = s.factorFrame(c, "Recovery codes"); err != nil {
		return err
	}
	return page(c, templates.Codes(v))
}

// passkeyAdd keeps a passkey that the browser made.
func (s *Server) passkeyAdd(c echo.Context) error {
	var in struct {
		Name      string       `form:"name"`
		Challenge secret.Value `form:"secret.challenge"`
		Assertion secret.Value `form:"secret.assertion"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	codes, err := s.prover.AddPasskey(c.Request().Context(), reader(c), in.Name, access.Attempt{Challenge: in.Challenge, Assertion: in.Assertion}, s.binding(c))
	if problem.Is(err, problem.Invalid) {
		return s.showFactors(c, in.Name, err)
	}
	if err != nil {
		return err
	}
	return s.factorAdded(c, codes)
}

// passkeyRename gives a passkey another name.
func (s *Server) passkeyRename(c echo.Context) error {
	var in struct {
		Name string `form:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.prover.RenamePasskey(c.Request().Context(), reader(c), c.Param("id"), in.Name)
	if problem.Is(err, problem.Invalid) {
		return s.showFactors(c, "", err)
	}
	if err != nil {
		return err
	}
	return s.see(c, factorsPath, "Name saved.")
}

// passkeyRemove takes a passkey away.
func (s *Server) passkeyRemove(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.prover.RemovePasskey(c.Request().Context(), reader(c), c.Param("id")); err != nil {
		return err
	}
	return s.see(c, factorsPath, "Passkey removed. Remove it from your device, too.")
}

// app lets an authenticator app take in a secret, which counts once a code of it
// came back.
func (s *Server) app(c echo.Context) error {
	o, err := s.prover.OfferApp(reader(c))
	if err != nil {
		return err
	}
	return s.showApp(c, o, nil)
}

func (s *Server) showApp(c echo.Context, o access.AppOffer, complaint error) error {
	noStore(c)
	v := templates.AppView{
		Theme: theme(c), Strip: s.strip(), Form: s.newForm(c, appPath), Sealed: o.Sealed, Secret: o.Secret, Back: factorsPath,
		Code: codeInput("Code", fieldComplaints(complaint)["code"]), Complaints: complaintsView(complaint, nil),
	}
	var err error
	if v.QR, err = qrView(o.URI); err != nil {
		return err
	}
	if v.Page, err = s.factorFrame(c, "Authenticator app"); err != nil {
		return err
	}
	if complaint != nil {
		return again(c, templates.App(v))
	}
	return page(c, templates.App(v))
}

// appAdd keeps an authenticator app that showed a right code.
func (s *Server) appAdd(c echo.Context) error {
	var in struct {
		Offer secret.Value `form:"secret.offer"`
		Code  secret.Value `form:"secret.code"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	codes, err := s.prover.AddApp(c.Request().Context(), reader(c), in.Offer, in.Code)
	if problem.Is(err, problem.Invalid) {
		o, again := s.prover.OfferedApp(reader(c), in.Offer)
		if again != nil {
			return again
		}
		return s.showApp(c, o, err)
	}
	if err != nil {
		return err
	}
	return s.factorAdded(c, codes)
}

// appRemove takes the authenticator app away.
func (s *Server) appRemove(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.prover.RemoveApp(c.Request().Context(), reader(c)); err != nil {
		return err
	}
	return s.see(c, factorsPath, "Removed. The entry in your app shows codes that don't count any more.")
}

// codesMake makes recovery codes anew.
func (s *Server) codesMake(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	codes, err := s.prover.NewCodes(c.Request().Context(), reader(c))
	if err != nil {
		return err
	}
	return s.showCodes(c, codes, "The ones before have stopped working.")
}

// personFactorsReset takes all second factors from somebody who lost theirs.
func (s *Server) personFactorsReset(c echo.Context) error {
	u, err := s.findPerson(c)
	if err != nil {
		return err
	}
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	if err := s.changes.MayReset(c.Request().Context(), u); err != nil {
		return err
	}
	if err := s.access.ResetFactors(c.Request().Context(), reader(c), u.ID); err != nil {
		return err
	}
	return s.see(c, personPath(u.ID), "Second factors of "+u.Name+" are gone, and their sessions have ended.")
}
