// Package storm kills the program while it works and checks what is left.
package storm

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/composio/sandbox/sandboxtest"
	"gatehouse/internal/rig"
)

var (
	kills = flag.Int("kills", 200, "how often the program is killed")
	seed  = flag.Uint64("seed", 1, "of everything that is drawn")
)

var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "kill tests are left out by -short")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "gatehouse-storm-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary = filepath.Join(dir, "console")
	out, err := exec.Command("go", "build", "-tags", "sqlite_fts5,failpoint", "-o", binary, "gatehouse/cmd/console").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

const (
	passphrase = "seven quiet otters cross the bridge"
	grace      = time.Second
	list       = "/projects/default/auth-configs"
)

// A victim is the program under test, with a sandbox that outlives it.
type victim struct {
	t   *testing.T
	dir string
	url string
	box *sandboxtest.Server
	env []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
	out   bytes.Buffer
}

// newVictim prepares editors, who sign in once: sessions survive.
func newVictim(t *testing.T, o sandbox.Options, names ...string) (*victim, []*person) {
	t.Helper()
	return newCrowd(t, o, names, nil)
}

// newCrowd prepares people with roles, which are commas apart; without any they
// are editors.
func newCrowd(t *testing.T, o sandbox.Options, names []string, roles map[string]string) (*victim, []*person) {
	t.Helper()
	v := &victim{t: t, dir: filepath.Join(t.TempDir(), "data"), box: sandboxtest.New(t, o)}
	addr := rig.FreeAddress(t)
	v.url = "http://" + addr
	v.env = []string{
		"PATH=" + os.Getenv("PATH"), "CONSOLE_ADDR=" + addr, "CONSOLE_DATA_DIR=" + v.dir, "COMPOSIO_BASE_URL=" + v.box.URL, "COMPOSIO_API_KEY=" + sandbox.StagingKey,
		"CONSOLE_ENVIRONMENT=staging", "CONSOLE_SYNC_INTERVAL=1h", "CONSOLE_APPLY_GRACE=" + grace.String(), "COMPOSIO_TIMEOUT=300ms", "CONSOLE_SECOND_FACTOR=none",
	}
	file := filepath.Join(t.TempDir(), "passphrase")
	must(t, os.WriteFile(file, []byte(passphrase), 0o600))
	for _, n := range names {
		args := []string{"user", "add", n + "@example.com", "--name", n, "--passphrase-file", file}
		for role := range strings.SplitSeq(cmp.Or(roles[n], "editor"), ",") {
			args = append(args, "--role", role)
		}
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = v.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	v.start("")
	t.Cleanup(v.kill)
	v.ready()
	var people []*person
	for _, n := range names {
		people = append(people, v.signIn(n))
	}
	v.synced(people[0])
	return v, people
}

// synced waits until the console knows what deeds are done to.
func (v *victim) synced(p *person) {
	v.t.Helper()
	for _, id := range v.enabledConfigs() {
		v.wait("the first sync ends", func() bool {
			_, err := p.get(list + "/" + id)
			return err == nil
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start runs the program, with a failpoint if one is named.
func (v *victim) start(failpoint string) {
	v.t.Helper()
	cmd := exec.Command(binary, "serve")
	cmd.Env = v.env
	if failpoint != "" {
		cmd.Env = append(cmd.Env, "CONSOLE_FAILPOINT="+failpoint)
	}
	armed := make(chan struct{})
	cmd.Stderr = &writer{v: v, armed: armed}
	ended := make(chan struct{})
	v.mu.Lock()
	v.cmd, v.ended = cmd, ended
	v.out.Reset()
	v.mu.Unlock()
	must(v.t, cmd.Start())
	go func() {
		_ = cmd.Wait() // how it ended is in its ProcessState
		close(ended)
	}()
	if failpoint == "" {
		return
	}
	v.ready()
	must(v.t, cmd.Process.Signal(syscall.SIGUSR1))
	select {
	case <-armed:
	case <-ended: // its own work hit the point before it could say so
	case <-time.After(60 * time.Second):
		v.t.Fatalf("%s is not armed: %s", failpoint, v.dump())
	}
}

// writer keeps what the program logs and tells when its failpoints are armed.
type writer struct {
	v     *victim
	armed chan struct{}
	seen  bool
}

func (w *writer) Write(p []byte) (int, error) {
	w.v.mu.Lock()
	defer w.v.mu.Unlock()
	n, err := w.v.out.Write(p)
	if !w.seen && bytes.Contains(w.v.out.Bytes(), []byte("failpoints are armed")) {
		w.seen = true
		close(w.armed)
	}
	return n, err
}

func (v *victim) log() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.out.String()
}

// dump ends the program and returns what it logged and what it was doing.
func (v *victim) dump() string {
	_ = v.cmd.Process.Signal(syscall.SIGQUIT) // it may be dead
	v.died()
	return v.log()
}

// kill ends the program as a power cut would, as far as it is concerned.
func (v *victim) kill() {
	v.mu.Lock()
	cmd, ended := v.cmd, v.ended
	v.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGKILL) // it may be dead
	<-ended
}

// died reports whether the program ends by itself, soon.
func (v *victim) died() bool {
	select {
	case <-v.ended:
		return true
	case <-time.After(60 * time.Second):
		return false
	}
}

// asker keeps no connections: the program that it asks is often a new one.
var asker = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (v *victim) answers() bool {
	resp, err := asker.Get(v.url + "/healthz")
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}

// ready waits until the program answers.
func (v *victim) ready() {
	v.wait("the program answers", v.answers)
}

// wait waits for what happens by and by, two minutes at most.
func (v *victim) wait(what string, is func() bool) {
	for deadline := time.Now().Add(2 * time.Minute); !is(); breathe() {
		if time.Now().After(deadline) {
			v.t.Fatalf("%s: waited in vain: %s", what, v.dump())
		}
	}
}

// breathe leaves the machine to the program between two looks.
func breathe() {
	timer := time.NewTimer(5 * time.Millisecond)
	<-timer.C
}

// A person uses the console through HTTP and knows what was acknowledged.
type person struct {
	v      *victim
	name   string
	client *http.Client
	led    string // where the last answer to a form led
}

func (v *victim) signIn(name string) *person {
	v.t.Helper()
	jar, err := cookiejar.New(nil)
	must(v.t, err)
	p := &person{v: v, name: name, client: &http.Client{Jar: jar, Timeout: 60 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	page, err := p.get("/signin")
	must(v.t, err)
	form := fields(page, "/signin")
	form.Set("email", name+"@example.com")
	form.Set("secret.passphrase", passphrase)
	status, _, err := p.post("/signin", form)
	must(v.t, err)
	if status != http.StatusSeeOther {
		v.t.Fatalf("sign-in answers %d", status)
	}
	return p
}

func (p *person) get(path string) (*goquery.Document, error) {
	resp, err := p.client.Get(p.v.url + path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d", path, resp.StatusCode)
	}
	return goquery.NewDocumentFromReader(resp.Body)
}

// post sends a form and returns the status and what came back.
func (p *person) post(path string, form url.Values) (int, *goquery.Document, error) {
	r, err := http.NewRequest(http.MethodPost, p.v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.v.url)
	resp, err := p.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	p.led = resp.Header.Get("Location")
	doc, err := goquery.NewDocumentFromReader(resp.Body)
	return resp.StatusCode, doc, err
}

// fields are what a browser would send for a form.
func fields(page *goquery.Document, action string) url.Values {
	out := url.Values{}
	page.Find(`form[method="post"][action="` + action + `"]`).First().Find("input, textarea").Each(func(_ int, e *goquery.Selection) {
		name, ok := e.Attr("name")
		kind, _ := e.Attr("type")
		if !ok || kind == "checkbox" || kind == "radio" {
			return
		}
		value, _ := e.Attr("value")
		if goquery.NodeName(e) == "textarea" {
			value = e.Text()
		}
		out.Set(name, value)
	})
	return out
}

// What became of an action, as its person knows.
const (
	acknowledged = "acknowledged"
	refused      = "refused"
	lost         = "lost" // no answer
)

// A deed is one thing that somebody tried. Its reason names it in history.
type deed struct {
	reason string
	kind   string
	target string
	name   string // that it gives, for a create or an edit
	known  string

	location string // where the answer led
}

// outcome sorts an answer to a form. Who is asked to prove who they are has done nothing yet.
func (p *person) outcome(status int, err error) string {
	switch {
	case err != nil || status >= 500:
		return lost
	case strings.HasPrefix(p.led, "/stepup?"):
		return refused
	case status == http.StatusSeeOther:
		return acknowledged
	}
	return refused
}

// do carries out a deed.
func (p *person) do(d *deed) {
	p.led = ""
	defer func() {
		if d.known == acknowledged {
			d.location = p.led
		}
	}()
	d.known = refused // until the last form leaves
	switch d.kind {
	case "enable", "disable", "delete":
		path := list + "/" + d.target
		page, err := p.get(path + "/impact?do=" + d.kind)
		if err != nil {
			return
		}
		form := fields(page, path+"/"+d.kind)
		form.Set("reason", d.reason)
		if d.kind == "delete" {
			label := page.Find(`label[for="input-confirm"]`).Text()
			_, name, _ := strings.Cut(label, "confirm: ")
			form.Set("confirm", strings.TrimSpace(name))
			form.Set("skip_disable", "1")
		}
		status, _, err := p.post(path+"/"+d.kind, form)
		d.known = p.outcome(status, err)
	case "update":
		path := list + "/" + d.target
		p.reviewed(d, path+"/edit", path+"/review", path, map[string]string{"field.name": d.name})
	case "create":
		p.reviewed(d, list+"/new?toolkit=github&scheme=OAUTH2", list+"/review", list, map[string]string{"field.name": d.name, "field.client_id": "Iv1.storm"})
	}
}

// reviewed goes through a form and its review.
func (p *person) reviewed(d *deed, first, review, last string, values map[string]string) {
	page, err := p.get(first)
	if err != nil {
		return
	}
	form := fields(page, review)
	for k, v := range values {
		form.Set(k, v)
	}
	status, page, err := p.post(review, form)
	if err != nil || status != http.StatusOK {
		return
	}
	form = fields(page, last)
	form.Set("reason", d.reason)
	form.Set("secret.cred.client_secret", "storm-secret-"+d.reason)
	status, _, err = p.post(last, form)
	d.known = p.outcome(status, err)
}
