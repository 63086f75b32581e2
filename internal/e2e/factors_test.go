package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
)

// guarded is a console whose admins need a second factor, at an address that has
// passkeys.
func guarded(t *testing.T) *console {
	t.Helper()
	c := prepare(t, sandbox.Options{Configs: 5}, people)
	c.env = append(c.env, "CONSOLE_SECOND_FACTOR=approver,admin")
	c.start()
	c.url = strings.Replace(c.url, "127.0.0.1", "localhost", 1)
	return c
}

// authenticator gives the browser one that knows its owner.
func (p *tab) authenticator() {
	p.t.Helper()
	cdp, err := p.Context().NewCDPSession(p.Page)
	must(p.t, err)
	_, err = cdp.Send("WebAuthn.enable", map[string]any{})
	must(p.t, err)
	_, err = cdp.Send("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{
		"protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
	}})
	must(p.t, err)
}

// passphraseOnly signs in as far as the passphrase leads.
func (p *tab) passphraseOnly(email string) {
	p.t.Helper()
	p.to("/signin")
	p.fill("Email", email)
	p.fill("Passphrase", passphrase)
	p.click(p.button("Sign in"))
}

// A passkey is made where a role asks for one, signs in without a passphrase, stands
// in as second factor, and proves anew who one is.
func TestPasskeyInTheBrowser(t *testing.T) {
	c, source := guarded(t), axe(t)
	p := c.open(tabOptions{width: 390, theme: *playwright.ColorSchemeDark})
	p.authenticator()
	p.passphraseOnly("ada@example.com")
	p.heading("Set up a second factor")
	p.sees("Your role asks for more than a passphrase")
	p.check(source, "factors-required", "dark", 390)
	p.fill("Name", "Ada's phone")
	p.click(p.button("Add a passkey"))
	p.heading("Recovery codes")
	p.check(source, "recovery-codes", "dark", 390)
	p.click(p.link("I have kept them"))
	p.sees("Ada's phone", "10 codes left")
	p.check(source, "factors", "dark", 390)
	must(t, p.SetViewportSize(1280, 860))
	must(t, p.EmulateMedia(playwright.PageEmulateMediaOptions{ColorScheme: playwright.ColorSchemeLight}))
	p.check(source, "second-factors", "light", 1280)
	must(t, p.SetViewportSize(390, 860))
	must(t, p.EmulateMedia(playwright.PageEmulateMediaOptions{ColorScheme: playwright.ColorSchemeDark}))

	p.to("/account")
	p.click(p.button("Menu"))
	p.click(p.button("Sign out"))
	p.heading("Sign in")
	p.click(p.button("Sign in with a passkey"))
	p.heading("Overview")

	p.to("/stepup?next=/people")
	p.heading("Confirm that it is you")
	p.check(source, "step-up", "dark", 390)
	p.click(p.button("Use a passkey"))
	p.heading("People")
	p.sees("For the next 5 minutes you won't be asked again")

	p.click(p.button("Menu"))
	p.click(p.button("Sign out"))
	p.passphraseOnly("ada@example.com")
	p.heading("Your second factor")
	p.check(source, "second-factor", "dark", 390)
	p.click(p.button("Use a passkey"))
	p.heading("Overview")
}

// Codes of an app and recovery codes take no JavaScript.
func TestCodesInTheBrowser(t *testing.T) {
	c := guarded(t)
	p := c.open(tabOptions{noJS: true})
	p.passphraseOnly("ada@example.com")
	p.heading("Set up a second factor")
	p.click(p.link("Set up an app"))
	must(t, expect.Locator(p.Locator("svg.qr path")).ToHaveCount(1))
	key, err := p.Locator("code.key").InnerText()
	must(t, err)
	p.fill("Code", rig.Code(t, key, time.Now()))
	p.click(p.Locator("main form button.primary"))
	p.heading("Recovery codes")
	codes, err := p.Locator(".codes code").AllInnerTexts()
	must(t, err)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	p.click(p.link("I have kept them"))
	p.to("/")
	p.click(p.button("Sign out"))

	p.passphraseOnly("ada@example.com")
	p.fill("Code of your authenticator app", rig.Code(t, key, time.Now().Add(30*time.Second))) // the one of now was used
	p.click(p.button("Check the code"))
	p.heading("Overview")
	p.click(p.button("Sign out"))

	byRecovery := func() {
		p.passphraseOnly("ada@example.com")
		p.heading("Your second factor")
		must(t, p.GetByText("Use a recovery code").Click())
		p.fill("Recovery code", codes[4])
		p.click(p.button("Use the code"))
	}
	byRecovery()
	p.heading("Overview")
	p.click(p.button("Sign out"))
	byRecovery()
	p.sees("was used already")

	// Who has lost them all asks whoever runs the console.
	c.tool(0, "user", "reset", "--factors", "ada@example.com")
	p.passphraseOnly("ada@example.com")
	p.heading("Set up a second factor")
}
