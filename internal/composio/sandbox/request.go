package sandbox

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds the bodies the API accepts (EMU).
const maxBody = 1 << 20

// A request is one call of the API.
type request struct {
	method, path, rawQuery string

	id       string // as the client sent it in x-request-id, or ours
	call     uint64 // in the journal
	version  string
	resource string // the path below the version
	route    *route
	params   []string
	allowed  []string // methods, where only the method is wrong
	query    url.Values
	body     []byte
	refused  *failure // why the body can't be taken
	header   http.Header
	key      *apiKey
	project  *project
	rate     rate
	lag      lag
	now      time.Time
}

// receive reads a request and enters it in the journal. The body is read here,
// so that a client which goes away while it is kept waiting is noticed.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) *request {
	q := &request{
		method: r.Method, path: r.URL.Path, rawQuery: r.URL.RawQuery,
		query: r.URL.Query(), header: r.Header, now: s.clock(),
	}
	q.version, q.resource = version(r.URL.EscapedPath())
	q.route, q.params, q.allowed = find(r.Method, q.resource)
	q.key = findKey(r.Header.Get("x-api-key"))
	q.readBody(w, r)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	q.id = r.Header.Get("x-request-id")
	if !validRequestID(q.id) {
		q.id = fmt.Sprintf("req_%016x", s.requests)
	}
	q.rate = s.rate()
	c := Call{Time: q.now, Method: q.method, Path: q.path, Query: q.rawQuery, RequestID: q.id}
	if q.key != nil {
		c.Project = q.key.project
	}
	q.call = s.journal.calls.begin(c)
	return q
}

func (q *request) readBody(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		q.refused = unexpected(http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		q.refused = invalid("Error in payload: the body ended early")
		return
	}
	q.body = body
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); len(body) > 0 && (err != nil || kind != "application/json") {
		q.refused = invalid("Error in payload: Expected content type application/json")
	}
	if q.method == http.MethodGet || q.route != nil && q.route.bodyless {
		q.refused = nil
	}
}

func validRequestID(id string) bool {
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}

// A reply is an answer ready to be sent.
type reply struct {
	status     int
	body       []byte
	html       bool
	location   string
	allow      []string
	retryAfter int
}

// answer does what a request asks for.
func (s *Server) answer(q *request) reply {
	s.mu.Lock()
	v, f := s.handle(q)
	s.mu.Unlock()
	if f != nil {
		return s.refusal(q, f)
	}
	return reply{status: q.route.status, body: s.encode(v)}
}

func (s *Server) refusal(q *request, f *failure) reply {
	if s.quirks.legacyEnvelope {
		f = f.legacy()
	}
	out := reply{status: f.status, body: f.body(q.id), retryAfter: f.retryAfter}
	if f.status == http.StatusMethodNotAllowed {
		out.allow = q.allowed
	}
	if f.status >= 500 && s.quirks.nonJSON {
		out.html = true
		out.body = fmt.Appendf(nil, "<html>\r\n<head><title>%d %[2]s</title></head>\r\n<body>\r\n<center><h1>%[1]d %[2]s</h1></center>\r\n</body>\r\n</html>\r\n",
			f.status, http.StatusText(f.status))
	}
	return out
}

// write sends an answer and enters its status in the journal.
func (s *Server) write(w http.ResponseWriter, q *request, out reply) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if out.html {
		h.Set("Content-Type", "text/html")
	}
	h.Set("X-Request-Id", q.id)
	q.rate.headers(h)
	if out.location != "" {
		h.Set("Location", out.location)
	}
	if len(out.allow) > 0 {
		h.Set("Allow", strings.Join(out.allow, ", "))
	}
	if out.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(out.retryAfter))
	}
	s.mu.Lock()
	s.journal.calls.update(q.call, func(c *Call) { c.Status = out.status })
	s.mu.Unlock()
	if out.status == http.StatusNoContent || out.status == http.StatusNotModified {
		w.WriteHeader(out.status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body) // a client that went away is no trouble of ours
}
