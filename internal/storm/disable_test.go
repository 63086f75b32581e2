package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/store"
)

// An attempt is one request of somebody, and what it was answered.
type attempt struct {
	begun  time.Time
	what   string
	status int // 0: the program was down
	to     string
}

// A load is somebody who asks for all they can, by their session and by their
// token, again and again.
type load struct {
	*person
	id, token string
	stop      context.CancelFunc
	work      sync.WaitGroup
	well, all atomic.Int64

	mu    sync.Mutex
	tried []attempt
}

var tokenText = regexp.MustCompile(`gh_[0-9A-Za-z]{46}`)

// newLoad makes a token for somebody, as they would.
func newLoad(t *testing.T, p *person) *load {
	t.Helper()
	const path = "/account/tokens"
	page, err := p.get(path)
	must(t, err)
	form := fields(page, path)
	form.Set("name", "CI")
	form.Set("days", "30")
	form["may"] = []string{"configs", "history", "propose"}
	status, made, err := p.post(path, form)
	must(t, err)
	html, err := made.Html()
	must(t, err)
	l := &load{person: p, token: tokenText.FindString(html)}
	if l.token == "" {
		t.Fatalf("a token is asked for: %d", status)
	}
	var me struct{ User struct{ ID string } }
	resp, err := p.client.Do(l.request(t.Context(), http.MethodGet, "/api/v1/me", ""))
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	must(t, json.NewDecoder(resp.Body).Decode(&me))
	l.id = me.User.ID
	return l
}

// request is one with the token if it goes to the API.
func (l *load) request(ctx context.Context, method, path, body string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, l.v.url+path, strings.NewReader(body))
	must(l.v.t, err)
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Authorization", "Bearer "+l.token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", fmt.Sprintf("load-%d", l.all.Add(1)))
	}
	return r
}

// begin asks in several lanes at once.
func (l *load) begin(config string) {
	ctx, stop := context.WithCancel(l.v.t.Context())
	l.stop = stop
	proposal := `{"operation":"disable","targets":["` + config + `"]}`
	for _, one := range [][3]string{
		{"GET", "/", ""}, {"GET", list, ""}, {"GET", "/history", ""}, {"GET", "/changes", ""}, {"GET", "/account/sessions", ""}, {"GET", list + "/" + config, ""},
		{"GET", "/api/v1/me", ""}, {"GET", "/api/v1/projects/default/auth-configs", ""}, {"GET", "/api/v1/changes", ""}, {"GET", "/api/v1/history", ""},
		{"POST", "/api/v1/projects/default/changes", proposal}, {"POST", "/api/v1/projects/default/changes", proposal},
	} {
		l.work.Go(func() {
			for ctx.Err() == nil {
				l.try(one[0], one[1], one[2])
			}
		})
	}
}

func (l *load) try(method, path, body string) attempt {
	a := attempt{begun: time.Now(), what: method + " " + path}
	resp, err := l.client.Do(l.request(context.Background(), method, path, body))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // it was read
	}
	if err == nil {
		a.status, a.to = resp.StatusCode, resp.Header.Get("Location")
	}
	if a.status/100 == 2 {
		l.well.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried = append(l.tried, a)
	return a
}

func (l *load) end() {
	l.stop()
	l.work.Wait()
}

// refused says what is wrong with an attempt of somebody who is out, if anything is.
func (a attempt) refused() bool {
	if strings.Contains(a.what, "/api/") {
		return a.status == http.StatusUnauthorized
	}
	return a.status == http.StatusSeeOther && strings.HasPrefix(a.to, "/signin")
}

// since are the attempts that began after a moment.
func (l *load) since(at time.Time) []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []attempt
	for _, a := range l.tried {
		if a.begun.After(at) {
			out = append(out, a)
		}
	}
	return out
}

// out reports what somebody was answered after they were disabled. While the
// program is down they are answered nothing.
func (l *load) out(at time.Time, mayBeDown bool) {
	l.v.t.Helper()
	for _, a := range l.since(at) {
		if !a.refused() && (!mayBeDown || a.status != 0) {
			l.v.t.Errorf("%s: %s was answered %d %s, %s after they were disabled", l.name, a.what, a.status, a.to, a.begun.Sub(at))
		}
	}
}

// set disables or enables somebody and returns when that was answered.
func (l *load) set(admin *person, to string) time.Time {
	l.v.t.Helper()
	page, err := admin.get("/people/" + l.id)
	must(l.v.t, err)
	path := "/people/" + l.id + "/" + to
	status, _, err := admin.post(path, fields(page, path))
	at := time.Now()
	if err != nil || status != http.StatusSeeOther {
		l.v.t.Fatalf("%s: %d %v", path, status, err)
	}
	return at
}

// Who is disabled while they ask for all they can gets nothing any more from the
// answer to that on, by no session and by no token: not while the program goes on,
// and not after it was killed and started again, not even once they are enabled.
func TestDisabledUnderLoad(t *testing.T) {
	names := []string{"root", "emil0", "emil1", "emil2"}
	v, people := newCrowd(t, sandbox.Options{Configs: 20}, names, map[string]string{"root": "admin"})
	admin, config := people[0], v.enabledConfigs()[0]
	for i, p := range people[1:] {
		l := newLoad(t, p)
		l.begin(config)
		v.wait("they are answered", func() bool { return l.well.Load() > 100 })
		at := l.set(admin, "disable")
		if i == 0 {
			v.wait("they ask on", func() bool { return len(l.since(at)) > 100 })
			l.out(at, false)
		}
		v.kill()
		v.start("")
		v.ready()
		up := time.Now()
		v.wait("they ask again", func() bool { return len(l.since(up)) > 50 })
		l.set(admin, "enable")
		enabled := time.Now()
		v.wait("they ask on", func() bool { return len(l.since(enabled)) > 50 })
		l.end()
		l.out(at, true)
		l.out(up, false)
		t.Logf("%s: %d requests, %d of them answered well, %d after the end", l.name, len(l.tried), l.well.Load(), len(l.since(at)))
	}
	v.kill()
	v.quiet(people[1:])
}

// quiet makes sure that history has nothing that somebody did between being
// disabled and being enabled.
func (v *victim) quiet(people []*person) {
	v.t.Helper()
	st, err := store.Open(v.dir, store.Options{})
	must(v.t, err)
	defer func() { must(v.t, st.Close()) }()
	all, err := st.History(v.t.Context(), store.HistoryQuery{Limit: 100_000})
	must(v.t, err)
	for _, p := range people {
		a, err := st.AccountByEmail(v.t.Context(), p.name+"@example.com")
		must(v.t, err)
		ended := int64(0)
		for i := len(all) - 1; i >= 0; i-- { // the oldest first
			e := all[i]
			switch {
			case e.Action == "user.disabled" && e.Object.ID == a.ID:
				ended = e.Seq
			case ended > 0 && e.Actor.ID == a.ID && !strings.HasPrefix(e.Action, "apply.") && !strings.HasPrefix(e.Action, "auth_config."):
				v.t.Errorf("%d %s by %s, who was disabled by %d", e.Seq, e.Action, p.name, ended)
			}
		}
		if ended == 0 {
			v.t.Errorf("history doesn't say that %s was disabled", p.name)
		}
	}
}
