package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

const configList = "/projects/default/auth-configs"

// fail lets Emil ask for a change that Composio refuses, and returns the page of
// the request.
func (p *tab) fail() string {
	p.t.Helper()
	must(p.t, p.c.box.Fail(sandbox.Fault{Kind: "status=422", Method: "PATCH"}))
	p.to(configList + "?toolkit=slack&status=enabled")
	p.click(p.Locator("tr[data-id] .config-name a"))
	p.click(p.link("Disable"))
	p.click(p.button("Disable config"))
	p.sees("Nothing was changed at Composio")
	return strings.TrimPrefix(p.URL(), p.c.url)
}

// mark leaves a sign in the page that a reload would wipe away.
func (p *tab) mark() {
	p.t.Helper()
	_, err := p.Evaluate("() => { window.sameDocument = true }")
	must(p.t, err)
}

func (p *tab) notReloaded() {
	p.t.Helper()
	same, err := p.Evaluate("() => window.sameDocument === true")
	must(p.t, err)
	if same != true {
		p.t.Error("the page was loaded anew")
	}
}

// follows opens a page and waits until its event stream is open.
func (p *tab) follows(path string) {
	p.t.Helper()
	_, err := p.ExpectResponse(regexp.MustCompile(`/events$`), func() error {
		_, err := p.Goto(path)
		return err
	})
	must(p.t, err)
	p.mark()
}

// What one does, another sees without a reload: on the request, in the lists, in
// the navigation.
func TestLivePages(t *testing.T) {
	c := serve(t, sandbox.Options{})
	emil := c.open(tabOptions{})
	emil.signIn("Emil")
	watchers := map[string]*tab{}
	for _, path := range []string{"/", "/changes", configList + "?toolkit=slack"} {
		p := c.open(tabOptions{})
		p.signIn("Emil") // what failed needs him
		p.follows(path)
		watchers[path] = p
	}
	list := watchers[configList+"?toolkit=slack"]
	row := watchers["/changes"].Locator("#requests li[data-row]")
	must(t, expect.Locator(row).ToHaveCount(0))

	request := emil.fail()
	must(t, expect.Locator(row).ToHaveCount(1))
	must(t, expect.Locator(watchers["/"].Locator("#overview")).ToContainText("Disable"))
	for _, p := range watchers {
		must(t, expect.Locator(p.Locator(".nav a", playwright.PageLocatorOptions{HasText: "Changes"})).ToContainText("1"))
	}

	detail := c.open(tabOptions{})
	detail.signIn("Ada")
	detail.follows(request)
	must(t, row.Locator("a").Focus())
	emil.to(request)
	emil.click(emil.button("Try again"))
	emil.sees("Disabled ")
	must(t, expect.Locator(detail.Locator("article .title")).ToContainText("Applied"))
	must(t, expect.Locator(detail.Locator("#live")).ToContainText("is applied"))
	must(t, expect.Locator(row).ToHaveCount(0))
	must(t, expect.Locator(list.Locator("tr[data-id]").First()).ToContainText("Disabled"))
	must(t, expect.Locator(list.Locator(".nav .count")).ToHaveCount(0))
	detail.notReloaded()
	for _, p := range watchers {
		p.notReloaded()
	}
}

// What is typed stays, with the focus; the page says that it has changed, and
// catches up once nothing is in hand.
func TestLivePageKeepsWhatIsTyped(t *testing.T) {
	c := serve(t, sandbox.Options{})
	emil, ada := c.open(tabOptions{}), c.open(tabOptions{})
	emil.signIn("Emil")
	request := emil.fail()
	ada.signIn("Ada")
	ada.follows(request)
	why := ada.Locator(`article [name="reason"]`)
	must(t, why.Fill("I am still"))
	emil.to(request)
	emil.click(emil.button("Try again"))
	emil.sees("Disabled ")
	ada.sees("This page changed. Reload to see it.")
	must(t, why.PressSequentially(" typing"))
	must(t, expect.Locator(why).ToHaveValue("I am still typing"))
	must(t, expect.Locator(why).ToBeFocused())
	must(t, why.Fill(""))
	must(t, why.Blur())
	must(t, expect.Locator(ada.Locator("article .title")).ToContainText("Applied"))
	must(t, expect.Locator(ada.Locator("#stale")).ToHaveCount(0))
	ada.notReloaded()
}

// Where no stream gets through, the page asks by itself.
func TestLivePageWithoutStream(t *testing.T) {
	c := serve(t, sandbox.Options{})
	emil := c.open(tabOptions{})
	emil.signIn("Emil")
	ada := c.open(tabOptions{expect: []string{"ERR_FAILED"}})
	must(t, ada.Route("**/events", func(r playwright.Route) { _ = r.Abort() })) // the page may be gone
	ada.signIn("Ada")
	ada.to("/changes?tab=open")
	ada.mark()
	emil.fail()
	must(t, expect.Locator(ada.Locator("#requests li[data-row]")).ToHaveCount(1))
	ada.notReloaded()
}

// Who is signed out is told, and asks for nothing more.
func TestLivePageOfSomebodyDisabled(t *testing.T) {
	c := serve(t, sandbox.Options{})
	vera, ada := c.open(tabOptions{}), c.open(tabOptions{})
	vera.signIn("Vera")
	vera.follows("/")
	ada.signIn("Ada")
	ada.to("/people")
	ada.click(ada.link("Vera"))
	ada.click(ada.button("Disable account"))
	ada.sees("is disabled, and signed out everywhere")
	vera.sees("You are signed out.")
	vera.click(vera.link("Sign in to go on."))
	vera.heading("Sign in")
}

// A page that is being read anew while its reader is signed out goes on saying so.
func TestSignedOutWhileReading(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{})
	p.signIn("Vera")
	p.follows("/")
	held := make(chan playwright.Route, 100)
	must(t, p.Route(c.url+"/", func(r playwright.Route) { held <- r }))
	c.tool(0, "user", "add", "new@example.com", "--name", "New", "--role", "viewer", "--passphrase-file", passphraseFile(t))
	r := <-held
	answer, err := r.Fetch()
	must(t, err)
	body, err := answer.Text()
	must(t, err)
	c.tool(0, "user", "disable", "vera@example.com")
	p.sees("You are signed out.")
	body = strings.Replace(body, "Nothing waits for you", "Late, nothing waits for you", 1)
	must(t, r.Fulfill(playwright.RouteFulfillOptions{Response: answer, Body: body}))
	p.sees("Late, nothing waits for you")
	p.sees("You are signed out.")
}

// What was typed comes back after the page was closed, credentials aside, and goes
// once it was sent.
func TestDraftInTheBrowser(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{})
	p.signIn("Emil")
	name := func(p *tab) playwright.Locator {
		return p.GetByLabel("Client id", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)})
	}
	start := configList + "/new"
	p.to(start + "?toolkit=github&scheme=OAUTH2&managed=false")
	saved, err := p.ExpectResponse(regexp.MustCompile(`/drafts$`), func() error { return name(p).Fill("Iv1.draft") })
	must(t, err)
	if saved.Status() != http.StatusNoContent {
		t.Errorf("the draft was answered %d", saved.Status())
	}
	must(t, p.Close())

	page, err := p.Context().NewPage()
	must(t, err)
	q := &tab{page, t, c}
	q.to(start)
	q.sees("You have a draft from")
	q.click(q.link("Continue with it"))
	q.heading("New auth config for GitHub")
	must(t, expect.Locator(name(q)).ToHaveValue("Iv1.draft"))

	// What was typed last is kept although the page is left at once.
	q.fill("Client id", "Iv1.last")
	c.until("the last words are kept", func() bool {
		q.to(start)
		q.click(q.link("Continue with it"))
		v, err := name(q).InputValue()
		return err == nil && v == "Iv1.last"
	})
	q.click(q.button("Review"))
	q.sees("This is what Composio will be asked to make")
	sent := make(chan string, 100)
	q.OnRequest(func(r playwright.Request) {
		if body, err := r.PostData(); err == nil && strings.HasSuffix(r.URL(), "/drafts") {
			sent <- body
		}
	})
	q.fill("Client secret", canary)
	must(t, q.GetByLabel("Reason").Fill("for the test"))
	for kept := false; !kept; {
		select {
		case body := <-sent:
			if strings.Contains(body, canary) {
				t.Errorf("the draft holds %s", body)
			}
			kept = strings.Contains(body, "for+the+test")
		case <-time.After(patience):
			t.Fatal("the reason is not kept")
		}
	}
	q.click(q.button("Save and apply"))
	q.sees("Created ")
	q.to(start)
	q.heading("New auth config")
	must(t, expect.Locator(q.GetByText("You have a draft")).ToHaveCount(0))
}

// The program stops in order, although pages follow it.
func TestStopWithOpenStreams(t *testing.T) {
	c := serve(t, sandbox.Options{})
	p := c.open(tabOptions{expect: []string{"ERR_"}})
	p.signIn("Vera")
	p.follows("/")
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	must(t, c.cmd.Wait()) // one that waits for streams gives up, which is an error
	// Once it is there again, the page goes on by itself.
	c.start()
	emil := c.open(tabOptions{})
	emil.signIn("Emil")
	emil.fail()
	must(t, expect.Locator(p.Locator("#overview")).ToContainText("Disable"))
	p.notReloaded()
}
