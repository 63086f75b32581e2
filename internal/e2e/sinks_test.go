package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"gatehouse/internal/composio/sandbox"
)

// A siem takes posts of history and keeps the numbers of what it took.
type siem struct {
	url, addr string
	mu        sync.Mutex
	key       string
	down      bool
	got       []int64
	forged    int
}

func newSIEM(t *testing.T) *siem {
	t.Helper()
	s := &siem{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url, s.addr = server.URL+"/collect", server.Listener.Addr().String()
	return s
}

func (s *siem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == "" || s.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	at, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Gatehouse-Signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(s.key))
	mac.Write([]byte(at + "." + string(body)))
	if signature != hex.EncodeToString(mac.Sum(nil)) {
		s.forged++
	}
	for line := range strings.Lines(string(body)) {
		var e struct{ Seq int64 }
		if json.Unmarshal([]byte(line), &e) == nil && e.Seq > 0 {
			s.got = append(s.got, e.Seq)
		}
	}
}

// set says whether it is down, and the key that it checks by.
func (s *siem) set(down bool, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.key = down, key
}

// all waits until it has an entry, and returns everything that it took.
func (s *siem) all(t *testing.T, seq int64) []int64 {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		s.mu.Lock()
		got, forged := slices.Clone(s.got), s.forged
		s.mu.Unlock()
		if len(got) > 0 && got[len(got)-1] >= seq && forged == 0 {
			return got
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it has %v, waiting for %d; %d forged", got, seq, forged)
		}
	}
}

var upTo = regexp.MustCompile(`Has everything up to entry ([\d,]+)`)

// cursor waits until the first sink is up to date, and says how far that is.
func (p *tab) cursor() int64 {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		p.to("/settings/sinks")
		text, err := p.Locator("main").InnerText()
		must(p.t, err)
		if m := upTo.FindStringSubmatch(text); m != nil && strings.Contains(text, "Up to date") {
			n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
			must(p.t, err)
			return n
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the sink is not up to date:\n%.2000s", text)
		}
	}
}

// A receiver that is down, over a restart too, loses nothing; replay delivers each
// entry once more, in order.
func TestSinksInTheBrowser(t *testing.T) {
	receiver := newSIEM(t)
	c := prepare(t, sandbox.Options{}, people)
	c.env = append(c.env, "CONSOLE_NOTIFY_PRIVATE="+receiver.addr)
	c.start()
	p := c.open(tabOptions{noJS: true})
	p.signIn("Ada")
	p.to("/settings")
	p.click(p.link("Sinks"))
	p.sees("No sinks yet")
	p.fill("Name", "SIEM")
	p.fill("Address", receiver.url)
	_, err := p.GetByLabel("Begin with").SelectOption(playwright.SelectOptionValues{Values: &[]string{"start"}})
	must(t, err)
	p.click(p.button("Add sink"))
	p.sees("Added SIEM", "It is shown only now")
	shown, err := p.Locator("main").InnerText()
	must(t, err)
	key := regexp.MustCompile(`whk_[0-9A-Z]{40}`).FindString(shown)

	p.to("/settings/sinks")
	p.click(p.button("Send a test to SIEM"))
	p.sees("The test was not delivered", "The receiver answered 503")
	p.toUntil("/settings/sinks", "Failing") // the stream itself tries by and by
	c.stop(c.cmd)                           // the receiver is still down
	c.start()
	receiver.set(false, key)
	p.to("/settings/sinks")
	p.click(p.button("Send a test to SIEM"))
	p.sees("A test went to SIEM")
	last := p.cursor()
	got := receiver.all(t, last)
	for i, seq := range got {
		if seq != int64(i+1) {
			t.Fatalf("out of order or twice: %v", got)
		}
	}

	from := last - 5
	must(t, p.Locator("summary", playwright.PageLocatorOptions{HasText: "Replay"}).Click())
	must(t, p.GetByLabel("From entry").Fill(strconv.FormatInt(from, 10)))
	p.click(p.button("Deliver again from there"))
	p.sees("again to SIEM")
	last = p.cursor()
	again := receiver.all(t, last)[len(got):]
	at := slices.Index(again, from)
	if at < 0 {
		t.Fatalf("nothing was replayed: %v", again)
	}
	for i, seq := range again[at:] {
		if seq != from+int64(i) {
			t.Errorf("replayed out of order: %v", again)
		}
	}
	p.to("/history?action=sink.replayed")
	p.sees("Ada delivers history once more to SIEM")
	p.to("/history?action=history.read")
	p.sees("Ada read")
}
