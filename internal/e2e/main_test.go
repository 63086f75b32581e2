// Package e2e drives the built program in a real Chromium.
package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/composio/sandbox/sandboxtest"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

var (
	browser playwright.Browser
	binary  string
	expect  = playwright.NewPlaywrightAssertions(float64(patience.Milliseconds()))
)

// patience is how long anything may take on a machine that has more to do.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "browser tests are left out by -short")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err, "(run 'make test', which installs what is needed)")
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary = filepath.Join(dir, "console")
	if out, err := exec.Command("go", "build", "-o", binary, "gatehouse/cmd/console").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	pw, err := playwright.Run(&playwright.RunOptions{SkipInstallBrowsers: true, Stdout: io.Discard, Stderr: os.Stderr})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, pw.Stop()) }()
	o := playwright.BrowserTypeLaunchOptions{Headless: playwright.Bool(true), Args: []string{
		"--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
	}}
	if path := os.Getenv("E2E_CHROMIUM"); path != "" {
		o.ExecutablePath = playwright.String(path)
	}
	if os.Geteuid() == 0 {
		o.Args = append(o.Args, "--no-sandbox")
	}
	if browser, err = pw.Chromium.Launch(o); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, browser.Close()) }()
	return m.Run(), nil
}

func must(t testing.TB, err error) {
	t.Helper()
	var e *composio.Error
	if errors.As(err, &e) {
		t.Fatalf("%v: %s %v", err, e.Message, e.FieldErrors)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const (
	passphrase = "seven quiet otters cross the bridge"
	canary     = "canary-e2e-51f0c3d97ab2"
)

// A console is a running program with a sandbox of the test's.
type console struct {
	t    *testing.T
	url  string
	dir  string
	box  *sandboxtest.Server
	cmd  *exec.Cmd
	out  *output
	env  []string
	args []string

	unchecked bool // the test spoils history, or writes to Composio with our client itself
}

// output keeps what a program printed.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

type person struct{ name, roles string }

// people are who may sign in to a console of the tests.
var people = []person{
	{"Ada", "admin,editor,auditor"}, {"Emil", "editor"}, {"Vera", "viewer"}, {"Anna", "approver"}, {"Ayo", "auditor"},
}

// serve starts `console serve` on a sandbox with these options, with people.
func serve(t *testing.T, o sandbox.Options) *console {
	t.Helper()
	c := prepare(t, o, people)
	c.start()
	return c
}

// prepare makes a console that isn't started yet.
func prepare(t *testing.T, o sandbox.Options, people []person) *console {
	t.Helper()
	c := &console{t: t, dir: filepath.Join(t.TempDir(), "data"), box: sandboxtest.New(t, o), out: &output{}}
	t.Cleanup(c.checkApproved)
	addr := rig.FreeAddress(t)
	c.url = "http://" + addr
	c.args = []string{"serve"}
	c.env = []string{
		"PATH=" + os.Getenv("PATH"), "CONSOLE_ADDR=" + addr, "CONSOLE_DATA_DIR=" + c.dir, "COMPOSIO_BASE_URL=" + c.box.URL,
		"COMPOSIO_API_KEY=" + sandbox.StagingKey, "CONSOLE_ENVIRONMENT=staging", "CONSOLE_SYNC_INTERVAL=1h", "CONSOLE_APPLY_GRACE=2s", "CONSOLE_SECOND_FACTOR=none",
	}
	file := filepath.Join(t.TempDir(), "passphrase")
	must(t, os.WriteFile(file, []byte(passphrase+"\n"), 0o600))
	for _, p := range people {
		c.tool(0, "user", "add", strings.ToLower(p.name)+"@example.com", "--name", p.name, "--role", p.roles, "--passphrase-file", file)
	}
	return c
}

// checkApproved looks, after a test, whether everything that was sent had its
// approvals.
func (c *console) checkApproved() {
	if c.t.Failed() || c.unchecked {
		return
	}
	st, err := store.Open(c.dir, store.Options{ReadOnly: true})
	must(c.t, err)
	rig.CheckApproved(c.t, st, c.box.Journal())
	must(c.t, st.Close())
}

// start runs the program until the test ends, and waits until it answers and knows
// what Composio holds.
func (c *console) start() {
	c.t.Helper()
	c.cmd = exec.Command(binary, c.args...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = c.env, c.out, c.out
	must(c.t, c.cmd.Start())
	cmd := c.cmd
	c.t.Cleanup(func() { c.stop(cmd) })
	c.until("the console answers", c.ready)
	c.until("the first sync ends", c.synced)
}

func (c *console) ready() bool {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+"/readyz", nil)
	must(c.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // it has been answered
	return resp.StatusCode == http.StatusOK
}

// synced reports whether each project and its toolkits were read once: pages that
// don't renew themselves show no more than that.
func (c *console) synced() bool {
	st, err := store.Open(c.dir, store.Options{ReadOnly: true})
	must(c.t, err)
	defer func() { must(c.t, st.Close()) }()
	projects, err := st.Projects(c.t.Context())
	must(c.t, err)
	for _, p := range projects {
		_, at, err := st.Toolkits(c.t.Context(), p.ID)
		must(c.t, err)
		if p.Sync.OKAt.IsZero() || at.IsZero() {
			return false
		}
	}
	return true
}

// until waits for what happens by and by.
func (c *console) until(what string, is func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-end:
			c.t.Fatalf("%s: waited in vain\n%s", what, c.out)
		}
	}
}

func (c *console) stop(cmd *exec.Cmd) {
	if cmd.ProcessState != nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	if err := cmd.Wait(); err != nil {
		c.t.Errorf("the console ended with %v:\n%s", err, c.out)
	}
}

// tool runs a subcommand and returns what it printed.
func (c *console) tool(code int, args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), binary, args...)
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	got := cmd.ProcessState.ExitCode()
	if got != code {
		c.t.Fatalf("console %v exited %d (%v), want %d:\n%s", args, got, err, code, out)
	}
	return string(out)
}

// A tab is a page of the browser in a context of its own.
type tab struct {
	playwright.Page
	t *testing.T
	c *console
}

// tabOptions say what kind of browser it is.
type tabOptions struct {
	width  int
	theme  playwright.ColorScheme
	noJS   bool
	expect []string // console messages that are meant to come
}

// open returns an empty tab. The test fails if the page logs anything.
func (c *console) open(o tabOptions) *tab {
	c.t.Helper()
	if o.width == 0 {
		o.width = 1280
	}
	if o.theme == "" {
		o.theme = *playwright.ColorSchemeLight
	}
	ctx, err := browser.NewContext(playwright.BrowserNewContextOptions{
		BaseURL: playwright.String(c.url), Viewport: &playwright.Size{Width: o.width, Height: 860}, ColorScheme: &o.theme,
		JavaScriptEnabled: playwright.Bool(!o.noJS), ReducedMotion: playwright.ReducedMotionReduce,
	})
	must(c.t, err)
	ctx.SetDefaultTimeout(float64(patience.Milliseconds()))
	page, err := ctx.NewPage()
	must(c.t, err)
	var mu sync.Mutex
	var bad []string
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		// Forms with complaints, and what a page was still asking for when it was left:
		// an answer that can't be had otherwise is logged as a resource that failed.
		for _, e := range append(o.expect, "status of 422", "status of 409", "TypeError: Failed to fetch") {
			if strings.Contains(text, e) {
				return
			}
		}
		bad = append(bad, text)
	}
	page.OnConsole(func(m playwright.ConsoleMessage) {
		if m.Type() == "error" || m.Type() == "warning" {
			note(m.Text())
		}
	})
	page.OnPageError(func(err error) { note(err.Error()) })
	page.OnDialog(func(d playwright.Dialog) { note("dialog: " + d.Message()) })
	c.t.Cleanup(func() {
		if err := ctx.Close(); err != nil {
			c.t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, b := range bad {
			c.t.Errorf("the page logged: %s", b)
		}
	})
	return &tab{page, c.t, c}
}

func (p *tab) to(path string) {
	p.t.Helper()
	_, err := p.Goto(path)
	must(p.t, err)
}

func (p *tab) signIn(name string) {
	p.t.Helper()
	p.to("/signin")
	must(p.t, p.GetByLabel("Email").Fill(strings.ToLower(name)+"@example.com"))
	must(p.t, p.GetByLabel("Passphrase").Fill(passphrase))
	must(p.t, p.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Sign in"}).Click())
	must(p.t, expect.Locator(p.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "Overview"})).ToBeVisible())
}

func (p *tab) button(name string) playwright.Locator {
	return p.GetByRole("button", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)})
}

func (p *tab) link(name string) playwright.Locator {
	return p.GetByRole("link", playwright.PageGetByRoleOptions{Name: name, Exact: playwright.Bool(true)})
}

func (p *tab) click(l playwright.Locator) {
	p.t.Helper()
	must(p.t, l.First().Click())
}

func (p *tab) fill(label, value string) {
	p.t.Helper()
	must(p.t, p.GetByLabel(label, playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)}).Fill(value))
}

// sees waits until the page says a text.
func (p *tab) sees(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if err := expect.Locator(p.Locator("body")).ToContainText(text); err != nil {
			body, _ := p.Locator("main").InnerText() // for the message
			p.t.Fatalf("%s doesn't say %q:\n%.2000s", p.URL(), text, body)
		}
	}
}

// toUntil asks for a page again and again until it says a text, where what it
// tells of happens by and by and the page doesn't renew itself.
func (p *tab) toUntil(path, text string) {
	p.t.Helper()
	p.c.until(path+" says "+text, func() bool {
		p.to(path)
		body, err := p.Locator("body").InnerText()
		must(p.t, err)
		return strings.Contains(body, text)
	})
}

func (p *tab) heading(name string) {
	p.t.Helper()
	if err := expect.Locator(p.Locator("h1")).ToContainText(name); err != nil {
		p.t.Fatalf("%s: %v", p.URL(), err)
	}
	must(p.t, p.WaitForLoadState()) // scripts are there too
}

// capture keeps the bodies of all answers to a page. What it returns waits for
// those that are on their way.
func capture(p *tab) func() []byte {
	var mu sync.Mutex
	var reading sync.WaitGroup
	var got bytes.Buffer
	p.OnResponse(func(r playwright.Response) {
		if strings.HasSuffix(r.URL(), "/events") {
			return // a stream has no end
		}
		reading.Go(func() { // reading the body inside the handler would wait for the handler
			body, err := r.Body()
			if err != nil {
				return // redirects have none
			}
			mu.Lock()
			defer mu.Unlock()
			got.Write(body)
			got.WriteString(r.URL())
		})
	})
	return func() []byte {
		reading.Wait()
		return got.Bytes()
	}
}
