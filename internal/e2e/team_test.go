package e2e

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// A postbox is a mail server that keeps what it is given.
type postbox struct {
	addr string
	mu   sync.Mutex
	got  []string // recipient and message
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	b := &postbox{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &letter{box: b}, nil }))
	server.Domain, server.AllowInsecureAuth = "localhost", true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	b.addr = l.Addr().String()
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return b
}

// A letter implements [smtp.Session].
type letter struct {
	box *postbox
	to  string
}

func (*letter) Mail(string, *smtp.MailOptions) error { return nil }
func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.to = to
	return nil
}
func (l *letter) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	l.box.got = append(l.box.got, l.to+"\n"+strings.ReplaceAll(string(body), "=\r\n", ""))
	return err
}
func (*letter) Reset()        {}
func (*letter) Logout() error { return nil }

// arrives waits for a mail to somebody that has all of these words.
func (b *postbox) arrives(t *testing.T, to string, words ...string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		b.mu.Lock()
		for _, m := range b.got {
			has := strings.HasPrefix(m, to+"\n")
			for _, w := range words {
				has = has && strings.Contains(m, w)
			}
			if has {
				b.mu.Unlock()
				return
			}
		}
		all := strings.Join(b.got, "\n----\n")
		b.mu.Unlock()
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no mail to %s says %q; there are:\n%.12000s", to, words, all)
		}
	}
}

// A team is a console whose production project asks for approvals.
type team struct {
	*console
	post                   *postbox
	ada, emil, anna, anton *tab
}

func newTeam(t *testing.T) *team {
	t.Helper()
	m := &team{post: newPostbox(t)}
	m.console = prepare(t, sandbox.Options{}, append(people, person{"Anton", "approver"}))
	m.env = append(m.env, "CONSOLE_ENVIRONMENT=production", "CONSOLE_SMTP_ADDR="+m.post.addr, "CONSOLE_SMTP_FROM=gatehouse@example.com", "CONSOLE_SMTP_TLS=none")
	m.start()
	for name, p := range map[string]**tab{"Ada": &m.ada, "Emil": &m.emil, "Anna": &m.anna, "Anton": &m.anton} {
		*p = m.open(tabOptions{expect: []string{"status of 403"}})
		(*p).signIn(name)
	}
	m.ada.to("/policies")
	m.ada.click(m.ada.link("Use the recommended policies"))
	must(t, m.ada.Locator("main form button.primary").Click())
	m.ada.sees("needs 2 approvals")
	return m
}

// config is the path of an enabled config with its own app.
func (m *team) config(toolkit string) string {
	m.t.Helper()
	m.emil.to("/projects/default/auth-configs?status=enabled&managed=false&toolkit=" + toolkit)
	path, err := m.emil.Locator("tr[data-id] .config-name a").First().GetAttribute("href")
	must(m.t, err)
	return path
}

// decide opens a decision, says why and sends it.
func (p *tab) decide(path, action, reason string) {
	p.t.Helper()
	p.to(path)
	form := p.Locator(`form[action$="/` + action + `"]`)
	must(p.t, p.Locator("details", playwright.PageLocatorOptions{Has: form}).Locator("summary").First().Click())
	if reason != "" {
		must(p.t, form.Locator("textarea").Fill(reason))
	}
	must(p.t, form.Locator("button").Click())
}

// request is the path of the request that a page stands on.
func (p *tab) request() string {
	p.t.Helper()
	must(p.t, expect.Locator(p.Locator(`article[id^="change-"]`)).ToBeVisible())
	return strings.TrimPrefix(p.URL(), p.c.url)
}

// widen asks for more scopes of a config.
func (m *team) widen(config, scope string) string {
	m.t.Helper()
	m.emil.to(config + "/edit")
	box := m.emil.GetByLabel("Scopes", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)}).First()
	had, err := box.InputValue()
	must(m.t, err)
	must(m.t, box.Fill(had+"\n"+scope))
	m.emil.click(m.emil.button("Review changes"))
	must(m.t, m.emil.GetByLabel("Reason").Fill("Support asked for it"))
	m.emil.click(m.emil.button("Send for approval"))
	return m.emil.request()
}

// The whole way: proposed, sent back, revised, approved by two, applied; then a
// delete that two people approve. Everybody sees it live, and hears by mail.
func TestTeamApproves(t *testing.T) {
	m := newTeam(t)
	config := m.config("github")
	request := m.widen(config, "admin:org")
	m.emil.sees("wants to widen the scopes", "You took part in writing it", "0 of 2", "Can still approve: Anna and Anton")
	if n, err := m.emil.Locator(`form[action$="/approve"]`).Count(); err != nil || n != 0 {
		t.Errorf("the author is offered to approve: %d %v", n, err)
	}
	m.post.arrives(t, "anna@example.com", request)

	m.anna.to("/changes")
	m.anna.click(m.anna.Locator(`#requests a.cover`))
	m.anna.sees("admin:org", "Waiting")
	m.emil.follows(request)
	m.anna.decide(request, "request-changes", "read:org would do.")
	m.emil.sees("Changes requested", "read:org would do.")
	m.emil.notReloaded()
	m.post.arrives(t, "emil@example.com", request)

	m.anton.decide(request, "approve", "")
	m.emil.to(request)
	m.emil.click(m.emil.link("Edit request"))
	box := m.emil.GetByLabel("Scopes", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)}).First()
	had, err := box.InputValue()
	must(t, err)
	must(t, box.Fill(strings.ReplaceAll(had, "admin:org", "read:org")))
	m.emil.click(m.emil.button("Review changes"))
	m.emil.click(m.emil.button("Send for approval"))
	m.emil.sees("0 of 2", "Approved revision 1", "Asked for changes revision 1")

	// By keyboard: a opens the decision, Enter sends it.
	m.anna.to(request)
	m.anna.sees("Changed since your vote")
	m.anna.press("a")
	must(t, expect.Locator(m.anna.Locator(`form[action$="/approve"] button`)).ToBeFocused())
	m.anna.press("Enter")
	m.anna.sees("You approved it. 1 of 2")
	m.emil.follows(request)
	m.anton.decide(request, "approve", "")
	m.emil.sees("It is approved")
	m.emil.notReloaded()
	m.emil.click(m.emil.button("Apply"))
	m.emil.sees("Composio carried it out")
	if got := m.box.Journal().Mutations; len(got) != 1 || !strings.Contains(string(got[0].Body), "read:org") || strings.Contains(string(got[0].Body), "admin:org") {
		t.Errorf("sent: %+v", got)
	}

	m.emil.to(config + "/impact?do=delete")
	name, err := m.emil.Locator(`label[for="input-confirm"]`).InnerText()
	must(t, err)
	_, name, _ = strings.Cut(name, "confirm: ")
	must(t, m.emil.Locator("#input-confirm").Fill(name))
	must(t, m.emil.Locator(`input[name="skip_disable"]`).Check())
	must(t, m.emil.GetByLabel("Reason").Fill("Nobody uses it"))
	m.emil.click(m.emil.button("Send for approval"))
	request = m.emil.request()
	m.emil.follows(request)
	m.anna.decide(request, "approve", "")
	m.anton.decide(request, "approve", "Checked with support")
	m.emil.sees("It is approved", "Checked with support")
	m.emil.notReloaded()
	m.anton.follows(request)
	m.emil.click(m.emil.button("Apply"))
	m.emil.sees("Composio carried it out")
	m.anton.sees("Composio carried it out")
	m.anton.notReloaded()
	m.post.arrives(t, "emil@example.com", request, "Applied")
}

// What somebody decides about has to be what is asked now.
func TestVoteOnWhatMovedOn(t *testing.T) {
	m := newTeam(t)
	config := m.config("github")
	request := m.widen(config, "admin:org")
	old := m.open(tabOptions{noJS: true, expect: []string{"status of 409"}})
	old.signIn("Anna")
	old.to(request)
	m.emil.click(m.emil.link("Edit request"))
	m.emil.fill("Name", "renamed-meanwhile")
	m.emil.click(m.emil.button("Review changes"))
	m.emil.click(m.emil.button("Send for approval"))
	must(t, old.Locator(`details[data-vote="a"] summary`).Click())
	must(t, old.Locator(`form[action$="/approve"] button`).Click())
	old.heading("Changed since you looked")
	old.sees("Nothing was recorded", "renamed-meanwhile")
	old.click(old.link("Open the request as it is now"))
	old.sees("0 of 2")
}

func TestBreakGlassInTheBrowser(t *testing.T) {
	m := newTeam(t)
	config := m.config("github")
	m.ada.to("/policies")
	m.ada.click(m.ada.GetByRole("region", playwright.PageGetByRoleOptions{Name: "Break-glass list"}).GetByRole("link", playwright.LocatorGetByRoleOptions{Name: "Edit"}))
	must(t, m.ada.GetByLabel("Emil").Check())
	must(t, m.ada.GetByLabel("Reason").Fill("On call"))
	m.ada.click(m.ada.button("Send for approval"))
	list := m.ada.request()
	m.anna.decide(list, "approve", "")
	m.anton.decide(list, "approve", "")
	m.ada.to(list)
	m.ada.click(m.ada.button("Apply"))
	m.ada.sees("It counts from now on")

	request := m.widen(config, "admin:org")
	must(t, m.emil.Locator("summary", playwright.PageLocatorOptions{HasText: "Break glass"}).Click())
	m.emil.fill("Incident", "INC-42")
	m.emil.fill("Why this can't wait", "too short")
	name, err := m.emil.Locator(`label[for="input-confirm"]`).InnerText()
	must(t, err)
	_, name, _ = strings.Cut(name, "confirm: ")
	must(t, m.emil.Locator("#input-confirm").Fill(name))
	m.emil.click(m.emil.button("Apply without approval"))
	m.emil.sees("at least 20 characters")
	m.emil.fill("Why this can't wait", "Customers are locked out right now.")
	m.emil.click(m.emil.button("Apply without approval"))
	m.emil.to(request)
	m.emil.sees("Composio carried it out", "Emil applied this without approval, for INC-42")
	m.post.arrives(t, "anna@example.com", request)
	m.anna.to(config)
	m.anna.sees("Emil applied a change without approval.")
	m.anna.to("/changes")
	m.anna.click(m.anna.Locator(`#requests a.cover`))
	m.anna.fill("Your review", "It was right to do so.")
	m.anna.click(m.anna.button("Ratify"))
	m.anna.sees("Anna ratified it")
	m.anna.to(config)
	if n, err := m.anna.GetByText("Emil applied a change without approval.").Count(); err != nil || n != 0 {
		t.Errorf("the banner stays: %d %v", n, err)
	}
}

// approved is a request that Anna and Anton have agreed to.
func (m *team) approved() string {
	m.t.Helper()
	request := m.widen(m.config("github"), "admin:org")
	m.anna.decide(request, "approve", "")
	m.anton.decide(request, "approve", "")
	m.emil.to(request)
	m.emil.sees("It is approved")
	return request
}

// schedule asks for a time from now; the last step before it is sent sets it.
func (m *team) schedule(in time.Duration) {
	m.t.Helper()
	must(m.t, m.emil.Locator("summary", playwright.PageLocatorOptions{HasText: "Schedule"}).Click())
	m.emil.fill("Time zone", "UTC")
	_, err := m.emil.Locator("#input-at").Evaluate("(e, ms) => { e.step = 1; e.value = new Date(Date.now() + ms).toISOString().slice(0, 19) }", in.Milliseconds())
	must(m.t, err)
	m.emil.click(m.emil.button("Schedule"))
	m.emil.sees("It is approved and will be applied at")
}

// A schedule fires by itself; another is suspended, because one who approved it
// was disabled.
func TestSchedulesInTheBrowser(t *testing.T) {
	m := newTeam(t)
	request := m.approved()
	m.schedule(15 * time.Second)
	m.emil.follows(request)
	must(t, expect.Locator(m.emil.Locator("body")).ToContainText("Composio carried it out", playwright.LocatorAssertionsToContainTextOptions{Timeout: playwright.Float(2 * float64(patience.Milliseconds()))}))
	m.emil.notReloaded()
	if n := len(m.box.Journal().Mutations); n != 1 {
		t.Errorf("%d mutations", n)
	}

	request = m.waiting()
	m.schedule(2 * time.Hour)
	m.emil.follows(request)
	m.ada.to("/people")
	m.ada.click(m.ada.Locator("td a", playwright.PageLocatorOptions{HasText: "Anna"}))
	m.ada.click(m.ada.button("Disable account"))
	m.emil.sees("Suspended", "may not approve it any more")
	m.emil.notReloaded()
	if n := len(m.box.Journal().Mutations); n != 1 {
		t.Errorf("%d mutations", n)
	}
}

// another is an approved request about another config.
func (m *team) another() string {
	m.t.Helper()
	config, err := m.emil.Locator("tr[data-id] .config-name a").Last().GetAttribute("href")
	must(m.t, err)
	m.emil.to(config + "/impact?do=disable")
	must(m.t, m.emil.GetByLabel("Reason").Fill("Not used"))
	m.emil.click(m.emil.button("Send for approval"))
	request := m.emil.request()
	m.anna.decide(request, "approve", "")
	m.emil.to(request)
	m.emil.sees("It is approved")
	return request
}

// Somebody edits the config at Composio itself: the request says so, and its
// author settles it in the page.
func TestConflictInTheBrowser(t *testing.T) {
	m := newTeam(t)
	config := m.config("github")
	m.emil.to(config + "/edit")
	m.emil.fill("Name", "ours")
	must(t, m.emil.Locator(`[name="field.proxy_url"]`).Fill("https://proxy.example.com"))
	m.emil.click(m.emil.button("Review changes"))
	must(t, m.emil.GetByLabel("Reason").Fill("Clearer"))
	m.emil.click(m.emil.button("Send for approval"))
	request := m.emil.request()
	m.emil.follows(request)
	edit, err := json.Marshal(map[string]any{"id": config[strings.LastIndex(config, "/")+1:], "name": "theirs"})
	must(t, err)
	_, err = m.box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{edit}}}})
	must(t, err)
	m.ada.to("/projects/default/auth-configs")
	m.ada.click(m.ada.button("Sync now"))
	m.emil.sees("Conflict", "Take what is there now: theirs")
	m.anna.decide(request, "approve", "")
	m.anna.sees("In review", "changed at Composio")
	m.emil.to(request)
	must(t, m.emil.GetByLabel("Take what is there now: theirs").Check())
	m.emil.click(m.emil.button("Bring up to date"))
	m.emil.sees("In review", "0 of 1")
	m.anna.decide(request, "approve", "")
	m.emil.to(request)
	m.emil.click(m.emil.button("Apply"))
	m.emil.sees("Composio carried it out")
	for _, a := range m.box.State().Projects["staging"].AuthConfigs {
		if strings.HasSuffix(config, a.ID) && (a.Name != "theirs" || a.Proxy == nil) {
			t.Errorf("Composio has %+v", a)
		}
	}
}

// The pages of approvals, in both themes and two widths: no barrier, nothing
// sticks out, the log stays empty.
func TestTeamPages(t *testing.T) {
	m := newTeam(t)
	request := m.widen(m.config("github"), "admin:org")
	m.anton.decide(request, "approve", "read:org would not do here.")
	m.anna.to(request)
	must(t, m.anna.Locator("#input-text").Fill("Which repositories need this?"))
	m.anna.click(m.anna.button("Comment"))
	m.anna.sees("Which repositories need this?")
	approved := m.waiting()
	source := axe(t)
	for _, theme := range []playwright.ColorScheme{*playwright.ColorSchemeLight, *playwright.ColorSchemeDark} {
		for _, width := range []int{1280, 390} {
			anna := m.open(tabOptions{width: width, theme: theme})
			anna.signIn("Anna")
			for name, path := range map[string]string{"change-review": request, "changes-needs-me": "/changes", "notifications": "/notifications"} {
				anna.to(path)
				anna.check(source, name, string(theme), width)
			}
			anna.to(request)
			anna.press("a")
			anna.check(source, "change-approve", string(theme), width)
			emil := m.open(tabOptions{width: width, theme: theme})
			emil.signIn("Emil")
			emil.to(approved)
			emil.check(source, "change-approved", string(theme), width)
			ada := m.open(tabOptions{width: width, theme: theme})
			ada.signIn("Ada")
			for name, path := range map[string]string{"policies-team": "/policies", "policy-new": "/policies/new", "groups": "/people/groups"} {
				ada.to(path)
				ada.check(source, name, string(theme), width)
			}
		}
	}
}

// waiting is an approved request that waits to be applied.
func (m *team) waiting() string {
	m.t.Helper()
	m.emil.to("/projects/default/auth-configs?status=enabled&managed=false")
	return m.another()
}
