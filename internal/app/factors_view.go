package app

import (
	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/web/templates"
)

// factorsView shows what the reader has, and what may be done with it.
func (s *Server) factorsView(c echo.Context, f access.Factors) templates.FactorsView {
	v := templates.FactorsView{
		Theme: theme(c), Strip: s.strip(), Tabs: s.accountTabs("Second factors"), Lead: "What you prove who you are with, beside your passphrase.",
		Add: templates.PasskeyFormView{Make: true, Button: "Add a passkey", Else: "Use an authenticator app."},
		App: templates.AppRowView{Begin: templates.LinkView{Text: "Set up an app", URL: appPath}},
	}
	n := len(f.Passkeys)
	if f.App != nil {
		n++
	}
	keep := n == 1 && s.prover.Needs(reader(c).User) // the last one
	removal := func(path string) templates.FormView {
		if keep {
			return templates.FormView{}
		}
		return s.newForm(c, path)
	}
	for _, k := range f.Passkeys {
		row := templates.PasskeyRowView{
			Name: k.Name, Added: ago(k.CreatedAt, s.now()), Used: ago(k.UsedAt, s.now()),
			Rename: s.newForm(c, passkeyPath(k.ID)), Input: templates.InputView{Name: "name", ID: "name-" + k.ID, Label: "Name", Value: k.Name, Required: true, Complete: "off"},
			Remove: removal(passkeyPath(k.ID) + "/remove"),
		}
		if k.BackedUp {
			row.Badge = templates.BadgeView{Text: "Synced"}
		}
		if !k.ClonedAt.IsZero() {
			row.Badge = templates.BadgeView{Text: "Refused", Tone: "bad"}
			row.Note = "There seems to be a copy of it: its counter went back on " + exact(k.ClonedAt).Full + ". Remove it."
		}
		v.Passkeys = append(v.Passkeys, row)
	}
	if f.App != nil {
		v.App.Set, v.App.Added, v.App.Used = true, ago(f.App.CreatedAt, s.now()), ago(f.App.UsedAt, s.now())
		v.App.Remove = removal(appPath + "/remove")
	}
	if f.Any() {
		v.Codes = codesRow(f.CodesLeft(), s.newForm(c, factorsPath+"/codes"))
	}
	return v
}

func codesRow(left int, form templates.FormView) templates.CodesRowView {
	v := templates.CodesRowView{
		Text: plural(left, "code", "codes") + " left. Each signs you in once if your other factors are lost.",
		Make: templates.ActionView{Form: form, Text: "Make new codes", Hint: "The ones before stop working."},
	}
	if left <= access.FewCodes {
		v.Few = templates.NoticeView{Tone: "warn", Text: "Few recovery codes are left. Make new ones before you need them."}
	}
	return v
}
