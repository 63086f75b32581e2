package e2e

import (
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// An auditor finds out who widened a scope on any production GitHub config this
// month, and who agreed: asks, opens the request from the row, reads the votes.
func TestAuditorFindsWhoWidened(t *testing.T) {
	m := newTeam(t)
	begun := time.Now().UTC()
	m.emil.to(m.approved())
	m.emil.click(m.emil.button("Apply"))
	m.emil.sees("Composio carried it out")

	ayo := m.open(tabOptions{expect: []string{"status of 422"}})
	ayo.signIn("Ayo")
	now := time.Now().UTC()
	span := " after:" + begun.Format("2006-01") + " before:" + now.AddDate(0, 0, 32-now.Day()).Format("2006-01")
	// 1. Ask.
	ayo.to("/history")
	ayo.fill("Search history", "is:widened toolkit:github environment:production"+span)
	ayo.click(ayo.Locator(`form[aria-label="History"] button`))
	ayo.sees("Emil edited", "1 entry found")
	// 2. Open its request.
	ayo.click(ayo.Locator("#entries").GetByRole("link", playwright.LocatorGetByRoleOptions{Name: "its change request"}))
	// 3. Read who agreed.
	ayo.sees("to widen the scopes", "Anna", "Anton", "Approved")

	// The same search without its dates, by chips; then a mistake, which keeps what
	// was typed.
	_, err := ayo.GoBack()
	must(t, err)
	ayo.click(ayo.Locator(`a[aria-label^="Remove after"]`))
	ayo.click(ayo.Locator(`a[aria-label^="Remove before"]`))
	ayo.sees("Emil edited")
	ayo.click(ayo.Locator(".facets").GetByRole("link", playwright.LocatorGetByRoleOptions{Name: "Emil"}))
	must(t, expect.Locator(ayo.Locator(".chip.term", playwright.PageLocatorOptions{HasText: "actor Emil"})).ToBeVisible())
	ayo.fill("Search history", "is:widened colour:red")
	ayo.click(ayo.Locator(`form[aria-label="History"] button`))
	ayo.sees("There is no key", "colour:red")

	// A day is picked in the chart.
	ayo.to("/history")
	chart := ayo.Locator("[data-histogram]")
	box, err := chart.BoundingBox()
	must(t, err)
	must(t, ayo.Mouse().Move(box.X+box.Width*0.9, box.Y+box.Height/2))
	must(t, ayo.Mouse().Down())
	must(t, ayo.Mouse().Move(box.X+box.Width-4, box.Y+box.Height/2))
	must(t, ayo.Mouse().Up())
	must(t, expect.Locator(ayo.Locator(`a[aria-label^="Remove from"]`)).ToBeVisible())
	ayo.sees("Emil edited")

	// The search is kept, and followed by mail.
	ayo.to("/history?q=is:widened")
	ayo.click(ayo.link("Save this search"))
	ayo.fill("Name", "Wider scopes")
	ayo.click(ayo.button("Save search"))
	ayo.sees("Wider scopes", "Search saved")
	_, err = ayo.GetByLabel("Mail what Wider scopes newly finds").SelectOption(playwright.SelectOptionValues{Values: playwright.StringSlice("weekly")})
	must(t, err)
	ayo.click(ayo.button("Set"))
	ayo.sees("Saved.")
}

// tabOnto presses Tab until an element has the focus, which has to be seen.
func (p *tab) tabOnto(selector string) {
	p.t.Helper()
	for range 60 {
		p.press("Tab")
		there, err := p.Evaluate("selector => document.activeElement.matches(selector)", selector)
		must(p.t, err)
		if there == true {
			seen, err := p.Evaluate(`() => {
				const style = getComputedStyle(document.activeElement);
				return style.outlineStyle !== 'none' || style.boxShadow !== 'none';
			}`)
			must(p.t, err)
			if seen != true {
				p.t.Errorf("the focus on %s can't be seen", selector)
			}
			return
		}
	}
	p.t.Fatalf("Tab doesn't lead to %s", selector)
}

// An auditor who uses the keyboard alone narrows history to days, as others do in
// the chart, opens a row and goes to its entry.
func TestAuditByKeyboard(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{})
	p.signIn("Ayo")
	p.to("/history")
	must(t, p.GetByLabel("Search history").Focus())
	p.tabOnto(`[name="from"]`)
	now := time.Now().UTC()
	p.keys(now.Format("01022006"))
	p.tabOnto(`[name="to"]`)
	p.keys(now.Format("01022006"))
	p.press("Enter")
	must(t, expect.Locator(p.GetByLabel("Remove from "+now.Format(time.DateOnly))).ToBeVisible())
	p.tabOnto(".histogram summary")
	p.press("Enter")
	p.tabOnto(".histogram td a")
	p.tabOnto(".entry .when a")
	p.tabOnto(".entry .fields > summary")
	p.press("Enter")
	must(t, expect.Locator(p.Locator(".entry .facts").First()).ToBeVisible())
	p.press("Shift+Tab", "Enter")
	p.heading("Entry ")
}
