package e2e

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// press sends keys.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	must(p.t, p.WaitForLoadState()) // what listens to keys is there
	for _, k := range keys {
		must(p.t, p.Keyboard().Press(k))
	}
}

// tabTo moves the focus with the keyboard until it is on an element with this
// accessible text, at most so many steps.
func (p *tab) tabTo(what string) {
	p.t.Helper()
	for range 120 {
		p.press("Tab")
		got, err := p.Evaluate(`() => { const e = document.activeElement; if (!e) return ''; const l = e.labels && e.labels[0]; return ((l ? l.innerText : '') + '|' + (e.innerText || '') + '|' + (e.getAttribute('aria-label') || '')).replace(/\s+/g, ' '); }`)
		must(p.t, err)
		for _, part := range strings.Split(got.(string), "|") {
			if strings.TrimSpace(part) == what {
				return
			}
		}
	}
	p.t.Fatalf("%s: the keyboard doesn't reach %q", p.URL(), what)
}

func (p *tab) keys(text string) {
	p.t.Helper()
	must(p.t, p.Keyboard().Type(text))
}

// The main path with the keyboard alone: sign in, find, create, edit, switch off
// and on, delete, and read what history says.
func TestMainPathByKeyboard(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{})
	p.to("/signin")
	p.keys("emil@example.com")
	p.press("Tab")
	p.keys(passphrase)
	p.press("Enter")
	p.heading("Overview")

	p.press("g", "c")
	p.heading("Auth configs")
	p.press("/")
	must(t, expect.Locator(p.GetByLabel("Search auth configs")).ToBeFocused())
	p.keys("github-staging")
	p.press("Enter")
	must(t, expect.Locator(p.Locator("tr[data-id]")).ToHaveCount(1))
	p.press("Escape")
	p.tabTo("Clear")
	p.press("Enter")
	must(t, expect.Page(p.Page).Not().ToHaveURL(regexp.MustCompile(`q=`)))
	p.heading("Auth configs")

	p.tabTo("New auth config")
	p.press("Enter")
	p.heading("New auth config")
	must(t, p.GetByLabel("Search toolkits").Focus())
	p.keys("github")
	p.press("Enter")
	must(t, expect.Locator(p.Locator(".gallery .choice")).ToHaveCount(1))
	must(t, p.Locator(".gallery .choice").Focus())
	p.press("Enter")
	p.heading("New auth config for GitHub")
	must(t, p.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Your own credentials, OAUTH2"}).Focus())
	p.press("Enter")
	p.sees("Redirect URI to register")
	p.tabTo("Name")
	p.press("Control+A")
	p.keys("github-keyboard")
	p.tabTo("Client id")
	p.keys("Iv1.keyboard")
	p.press("Enter")
	p.heading("Create github-keyboard")
	p.tabTo("Client secret")
	p.keys(canary)
	p.press("Enter")
	p.sees("Created github-keyboard.")

	p.tabTo("Edit")
	p.press("Enter")
	p.heading("Edit github-keyboard")
	p.tabTo("Name")
	p.press("Control+A")
	p.keys("github-renamed")
	must(t, expect.Locator(p.Locator("#diff")).ToContainText("github-renamed"))
	p.press("Enter")
	p.heading("Edit github-keyboard")
	p.sees("Compared with what is live now")
	p.tabTo("Save and apply")
	p.press("Enter")
	p.heading("github-renamed")

	p.tabTo("Disable")
	p.press("Enter")
	p.heading("Disable github-renamed")
	p.tabTo("Disable config")
	p.press("Enter")
	p.sees("Disabled github-renamed.")
	p.tabTo("Enable")
	p.press("Enter")
	p.heading("Enable github-renamed")
	p.tabTo("Enable config")
	p.press("Enter")
	p.sees("Enabled github-renamed.")

	p.tabTo("Delete")
	p.press("Enter")
	p.heading("Delete github-renamed")
	p.tabTo("Type the name to confirm: github-renamed")
	p.keys("github-renamed")
	p.press("Tab", "Space") // delete it although it is enabled
	p.tabTo("Delete config")
	p.press("Enter")
	p.sees("Deleted github-renamed.")

	p.press("g", "h")
	p.heading("History")
	p.sees("Emil deleted github-renamed", "Emil disabled github-renamed", "Emil edited github-keyboard", "Emil created github-keyboard")
	p.press("?")
	must(t, expect.Locator(p.Locator("#shortcuts")).ToBeVisible())
	p.press("Escape")
}

// The buttons around a form leave alone what was typed into it.
func TestFrameKeepsTheForm(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{})
	p.signIn("Emil")
	p.to("/projects/default/auth-configs/new?toolkit=github&scheme=OAUTH2&managed=false")
	p.fill("Client id", "Iv1.typed")
	client := p.GetByLabel("Client id", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)})
	p.click(p.Locator("#theme button"))
	must(t, expect.Locator(p.Locator("html")).ToHaveAttribute("data-theme", "light"))
	must(t, expect.Locator(client).ToHaveValue("Iv1.typed"))
	_, err := p.Locator("#sync time").Evaluate("el => { el.dataset.old = '1' }", nil)
	must(t, err)
	p.click(p.button("Sync now"))
	must(t, expect.Locator(p.Locator("#sync time[data-old]")).ToHaveCount(0))
	must(t, expect.Locator(client).ToHaveValue("Iv1.typed"))
}

// The same without a line of JavaScript.
func TestMainPathWithoutJavaScript(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{noJS: true})
	p.signIn("Emil")
	p.click(p.link("Auth configs"))
	must(t, p.GetByLabel("Search by name, id or toolkit").Fill("github"))
	p.click(p.button("Filter"))
	must(t, expect.Page(p.Page).ToHaveURL(regexp.MustCompile(`q=github`)))
	p.click(p.link("New auth config"))
	must(t, p.GetByLabel("Search toolkits").Fill("openai"))
	p.click(p.button("Search"))
	p.click(p.Locator(".gallery .choice"))
	p.click(p.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Your own credentials, API_KEY"}))
	p.fill("Name", "openai-plain")
	p.click(p.button("Review"))
	p.click(p.button("Save and apply"))
	p.sees("Created openai-plain.")
	p.click(p.link("Edit"))
	p.fill("Name", "openai-renamed")
	p.click(p.button("Review changes"))
	p.sees("openai-renamed")
	p.click(p.button("Change something"))
	must(t, expect.Locator(p.GetByLabel("Name", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)})).ToHaveValue("openai-renamed"))
	p.click(p.button("Review changes"))
	p.click(p.button("Save and apply"))
	p.sees("Saved openai-renamed, which was openai-plain.")
	p.click(p.link("Disable"))
	p.click(p.button("Disable config"))
	p.sees("Disabled openai-renamed.")
	p.click(p.link("Auth configs"))
	must(t, p.Locator(`tr[data-id] input[name="id"]`).Nth(0).Check())
	must(t, p.Locator(`tr[data-id] input[name="id"]`).Nth(1).Check())
	p.click(p.button("Enable"))
	p.heading("Enable 2 auth configs")
	p.click(p.link("Cancel"))
	p.click(p.GetByRole("link", playwright.PageGetByRoleOptions{Name: "openai-renamed"}))
	p.click(p.link("Delete"))
	must(t, p.GetByLabel("Type the name to confirm: openai-renamed").Fill("openai-renamed"))
	p.click(p.button("Delete config"))
	p.sees("Deleted openai-renamed.")
	p.click(p.button("System theme, switch to light"))
	must(t, expect.Locator(p.Locator("html")).ToHaveAttribute("data-theme", "light"))
	p.click(p.link("History"))
	p.sees("Emil deleted openai-renamed")
	p.click(p.button("Sign out"))
	p.heading("Sign in")
}

// What the mouse does: live search, bulk, sync, theme, back and forward.
func TestListInTheBrowser(t *testing.T) {
	c := serve(t, sandbox.Options{Configs: 130})
	p := c.open(tabOptions{})
	p.signIn("Emil")
	p.click(p.link("Auth configs"))
	rows := p.Locator("tr[data-id]")
	must(t, expect.Locator(rows).ToHaveCount(50))
	p.click(p.link("Next"))
	p.sees("51–100 of 130")
	p.click(p.link("Previous"))
	name, err := rows.First().GetByRole("link").First().InnerText()
	must(t, err)
	search := p.GetByLabel("Search by name, id or toolkit")
	must(t, search.PressSequentially(name))
	must(t, expect.Page(p.Page).ToHaveURL(regexp.MustCompile(`[?&]q=`+regexp.QuoteMeta(url.QueryEscape(name))+`(&|$)`)))
	must(t, expect.Locator(rows.First()).ToContainText(name))
	must(t, expect.Locator(search).ToBeFocused())
	must(t, expect.Locator(search).ToHaveValue(name))
	for strings.Contains(p.URL(), "q=") { // a step for each pause in typing
		_, err = p.GoBack()
		must(t, err)
	}
	must(t, expect.Locator(rows).ToHaveCount(50))

	for i := range 3 {
		must(t, rows.Nth(i).GetByRole("checkbox").Check())
	}
	p.sees("3 selected")
	p.click(p.button("Disable"))
	p.heading("Disable 3 auth configs")
	must(t, p.GetByLabel("Reason").Fill("for the browser"))
	p.click(p.Locator("main button.danger"))
	must(t, expect.Locator(p.Locator("main")).ToContainText("Disable"))

	p.to("/projects/default/auth-configs")
	p.click(p.button("Sync now"))
	p.sees("Synced")
	p.click(p.link("Dense"))
	must(t, expect.Locator(p.Locator("table.dense")).ToBeVisible())
}

// The outcome of a change stays open when its answer gets lost; the page follows
// by itself until it is known.
func TestUnknownOutcomeInTheBrowser(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{})
	p.signIn("Emil")
	must(t, c.box.Fail(sandbox.Fault{Kind: "reset-before", Method: "PATCH"}))
	p.to("/projects/default/auth-configs?status=enabled")
	p.click(p.Locator("tr[data-id] a").First())
	p.click(p.link("Disable"))
	p.click(p.button("Disable config"))
	must(t, expect.Locator(p.Locator("main")).ToContainText(regexp.MustCompile(`Disabled .+\.|Composio carried it out`)))
	if n := len(c.box.Journal().Mutations); n != 1 {
		t.Errorf("%d mutations, want 1", n)
	}
}

func TestRolesInTheBrowser(t *testing.T) {
	c := serve(t, sandbox.Options{})
	for name, want := range map[string]string{
		"Ada":  "Overview Auth configs Changes History People Policies Settings",
		"Emil": "Overview Auth configs Changes History People Policies",
		"Vera": "Overview Auth configs Changes History People Policies",
		"Ayo":  "Overview Auth configs Changes History People Policies Settings",
	} {
		p := c.open(tabOptions{})
		p.signIn(name)
		nav, err := p.Locator(".nav a").AllInnerTexts()
		must(t, err)
		for i := range nav {
			nav[i] = strings.TrimSpace(nav[i])
		}
		if got := strings.Join(nav, " "); got != want {
			t.Errorf("%s sees %q", name, got)
		}
		p.click(p.link("Auth configs"))
		n, err := p.link("New auth config").Count()
		must(t, err)
		if edits := name == "Ada" || name == "Emil"; (n == 1) != edits {
			t.Errorf("%s is offered to create: %v", name, n == 1)
		}
	}
}

// People: invited, joined, disabled while signed in.
func TestPeopleInTheBrowser(t *testing.T) {
	c := serve(t, sandbox.Options{})
	admin := c.open(tabOptions{})
	admin.signIn("Ada")
	admin.click(admin.link("People"))
	admin.fill("Name", "Nora New")
	admin.fill("Email", "nora@example.com")
	must(t, admin.GetByRole("checkbox", playwright.PageGetByRoleOptions{Name: "Editor"}).Check())
	admin.click(admin.button("Create invitation"))
	link, err := admin.Locator("[data-copy*='/link?token=']").GetAttribute("data-copy")
	must(t, err)

	guest := c.open(tabOptions{})
	guest.to(link)
	guest.fill("Passphrase", "weak")
	guest.click(guest.button("Join"))
	guest.sees("at least 15 characters")
	guest.fill("Passphrase", passphrase+" too")
	guest.click(guest.button("Join"))
	guest.sees("You are signed in.")

	admin.click(admin.link("People"))
	admin.click(admin.link("Nora New"))
	admin.click(admin.button("Disable account"))
	admin.sees("is disabled, and signed out everywhere")
	guest.to("/")
	guest.heading("Sign in")
}

// Strings that attack, in every field that the remote has: all of it is text.
func TestHostileRemoteInTheBrowser(t *testing.T) {
	c := serve(t, sandbox.Options{Quirks: []string{"hostile-strings"}})
	p := c.open(tabOptions{})
	p.signIn("Emil")
	paths := []string{"/", "/history", "/projects/default/auth-configs/new", "/projects/default/auth-configs?sort=changed"}
	p.to("/projects/default/auth-configs")
	must(t, expect.Locator(p.Locator("tr[data-id]")).ToHaveCount(50)) // the first sync is over
	var configs []string
	for list := "/projects/default/auth-configs"; list != ""; {
		paths = append(paths, list)
		p.to(list)
		hrefs, err := p.Evaluate(`() => [document.querySelector('[rel=next]')?.getAttribute('href') ?? '', ...[...document.querySelectorAll('.config-name > a')].map((a) => a.getAttribute('href'))]`)
		must(t, err)
		for i, h := range hrefs.([]any) {
			if i == 0 {
				list = h.(string)
			} else {
				configs = append(configs, h.(string))
			}
		}
	}
	if len(configs) < 200 {
		t.Fatalf("only %d configs with hostile texts", len(configs))
	}
	for i, config := range configs {
		paths = append(paths, config)
		if i%20 == 0 {
			paths = append(paths, config+"/edit", config+"/connections", config+"/impact?do=delete")
		}
	}
	for _, path := range paths {
		p.to(path)
		attacked, err := p.Evaluate("() => document.querySelectorAll('main script, main iframe, main img, main object').length + (window.pwned ? 1 : 0)")
		must(t, err)
		if n, ok := attacked.(int); !ok || n != 0 {
			t.Errorf("%s: %v", path, attacked)
		}
	}
}
