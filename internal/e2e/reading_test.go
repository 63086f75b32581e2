package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// drift changes a config at the remote directly, and syncs.
func (m *team) drift(id, field, value string) {
	m.t.Helper()
	edit := json.RawMessage(fmt.Sprintf(`{"id":%q,%q:%s}`, id, field, value))
	_, err := m.box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{edit}}}})
	must(m.t, err)
	m.ada.to("/projects/default/auth-configs")
	_, err = m.ada.ExpectResponse("**/sync", func() error { return m.ada.button("Sync now").Click() }) // else the next page would break it off
	must(m.t, err)
	m.ada.to("/projects/default/auth-configs?q=" + id)
	must(m.t, expect.Locator(m.ada.Locator("tr[data-id]")).ToContainText("Drift"))
}

// An auditor finds what was changed outside; an editor restores the version from
// before, which another person approves. All of it is there to be read.
func TestRestoreThroughApproval(t *testing.T) {
	m := newTeam(t)
	config := m.config("github")
	id := config[strings.LastIndex(config, "/")+1:]
	m.drift(id, "name", `"renamed outside"`)

	ayo := m.open(tabOptions{})
	ayo.signIn("Ayo")
	ayo.sees("drift in")
	ayo.click(ayo.link("renamed outside"))
	ayo.sees("Changed at Composio directly", "Approvers and admins may adopt or ignore it")
	ayo.click(ayo.link("Versions"))
	ayo.click(ayo.button("Compare"))
	ayo.sees("Version 1 and version 2", "renamed outside")
	if n, err := ayo.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Restore"}).Count(); err != nil || n != 0 {
		t.Errorf("an auditor is offered to restore: %d %v", n, err)
	}

	m.emil.to(config + "/versions")
	m.emil.click(m.emil.link("Restore version 1"))
	m.emil.sees("renamed outside", "History never holds their values")
	m.emil.click(m.emil.button("Review the change"))
	m.emil.click(m.emil.button("Send for approval"))
	request := m.emil.request()
	m.emil.sees("Restore version 1.", "0 of 1")
	m.anna.decide(request, "approve", "")
	m.emil.to(request)
	m.emil.click(m.emil.button("Apply"))
	m.emil.sees("Composio carried it out")

	ayo.to(config + "/versions")
	ayo.sees("Version 3", "edited")
	ayo.to(config)
	if n, err := ayo.Locator("#drift").Count(); err != nil || n != 0 {
		t.Errorf("there is drift still: %d %v", n, err)
	}
	ayo.to("/history?action=drift.settled")
	ayo.sees("found nothing left of what was changed outside")
	ayo.to(config + "/history")
	ayo.click(ayo.link("the project then"))
	ayo.heading("Auth configs as of a moment")
}

// The pages of the past, in both themes and two widths: no barrier, nothing sticks
// out, the log stays empty, and they work without JavaScript.
func TestReadingPages(t *testing.T) {
	m := newTeam(t)
	config := m.config("github")
	id := config[strings.LastIndex(config, "/")+1:]
	m.drift(id, "name", `"renamed outside"`)
	source := axe(t)
	pages := map[string]string{
		"drift": config, "drifts": "/projects/default/drift", "versions": config + "/versions?a=1&b=2", "version": config + "/versions?v=1",
		"as-of": "/projects/default/as-of",
	}
	for _, theme := range []playwright.ColorScheme{*playwright.ColorSchemeLight, *playwright.ColorSchemeDark} {
		for _, width := range []int{1280, 390} {
			anna := m.open(tabOptions{width: width, theme: theme})
			anna.signIn("Anna")
			for name, path := range pages {
				anna.to(path)
				anna.check(source, name, string(theme), width)
			}
			emil := m.open(tabOptions{width: width, theme: theme})
			emil.signIn("Emil")
			emil.to(config + "/restore?version=1")
			emil.check(source, "restore", string(theme), width)
		}
	}
	plain := m.open(tabOptions{noJS: true})
	plain.signIn("Anna")
	plain.to(config)
	plain.click(plain.Locator("#drift summary").First())
	must(t, plain.Locator(`form[action$="/drift/adopt"] textarea`).Fill("The team agreed to it"))
	plain.click(plain.button("Adopt it"))
	plain.sees("Adopted.")
}
