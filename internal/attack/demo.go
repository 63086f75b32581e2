package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A demo is a console under attack.
type demo struct {
	dir  string
	log  string
	base *url.URL
	cmd  *exec.Cmd
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startDemo starts the program as a demo in a directory and waits until it answers.
func startDemo(ctx context.Context, program, dir string) (*demo, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	box, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	d := &demo{dir: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"), base: &url.URL{Scheme: "http", Host: addr}}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	d.cmd = exec.CommandContext(ctx, program, "demo") //nolint:gosec // the program to attack
	d.cmd.Env = append(os.Environ(), "CONSOLE_ADDR="+addr, "CONSOLE_SANDBOX_ADDR="+box, "CONSOLE_DATA_DIR="+d.dir)
	d.cmd.Stderr = log
	if err := errors.Join(d.cmd.Start(), log.Close()); err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 600 {
		<-tick.C
		if r, err := http.Get(d.base.JoinPath("readyz").String()); err == nil { //nolint:noctx // of this machine
			if err := r.Body.Close(); err == nil && r.StatusCode == http.StatusOK {
				return d, nil
			}
		}
	}
	return nil, errors.Join(errors.New("the demo doesn't start"), d.cmd.Process.Kill())
}

func (d *demo) stop() error {
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return d.cmd.Wait()
}

// complaints are the errors in the console's log.
func (d *demo) complaints() []finding {
	f, err := os.Open(d.log)
	if err != nil {
		return []finding{{"log", "unreadable", err.Error()}}
	}
	defer func() { _ = f.Close() }() // it was read
	var out []finding
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct{ Level, Msg, Route string }
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			out = append(out, finding{"log", "a line that is no JSON", lines.Text()})
		} else if entry.Level == "ERROR" {
			out = append(out, finding{"log", entry.Msg, entry.Route})
		}
	}
	return out
}

// A gate stands before the console: it signs in whoever comes through it, keeps
// them from signing out, and watches the answers.
type gate struct {
	url    string
	email  string
	server *http.Server
	mu     sync.Mutex
	counts map[int]int
	broken map[string]int // answers with 5xx, by method, path and status
}

// confining are forms that would end the session, or keep it from changing anything.
var confining = regexp.MustCompile(`^/signout$|^/account/sessions|/sessions/end$|^/people/view-as$`)

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// session signs one of the demo's people in, and returns the cookie.
func (d *demo) session(ctx context.Context, email string) (string, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	page, err := ask(ctx, client, http.MethodGet, d.base.JoinPath("signin").String(), "", nil)
	if err != nil {
		return "", err
	}
	token := tokenField.FindStringSubmatch(page.body)
	if token == nil || page.sid == "" {
		return "", errors.New("the sign-in page has no form")
	}
	done, err := ask(ctx, client, http.MethodPost, d.base.JoinPath("signin/demo").String(), page.sid, url.Values{"csrf": {token[1]}, "email": {email}})
	if err != nil || done.sid == "" {
		return "", fmt.Errorf("%s can't sign in: %w", email, err)
	}
	return done.sid, nil
}

type answer struct{ body, sid string }

func ask(ctx context.Context, client *http.Client, method, to, sid string, form url.Values) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", sid)
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	a := answer{body: string(body)}
	for _, c := range resp.Cookies() {
		if c.Name == "sid" {
			a.sid = c.Name + "=" + c.Value
		}
	}
	return a, errors.Join(err, resp.Body.Close())
}

// open makes a gate for one of the demo's people.
func (d *demo) open(ctx context.Context, email string) (*gate, error) {
	sid, err := d.session(ctx, email)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{url: "http://" + l.Addr().String(), email: email, counts: map[int]int{}, broken: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(d.base)
			r.Out.Header.Set("Cookie", sid)
			for _, name := range []string{"Origin", "Referer"} {
				r.Out.Header.Set(name, strings.ReplaceAll(r.In.Header.Get(name), g.url, d.base.String()))
			}
			if r.Out.Header.Get("Origin") == "" {
				r.Out.Header.Del("Origin")
			}
		},
		ModifyResponse: func(r *http.Response) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.counts[r.StatusCode]++; r.StatusCode >= http.StatusInternalServerError {
				g.broken[fmt.Sprintf("%s %s: %d", r.Request.Method, r.Request.URL, r.StatusCode)]++
			}
			return nil
		},
	}
	g.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && confining.MatchString(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = g.server.Serve(l) }() // it ends with close
	return g, nil
}

// close returns what the gate saw that may not be.
func (g *gate) close() []finding {
	_ = g.server.Close() // nobody comes any more
	g.mu.Lock()
	defer g.mu.Unlock()
	say.Printf("as %s: answers by status %v\n", g.email, g.counts)
	var out []finding
	for what := range g.broken {
		out = append(out, finding{"gate", "5xx", what})
	}
	return out
}
