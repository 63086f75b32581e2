package notify_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/notify"
	"gatehouse/internal/outbound"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
)

const public = "https://gatehouse.example.com"

// A house is a store, a mail server, and the service between them.
type house struct {
	*rig.Rig
	notify   *notify.Service
	settings notify.Settings
	mails    *mailbox
	ahead    atomic.Int64 // how far the clock was put forward
	stop     func()
}

func newHouse(t *testing.T, private ...string) *house {
	t.Helper()
	h := &house{Rig: rig.New(t, sandbox.Options{}), mails: newMailbox(t, nil)}
	h.settings = notify.Settings{PublicURL: public, Receivers: outbound.Rules{Private: private}, Retry: time.Millisecond, Mail: notify.Mail{Addr: h.mails.addr, From: "gatehouse@example.com", TLS: notify.NoTLS}}
	t.Cleanup(func() {
		if h.stop != nil {
			h.stop()
		}
	})
	return h
}

func (h *house) now() time.Time { return rig.Now().Add(time.Duration(h.ahead.Load())) }

// forward puts the clock forward and lets the service look at it.
func (h *house) forward(d time.Duration) {
	h.ahead.Add(int64(d))
	h.notify.Wake()
}

// open builds the service; run starts it too.
func (h *house) open() {
	h.notify = notify.NewService(h.Store, h.Keys, h.settings, h.now, slog.New(slog.NewTextHandler(h.Log, nil)))
}

func (h *house) run() {
	h.open()
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() { h.notify.Run(ctx) })
	h.stop = func() {
		cancel()
		loop.Wait()
		h.stop = nil
	}
}

func (h *house) must(err error) {
	h.T.Helper()
	if err != nil {
		h.T.Fatal(err)
	}
}

// until waits for a condition.
func (h *house) until(what string, is func() bool) {
	h.T.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			h.T.Fatalf("%s: waited in vain\n%s", what, h.Log)
		}
	}
}

// quiet waits until everything that is to be spread and sent now is.
func (h *house) quiet() {
	h.T.Helper()
	h.until("the outbox empties", func() bool {
		spread := h.spread() // before what it makes is looked at
		lanes, err := h.Store.Lanes(h.T.Context())
		h.must(err)
		for _, due := range lanes {
			if !due.After(h.now()) {
				return false
			}
		}
		return spread
	})
}

// submit puts a change request in review.
func (h *house) submit(by access.Reader, title string) string {
	h.T.Helper()
	now := rig.Now()
	r := change.Request{
		ID: "chg_" + secret.Code(16), Project: h.Project.ID, Title: title, Reason: "because", State: change.InReview, Version: 1,
		Author: change.Author{ID: by.ID, Name: by.Name}, Policies: []change.Policy{{Subject: change.AboutConfigs, Steps: []change.PolicyStep{{{Count: 1}}}}}, CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(1000 * time.Hour),
		Revision: change.Revision{Number: 1, EffectHash: "h", Contributors: []string{by.ID}, CreatedAt: now},
	}
	h.must(h.Store.AddRequest(h.T.Context(), &r, nil, func(change.Facts) ([]audit.Event, error) {
		return []audit.Event{h.event(r, by.Actor(), "change.submitted", nil)}, nil
	}))
	if h.stop != nil { // as it stands now, and not as it stands after what the test does next
		h.until("the outbox empties", h.spread)
	}
	return r.ID
}

// decides gives somebody a role that people made, which approves.
func (h *house) decides(who access.Reader) {
	h.T.Helper()
	admin := h.Person("Ruler", access.Admin)
	r, err := h.Changes.ProposeCustomRole(h.T.Context(), admin, "", access.CustomRole{Name: "Decider", Allows: []access.Permission{access.ApproveChange, access.ViewHistory}})
	h.must(err)
	role := access.Role(h.Settled(r.ID).Progress[0].Target)
	r, err = h.Changes.ProposeRoles(h.T.Context(), admin, "", who.User, []access.Grant{{Role: role}})
	h.must(err)
	if r = h.Settled(r.ID); r.State != change.Applied {
		h.T.Fatalf("%s: %s", r.State, r.Note)
	}
}

// spread reports whether the outbox is empty.
func (h *house) spread() bool {
	left, err := h.Store.Outbox(h.T.Context(), 1)
	h.must(err)
	return len(left) == 0
}

func (h *house) event(r change.Request, by audit.Actor, action string, detail map[string]string) audit.Event {
	all := map[string]string{"state": string(r.State)}
	for k, v := range detail {
		all[k] = v
	}
	return audit.Event{
		Actor: by, Action: action, Project: r.Project, Request: r.ID, Detail: all, Reason: canary,
		Object:  audit.Object{Kind: "change_request", ID: r.ID, Name: r.Title},
		Changes: []audit.Change{{Field: "client_id", Before: []string{canary}, After: []string{canary}}},
	}
}

// A step is one event of a transaction.
type step struct {
	by     audit.Actor
	action string
	detail map[string]string
}

// happens writes events about a request in one transaction, in the given state.
func (h *house) happens(id string, state change.State, steps ...step) {
	h.T.Helper()
	_, err := h.Store.UpdateRequest(h.T.Context(), id, func(r *change.Request, _ change.Facts) (change.Effect, error) {
		r.State = state
		r.Version++
		var e change.Effect
		for _, s := range steps {
			e.Events = append(e.Events, h.event(*r, s.by, s.action, s.detail))
		}
		return e, nil
	})
	h.must(err)
}

// told are the sentences that somebody has to read, the newest first.
func (h *house) told(who access.Reader) []string {
	h.T.Helper()
	all, err := h.notify.Notices(h.T.Context(), who, 0, 100)
	h.must(err)
	out := []string{}
	for _, n := range all {
		out = append(out, n.Text)
	}
	return out
}

// canary stands for what may not leave.
const canary = "canary-notify-77c1d0"

// A hook is a receiver of posts that keeps what it is given.
type hook struct {
	url     string
	addr    string // host:port
	mu      sync.Mutex
	answers []int // to the next posts; 200 after them
	got     []posted
}

type posted struct {
	path   string
	header http.Header
	body   string
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		status := 200
		if len(h.answers) > 0 {
			status, h.answers = h.answers[0], h.answers[1:]
		}
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		h.got = append(h.got, posted{r.URL.Path, r.Header, string(body)})
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, canary) // an answer is never shown
	}))
	t.Cleanup(server.Close)
	h.url, h.addr = server.URL+"/hooks/T0/"+canary+"-tail", server.Listener.Addr().String()
	return h
}

func (h *hook) answer(statuses ...int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers = statuses
}

func (h *hook) all() []posted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]posted{}, h.got...)
}
