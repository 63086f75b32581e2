package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// axe is the rules of axe-core, run in the page.
func axe(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(os.Getenv("E2E_NODE"), "node_modules/axe-core/axe.min.js"))
	must(t, err)
	return string(src)
}

const runAxe = `async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}))
	.violations.map(v => v.id + ': ' + v.help + ' — ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | '))`

// check looks for barriers, for things that stick out, and takes a picture.
func (p *tab) check(axeSource, name, theme string, width int) {
	p.t.Helper()
	_, err := p.Evaluate("document.fonts.ready")
	must(p.t, err)
	_, err = p.Evaluate(axeSource)
	must(p.t, err)
	found, err := p.Evaluate(runAxe)
	must(p.t, err)
	for _, v := range found.([]any) {
		p.t.Errorf("%s, %s, %d px: %v", name, theme, width, v)
	}
	p.fits(name, theme, width)
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		must(p.t, os.MkdirAll(dir, 0o755)) //nolint:gosec // pictures are for everybody
		file := fmt.Sprintf("%s-%s-%d.png", name, theme, width)
		if theme == "light" && width == 1280 {
			file = name + ".png"
		}
		_, err := p.Screenshot(playwright.PageScreenshotOptions{
			Path: playwright.String(filepath.Join(dir, file)), FullPage: playwright.Bool(width < 1000), Animations: playwright.ScreenshotAnimationsDisabled,
		})
		must(p.t, err)
	}
}

// fits checks that nothing sticks out.
func (p *tab) fits(name, theme string, width int) {
	p.t.Helper()
	over, err := p.Evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
	must(p.t, err)
	if n, ok := over.(int); !ok || n > 0 {
		p.t.Errorf("%s, %s: %v px stick out at %d px", name, theme, over, width)
	}
}

// scene prepares lifelike data and returns the paths of all pages, by name.
func (c *console) scene() map[string]string {
	c.t.Helper()
	p := c.open(tabOptions{})
	p.signIn("Emil")
	list := "/projects/default/auth-configs"
	p.to(list + "?toolkit=github")
	config, err := p.Locator("tr[data-id] .config-name a").First().GetAttribute("href")
	must(c.t, err)
	p.to(config + "/edit")
	p.fill("Scopes", "repo\nread:org")
	p.click(p.button("Review changes"))
	p.fill("Client secret", canary)
	must(c.t, p.GetByLabel("Reason").Fill("Support asked for issue triage"))
	p.click(p.button("Save and apply"))
	p.sees("Saved")
	p = c.open(tabOptions{}) // Ada has something to read, and a channel
	p.signIn("Ada")
	p.to("/settings/notifications")
	p.fill("Name", "#changes")
	p.fill("Address", "https://hooks.example.com/services/"+canary)
	p.click(p.button("Add channel"))
	p.sees("Added #changes")
	p.to("/settings/sinks")
	p.fill("Name", "Archive")
	_, err = p.GetByLabel("Kind").SelectOption(playwright.SelectOptionValues{Values: &[]string{"file"}})
	must(c.t, err)
	p.fill("Address", "history.jsonl")
	p.click(p.button("Add sink"))
	p.sees("Added Archive")
	must(c.t, c.box.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"}))
	p.to(list + "?toolkit=slack&status=enabled")
	p.click(p.Locator("tr[data-id] .config-name a"))
	p.click(p.link("Disable"))
	p.click(p.button("Disable config"))
	p.sees("Nothing was changed at Composio")
	failed := strings.TrimPrefix(p.URL(), c.url)
	p.to("/changes?tab=done")
	done, err := p.Locator("a.cover").First().GetAttribute("href")
	must(c.t, err)
	edit, err := json.Marshal(map[string]any{"id": c.box.State().Projects["staging"].AuthConfigs[2].ID, "name": "renamed at Composio"})
	must(c.t, err)
	_, err = c.box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{edit}}}})
	must(c.t, err)
	p.to(list)
	_, err = p.ExpectResponse("**/sync", func() error { return p.button("Sync now").Click() }) // else the next page would break it off
	must(c.t, err)
	p.to("/people")
	person, err := p.Locator("td a").First().GetAttribute("href")
	must(c.t, err)
	pages := map[string]string{
		"overview": "/", "auth-configs": list, "auth-configs-empty": list + "?q=nothinglikethis", "auth-config": config, "connections": config + "/connections",
		"config-history": config + "/history", "config-requests": config + "/requests", "edit": config + "/edit", "disable": config + "/impact?do=disable",
		"delete": config + "/impact?do=delete", "wizard-toolkits": list + "/new", "wizard-schemes": list + "/new?toolkit=github",
		"wizard-details": list + "/new?toolkit=github&scheme=OAUTH2", "changes": "/changes", "changes-done": "/changes?tab=done", "change-failed": failed, "change-done": done,
		"history": "/history", "integrity": "/history/integrity", "history-entry": "/history/12", "people": "/people", "person": person, "policies": "/policies", "policy-new": "/policies/new",
		"policies-recommended": "/policies/recommended/default", "freeze-new": "/policies/freezes/new", "break-glass": "/policies/break-glass",
		"groups": "/people/groups", "directories": "/people/directories", "group-new": "/people/groups/new", "roles": "/people/roles", "role-new": "/people/roles/new", "settings": "/settings",
		"projects": "/settings/projects", "project": "/settings/projects/default", "account": "/account", "sessions": "/account/sessions", "tokens": "/account/tokens",
		"factors": "/account/factors", "app": "/account/factors/app", "step-up": "/stepup?next=/people&sent=1",
		"notifications": "/notifications", "account-notifications": "/account/notifications", "settings-notifications": "/settings/notifications", "settings-sinks": "/settings/sinks", "not-found": "/nosuchpage",
		"config-versions": config + "/versions?v=1&a=1&b=2", "config-restore": config + "/restore?version=1", "project-as-of": "/projects/default/as-of",
		"as-of-wrong": "/projects/default/as-of?at=32", "project-drift": "/projects/default/drift", "history-narrowed": "/history?q=is:drift",
		"history-wrong": "/history?q=colour:red", "history-wrong-day": "/history?from=32", "history-empty": "/history?q=nothinglikethis", "searches": "/history/searches?q=is:drift",
		"reviews-none": "/reviews", "review-new": "/reviews/new", "person-history": person + "/history",
	}
	p.rules(pages)
	return pages
}

// access makes a role, a group that has it for one toolkit, a token and a client of
// a directory.
func (p *tab) access() {
	p.t.Helper()
	pick := func(name, label string) {
		_, err := p.Locator("select[name=" + name + "]").SelectOption(playwright.SelectOptionValues{Labels: &[]string{label}})
		must(p.t, err)
	}
	send := func(says string) {
		p.click(p.Locator("main form button.primary"))
		p.sees(says)
	}
	p.to("/people/roles/new")
	p.fill("Name", "On-call")
	must(p.t, p.GetByLabel("Propose changes, and apply what policy lets through").Check())
	send("Added the role On-call")
	p.to("/people/groups/new")
	p.fill("Name", "Security")
	must(p.t, p.GetByLabel("Auditor").First().Check())
	pick("role", "On-call")
	pick("where", "All production projects")
	must(p.t, p.Locator("input[name=toolkit]").Fill("github"))
	must(p.t, p.Locator(`input[name="members"]`).First().Check())
	send("Added the group Security")
	p.to("/account/tokens")
	p.fill("Name", "Nightly report")
	must(p.t, p.GetByLabel("Read history").Check())
	send("The token Nightly report is made")
	p.to("/people/directories")
	p.fill("Name", "Okta")
	send("Okta")
}

// rules adds a group, a freeze window and a saved search, and the pages that change
// what is there.
func (p *tab) rules(pages map[string]string) {
	p.t.Helper()
	p.access()
	p.to("/people/reviews")
	p.fill("Name", "Spring")
	p.click(p.button("Open review"))
	p.sees("Decide about each person")
	pages["access-reviews"] = "/people/reviews"
	p.to("/policies/freezes/new")
	p.fill("Name", "Year's end")
	p.fill("From", "2030-12-20T00:00")
	p.fill("Until", "2031-01-06T00:00")
	p.click(p.Locator("main form button.primary"))
	p.sees("Year's end")
	p.to("/history/searches")
	p.fill("Name", "What was changed outside")
	p.fill("Search", "is:drift")
	p.click(p.button("Save search"))
	p.sees("Search saved")
	for name, at := range map[string][2]string{
		"group": {"/people/groups", `main li a[href^="/people/groups/"]:not([href$="/remove"])`}, "group-remove": {"/people/groups", `a[href$="/remove"]`},
		"access-review": {"/people/reviews", `main li a[href^="/people/reviews/"]`}, "policy-edit": {"/policies", `a[href$="/edit"]`}, "policy-remove": {"/policies", `a[href^="/policies/pol_"][href$="/remove"]`},
		"freeze-remove": {"/policies", `a[href^="/policies/freezes/"][href$="/remove"]`}, "sink-edit": {"/settings/sinks", `a[href$="/edit"]`},
	} {
		p.to(at[0])
		href, err := p.Locator(at[1]).First().GetAttribute("href")
		must(p.t, err)
		pages[name] = href
	}
}

// Every page, in both themes and two widths: no barrier, nothing sticks out, the
// log stays empty.
func TestPages(t *testing.T) {
	c := serve(t, sandbox.Options{})
	pages := c.scene()
	source := axe(t)
	for _, theme := range []playwright.ColorScheme{*playwright.ColorSchemeLight, *playwright.ColorSchemeDark} {
		for _, width := range []int{1280, 390} {
			p := c.open(tabOptions{width: width, theme: theme, expect: []string{"status of 404"}})
			for name, path := range map[string]string{"signin": "/signin", "setup": "/setup", "link": "/link?token=nothing"} {
				p.to(path)
				p.check(source, name, string(theme), width)
			}
			p.signIn("Ada")
			for name, path := range pages {
				p.to(path)
				p.check(source, name, string(theme), width)
			}
			p.to(pages["edit"])
			p.fill("Name", "another-name")
			p.click(p.button("Review changes"))
			p.sees("Compared with what is live now")
			p.check(source, "review", string(theme), width)
			p.to(pages["wizard-details"])
			p.fill("Name", strings.Repeat("long", 80))
			p.fill("Client id", "x")
			p.click(p.button("Review"))
			p.sees("this has 320")
			p.check(source, "complaints", string(theme), width)
			p.to(pages["wizard-details"])
			p.fill("Client id", "Iv1.x")
			p.click(p.button("Review"))
			p.sees("This is what Composio will be asked to make")
			p.check(source, "wizard-review", string(theme), width)
			p.to(pages["auth-configs"])
			// The last one, so that the page stands at its end and the bar covers no row in part.
			must(t, p.Locator(`tr[data-id] input[name="id"]`).Last().Check())
			must(t, p.Locator(".pager").ScrollIntoViewIfNeeded())
			p.check(source, "selection", string(theme), width)
			p.click(p.button("Disable"))
			p.check(source, "bulk", string(theme), width)
			if width < 900 {
				p.to("/")
				p.click(p.button("Menu"))
				must(t, expect.Locator(p.Locator("#rail")).ToBeVisible())
				p.check(source, "menu", string(theme), width)
			}
		}
	}
}

// Every page without JavaScript, on a narrow screen: nothing sticks out, and no
// button is left that needs a script.
func TestPagesWithoutJavaScript(t *testing.T) {
	c := serve(t, sandbox.Options{})
	pages := c.scene()
	p := c.open(tabOptions{width: 390, noJS: true, expect: []string{"status of 404"}})
	p.signIn("Ada")
	for name, path := range pages {
		p.to(path)
		p.fits(name, "light", 390)
		n, err := p.Locator("main button:not(form button, [form], [popovertarget], [hidden])").Count()
		must(t, err)
		if n > 0 {
			t.Errorf("%s has %d buttons that do nothing", name, n)
		}
	}
}
