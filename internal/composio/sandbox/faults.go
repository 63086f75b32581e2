package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// A Fault is trouble that befalls some of the coming requests to the API.
//
// Kinds, by when they strike:
//
//   - before anything is done: timeout-before, reset-before, 5xx-before[=502],
//     status=NNN, redirect=URL (307);
//   - after the change was made: timeout-after, reset-after, 5xx-after[=502],
//     garbage-2xx (a 2xx answer cut in half; other answers stay as they are);
//   - without harm: latency[=100ms], stale-list[=1 or =500ms] (the answer, where
//     it is a list of auth configs or connections, is that many changes or that
//     long behind).
//
// Time-outs last until the client goes away or the server is closed.
type Fault struct {
	Kind   string `json:"kind"`
	Method string `json:"method,omitempty"` // empty: any

	// Path is a pattern as of path.Match for the path without /api/v3 or
	// /api/v3.1, such as /auth_configs/*; one that ends in /** matches all
	// below. Empty: any.
	Path string `json:"path,omitempty"`

	Project string `json:"project,omitempty"` // staging or production, by key; empty: any
	Nth     int    `json:"nth,omitempty"`     // strike from the nth matching request on; 0 is 1
	Times   int    `json:"times,omitempty"`   // strike that often; 0 is 1, -1 always
	Seen    int    `json:"seen"`              // matching requests so far
	Fired   int    `json:"fired"`             // strikes so far
}

// Fail arms a fault. Of several that match a request, the one armed first
// strikes. It is an error when the fault can't be understood.
func (s *Server) Fail(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &armed{Fault: f})
	return nil
}

// ClearFaults disarms all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists the armed faults, spent ones included.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, len(s.faults))
	for i, a := range s.faults {
		out[i] = a.Fault
	}
	return out
}

// FaultKinds lists the kinds of faults, as in the documentation of [Fault].
func FaultKinds() []string {
	return []string{
		"timeout-before", "reset-before", "5xx-before", "status", "redirect",
		"timeout-after", "reset-after", "5xx-after", "garbage-2xx",
		"latency", "stale-list",
	}
}

type armed struct{ Fault }

// trouble is what a fault, or a quirk, does to one request.
type trouble struct {
	kind   string
	status int
	url    string
	wait   time.Duration
	lag    lag
}

func (f Fault) check() error {
	if _, err := f.trouble(); err != nil {
		return fmt.Errorf("fault %q: %w", f.Kind, err)
	}
	if _, err := path.Match(f.Path, ""); err != nil {
		return fmt.Errorf("fault %q: path %q: %w", f.Kind, f.Path, err)
	}
	if f.Nth < 0 || f.Times < -1 {
		return fmt.Errorf("fault %q: nth and times can't be negative, but for times -1", f.Kind)
	}
	return nil
}

// trouble reads the kind.
func (f Fault) trouble() (t trouble, err error) {
	name, value, valued := strings.Cut(f.Kind, "=")
	t.kind = name
	switch name {
	case "timeout-before", "timeout-after", "reset-before", "reset-after", "garbage-2xx":
		if valued {
			err = fmt.Errorf("takes no value")
		}
	case "5xx-before", "5xx-after":
		t.status, err = status(value, "500", 500)
	case "status":
		t.status, err = status(value, "", 200)
	case "redirect":
		t.status, t.url = http.StatusTemporaryRedirect, value
		if u, bad := url.Parse(value); bad != nil || u.Scheme == "" && !strings.HasPrefix(value, "/") {
			err = fmt.Errorf("want redirect=URL")
		}
	case "latency":
		t.wait, err = positiveDuration(or(value, "100ms"))
	case "stale-list":
		t.lag, err = parseLag(or(value, "1"))
	default:
		err = fmt.Errorf("unknown kind; known are %s", strings.Join(FaultKinds(), ", "))
	}
	return t, err
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func status(value, instead string, least int) (int, error) {
	n, err := strconv.Atoi(or(value, instead))
	if err != nil || n < least || n > 599 {
		return 0, fmt.Errorf("want a status from %d to 599", least)
	}
	return n, nil
}

func (f Fault) matches(q *request) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, q.method) {
		return false
	}
	if f.Project != "" && (q.key == nil || q.key.project != f.Project) {
		return false
	}
	if below, ok := strings.CutSuffix(f.Path, "/**"); ok {
		return strings.HasPrefix(q.resource, below+"/")
	}
	matched, err := path.Match(f.Path, q.resource)
	return f.Path == "" || err == nil && matched
}

// strike finds the trouble of a request among the faults and the quirks.
func (s *Server) strike(q *request) trouble {
	for _, a := range s.faults {
		if !a.matches(q) {
			continue
		}
		a.Seen++
		if a.Seen < max(a.Nth, 1) || a.Times >= 0 && a.Fired >= max(a.Times, 1) {
			continue
		}
		a.Fired++
		t, err := a.trouble()
		if err == nil {
			return t
		}
	}
	if s.quirks.timeoutAfterCommit && q.method == http.MethodPost && q.route != nil && q.route.write {
		return trouble{kind: "timeout-after"}
	}
	return trouble{}
}
