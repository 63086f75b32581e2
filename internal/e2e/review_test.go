package e2e

import (
	"archive/zip"
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// reviewed opens a review of what Emil did, as Ayo, and returns both and its path.
func reviewed(t *testing.T) (ayo, emil *tab, path string) {
	t.Helper()
	c := serve(t, sandbox.Options{})
	emil, ayo = c.open(tabOptions{}), c.open(tabOptions{})
	emil.signIn("Emil")
	emil.to("/projects/default/auth-configs?status=enabled&managed=false")
	emil.click(emil.Locator("tr[data-id] .config-name a"))
	emil.click(emil.link("Disable"))
	emil.click(emil.button("Disable config"))
	emil.sees("Disabled ")
	ayo.signIn("Ayo")
	ayo.to("/history?q=actor:emil@example.com")
	ayo.click(ayo.link("Review this"))
	ayo.fill("Name", "What Emil did")
	ayo.click(ayo.button("Open review"))
	ayo.sees("0 of ")
	return ayo, emil, ayo.URL()
}

// flag asks Emil about the newest entry that is left.
func (p *tab) flag(question string) {
	p.t.Helper()
	must(p.t, p.Locator(".marked > input").First().Check())
	p.fill("Comment", question)
	_, err := p.GetByLabel("Who is to answer a flag").SelectOption(playwright.SelectOptionValues{Labels: playwright.StringSlice("Emil")})
	must(p.t, err)
	p.click(p.button("Flag and ask"))
	p.sees("1 entry flagged")
}

// An auditor opens a review, flags and is answered; a second auditor closes it,
// prints the report and takes the evidence along.
func TestReviewInTheBrowser(t *testing.T) {
	ayo, emil, path := reviewed(t)
	ayo.flag("Why was this switched off?")
	emil.to("/")
	emil.sees("Ayo asks you about 1 entry of history.")
	emil.click(emil.link("Answer"))
	emil.sees("Why was this switched off?")
	emil.fill("Your answer", "Support asked for it, ticket 4711.")
	emil.click(emil.button("Send answer"))
	emil.sees("Answered.", "Nothing is asked of you")

	ayo.to(path + "?part=flagged")
	ayo.sees("Support asked for it, ticket 4711.")
	ayo.to(path)
	ayo.click(ayo.GetByRole("button", playwright.PageGetByRoleOptions{Name: "as looked at"}))
	ayo.sees("marked as looked at", "another auditor has to close it")

	ada := ayo.c.open(tabOptions{})
	ada.signIn("Ada")
	ada.to(path + "?part=flagged")
	ada.click(ada.Locator("summary", playwright.PageLocatorOptions{HasText: "Settle"}))
	ada.click(ada.button("Settle the flag"))
	ada.sees("Settled.")
	ada.fill("Conclusion", "Nothing out of order.")
	ada.click(ada.button("Close review"))
	ada.heading("What Emil did")
	ada.sees("This is what the review was closed with", "Support asked for it, ticket 4711.", "Covered by the checkpoint of")
	ada.printed()
	ada.packed()

	source := axe(t)
	for _, theme := range []playwright.ColorScheme{*playwright.ColorSchemeLight, *playwright.ColorSchemeDark} {
		for _, width := range []int{1280, 390} {
			p := ayo.c.open(tabOptions{width: width, theme: theme})
			p.signIn("Ayo")
			for name, at := range map[string]string{"reviews": "/reviews", "review-new": "/reviews/new", "review": path + "?part=all", "review-report": path + "/report"} {
				p.to(at)
				p.check(source, name, string(theme), width)
			}
		}
	}
}

// printed checks that the page becomes sheets of A4.
func (p *tab) printed() {
	p.t.Helper()
	pdf, err := p.PDF(playwright.PagePdfOptions{PreferCSSPageSize: playwright.Bool(true)})
	must(p.t, err)
	if n := len(regexp.MustCompile(`/Type\s*/Page\b`).FindAll(pdf, -1)); n < 1 || n > 5 {
		p.t.Errorf("the report has %d pages", n)
	}
	if !regexp.MustCompile(`/MediaBox \[0 0 59[45]\.?\d* 84[12]\.?\d*\]`).Match(pdf) {
		p.t.Error("the report is not on A4")
	}
	must(p.t, p.EmulateMedia(playwright.PageEmulateMediaOptions{Media: playwright.MediaPrint}))
	for _, hidden := range []string{".rail", ".topbar", "main .btn"} {
		must(p.t, expect.Locator(p.Locator(hidden).First()).Not().ToBeVisible())
	}
	must(p.t, p.EmulateMedia(playwright.PageEmulateMediaOptions{Media: playwright.MediaScreen}))
}

// packed downloads the evidence that the page offers.
func (p *tab) packed() {
	p.t.Helper()
	download, err := p.ExpectDownload(func() error { return p.link("Evidence pack").Click() })
	must(p.t, err)
	path, err := download.Path()
	must(p.t, err)
	body, err := os.ReadFile(path)
	must(p.t, err)
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	must(p.t, err)
	names := map[string]bool{}
	for _, f := range z.File {
		names[f.Name] = true
	}
	for _, name := range []string{"README.txt", "rows.jsonl", "review.json", "manifest.sig"} {
		if !names[name] {
			p.t.Errorf("there is no %s in the pack", name)
		}
	}
}

// The same by plain forms, without JavaScript.
func TestReviewWithoutJavaScript(t *testing.T) {
	ayo, _, path := reviewed(t)
	p := ayo.c.open(tabOptions{noJS: true})
	p.signIn("Ayo")
	p.to(path)
	p.flag("Why?")
	must(t, p.Locator(".marked > input").First().Check())
	p.click(p.button("Looked at"))
	p.sees("1 entry marked as looked at", "2 of ")
}
